package explain

import (
	"errors"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// chain is what follows the last feature map: layers of one input each.
type chain []step

// step is a layer of a chain, and the shapes of what it takes and gives.
type step struct {
	op      nn.Op
	weights func(nn.Role) []float32
	in, out nn.Shape
}

// errNoChain says that the layers cannot be followed backwards: occlusion it is.
var errNoChain = errors.New("its last layers are not a chain that gradients are known of")

// known tells whether a step can be computed here.
func (s step) known() bool {
	switch op := s.op.(type) {
	case nn.Dense:
		return len(s.in) == 1
	case nn.BatchNorm, nn.Affine, nn.Scale, nn.Dropout, nn.Flatten, nn.GlobalAveragePool, nn.Softmax, nn.L2Normalise:
		return true
	case nn.Activation:
		return op.Function >= kernel.None && op.Function <= kernel.QuickGELU
	}
	return false
}

// gradient gives the gradient of one output, before the softmax or sigmoid at the end, to the numbers of x.
func (c chain) gradient(x []float64, output int) []float64 {
	for len(c) > 0 { // from probabilities to what they are made of
		last := c[len(c)-1]
		if a, ok := last.op.(nn.Activation); !ok || a.Function != kernel.Sigmoid {
			if _, ok := last.op.(nn.Softmax); !ok {
				break
			}
		}
		c = c[:len(c)-1]
	}
	values := [][]float64{x}
	for _, s := range c {
		values = append(values, s.forward(values[len(values)-1]))
	}
	g := make([]float64, len(values[len(values)-1]))
	g[output] = 1
	for i := len(c) - 1; i >= 0; i-- {
		g = c[i].backward(values[i], g)
	}
	return g
}

func (s step) forward(x []float64) []float64 {
	y := make([]float64, s.out.Size())
	switch op := s.op.(type) {
	case nn.Dense:
		w, b := s.weights(nn.Weight), s.weights(nn.Bias)
		for j := range y {
			for i, v := range x {
				y[j] += float64(w[j*len(x)+i]) * v
			}
			if op.Bias {
				y[j] += float64(b[j])
			}
		}
	case nn.GlobalAveragePool:
		places := float64(len(x) / len(y))
		for i, v := range x {
			y[i%len(y)] += v / places
		}
	case nn.L2Normalise:
		norm := normOf(x, op)
		for i, v := range x {
			y[i] = v / norm
		}
	case nn.Activation:
		for i, v := range x {
			y[i], _ = activate(op.Function, v)
		}
	case nn.BatchNorm, nn.Affine:
		scale, shift := s.affine()
		for i, v := range x {
			y[i] = v*scale[i%len(scale)] + shift[i%len(scale)]
		}
	case nn.Scale:
		for i, v := range x {
			y[i] = v * float64(op.Factor)
		}
	default: // dropout, which does nothing here, and flatten
		copy(y, x)
	}
	return y
}

// backward turns the gradient to what a step gives into that to what it takes, x.
func (s step) backward(x, g []float64) []float64 {
	out := make([]float64, len(x))
	switch op := s.op.(type) {
	case nn.Dense:
		w := s.weights(nn.Weight)
		for j, d := range g {
			for i := range out {
				out[i] += float64(w[j*len(x)+i]) * d
			}
		}
	case nn.GlobalAveragePool:
		places := float64(len(x) / len(g))
		for i := range out {
			out[i] = g[i%len(g)] / places
		}
	case nn.L2Normalise:
		norm, along := normOf(x, op), 0.0
		for i, v := range x {
			along += v * g[i]
		}
		for i, v := range x {
			out[i] = g[i]/norm - v*along/(norm*norm*norm)
		}
	case nn.Activation:
		for i, v := range x {
			_, slope := activate(op.Function, v)
			out[i] = g[i] * slope
		}
	case nn.BatchNorm, nn.Affine:
		scale, _ := s.affine()
		for i := range out {
			out[i] = g[i] * scale[i%len(scale)]
		}
	case nn.Scale:
		for i := range out {
			out[i] = g[i] * float64(op.Factor)
		}
	default:
		copy(out, g)
	}
	return out
}

func normOf(x []float64, op nn.L2Normalise) float64 {
	least := float64(op.Epsilon)
	if least == 0 {
		least = 1e-12
	}
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Max(math.Sqrt(sum), least)
}

// affine is a batch-norm as it is for inference, or an affine layer: a scale and a shift of each channel.
func (s step) affine() (scale, shift []float64) {
	channels := s.in.Channels()
	scale, shift = make([]float64, channels), make([]float64, channels)
	switch op := s.op.(type) {
	case nn.Affine:
		for c := range scale {
			scale[c], shift[c] = float64(op.Scale[c]), float64(op.Shift[c])
		}
	case nn.BatchNorm:
		mean, variance, beta := s.weights(nn.Mean), s.weights(nn.Variance), s.weights(nn.Beta)
		for c := range scale {
			scale[c] = 1 / math.Sqrt(float64(variance[c])+float64(op.Epsilon))
			if !op.Unscaled {
				scale[c] *= float64(s.weights(nn.Gamma)[c])
			}
			shift[c] = float64(beta[c]) - float64(mean[c])*scale[c]
		}
	}
	return scale, shift
}

// activate is a function and its slope.
func activate(f kernel.Activation, x float64) (y, slope float64) {
	switch f {
	case kernel.ReLU:
		if x > 0 {
			return x, 1
		}
		return 0, 0
	case kernel.ReLU6:
		if x > 0 && x < 6 {
			return x, 1
		}
		return min(max(x, 0), 6), 0
	case kernel.SiLU:
		s := 1 / (1 + math.Exp(-x))
		return x * s, s * (1 + x*(1-s))
	case kernel.HardSwish:
		switch {
		case x <= -3:
			return 0, 0
		case x >= 3:
			return x, 1
		}
		return x * (x + 3) / 6, (2*x + 3) / 6
	case kernel.Sigmoid:
		s := 1 / (1 + math.Exp(-x))
		return s, s * (1 - s)
	case kernel.Tanh:
		t := math.Tanh(x)
		return t, 1 - t*t
	case kernel.GELU:
		share := math.Erfc(-x/math.Sqrt2) / 2
		return x * share, share + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case kernel.GELUTanh:
		factor := math.Sqrt(2 / math.Pi)
		t := math.Tanh(factor * (x + 0.044715*x*x*x))
		return x * (1 + t) / 2, (1+t)/2 + x*(1-t*t)*factor*(1+3*0.044715*x*x)/2
	case kernel.QuickGELU:
		s := 1 / (1 + math.Exp(-1.702*x))
		return x * s, s * (1 + 1.702*x*(1-s))
	}
	return x, 1
}
