package shallow

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// TestCoefficientsAreThoseOfScikitLearn holds fits against LogisticRegression's at the same penalty, within 1e-4 of the
// largest.
func TestCoefficientsAreThoseOfScikitLearn(t *testing.T) {
	text, err := os.ReadFile("testdata/logistic.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Sets []struct {
			Classes int         `json:"classes"`
			X       [][]float32 `json:"x"`
			Y       []int       `json:"y"`
			Fits    []struct {
				C       float64     `json:"c"`
				Weights [][]float64 `json:"weights"`
				Bias    []float64   `json:"bias"`
			} `json:"fits"`
		} `json:"sets"`
	}
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	for _, set := range reference.Sets {
		rows := Rows{Width: len(set.X[0]), Classes: set.Y, Values: slices.Concat(set.X...)}
		for _, want := range set.Fits {
			l, steps, err := Logistic(context.Background(), rows, Rows{Width: rows.Width}, set.Classes, Options{Settings: Settings{Penalties: []float64{1 / want.C}}, Tolerance: 1e-8, Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			got, bias := l.Weights, l.Bias
			if set.Classes == 2 { // scikit-learn has the difference
				got, bias = nil, []float32{l.Bias[1] - l.Bias[0]}
				for i := range rows.Width {
					got = append(got, l.Weights[rows.Width+i]-l.Weights[i])
				}
			}
			largest := 1.0
			flat := slices.Concat(want.Weights...)
			for _, w := range flat {
				largest = max(largest, math.Abs(w))
			}
			for i, w := range flat {
				if math.Abs(float64(got[i])-w) > 1e-4*largest {
					t.Errorf("%d classes, C %v: weight %d is %v, want %v (%d iterations)", set.Classes, want.C, i, got[i], w, steps[0].Iterations)
				}
			}
			// Biases are determined up to what they all share.
			shift := 0.0
			for i, b := range want.Bias {
				shift += (float64(bias[i]) - b) / float64(len(want.Bias))
			}
			if len(want.Bias) == 1 {
				shift = 0
			}
			for i, b := range want.Bias {
				if math.Abs(float64(bias[i])-shift-b) > 1e-4*max(largest, math.Abs(b)) {
					t.Errorf("%d classes, C %v: bias %d is %v, want %v", set.Classes, want.C, i, bias[i], b)
				}
			}
		}
	}
}

// made draws rows around centres.
func made(n, width, classes int, spread float64, seed uint64) Rows {
	random := rand.New(rand.NewPCG(seed, 7))
	centres := make([]float64, classes*width)
	for i := range centres {
		centres[i] = random.NormFloat64()
	}
	r := Rows{Width: width}
	for i := range n {
		class := i % classes
		r.Classes = append(r.Classes, class)
		for j := range width {
			r.Values = append(r.Values, float32(centres[class*width+j]+spread*random.NormFloat64()))
		}
	}
	return r
}

func TestGradientIsTheSlope(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes, width := rapid.IntRange(2, 5).Draw(t, "classes"), rapid.IntRange(1, 6).Draw(t, "width")
		rows := made(rapid.IntRange(1, 40).Draw(t, "rows"), width, classes, 1, rapid.Uint64().Draw(t, "seed"))
		pool := kernel.NewPool(1)
		defer pool.Close()
		p := newProblem(rows, classes, Options{Standardise: rapid.Bool().Draw(t, "standardise")}, pool)
		p.penalty = rapid.Float64Range(0, 3).Draw(t, "penalty")
		x, gradient, scratch := make([]float64, len(p.x)), make([]float64, len(p.x)), make([]float64, len(p.x))
		random := rand.New(rand.NewPCG(1, 2))
		for i := range x {
			x[i] = float64(float32(random.NormFloat64()))
		}
		p.evaluate(x, gradient)
		for i := range x {
			const h = 1e-2
			at := x[i]
			x[i] = at + h
			above := p.evaluate(x, scratch)
			x[i] = at - h
			below := p.evaluate(x, scratch)
			x[i] = at
			if slope := (above - below) / (2 * h); math.Abs(slope-gradient[i]) > 2e-3*(1+math.Abs(slope)+float64(rows.Len())) {
				t.Fatalf("parameter %d: gradient %v, slope %v", i, gradient[i], slope)
			}
		}
	})
}

func TestSameFitForAnyThreads(t *testing.T) {
	training, validation := made(700, 33, 4, 1.5, 1), made(100, 33, 4, 1.5, 1)
	one, steps, err := Logistic(context.Background(), training, validation, 4, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	two, again, err := Logistic(context.Background(), training, validation, 4, Options{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one.Weights, two.Weights) || !slices.Equal(one.Bias, two.Bias) || !slices.Equal(steps, again) {
		t.Error("another number of threads gives another fit")
	}
}

func TestPenaltyIsChosenByValidation(t *testing.T) {
	training, validation := made(60, 200, 3, 3, 5), made(600, 200, 3, 3, 5)
	l, steps, err := Logistic(context.Background(), training, validation, 3, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(steps, func(s Step) bool { return s.Chosen })
	if at <= 0 || at >= len(steps)-1 {
		t.Fatalf("step %d of %d was chosen: %+v", at, len(steps), steps)
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	if loss, _ := l.evaluate(pool, validation); loss != steps[at].Loss {
		t.Errorf("the loss is %v, not the %v of the step", loss, steps[at].Loss)
	}
	// Without validation rows, folds of the training rows tell; the strongest and the weakest do not win here either.
	_, steps, err = Logistic(context.Background(), training, Rows{Width: 200}, 3, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if at := slices.IndexFunc(steps, func(s Step) bool { return s.Chosen }); at <= 0 || len(steps) != len(DefaultPenalties()) {
		t.Errorf("step %d of %d", at, len(steps))
	}
}

// Rows that a plane divides have no fit without a penalty; a weak one must end all the same.
func TestSeparableRowsEnd(t *testing.T) {
	rows := made(100, 50, 2, 0.01, 3)
	l, _, err := Logistic(context.Background(), rows, Rows{Width: 50}, 2, Options{Settings: Settings{Penalties: []float64{1e-8}}, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range l.Weights {
		if w != w || math.IsInf(float64(w), 0) {
			t.Fatal("a weight is not finite")
		}
	}
}

func TestFoldsKeepGroupsTogether(t *testing.T) {
	classes, groups := make([]int, 90), make([]int, 90)
	for i := range classes {
		classes[i], groups[i] = i%3, i/6
	}
	seen := map[int]int{}
	of := map[int]int{}
	for f, fold := range foldsOf(classes, groups, 5) {
		for _, i := range fold {
			seen[i]++
			if before, ok := of[groups[i]]; ok && before != f {
				t.Fatalf("group %d is in two folds", groups[i])
			}
			of[groups[i]] = f
		}
	}
	for i := range classes {
		if seen[i] != 1 {
			t.Fatalf("row %d is in %d folds", i, seen[i])
		}
	}
}

func TestRowsThatDoNotFit(t *testing.T) {
	good := made(10, 3, 2, 1, 1)
	for name, rows := range map[string]Rows{
		"values":  {Values: good.Values[:5], Width: 3, Classes: good.Classes},
		"classes": {Values: good.Values, Width: 3, Classes: slices.Repeat([]int{2}, 10)},
		"none":    {Width: 3},
	} {
		if _, _, err := Logistic(context.Background(), rows, Rows{Width: 3}, 2, Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Logistic(ctx, good, Rows{Width: 3}, 2, Options{}); err == nil {
		t.Error("a context that has ended does not end the fit")
	}
}

func BenchmarkLogistic(b *testing.B) {
	training, validation := made(5400, 1280, 10, 8, 1), made(500, 1280, 10, 8, 1)
	for b.Loop() {
		if _, _, err := Logistic(context.Background(), training, validation, 10, Options{Threads: 2}); err != nil {
			b.Fatal(err)
		}
	}
}
