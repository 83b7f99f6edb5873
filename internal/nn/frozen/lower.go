package frozen

import (
	"cmp"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// lowering is how the layers of one kind compile.
type lowering struct {
	// lower makes a layer a node, or does it in an earlier one; nil: it is a node of its own.
	lower func(c *compilation, l nn.Layer, in []*value)
	// emit makes the steps of a node that computes in float32; nil if no layer becomes a node.
	emit func(n *node, o Options, in []view, out view) ([]step, error)
	// over lists the inputs in whose memory a node may write its output; nil: none.
	over func(n *node) []*value
	// ending is what the node can do besides, of what comes after it.
	ending ending
	// bands tells that the steps can read and write bands of wider tensors.
	bands bool
	// packs tells that the steps take tokens of examples of several lengths, one after the other, as rows.
	packs bool
	// joins tells that the inputs, side by side, are the output.
	joins bool
	// reduced is how nodes compute with smaller numbers; nil: they do not.
	reduced *reduced
}

// ending is what a step can do at its end; each one includes those before it.
type ending int

const (
	plain     ending = iota // nothing
	activated               // apply an activation
	affine                  // and, before, an affine map of each channel
	convolved               // and, before that activation, add a residual
)

// lowerings tells for each kind of layer how it compiles: the one place of this package to look for an op.
func lowerings() map[string]lowering {
	return map[string]lowering{
		nn.Input{}.Kind():   {lower: (*compilation).lowerInput, packs: true},
		nn.Dropout{}.Kind(): {lower: lowerIdentity, packs: true},
		nn.Conv{}.Kind(): {
			lower: (*compilation).lowerWeighted, emit: emitConv, over: overResidual, ending: convolved, bands: true,
			reduced: &reduced{multiplies: true, bfloat16: emitBFloat16Conv, uint8: emitUint8Conv},
		},
		nn.Dense{}.Kind():     {lower: (*compilation).lowerWeighted, emit: emitDense, over: overResidual, ending: convolved, bands: true, packs: true},
		nn.BatchNorm{}.Kind(): {lower: (*compilation).lowerBatchNorm, emit: emitScaleShift, over: overFirst, ending: affine, bands: true},
		nn.Scale{}.Kind():     {lower: (*compilation).lowerScale, emit: emitScaleShift, over: overFirst, ending: affine, bands: true, packs: true},
		nn.Activation{}.Kind(): {
			lower: (*compilation).lowerActivation, over: overFirst, packs: true,
			emit: one(func(n *node, in []view, out view) step { return &activateStep{src: in[0], dst: out, act: n.act} }),
		},
		nn.Add{}.Kind(): {lower: (*compilation).lowerAdd, emit: emitAdd, over: overEither, ending: activated, packs: true},
		nn.Multiply{}.Kind(): {
			over: overFirst,
			emit: one(func(_ *node, in []view, out view) step { return &multiplyStep{src: in[0], by: in[1], dst: out} }),
		},
		nn.Concat{}.Kind(): {
			emit: emitConcat, bands: true, joins: true, packs: true,
			reduced: &reduced{moves: true, bfloat16: joined, uint8: joined},
		},
		nn.Flatten{}.Kind(): {lower: (*compilation).lowerFlatten, emit: emitReshape, over: overFirst},
		nn.MaxPool{}.Kind(): {
			emit: one(func(n *node, in []view, out view) step {
				return newPoolStep(n, in[0], out, n.op.(nn.MaxPool).Geometry(), true)
			}),
			reduced: &reduced{moves: true, bfloat16: emitBFloat16MaxPool, uint8: emitUint8MaxPool},
		},
		nn.AveragePool{}.Kind(): {
			emit: one(func(n *node, in []view, out view) step {
				return newPoolStep(n, in[0], out, n.op.(nn.AveragePool).Geometry(), false)
			}),
		},
		nn.GlobalAveragePool{}.Kind(): {
			emit:    one(func(_ *node, in []view, out view) step { return &globalPoolStep{src: in[0], dst: out} }),
			reduced: &reduced{widens: true, bfloat16: emitBFloat16GlobalPool, uint8: emitUint8GlobalPool},
		},
		nn.ZeroPad{}.Kind(): {
			emit: one(func(n *node, in []view, out view) step {
				return &padStep{src: in[0], dst: out, margins: n.op.(nn.ZeroPad).Margins, from: n.in[0].shape, to: n.out.shape}
			}),
		},
		nn.Softmax{}.Kind(): {
			over: overFirst, packs: true,
			emit: one(func(_ *node, in []view, out view) step { return &softmaxStep{src: in[0], dst: out} }),
		},
		nn.Embedding{}.Kind(): {lower: (*compilation).lowerKept, emit: one(newEmbeddingStep), packs: true},
		nn.LayerNorm{}.Kind(): {lower: (*compilation).lowerKept, emit: one(newLayerNormStep), over: overFirst, packs: true},
		nn.MatMul{}.Kind():    {emit: one(newMatMulStep)},
		nn.Reshape{}.Kind():   {emit: emitReshape, over: overFirst},
		nn.Transpose{}.Kind(): {emit: one(newTransposeStep)},
		nn.L2Normalise{}.Kind(): {
			over: overFirst, packs: true,
			emit: one(func(n *node, in []view, out view) step {
				return &l2NormaliseStep{src: in[0], dst: out, least: n.op.(nn.L2Normalise).Least()}
			}),
		},
		nn.Neighbours{}.Kind():       {lower: (*compilation).lowerNeighbours, emit: emitNeighbours},
		nn.Affine{}.Kind():           {lower: (*compilation).lowerConstants, emit: emitScaleShift, over: overFirst, ending: affine, bands: true, packs: true},
		nn.GradientReversal{}.Kind(): {lower: lowerIdentity, packs: true},
		nn.Attention{}.Kind():        {lower: (*compilation).lowerAttention, emit: one(newAttentionStep), packs: true},
		nn.Positions{}.Kind():        {lower: (*compilation).lowerKept, emit: one(newPositionsStep), over: overFirst, packs: true},
		nn.Prepend{}.Kind():          {lower: (*compilation).lowerKept, emit: one(newPrependStep)},
		nn.ScaleShift{}.Kind():       {lower: (*compilation).lowerScaleShift, emit: emitScaleShift, over: overFirst, ending: affine, bands: true, packs: true},
		nn.Window{}.Kind():           {emit: one(newWindowStep), packs: true},
		nn.Recurrent{}.Kind():        {lower: (*compilation).lowerKept, emit: one(newRecurrentStep), packs: true},
		nn.TokenPool{}.Kind():        {emit: one(newTokenPoolStep), packs: true},
	}
}

// mover is the lowering of nodes that copy or convert a value, and of no layer.
func mover() *lowering { return &lowering{emit: emitMove} }

// one makes an emit of a function that makes one step.
func one(make func(n *node, in []view, out view) step) func(*node, Options, []view, view) ([]step, error) {
	return func(n *node, _ Options, in []view, out view) ([]step, error) { return []step{make(n, in, out)}, nil }
}

func overFirst(n *node) []*value { return n.in[:1] }

// overResidual lets a convolution write over its residual, unless that is part of what it reads.
func overResidual(n *node) []*value {
	if n.residual != nil && n.residual.home != n.in[0].home {
		return []*value{n.residual}
	}
	return nil
}

// overEither lets a sum of two write over one; that of more is written before all are read.
func overEither(n *node) []*value {
	if len(n.in) == 2 {
		return n.in
	}
	return nil
}

// lowerInput makes an input of the network a value.
func (c *compilation) lowerInput(l nn.Layer, _ []*value) {
	c.values[l.Name] = &value{source: c.sources, shape: c.net.Shape(l.Name), uses: c.uses(l)}
	c.sources++
}

// lowerIdentity is for layers that do nothing.
func lowerIdentity(c *compilation, l nn.Layer, in []*value) { c.alias(l, in[0]) }

// lowerWeighted is for layers that end in an affine map, which those after it are folded into.
func (c *compilation) lowerWeighted(l nn.Layer, in []*value) {
	n := &node{in: in, weight: c.parameter(l, nn.Weight)}
	n.scale, n.shift = identity(c.net.Shape(l.Name).Channels())
	for i, b := range c.parameter(l, nn.Bias) {
		n.shift[i] = float64(b)
	}
	c.add(l, n)
}

// lowerBatchNorm folds a batch-norm, with its running statistics, as an affine map.
func (c *compilation) lowerBatchNorm(l nn.Layer, in []*value) {
	op := l.Op.(nn.BatchNorm)
	gamma, beta := c.parameter(l, nn.Gamma), c.parameter(l, nn.Beta)
	mean, variance := c.parameter(l, nn.Mean), c.parameter(l, nn.Variance)
	n := &node{}
	n.scale, n.shift = identity(len(beta))
	for i := range beta {
		if !op.Unscaled {
			n.scale[i] = float64(gamma[i])
		}
		n.scale[i] /= math.Sqrt(float64(variance[i]) + float64(op.Epsilon))
		n.shift[i] = float64(beta[i]) - float64(mean[i])*n.scale[i]
	}
	c.lowerAffine(l, in[0], n)
}

func (c *compilation) lowerScale(l nn.Layer, in []*value) {
	n := &node{}
	n.scale, n.shift = identity(in[0].channels())
	for i := range n.scale {
		n.scale[i] = float64(l.Op.(nn.Scale).Factor)
	}
	c.lowerAffine(l, in[0], n)
}

// lowerConstants folds an affine map by constants.
func (c *compilation) lowerConstants(l nn.Layer, in []*value) {
	op, n := l.Op.(nn.Affine), &node{}
	n.scale, n.shift = identity(in[0].channels())
	for i := range n.scale {
		n.scale[i], n.shift[i] = float64(op.Scale[i]), float64(op.Shift[i])
	}
	c.lowerAffine(l, in[0], n)
}

// lowerAffine folds an affine map into the node before it, or makes it a node.
func (c *compilation) lowerAffine(l nn.Layer, x *value, n *node) {
	if m := x.maker; m != nil && x.uses == 1 && m.kind.ending >= affine && m.residual == nil && m.act == kernel.None {
		for i, s := range n.scale {
			m.scale[i] *= s
			m.shift[i] = m.shift[i]*s + n.shift[i]
		}
		c.alias(l, x)
		return
	}
	n.in = []*value{x}
	c.add(l, n)
}

// lowerActivation puts a function at the end of the node before it, or makes it a node.
func (c *compilation) lowerActivation(l nn.Layer, in []*value) {
	f := l.Op.(nn.Activation).Function
	switch n := in[0].maker; {
	case f == kernel.None:
		c.alias(l, in[0])
	case in[0].uses == 1 && n != nil && n.act == kernel.None && n.kind.ending >= activated:
		n.act = f
		c.alias(l, in[0])
	default:
		c.add(l, &node{in: in, act: f})
	}
}

// lowerAdd fuses the addition of two values with the convolution that makes one of them, which then runs
// after the other value is there, or makes it a node.
func (c *compilation) lowerAdd(l nn.Layer, in []*value) {
	if !c.lowerResidual(l, in) {
		c.add(l, &node{in: in})
	}
}

// lowerFlatten makes one pixel of many.
func (c *compilation) lowerFlatten(l nn.Layer, in []*value) {
	if in[0].pixels() == 1 {
		c.alias(l, in[0])
		return
	}
	c.add(l, &node{in: in})
}

// emitMove copies, or converts between the types of numbers.
func emitMove(n *node, _ Options, in []view, out view) ([]step, error) {
	src := in[0]
	switch {
	case (src.element == uint8s) != (out.element == uint8s):
		return []step{&quantizeStep{src: src, dst: out, quantization: cmp.Or(n.in[0].quantizationRange, n.out.quantizationRange).quantization()}}, nil
	case src.element != out.element:
		return []step{&convertStep{src: src, dst: out}}, nil
	}
	return []step{&copyStep{src: src, dst: out}}, nil
}

func emitConv(n *node, o Options, in []view, out view) ([]step, error) {
	g := n.op.(nn.Conv).Geometry(in[0].channels)
	return n.emitWeighted(o, g, n.in[0].shape[0], n.in[0].shape[1], in[0], out)
}

// emitWeighted packs the weights, scaled.
func (n *node) emitWeighted(o Options, g kernel.Conv, h, w int, src, dst view) ([]step, error) {
	packed, err := n.pack(o, g, h, w)
	if err != nil {
		return nil, err
	}
	return []step{&convStep{packed: packed, h: h, w: w, src: src, dst: dst, residual: n.residualView(), act: n.act}}, nil
}

// pack lays out the weights, scaled, of a convolution of an input of h×w.
func (n *node) pack(o Options, g kernel.Conv, h, w int) (*kernel.PackedConv, error) {
	return kernel.PackConvFor(g, n.weight, narrow(n.shift), kernel.PackOptions{
		Algorithm: o.Algorithm, N: 1, H: h, W: w, Scale: narrow(n.scale),
		Half: o.half && !o.Float[n.name], BFloat16: o.Precision == BFloat16 && n.ofTokens() && !o.Float[n.name],
	})
}

// residualView says where the residual lies; nil if there is none.
func (n *node) residualView() *view {
	if n.residual == nil {
		return nil
	}
	v := n.residual.view()
	return &v
}

func emitScaleShift(n *node, _ Options, in []view, out view) ([]step, error) {
	return []step{&scaleShiftStep{src: in[0], dst: out, scale: narrow(n.scale), shift: narrow(n.shift), act: n.act}}, nil
}

// emitAdd adds the inputs one after the other; the activation comes with the last.
func emitAdd(n *node, _ Options, in []view, out view) ([]step, error) {
	var steps []step
	sum := in[0]
	for i, v := range in[1:] {
		s := &addStep{a: sum, b: v, dst: out}
		if i == len(in)-2 {
			s.act = n.act
		}
		steps = append(steps, s)
		sum = out
	}
	return steps, nil
}

func emitConcat(n *node, _ Options, in []view, out view) ([]step, error) { return joined(n, in, out) }

// joined copies those inputs that do not lie where they belong.
func joined(_ *node, in []view, out view) ([]step, error) {
	var steps []step
	channel := out.channel
	for _, v := range in {
		to := out
		to.channel, to.channels = channel, v.channels
		if v != to {
			steps = append(steps, &copyStep{src: v, dst: to})
		}
		channel += v.channels
	}
	return steps, nil
}

// emitReshape copies the numbers, unless the output takes the place of the input.
func emitReshape(n *node, _ Options, in []view, out view) ([]step, error) {
	if n.in[0].home == n.out.home {
		return nil, nil
	}
	other := in[0]
	other.channels, other.pixels, other.pitch = out.channels, out.pixels, out.channels
	return []step{&copyStep{src: other, dst: out}}, nil
}

func newPoolStep(n *node, src, dst view, g kernel.Pooling, greatest bool) step {
	return &poolStep{src: src, dst: dst, geometry: g, h: n.in[0].shape[0], w: n.in[0].shape[1], greatest: greatest}
}
