package optimizer

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// parameter is a vector with a gradient.
type parameter struct {
	name            string
	value, gradient *tensor.Dense
}

func newParameter(name string, values ...float32) *parameter {
	return &parameter{
		name:     name,
		value:    tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values)),
		gradient: tensor.New(tensor.WithShape(len(values)), tensor.Of(tensor.Float32)),
	}
}

func (p *parameter) Name() string                  { return p.name }
func (p *parameter) Value() gorgonia.Value         { return p.value }
func (p *parameter) Grad() (gorgonia.Value, error) { return p.gradient, nil }
func (p *parameter) weights() []float32            { return p.value.Data().([]float32) }
func (p *parameter) gradients() []float32          { return p.gradient.Data().([]float32) }

// fixture is the pair of parameters that the PyTorch script has.
func fixture() (a, b *parameter, all []gorgonia.ValueGrad) {
	a, b = newParameter("a", 0.5, -1, 2), newParameter("b", 1.5, -0.25)
	return a, b, []gorgonia.ValueGrad{a, b}
}

func setGradients(t int, a, b *parameter) {
	i := 0
	for _, p := range []*parameter{a, b} {
		for j := range p.gradients() {
			p.gradients()[j] = float32((7*t+13*i)%19-9) / 8
			i++
		}
	}
}

func rateAt(t int) float64 {
	if t < 25 {
		return 0.05
	}
	return 0.02
}

var cases = map[string]Options{
	"sgd":                       {Rule: SGD{}},
	"sgd decay":                 {Rule: SGD{}, Group: decay(0.1)},
	"momentum":                  {Rule: SGD{Momentum: 0.9}},
	"nesterov":                  {Rule: SGD{Momentum: 0.9, Nesterov: true}, Group: decay(0.01)},
	"adam":                      {Rule: DefaultAdam()},
	"adam decay":                {Rule: Adam{Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-3}, Group: decay(0.1)},
	"adamw":                     {Rule: DefaultAdamW(), Group: decay(0.1)},
	"rmsprop":                   {Rule: DefaultRMSProp()},
	"rmsprop momentum":          {Rule: RMSProp{Alpha: 0.9, Epsilon: 1e-8, Momentum: 0.9}, Group: decay(0.1)},
	"groups":                    {Rule: DefaultAdamW(), Group: groups},
	"clipped":                   {Rule: SGD{Momentum: 0.9}, ClipNorm: 1.25},
	"groups, nesterov, clipped": {Rule: SGD{Momentum: 0.9, Nesterov: true}, Group: groups, ClipNorm: 1.25},
	"groups, rmsprop, clipped":  {Rule: RMSProp{Alpha: 0.9, Epsilon: 1e-8, Momentum: 0.9}, Group: groups, ClipNorm: 1.25},
	"groups, adamw, clipped":    {Rule: DefaultAdamW(), Group: groups, ClipNorm: 1.25},
}

// groups are those of the script's cases of that name.
func groups(name string) Group {
	if name == "a" {
		return Group{Rate: 1, Decay: 0.1}
	}
	return Group{Rate: 0.1}
}

func decay(lambda float64) func(string) Group {
	return func(string) Group { return Group{Rate: 1, Decay: lambda} }
}

func TestStepsAreThoseOfPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/optimizers.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][][]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(cases) {
		t.Errorf("%d cases, PyTorch ran %d", len(cases), len(want))
	}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			a, b, all := fixture()
			s, err := New(options)
			if err != nil {
				t.Fatal(err)
			}
			if len(want[name]) != 50 {
				t.Fatalf("PyTorch took %d steps", len(want[name]))
			}
			for step, reference := range want[name] {
				setGradients(step, a, b)
				s.SetRate(rateAt(step))
				if err := s.Step(all); err != nil {
					t.Fatal(err)
				}
				for i, got := range slices.Concat(a.weights(), b.weights()) {
					if math.Abs(float64(got)-reference[i]) > 2e-6*(1+math.Abs(reference[i])) {
						t.Fatalf("step %d, element %d: %v, PyTorch has %v", step, i, got, reference[i])
					}
				}
			}
		})
	}
}

func TestRestoredOptimizerGoesOnAlike(t *testing.T) {
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			steps := func(s *Optimizer, from, to int, a, b *parameter, all []gorgonia.ValueGrad) {
				for step := from; step < to; step++ {
					setGradients(step, a, b)
					s.SetRate(rateAt(step))
					if err := s.Step(all); err != nil {
						t.Fatal(err)
					}
				}
			}
			first, _ := New(options)
			a, b, all := fixture()
			steps(first, 0, 20, a, b, all)
			second, _ := New(options)
			if err := second.Restore(clone(first.State())); err != nil {
				t.Fatal(err)
			}
			c, d, others := fixture()
			copy(c.weights(), a.weights())
			copy(d.weights(), b.weights())
			steps(first, 20, 40, a, b, all)
			steps(second, 20, 40, c, d, others)
			if !slices.Equal(a.weights(), c.weights()) || !slices.Equal(b.weights(), d.weights()) {
				t.Errorf("%v %v, undisturbed %v %v", c.weights(), d.weights(), a.weights(), b.weights())
			}
		})
	}
}

func clone(s State) State {
	out := State{}
	for name, m := range s {
		slots := make([][]float32, len(m.Slots))
		for i := range slots {
			slots[i] = slices.Clone(m.Slots[i])
		}
		out[name] = Memory{Steps: m.Steps, Slots: slots}
	}
	return out
}

func TestThreadsDoNotMatter(t *testing.T) {
	weights := func(threads int) []float32 {
		random := rand.New(rand.NewPCG(3, 4))
		p := newParameter("p", make([]float32, 3*pieceLength+17)...)
		for i := range p.gradients() {
			p.weights()[i] = float32(random.NormFloat64())
			p.gradients()[i] = float32(random.NormFloat64())
		}
		pool := kernel.NewPool(threads)
		defer pool.Close()
		s, _ := New(Options{Rule: DefaultAdamW(), Group: decay(0.01), ClipNorm: 1, Pool: pool})
		s.SetRate(0.1)
		for range 3 {
			if err := s.Step([]gorgonia.ValueGrad{p}); err != nil {
				t.Fatal(err)
			}
		}
		return p.weights()
	}
	if one := weights(1); !slices.Equal(one, weights(2)) || !slices.Equal(one, weights(4)) {
		t.Error("the number of threads changed the weights")
	}
}

func TestGroupWithoutRateStays(t *testing.T) {
	a, b, all := fixture()
	s, _ := New(Options{Rule: DefaultAdamW(), Group: func(name string) Group {
		if name == "a" {
			return Group{Decay: 1}
		}
		return Group{Rate: 1, Decay: 1}
	}})
	s.SetRate(0.1)
	setGradients(0, a, b)
	if err := s.Step(all); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.weights(), []float32{0.5, -1, 2}) {
		t.Errorf("frozen parameter became %v", a.weights())
	}
	if b.weights()[0] == 1.5 {
		t.Error("the other parameter stayed too")
	}
}

// gradless has no gradient.
type gradless struct{ *parameter }

func (gradless) Grad() (gorgonia.Value, error) { return nil, errors.New("no gradient here") }

func TestErrorsLeaveTheWeights(t *testing.T) {
	a, b, all := fixture()
	s, _ := New(Options{Rule: SGD{}, ClipNorm: 1})
	s.SetRate(1)
	setGradients(0, a, b)
	if err := s.Step(append(all, gradless{newParameter("c", 1)})); err == nil || !strings.Contains(err.Error(), "no gradient here") {
		t.Errorf("error %v", err)
	}
	b.gradients()[1] = float32(math.Inf(1))
	if err := s.Step(all); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(a.weights(), []float32{0.5, -1, 2}) {
		t.Errorf("weights became %v", a.weights())
	}
	adam, _ := New(Options{Rule: DefaultAdam()})
	if err := adam.Restore(State{"a": {Slots: [][]float32{{0, 0, 0}}}}); err == nil {
		t.Error("a state of another rule was taken")
	}
	if err := adam.Restore(State{"a": {Slots: [][]float32{{0}, {0}}}}); err != nil {
		t.Error(err)
	}
	if err := adam.Step(all); err == nil || !strings.Contains(err.Error(), "its memory 1") {
		t.Errorf("error %v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, o := range []Options{
		{Rule: SGD{Momentum: 1}}, {Rule: SGD{Nesterov: true}}, {Rule: Adam{Beta1: 0.9, Beta2: 0.999}},
		{Rule: AdamW{Beta1: 1, Epsilon: 1}}, {Rule: RMSProp{Alpha: -1, Epsilon: 1}}, {Rule: SGD{}, ClipNorm: -1},
		{Rule: SGD{}, ClipNorm: math.NaN()},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func BenchmarkAdamStep(b *testing.B) {
	p := newParameter("p", make([]float32, 1280*256)...)
	for i := range p.gradients() {
		p.gradients()[i] = float32(i%7) - 3
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	s, _ := New(Options{Rule: DefaultAdam(), Pool: pool})
	s.SetRate(1e-3)
	for b.Loop() {
		if err := s.Step([]gorgonia.ValueGrad{p}); err != nil {
			b.Fatal(err)
		}
	}
}
