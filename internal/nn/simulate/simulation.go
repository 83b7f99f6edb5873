package simulate

import (
	"context"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
)

// Simulation is a network, prepared. One goroutine uses it at a time.
type Simulation struct {
	net   *nn.Network
	steps []step
	last  map[string]int // step that takes a value last
	pool  *kernel.Pool
}

// step is a layer: its program with the weights as they are, and with rounded ones.
type step struct {
	layer  nn.Layer
	alone  *nn.Network
	exact  *frozen.Program
	weight nn.Weights
	bytes  *frozen.Program // nil until it is needed
	// learned is the weight on its steps where these were learned: see LearnRounding.
	learned *nn.Tensor
}

// New prepares a folded network with one input.
func New(net *nn.Network, weights nn.Weights, pool *kernel.Pool) (*Simulation, error) {
	s := &Simulation{net: net, last: map[string]int{}, pool: pool}
	for _, l := range net.Layers() {
		if _, ok := l.Op.(nn.Input); ok {
			continue
		}
		for _, in := range l.Inputs {
			s.last[in] = len(s.steps)
		}
		st, err := newStep(net, l, weights)
		if err != nil {
			return nil, fmt.Errorf("simulate layer %q: %w", l.Name, err)
		}
		s.steps = append(s.steps, st)
	}
	s.last[net.Output().Name] = len(s.steps)
	return s, nil
}

func newStep(net *nn.Network, l nn.Layer, weights nn.Weights) (step, error) {
	var layers []nn.Layer
	seen := map[string]bool{}
	for _, in := range l.Inputs {
		if !seen[in] {
			seen[in] = true
			layers = append(layers, nn.Layer{Name: in, Op: nn.Input{Shape: net.Shape(in), Element: net.Element(in)}})
		}
	}
	alone, err := nn.New(append(layers, l))
	if err != nil {
		return step{}, err
	}
	own := weights.Select(alone)
	program, err := frozen.Options{Algorithm: kernel.Plain}.Compile(alone, own)
	return step{layer: l, alone: alone, exact: program, weight: own}, err
}

// rounded is the program with rounded weights.
func (s *step) rounded() (*frozen.Program, error) {
	if !quantise.HasWeight(s.layer.Op) {
		return s.exact, nil
	}
	if s.bytes == nil {
		name := nn.Parameter{Layer: s.layer.Name, Role: nn.Weight}.Name()
		weights := nn.Weights{}
		for other, t := range s.weight {
			weights[other] = t
		}
		if s.learned != nil {
			weights[name] = *s.learned
		} else {
			weights[name] = quantise.Rounded(weights[name])
		}
		var err error
		if s.bytes, err = (frozen.Options{Algorithm: kernel.Plain}).Compile(s.alone, weights); err != nil {
			return nil, err
		}
	}
	return s.bytes, nil
}

// setBias gives the layer another bias.
func (s *step) setBias(bias []float32) (err error) {
	weights := nn.Weights{}
	for other, t := range s.weight {
		weights[other] = t
	}
	weights[nn.Parameter{Layer: s.layer.Name, Role: nn.Bias}.Name()] = nn.Tensor{Shape: nn.Shape{len(bias)}, Data: bias}
	s.weight, s.bytes = weights, nil
	s.exact, err = frozen.Options{Algorithm: kernel.Plain}.Compile(s.alone, weights)
	return err
}

// together is how many examples are computed at once.
const together = 8

// Run computes n examples, [n][input], and returns what the network puts out, [n][output]. scheme may be nil, for float32.
// observe, which may be nil, sees the values of each layer for some examples at a time, the input's too.
func (s *Simulation) Run(ctx context.Context, x []float32, n int, scheme *quantise.Scheme, observe func(layer string, values []float32)) ([]float32, error) {
	rounding := scheme.Rounding(s.net)
	input := s.net.Inputs()[0].Name
	size := s.net.Shape(input).Size()
	var out []float32
	for from := 0; from < n; from += together {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m := min(together, n-from)
		values := map[string][]float32{input: append([]float32(nil), x[from*size:(from+m)*size]...)}
		round(values[input], rounding, input)
		if observe != nil {
			observe(input, values[input])
		}
		for i := range s.steps {
			st := &s.steps[i]
			y, err := st.run(s.pool, values, m, scheme.Computes(st.layer))
			if err != nil {
				return nil, err
			}
			round(y, rounding, st.layer.Name)
			values[st.layer.Name] = y
			if observe != nil {
				observe(st.layer.Name, y)
			}
			s.forget(values, st.layer, i)
		}
		out = append(out, values[s.net.Output().Name]...)
	}
	return out, nil
}

// forget drops values that no later layer takes.
func (s *Simulation) forget(values map[string][]float32, l nn.Layer, at int) {
	for _, in := range l.Inputs {
		if s.last[in] == at {
			delete(values, in)
		}
	}
}

func (s *step) run(pool *kernel.Pool, values map[string][]float32, n int, bytes bool) ([]float32, error) {
	program := s.exact
	if bytes {
		var err error
		if program, err = s.rounded(); err != nil {
			return nil, err
		}
	}
	y := make([]float32, n*program.OutputShape(0).Size())
	in := nn.Batch{}
	for _, name := range s.layer.Inputs {
		in[name] = nn.Values{Float32: values[name]}
	}
	err := program.NewSession(n).RunBatch(pool, n, in, nn.Batch{s.layer.Name: {Float32: y}})
	return y, err
}

func round(values []float32, rounding map[string]quantise.Steps, layer string) {
	if s, ok := rounding[layer]; ok {
		for i, v := range values {
			values[i] = s.Round(v)
		}
	}
}

// CorrectBias returns the biases of convolutions and dense layers, by layer, such that the mean of each channel over n
// examples is that of the network in float32, each with what comes before corrected already. The simulation uses them from
// then on.
func (s *Simulation) CorrectBias(ctx context.Context, x []float32, n int, scheme *quantise.Scheme) (map[string][]float32, error) {
	rounding := scheme.Rounding(s.net)
	input := s.net.Inputs()[0].Name
	exact, bytes := map[string][]float32{input: x}, map[string][]float32{input: append([]float32(nil), x...)}
	round(bytes[input], rounding, input)
	corrected := map[string][]float32{}
	for i := range s.steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st := &s.steps[i]
		name := st.layer.Name
		want, err := st.run(s.pool, exact, n, false)
		if err != nil {
			return nil, err
		}
		got, err := st.run(s.pool, bytes, n, scheme.Computes(st.layer))
		if err != nil {
			return nil, err
		}
		bias, ok := st.weight[nn.Parameter{Layer: name, Role: nn.Bias}.Name()]
		if ok && scheme.Computes(st.layer) && quantise.HasWeight(st.layer.Op) {
			shift := meanDifference(want, got, len(bias.Data))
			moved := append([]float32(nil), bias.Data...)
			for c, d := range shift {
				moved[c] += d
			}
			for at := range got {
				got[at] += shift[at%len(shift)]
			}
			corrected[name] = moved
		}
		round(got, rounding, name)
		exact[name], bytes[name] = want, got
		s.forget(exact, st.layer, i)
		s.forget(bytes, st.layer, i)
	}
	for i := range s.steps {
		if bias, ok := corrected[s.steps[i].layer.Name]; ok {
			if err := s.steps[i].setBias(bias); err != nil {
				return nil, err
			}
		}
	}
	return corrected, nil
}

// meanDifference is that of want from got, by channel.
func meanDifference(want, got []float32, channels int) []float32 {
	sums := make([]float64, channels)
	for i := range want {
		sums[i%channels] += float64(want[i]) - float64(got[i])
	}
	out := make([]float32, channels)
	for c, sum := range sums {
		out[c] = float32(sum * float64(channels) / float64(len(want)))
	}
	return out
}
