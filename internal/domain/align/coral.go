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
			var weights []float64
			if n <= eigen.ExactDims {
				_, inverse := roots(s.pool, from, n)
				root, _ := roots(s.pool, to, n)
				// Rows are multiplied from the left: the map's weights are the transpose of inverse·root.
				weights = make([]float64, n*n)
				s.pool.Each(n, func(_, i int) {
					for k, r := range root[i*n : (i+1)*n] {
						vector.Axpy(r, inverse[k*n:(k+1)*n], weights[i*n:(i+1)*n])
					}
				})
			} else {
				out.Note = fmt.Sprintf("square roots of covariances of %d features were found by iteration in float32", n)
				inverse := iteratedRoot(s.pool, from, n, penalty, true)
				root := iteratedRoot(s.pool, to, n, penalty, false)
				product := make([]float32, n*n)
				kernel.Gemm(s.pool, false, false, n, n, n, 1, root, n, inverse, n, 0, product, n, nil)
				weights = from // which is not needed any more
				for i, v := range product {
					weights[i] = float64(v)
				}
			}
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

// iteratedRoot returns A^½ or A^−½ of a symmetric matrix whose eigenvalues are at least a number above 0. It is the coupled
// iteration of Denman and Beavers in Newton and Schulz's form, which multiplies and never inverts (Higham, Functions of Matrices,
// 2008, 6.3 and 7.3), from A divided by a bound of its eigenvalues and the identity: Y → ½ρY(3−ρ²ZY), Z → ½ρ(3−ρ²ZY)Z. The
// eigenvalues of (ZY)^½ lie in l … 1, and ρ² = 3/(1+l+l²) raises the least of them as far as a step can (Chen and Chow, A stable
// scaling of Newton-Schulz, 2014). Y and Z are symmetric, and half of each is computed. ZY is not quite: taking one half of it for
// the other would let rounding errors grow.
func iteratedRoot(pool *kernel.Pool, a []float64, n int, least float64, inverse bool) []float32 {
	size := 0.0
	for i := range n {
		size = max(size, absoluteSum(a[i*n:(i+1)*n]))
	}
	y, z := kernel.Memory(n*n), kernel.Memory(n*n)
	for i, v := range a {
		y[i] = float32(v / size)
	}
	product := symmetricProduct{pool: pool, n: n}
	step, next := kernel.Memory(n*n), kernel.Memory(n*n)
	// The square bounds the eigenvalues closer, and the first step is made of it.
	product.of(false, n, y, y, next)
	bound := 0.0
	for i := range n {
		bound = max(bound, absoluteSum(next[i*n:(i+1)*n]))
	}
	bound = min(math.Sqrt(bound)*(1+1e-5), 1)
	size *= bound
	low := math.Sqrt(min(least/size, 1))
	square, factor := faster(&low)
	for i, v := range next {
		one := float64(y[i]) / bound
		y[i] = float32(factor * (3*one - square*float64(v)/(bound*bound)))
		z[i] = float32(-factor * square * one)
	}
	for i := range n {
		z[i*n+i] += float32(3 * factor)
	}
	last := math.Inf(1)
	for range 60 {
		kernel.Gemm(pool, false, false, n, n, n, 1, z, n, y, n, 0, step, n, &product.workspace)
		square, factor = faster(&low)
		off := 0.0
		for i := range n {
			row := step[i*n : (i+1)*n]
			for j, v := range row {
				d := float64(v)
				if i == j {
					d--
				}
				off += d * d
				row[j] = float32(-factor * square * float64(v))
			}
			row[i] += float32(3 * factor)
		}
		off = math.Sqrt(off / float64(n))
		// A step squares what is missing; float32 has no more than some 1e-7 of it.
		enough := off < 3e-4 || off < 1e-2 && off > 0.9*last
		last = off
		if !enough || !inverse {
			product.of(false, n, y, step, next)
			y, next = next, y
		}
		if !enough || inverse {
			product.of(false, n, step, z, next)
			z, next = next, z
		}
		if enough {
			break
		}
	}
	root, scale := y, math.Sqrt(size)
	if inverse {
		root, scale = z, 1/scale
	}
	for i, v := range root {
		root[i] = float32(float64(v) * scale)
	}
	return root
}

// faster gives ρ² and ½ρ of a step whose eigenvalues are at least low, and the least after it.
func faster(low *float64) (square, factor float64) {
	l := *low
	square = 3 / (1 + l + l*l)
	factor = math.Sqrt(square) / 2
	*low = min(factor*l*(3-square*l*l), 1)
	return square, factor
}

func absoluteSum[T float32 | float64](row []T) float64 {
	sum := 0.0
	for _, v := range row {
		sum += math.Abs(float64(v))
	}
	return sum
}
