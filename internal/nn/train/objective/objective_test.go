package objective

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

const examples, width = 4, 3

func threeWide(Output) nn.Shape { return nn.Shape{width} }

// reference is what PyTorch has.
type reference struct {
	Output   []float64
	Loss     float64
	Gradient []float64
}

func references(t *testing.T) map[string]reference {
	t.Helper()
	text, err := os.ReadFile("testdata/losses.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]reference
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// truth are the targets that the PyTorch script has.
func truth() nn.Batch {
	numbers := make([]float32, examples*width)
	for i := range numbers {
		numbers[i] = float32((17*i+5)%61-30) / 8
	}
	return nn.Batch{
		Class:   {Int32: []int32{2, 0, 1, 1}},
		Classes: {Float32: []float32{1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0}},
		Numbers: {Float32: numbers},
	}
}

// learning is an objective in a graph whose outputs are the parameters.
type learning struct {
	*graph.Graph
	loss Loss
}

func newLearning(t *testing.T, o Objective, outputs map[Output][]float32) *learning {
	t.Helper()
	g := graph.New(nil, nil)
	if err := o.Check(threeWide); err != nil {
		t.Fatal(err)
	}
	nodes := map[Output]*graph.Node{}
	for _, out := range o.Outputs() {
		nodes[out] = g.Learned("output "+out.Layer, []int{examples, width}, slices.Clone(outputs[out]))
	}
	l := &learning{Graph: g}
	l.loss = o.Loss(Place{Graph: g, Batch: examples, Output: func(o Output) *graph.Node { return nodes[o] }})
	g.Differentiate(l.loss.Node())
	if err := g.Compile(l.loss.Kept()...); err != nil {
		t.Fatal(err)
	}
	return l
}

// run returns the loss, divided by its mass, the sums of the measures and the gradients.
func (l *learning) run(t *testing.T, measures int, targets nn.Batch, f Filling) (loss float64, measured []float64, gradients [][]float32) {
	t.Helper()
	mass, err := l.loss.Fill(targets, f)
	if err != nil {
		t.Fatal(err)
	}
	l.loss.DivideBy(max(mass, 1))
	if err := l.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	measured = make([]float64, measures)
	l.loss.Measure(measured)
	for _, p := range l.Parameters() {
		grad, err := p.Grad()
		if err != nil {
			t.Fatal(err)
		}
		gradients = append(gradients, slices.Clone(grad.Data().([]float32)))
	}
	return float64(l.Data(l.loss.Node())[0]), measured, gradients
}

func near(a, b float64) bool { return math.Abs(a-b) <= 2e-6*(1+math.Abs(b)) }

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func TestLossesAreThoseOfPyTorch(t *testing.T) {
	weights := []float64{0.5, 1, 2.5}
	cases := map[string]Objective{
		"cross_entropy":                  CrossEntropy{},
		"cross_entropy, weighted":        CrossEntropy{ClassWeights: weights},
		"cross_entropy, smoothed":        CrossEntropy{ClassWeights: weights, Smoothing: 0.2},
		"binary_cross_entropy":           BinaryCrossEntropy{},
		"binary_cross_entropy, weighted": BinaryCrossEntropy{PositiveWeights: weights},
		"binary_cross_entropy, smoothed": BinaryCrossEntropy{Smoothing: 0.2},
		"squared_error":                  SquaredError{},
		"squared_error, scaled":          SquaredError{Scales: []float64{0.5, 2, 4}},
	}
	all := references(t)
	if len(all) != len(cases) {
		t.Errorf("%d cases, PyTorch has %d", len(cases), len(all))
	}
	checked := map[string]bool{Sum{}.Kind(): true, Tasks{}.Kind(): true} // below; by tasks_test.go of package train
	for _, o := range []Objective{DeepCORAL{}, MMD{}, JointMMD{}, Discrimination{}, ClassConfusion{}, Information{}, Consistency{}} {
		checked[o.Kind()] = true // by TestAdaptsAsPyTorchDoes of package train, on batches of two domains
	}
	for _, o := range []Objective{KD{}, DKD{}, Hint{}, Attention{}, Relation{}, Judged{}} { // in distillation_test.go
		checked[o.Kind()] = true
	}
	for _, c := range metricObjectives(metricReferences(t)) { // in metric_test.go
		checked[c.o.Kind()] = true
	}
	for name, o := range cases {
		checked[o.Kind()] = true
		want := all[name]
		x := narrow(want.Output)
		outputs := map[Output][]float32{o.Outputs()[0]: x}
		loss, measured, gradients := newLearning(t, o, outputs).run(t, len(o.Measures()), truth(), Filling{})
		if !near(loss, want.Loss) {
			t.Errorf("%s: loss %v, PyTorch has %v", name, loss, want.Loss)
		}
		for i, d := range gradients[0] {
			if !near(float64(d), want.Gradient[i]) {
				t.Errorf("%s: gradient %d is %v, PyTorch has %v", name, i, d, want.Gradient[i])
			}
		}
		// An evaluation has the loss without weights of classes and smoothing, and the same measures.
		kind, option, _ := strings.Cut(name, ", ")
		plain := want.Loss
		if option != "scaled" {
			plain = all[kind].Loss
		}
		e := o.Evaluation(threeWide)
		for half := range 2 {
			targets := nn.Batch{}
			for name, values := range truth() {
				if e := len(values.Int32) / 2; e > 0 {
					targets[name] = nn.Values{Int32: values.Int32[half*e : (half+1)*e]}
				} else {
					e := len(values.Float32) / 2
					targets[name] = nn.Values{Float32: values.Float32[half*e : (half+1)*e]}
				}
			}
			part := x[half*examples/2*width : (half+1)*examples/2*width]
			if err := e.Add(func(Output) []float32 { return part }, targets, examples/2); err != nil {
				t.Fatal(err)
			}
		}
		got, measures := e.Result()
		if !near(got, plain) || !near(measures[0], measured[0]/examples) {
			t.Errorf("%s: evaluated loss %v and measure %v, want %v and %v", name, got, measures[0], plain, measured[0]/examples)
		}
	}
	for _, o := range Objectives() {
		if !checked[o.Kind()] {
			t.Errorf("%s is held against no reference", o.Kind())
		}
	}
}

// What is not known does not count, in training and evaluation, and has no gradient.
func TestUnknownTargets(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		o      Objective
		target string
	}{{BinaryCrossEntropy{}, Classes}, {SquaredError{}, Numbers}} {
		x := narrow(references(t)[c.o.Kind()].Output)
		targets := truth()
		y := targets[c.target].Float32
		for _, at := range []int{1, 6, 7, 8} { // a whole example among them
			y[at] = nan
		}
		output := c.o.Outputs()[0]
		loss, _, gradients := newLearning(t, c.o, map[Output][]float32{output: x}).run(t, 1, targets, Filling{})
		var want float64
		for i := range y {
			if y[i] == y[i] {
				d := float64(x[i]) - float64(y[i])
				if c.target == Classes {
					p := 1 / (1 + math.Exp(-float64(x[i])))
					want -= (float64(y[i])*math.Log(p) + (1-float64(y[i]))*math.Log(1-p)) / 8
				} else {
					want += d * d / 8
				}
			} else if gradients[0][i] != 0 {
				t.Errorf("%s: gradient %v of what is not known", c.o.Kind(), gradients[0][i])
			}
		}
		if !near(loss, want) {
			t.Errorf("%s: loss %v, want %v", c.o.Kind(), loss, want)
		}
		e := c.o.Evaluation(threeWide)
		if err := e.Add(func(Output) []float32 { return x }, targets, examples); err != nil {
			t.Fatal(err)
		}
		if got, _ := e.Result(); !near(got, want) {
			t.Errorf("%s: evaluated loss %v, want %v", c.o.Kind(), got, want)
		}
		for i := range y {
			y[i] = nan
		}
		if loss, _, _ := newLearning(t, c.o, map[Output][]float32{output: x}).run(t, 1, targets, Filling{}); loss != 0 {
			t.Errorf("%s: loss %v of nothing", c.o.Kind(), loss)
		}
	}
}

// Examples without a class do not count where that is allowed, and are refused where it is not.
func TestUnlabelledExamples(t *testing.T) {
	x := narrow(references(t)["cross_entropy"].Output)
	targets := nn.Batch{Class: {Int32: []int32{2, Unknown, 1, Unknown}}}
	output := CrossEntropy{}.Outputs()[0]
	loss, measured, gradients := newLearning(t, CrossEntropy{Unlabelled: true}, map[Output][]float32{output: x}).run(t, 1, targets, Filling{})
	want := (crossEntropyOf(x[:3], 2) + crossEntropyOf(x[6:9], 1)) / 2
	correct, known := countCorrect(x, targets[Class].Int32)
	if !near(loss, want) || known != 2 || measured[0] != float64(correct)/2*examples {
		t.Errorf("loss %v, want %v; %v of %d right, measured %v", loss, want, correct, known, measured[0])
	}
	for _, i := range []int{3, 4, 5, 9, 10, 11} {
		if gradients[0][i] != 0 {
			t.Errorf("gradient %d of an example without a class is %v", i, gradients[0][i])
		}
	}
	e := CrossEntropy{Unlabelled: true}.Evaluation(threeWide)
	if err := e.Add(func(Output) []float32 { return x }, targets, examples); err != nil {
		t.Fatal(err)
	}
	if got, measures := e.Result(); !near(got, want) || measures[0] != float64(correct)/2 {
		t.Errorf("evaluated loss %v and accuracy %v", got, measures[0])
	}
	if _, err := newLearning(t, CrossEntropy{}, map[Output][]float32{output: x}).loss.Fill(targets, Filling{}); err == nil {
		t.Error("an example without a class was taken")
	}
}

// A batch of one domain has no distance of two; a domain that is none is refused.
func TestBatchesOfOneDomain(t *testing.T) {
	x := narrow(references(t)["cross_entropy"].Output)
	for _, o := range []Objective{DeepCORAL{}, MMD{}, JointMMD{}} {
		l := newLearning(t, o, map[Output][]float32{o.Outputs()[0]: x})
		if mass, err := l.loss.Fill(nn.Batch{Domain: {Int32: make([]int32, examples)}}, Filling{}); mass != 0 || err != nil {
			t.Errorf("%s: mass %v, %v", o.Kind(), mass, err)
		}
		if _, err := l.loss.Fill(nn.Batch{Domain: {Int32: []int32{0, 1, 2, 0}}}, Filling{}); err == nil {
			t.Errorf("%s took a third domain", o.Kind())
		}
	}
}

// A sum is the weighted sum of its terms, whose weights follow the steps.
func TestSum(t *testing.T) {
	terms := []Objective{CrossEntropy{Output: "a", ClassWeights: []float64{0.5, 1, 2.5}}, SquaredError{Output: "b"}, BinaryCrossEntropy{Output: "a"}}
	outputs := map[Output][]float32{}
	for i, o := range terms {
		x := narrow(references(t)["squared_error"].Output)
		if o.Outputs()[0].Layer == "b" {
			for j := range x {
				x[j] += float32(i)
			}
		}
		outputs[o.Outputs()[0]] = x
	}
	falling := schedule.Cosine(0.25)
	s := Sum{
		{Name: "kind", Objective: terms[0]},
		{Objective: terms[1], Weight: falling.Factor},
		{Name: "several", Objective: terms[2], Weight: Constant(0.5), TrainingOnly: true},
	}
	var names []string
	for _, m := range s.Measures() {
		names = append(names, m.Name)
	}
	if want := []string{"kind.accuracy", "kind.loss", "mean_absolute_error", "several.accuracy", "several.loss"}; !slices.Equal(names, want) {
		t.Fatalf("measures %v, want %v", names, want)
	}
	l := newLearning(t, s, outputs)
	for _, at := range []schedule.Position{{Epochs: 4, Steps: 10}, {Epoch: 1, Epochs: 4, Step: 5, Steps: 10}, {Epoch: 3, Epochs: 4, Step: 9, Steps: 10}} {
		loss, measured, gradients := l.run(t, len(names), truth(), Filling{At: at})
		weights := []float64{1, falling.Factor(at), 0.5}
		var want float64
		var measures []float64
		gradient := map[string][]float64{"a": make([]float64, examples*width), "b": make([]float64, examples*width)}
		for i, o := range terms {
			own, m, g := newLearning(t, o, outputs).run(t, 1, truth(), Filling{})
			want += weights[i] * own
			for j, d := range g[0] {
				gradient[o.Outputs()[0].Layer][j] += weights[i] * float64(d)
			}
			measures = append(measures, m...)
			if s[i].Name != "" {
				measures = append(measures, own*examples)
			}
		}
		if !near(loss, want) {
			t.Errorf("at %+v: loss %v, want %v", at, loss, want)
		}
		for i, layer := range []string{"a", "b"} {
			for j, d := range gradients[i] {
				if !near(float64(d), gradient[layer][j]) {
					t.Errorf("at %+v: gradient %d of %s is %v, want %v", at, j, layer, d, gradient[layer][j])
				}
			}
		}
		for i, m := range measured {
			if !near(m, measures[i]) {
				t.Errorf("%s is %v, want %v", names[i], m, measures[i])
			}
		}
	}
	e := s.Evaluation(threeWide)
	if err := e.Add(func(o Output) []float32 { return outputs[o] }, truth(), examples); err != nil {
		t.Fatal(err)
	}
	alone := func(o Objective) float64 {
		e := o.Evaluation(threeWide)
		if err := e.Add(func(o Output) []float32 { return outputs[o] }, truth(), examples); err != nil {
			t.Fatal(err)
		}
		loss, _ := e.Result()
		return loss
	}
	loss, measures := e.Result()
	if want := alone(terms[0]) + 0.25*alone(terms[1]); !near(loss, want) {
		t.Errorf("evaluated loss %v, want %v", loss, want)
	}
	if len(measures) != len(names) || measures[1] != alone(terms[0]) || !math.IsNaN(measures[4]) {
		t.Errorf("evaluated measures %v", measures)
	}
}

// Mixed targets have the loss of both labels, each by its share.
func TestBlend(t *testing.T) {
	blend := Blend{Partner: []int{1, 0, 3, 2}, Keep: 0.75}
	for _, o := range []Objective{CrossEntropy{}, BinaryCrossEntropy{}} {
		outputs := map[Output][]float32{o.Outputs()[0]: narrow(references(t)[o.Kind()].Output)}
		swapped := truth()
		for name, values := range truth() {
			n := max(len(values.Float32), len(values.Int32)) / examples
			for i, p := range blend.Partner {
				copy(swapped[name].Float32[min(i*n, len(values.Float32)):], values.Float32[min(p*n, len(values.Float32)):min((p+1)*n, len(values.Float32))])
				copy(swapped[name].Int32[min(i*n, len(values.Int32)):], values.Int32[min(p*n, len(values.Int32)):min((p+1)*n, len(values.Int32))])
			}
		}
		l := newLearning(t, o, outputs)
		own, _, _ := l.run(t, 1, truth(), Filling{})
		other, _, _ := l.run(t, 1, swapped, Filling{})
		mixed, _, _ := l.run(t, 1, truth(), Filling{Blend: blend})
		if want := 0.75*own + 0.25*other; !near(mixed, want) || near(own, other) {
			t.Errorf("%s: loss %v, want %v of %v and %v", o.Kind(), mixed, want, own, other)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	maps := func(Output) nn.Shape { return nn.Shape{2, 2, 3} }
	for _, c := range []struct {
		o     Objective
		shape Shapes
		want  string
	}{
		{CrossEntropy{}, maps, "must be a vector"},
		{BinaryCrossEntropy{}, maps, "must be a vector"},
		{SquaredError{}, func(Output) nn.Shape { return nil }, "must be a vector"},
		{CrossEntropy{Smoothing: math.NaN()}, threeWide, "smoothing"},
		{CrossEntropy{ClassWeights: []float64{1}}, threeWide, "1 class weights for 3"},
		{BinaryCrossEntropy{Smoothing: 1}, threeWide, "smoothing"},
		{BinaryCrossEntropy{PositiveWeights: []float64{1, 2, 0}}, threeWide, "above 0"},
		{BinaryCrossEntropy{PositiveWeights: []float64{1, 2}}, threeWide, "2 weights for 3"},
		{SquaredError{Scales: []float64{1, 2, math.Inf(1)}}, threeWide, "above 0"},
		{SquaredError{Scales: []float64{1, 2}}, threeWide, "2 scales for 3"},
		{Sum{}, threeWide, "no objectives"},
		{Sum{{Objective: CrossEntropy{}}, {Objective: BinaryCrossEntropy{}}}, threeWide, `report "accuracy"`},
		{Sum{{Objective: SquaredError{Target: "x"}}, {Name: "b", Objective: CrossEntropy{Target: "x"}}}, threeWide, `target "x"`},
		{Sum{{Objective: SquaredError{Scales: []float64{-1}}}}, threeWide, "scales"},
	} {
		if err := c.o.Check(c.shape); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	for _, c := range []struct {
		o       Objective
		targets nn.Batch
		want    string
	}{
		{CrossEntropy{}, nn.Batch{Class: {Int32: []int32{0, 1, 3, 0}}}, "of class 3"},
		{CrossEntropy{}, nn.Batch{Class: {Int32: []int32{0, 1, -1, 0}}}, "of class -1"},
		{BinaryCrossEntropy{}, nn.Batch{Classes: {Float32: slices.Repeat([]float32{2}, 12)}}, "from 0 to 1"},
		{SquaredError{}, nn.Batch{Numbers: {Float32: slices.Repeat([]float32{float32(math.Inf(1))}, 12)}}, "infinite"},
		{Sum{{Objective: CrossEntropy{}, Weight: Constant(math.NaN())}}, truth(), "weight of objective 1"},
	} {
		outputs := map[Output][]float32{c.o.Outputs()[0]: make([]float32, examples*width)}
		if _, err := newLearning(t, c.o, outputs).loss.Fill(c.targets, Filling{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}
