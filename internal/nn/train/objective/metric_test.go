package objective

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// metricCase is what PyTorch has of a loss: testdata/metric.py.
type metricCase struct {
	Loss              float64
	Inputs, Gradients [][]float64
}

type metricReference struct {
	Rows, Width   int
	Classes, Keys []int32
	Cases         map[string]metricCase
}

func metricReferences(t *testing.T) (r metricReference) {
	t.Helper()
	text, err := os.ReadFile("testdata/metric.json")
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// metricLoss is a loss in a graph whose outputs are the parameters.
type metricLoss struct {
	*graph.Graph
	Loss
}

func newMetricLoss(t *testing.T, pool *kernel.Pool, o Objective, rows, width int, outputs ...[]float32) metricLoss {
	t.Helper()
	if err := o.Check(func(Output) nn.Shape { return nn.Shape{width} }); err != nil {
		t.Fatal(err)
	}
	g := graph.New(pool, nil)
	nodes := map[Output]*graph.Node{}
	for i, of := range o.Outputs() {
		nodes[of] = g.Learned("output "+of.Layer, []int{rows, width}, outputs[i])
	}
	l := metricLoss{g, o.Loss(Place{Graph: g, Batch: rows, Output: func(o Output) *graph.Node { return nodes[o] }})}
	g.Differentiate(l.Node())
	if err := g.Compile(l.Kept()...); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l metricLoss) run(t *testing.T, targets nn.Batch, own []float64) (loss float64, gradients [][]float32) {
	t.Helper()
	mass, err := l.Fill(targets, Filling{Own: own})
	if err != nil {
		t.Fatal(err)
	}
	l.DivideBy(max(mass, 1))
	if err := l.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Parameters() {
		grad, err := p.Grad()
		if err != nil {
			t.Fatal(err)
		}
		gradients = append(gradients, slices.Clone(grad.Data().([]float32)))
	}
	return float64(l.Data(l.Node())[0]), gradients
}

// metricObjectives are the cases of the script. own are how many of a case's inputs, the last ones, are numbers of the objective.
func metricObjectives(r metricReference) map[string]struct {
	o   Objective
	own int
} {
	type entry = struct {
		o   Objective
		own int
	}
	margin := func(by, scale float64, cosine bool) entry {
		return entry{Margin{Classes: 4, Width: r.Width, Margin: by, Scale: scale, Cosine: cosine}, 1}
	}
	return map[string]entry{
		"supervised_contrastive": {SupervisedContrastive{Temperature: 0.1}, 0},
		"triplet":                {Triplet{Margin: 0.2}, 0},
		"prototypical":           {Prototypical{Temperature: 0.5}, 0},
		"arcface":                margin(0.5, 16, false),
		"arcface, wide":          margin(2, 16, false),
		"cosface":                margin(0.35, 16, true),
		"infonce":                {Pairs{First: "a", Second: "b"}, 1},
		"siglip":                 {Pairs{First: "a", Second: "b", Sigmoid: true}, 2},
	}
}

func TestMetricLossesAreThoseOfPyTorch(t *testing.T) {
	r := metricReferences(t)
	cases := metricObjectives(r)
	if len(cases) != len(r.Cases) {
		t.Errorf("%d cases, PyTorch has %d", len(cases), len(r.Cases))
	}
	for name, c := range cases {
		want := r.Cases[name]
		targets := nn.Batch{Class: {Int32: r.Classes}}
		if _, pairs := c.o.(Pairs); pairs {
			targets[Class] = nn.Values{Int32: r.Keys}
		}
		embeddings := len(want.Inputs) - c.own
		var outputs [][]float32
		for _, x := range want.Inputs[:embeddings] {
			outputs = append(outputs, narrow(x))
		}
		var own []float64
		for _, x := range want.Inputs[embeddings:] {
			own = append(own, x...)
		}
		numbers := len(own)
		if numbers > 0 {
			own = append(own, make([]float64, adamSize(numbers)-numbers)...)
			if a := c.o.(Adaptive).Own(); len(a) != len(own) {
				t.Errorf("%s: %d numbers of its own, want %d", name, len(a), len(own))
			}
		}
		l := newMetricLoss(t, nil, c.o, r.Rows, r.Width, outputs...)
		loss, gradients := l.run(t, targets, own)
		if !near(loss, want.Loss) {
			t.Errorf("%s: loss %v, PyTorch has %v", name, loss, want.Loss)
		}
		for k, gradient := range gradients {
			for i, d := range gradient {
				if !near(float64(d), want.Gradients[k][i]) {
					t.Errorf("%s: gradient %d of input %d is %v, PyTorch has %v", name, i, k, d, want.Gradients[k][i])
				}
			}
		}
		if numbers > 0 { // the first step of Adam goes against the sign of the gradient, at the rate
			before := slices.Clone(own)
			l.Loss.(Adapting).Adapt(own, Adaption{Rate: 0.01})
			at := 0
			for _, gradient := range want.Gradients[embeddings:] {
				for _, g := range gradient {
					if step := own[at] - before[at]; math.Abs(g) > 1e-5 && math.Abs(step+math.Copysign(0.01, g)) > 1e-3*0.01 {
						t.Errorf("%s: own number %d moved by %v, its gradient is %v", name, at, step, g)
					}
					// Adam keeps a tenth of the first gradient.
					if got := own[numbers+at] * 10; !near(got, g) {
						t.Errorf("%s: gradient of own number %d is %v, PyTorch has %v", name, at, got, g)
					}
					at++
				}
			}
		}
		if _, margin := c.o.(Margin); margin {
			continue
		}
		e := c.o.Evaluation(func(Output) nn.Shape { return nn.Shape{r.Width} })
		values := func(o Output) []float32 { return outputs[slices.Index(c.o.Outputs(), o)] }
		if err := e.Add(values, targets, r.Rows); err != nil {
			t.Fatal(err)
		}
		if got, _ := e.Result(); !near(got, want.Loss) {
			t.Errorf("%s: evaluated loss %v, PyTorch has %v", name, got, want.Loss)
		}
	}
}

// Gradients are what the loss changes by, at other sizes than the reference's and with rows of no known class.
func TestGradientsOfMetricLosses(t *testing.T) {
	const rows, width = 14, 6
	draw := func(seed uint64) []float32 {
		random := rand.New(rand.NewPCG(seed, 4))
		x := make([]float32, rows*width)
		for i := range x {
			x[i] = float32(random.NormFloat64()) / 3
		}
		return x
	}
	classes := []int32{0, 1, 2, 0, 1, 2, Unknown, 0, 1, 2, 3, 0, Unknown, 1}
	keys := []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 12, 13}
	for name, o := range map[string]Objective{
		"supervised_contrastive": SupervisedContrastive{Temperature: 0.3},
		"triplet":                Triplet{Margin: 0.5},
		"prototypical":           Prototypical{Temperature: 1},
		"arcface":                Margin{Classes: 4, Width: width, Margin: 0.3, Scale: 8, Seed: 5},
		"cosface":                Margin{Classes: 4, Width: width, Margin: 0.3, Scale: 8, Cosine: true, Seed: 5},
		"infonce":                Pairs{First: "a", Second: "b"},
		"siglip":                 Pairs{First: "a", Second: "b", Sigmoid: true},
	} {
		targets := nn.Batch{Class: {Int32: classes}}
		outputs := [][]float32{draw(3)} // near which no triplet has another negative
		if _, pairs := o.(Pairs); pairs {
			targets[Class] = nn.Values{Int32: keys}
			outputs = append(outputs, draw(5))
		}
		var own []float64
		if a, adaptive := o.(Adaptive); adaptive {
			own = a.Own()
		}
		l := newMetricLoss(t, nil, o, rows, width, outputs...)
		_, gradients := l.run(t, targets, own)
		for k, x := range outputs {
			for i := 0; i < len(x); i += 5 {
				const h = 1e-3
				before := x[i]
				x[i] = before + h
				above, _ := l.run(t, targets, own)
				x[i] = before - h
				below, _ := l.run(t, targets, own)
				x[i] = before
				slope := (above - below) / (2 * h)
				if d := float64(gradients[k][i]); math.Abs(d-slope) > 2e-3*(1+math.Abs(slope)) {
					t.Errorf("%s: gradient %d of input %d is %v, the loss changes by %v", name, i, k, d, slope)
				}
			}
		}
	}
}

// A batch in which nothing can be compared has no loss and no gradient.
func TestNothingToCompare(t *testing.T) {
	x := []float32{1, 0, 0, 1, 0.6, 0.8}
	for name, o := range map[string]Objective{
		"supervised_contrastive": SupervisedContrastive{Temperature: 0.1}, "triplet": Triplet{Margin: 0.2}, "prototypical": Prototypical{Temperature: 1},
	} {
		for _, classes := range [][]int32{{0, 1, 2}, {Unknown, Unknown, Unknown}} {
			l := newMetricLoss(t, nil, o, 3, 2, slices.Clone(x))
			loss, gradients := l.run(t, nn.Batch{Class: {Int32: classes}}, nil)
			if loss != 0 || slices.ContainsFunc(gradients[0], func(d float32) bool { return d != 0 }) {
				t.Errorf("%s of classes %v: loss %v, gradient %v", name, classes, loss, gradients[0])
			}
		}
	}
	l := newMetricLoss(t, nil, Triplet{Margin: 0.2}, 3, 2, slices.Clone(x))
	if loss, _ := l.run(t, nn.Batch{Class: {Int32: []int32{1, 1, 1}}}, nil); loss != 0 {
		t.Errorf("triplets of one class have loss %v", loss)
	}
}

// The loss of many pairs, its gradients and what is right do not depend on the number of threads, and the accuracy is that of
// counting.
func TestManyPairs(t *testing.T) {
	const rows, width = 200, 16
	random := rand.New(rand.NewPCG(1, 2))
	unit := func() []float32 {
		x := make([]float32, rows*width)
		for i := range rows {
			var sum float64
			for k := range width {
				v := random.NormFloat64()
				x[i*width+k] = float32(v)
				sum += v * v
			}
			for k := range width {
				x[i*width+k] /= float32(math.Sqrt(sum))
			}
		}
		return x
	}
	a, b := unit(), unit()
	copy(b[:rows/2*width], a) // half of the pairs are equal
	keys := make([]int32, rows)
	for i := range keys {
		keys[i] = int32(i)
	}
	pool := kernel.NewPool(3)
	defer pool.Close()
	o := Pairs{First: "a", Second: "b"}
	one := newMetricLoss(t, nil, o, rows, width, slices.Clone(a), slices.Clone(b))
	several := newMetricLoss(t, pool, o, rows, width, slices.Clone(a), slices.Clone(b))
	targets := nn.Batch{Class: {Int32: keys}}
	loss, gradients := one.run(t, targets, o.Own())
	again, same := several.run(t, targets, o.Own())
	if loss != again || !slices.Equal(gradients[0], same[0]) || !slices.Equal(gradients[1], same[1]) {
		t.Errorf("loss %v, with several threads %v", loss, again)
	}
	sums := []float64{0}
	one.Measure(sums)
	want := 0.0
	for i := range rows {
		row, column := 0.5, 0.5
		own := product(a[i*width:(i+1)*width], b[i*width:(i+1)*width])
		for j := range rows {
			if i != j && product(a[i*width:(i+1)*width], b[j*width:(j+1)*width]) >= own {
				row = 0
			}
			if i != j && product(a[j*width:(j+1)*width], b[i*width:(i+1)*width]) >= own {
				column = 0
			}
		}
		want += row + column
	}
	if sums[0] != want || want < rows/4 {
		t.Errorf("%v right, want %v", sums[0], want)
	}
	// The loss is that of adding up exponentials in float64, where those of float32 suffice and where they do not.
	for _, scale := range []float64{5, 100} {
		own := o.Own()
		own[0] = math.Log(scale)
		got, gradients := one.run(t, targets, own)
		sums := make([]float64, 2*rows)
		z := func(i, j int) float64 { return scale * product(a[i*width:(i+1)*width], b[j*width:(j+1)*width]) }
		for i := range rows {
			for j := range rows {
				sums[i] += math.Exp(z(i, j))
				sums[rows+j] += math.Exp(z(i, j))
			}
		}
		want := 0.0
		gradient := make([]float64, width) // of row 7
		for i := range rows {
			want += (math.Log(sums[i]) + math.Log(sums[rows+i]) - 2*z(i, i)) / 2 / rows
			g := math.Exp(z(7, i)) / 2 * (1/sums[7] + 1/sums[rows+i])
			if i == 7 {
				g--
			}
			for k := range width {
				gradient[k] += g * scale * float64(b[i*width+k]) / rows
			}
		}
		if math.Abs(got-want) > 1e-5*want {
			t.Errorf("scale %v: loss %v, want %v", scale, got, want)
		}
		for k, d := range gradient {
			if math.Abs(float64(gradients[0][7*width+k])-d) > 1e-6 {
				t.Errorf("scale %v: gradient %d is %v, want %v", scale, k, gradients[0][7*width+k], d)
			}
		}
	}
}
