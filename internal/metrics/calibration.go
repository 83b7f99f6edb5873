package metrics

import "math"

// Bin gathers the answers whose confidence lies above Low and up to High: the probability of the predicted class or, where any
// of several classes may apply, that of each class.
type Bin struct {
	Low, High  float64
	Weight     float64 // of the answers in it
	Rows       float64 // that these are of: what is seen independently
	Confidence float64 // mean; NaN for an empty bin
	Accuracy   float64 // share of right answers, or of classes that apply; NaN for an empty bin
}

// Calibration sorts the rows into bins of equal width by confidence.
func (s *Sample) Calibration(bins int, weights []float64) []Bin {
	out := make([]Bin, bins)
	for i := range s.truth {
		b := &out[binOf(s.confidence[i], bins)]
		b.add(weightOf(weights, i), s.confidence[i], s.Right(i))
		b.Rows = b.Weight
	}
	return meansOf(out)
}

// Calibration sorts the answers of all rows to all classes into bins of equal width by the probability that the class applies.
func (m *MultiLabel) Calibration(bins int, weights []float64) []Bin {
	out := make([]Bin, bins)
	last := make([]int, bins) // the row that last fell into each, from 1
	for i := range m.Rows() {
		for c := range m.classes {
			at := i*m.classes + c
			p := float64(m.probabilities[at])
			k := binOf(p, bins)
			w := weightOf(weights, i)
			out[k].add(w, p, m.truth[at])
			if last[k] != i+1 {
				last[k] = i + 1
				out[k].Rows += w
			}
		}
	}
	return meansOf(out)
}

func binOf(confidence float64, bins int) int {
	return min(max(int(math.Ceil(confidence*float64(bins)))-1, 0), bins-1)
}

func (b *Bin) add(weight, confidence float64, right bool) {
	b.Weight += weight
	b.Confidence += weight * confidence
	if right {
		b.Accuracy += weight
	}
}

// meansOf makes means of the sums in bins.
func meansOf(bins []Bin) []Bin {
	for i := range bins {
		b := &bins[i]
		b.Low, b.High = float64(i)/float64(len(bins)), float64(i+1)/float64(len(bins))
		b.Confidence /= b.Weight
		b.Accuracy /= b.Weight
	}
	return bins
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
