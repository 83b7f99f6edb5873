package metrics

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Mean returns the mean of independent measurements, such as the accuracies of
// one training under several seeds, and its 95 % interval by Student's t. One
// measurement has no interval; none has no mean. Measurements that are all
// alike have an interval without width, which says that nothing was seen to
// vary, not that nothing can.
func Mean(values []float64) (mean float64, interval Interval) {
	n := float64(len(values))
	mean, deviation := stat.MeanStdDev(values, nil)
	if n < 2 {
		return mean, NoInterval()
	}
	reach := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * deviation / math.Sqrt(n)
	return mean, Interval{mean - reach, mean + reach}
}
