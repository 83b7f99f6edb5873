package nn

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Initialise draws weights to train from. The same network and seed give the same weights, and each
// tensor depends on its own name and shape alone, so that a layer more does not change the others.
//
// Weights of a convolution or dense layer that leads into a rectifier (ReLU, ReLU6, SiLU,
// hard-swish, GELU) are normal with variance 2/fan-in (He et al. 2015, arXiv:1502.01852); others are
// uniform with variance 2/(fan-in + fan-out) (Glorot and Bengio 2010). Biases, beta and mean are 0,
// gamma and variance 1.
func (n *Network) Initialise(seed uint64) Weights {
	return n.initialise(seed, func(l Layer, t Tensor, random *rand.Rand) {
		fanIn := float64(t.Shape.Size() / t.Shape[0])
		fanOut := float64(t.Shape.Size() / t.Shape.Channels() / groups(l.Op))
		switch n.activationAfter(l) {
		case kernel.ReLU, kernel.ReLU6, kernel.SiLU, kernel.HardSwish, kernel.GELU:
			normal(t.Data, math.Sqrt(2/fanIn), random)
		default:
			uniform(t.Data, math.Sqrt(6/(fanIn+fanOut)), random)
		}
	})
}

// InitialiseFrozen draws weights for a network that will not be trained, such as a random backbone.
// Weights are normal with variance 1/(fan-in·m), where m is the mean square expected of the layer's
// input when the network's inputs have mean square 1, followed through the graph: He's rule, but
// exact for every activation and for inputs that are sums. So what each convolution gives has mean
// square 1, however deep the network, and residual streams grow linearly, not exponentially.
func (n *Network) InitialiseFrozen(seed uint64) Weights {
	moments := n.moments()
	return n.initialise(seed, func(l Layer, t Tensor, random *rand.Rand) {
		fanIn := float64(t.Shape.Size() / t.Shape[0])
		normal(t.Data, math.Sqrt(1/(fanIn*moments[l.Inputs[0]])), random)
	})
}

func (n *Network) initialise(seed uint64, draw func(Layer, Tensor, *rand.Rand)) Weights {
	w := Weights{}
	for _, l := range n.layers {
		for _, p := range n.LayerParameters(l) {
			t := Tensor{Shape: p.Shape, Data: make([]float32, p.Shape.Size())}
			switch p.Role {
			case Weight:
				draw(l, t, rand.New(rand.NewPCG(seed, hash(p.Name()))))
			case Gamma, Variance:
				for i := range t.Data {
					t.Data[i] = 1
				}
			}
			w[p.Name()] = t
		}
	}
	return w
}

func normal(data []float32, deviation float64, random *rand.Rand) {
	for i := range data {
		data[i] = float32(random.NormFloat64() * deviation)
	}
}

func uniform(data []float32, limit float64, random *rand.Rand) {
	for i := range data {
		data[i] = float32((2*random.Float64() - 1) * limit)
	}
}

func groups(op Op) int {
	if c, ok := op.(Conv); ok {
		return max(c.Groups, 1)
	}
	return 1
}

// activationAfter returns the function that a layer's output leads into, directly or through a
// batch-norm or dropout; None if it leads elsewhere or to several layers.
func (n *Network) activationAfter(l Layer) kernel.Activation {
	for {
		next := n.consumers(l.Name)
		if len(next) != 1 {
			return kernel.None
		}
		l = next[0]
		switch op := l.Op.(type) {
		case Activation:
			return op.Function
		case BatchNorm, Dropout:
		default:
			return kernel.None
		}
	}
}

func (n *Network) consumers(name string) []Layer {
	var out []Layer
	for _, l := range n.layers {
		for _, input := range l.Inputs {
			if input == name {
				out = append(out, l)
			}
		}
	}
	return out
}

// moments estimates the mean square of each layer's output under [Network.InitialiseFrozen], taking
// what is normalised to be normal and the terms of a sum to be independent.
func (n *Network) moments() map[string]float64 {
	m := map[string]float64{}
	for _, l := range n.layers {
		var in []float64
		for _, input := range l.Inputs {
			in = append(in, m[input])
		}
		switch op := l.Op.(type) {
		case Input, Conv, Dense:
			m[l.Name] = 1
		case Activation:
			m[l.Name] = momentAfter(op.Function, in[0])
		case Add:
			for _, x := range in {
				m[l.Name] += x
			}
		case Multiply:
			m[l.Name] = in[0] * in[1]
		case Scale:
			m[l.Name] = in[0] * float64(op.Factor) * float64(op.Factor)
		case Concat:
			for i, shape := range n.InputShapes(l) {
				m[l.Name] += in[i] * float64(shape.Channels()) / float64(n.Shape(l.Name).Channels())
			}
		default:
			m[l.Name] = in[0]
		}
	}
	return m
}

// momentAfter returns E[f(√m·z)²] for a standard normal z, by the trapezoidal rule.
func momentAfter(f kernel.Activation, m float64) float64 {
	const reach, steps = 8.0, 1600
	sum := 0.0
	for i := range steps + 1 {
		z := reach * (2*float64(i)/steps - 1)
		y := valueOf(f, math.Sqrt(m)*z)
		sum += y * y * math.Exp(-z*z/2)
	}
	return sum * (2 * reach / steps) / math.Sqrt(2*math.Pi)
}

// valueOf is the activation in float64: weights must not depend on the processor's kernels.
func valueOf(f kernel.Activation, x float64) float64 {
	switch f {
	case kernel.ReLU:
		return max(x, 0)
	case kernel.ReLU6:
		return min(max(x, 0), 6)
	case kernel.SiLU:
		return x / (1 + math.Exp(-x))
	case kernel.HardSwish:
		return x * min(max(x+3, 0), 6) / 6
	case kernel.Sigmoid:
		return 1 / (1 + math.Exp(-x))
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.GELU:
		return x * math.Erfc(-x/math.Sqrt2) / 2
	}
	return x
}

func hash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return h.Sum64()
}
