package nn

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// Initialise draws weights to train from. The same network and seed give the same weights, and each
// tensor depends on its own name and shape alone, so that a layer more does not change the others.
//
// Weights of a convolution or dense layer that leads into a rectifier (ReLU, ReLU6, SiLU,
// hard-swish, GELU) are normal with variance 2/fan-in (He et al. 2015, arXiv:1502.01852); others are
// uniform with variance 2/(fan-in + fan-out) (Glorot and Bengio 2010). Biases, beta and mean are 0,
// gamma and variance 1.
func (n *Network) Initialise(seed uint64) Weights {
	return n.InitialiseSome(seed, func(Parameter) bool { return true })
}

// InitialiseSome is [Network.Initialise] for some of the parameters alone.
func (n *Network) InitialiseSome(seed uint64, some func(Parameter) bool) Weights {
	return n.initialise(seed, some, func(l Layer, p Parameter, data []float32, random *rand.Rand) {
		if rectifies(n.activationAfter(l)) {
			normal(data, math.Sqrt(2/float64(p.fanIn)), random)
		} else {
			glorot(p, data, random)
		}
	})
}

// InitialiseGlorot draws weights to train from as Keras draws those of its dense layers: all uniform
// with variance 2/(fan-in + fan-out), whatever they lead into; the rest is as in [Network.Initialise].
func (n *Network) InitialiseGlorot(seed uint64) Weights {
	return n.InitialiseSomeGlorot(seed, func(Parameter) bool { return true })
}

// InitialiseSomeGlorot is [Network.InitialiseGlorot] for some of the parameters alone.
func (n *Network) InitialiseSomeGlorot(seed uint64, some func(Parameter) bool) Weights {
	return n.initialise(seed, some, func(_ Layer, p Parameter, data []float32, random *rand.Rand) { glorot(p, data, random) })
}

// InitialiseFrozen draws weights for a network that will not be trained, such as a random backbone.
// Weights are normal with variance 1/(fan-in·m), where m is the mean square expected of the layer's
// input when the network's inputs have mean square 1, followed through the graph: He's rule, but
// exact for every activation and for inputs that are sums. So what each convolution gives has mean
// square 1, however deep the network, and residual streams grow linearly, not exponentially.
func (n *Network) InitialiseFrozen(seed uint64) Weights {
	moments := n.moments()
	return n.initialise(seed, func(Parameter) bool { return true }, func(l Layer, p Parameter, data []float32, random *rand.Rand) {
		normal(data, math.Sqrt(1/(float64(p.fanIn)*moments[l.Inputs[0]].square)), random)
	})
}

// initial is a rule for the numbers that training begins with.
type initial int

const (
	zeros       initial = iota
	ones                //
	unit                // normal with variance 1
	narrow              // normal with deviation 0.02, as transformers begin with
	orthogonal          // square blocks of orthogonal rows, as states are carried on without growing (Saxe and others 2014, arXiv:1312.6120)
	remembering         // of an LSTM's bias: 1 at the forget gates, 0 elsewhere (Jozefowicz and others 2015)
	byFans              // drawn, the narrower the more numbers make one (fan-in) and are made of one (fan-out)
)

func (n *Network) initialise(seed uint64, some func(Parameter) bool, draw func(Layer, Parameter, []float32, *rand.Rand)) Weights {
	w := Weights{}
	for _, l := range n.layers {
		for _, p := range n.LayerParameters(l) {
			if !some(p) {
				continue
			}
			t := Tensor{Shape: p.Shape, Data: make([]float32, p.Shape.Size())}
			random := rand.New(rand.NewPCG(seed, hash(p.Name())))
			switch p.initial {
			case byFans:
				draw(l, p, t.Data, random)
			case unit:
				normal(t.Data, 1, random)
			case narrow:
				normal(t.Data, 0.02, random)
			case orthogonal:
				orthogonalBlocks(t.Data, p.Shape[1], random)
			case remembering:
				for i := len(t.Data) / 4; i < len(t.Data)/2; i++ {
					t.Data[i] = 1
				}
			case ones:
				for i := range t.Data {
					t.Data[i] = 1
				}
			}
			w[p.Name()] = t
		}
	}
	return w
}

func glorot(p Parameter, data []float32, random *rand.Rand) {
	uniform(data, math.Sqrt(6/float64(p.fanIn+p.fanOut)), random)
}

// orthogonalBlocks draws square matrices, one below the other, whose rows are orthogonal and of length 1: the Gram-Schmidt process
// on normal numbers.
func orthogonalBlocks(data []float32, size int, random *rand.Rand) {
	rows := make([][]float64, size)
	for block := 0; block < len(data); block += size * size {
		for i := range rows {
			row := make([]float64, size)
			for length := 0.0; length < 1e-3; { // next to never twice
				for j := range row {
					row[j] = random.NormFloat64()
				}
				for _, before := range rows[:i] {
					vector.Axpy(-vector.Dot(row, before), before, row)
				}
				if length = math.Sqrt(vector.Dot(row, row)); length >= 1e-3 {
					for j := range row {
						row[j] /= length
					}
				}
			}
			rows[i] = row
			for j, x := range row {
				data[block+i*size+j] = float32(x)
			}
		}
	}
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

// activationAfter returns the function that a layer's output leads into, directly or through a
// batch-norm or dropout; None if it leads elsewhere or to several layers.
func (n *Network) activationAfter(l Layer) kernel.Activation {
	for {
		next := n.consumers(l.Name)
		if len(next) != 1 {
			return kernel.None
		}
		l = next[0]
		if a, ok := l.Op.(Activation); ok {
			return a.Function
		}
		if !n.facts[n.index[l.Name]].steers {
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
		if expect := n.facts[n.index[l.Name]].expect; expect != nil {
			m[l.Name] = expect(in)
		} else {
			m[l.Name] = in[0]
		}
	}
	return m
}

// expectUnit is a mean square of 1.
func expectUnit([]moment) moment { return moment{square: 1} }

func (m moment) variance() float64 { return max(m.square-m.mean*m.mean, 0) }

func hash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return h.Sum64()
}
