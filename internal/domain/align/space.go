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
		for i := range f.Rows() {
			for j, v := range f.Row(i) {
				s.mean[j] += float64(v)
			}
		}
	}
	for j := range s.mean {
		s.mean[j] /= float64(all)
	}
	s.source = points{features: t.source.Features, origin: s.mean, dims: width}
	s.target = points{features: t.target, origin: s.mean, dims: width}
	if all < width && all <= eigen.ExactDims {
		s.reduce()
	}
	s.source.average()
	s.target.average()
	return s
}

// average finds the mean of the points.
func (p *points) average() {
	p.mean = make([]float64, p.dims)
	row := make([]float64, p.dims)
	for i := range p.rows() {
		p.at(i, row)
		vector.Axpy(1, row, p.mean)
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

// exactProducts is the number of multiply-adds up to which scatter is of products in float64; blockRows is how many rows are
// multiplied at once beyond it.
const (
	exactProducts = 1 << 29
	blockRows     = 256
)

// addScatter adds Σ (x−centre)(x−centre)ᵀ over the points to sum, [dims][dims].
func (s *space) addScatter(sum []float64, p *points, centre []float64) {
	n, dims := p.rows(), s.dims
	exact := make([]float64, blockRows*dims)
	single := n*dims*dims > exactProducts
	var rounded, product []float32
	var workspace kernel.Workspace
	if single {
		rounded, product = make([]float32, blockRows*dims), make([]float32, dims*dims)
	}
	for from := 0; from < n; from += blockRows {
		block := min(blockRows, n-from)
		for i := range block {
			row := exact[i*dims : (i+1)*dims]
			p.at(from+i, row)
			vector.Axpy(-1, centre, row)
			for j := range rounded[:len(rounded)/blockRows] {
				rounded[i*dims+j] = float32(row[j])
			}
		}
		if !single {
			s.pool.Each(dims, func(_, j int) {
				to := sum[j*dims : j*dims+j+1]
				for i := range block {
					row := exact[i*dims : (i+1)*dims]
					vector.Axpy(row[j], row[:j+1], to)
				}
			})
			continue
		}
		kernel.Gemm(s.pool, true, false, dims, dims, block, 1, rounded, dims, rounded, dims, 0, product, dims, &workspace)
		s.pool.Each(dims, func(_, j int) {
			for l := range j + 1 {
				sum[j*dims+l] += float64(product[j*dims+l])
			}
		})
	}
	mirror(sum, dims)
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
