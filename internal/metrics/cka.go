package metrics

import "math"

// CKA is the linear centred kernel alignment of two representations of the same n ≥ 4 examples, a of
// [n][widthA] and b of [n][widthB]: near 1 if one is the other, but for a rotation and a scale, and
// near 0 if they have nothing in common (Kornblith et al. 2019, arXiv:1905.00414). The estimate is
// the unbiased one (Song et al. 2012; Nguyen et al. 2021, arXiv:2010.15327), which does not rise
// where there are fewer examples than numbers, and may lie a little below 0 or above 1. NaN if one
// of them is the same for all examples.
func CKA(a, b []float32, n int) float64 {
	ka, kb := gram(a, n), gram(b, n)
	return dependence(ka, kb, n) / math.Sqrt(dependence(ka, ka, n)*dependence(kb, kb, n))
}

// gram is the matrix of the examples' products, with zeros on its diagonal.
func gram(x []float32, n int) []float64 {
	width := len(x) / n
	k := make([]float64, n*n)
	for i := range n {
		for j := range i {
			var sum float64
			for c, v := range x[i*width : (i+1)*width] {
				sum += float64(v) * float64(x[j*width+c])
			}
			k[i*n+j], k[j*n+i] = sum, sum
		}
	}
	return k
}

// dependence is the unbiased estimate of the Hilbert-Schmidt independence criterion.
func dependence(k, l []float64, n int) float64 {
	var trace, sumK, sumL, both float64
	for i := range n {
		var rowK, rowL float64
		for j := range n {
			trace += k[i*n+j] * l[i*n+j]
			rowK += k[i*n+j]
			rowL += l[i*n+j]
		}
		sumK, sumL, both = sumK+rowK, sumL+rowL, both+rowK*rowL
	}
	m := float64(n)
	return (trace + sumK*sumL/((m-1)*(m-2)) - 2*both/(m-2)) / (m * (m - 3))
}
