package objective

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// Logits of a student and of a teacher, and classes, whose losses were computed in float64 by other means.
var (
	student = []float32{2, .5, -1, .2, 1.5, .3, -.5, .1, 1.2, 1, 1, -2}
	teacher = []float32{3, 1, -2, 0, 2.5, .5, -1, 0, 2, .5, 2, -1}
)

func taught() nn.Batch {
	return nn.Batch{Teacher: {Float32: slices.Clone(teacher)}, Class: {Int32: []int32{0, 1, 2, 1}}}
}

// TestLossesOfDistillation has the published definitions, to 1e-6.
func TestLossesOfDistillation(t *testing.T) {
	three := nn.Shape{3}
	kd := KD{Temperature: 4}
	for name, c := range map[string]struct {
		o    Objective
		want float64
	}{
		"KD":            {kd, 0.1995199},
		"cross-entropy": {CrossEntropy{}, 0.4570687},
		"0.9 KD + 0.1 CE": {Sum{{Objective: kd, Weight: Constant(0.9)}, {Objective: CrossEntropy{}, Weight: Constant(0.1)}},
			0.2252747},
		"TCKD":         {DKD{Temperature: 4, Alpha: 1}, 0.1287745},
		"NCKD":         {DKD{Temperature: 4, Beta: 1}, 0.1396981},
		"DKD":          {DKD{Temperature: 4, Alpha: 1, Beta: 8}, 1.2463592},
		"RKD distance": {Relation{Of: three, Distance: 1}, 0.0361508},
		"RKD angle":    {Relation{Of: three, Angle: 1}, 0.0445732},
		"RKD":          {Relation{Of: three, Distance: 25, Angle: 50}, 3.1324274},
	} {
		loss, _, _ := newLearning(t, c.o, map[Output][]float32{c.o.Outputs()[0]: student}).run(t, len(c.o.Measures()), taught(), Filling{})
		if math.Abs(loss-c.want) > 1e-6 {
			t.Errorf("%s: %.7f, want %.7f", name, loss, c.want)
		}
		e := c.o.Evaluation(threeWide)
		if err := e.Add(func(Output) []float32 { return student }, taught(), examples); err != nil {
			t.Fatal(err)
		}
		if loss, _ := e.Result(); math.Abs(loss-c.want) > 1e-6 {
			t.Errorf("%s: evaluated as %.7f, want %.7f", name, loss, c.want)
		}
	}
}

// KD = TCKD + (1 − p)·NCKD, the mean over the rows.
func TestDecoupling(t *testing.T) {
	run := func(o Objective, rows ...int) float64 {
		e := o.Evaluation(threeWide)
		targets := nn.Batch{}
		var x, its []float32
		var classes []int32
		for _, i := range rows {
			x, its, classes = append(x, student[3*i:3*i+3]...), append(its, teacher[3*i:3*i+3]...), append(classes, taught()[Class].Int32[i])
		}
		targets[Teacher], targets[Class] = nn.Values{Float32: its}, nn.Values{Int32: classes}
		if err := e.Add(func(Output) []float32 { return x }, targets, len(rows)); err != nil {
			t.Fatal(err)
		}
		loss, _ := e.Result()
		return loss
	}
	var sum float64
	for i, y := range taught()[Class].Int32 {
		log := make([]float64, 3)
		logSoftmax(log, teacher[3*i:3*i+3], 4)
		sum += run(DKD{Temperature: 4, Alpha: 1, Beta: 1 - math.Exp(log[y])}, i) / examples
	}
	if kd := run(KD{Temperature: 4}, 0, 1, 2, 3); math.Abs(kd-sum) > 1e-9 {
		t.Errorf("KD %v, its parts %v", kd, sum)
	}
}

// The size of the gradient hardly depends on the temperature, as long as it is high: T² sees to it.
func TestGradientsDoNotShrinkWithTheTemperature(t *testing.T) {
	size := func(temperature float64) (sum float64) {
		o := KD{Temperature: temperature}
		_, _, gradients := newLearning(t, o, map[Output][]float32{o.output(): student}).run(t, 1, taught(), Filling{})
		for _, d := range gradients[0] {
			sum += math.Abs(float64(d))
		}
		return sum
	}
	if hot, hotter := size(50), size(100); math.Abs(hot/hotter-1) > 0.02 {
		t.Errorf("gradients of %v at temperature 50, %v at 100", hot, hotter)
	}
}

// Where examples are mixed, a student that gives the mixed distribution is right.
func TestMixedTeachers(t *testing.T) {
	o, blend := KD{Temperature: 1}, Blend{Partner: []int{1, 0, 3, 2}, Keep: 0.7}
	p := make([]float64, len(teacher))
	for at := 0; at < len(p); at += 3 {
		logSoftmax(p[at:at+3], teacher[at:at+3], 1)
	}
	x := make([]float32, len(p))
	for i, partner := range blend.Partner {
		for c := range 3 {
			x[3*i+c] = float32(math.Log(0.7*math.Exp(p[3*i+c]) + 0.3*math.Exp(p[3*partner+c])))
		}
	}
	if loss, _, _ := newLearning(t, o, map[Output][]float32{o.output(): x}).run(t, 1, taught(), Filling{Blend: blend}); math.Abs(loss) > 1e-6 {
		t.Errorf("loss %v of the mixed distribution", loss)
	}
	for _, o := range []Objective{DKD{Temperature: 1, Alpha: 1}, Hint{}, Attention{Of: nn.Shape{1, 1, 3}}, Relation{Of: nn.Shape{3}, Angle: 1}} {
		e := o.Evaluation(func(Output) nn.Shape { return nn.Shape{1, 1, 3} }).(*comparedEvaluation)
		if _, err := e.take(taught(), examples, blend); err == nil {
			t.Errorf("%s takes mixed examples", o.Kind())
		}
	}
}

// Of rows whose class is not known the teacher is learned, and nothing else.
func TestUnlabelledRows(t *testing.T) {
	targets := taught()
	targets[Class] = nn.Values{Int32: []int32{0, -1, 2, -1}}
	for _, o := range []Objective{CrossEntropy{Unlabelled: true}, DKD{Temperature: 4, Alpha: 1, Beta: 8}} {
		loss, measured, gradients := newLearning(t, o, map[Output][]float32{o.Outputs()[0]: student}).run(t, len(o.Measures()), targets, Filling{})
		few := nn.Batch{Class: {Int32: []int32{0, 2}}, Teacher: {Float32: slices.Concat(teacher[:3], teacher[6:9])}}
		e := o.Evaluation(threeWide)
		if err := e.Add(func(Output) []float32 { return slices.Concat(student[:3], student[6:9]) }, few, 2); err != nil {
			t.Fatal(err)
		}
		want, measures := e.Result()
		if !near(loss, want) || len(measured) > 0 && !near(measured[0]/examples, measures[0]) {
			t.Errorf("%s: loss %v and measures %v, of the labelled rows %v and %v", o.Kind(), loss, measured, want, measures)
		}
		for i, d := range gradients[0] {
			if (i/3)%2 == 1 && d != 0 {
				t.Errorf("%s: a row without a class has the gradient %v", o.Kind(), d)
			}
		}
	}
	if _, err := newLearning(t, CrossEntropy{}, map[Output][]float32{CrossEntropy{}.output(): student}).loss.Fill(targets, Filling{}); err == nil {
		t.Error("a class of −1 is taken for one")
	}
}

// Extreme logits and equal rows give finite losses and gradients.
func TestExtremes(t *testing.T) {
	far, equal := slices.Clone(student), slices.Repeat([]float32{1, -2, 3}, examples)
	far[0], far[4] = 5000, -5000
	for _, o := range []Objective{KD{Temperature: 1}, DKD{Temperature: 1, Alpha: 1, Beta: 8}, Relation{Of: nn.Shape{3}, Distance: 25, Angle: 50}} {
		for _, x := range [][]float32{far, equal} {
			targets := taught()
			targets[Teacher] = nn.Values{Float32: slices.Concat([]float32{-4000, 3000, 0}, teacher[3:])}
			loss, _, gradients := newLearning(t, o, map[Output][]float32{o.Outputs()[0]: x}).run(t, len(o.Measures()), targets, Filling{})
			if math.IsNaN(loss) || math.IsInf(loss, 0) || !nn.Finite(gradients[0]) {
				t.Errorf("%s: loss %v, gradients %v", o.Kind(), loss, gradients[0])
			}
		}
	}
}

// TestGradientsOfDistillation holds gradients against differences, on outputs of other shapes than the teacher's.
func TestGradientsOfDistillation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		rows := rapid.IntRange(2, 5).Draw(t, "rows")
		normal := func(n int) []float32 {
			out := make([]float32, n)
			for i := range out {
				out[i] = float32(random.NormFloat64())
			}
			return out
		}
		classes := make([]int32, rows)
		for i := range classes {
			classes[i] = int32(random.IntN(5)) - 1
		}
		small, large := nn.Shape{3, 2, 2}, nn.Shape{4, 3, 3}
		for _, c := range []struct {
			o        Objective
			own, its nn.Shape
		}{
			{KD{Temperature: 3}, nn.Shape{4}, nn.Shape{4}},
			{DKD{Temperature: 2, Alpha: 0.5, Beta: 3}, nn.Shape{4}, nn.Shape{4}},
			{Hint{}, small, small},
			{Attention{Of: large}, small, large},
			{Attention{Of: small}, large, small},
			{Relation{Of: nn.Shape{7}, Distance: 2, Angle: 3}, nn.Shape{5}, nn.Shape{7}},
		} {
			shape := func(Output) nn.Shape { return c.own }
			if err := c.o.Check(shape); err != nil {
				t.Fatal(err)
			}
			comparison := c.o.Evaluation(shape).(*comparedEvaluation).comparison
			if _, err := comparison.take(nn.Batch{Teacher: {Float32: normal(rows * c.its.Size())}, Class: {Int32: classes}}, rows, Blend{}); err != nil {
				t.Fatal(err)
			}
			x := normal(rows * c.own.Size())
			dx := make([]float64, len(x))
			comparison.sum(dx, x)
			for i, v := range x {
				const h = 1.0 / 512
				x[i] = v + h
				above := comparison.sum(nil, x)
				x[i] = v - h
				below := comparison.sum(nil, x)
				x[i] = v
				if want := (above - below) / (2 * h); math.Abs(dx[i]-want) > 1e-3*(1+math.Abs(want)) {
					t.Fatalf("%s: gradient %d is %v, differences give %v", c.o.Kind(), i, dx[i], want)
				}
			}
		}
	})
}

// Judged trains with one objective and tells what another finds.
func TestJudged(t *testing.T) {
	o := Judged{Sum{{Objective: CrossEntropy{}, Weight: Constant(0.1)}, {Name: "kd", Objective: KD{Temperature: 4}, Weight: Constant(0.9)}}, CrossEntropy{}}
	loss, measured, _ := newLearning(t, o, map[Output][]float32{o.Outputs()[0]: student}).run(t, len(o.Measures()), taught(), Filling{})
	e := o.Evaluation(threeWide)
	if err := e.Add(func(Output) []float32 { return student }, taught(), examples); err != nil {
		t.Fatal(err)
	}
	judged, measures := e.Result()
	if !near(loss, 0.2252747) || !near(judged, 0.4570687) || len(measured) != 1 || measured[0] != examples*measures[0] {
		t.Errorf("loss %v, judged %v; measures %v and %v", loss, judged, measured, measures)
	}
	if err := (Judged{KD{Temperature: 4}, CrossEntropy{}}).Check(threeWide); err == nil {
		t.Error("what is judged does not report what it is judged by")
	}
}

// TestStepsAreThoseOfPyTorch goes down the gradient for 30 steps, as distillation.py does with PyTorch.
func TestStepsAreThoseOfPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/distillation.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Own, Its, Student, Teacher []float64
		Losses, Last               []float64
		Rate                       float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	cases := map[string]Objective{
		"kd": KD{Temperature: 4}, "dkd": DKD{Temperature: 4, Alpha: 1, Beta: 8}, "fitnet": Hint{},
		"at": Attention{Of: nn.Shape{4, 4, 3}}, "at, smaller teacher": Attention{Of: nn.Shape{2, 2, 3}}, "rkd": Relation{Of: nn.Shape{7}, Distance: 25, Angle: 50},
		"kd and labels": Sum{{Objective: KD{Temperature: 4}, Weight: Constant(0.9)}, {Objective: CrossEntropy{}, Weight: Constant(0.1)}},
	}
	if len(want) != len(cases) {
		t.Errorf("%d cases, PyTorch has %d", len(cases), len(want))
	}
	for name, o := range cases {
		w := want[name]
		own := make(nn.Shape, len(w.Own))
		for i, n := range w.Own {
			own[i] = int(n)
		}
		x, classes := narrow(w.Student), []int32{0, 1, 2, 1, 0, 2}
		targets := nn.Batch{Teacher: {Float32: narrow(w.Teacher)}, Class: {Int32: classes}}
		if err := o.Check(func(Output) nn.Shape { return own }); err != nil {
			t.Fatal(err)
		}
		g := graph.New(nil, nil)
		node := g.Learned("x", append([]int{len(classes)}, own...), x)
		loss := o.Loss(Place{Graph: g, Batch: len(classes), Output: func(Output) *graph.Node { return node }})
		g.Differentiate(loss.Node())
		if err := g.Compile(loss.Kept()...); err != nil {
			t.Fatal(err)
		}
		l := learning{Graph: g, loss: loss}
		for step := range 30 {
			got, _, gradients := l.run(t, len(o.Measures()), targets, Filling{})
			if math.Abs(got-w.Losses[step]) > 1e-5*(1+math.Abs(w.Losses[step])) {
				t.Fatalf("%s, step %d: loss %v, PyTorch has %v", name, step, got, w.Losses[step])
			}
			for i, d := range gradients[0] {
				x[i] -= float32(w.Rate * float64(d))
			}
		}
		for i, v := range x {
			if math.Abs(float64(v)-w.Last[i]) > 2e-5*(1+math.Abs(w.Last[i])) {
				t.Fatalf("%s: number %d is %v after 30 steps, PyTorch has %v", name, i, v, w.Last[i])
			}
		}
	}
}
