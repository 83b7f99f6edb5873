package align

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// space is where an alignment is computed: the features about the mean of all rows, or coordinates in the joint space.
type space struct {
	pool           *kernel.Pool
	mean           []float64 // of all rows of both domains
	dims           int       // of the space
	basis          []float64 // [dims][width], orthonormal rows; nil: the features themselves
	source, target points
}

// points are the rows of a domain in the space.
type points struct {
	features domain.Features
	origin   []float64 // the space's mean; the points are the features less it,
	held     []float64 // [rows][dims], or these
	dims     int
	mean     []float64 // of the points
}

func (p *points) rows() int { return p.features.Rows() }

// at fills out with the coordinates of point i.
func (p *points) at(i int, out []float64) {
	if p.held != nil {
		copy(out, p.held[i*p.dims:(i+1)*p.dims])
		return
	}
	for j, v := range p.features.Row(i) {
		out[j] = float64(v) - p.origin[j]
	}
}

// newSpace finds the space of the rows of a task.
func newSpace(t *task) *space {
	width := t.source.Width
	s := &space{pool: t.pool, mean: make([]float64, width), dims: width}
	all := t.source.Rows() + t.target.Rows()
	for _, f := range []domain.Features{t.source.Features, t.target} {
		eachColumns(t.pool, f, func(row []float32, first int) {
			for j, v := range row {
				s.mean[first+j] += float64(v)
			}
		})
	}
	for j := range s.mean {
		s.mean[j] /= float64(all)
	}
	s.source = points{features: t.source.Features, origin: s.mean, dims: width}
	s.target = points{features: t.target, origin: s.mean, dims: width}
	if all < width && all <= eigen.ExactDims {
		s.reduce()
	}
	s.source.average(t.pool)
	s.target.average(t.pool)
	return s
}

// average finds the mean of the points.
func (p *points) average(pool *kernel.Pool) {
	p.mean = make([]float64, p.dims)
	if p.held != nil {
		for i := range p.rows() {
			vector.Axpy(1, p.held[i*p.dims:(i+1)*p.dims], p.mean)
		}
	} else {
		eachColumns(pool, p.features, func(row []float32, first int) {
			for j, v := range row {
				p.mean[first+j] += float64(v) - p.origin[first+j]
			}
		})
	}
	for j := range p.mean {
		p.mean[j] /= float64(p.rows())
	}
}

// negligible is the share of the largest eigenvalue below which one is taken for 0.
const negligible = 1e-10

// reduce goes over to the joint space: the principal axes of all rows, from the products of the rows with one another.
func (s *space) reduce() {
	width, n := s.dims, s.source.rows()+s.target.rows()
	rows := make([]float64, n*width)
	for i := range n {
		if i < s.source.rows() {
			s.source.at(i, rows[i*width:(i+1)*width])
		} else {
			s.target.at(i-s.source.rows(), rows[i*width:(i+1)*width])
		}
	}
	products := make([]float64, n*n)
	s.pool.Each(n, func(_, i int) {
		for j := range i + 1 {
			products[i*n+j] = vector.Dot(rows[i*width:(i+1)*width], rows[j*width:(j+1)*width])
		}
	})
	mirror(products, n)
	values, vectors := eigen.Symmetric(s.pool, products, n)
	dims := 0
	for dims < n && values[dims] > negligible*values[0] {
		dims++
	}
	s.dims = max(dims, 1)
	s.basis = make([]float64, s.dims*width)
	held := make([]float64, n*s.dims)
	s.pool.Each(dims, func(_, a int) {
		axis, root := s.basis[a*width:(a+1)*width], math.Sqrt(values[a])
		for i := range n {
			weight := vectors[a*n+i]
			vector.Axpy(weight/root, rows[i*width:(i+1)*width], axis)
			held[i*s.dims+a] = weight * root
		}
	})
	split := s.source.rows() * s.dims
	s.source.held, s.target.held = held[:split:split], held[split:]
	s.source.dims, s.target.dims = s.dims, s.dims
}

// exactProducts is the number of multiply-adds up to which scatter is of products in float64; exactRows and roundedRows are how
// many rows are multiplied at once up to it and beyond it.
const (
	exactProducts = 1 << 29
	exactRows     = 256
	roundedRows   = 2048
)

// addScatter adds Σ (x−centre)(x−centre)ᵀ over the points to sum, [dims][dims].
func (s *space) addScatter(sum []float64, p *points, centre []float64) {
	if p.rows()*s.dims*s.dims > exactProducts {
		s.addRounded(sum, p, centre)
	} else {
		s.addExact(sum, p, centre)
	}
	mirror(sum, s.dims)
}

// addExact adds what is below the diagonal, of products in float64.
func (s *space) addExact(sum []float64, p *points, centre []float64) {
	n, dims := p.rows(), s.dims
	rows := make([]float64, exactRows*dims)
	for from := 0; from < n; from += exactRows {
		block := min(exactRows, n-from)
		for i := range block {
			row := rows[i*dims : (i+1)*dims]
			p.at(from+i, row)
			vector.Axpy(-1, centre, row)
		}
		s.pool.Each(dims, func(_, j int) {
			to := sum[j*dims : j*dims+j+1]
			for i := range block {
				row := rows[i*dims : (i+1)*dims]
				vector.Axpy(row[j], row[:j+1], to)
			}
		})
	}
}

// addRounded adds what is below the diagonal, of products in float32 that are summed in float64.
func (s *space) addRounded(sum []float64, p *points, centre []float64) {
	n, dims := p.rows(), s.dims
	most := min(n, roundedRows)
	rows, squares := kernel.Memory(most*dims), kernel.Memory(dims*dims)
	exact := make([][]float64, s.pool.Threads())
	for i := range exact {
		exact[i] = make([]float64, dims)
	}
	product := symmetricProduct{pool: s.pool, n: dims}
	for from := 0; from < n; from += most {
		block := min(most, n-from)
		s.pool.Each(block, func(worker, i int) {
			row := exact[worker]
			p.at(from+i, row)
			for j, v := range row {
				rows[i*dims+j] = float32(v - centre[j])
			}
		})
		product.of(true, block, rows, rows, squares)
		s.pool.Each(dims, func(_, j int) {
			to := sum[j*dims : j*dims+j+1]
			for l, v := range squares[j*dims : j*dims+j+1] {
				to[l] += float64(v)
			}
		})
	}
}

// covariance of the points of a domain, [dims][dims].
func (s *space) covariance(p *points) []float64 {
	sum := make([]float64, s.dims*s.dims)
	s.addScatter(sum, p, p.mean)
	for i := range sum {
		sum[i] /= float64(p.rows() - 1)
	}
	return sum
}

// affine is the map of features x to weights·(x−mean−at) + to: weights are [out][dims], about a point in the space.
func (s *space) affine(weights []float64, out int, at, to []float64) domain.Affine {
	width := len(s.mean)
	a := domain.Affine{In: width, Out: out, Weights: make([]float32, out*width), Bias: make([]float32, out)}
	s.pool.Each(out, func(_, o int) {
		row := weights[o*s.dims : (o+1)*s.dims]
		full := row
		if s.basis != nil {
			full = make([]float64, width)
			for d, w := range row {
				vector.Axpy(w, s.basis[d*width:(d+1)*width], full)
			}
		}
		bias := -vector.Dot(full, s.mean)
		if at != nil {
			bias -= vector.Dot(row, at)
		}
		if to != nil {
			bias += to[o]
		}
		for j, w := range full {
			a.Weights[o*width+j] = float32(w)
		}
		a.Bias[o] = float32(bias)
	})
	return a
}

// mirror copies what is below the diagonal to above it.
func mirror(a []float64, n int) {
	for i := range n {
		for j := range i {
			a[j*n+i] = a[i*n+j]
		}
	}
}
