package nntest

import (
	"math/rand/v2"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"pgregory.net/rapid"
)

// DrawSequence draws a small network on sequences: of ids that are looked up and of vectors, both with so
// many tokens, or with an axis that varies where tokens is negative. Its outputs are two of its layers.
func DrawSequence(t *rapid.T, tokens int) *nn.Network {
	d := drawing{t: t, b: nn.NewBuilder()}
	width := 2 * d.number("width", 1, 4)
	ids := d.b.Layer("ids", nn.Input{Shape: nn.Shape{tokens}, Element: nn.Int32})
	d.values = []nn.Value{d.b.Input("vectors", tokens, width)}
	d.layer(nn.Embedding{Count: d.number("count", 1, 9), Width: width}, ids)
	for range d.number("layers", 1, 6) {
		d.onSequence(width)
	}
	last := len(d.values) - 1
	d.b.Outputs(d.values[last])
	if other := d.number("other output", 0, last); other != last {
		d.b.Outputs(d.values[other])
	}
	net, err := d.b.Network()
	if err != nil {
		t.Fatalf("drawn network: %v", err)
	}
	return net
}

// onSequence adds a layer, or a few, from [tokens, width] to the same.
func (d *drawing) onSequence(width int) {
	x := d.pick("from")
	switch d.number("op", 0, 15) {
	case 0:
		d.layer(nn.LayerNorm{Epsilon: 1e-3}, x)
	case 1:
		d.layer(nn.Dense{Out: width, Bias: rapid.Bool().Draw(d.t, "bias")}, x)
	case 2:
		d.layer(nn.L2Normalise{}, x)
	case 3:
		d.layer(nn.Activation{Function: d.function()}, x)
	case 4:
		d.layer(nn.Add{}, x, d.pick("other"))
	case 5:
		d.layer(nn.Softmax{}, x)
	case 6:
		d.layer(nn.GradientReversal{Lambda: 0.5}, x)
	case 7:
		op := nn.Affine{Scale: make([]float32, width), Shift: make([]float32, width)}
		for i := range width {
			op.Scale[i], op.Shift[i] = float32(i)/4-0.5, 0.25-float32(i)/8
		}
		d.layer(op, x)
	case 8, 9:
		op := nn.Attention{Heads: d.number("heads", 1, 2), Causal: rapid.Bool().Draw(d.t, "causal")}
		d.layer(op, x, d.pick("keys"), d.pick("values"))
	case 10:
		first := d.number("first", 0, 2)
		d.layer(nn.Positions{Count: first + max(x.Shape[0], 40), First: first}, x)
	case 11:
		scale := rapid.Bool().Draw(d.t, "scale")
		d.layer(nn.ScaleShift{Scale: scale, Shift: !scale || rapid.Bool().Draw(d.t, "shift")}, x)
	case 12, 13:
		cell := kernel.RecurrentCell(d.number("cell", 0, 1))
		d.layer(nn.Recurrent{Cell: cell, Units: width, Reverse: rapid.Bool().Draw(d.t, "reverse"), HardSigmoid: rapid.Bool().Draw(d.t, "hard")}, x)
	case 14:
		wide := d.layer(nn.Window{Size: d.number("size", 1, 4)}, x)
		d.values = d.values[:len(d.values)-1] // of another shape
		d.layer(nn.Dense{Out: width}, wide)
	default:
		d.attention(x, width)
	}
}

// attention adds a self-attention of two heads, without its projections.
func (d *drawing) attention(x nn.Value, width int) {
	inner := func(op nn.Op, in ...nn.Value) nn.Value {
		v := d.layer(op, in...)
		d.values = d.values[:len(d.values)-1] // of another shape
		return v
	}
	split := inner(nn.Reshape{Shape: nn.Shape{x.Shape[0], 2, width / 2}}, x)
	heads := inner(nn.Transpose{Axes: []int{1, 0, 2}}, split)
	scores := nn.Value{}
	if rapid.Bool().Draw(d.t, "keys transposed") {
		keys := inner(nn.Transpose{Axes: []int{1, 2, 0}}, split)
		scores = inner(nn.MatMul{}, heads, keys)
	} else {
		scores = inner(nn.MatMul{TransposeB: true}, heads, heads)
	}
	weights := inner(nn.Softmax{}, inner(nn.Scale{Factor: 0.5}, scores))
	mixed := inner(nn.MatMul{TransposeA: rapid.Bool().Draw(d.t, "transposed")}, weights, heads)
	d.layer(nn.Reshape{Shape: x.Shape}, inner(nn.Transpose{Axes: []int{1, 0, 2}}, mixed))
}

// Batch draws n examples for each input of a network: numbers that are standard normal, and ids that are
// known to the embeddings they go into.
func Batch(net *nn.Network, n int, seed uint64) nn.Batch {
	random := rand.New(rand.NewPCG(seed, 1))
	out := nn.Batch{}
	for _, l := range net.Inputs() {
		values := nn.NewValues(net.Element(l.Name), n*net.Shape(l.Name).Size())
		for i := range values.Float32 {
			values.Float32[i] = float32(random.NormFloat64())
		}
		for i := range values.Int32 {
			values.Int32[i] = int32(random.IntN(count(net, l.Name)))
		}
		out[l.Name] = values
	}
	return out
}

// count is the number of ids that every embedding of an input has.
func count(net *nn.Network, input string) int {
	most := 1 << 20
	for _, l := range net.Layers() {
		if op, ok := l.Op.(nn.Embedding); ok && l.Inputs[0] == input {
			most = min(most, op.Count)
		}
	}
	return most
}

// WidenBatch returns a batch in float64, as [EvaluateBatch] takes it.
func WidenBatch(b nn.Batch) map[string][]float64 {
	out := map[string][]float64{}
	for name, values := range b {
		out[name] = Widen(values.Float32)
		for _, id := range values.Int32 {
			out[name] = append(out[name], float64(id))
		}
	}
	return out
}
