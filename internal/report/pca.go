package report

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// projection is a set of points in the plane of most variance.
type projection struct {
	x, y           []float64
	shareX, shareY float64 // of the variance
}

// project finds the two principal components of rows of equal length by
// subspace iteration (Halko, Martinsson and Tropp, 2011, algorithm 4.4, with
// the data itself in place of a sketch). The largest coordinate along each is
// positive, so that equal data give an equal picture.
func project(rows [][]float32) projection {
	n := len(rows)
	if n == 0 {
		return projection{}
	}
	d := len(rows[0])
	centred := mat.NewDense(n, d, nil)
	for j := range d {
		mean := 0.0
		for _, row := range rows {
			mean += float64(row[j])
		}
		mean /= float64(n)
		for i, row := range rows {
			centred.Set(i, j, float64(row[j])-mean)
		}
	}
	total := 0.0
	for _, x := range centred.RawMatrix().Data {
		total += x * x
	}
	if total == 0 || math.IsNaN(total) || math.IsInf(total, 0) {
		return projection{x: make([]float64, n), y: make([]float64, n)}
	}

	// A few directions more than needed make the first two come out sharply.
	k := min(6, d, n)
	basis := mat.NewDense(d, k, nil)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range basis.RawMatrix().Data {
		basis.RawMatrix().Data[i] = random.NormFloat64()
	}
	var scores, next mat.Dense
	for range 24 {
		orthonormalise(basis)
		scores.Mul(centred, basis)
		next.Mul(centred.T(), &scores)
		basis.Copy(&next)
	}
	orthonormalise(basis)
	scores.Mul(centred, basis)

	// Within the subspace, exactly.
	var svd mat.SVD
	if !svd.Factorize(&scores, mat.SVDThin) {
		return projection{x: make([]float64, n), y: make([]float64, n)}
	}
	var u mat.Dense
	svd.UTo(&u)
	sigma := svd.Values(nil)
	p := projection{x: component(&u, 0, sigma[0]), shareX: sigma[0] * sigma[0] / total, y: make([]float64, n)}
	if len(sigma) > 1 {
		p.y, p.shareY = component(&u, 1, sigma[1]), sigma[1]*sigma[1]/total
	}
	return p
}

func component(u *mat.Dense, j int, sigma float64) []float64 {
	out := mat.Col(nil, j, u)
	largest := 0.0
	for _, x := range out {
		if math.Abs(x) > math.Abs(largest)*(1+1e-9) {
			largest = x
		}
	}
	if largest < 0 {
		sigma = -sigma
	}
	for i := range out {
		out[i] *= sigma
	}
	return out
}

// orthonormalise makes the columns orthonormal (Gram–Schmidt, twice, which is
// enough). A column that depends on those before becomes zero.
func orthonormalise(m *mat.Dense) {
	rows, columns := m.Dims()
	data := m.RawMatrix().Data
	for j := range columns {
		before := norm(data, j, rows, columns)
		for range 2 {
			for k := range j {
				dot := 0.0
				for i := range rows {
					dot += data[i*columns+j] * data[i*columns+k]
				}
				for i := range rows {
					data[i*columns+j] -= dot * data[i*columns+k]
				}
			}
		}
		length := norm(data, j, rows, columns)
		for i := range rows {
			if length <= 1e-12*before || length == 0 {
				data[i*columns+j] = 0
			} else {
				data[i*columns+j] /= length
			}
		}
	}
}

func norm(data []float64, column, rows, columns int) float64 {
	sum := 0.0
	for i := range rows {
		sum += data[i*columns+column] * data[i*columns+column]
	}
	return math.Sqrt(sum)
}
