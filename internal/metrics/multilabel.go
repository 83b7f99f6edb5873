package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// MultiLabel holds answers on rows that each of several classes may apply to, whatever the others do: for
// every row and class whether it applies, and the probability that it does. A class is taken to apply from
// the threshold up.
type MultiLabel struct {
	classes       int
	truth         []bool    // [rows, classes]
	probabilities []float32 // [rows, classes]
	threshold     float64
	ranked        []*Detection // by class
	loss          []float64    // of each row: the mean over the classes of −ln p, p the probability of the truth
}

// NewMultiLabel makes a sample. It keeps both slices. It fails if sizes do not agree, or a probability lies
// outside 0…1.
func NewMultiLabel(truth []bool, probabilities []float32, classes int, threshold float64) (*MultiLabel, error) {
	if classes < 1 || len(truth) != len(probabilities) || len(truth)%classes != 0 {
		return nil, fmt.Errorf("%d truths and %d probabilities of %d classes", len(truth), len(probabilities), classes)
	}
	m := &MultiLabel{classes: classes, truth: truth, probabilities: probabilities, threshold: threshold}
	rows := len(truth) / classes
	for i := range rows {
		p := probabilities[i*classes : (i+1)*classes]
		if err := checkProbabilities(p); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		loss := 0.0
		for c, x := range p {
			if !truth[i*classes+c] {
				x = 1 - x
			}
			loss += logLoss(x) / float64(classes)
		}
		m.loss = append(m.loss, loss)
	}
	for c := range classes {
		of, p, applies := make([]int32, rows), make([]float32, rows), make([]bool, rows)
		for i := range of {
			of[i], p[i], applies[i] = int32(i), probabilities[i*classes+c], truth[i*classes+c]
		}
		m.ranked = append(m.ranked, NewDetection(of, p, applies))
	}
	return m, nil
}

// Rows is the number of rows.
func (m *MultiLabel) Rows() int { return len(m.loss) }

// Applies tells whether a class applies to a row, and whether it is taken to.
func (m *MultiLabel) Applies(row, class int) (truth, predicted bool) {
	at := row*m.classes + class
	return m.truth[at], float64(m.probabilities[at]) >= m.threshold
}

// Right tells whether every class of a row is right.
func (m *MultiLabel) Right(row int) bool {
	for c := range m.classes {
		if truth, predicted := m.Applies(row, c); truth != predicted {
			return false
		}
	}
	return true
}

// Select is the sample of the given rows, in that order.
func (m *MultiLabel) Select(rows []int) (*MultiLabel, error) {
	var truth []bool
	var p []float32
	for _, row := range rows {
		truth = append(truth, m.truth[row*m.classes:(row+1)*m.classes]...)
		p = append(p, m.probabilities[row*m.classes:(row+1)*m.classes]...)
	}
	return NewMultiLabel(truth, p, m.classes, m.threshold)
}

// Tally counts, by class, the rows that it applies to, is taken to apply to, and both.
func (m *MultiLabel) Tally(weights []float64) Tally {
	t := Tally{Right: make([]float64, m.classes), Predicted: make([]float64, m.classes), Actual: make([]float64, m.classes)}
	for i := range m.Rows() {
		w := weightOf(weights, i)
		for c := range m.classes {
			truth, predicted := m.Applies(i, c)
			if truth {
				t.Actual[c] += w
			}
			if predicted {
				t.Predicted[c] += w
			}
			if truth && predicted {
				t.Right[c] += w
			}
		}
	}
	return t
}

// Micro are the scores of all answers together, as if they were of one class.
func (t Tally) Micro() ClassScores {
	var one Tally
	one.Right, one.Predicted, one.Actual = []float64{sum(t.Right)}, []float64{sum(t.Predicted)}, []float64{sum(t.Actual)}
	return one.Scores(0)
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// SubsetAccuracy is the share of rows of which every class is right.
func (m *MultiLabel) SubsetAccuracy(weights []float64) float64 {
	right, total := 0.0, 0.0
	for i := range m.Rows() {
		w := weightOf(weights, i)
		total += w
		if m.Right(i) {
			right += w
		}
	}
	return right / total
}

// HammingLoss is the share of the answers, of all rows to all classes, that are wrong.
func (m *MultiLabel) HammingLoss(weights []float64) float64 {
	t, total := m.Tally(weights), 0.0
	for i := range m.Rows() {
		total += weightOf(weights, i)
	}
	wrong := 0.0
	for c := range m.classes {
		wrong += t.Actual[c] + t.Predicted[c] - 2*t.Right[c]
	}
	return wrong / (total * float64(m.classes))
}

// LogLoss is the mean over rows and classes of −ln p, p the probability of the truth, clipped to float32's
// smallest step from 0 and 1.
func (m *MultiLabel) LogLoss(weights []float64) float64 {
	loss, total := 0.0, 0.0
	for i, l := range m.loss {
		w := weightOf(weights, i)
		loss, total = loss+w*l, total+w
	}
	return loss / total
}

// Detection ranks the rows by the probability that a class applies.
func (m *MultiLabel) Detection(class int) *Detection { return m.ranked[class] }

// MicroDetection ranks the answers of all rows to all classes together.
func (m *MultiLabel) MicroDetection() *Detection {
	rows := make([]int32, len(m.truth))
	for i := range rows {
		rows[i] = int32(i / m.classes)
	}
	return NewDetection(rows, m.probabilities, m.truth)
}

// AveragePrecision of a class: see [Detection.AveragePrecision].
func (m *MultiLabel) AveragePrecision(class int, weights []float64) float64 {
	return m.ranked[class].AveragePrecision(weights)
}

// AUC of a class: see [Detection.AUC].
func (m *MultiLabel) AUC(class int, weights []float64) float64 { return m.ranked[class].AUC(weights) }

// MeanOfKnown is the mean of the numbers that are numbers; NaN if there are none.
func MeanOfKnown(x []float64) float64 {
	s, n := 0.0, 0.0
	for _, v := range x {
		if !math.IsNaN(v) {
			s, n = s+v, n+1
		}
	}
	return s / n
}

// BestThreshold is the threshold with the greatest F1 of all answers together, half way between two of the
// probabilities, the greatest of equal ones; 0.5 if no class applies to any row. It is to be chosen on other
// rows than those that are measured.
func BestThreshold(truth []bool, probabilities []float32) float64 {
	order := make([]int, len(truth))
	positives := 0.0
	for i := range order {
		order[i] = i
		if truth[i] {
			positives++
		}
	}
	if positives == 0 {
		return 0.5
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(probabilities[b], probabilities[a]) })
	best, threshold, right := 0.0, 0.5, 0.0
	for k, i := range order {
		if truth[i] {
			right++
		}
		last, below := k == len(order)-1, 0.0
		if !last {
			if below = float64(probabilities[order[k+1]]); below == float64(probabilities[i]) {
				continue
			}
		}
		if f1 := 2 * right / (float64(k+1) + positives); f1 > best {
			best, threshold = f1, (float64(probabilities[i])+below)/2
		}
	}
	return threshold
}
