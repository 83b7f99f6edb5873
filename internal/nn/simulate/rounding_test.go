package simulate

import (
	"math"
	"testing"
)

// What is kept in the form of patches is what is kept in the form of their products.
func TestQuadraticsAgree(t *testing.T) {
	const patches, width = 11, 17
	x := make([][]float64, patches)
	for i := range x {
		x[i] = make([]float64, width)
		for j := range x[i] {
			x[i][j] = math.Sin(float64(3*i + 5*j + i*j))
		}
	}
	few := momentsOf(x, width)()
	if _, ok := few.(*byPatches); !ok {
		t.Fatalf("fewer patches than numbers are kept as %T", few)
	}
	many := quadratic(&byMoments{moments(x, width), make([]float64, width)})
	for step := range 40 {
		i, by := step*7%width, math.Cos(float64(step))
		few.move(i, by)
		many.move(i, by)
		for j := range width {
			if a, b := few.slope(j), many.slope(j); math.Abs(a-b) > 1e-12 {
				t.Fatalf("slope %d is %v, of the products %v", j, a, b)
			}
			if a, b := few.curvature(j), many.curvature(j); math.Abs(a-b) > 1e-12 {
				t.Fatalf("curvature %d is %v, of the products %v", j, a, b)
			}
		}
	}
	if _, ok := momentsOf([][]float64{x[0][:2], x[1][:2]}, 2)().(*byMoments); !ok {
		t.Error("as many patches as numbers are not kept as products")
	}
}
