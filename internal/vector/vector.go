// Package vector has the products of float64 vectors that classifiers and alignments in closed form are computed with. Sums are
// taken in one order, whatever the machine, so that results have the same bytes.
package vector

// Axpy adds a·x to y, which is as long as x or longer.
func Axpy(a float64, x, y []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

// Dot is the product of x and y, in four partial sums. y is as long as x or longer.
func Dot(x, y []float64) float64 {
	var a, b, c, d float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += x[i] * y[i]
		b += x[i+1] * y[i+1]
		c += x[i+2] * y[i+2]
		d += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		a += x[i] * y[i]
	}
	return (a + b) + (c + d)
}
