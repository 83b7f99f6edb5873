package strategy

import (
	"slices"
	"testing"
)

func TestClassWeights(t *testing.T) {
	classes, counts := []string{"a", "b", "c"}, []int{10, 30, 20}
	for _, c := range []struct {
		weights ClassWeights
		want    []float64
	}{
		{ClassWeights{Rule: none}, nil},
		{ClassWeights{Rule: balanced}, []float64{2, 2.0 / 3, 1}},
		{ClassWeights{Rule: given, Factors: map[string]float64{"b": 3}}, []float64{1, 3, 1}},
	} {
		got, err := c.weights.Of(classes, counts)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, %v, want %v", c.weights, got, err, c.want)
		}
	}
}
