package metrics

import "math"

// Bin gathers the rows whose confidence, the probability of the predicted
// class, lies above Low and up to High.
type Bin struct {
	Low, High  float64
	Weight     float64 // of the rows in it
	Confidence float64 // mean; NaN for an empty bin
	Accuracy   float64 // share of right answers; NaN for an empty bin
}

// Calibration sorts the rows into bins of equal width by confidence.
func (s *Sample) Calibration(bins int, weights []float64) []Bin {
	out := make([]Bin, bins)
	for i := range s.truth {
		w := weightOf(weights, i)
		b := &out[min(max(int(math.Ceil(s.confidence[i]*float64(bins)))-1, 0), bins-1)]
		b.Weight += w
		b.Confidence += w * s.confidence[i]
		if s.Right(i) {
			b.Accuracy += w
		}
	}
	for i := range out {
		b := &out[i]
		b.Low, b.High = float64(i)/float64(bins), float64(i+1)/float64(bins)
		b.Confidence /= b.Weight
		b.Accuracy /= b.Weight
	}
	return out
}

// ExpectedCalibrationError is the mean distance between confidence and
// accuracy over the bins, weighted by their rows (Naeini et al. 2015; Guo et
// al. 2017).
func ExpectedCalibrationError(bins []Bin) float64 {
	sum, total := 0.0, 0.0
	for _, b := range bins {
		if b.Weight > 0 {
			sum += b.Weight * math.Abs(b.Accuracy-b.Confidence)
			total += b.Weight
		}
	}
	return sum / total
}
