package metrics

import (
	"fmt"
	"math"
)

// Sample holds a classifier's answers on rows whose class is known.
type Sample struct {
	classes       int
	truth         []int
	probabilities []float32 // [rows, classes]

	// Of each row, so that statistics over many resamples need no second look
	// at the probabilities:
	predicted  []int
	rank       []int     // how many classes come before the true one
	confidence []float64 // probability of the predicted class
	logLoss    []float64
	brier      []float64
}

// NewSample makes a sample of true classes and probabilities, one row after
// another. It keeps both slices. It fails if sizes do not agree, a class is
// out of range, or a probability lies outside 0…1.
func NewSample(truth []int, probabilities []float32, classes int) (*Sample, error) {
	if classes < 1 || len(probabilities) != len(truth)*classes {
		return nil, fmt.Errorf("%d probabilities for %d rows of %d classes", len(probabilities), len(truth), classes)
	}
	n := len(truth)
	s := &Sample{
		classes: classes, truth: truth, probabilities: probabilities,
		predicted: make([]int, n), rank: make([]int, n),
		confidence: make([]float64, n), logLoss: make([]float64, n), brier: make([]float64, n),
	}
	for i, class := range truth {
		if class < 0 || class >= classes {
			return nil, fmt.Errorf("row %d is of class %d; there are %d", i, class, classes)
		}
		p := s.Probabilities(i)
		if err := checkProbabilities(p); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		s.predicted[i] = MostProbable(p)
		s.rank[i] = rankOf(class, p)
		s.confidence[i] = float64(p[s.predicted[i]])
		s.logLoss[i] = logLoss(p[class])
		s.brier[i] = brier(class, p)
	}
	return s, nil
}

// Rows is the number of rows.
func (s *Sample) Rows() int { return len(s.truth) }

// Classes is the number of classes.
func (s *Sample) Classes() int { return s.classes }

// Truth is the class of row i.
func (s *Sample) Truth(i int) int { return s.truth[i] }

// Predicted is the most probable class of row i.
func (s *Sample) Predicted(i int) int { return s.predicted[i] }

// Confidence is the probability of the most probable class of row i.
func (s *Sample) Confidence(i int) float64 { return s.confidence[i] }

// Right tells whether the most probable class of row i is the true one.
func (s *Sample) Right(i int) bool { return s.predicted[i] == s.truth[i] }

// Probabilities are those of row i, a view of the sample.
func (s *Sample) Probabilities(i int) []float32 {
	return s.probabilities[i*s.classes : (i+1)*s.classes]
}

// Select is the sample of the given rows, in that order.
func (s *Sample) Select(rows []int) *Sample {
	n := len(rows)
	out := &Sample{
		classes: s.classes, truth: make([]int, n), probabilities: make([]float32, 0, n*s.classes),
		predicted: make([]int, n), rank: make([]int, n),
		confidence: make([]float64, n), logLoss: make([]float64, n), brier: make([]float64, n),
	}
	for to, from := range rows {
		out.truth[to] = s.truth[from]
		out.probabilities = append(out.probabilities, s.Probabilities(from)...)
		out.predicted[to], out.rank[to] = s.predicted[from], s.rank[from]
		out.confidence[to], out.logLoss[to], out.brier[to] = s.confidence[from], s.logLoss[from], s.brier[from]
	}
	return out
}

// Accuracy is the share of rows whose most probable class is the true one.
func (s *Sample) Accuracy(weights []float64) float64 { return s.TopK(1, weights) }

// TopK is the share of rows whose true class is among the k most probable,
// lower classes first in a tie.
func (s *Sample) TopK(k int, weights []float64) float64 {
	return s.mean(weights, func(i int) float64 {
		if s.rank[i] < k {
			return 1
		}
		return 0
	})
}

// LogLoss is the mean of −ln p, p the probability of the true class, clipped
// to float32's smallest step from 0 and 1.
func (s *Sample) LogLoss(weights []float64) float64 {
	return s.mean(weights, func(i int) float64 { return s.logLoss[i] })
}

// Brier is the mean over rows of the squared distance between the
// probabilities and the truth (Brier 1950): 0 is perfect, 2 the worst.
func (s *Sample) Brier(weights []float64) float64 {
	return s.mean(weights, func(i int) float64 { return s.brier[i] })
}

// mean is NaN if nothing has weight.
func (s *Sample) mean(weights []float64, value func(row int) float64) float64 {
	sum, total := 0.0, 0.0
	for i := range s.truth {
		w := weightOf(weights, i)
		sum += w * value(i)
		total += w
	}
	return sum / total
}

// MostProbable is the class of the largest probability, the first in a tie.
func MostProbable(probabilities []float32) int {
	best := 0
	for c, p := range probabilities {
		if p > probabilities[best] {
			best = c
		}
	}
	return best
}

func checkProbabilities(p []float32) error {
	// Some slack: a softmax in float32 may come out a step above 1.
	const largest = 1 + 1e-5
	for c, x := range p {
		if !(x >= 0 && x <= largest) {
			return fmt.Errorf("the probability of class %d is %v", c, x)
		}
	}
	return nil
}

func rankOf(class int, p []float32) int {
	before := 0
	for c, x := range p {
		if x > p[class] || (x == p[class] && c < class) {
			before++
		}
	}
	return before
}

func logLoss(p float32) float64 {
	const step = 1.0 / (1 << 23)
	return -math.Log(min(max(float64(p), step), 1-step))
}

func brier(class int, p []float32) float64 {
	sum := 0.0
	for c, x := range p {
		d := float64(x)
		if c == class {
			d--
		}
		sum += d * d
	}
	return sum
}

func weightOf(weights []float64, row int) float64 {
	if weights == nil {
		return 1
	}
	return weights[row]
}
