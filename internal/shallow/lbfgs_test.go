package shallow

import (
	"context"
	"math"
	"testing"
)

// rosenbrock is no convex function, but a hard one that has its minimum, 0, at 1, 1, ….
func rosenbrock(x, gradient []float64) (value float64) {
	clear(gradient)
	for i := range len(x) - 1 {
		a, b := 1-x[i], x[i+1]-x[i]*x[i]
		value += a*a + 100*b*b
		gradient[i] += -2*a - 400*x[i]*b
		gradient[i+1] += 200 * b
	}
	return value
}

func TestLBFGSFindsTheMinimum(t *testing.T) {
	x := make([]float64, 10)
	_, iterations, err := lbfgs{evaluate: rosenbrock, rounding: 1e-14, tolerance: 1e-9, most: 500}.minimise(context.Background(), x)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range x {
		if math.Abs(v-1) > 1e-8 {
			t.Errorf("coordinate %d is %v after %d iterations, want 1", i, v, iterations)
		}
	}
}

// Values and slopes that are rounded end the search where no better point can be told from the one at hand.
func TestLBFGSEndsWithinRounding(t *testing.T) {
	evaluations := 0
	rounded := func(x, gradient []float64) float64 {
		evaluations++
		value := 5.0
		for i, v := range x {
			curve := math.Exp2(float64(i))
			value += curve * (v - 3) * (v - 3)
			gradient[i] = float64(float32(2*curve*v)) - 6*curve
		}
		return float64(float32(value))
	}
	x := make([]float64, 12)
	_, iterations, err := lbfgs{evaluate: rounded, rounding: 1e-7, tolerance: 0, most: 1000}.minimise(context.Background(), x)
	if err != nil {
		t.Fatal(err)
	}
	if iterations >= 200 || evaluations >= 1000 {
		t.Errorf("%d iterations, %d evaluations", iterations, evaluations)
	}
	for i, v := range x {
		if math.Abs(v-3) > 1e-3 {
			t.Errorf("coordinate %d is %v, want 3", i, v)
		}
	}
}

// A value that is no number behind the minimum, such as an overflow, is stepped back from.
func TestLBFGSStepsBackFromOverflow(t *testing.T) {
	x := []float64{-300}
	_, _, err := lbfgs{evaluate: func(x, gradient []float64) float64 {
		if x[0] > 1 {
			gradient[0] = math.NaN()
			return math.NaN()
		}
		gradient[0] = 2 * (x[0] - 0.9)
		return (x[0] - 0.9) * (x[0] - 0.9)
	}, rounding: 1e-14, tolerance: 1e-10, most: 100}.minimise(context.Background(), x)
	if err != nil || math.Abs(x[0]-0.9) > 1e-9 {
		t.Errorf("%v, %v", x, err)
	}
}
