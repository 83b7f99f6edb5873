package metrics_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/tlpipe/tlpipe/internal/metrics"
)

// reference is what testdata/make_reference.py wrote.
type reference struct {
	Cases []struct {
		Truth         []int
		Probabilities []float32
		Classes       int
		Weights       []float64
		Want          struct {
			Accuracy, Balanced, Brier, ECE float64
			LogLoss                        float64 `json:"log_loss"`
			Macro, Weighted                [3]float64
			Classes                        [][4][1]float64
			AUC                            []*float64
			Confusion                      [][]int
			Top                            []float64
			BinRows                        []float64 `json:"bin_rows"`
			Normalised                     *struct {
				Probabilities []float32
				Brier         float64
				LogLoss       float64 `json:"log_loss"`
			}
		}
	}
	Centroids struct {
		Train, Test        []float32
		Labels             []int
		Dimension, Classes int
		Predicted          []int
		Probabilities      []float64
	}
	McNemar [][3]float64
	Wilson  [][4]float64
}

func readReference(t *testing.T) reference {
	t.Helper()
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	if len(ref.Cases) == 0 || len(ref.McNemar) == 0 || len(ref.Wilson) == 0 {
		t.Fatal("the reference is empty")
	}
	return ref
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func newSample(t *testing.T, truth []int, p []float32, classes int) *metrics.Sample {
	t.Helper()
	s, err := metrics.NewSample(truth, p, classes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAgainstScikitLearn(t *testing.T) {
	for i, c := range readReference(t).Cases {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s, want := newSample(t, c.Truth, c.Probabilities, c.Classes), c.Want
			near(t, "accuracy", s.Accuracy(c.Weights), want.Accuracy, 1e-12)
			near(t, "log-loss", s.LogLoss(c.Weights), want.LogLoss, 1e-12)
			near(t, "Brier score", s.Brier(c.Weights), want.Brier, 1e-12)
			for k, top := range want.Top {
				near(t, fmt.Sprintf("top %d", k+1), s.TopK(k+1, c.Weights), top, 1e-12)
			}
			if n := want.Normalised; n != nil {
				s := newSample(t, c.Truth, n.Probabilities, c.Classes)
				near(t, "log-loss of normalised", s.LogLoss(c.Weights), n.LogLoss, 1e-6)
				near(t, "Brier score of normalised", s.Brier(c.Weights), n.Brier, 1e-6)
			}

			tally := s.Tally(c.Weights)
			near(t, "balanced accuracy", tally.BalancedAccuracy(), want.Balanced, 1e-12)
			nearScores(t, "macro", tally.Macro(), want.Macro)
			nearScores(t, "weighted", tally.Weighted(), want.Weighted)
			for class, w := range want.Classes {
				if tally.Actual[class] == 0 && tally.Predicted[class] == 0 {
					if !math.IsNaN(tally.Scores(class).F1) {
						t.Errorf("class %d, never seen nor predicted, has scores %v", class, tally.Scores(class))
					}
					continue
				}
				nearScores(t, fmt.Sprint("class ", class), tally.Scores(class), [3]float64{w[0][0], w[1][0], w[2][0]})
				near(t, "support", tally.Actual[class], w[3][0], 0)
			}
			for a, row := range s.Confusion() {
				for p, n := range row {
					if n != want.Confusion[a][p] {
						t.Errorf("confusion of %d with %d: %d, want %d", a, p, n, want.Confusion[a][p])
					}
				}
			}

			aucs, macro := s.Ranking(2).AUCs(c.Weights)
			sum, n := 0.0, 0.0
			for class, w := range want.AUC {
				if w == nil {
					if !math.IsNaN(aucs[class]) {
						t.Errorf("area of class %d, which has no contrast: %v", class, aucs[class])
					}
					continue
				}
				near(t, fmt.Sprint("area of class ", class), aucs[class], *w, 1e-12)
				sum, n = sum+*w, n+1
			}
			if n == 0 {
				if !math.IsNaN(macro) {
					t.Errorf("mean area over no class: %v", macro)
				}
			} else {
				near(t, "mean area", macro, sum/n, 1e-12)
			}

			bins := s.Calibration(10, c.Weights)
			near(t, "calibration error", metrics.ExpectedCalibrationError(bins), want.ECE, 1e-12)
			for b, bin := range bins {
				near(t, fmt.Sprint("rows of bin ", b), bin.Weight, want.BinRows[b], 0)
			}
		})
	}
}

func nearScores(t *testing.T, what string, got metrics.ClassScores, want [3]float64) {
	t.Helper()
	near(t, what+" precision", got.Precision, want[0], 1e-12)
	near(t, what+" recall", got.Recall, want[1], 1e-12)
	near(t, what+" F1", got.F1, want[2], 1e-12)
}

func TestCentroidsAgainstScikitLearn(t *testing.T) {
	ref := readReference(t).Centroids
	c := metrics.NewCentroids(ref.Classes, ref.Dimension)
	for i, class := range ref.Labels {
		c.Add(class, ref.Train[i*ref.Dimension:(i+1)*ref.Dimension])
	}
	c.Fit()
	p := make([]float32, ref.Classes)
	for i, want := range ref.Predicted {
		c.Probabilities(ref.Test[i*ref.Dimension:(i+1)*ref.Dimension], p)
		if got := metrics.MostProbable(p); got != want {
			t.Errorf("row %d: class %d, want %d", i, got, want)
		}
		for class, x := range p {
			near(t, fmt.Sprintf("probability of class %d in row %d", class, i), float64(x), ref.Probabilities[i*ref.Classes+class], 1e-6)
		}
	}
}

func TestTestsAndIntervalsAgainstSciPy(t *testing.T) {
	ref := readReference(t)
	for _, c := range ref.McNemar {
		want := c[2]
		near(t, fmt.Sprintf("McNemar(%v, %v)", c[0], c[1]), metrics.McNemar(int(c[0]), int(c[1])), want, 1e-10*want)
	}
	for _, c := range ref.Wilson {
		got := metrics.Wilson(c[0], c[1])
		near(t, fmt.Sprintf("Wilson(%v, %v) low", c[0], c[1]), got.Low, c[2], 1e-10)
		near(t, fmt.Sprintf("Wilson(%v, %v) high", c[0], c[1]), got.High, c[3], 1e-10)
	}
	if w := metrics.Wilson(0, 0); !math.IsNaN(w.Low) || !math.IsNaN(w.High) {
		t.Errorf("interval over no trial: %v", w)
	}
}
