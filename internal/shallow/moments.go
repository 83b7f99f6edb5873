package shallow

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// meansOf are the features' means.
func meansOf(rows Rows) []float64 {
	mean := make([]float64, rows.Width)
	for i := range rows.Len() {
		for j, v := range rows.row(i) {
			mean[j] += float64(v)
		}
	}
	for j := range mean {
		mean[j] /= float64(rows.Len())
	}
	return mean
}

// classMeans are the features' means of each class, [classes][width], and the classes' shares of the rows. Of a class without
// a row they are 0.
func classMeans(rows Rows, classes int) (means [][]float64, shares []float64) {
	shares = make([]float64, classes)
	for range classes {
		means = append(means, make([]float64, rows.Width))
	}
	for i, class := range rows.Classes {
		shares[class]++
		for j, v := range rows.row(i) {
			means[class][j] += float64(v)
		}
	}
	for class, n := range shares {
		for j := range means[class] {
			means[class][j] /= max(n, 1)
		}
		shares[class] /= float64(rows.Len())
	}
	return means, shares
}

// most is how many unknowns the equations of a closed form may have: their matrix is dense, and solving it takes the cube.
const most = 8192

// exactProducts is the number of multiply-adds up to which products of features with features are in float64.
const exactProducts = 1 << 29

// scatter is Σ (x−mean)(x−mean)ᵀ over the rows at some positions: in float64 where it is small, else with products in float32
// whose sums over blocks of rows are in float64.
func (t *task) scatter(rows Rows, positions []int, mean []float64) (*mat.SymDense, error) {
	width := rows.Width
	if width > most {
		return nil, fmt.Errorf("%d features: at most %d; logistic takes more", width, most)
	}
	sum := make([]float64, width*width)
	block := make([]float32, blockRows*width)
	exact := make([]float64, blockRows*width)
	product := make([]float32, width*width)
	var workspace kernel.Workspace
	for from := 0; from < len(positions); from += blockRows {
		n := min(blockRows, len(positions)-from)
		for i, position := range positions[from : from+n] {
			for j, v := range rows.row(position) {
				exact[i*width+j] = float64(v) - mean[j]
				block[i*width+j] = float32(exact[i*width+j])
			}
		}
		if len(positions)*width*width <= exactProducts {
			t.pool.Each(width, func(_, j int) {
				to := sum[j*width : (j+1)*width]
				for i := range n {
					row := exact[i*width : (i+1)*width]
					vector.Axpy(row[j], row[j:], to[j:])
				}
			})
			continue
		}
		kernel.Gemm(t.pool, true, false, width, width, n, 1, block, width, block, width, 0, product, width, &workspace)
		t.pool.Each(width, func(_, j int) {
			for l := j; l < width; l++ {
				sum[j*width+l] += float64(product[j*width+l])
			}
		})
	}
	return mat.NewSymDense(width, sum), nil
}

// inner is the matrix of the products of centred rows with one another, [rows][rows].
func (t *task) inner(rows Rows, mean []float64) *mat.SymDense {
	n := rows.Len()
	out := make([]float64, n*n)
	centred := make([]float64, n*rows.Width)
	for i := range n {
		for j, v := range rows.row(i) {
			centred[i*rows.Width+j] = float64(v) - mean[j]
		}
	}
	row := func(i int) []float64 { return centred[i*rows.Width : (i+1)*rows.Width] }
	t.pool.Each(n, func(_, i int) {
		for j := i; j < n; j++ {
			out[i*n+j] = vector.Dot(row(i), row(j))
		}
	})
	return mat.NewSymDense(n, out)
}

// solve returns A⁻¹B for a symmetric matrix; where that is singular, the least of the solutions that are nearest.
func solve(a *mat.SymDense, b *mat.Dense) (*mat.Dense, error) {
	var x mat.Dense
	var factors mat.Cholesky
	const singular = 1e13 // beyond it, float64 has no digits left
	if factors.Factorize(a) && factors.Cond() < singular {
		return &x, factors.SolveTo(&x, b)
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(a, true) {
		return nil, fmt.Errorf("the eigenvalues of a matrix of %d×%d were not found", b.RawMatrix().Rows, b.RawMatrix().Rows)
	}
	values := eigen.Values(nil)
	var vectors, projected mat.Dense
	eigen.VectorsTo(&vectors)
	projected.Mul(vectors.T(), b)
	largest := 0.0
	for _, v := range values {
		largest = max(largest, math.Abs(v))
	}
	for i, v := range values {
		row := projected.RawRowView(i)
		for j := range row {
			if math.Abs(v) <= 1e-12*largest {
				row[j] = 0
			} else {
				row[j] /= v
			}
		}
	}
	x.Mul(&vectors, &projected)
	return &x, nil
}

// normalise divides rows by their lengths, as [nn.L2Normalise] does.
func normalise(values []float32, width int) {
	for from := 0; from < len(values); from += width {
		row := values[from : from+width]
		square := 0.0
		for _, v := range row {
			square += float64(v) * float64(v)
		}
		length := max(math.Sqrt(square), 1e-12)
		for i, v := range row {
			row[i] = float32(float64(v) / length)
		}
	}
}
