package metrics

import "math"

// Tally counts rows by class, by weight.
type Tally struct {
	Right     []float64 // rows of the class taken for it
	Predicted []float64 // rows taken for the class
	Actual    []float64 // rows of the class
}

// Tally counts rows by class.
func (s *Sample) Tally(weights []float64) Tally {
	t := Tally{
		Right:     make([]float64, s.classes),
		Predicted: make([]float64, s.classes),
		Actual:    make([]float64, s.classes),
	}
	for i, class := range s.truth {
		w := weightOf(weights, i)
		t.Actual[class] += w
		t.Predicted[s.predicted[i]] += w
		if s.predicted[i] == class {
			t.Right[class] += w
		}
	}
	return t
}

// ClassScores tell how well a class is recognised, or, as a mean, all of them.
// As in scikit-learn, a precision with nothing predicted and a recall with
// nothing to find are 0; a class that was neither seen nor predicted has NaN
// everywhere and is left out of means.
type ClassScores struct {
	Precision float64 // of the rows taken for the class, the share that is of it
	Recall    float64 // of the rows of the class, the share taken for it
	F1        float64 // harmonic mean of the two
}

// Scores gives those of one class.
func (t Tally) Scores(class int) ClassScores {
	if t.Actual[class] == 0 && t.Predicted[class] == 0 {
		return ClassScores{math.NaN(), math.NaN(), math.NaN()}
	}
	return ClassScores{
		Precision: ratioOrZero(t.Right[class], t.Predicted[class]),
		Recall:    ratioOrZero(t.Right[class], t.Actual[class]),
		F1:        2 * t.Right[class] / (t.Predicted[class] + t.Actual[class]),
	}
}

// Macro is the mean over the classes that were seen or predicted.
func (t Tally) Macro() ClassScores {
	return t.average(func(int) float64 { return 1 })
}

// Weighted is the mean over classes weighted by how often each occurs.
func (t Tally) Weighted() ClassScores {
	return t.average(func(class int) float64 { return t.Actual[class] })
}

// BalancedAccuracy is the mean recall over the classes that occur.
func (t Tally) BalancedAccuracy() float64 {
	sum, n := 0.0, 0.0
	for class, actual := range t.Actual {
		if actual > 0 {
			sum += t.Right[class] / actual
			n++
		}
	}
	return sum / n
}

func (t Tally) average(weight func(class int) float64) ClassScores {
	var sum ClassScores
	total := 0.0
	for class := range t.Actual {
		scores := t.Scores(class)
		if math.IsNaN(scores.F1) {
			continue
		}
		w := weight(class)
		sum.Precision += w * scores.Precision
		sum.Recall += w * scores.Recall
		sum.F1 += w * scores.F1
		total += w
	}
	return ClassScores{sum.Precision / total, sum.Recall / total, sum.F1 / total}
}

// Confusion counts rows by true and predicted class: [actual][predicted].
func (s *Sample) Confusion() [][]int {
	cells := make([]int, s.classes*s.classes)
	out := make([][]int, s.classes)
	for c := range out {
		out[c] = cells[c*s.classes : (c+1)*s.classes]
	}
	for i, class := range s.truth {
		out[class][s.predicted[i]]++
	}
	return out
}

func ratioOrZero(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}
