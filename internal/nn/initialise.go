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
		normal(t.Data, math.Sqrt(1/(fanIn*moments[l.Inputs[0]].square)), random)
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

// moment is what is expected of a layer's output: the mean and the mean square over its elements.
type moment struct{ mean, square float64 }

// moments estimates the moments of each layer's output under [Network.InitialiseFrozen], taking what
// is not rectified to be normal and the terms of a sum to be independent. The mean matters where
// rectified maps are added up, as along the layers of a ResNet: of a sum of such, a rectifier
// removes less than half.
func (n *Network) moments() map[string]moment {
	m := map[string]moment{}
	for _, l := range n.layers {
		var in []moment
		for _, input := range l.Inputs {
			in = append(in, m[input])
		}
		var out moment
		switch op := l.Op.(type) {
		case Input, Conv, Dense:
			out.square = 1
		case Activation:
			out = momentAfter(op.Function, in[0])
		case Add:
			for _, x := range in {
				out.mean += x.mean
				out.square += x.variance()
			}
			out.square += out.mean * out.mean
		case Multiply:
			out = moment{in[0].mean * in[1].mean, in[0].square * in[1].square}
		case Scale:
			f := float64(op.Factor)
			out = moment{in[0].mean * f, in[0].square * f * f}
		case Concat:
			for i, shape := range n.InputShapes(l) {
				share := float64(shape.Channels()) / float64(n.Shape(l.Name).Channels())
				out.mean += in[i].mean * share
				out.square += in[i].square * share
			}
		default:
			out = in[0]
		}
		m[l.Name] = out
	}
	return m
}

func (m moment) variance() float64 { return max(m.square-m.mean*m.mean, 0) }

// momentAfter returns the moments of f(x) for a normal x of moments m, by the trapezoidal rule.
func momentAfter(f kernel.Activation, m moment) moment {
	const reach, steps = 8.0, 1600
	deviation := math.Sqrt(m.variance())
	var out moment
	for i := range steps + 1 {
		z := reach * (2*float64(i)/steps - 1)
		y := valueOf(f, m.mean+deviation*z)
		density := math.Exp(-z * z / 2)
		out.mean += y * density
		out.square += y * y * density
	}
	const unit = 2 * reach / steps
	out.mean *= unit / math.Sqrt(2*math.Pi)
	out.square *= unit / math.Sqrt(2*math.Pi)
	return out
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
