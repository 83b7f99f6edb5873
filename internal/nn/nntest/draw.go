package nntest

import (
	"math/rand/v2"
	"strconv"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"pgregory.net/rapid"
)

// Draw draws a small network with one input: a trunk on maps with branches that are added,
// multiplied or concatenated, and often a head of dense layers.
func Draw(t *rapid.T) *nn.Network {
	d := drawing{t: t, b: nn.NewBuilder()}
	size := rapid.IntRange(1, 10)
	d.values = []nn.Value{d.b.Input("input", size.Draw(t, "height"), size.Draw(t, "width"), rapid.IntRange(1, 9).Draw(t, "channels"))}
	for range rapid.IntRange(1, 9).Draw(t, "layers") {
		d.onMap()
	}
	if rapid.Bool().Draw(t, "head") {
		d.head()
	}
	net, err := d.b.Network()
	if err != nil {
		t.Fatalf("drawn network: %v", err)
	}
	return net
}

// Weights draws weights for a network: as [nn.Network.InitialiseFrozen] does, with biases,
// batch-norm statistics and stored rows that are not trivial.
func Weights(net *nn.Network, seed uint64) nn.Weights {
	random := rand.New(rand.NewPCG(seed, 0))
	w := net.InitialiseFrozen(seed)
	for _, p := range net.Parameters() {
		data := w[p.Name()].Data
		l, _ := net.Find(p.Layer)
		for i := range data {
			switch p.Role {
			case nn.Rows:
				data[i] = float32(random.NormFloat64())
			case nn.Labels:
				data[i] = float32(random.IntN(l.Op.(nn.Neighbours).Classes))
			case nn.Bias, nn.Beta, nn.Mean:
				data[i] = float32(random.NormFloat64() / 4)
			case nn.Gamma, nn.Variance:
				data[i] = float32(0.5 + random.Float64())
			}
		}
	}
	return w
}

// Input draws n examples for a network, standard normal.
func Input(net *nn.Network, n int, seed uint64) []float32 {
	random := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n*net.Shape(net.Inputs()[0].Name).Size())
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	return x
}

// Widen returns x in float64.
func Widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// drawing is a network being drawn; all its values are maps until the head.
type drawing struct {
	t      *rapid.T
	b      *nn.Builder
	values []nn.Value
	count  int
}

func (d *drawing) layer(op nn.Op, inputs ...nn.Value) nn.Value {
	d.count++
	v := d.b.Layer(op.Kind()+strconv.Itoa(d.count), op, inputs...)
	d.values = append(d.values, v)
	return v
}

func (d *drawing) pick(what string) nn.Value {
	// Prefer the newest, so that networks are deep.
	i := min(rapid.IntRange(0, 2*len(d.values)).Draw(d.t, what), len(d.values)-1)
	return d.values[i]
}

func (d *drawing) number(what string, low, high int) int {
	return rapid.IntRange(low, high).Draw(d.t, what)
}

func (d *drawing) function() kernel.Activation {
	return kernel.Activation(d.number("function", int(kernel.None), int(kernel.QuickGELU)))
}

func (d *drawing) norm() nn.BatchNorm {
	return nn.BatchNorm{Epsilon: 1e-3, Unscaled: rapid.Bool().Draw(d.t, "unscaled")}
}

func (d *drawing) onMap() {
	x := d.pick("from")
	switch d.number("op", 0, 13) {
	case 0, 1, 2, 3:
		y := d.conv(x)
		if rapid.Bool().Draw(d.t, "normalised") {
			y = d.layer(d.norm(), y)
		}
		var others []nn.Value
		for _, v := range d.values {
			if v.Shape.String() == y.Shape.String() && v.Name != y.Name {
				others = append(others, v)
			}
		}
		if len(others) > 0 && rapid.Bool().Draw(d.t, "residual") {
			other := others[d.number("residual from", 0, len(others)-1)]
			if rapid.Bool().Draw(d.t, "residual first") {
				y, other = other, y
			}
			y = d.layer(nn.Add{}, y, other)
		}
		if rapid.Bool().Draw(d.t, "activated") {
			d.layer(nn.Activation{Function: d.function()}, y)
		}
	case 4:
		d.layer(d.norm(), x)
	case 5:
		d.layer(nn.Activation{Function: d.function()}, x)
	case 6:
		d.layer(nn.Add{}, x, x, x)
	case 7:
		gate := d.b.Layer("pooled"+strconv.Itoa(d.count), nn.GlobalAveragePool{}, x)
		gate = d.b.Layer("gate"+strconv.Itoa(d.count), nn.Dense{Out: x.Shape[2], Bias: true}, gate)
		gate = d.b.Layer("sigmoid"+strconv.Itoa(d.count), nn.Activation{Function: kernel.Sigmoid}, gate)
		d.layer(nn.Multiply{}, x, gate)
	case 8:
		d.layer(nn.Scale{Factor: 0.5}, x)
	case 9:
		branches := []nn.Value{x}
		for range d.number("branches", 1, 2) {
			branches = append(branches, d.layer(nn.Conv{Out: d.number("out", 1, 6), Kernel: nn.Square(1)}, x))
		}
		d.layer(nn.Concat{}, branches...)
	case 10, 11:
		k, stride, pad := d.window(x)
		for i := range pad {
			pad[i] = min(pad[i], k[i%2]-1)
		}
		if d.number("pooling", 0, 1) == 0 {
			d.layer(nn.MaxPool{Kernel: k, Stride: stride, Padding: pad, Ceil: rapid.Bool().Draw(d.t, "ceil")}, x)
		} else {
			d.layer(nn.AveragePool{
				Kernel: k, Stride: stride, Padding: pad,
				Ceil: rapid.Bool().Draw(d.t, "ceil"), CountPadding: rapid.Bool().Draw(d.t, "count padding"),
			}, x)
		}
	case 13:
		margin := func(what string, size int) int { return d.number(what, -(size-1)/2, 2) }
		d.layer(nn.ZeroPad{Margins: nn.Padding{
			margin("top", x.Shape[0]), margin("left", x.Shape[1]), margin("bottom", x.Shape[0]), margin("right", x.Shape[1]),
		}}, x)
	case 12:
		d.layer(nn.Dropout{Rate: 0.5}, x)
	}
}

// conv draws a convolution: full, grouped or depthwise, padded "same" or by any numbers.
func (d *drawing) conv(x nn.Value) nn.Value {
	k, stride, pad := d.window(x)
	op := nn.Conv{Kernel: k, Stride: stride, Padding: pad, Bias: rapid.Bool().Draw(d.t, "bias")}
	switch d.number("groups", 0, 3) {
	case 0:
		op.Out, op.Groups = x.Shape[2], x.Shape[2]
	case 1:
		if x.Shape[2]%2 == 0 {
			op.Out, op.Groups = 2*d.number("out", 1, 5), 2
			break
		}
		fallthrough
	default:
		op.Out = d.number("out", 1, 40)
		if rapid.Bool().Draw(d.t, "same width") {
			op.Out = x.Shape[2]
		}
	}
	if op.Stride == nn.Square(1) && d.number("dilated", 0, 3) == 0 {
		op.Dilation = nn.Square(2)
		op.Padding = nn.Padding{k[0] - 1, k[1] - 1, k[0] - 1, k[1] - 1}
	}
	return d.layer(op, x)
}

// window draws a window that fits, its stride and its padding.
func (d *drawing) window(x nn.Value) (k, stride nn.Pair, pad nn.Padding) {
	k = nn.Pair{d.number("kernel height", 1, 4), d.number("kernel width", 1, 4)}
	if rapid.Bool().Draw(d.t, "square") {
		k[1] = k[0]
	}
	stride = nn.Square(1)
	if rapid.Bool().Draw(d.t, "strided") {
		stride = nn.Pair{d.number("stride", 1, 3), d.number("stride", 1, 3)}
	}
	pad = x.Same(k, stride)
	if rapid.Bool().Draw(d.t, "padded by numbers") {
		pad = nn.Padding{d.number("top", 0, 2), d.number("left", 0, 2), d.number("bottom", 0, 2), d.number("right", 0, 2)}
	}
	for i := range 2 {
		k[i] = min(k[i], x.Shape[i]+pad[i]+pad[i+2])
	}
	return k, stride, pad
}

func (d *drawing) head() {
	x := d.values[len(d.values)-1]
	if rapid.Bool().Draw(d.t, "flat") {
		x = d.layer(nn.Flatten{}, x)
	} else {
		x = d.layer(nn.GlobalAveragePool{}, x)
	}
	for range d.number("hidden", 0, 2) {
		x = d.layer(nn.Dense{Out: d.number("out", 1, 20), Bias: rapid.Bool().Draw(d.t, "bias")}, x)
		if rapid.Bool().Draw(d.t, "normalised") {
			x = d.layer(nn.BatchNorm{Epsilon: 1e-3}, x)
		}
		if rapid.Bool().Draw(d.t, "activated") {
			x = d.layer(nn.Activation{Function: d.function()}, x)
		}
		x = d.layer(nn.Dropout{Rate: 0.3}, x)
	}
	x = d.layer(nn.Dense{Out: d.number("classes", 1, 10), Bias: true}, x)
	d.layer(nn.Softmax{}, x)
}
