package metrics_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"pgregory.net/rapid"
)

// drawSample draws a sample in which ties are common.
func drawSample(t *rapid.T) (truth []int, p []float32, classes int) {
	classes = rapid.IntRange(1, 5).Draw(t, "classes")
	truth = rapid.SliceOfN(rapid.IntRange(0, classes-1), 1, 40).Draw(t, "truth")
	tenths := rapid.SliceOfN(rapid.IntRange(0, 10), len(truth)*classes, len(truth)*classes).Draw(t, "tenths")
	for _, x := range tenths {
		p = append(p, float32(x)/10)
	}
	return truth, p, classes
}

func TestNewSampleRefusesWhatIsNoProbability(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		truth   []int
		p       []float32
		classes int
		want    string
	}{
		{[]int{0}, []float32{1}, 2, "1 probabilities for 1 rows of 2 classes"},
		{[]int{0}, nil, 0, "0 probabilities for 1 rows of 0 classes"},
		{[]int{2}, []float32{1, 0}, 2, "row 0 is of class 2"},
		{[]int{-1}, []float32{1, 0}, 2, "row 0 is of class -1"},
		{[]int{0, 1}, []float32{1, 0, nan, 0}, 2, "row 1: the probability of class 0 is NaN"},
		{[]int{0}, []float32{1.5, 0}, 2, "class 0 is 1.5"},
		{[]int{0}, []float32{1, -0.5}, 2, "class 1 is -0.5"},
	} {
		if _, err := metrics.NewSample(c.truth, c.p, c.classes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v of %v: error %v, want %q", c.truth, c.p, err, c.want)
		}
	}
}

func TestWeightsAreRepetitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth, p, classes := drawSample(t)
		s, err := metrics.NewSample(truth, p, classes)
		if err != nil {
			t.Fatal(err)
		}
		weights, rows := make([]float64, len(truth)), []int{}
		for i := range truth {
			n := rapid.IntRange(0, 3).Draw(t, "times")
			weights[i] = float64(n)
			for range n {
				rows = append(rows, i)
			}
		}
		repeated := s.Select(rows)
		for name, pair := range map[string][2]float64{
			"accuracy":    {s.Accuracy(weights), repeated.Accuracy(nil)},
			"top 2":       {s.TopK(2, weights), repeated.TopK(2, nil)},
			"log-loss":    {s.LogLoss(weights), repeated.LogLoss(nil)},
			"Brier":       {s.Brier(weights), repeated.Brier(nil)},
			"balanced":    {s.Tally(weights).BalancedAccuracy(), repeated.Tally(nil).BalancedAccuracy()},
			"macro F1":    {s.Tally(weights).Macro().F1, repeated.Tally(nil).Macro().F1},
			"weighted F1": {s.Tally(weights).Weighted().F1, repeated.Tally(nil).Weighted().F1},
			"area":        {macroArea(s, weights), macroArea(repeated, nil)},
			"calibration": {
				metrics.ExpectedCalibrationError(s.Calibration(7, weights)),
				metrics.ExpectedCalibrationError(repeated.Calibration(7, nil)),
			},
		} {
			if !same(pair[0], pair[1]) {
				t.Errorf("%s: %v with weights, %v with repeated rows", name, pair[0], pair[1])
			}
		}
	})
}

func macroArea(s *metrics.Sample, weights []float64) float64 {
	_, macro := s.Ranking(1).AUCs(weights)
	return macro
}

func same(a, b float64) bool {
	return math.Abs(a-b) < 1e-9 || (math.IsNaN(a) && math.IsNaN(b))
}

// The area by its definition: over all pairs of a row of the class and one of
// another.
func TestAreaIsTheShareOfPairsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth, p, classes := drawSample(t)
		s, err := metrics.NewSample(truth, p, classes)
		if err != nil {
			t.Fatal(err)
		}
		for class := range classes {
			wins, pairs := 0.0, 0.0
			for i := range truth {
				for j := range truth {
					if truth[i] != class || truth[j] == class {
						continue
					}
					pairs++
					switch a, b := p[i*classes+class], p[j*classes+class]; {
					case a > b:
						wins++
					case a == b:
						wins += 0.5
					}
				}
			}
			if got := s.Ranking(1).AUC(class, nil); !same(got, wins/pairs) {
				t.Errorf("class %d: %v, want %v", class, got, wins/pairs)
			}
		}
	})
}

func TestTiesGoToTheFirstClass(t *testing.T) {
	s := newSample(t, []int{0, 1, 2}, []float32{
		0.4, 0.4, 0.2,
		0.4, 0.4, 0.2,
		0.2, 0.4, 0.4,
	}, 3)
	for i, want := range []int{0, 0, 1} {
		if s.Predicted(i) != want {
			t.Errorf("row %d predicted as %d, want %d", i, s.Predicted(i), want)
		}
	}
	near(t, "accuracy", s.Accuracy(nil), 1.0/3, 1e-15)
	near(t, "top 2", s.TopK(2, nil), 1, 0)
}

func TestCalibrationBins(t *testing.T) {
	s := newSample(t, []int{0, 1, 0, 0}, []float32{0.5, 0.5, 0.75, 0.25, 1, 0, 0, 0}, 2)
	bins := s.Calibration(4, nil)
	for i, want := range []float64{1, 1, 1, 1} { // 0 belongs to the first; an upper end to its own bin
		near(t, "rows", bins[i].Weight, want, 0)
	}
	near(t, "confidence", bins[2].Confidence, 0.75, 0)
	near(t, "accuracy", bins[2].Accuracy, 0, 0)
	if empty := s.Calibration(8, nil)[0]; empty.Low != 0 || empty.High != 0.125 {
		t.Errorf("the first bin of eight reaches from %v to %v", empty.Low, empty.High)
	}
	if b := newSample(t, []int{0}, []float32{1, 0}, 2).Calibration(2, nil)[0]; !math.IsNaN(b.Accuracy) || !math.IsNaN(b.Confidence) {
		t.Errorf("an empty bin has %+v", b)
	}
}

func TestSelectIsTheSampleOfThoseRows(t *testing.T) {
	truth, p := []int{0, 1, 1}, []float32{0.9, 0.1, 0.6, 0.4, 0.2, 0.8}
	got := newSample(t, truth, p, 2).Select([]int{2, 0})
	want := newSample(t, []int{1, 0}, []float32{0.2, 0.8, 0.9, 0.1}, 2)
	for i := range 2 {
		if got.Truth(i) != want.Truth(i) || got.Predicted(i) != want.Predicted(i) ||
			got.Confidence(i) != want.Confidence(i) || !slices.Equal(got.Probabilities(i), want.Probabilities(i)) {
			t.Errorf("row %d differs", i)
		}
	}
	near(t, "log-loss", got.LogLoss(nil), want.LogLoss(nil), 0)
	near(t, "Brier", got.Brier(nil), want.Brier(nil), 0)
}

func TestBootstrapDrawsAllRowsAlike(t *testing.T) {
	b := metrics.Bootstrap{Seed: 3, Resamples: 1, Rows: 20}
	sums := make([]float64, b.Rows)
	weights := make([]float64, b.Rows)
	const resamples = 4000
	for i := range resamples {
		b.Weights(i, weights)
		total := 0.0
		for row, w := range weights {
			sums[row] += w
			total += w
		}
		if total != 20 {
			t.Fatalf("resample %d has %v rows of 20", i, total)
		}
	}
	for row, sum := range sums {
		// A row's count over all resamples has standard deviation √4000 ≈ 63.
		if math.Abs(sum-resamples) > 6*63 {
			t.Errorf("row %d was drawn %v times in %d resamples", row, sum, resamples)
		}
	}
	again := make([]float64, b.Rows)
	b.Weights(resamples-1, again)
	if !slices.Equal(weights, again) {
		t.Error("the same resample came out differently")
	}
	b.Weights(0, again)
	if slices.Equal(weights, again) {
		t.Error("two resamples are alike")
	}
}

// With each row copied k times, and the copies of a row in one cluster, the
// distribution is that of the rows alone. Without clusters the interval
// would be narrower by √k: the mistake that clusters are there to avoid.
func TestClustersUndoRepetition(t *testing.T) {
	ctx := context.Background()
	right := []float64{1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1}
	accuracy := func(copies int) func([]float64) []float64 {
		return func(w []float64) []float64 {
			sum, total := 0.0, 0.0
			for i, x := range w {
				sum += x * right[i/copies]
				total += x
			}
			return []float64{sum / total}
		}
	}
	const copies = 4
	clusters := make([]int, copies*len(right))
	for i := range clusters {
		clusters[i] = i / copies
	}
	plain, err := metrics.Bootstrap{Seed: 1, Resamples: 500, Rows: len(right)}.Intervals(ctx, 2, accuracy(1))
	if err != nil {
		t.Fatal(err)
	}
	clustered, err := metrics.Bootstrap{Seed: 1, Resamples: 500, Rows: len(clusters), Clusters: clusters}.Intervals(ctx, 2, accuracy(copies))
	if err != nil {
		t.Fatal(err)
	}
	if plain[0] != clustered[0] {
		t.Errorf("interval %v by rows, %v by clusters of copies", plain[0], clustered[0])
	}
	naive, err := metrics.Bootstrap{Seed: 1, Resamples: 500, Rows: len(clusters)}.Intervals(ctx, 2, accuracy(copies))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := plain[0].High-plain[0].Low, naive[0].High-naive[0].Low; b > 0.75*a {
		t.Errorf("copies taken for rows of their own: width %v, of the rows alone %v", b, a)
	}
}

func TestIntervals(t *testing.T) {
	ctx := context.Background()
	b := metrics.Bootstrap{Seed: 9, Resamples: 2000, Rows: 400}
	statistics := func(w []float64) []float64 {
		hits := 0.0
		for i, x := range w {
			if i%4 == 0 {
				hits += x
			}
		}
		undefined := math.NaN()
		if w[0] > 0 {
			undefined = 7
		}
		return []float64{hits / 400, undefined, math.NaN()}
	}
	got, err := b.Intervals(ctx, 1, statistics)
	if err != nil {
		t.Fatal(err)
	}
	// The share is normal with standard deviation √(¼·¾/400) ≈ 0.0217.
	near(t, "low", got[0].Low, 0.25-1.96*0.02165, 0.005)
	near(t, "high", got[0].High, 0.25+1.96*0.02165, 0.005)
	if got[1] != (metrics.Interval{Low: 7, High: 7}) {
		t.Errorf("resamples without a value count: %v", got[1])
	}
	if !math.IsNaN(got[2].Low) {
		t.Errorf("interval of what is never defined: %v", got[2])
	}
	threaded, err := b.Intervals(ctx, 7, statistics)
	if err != nil {
		t.Fatal(err)
	}
	if threaded[0] != got[0] {
		t.Errorf("%v with one goroutine, %v with seven", got[0], threaded[0])
	}
	for _, none := range []metrics.Bootstrap{{Rows: 3}, {Resamples: 3}} {
		if got, err := none.Intervals(ctx, 1, statistics); got != nil || err != nil {
			t.Errorf("%+v gives %v, %v", none, got, err)
		}
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := b.Intervals(stopped, 2, statistics); !errors.Is(err, context.Canceled) {
		t.Errorf("a bootstrap that was stopped: %v", err)
	}
}

func TestHolm(t *testing.T) {
	got := metrics.Holm([]float64{0.01, 0.04, 0.03, 0.005, 0.9})
	for i, want := range []float64{0.04, 0.09, 0.09, 0.025, 0.9} {
		near(t, "adjusted p", got[i], want, 1e-12)
	}
	if got := metrics.Holm([]float64{0.7, 0.6}); got[0] != 1 || got[1] != 1 {
		t.Errorf("adjusted beyond 1: %v", got)
	}
}

func TestDiscordant(t *testing.T) {
	a, b := metrics.Discordant([]bool{true, true, false, false, true}, []bool{true, false, true, false, false})
	if a != 2 || b != 1 {
		t.Errorf("%d and %d discordant rows, want 2 and 1", a, b)
	}
}

func TestPrior(t *testing.T) {
	p := make([]float32, 3)
	prior := metrics.NewPrior(3)
	prior.Probabilities(p)
	near(t, "share before training", float64(p[2]), 1.0/3, 1e-7)
	for _, class := range []int{2, 0, 2, 2} {
		prior.Add(class)
	}
	prior.Probabilities(p)
	if !slices.Equal(p, []float32{0.25, 0, 0.75}) {
		t.Errorf("shares %v", p)
	}
}

func TestCentroidsWithoutSpread(t *testing.T) {
	c := metrics.NewCentroids(3, 2)
	c.Add(0, []float32{0, 0})
	c.Add(1, []float32{1, 0})
	c.Fit()
	p := make([]float32, 3)
	for _, x := range []struct {
		at   []float32
		want []float32
	}{
		{[]float32{0.2, 0}, []float32{1, 0, 0}},
		{[]float32{0.9, 3}, []float32{0, 1, 0}},
		{[]float32{0.5, 1}, []float32{0.5, 0.5, 0}},
	} {
		if c.Probabilities(x.at, p); !slices.Equal(p, x.want) {
			t.Errorf("at %v: %v, want %v", x.at, p, x.want)
		}
	}
}

// The values are those of a second implementation of Newcombe's formulas; the first is his example.
func TestPairedDifference(t *testing.T) {
	for _, c := range []struct{ both, onlyA, onlyB, neither, low, high float64 }{
		{36, 12, 2, 0, 0.05692958400323883, 0.3404276029749406},
		{20, 10, 10, 10, -0.17369401495760992, 0.17369401495760992},
		{18, 0, 0, 2, -0.15707164129616277, 0.15707164129616277},
		{54, 0, 0, 0, -0.06641358809089648, 0.06641358809089648},
		{0, 10, 0, 0, 0.6075093504305242, 1},
		{0, 30, 20, 0, -0.07637124504821258, 0.4478322053948691},
	} {
		got := metrics.PairedDifference(c.both, c.onlyA, c.onlyB, c.neither)
		if math.Abs(got.Low-c.low) > 1e-9 || math.Abs(got.High-c.high) > 1e-9 {
			t.Errorf("PairedDifference of %+v: %v", c, got)
		}
	}
	if got := metrics.PairedDifference(0, 0, 0, 0); !math.IsNaN(got.Low) {
		t.Errorf("interval over no trial: %v", got)
	}
}
