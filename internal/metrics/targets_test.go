package metrics_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"pgregory.net/rapid"
)

// targets is what testdata/make_targets.py wrote.
type targets struct {
	Several []struct {
		Classes              int
		Threshold            float64
		Truth                []bool
		Probabilities        []float32
		Weights              []float64
		SubsetAccuracy       float64 `json:"subset_accuracy"`
		HammingLoss          float64 `json:"hamming_loss"`
		Micro, Macro         [3]float64
		ByClass              [][3]float64 `json:"by_class"`
		AveragePrecision     []float64    `json:"average_precision"`
		MeanAveragePrecision float64      `json:"mean_average_precision"`
		AUC                  []float64
		LogLoss              float64 `json:"log_loss"`
		CalibrationError     float64 `json:"calibration_error"`
	}
	Numbers []struct {
		Truth, Predicted     []float64
		Weights              []float64
		MeanAbsoluteError    float64 `json:"mean_absolute_error"`
		RootMeanSquaredError float64 `json:"root_mean_squared_error"`
		R2                   float64
	}
	Threshold []struct {
		Truth         []bool
		Probabilities []float32
		F1            float64
	}
}

func readTargets(t *testing.T) (out targets) {
	t.Helper()
	data, err := os.ReadFile("testdata/targets.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Several) != 3 || len(out.Numbers) != 2 || len(out.Threshold) != 2 {
		t.Fatal("cases are missing")
	}
	return out
}

func newMultiLabel(t testing.TB, truth []bool, p []float32, classes int, threshold float64) *metrics.MultiLabel {
	t.Helper()
	m, err := metrics.NewMultiLabel(truth, p, classes, threshold)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMultiLabelAgainstScikitLearn(t *testing.T) {
	for i, c := range readTargets(t).Several {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			m := newMultiLabel(t, c.Truth, c.Probabilities, c.Classes, c.Threshold)
			near(t, "subset accuracy", m.SubsetAccuracy(c.Weights), c.SubsetAccuracy, 1e-12)
			near(t, "Hamming loss", m.HammingLoss(c.Weights), c.HammingLoss, 1e-12)
			near(t, "log-loss", m.LogLoss(c.Weights), c.LogLoss, 1e-6)
			near(t, "calibration error", metrics.ExpectedCalibrationError(m.Calibration(10, c.Weights)), c.CalibrationError, 1e-9)
			tally := m.Tally(c.Weights)
			nearScores(t, "micro", tally.Micro(), c.Micro)
			nearScores(t, "macro", tally.Macro(), c.Macro)
			var precisions []float64
			for class := range c.Classes {
				nearScores(t, fmt.Sprint("class ", class), tally.Scores(class), c.ByClass[class])
				precisions = append(precisions, m.AveragePrecision(class, c.Weights))
				near(t, fmt.Sprint("average precision ", class), precisions[class], c.AveragePrecision[class], 1e-12)
				near(t, fmt.Sprint("area ", class), m.AUC(class, c.Weights), c.AUC[class], 1e-12)
			}
			near(t, "mean average precision", metrics.MeanOfKnown(precisions), c.MeanAveragePrecision, 1e-12)
		})
	}
}

func TestRegressionAgainstScikitLearn(t *testing.T) {
	for i, c := range readTargets(t).Numbers {
		r, err := metrics.NewRegression(c.Truth, c.Predicted)
		if err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprint("mean absolute error ", i), r.MeanAbsoluteError(c.Weights), c.MeanAbsoluteError, 1e-12)
		near(t, fmt.Sprint("root mean squared error ", i), r.RootMeanSquaredError(c.Weights), c.RootMeanSquaredError, 1e-12)
		near(t, fmt.Sprint("R² ", i), r.R2(c.Weights), c.R2, 1e-12)
	}
	flat, err := metrics.NewRegression([]float64{3, 3, 3}, []float64{1, 2, 3})
	if err != nil || !math.IsNaN(flat.R2(nil)) {
		t.Errorf("R² of what does not vary: %v, %v", flat.R2(nil), err)
	}
	for _, bad := range [][]float64{{1}, {1, math.NaN()}, {1, math.Inf(1)}} {
		if _, err := metrics.NewRegression([]float64{1, 2}, bad); err == nil {
			t.Errorf("answers %v were taken", bad)
		}
	}
}

func TestBestThreshold(t *testing.T) {
	for i, c := range readTargets(t).Threshold {
		m := newMultiLabel(t, c.Truth, c.Probabilities, 1, metrics.BestThreshold(c.Truth, c.Probabilities))
		near(t, fmt.Sprint("F1 ", i), m.Tally(nil).Micro().F1, c.F1, 1e-9)
	}
	if got := metrics.BestThreshold([]bool{false, false}, []float32{0.2, 0.9}); got != 0.5 {
		t.Errorf("threshold %v where no class applies", got)
	}
	if got := metrics.BestThreshold([]bool{true, false, true, false}, []float32{0.75, 0.25, 0.75, 0.25}); got != 0.5 {
		t.Errorf("threshold %v, want half way", got)
	}
	if got := metrics.BestThreshold([]bool{true, true}, []float32{0.5, 0.25}); got != 0.125 {
		t.Errorf("threshold %v where all apply", got)
	}
}

// A row drawn n times weighs n, and a sample of chosen rows is measured as if there were no others.
func TestMultiLabelWeightsAreCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, classes := rapid.IntRange(1, 12).Draw(t, "rows"), rapid.IntRange(1, 3).Draw(t, "classes")
		truth, p := make([]bool, n*classes), make([]float32, n*classes)
		for i := range truth {
			truth[i], p[i] = rapid.Bool().Draw(t, "truth"), float32(rapid.IntRange(0, 4).Draw(t, "p"))/4
		}
		m, err := metrics.NewMultiLabel(truth, p, classes, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		weights := make([]float64, n)
		var copies []int
		for i := range weights {
			k := rapid.IntRange(0, 3).Draw(t, "weight")
			weights[i] = float64(k)
			copies = append(copies, slices.Repeat([]int{i}, k)...)
		}
		if len(copies) == 0 {
			return
		}
		all, err := m.Select(copies)
		if err != nil {
			t.Fatal(err)
		}
		same := func(what string, got, want float64) {
			if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > 1e-9 {
				t.Fatalf("%s: %v weighted, %v copied", what, got, want)
			}
		}
		same("subset accuracy", m.SubsetAccuracy(weights), all.SubsetAccuracy(nil))
		same("Hamming loss", m.HammingLoss(weights), all.HammingLoss(nil))
		same("log-loss", m.LogLoss(weights), all.LogLoss(nil))
		same("micro F1", m.Tally(weights).Micro().F1, all.Tally(nil).Micro().F1)
		for c := range classes {
			same("average precision", m.AveragePrecision(c, weights), all.AveragePrecision(c, nil))
			same("area", m.AUC(c, weights), all.AUC(c, nil))
		}
	})
}

func TestMultiLabelRefusals(t *testing.T) {
	for _, c := range []struct {
		truth   int
		p       []float32
		classes int
	}{{2, []float32{0, 1}, 0}, {3, []float32{0, 1}, 2}, {3, []float32{0, 1, 0}, 2}, {2, []float32{0, 1.5}, 2}, {2, []float32{0, float32(math.NaN())}, 1}} {
		if _, err := metrics.NewMultiLabel(make([]bool, c.truth), c.p, c.classes, 0.5); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
