package eigen

import (
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// ExactDims is up to how many dimensions all eigenvectors of a matrix are computed.
const ExactDims = 768

// Symmetric returns the eigenvalues of a symmetric matrix [n][n], largest first, and the eigenvectors as rows. The matrix
// is overwritten. Householder's reduction to a tridiagonal matrix, then the QL method with implicit shifts (Wilkinson and
// Reinsch, Linear Algebra, 1971, II/2 and II/4), with eigenvectors held as rows, so that memory is read in order. Each vector's
// largest coordinate is positive.
func Symmetric(pool *kernel.Pool, a []float64, n int) (values, vectors []float64) {
	diagonal, beside := make([]float64, n), make([]float64, n)
	reflectors := tridiagonal(pool, a, n, diagonal, beside)
	vectors = make([]float64, n*n)
	for i := range n {
		vectors[i*n+i] = 1
	}
	implicitQL(pool, diagonal, beside, vectors, n, n)
	// Rows are now eigenvectors of the tridiagonal matrix.
	pool.Each(n, func(_, row int) {
		v := vectors[row*n : (row+1)*n]
		for k := n - 3; k >= 0; k-- {
			u := reflectors[k]
			if u == nil {
				continue
			}
			vector.Axpy(-2*vector.Dot(u, v[k+1:]), u, v[k+1:])
		}
	})
	return sortedPairs(diagonal, vectors, n, n)
}

// sortedPairs puts the pairs with the largest values first and settles the signs. Vectors are rows of a length.
func sortedPairs(values, vectors []float64, n, length int) ([]float64, []float64) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case values[i] > values[j]:
			return -1
		case values[i] < values[j]:
			return 1
		}
		return 0
	})
	outValues, out := make([]float64, n), make([]float64, n*length)
	for to, from := range order {
		outValues[to] = values[from]
		copy(out[to*length:(to+1)*length], vectors[from*length:(from+1)*length])
		positive(out[to*length : (to+1)*length])
	}
	return outValues, out
}

// positive turns a vector so that its largest coordinate is above 0.
func positive(v []float64) {
	largest := 0.0
	for _, x := range v {
		if math.Abs(x) > math.Abs(largest)*(1+1e-9) {
			largest = x
		}
	}
	if largest < 0 {
		for i := range v {
			v[i] = -v[i]
		}
	}
}

// tridiagonal reduces a symmetric matrix. It returns the unit vectors of the reflections, that of step k for the rows after k,
// nil where none was needed. beside[i] is the element between i and i+1.
func tridiagonal(pool *kernel.Pool, a []float64, n int, diagonal, beside []float64) [][]float64 {
	reflectors := make([][]float64, n)
	product := make([]float64, n)
	for k := range n {
		diagonal[k] = a[k*n+k]
		if k == n-1 {
			break
		}
		m := n - k - 1
		column := make([]float64, m)
		for i := range m {
			column[i] = a[(k+1+i)*n+k]
		}
		length := norm(column)
		if k == n-2 || norm(column[1:]) == 0 {
			beside[k] = column[0]
			continue
		}
		if column[0] > 0 {
			length = -length
		}
		beside[k] = length
		column[0] -= length
		scale(column, 1/norm(column))
		reflectors[k] = column
		// A − u qᵀ − q uᵀ with q = 2(p − (uᵀp) u), p = A u.
		p := product[:m]
		const rows = 16
		pool.Each((m+rows-1)/rows, func(_, block int) {
			from := block * rows
			kernel.RowProducts(p[from:min(m, from+rows)], a[(k+1+from)*n+k+1:], n, column)
		})
		along := vector.Dot(column, p)
		for i := range p {
			p[i] = 2 * (p[i] - along*column[i])
		}
		pool.Each((m+rows-1)/rows, func(_, block int) {
			for i := block * rows; i < min(m, (block+1)*rows); i++ {
				row := a[(k+1+i)*n+k+1 : (k+2+i)*n]
				u, q := column[i], p[i]
				for j := range row {
					row[j] -= u*p[j] + q*column[j]
				}
			}
		})
	}
	return reflectors
}

// implicitQL diagonalises a tridiagonal matrix; vectors, [n][width], are turned along. At most 60 steps for each eigenvalue.
// Rotations of a sweep are applied together, to some columns at a time.
func implicitQL(pool *kernel.Pool, d, e, vectors []float64, n, width int) {
	type turn struct {
		row  int
		c, s float64
	}
	var turns []turn
	flush := func() {
		const columns = 64
		pool.Each((width+columns-1)/columns, func(_, block int) {
			from, to := block*columns, min(width, (block+1)*columns)
			for _, t := range turns {
				x, y := vectors[t.row*width+from:t.row*width+to], vectors[(t.row+1)*width+from:(t.row+1)*width+to]
				y = y[:len(x)]
				for i, v := range x {
					w := y[i]
					y[i] = t.s*v + t.c*w
					x[i] = t.c*v - t.s*w
				}
			}
		})
		turns = turns[:0]
	}
	for l := range n {
		for range 60 {
			m := l
			for ; m < n-1; m++ {
				if math.Abs(e[m]) <= 1e-16*(math.Abs(d[m])+math.Abs(d[m+1])) {
					break
				}
			}
			if m == l {
				break
			}
			g := (d[l+1] - d[l]) / (2 * e[l])
			r := math.Hypot(g, 1)
			g = d[m] - d[l] + e[l]/(g+math.Copysign(r, g))
			s, c, p := 1.0, 1.0, 0.0
			early := false
			for i := m - 1; i >= l; i-- {
				f, b := s*e[i], c*e[i]
				r = math.Hypot(f, g)
				e[i+1] = r
				if r == 0 {
					d[i+1] -= p
					e[m] = 0
					early = true
					break
				}
				s, c = f/r, g/r
				g = d[i+1] - p
				r = (d[i]-g)*s + 2*c*b
				p = s * r
				d[i+1] = g + p
				g = c*r - b
				turns = append(turns, turn{i, c, s})
			}
			if !early {
				d[l] -= p
				e[l] = g
				e[m] = 0
			}
			if len(turns) > 8*n {
				flush()
			}
		}
	}
	flush()
}

// Leading returns the k largest eigenvalues of a symmetric operator of n dimensions and their vectors as rows: all are
// computed if there are few dimensions, else Lanczos' method with full orthogonalisation finds them (Golub and Van Loan, Matrix
// Computations, 10.3), until the residuals are below 10⁻⁹ of the largest eigenvalue.
func Leading(pool *kernel.Pool, matrix []float64, n, k int) (values, vectors []float64) {
	k = min(k, n)
	if n <= ExactDims || 3*k > n {
		values, vectors = Symmetric(pool, slices.Clone(matrix), n)
		return values[:k], vectors[:k*n]
	}
	most := min(n, 8*k+200)
	krylov := make([]float64, 0, most*n) // orthonormal rows
	var d, e []float64
	v := make([]float64, n)
	state := uint64(1)
	for i := range v {
		v[i] = draw(&state)
	}
	scale(v, 1/norm(v))
	for next := 2*k + 40; ; {
		krylov = append(krylov, v...)
		steps := len(d) + 1
		w := make([]float64, n)
		multiply(pool, w, matrix, v, n)
		d = append(d, vector.Dot(w, v))
		for range 2 {
			orthogonalise(pool, w, krylov, n)
		}
		length := norm(w)
		e = append(e, length)
		exhausted := length <= 1e-13*math.Abs(d[0])
		if steps == min(next, most) || exhausted {
			// The last coordinates of the vectors are enough to tell the residuals.
			ends := make([]float64, steps)
			ends[steps-1] = 1
			own, beside := slices.Clone(d), slices.Clone(e)
			implicitQL(pool, own, beside, ends, steps, 1)
			own, ends = sortedPairs(own, ends, steps, 1)
			worst := 0.0
			for i := range min(k, steps) {
				worst = max(worst, math.Abs(ends[i])*length)
			}
			if worst <= 1e-9*own[0] || steps >= most || exhausted {
				return ritz(pool, d, e, krylov, steps, n, min(k, steps))
			}
			next += k + 40
		}
		scale(w, 1/length)
		v = w
	}
}

// ritz are the k largest eigenvalues of the tridiagonal matrix of so many steps, and the combinations of the Krylov vectors, of
// length n, that belong to them.
func ritz(pool *kernel.Pool, d, e, krylov []float64, steps, n, k int) (values, vectors []float64) {
	own, beside := slices.Clone(d), slices.Clone(e)
	turned := make([]float64, steps*steps)
	for i := range steps {
		turned[i*steps+i] = 1
	}
	implicitQL(pool, own, beside, turned, steps, steps)
	own, turned = sortedPairs(own, turned, steps, steps)
	vectors = make([]float64, k*n)
	pool.Each(k, func(_, i int) {
		out := vectors[i*n : (i+1)*n]
		kernel.AddWeightedRows(out, turned[i*steps:(i+1)*steps], krylov, n)
		positive(out)
	})
	return own[:k], vectors
}

// multiply is out = matrix·v.
func multiply(pool *kernel.Pool, out, matrix, v []float64, n int) {
	const rows = 32
	pool.Each((n+rows-1)/rows, func(_, block int) {
		from := block * rows
		kernel.RowProducts(out[from:min(n, from+rows)], matrix[from*n:], n, v)
	})
}

// orthogonalise takes from w what lies along orthonormal rows.
func orthogonalise(pool *kernel.Pool, w, rows []float64, n int) {
	along := make([]float64, len(rows)/n)
	const together = 16
	pool.Each((len(along)+together-1)/together, func(_, block int) {
		from := block * together
		to := min(len(along), from+together)
		kernel.RowProducts(along[from:to], rows[from*n:], n, w[:n])
	})
	for i := range along {
		along[i] = -along[i]
	}
	const columns = 128
	pool.Each((n+columns-1)/columns, func(_, block int) {
		from := block * columns
		kernel.AddWeightedRows(w[from:min(n, from+columns)], along, rows[from:], n)
	})
}

// draw gives a number in −1 … 1 (SplitMix64).
func draw(state *uint64) float64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64(int64(z^z>>31)) / (1 << 63)
}

func norm(v []float64) float64 { return math.Sqrt(vector.Dot(v, v)) }

func scale(v []float64, by float64) {
	for i := range v {
		v[i] *= by
	}
}
