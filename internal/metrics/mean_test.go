package metrics_test

import (
	"math"
	"testing"

	"github.com/tlpipe/tlpipe/internal/metrics"
)

// The intervals are scipy.stats.t.interval(0.95, n - 1, mean, scipy.stats.sem(x)).
func TestMeanAgainstSciPy(t *testing.T) {
	for _, c := range []struct {
		values          []float64
		mean, low, high float64
	}{
		{[]float64{0.81, 0.84, 0.79}, 0.8133333333333334, 0.7508172385395757, 0.875849428127091},
		{[]float64{1, 2}, 1.5, -4.853102368087347, 7.853102368087347},
		{[]float64{3, 3, 3, 3}, 3, 3, 3}, // where SciPy gives no number
		{[]float64{0.5, -0.25, 0.125, 2, 7}, 1.875, -1.8370354614605993, 5.5870354614606},
	} {
		mean, interval := metrics.Mean(c.values)
		near(t, "mean", mean, c.mean, 1e-12)
		near(t, "low", interval.Low, c.low, 1e-9)
		near(t, "high", interval.High, c.high, 1e-9)
	}
}

func TestMeanOfTooFew(t *testing.T) {
	if mean, interval := metrics.Mean([]float64{0.7}); mean != 0.7 || !math.IsNaN(interval.Low) || !math.IsNaN(interval.High) {
		t.Errorf("one measurement: %v, %v", mean, interval)
	}
	if mean, _ := metrics.Mean(nil); !math.IsNaN(mean) {
		t.Errorf("no measurement: mean %v", mean)
	}
}
