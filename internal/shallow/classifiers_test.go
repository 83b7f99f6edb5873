package shallow

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"pgregory.net/rapid"
)

// linearReference are a linear classifier's numbers.
type linearReference struct {
	Weights [][]float64 `json:"weights"`
	Bias    []float64   `json:"bias"`
}

type classifierSet struct {
	Classes int         `json:"classes"`
	X       [][]float32 `json:"x"`
	Y       []int       `json:"y"`
	New     [][]float32 `json:"new"`
	Ridge   []struct {
		Penalty float64 `json:"penalty"`
		linearReference
	} `json:"ridge"`
	LDA []struct {
		Shrinkage     *float64    `json:"shrinkage"`
		Solver        string      `json:"solver"`
		Probabilities [][]float64 `json:"probabilities"`
		linearReference
	} `json:"lda"`
	Centroid struct {
		Euclidean [][]float64 `json:"euclidean"` // squares of distances
		Cosine    [][]float64 `json:"cosine"`
	} `json:"centroid"`
	KNN []struct {
		Metric        string      `json:"metric"`
		Weighted      bool        `json:"weighted"`
		Probabilities [][]float64 `json:"probabilities"`
	} `json:"knn"`
}

func (s classifierSet) rows() Rows {
	return Rows{Width: len(s.X[0]), Classes: s.Y, Values: slices.Concat(s.X...)}
}

func classifierSets(t *testing.T) []classifierSet {
	t.Helper()
	text, err := os.ReadFile("testdata/classifiers.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Sets []classifierSet `json:"sets"`
	}
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	return reference.Sets
}

func fitted(t testing.TB, kind string, rows, validation Rows, classes int, o Options) (*Classifier, []Step) {
	t.Helper()
	k, ok := Find(kind)
	if !ok {
		t.Fatalf("there is no %s", kind)
	}
	if validation.Width == 0 {
		validation.Width = rows.Width
	}
	c, steps, err := k.Fit(context.Background(), rows, validation, classes, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, steps
}

// answers are those of the classifier's network.
func answers(t testing.TB, c *Classifier, classes int, rows Rows) []float32 {
	t.Helper()
	net, weights, err := c.Network(nn.Shape{rows.Width}, classes)
	if err != nil {
		t.Fatal(err)
	}
	program, err := frozen.Compile(net, weights)
	if err != nil {
		t.Fatal(err)
	}
	n := len(rows.Values) / rows.Width
	out := make([]float32, n*classes)
	if err := program.NewSession(n).Run(nil, rows.Values, n, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkLinear holds weights and biases against the reference's, within 1e-4 of the largest. Of two classes, the reference has
// the difference of the two, or, as ridge does, the second's.
func checkLinear(t *testing.T, name string, l *Linear, want linearReference, second bool) {
	t.Helper()
	got, bias := l.Weights, l.Bias
	if len(want.Weights) == 1 {
		width := len(want.Weights[0])
		got, bias = slices.Clone(l.Weights[width:]), slices.Clone(l.Bias[1:])
		if !second {
			for i := range got {
				got[i] -= l.Weights[i]
			}
			bias[0] -= l.Bias[0]
		}
	}
	flat := slices.Concat(want.Weights...)
	largest, largestBias := 1e-3, 1e-3
	for _, w := range flat {
		largest = max(largest, math.Abs(w))
	}
	for _, b := range want.Bias {
		largestBias = max(largestBias, math.Abs(b))
	}
	for i, w := range flat {
		if math.Abs(float64(got[i])-w) > 1e-4*largest {
			t.Fatalf("%s: weight %d is %v, want %v", name, i, got[i], w)
		}
	}
	for i, b := range want.Bias {
		if math.Abs(float64(bias[i])-b) > 1e-4*largestBias {
			t.Fatalf("%s: bias %d is %v, want %v", name, i, bias[i], b)
		}
	}
}

func checkProbabilities(t *testing.T, name string, got []float32, want [][]float64) {
	t.Helper()
	for i, w := range slices.Concat(want...) {
		if math.Abs(float64(got[i])-w) > 1e-4 {
			t.Fatalf("%s: probability %d is %v, want %v", name, i, got[i], w)
		}
	}
}

func TestRidgeIsThatOfScikitLearn(t *testing.T) {
	for _, set := range classifierSets(t) {
		for _, want := range set.Ridge {
			c, steps := fitted(t, "ridge", set.rows(), Rows{}, set.Classes, Options{Settings: Settings{Penalties: []float64{want.Penalty}}, Threads: 2})
			checkLinear(t, "ridge", c.Linear, want.linearReference, true)
			if len(steps) != 1 || !(c.Scale > 0) {
				t.Errorf("steps %+v, scale %v", steps, c.Scale)
			}
		}
	}
}

func TestDiscriminantAnalysisIsThatOfScikitLearn(t *testing.T) {
	for _, set := range classifierSets(t) {
		for _, want := range set.LDA {
			c, _ := fitted(t, "lda", set.rows(), Rows{}, set.Classes, Options{Settings: Settings{Shrinkage: want.Shrinkage}, Threads: 2})
			checkLinear(t, "lda, "+want.Solver, c.Linear, want.linearReference, false)
			checkProbabilities(t, "lda", answers(t, c, set.Classes, Rows{Width: len(set.New[0]), Values: slices.Concat(set.New...)}), want.Probabilities)
		}
	}
}

// The logits of the centroids are −½·distance² but for what all classes share, or cosines; the network's answers are the
// softmax of them, scaled.
func TestCentroidsAreThoseOfScikitLearn(t *testing.T) {
	for _, set := range classifierSets(t) {
		for metric, want := range map[string][][]float64{euclidean: set.Centroid.Euclidean, cosine: set.Centroid.Cosine} {
			c, _ := fitted(t, "centroid", set.rows(), Rows{}, set.Classes, Options{Settings: Settings{Metric: metric}})
			got := answers(t, c, set.Classes, Rows{Width: len(set.New[0]), Values: slices.Concat(set.New...)})
			factor := float64(c.Scale)
			if metric == euclidean {
				factor *= -0.5
			}
			for i, row := range want {
				logits := slices.Clone(row)
				for j := range logits {
					logits[j] *= factor
				}
				norm := logSumExp(logits)
				for j, v := range logits {
					if p := math.Exp(v - norm); math.Abs(p-float64(got[i*set.Classes+j])) > 1e-4 {
						t.Fatalf("%s: row %d, class %d: %v, want %v", metric, i, j, got[i*set.Classes+j], p)
					}
				}
			}
		}
	}
}

func TestNeighboursAreThoseOfScikitLearn(t *testing.T) {
	for _, set := range classifierSets(t) {
		for _, want := range set.KNN {
			c, _ := fitted(t, "knn", set.rows(), Rows{}, set.Classes, Options{Settings: Settings{K: []int{5}, Metric: want.Metric, Weighted: want.Weighted}})
			got := answers(t, c, set.Classes, Rows{Width: len(set.New[0]), Values: slices.Concat(set.New...)})
			checkProbabilities(t, "knn, "+want.Metric, got, want.Probabilities)
		}
	}
}

// TestEveryKind goes through the list: each fits with validation rows and without, standardised and not, for any number of
// threads alike, and its network answers new rows well.
func TestEveryKind(t *testing.T) {
	rows := made(480, 12, 3, 1.2, 1)
	for i := range rows.Classes {
		rows.row(i)[2] *= 50 // what standardising takes away
		rows.row(i)[3] = 7   // a feature that never varies
	}
	training, validation, fresh := rows.at(all(120)), rows.at(all(180)[120:]), rows.at(all(480)[180:])
	for _, kind := range Kinds() {
		for _, judged := range []Rows{validation, {Width: 12}} {
			for _, standardise := range []bool{false, true} {
				o := Options{Threads: 1, Standardise: standardise, Groups: make([]int, training.Len())}
				for i := range o.Groups {
					o.Groups[i] = i / 2
				}
				c, steps := fitted(t, kind.Name, training, judged, 3, o)
				o.Threads = 3
				again, stepsAgain := fitted(t, kind.Name, training, judged, 3, o)
				got := answers(t, c, 3, fresh)
				if !slices.Equal(got, answers(t, again, 3, fresh)) || len(steps) != len(stepsAgain) {
					t.Errorf("%s: another number of threads gives another fit", kind.Name)
				}
				right, loss := 0, 0.0
				for i, class := range fresh.Classes {
					row := got[i*3 : (i+1)*3]
					if float64(row[0]+row[1]+row[2]) < 0.999 {
						t.Fatalf("%s: probabilities %v", kind.Name, row)
					}
					if row[class] == slices.Max(row) {
						right++
					}
					loss -= math.Log(max(float64(row[class]), 0.01)) / float64(fresh.Len())
				}
				if !(float64(right) > 0.8*float64(fresh.Len())) && (standardise || kind.Name != "knn" && kind.Name != "centroid") || loss > 1 && standardise {
					t.Errorf("%s, standardised %v: %d of %d right, loss %v", kind.Name, standardise, right, fresh.Len(), loss)
				}
				if n := len(slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return !s.Chosen })); n != 1 {
					t.Errorf("%s: %d of %d steps are chosen", kind.Name, n, len(steps))
				}
			}
		}
	}
}

// Products in float32 give about what those in float64 give, and so do the equations of the rows and of the features.
func TestFormsOfRidgeAgree(t *testing.T) {
	rows := made(3000, 450, 3, 2, 4)
	task, err := newTask(rows, Rows{Width: 450}, 3, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer task.pool.Close()
	if rows.Len()*450*450 <= exactProducts {
		t.Fatal("these rows are few enough for float64")
	}
	mean := meansOf(rows)
	got, err := task.scatter(rows, all(rows.Len()), mean)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range [][2]int{{0, 0}, {3, 100}, {449, 449}, {200, 17}} {
		want := 0.0
		for i := range rows.Len() {
			want += (float64(rows.row(i)[at[0]]) - mean[at[0]]) * (float64(rows.row(i)[at[1]]) - mean[at[1]])
		}
		if math.Abs(got.At(at[0], at[1])-want) > 1e-6*math.Sqrt(got.At(at[0], at[0])*got.At(at[1], at[1])) {
			t.Errorf("element %v is %v, want %v", at, got.At(at[0], at[1]), want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(6, 12).Draw(rt, "rows")
		few := made(n, n, 2, 1, rapid.Uint64().Draw(rt, "seed")) // as many rows as features: the equations of features
		wide := few
		wide.Width, wide.Values = n+1, nil
		for i := range n { // a feature that never varies changes nothing, but there are fewer rows then
			wide.Values = append(append(wide.Values, few.row(i)...), 3)
		}
		penalty := rapid.Float64Range(0.1, 10).Draw(rt, "penalty")
		o := Options{Settings: Settings{Penalties: []float64{penalty}}}
		a, _ := fitted(t, "ridge", few, few, 2, o)
		b, _ := fitted(t, "ridge", wide, wide, 2, o)
		for k := range 2 {
			for j := range n {
				if x, y := a.Linear.Weights[k*n+j], b.Linear.Weights[k*(n+1)+j]; math.Abs(float64(x-y)) > 1e-5 {
					rt.Fatalf("weight %d of class %d: %v and %v", j, k, x, y)
				}
			}
		}
	})
}

// The factor on the logits is where the loss is least.
func TestCalibrationIsTheLeastLoss(t *testing.T) {
	rows := made(200, 5, 3, 2, 9)
	c, steps := fitted(t, "centroid", rows, rows, 3, Options{})
	task, err := newTask(rows, rows, 3, Options{})
	if err != nil {
		t.Fatal(err)
	}
	logits := c.logits(task.pool, rows)
	loss := func(scale float64) (sum float64) {
		for i, class := range rows.Classes {
			row := make([]float64, 3)
			for j := range row {
				row[j] = scale * float64(logits[i*3+j])
			}
			sum += (logSumExp(row) - row[class]) / 200
		}
		return sum
	}
	at := loss(float64(c.Scale))
	if math.Abs(at-steps[0].Loss) > 1e-6 || at > loss(0.8*float64(c.Scale)) || at > loss(1.25*float64(c.Scale)) {
		t.Errorf("scale %v: loss %v, told %v; %v and %v beside it", c.Scale, at, steps[0].Loss, loss(0.8*float64(c.Scale)), loss(1.25*float64(c.Scale)))
	}
	// Logits that make no mistake are not trusted without end.
	easy := made(50, 5, 2, 0.01, 3)
	if c, _ := fitted(t, "centroid", easy, easy, 2, Options{}); math.IsInf(float64(c.Scale), 0) || answers(t, c, 2, easy)[0] == 1 {
		t.Errorf("scale %v", c.Scale)
	}
}

func TestKindsRefuseWhatTheyCannotFit(t *testing.T) {
	rows := made(10, 3, 2, 1, 1)
	for name, c := range map[string]struct {
		kind, want string
		rows       Rows
		o          Options
	}{
		"neighbours": {"knn", "but there are", rows, Options{Settings: Settings{K: []int{11}}}},
		"no rows":    {"ridge", "0 rows", Rows{Width: 3}, Options{}},
		"a class":    {"lda", "class 1 has no training row", Rows{Values: rows.Values[:6], Width: 3, Classes: []int{0, 0}}, Options{}},
		"groups":     {"ridge", "the groups are not", rows, Options{Groups: []int{1}}},
		"too many":   {"lda", "logistic takes more", Rows{Values: make([]float32, 4*(most+1)), Width: most + 1, Classes: []int{0, 1, 0, 1}}, Options{}},
	} {
		k, _ := Find(c.kind)
		if _, _, err := k.Fit(context.Background(), c.rows, Rows{Width: c.rows.Width}, 2, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
