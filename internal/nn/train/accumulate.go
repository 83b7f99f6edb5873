package train

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// sum is a parameter with the sum of its gradients of several batches. It implements
// [gorgonia.ValueGrad] and [gorgonia.Namer].
type sum struct {
	name            string
	value, gradient gorgonia.Value
	data            []float32 // of the gradient
}

func (s *sum) Name() string                  { return s.name }
func (s *sum) Value() gorgonia.Value         { return s.value }
func (s *sum) Grad() (gorgonia.Value, error) { return s.gradient, nil }

// addUp adds the gradients of a batch to those of the batches before it, or begins with them, and
// returns the sums.
func (t *Trainer) addUp(parameters []gorgonia.ValueGrad, first bool) ([]gorgonia.ValueGrad, error) {
	if t.sums == nil {
		for _, p := range parameters {
			data := make([]float32, p.Value().Shape().TotalSize())
			t.sums = append(t.sums, &sum{
				name: p.(gorgonia.Namer).Name(), value: p.Value(), data: data,
				gradient: tensor.New(tensor.WithShape(p.Value().Shape()...), tensor.WithBacking(data)),
			})
		}
	}
	out := make([]gorgonia.ValueGrad, len(parameters))
	for i, p := range parameters {
		gradient, err := p.Grad()
		if err != nil {
			return nil, err
		}
		s, data := t.sums[i], gradient.Data().([]float32)
		if first {
			copy(s.data, data)
		} else {
			kernel.Add(t.pool, s.data, s.data, data, kernel.None)
		}
		out[i] = s
	}
	return out, nil
}

// scaleSums multiplies the sums of gradients.
func (t *Trainer) scaleSums(factor float64) {
	if factor == 1 {
		return
	}
	for _, s := range t.sums {
		for i := range s.data {
			s.data[i] = float32(float64(s.data[i]) * factor)
		}
	}
}
