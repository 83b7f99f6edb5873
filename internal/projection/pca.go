package projection

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Point is a place in the plane.
type Point struct{ X, Y float64 }

// PCA projects rows, [n][width], onto their two principal axes, largest coordinate of each axis positive. Shares are those of the variance.
func PCA(values []float32, width, threads int) (points []Point, shares [2]float64, err error) {
	if err := check(values, width); err != nil {
		return nil, shares, err
	}
	pool := kernel.NewPool(max(threads, 1))
	defer pool.Close()
	scores, variances, total := principal(pool, values, width, 2)
	k := len(variances)
	points = make([]Point, len(values)/width)
	for i := range points {
		if k > 0 {
			points[i].X = scores[i*k]
		}
		if k > 1 {
			points[i].Y = scores[i*k+1]
		}
	}
	for a := range k {
		if total > 0 {
			shares[a] = variances[a] / total
		}
	}
	return points, shares, nil
}

func check(values []float32, width int) error {
	if width < 1 || len(values)%width != 0 {
		return fmt.Errorf("%d values are no rows of %d", len(values), width)
	}
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("row %d has %v", i/width, v)
		}
	}
	return nil
}

// principal returns the coordinates of rows along up to k principal axes, [n][k], and sums of squares along each and in all.
func principal(pool *kernel.Pool, values []float32, width, k int) (scores, squares []float64, total float64) {
	n := len(values) / width
	mean := make([]float64, width)
	for i, v := range values {
		mean[i%width] += float64(v) / float64(n)
	}
	centred := make([]float64, len(values))
	for i, v := range values {
		centred[i] = float64(v) - mean[i%width]
		total += centred[i] * centred[i]
	}
	row := func(i int) []float64 { return centred[i*width : (i+1)*width] }
	k = min(k, n, width)
	if n == 0 || total == 0 {
		return make([]float64, n*k), make([]float64, k), 0
	}
	scores = make([]float64, n*k)
	if n <= width {
		products := make([]float64, n*n)
		pool.Each(n, func(_, i int) {
			for j := range n {
				products[i*n+j] = dot(row(i), row(j))
			}
		})
		found, vectors := eigen.Leading(pool, products, n, k)
		for a, v := range found {
			root := math.Sqrt(max(v, 0))
			for i := range n {
				scores[i*k+a] = vectors[a*n+i] * root
			}
		}
		return scores, found, total
	}
	scatter := make([]float64, width*width)
	pool.Each(width, func(_, j int) {
		to := scatter[j*width : (j+1)*width]
		for i := range n {
			x := row(i)
			w := x[j]
			for l, v := range x {
				to[l] += w * v
			}
		}
	})
	found, axes := eigen.Leading(pool, scatter, width, k)
	pool.Each(n, func(_, i int) {
		for a := range found {
			scores[i*k+a] = dot(axes[a*width:(a+1)*width], row(i))
		}
	})
	return scores, found, total
}

func dot(x, y []float64) float64 {
	sum := 0.0
	y = y[:len(x)]
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}
