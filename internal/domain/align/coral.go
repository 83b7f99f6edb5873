package align

import (
	"context"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// coral is correlation alignment (Sun, Feng and Saenko 2016, arXiv:1511.05547): the source's rows are whitened and coloured
// as the target's are: (x − mean_s)·(C_s+λ)^−½·(C_t+λ)^½ + mean_t. The paper has domains of mean 0; here the source's mean becomes
// the target's.
func coral() Method {
	return Method{
		Name: "coral", Summary: "maps the source so that its mean and covariance become those of the target", Takes: []string{"penalty"},
		fit: func(_ context.Context, t *task) (domain.Alignment, error) {
			s := newSpace(t)
			penalty := orDefault(t.Penalty, 1)
			n := s.dims
			if n > mostDims {
				return domain.Alignment{}, fmt.Errorf("%d features: at most %d", n, mostDims)
			}
			from, to := s.covariance(&s.source), s.covariance(&s.target)
			for i := range n {
				from[i*n+i] += penalty
				to[i*n+i] += penalty
			}
			var out domain.Alignment
			var inverse, root []float64
			if n <= eigen.ExactDims {
				_, inverse = roots(s.pool, from, n)
				root, _ = roots(s.pool, to, n)
			} else {
				out.Note = fmt.Sprintf("square roots of covariances of %d features were found by iteration in float32", n)
				_, inverse = iteratedRoots(s.pool, from, n)
				root, _ = iteratedRoots(s.pool, to, n)
			}
			// Rows are multiplied from the left: the map's weights are the transpose of inverse·root.
			weights := make([]float64, n*n)
			s.pool.Each(n, func(_, i int) {
				for k, r := range root[i*n : (i+1)*n] {
					vector.Axpy(r, inverse[k*n:(k+1)*n], weights[i*n:(i+1)*n])
				}
			})
			out.Source = s.coloured(weights)
			return out, nil
		},
	}
}

// mostDims is how many dimensions the matrices of closed forms may have.
const mostDims = 8192

// coloured is the map x → mean_t + weights·(x−mean_s) within the space. What lies outside the joint space, where neither domain
// varies, stays as it is.
func (s *space) coloured(weights []float64) domain.Affine {
	n, width := s.dims, len(s.mean)
	if s.basis == nil {
		to := make([]float64, n)
		for j := range to {
			to[j] = s.target.mean[j] + s.mean[j]
		}
		return s.affine(weights, n, s.source.mean, to)
	}
	// Identity + basisᵀ·(weights − 1)·basis.
	a := domain.Affine{In: width, Out: width, Weights: make([]float32, width*width), Bias: make([]float32, width)}
	inner := make([]float64, n*width)
	s.pool.Each(n, func(_, i int) {
		for k, w := range weights[i*n : (i+1)*n] {
			if i == k {
				w--
			}
			vector.Axpy(w, s.basis[k*width:(k+1)*width], inner[i*width:(i+1)*width])
		}
	})
	shift := make([]float64, n)
	for i := range n {
		shift[i] = s.target.mean[i] - vector.Dot(weights[i*n:(i+1)*n], s.source.mean)
	}
	// At the common mean the map gives that mean and the shift.
	s.pool.Each(width, func(_, o int) {
		row := make([]float64, width)
		row[o] = 1
		offset := s.mean[o]
		for i := range n {
			b := s.basis[i*width+o]
			vector.Axpy(b, inner[i*width:(i+1)*width], row)
			offset += b * shift[i]
		}
		offset -= vector.Dot(row, s.mean)
		for j, w := range row {
			a.Weights[o*width+j] = float32(w)
		}
		a.Bias[o] = float32(offset)
	})
	return a
}

// roots returns A^½ and A^−½ of a positive definite matrix, which is overwritten.
func roots(pool *kernel.Pool, a []float64, n int) (root, inverse []float64) {
	values, vectors := eigen.Symmetric(pool, a, n)
	root, inverse = make([]float64, n*n), make([]float64, n*n)
	pool.Each(n, func(_, i int) {
		for k, value := range values {
			value = math.Sqrt(max(value, negligible*values[0], math.SmallestNonzeroFloat64))
			v := vectors[k*n : (k+1)*n]
			vector.Axpy(value*v[i], v, root[i*n:(i+1)*n])
			vector.Axpy(v[i]/value, v, inverse[i*n:(i+1)*n])
		}
	})
	return root, inverse
}

// iteratedRoots is roots by the coupled iteration of Denman and Beavers in Newton and Schulz's form, which multiplies and never
// inverts (Higham, Functions of Matrices, 2008, 6.3 and 7.3): Y → ½Y(3−ZY), Z → ½(3−ZY)Z, from A divided by its norm.
func iteratedRoots(pool *kernel.Pool, a []float64, n int) (root, inverse []float64) {
	size := 0.0
	for i := range n {
		sum := 0.0
		for _, v := range a[i*n : (i+1)*n] {
			sum += math.Abs(v)
		}
		size = max(size, sum)
	}
	y, z := kernel.Memory(n*n), kernel.Memory(n*n)
	for i, v := range a {
		y[i] = float32(v / size)
	}
	for i := range n {
		z[i*n+i] = 1
	}
	step, next := kernel.Memory(n*n), kernel.Memory(n*n)
	var workspace kernel.Workspace
	last := math.Inf(1)
	for range 60 {
		kernel.Gemm(pool, false, false, n, n, n, -0.5, z, n, y, n, 0, step, n, &workspace)
		off := 0.0
		for i := range n {
			for j := range n {
				v := float64(step[i*n+j])
				if i == j {
					v += 0.5
				}
				off += v * v
			}
			step[i*n+i] += 1.5
		}
		kernel.Gemm(pool, false, false, n, n, n, 1, y, n, step, n, 0, next, n, &workspace)
		y, next = next, y
		kernel.Gemm(pool, false, false, n, n, n, 1, step, n, z, n, 0, next, n, &workspace)
		z, next = next, z
		off = math.Sqrt(off / float64(n))
		if off < 1e-6 || off < 1e-2 && off > 0.9*last { // float32 has no more
			break
		}
		last = off
	}
	root, inverse = make([]float64, n*n), make([]float64, n*n)
	scale := math.Sqrt(size)
	for i := range n {
		for j := range n {
			root[i*n+j] = (float64(y[i*n+j]) + float64(y[j*n+i])) / 2 * scale
			inverse[i*n+j] = (float64(z[i*n+j]) + float64(z[j*n+i])) / 2 / scale
		}
	}
	return root, inverse
}
