package validator_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/validator"
)

// softmax of the logits of the reference numbers.
func softmax() (out []float32) {
	for _, row := range [][]float64{{2, .5, -1}, {.2, 1.5, .3}, {-.5, .1, 1.2}, {1, 1, -2}} {
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		for _, v := range row {
			out = append(out, float32(math.Exp(v)/sum))
		}
	}
	return out
}

func score(t *testing.T, name string, e domain.Evidence) domain.Score {
	t.Helper()
	v, ok := validator.Find(name)
	if !ok {
		t.Fatalf("there is no validator %q", name)
	}
	s, err := v.Score(context.Background(), e, 2)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The numbers are from float64 NumPy, by the formulas of pytorch-adapt 0.0.83.
func TestReferenceNumbers(t *testing.T) {
	e := domain.Evidence{Classes: 3, TargetProbabilities: softmax(), SourceProbabilities: softmax(), SourceClasses: []int{0, 1, 2, 1}}
	for name, want := range map[string]float64{"im": 0.2765221, "bnm": 0.5824819, "snd": 0.2055090, "source_accuracy": 0.75} {
		if got := score(t, name, e); math.Abs(got.Value-want) > 1e-6 {
			t.Errorf("%s is %.7f, want %.7f", name, got.Value, want)
		}
	}
	eta, risk := validator.Risk([]float64{.5, 1.2, 2, .8}, []float64{.1, .4, .9, .2})
	if math.Abs(eta+1.2053254) > 1e-6 || math.Abs(risk-0.4718343) > 1e-6 {
		t.Errorf("η %.7f, risk %.7f", eta, risk)
	}
}

// SND favours a model that gives all rows one class: it gets no value, and ranks last.
func TestCollapse(t *testing.T) {
	var collapsed, good []float32
	for i := range 100 {
		collapsed = append(collapsed, 0.9, 0.1)
		good = append(good, []float32{0.95, 0.05}[i%2], []float32{0.05, 0.95}[i%2])
	}
	e := domain.Evidence{Classes: 2, SourceProbabilities: []float32{1, 0, 0, 1}, SourceClasses: []int{0, 1}, TargetProbabilities: collapsed}
	bad := score(t, "snd", e)
	if !math.IsNaN(bad.Value) || !strings.Contains(bad.Note, "collapsed") {
		t.Errorf("SND of a collapsed model: %+v", bad)
	}
	e.TargetProbabilities = good
	fine := score(t, "snd", e)
	if ranks := validator.Ensemble([][]domain.Score{{bad}, {fine}}); ranks[0].Value != 2 || ranks[1].Value != 1 {
		t.Errorf("ranks %+v", ranks)
	}
	// Where nearly all rows of the source are of that class too, it is no collapse.
	e.TargetProbabilities, e.SourceClasses = collapsed, []int{0, 0}
	if s := score(t, "snd", e); math.IsNaN(s.Value) {
		t.Errorf("SND where the classes are like that: %+v", s)
	}
}

func TestEnsemble(t *testing.T) {
	scores := func(im, dev float64) []domain.Score {
		return []domain.Score{{Validator: "im", Value: im, Higher: true}, {Validator: "dev", Value: dev}, {Validator: "none", Value: math.NaN()}}
	}
	got := validator.Ensemble([][]domain.Score{scores(1, 0.2), scores(3, 0.2), scores(2, math.NaN())})
	for i, want := range []float64{(3 + 1.5) / 2, (1 + 1.5) / 2, (2 + 3.0) / 2} {
		if got[i].Value != want || got[i].Higher {
			t.Errorf("model %d has the rank %+v, want %v", i, got[i], want)
		}
	}
}

// DEV weighs rows that are like the target: of two models, that which is right about those has the lower risk, though both are
// right about as many rows of the source.
func TestDEVLooksAtRowsLikeTheTarget(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	features := func(n int, centre float64) (f domain.Features) {
		f.Width = 2
		for range n {
			f.Values = append(f.Values, float32(centre+random.NormFloat64()), float32(random.NormFloat64()))
		}
		return f
	}
	e := domain.Evidence{Classes: 2, TrainingFeatures: features(200, 0), TargetFeatures: features(200, 1.5), SourceFeatures: features(100, 0)}
	near := domain.Evidence(e)
	for i := range 100 {
		like := e.SourceFeatures.Row(i)[0] > 0
		e.SourceClasses = append(e.SourceClasses, 0)
		p := float32(0.9)
		if like {
			p = 0.4
		}
		e.SourceProbabilities = append(e.SourceProbabilities, p, 1-p)
		near.SourceProbabilities = append(near.SourceProbabilities, 1.3-p, p-0.3)
	}
	near.SourceClasses = e.SourceClasses
	far, close := score(t, "dev", e), score(t, "dev", near)
	if close.Value >= far.Value || far.Higher {
		t.Errorf("right far from the target: risk %v; right near it: %v", far.Value, close.Value)
	}
}

func TestWhatIsMissing(t *testing.T) {
	for _, v := range validator.All() {
		s, err := v.Score(context.Background(), domain.Evidence{Classes: 3}, 1)
		if err != nil || !math.IsNaN(s.Value) || s.Note == "" {
			t.Errorf("%s of nothing: %+v, %v", v.Name, s, err)
		}
		if _, err := v.Score(context.Background(), domain.Evidence{Classes: 3, SourceClasses: []int{1}}, 1); err == nil {
			t.Errorf("%s of a row without probabilities: no error", v.Name)
		}
	}
}

// Predictions that are all the same and unsure are dense, too: a model that has learned nothing gets no value.
func TestNothingLearned(t *testing.T) {
	const rows, classes = 40, 4
	e := domain.Evidence{Classes: classes}
	for i := range rows {
		for k := range classes {
			e.TargetProbabilities = append(e.TargetProbabilities, 0.25+1e-4*float32((i+k)%3))
		}
	}
	if s := score(t, "snd", e); !math.IsNaN(s.Value) {
		t.Errorf("SND of predictions that are all alike: %+v", s)
	}
}
