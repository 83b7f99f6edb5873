package metrics

import (
	"fmt"
	"math"
)

// Regression holds answers that are numbers, on rows whose numbers are known.
type Regression struct {
	truth, predicted []float64
}

// NewRegression makes a sample. It keeps both slices. It fails if sizes do not agree, or a number is not
// finite.
func NewRegression(truth, predicted []float64) (*Regression, error) {
	if len(truth) != len(predicted) {
		return nil, fmt.Errorf("%d truths and %d answers", len(truth), len(predicted))
	}
	for i := range truth {
		if d := truth[i] - predicted[i]; d-d != 0 {
			return nil, fmt.Errorf("row %d: the answer to %v is %v", i, truth[i], predicted[i])
		}
	}
	return &Regression{truth, predicted}, nil
}

// Rows is the number of rows.
func (r *Regression) Rows() int { return len(r.truth) }

// MeanAbsoluteError is the mean of |answer − truth|.
func (r *Regression) MeanAbsoluteError(weights []float64) float64 {
	return r.mean(weights, func(i int) float64 { return math.Abs(r.predicted[i] - r.truth[i]) })
}

// RootMeanSquaredError is √ of the mean of (answer − truth)².
func (r *Regression) RootMeanSquaredError(weights []float64) float64 {
	return math.Sqrt(r.mean(weights, r.square))
}

// R2 is the share of the truth's variance that the answers explain, 1 − Σ(answer − truth)² / Σ(truth − mean)²:
// 1 is perfect, 0 as good as the mean of these rows, below 0 worse. NaN where the truth does not vary.
func (r *Regression) R2(weights []float64) float64 {
	mean := r.mean(weights, func(i int) float64 { return r.truth[i] })
	variance := r.mean(weights, func(i int) float64 { return (r.truth[i] - mean) * (r.truth[i] - mean) })
	if variance <= 1e-24*mean*mean { // less than float64 can tell
		return math.NaN()
	}
	return 1 - r.mean(weights, r.square)/variance
}

func (r *Regression) square(i int) float64 {
	d := r.predicted[i] - r.truth[i]
	return d * d
}

// mean is NaN if nothing has weight.
func (r *Regression) mean(weights []float64, value func(row int) float64) float64 {
	sum, total := 0.0, 0.0
	for i := range r.truth {
		w := weightOf(weights, i)
		sum, total = sum+w*value(i), total+w
	}
	return sum / total
}
