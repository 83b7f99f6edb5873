package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The kappas are those of scikit-learn 1.9.1: cohen_kappa_score(truth, predicted, weights=None and "quadratic").
func TestKappa(t *testing.T) {
	truth := []int{0, 0, 1, 1, 2, 2, 2, 0, 1, 2, 3, 3}
	predicted := []int{0, 1, 1, 1, 2, 0, 2, 0, 3, 1, 3, 2}
	probabilities := make([]float32, 4*len(truth))
	for i, p := range predicted {
		probabilities[4*i+p] = 1
	}
	s, err := NewSample(truth, probabilities, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Kappa(false, nil); math.Abs(got-0.43925233644859807) > 1e-12 {
		t.Errorf("kappa %v", got)
	}
	if got := s.Kappa(true, nil); math.Abs(got-0.5714285714285714) > 1e-12 {
		t.Errorf("quadratic kappa %v", got)
	}
	twice := slices.Repeat([]float64{2}, len(truth))
	if s.Kappa(true, twice) != s.Kappa(true, nil) {
		t.Error("weights that are all alike change kappa")
	}
}

// The sensitivity is the best of all thresholds, tried one by one.
func TestSensitivityAt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const rows, classes = 80, 3
	var truth []int
	var probabilities []float32
	for range rows {
		truth = append(truth, random.IntN(classes))
		a, b := float32(random.IntN(10))/20, float32(random.IntN(10))/20 // with ties
		probabilities = append(probabilities, a, b, 1-a-b)
	}
	s, err := NewSample(truth, probabilities, classes)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Ranking(1)
	for class := range classes {
		for _, specificity := range []float64{0.5, 0.8, 0.95, 1} {
			best := 0.0
			for _, threshold := range append(slices.Clone(probabilities), 2) {
				var found, of, left, others float64
				for i, c := range truth {
					positive := probabilities[i*classes+class] >= threshold
					switch {
					case c == class:
						of++
						if positive {
							found++
						}
					default:
						others++
						if !positive {
							left++
						}
					}
				}
				if left >= specificity*others {
					best = max(best, found/of)
				}
			}
			if got := r.SensitivityAt(specificity, class, nil); math.Abs(got-best) > 1e-12 {
				t.Errorf("class %d at specificity %v: %v, want %v", class, specificity, got, best)
			}
		}
	}
	one, err := NewSample([]int{0, 0}, []float32{1, 0, 1, 0}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := one.Ranking(1).SensitivityAt(0.9, 0, nil); !math.IsNaN(got) {
		t.Errorf("without other rows: %v", got)
	}
}
