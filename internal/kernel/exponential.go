package kernel

import "math"

// Exponentials computes dst = e^(scale·(x − y)) for each row, and not less than 2⁻¹²⁵: dst and x are [rows][len(y)]. dst may be x.
func Exponentials(dst, x, y []float32, rows int, scale float32) {
	n := len(y)
	s := sweep{dst: dst, x: x, y: y, step: [6]int{n, n, 0}, n: n, rows: rows, low: float32(float64(scale) * math.Log2E)}
	s.do(active(), opExp2)
}
