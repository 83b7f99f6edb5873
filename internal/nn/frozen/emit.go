package frozen

import (
	"cmp"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// view says where the value lies.
func (v *value) view() view {
	w := view{element: v.element, channels: v.channels(), pixels: v.pixels(), pitch: v.channels()}
	if v.maker == nil {
		w.input, w.source = true, v.source
		return w
	}
	w.offset, w.single, w.channel, w.pitch = v.home.offset, v.home.single, v.channel, v.pitch
	return w
}

// emit makes the steps of a node.
func (n *node) emit(o Options) ([]step, error) {
	in := make([]view, len(n.in))
	for i, v := range n.in {
		in[i] = v.view()
	}
	out := n.out.view()
	switch n.element {
	case bfloat16s:
		return n.emitBFloat16(in, out)
	case uint8s:
		return n.emitUint8(in, out)
	}
	switch op := n.op.(type) {
	case nil:
		if in[0].element == uint8s != (out.element == uint8s) {
			return []step{&quantizeStep{in[0], out, cmp.Or(n.in[0].quantizationRange, n.out.quantizationRange).quantization()}}, nil
		}
		if in[0].element != out.element {
			return []step{&convertStep{in[0], out}}, nil
		}
		return []step{&copyStep{in[0], out}}, nil
	case nn.Conv:
		return n.emitConv(o, op.Geometry(in[0].channels), n.in[0].shape[0], n.in[0].shape[1], in[0], out)
	case nn.Dense:
		g := kernel.Conv{InC: in[0].channels, OutC: op.Out, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
		return n.emitConv(o, g, 1, 1, in[0], out)
	case nn.BatchNorm, nn.Scale:
		return []step{&scaleShiftStep{in[0], out, narrow(n.scale), narrow(n.shift), n.act}}, nil
	case nn.Concat:
		return emitConcat(in, out), nil
	case nn.Flatten:
		if n.in[0].home == n.out.home {
			return nil, nil
		}
		flat := in[0]
		flat.channels, flat.pixels, flat.pitch = out.channels, 1, out.channels
		return []step{&copyStep{flat, out}}, nil
	case nn.Activation:
		return []step{&activateStep{in[0], out, n.act}}, nil
	case nn.Add:
		return n.emitAdd(in, out), nil
	case nn.Multiply:
		return []step{&multiplyStep{in[0], in[1], out}}, nil
	case nn.MaxPool:
		return []step{&poolStep{in[0], out, op.Geometry(), n.in[0].shape[0], n.in[0].shape[1], true}}, nil
	case nn.AveragePool:
		return []step{&poolStep{in[0], out, op.Geometry(), n.in[0].shape[0], n.in[0].shape[1], false}}, nil
	case nn.ZeroPad:
		return []step{&padStep{in[0], out, op.Margins, n.in[0].shape, n.out.shape}}, nil
	case nn.GlobalAveragePool:
		return []step{&globalPoolStep{in[0], out}}, nil
	case nn.Softmax:
		return []step{&softmaxStep{in[0], out}}, nil
	}
	return nil, fmt.Errorf("%s cannot be compiled", n.op.Kind())
}

// emitConv packs the weights, scaled.
func (n *node) emitConv(o Options, g kernel.Conv, h, w int, src, dst view) ([]step, error) {
	packed, err := kernel.PackConvFor(g, n.weight, narrow(n.shift),
		kernel.PackOptions{Algorithm: o.Algorithm, N: 1, H: h, W: w, Scale: narrow(n.scale)})
	if err != nil {
		return nil, err
	}
	s := &convStep{packed: packed, h: h, w: w, src: src, dst: dst, act: n.act}
	if n.residual != nil {
		r := n.residual.view()
		s.residual = &r
	}
	return []step{s}, nil
}

// scaledWeight is the weight multiplied by the scale of the channel it leads to.
func (n *node) scaledWeight() []float32 {
	scaled := make([]float32, len(n.weight))
	row := len(n.weight) / len(n.scale)
	for channel, s := range n.scale {
		for i := channel * row; i < (channel+1)*row; i++ {
			scaled[i] = float32(float64(n.weight[i]) * s)
		}
	}
	return scaled
}

// emitAdd adds the inputs one after the other; the activation comes with the last.
func (n *node) emitAdd(in []view, out view) []step {
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
	return steps
}

// emitConcat copies those inputs that do not lie where they belong.
func emitConcat(in []view, out view) []step {
	var steps []step
	channel := out.channel
	for _, v := range in {
		to := out
		to.channel, to.channels = channel, v.channels
		if v != to {
			steps = append(steps, &copyStep{v, to})
		}
		channel += v.channels
	}
	return steps
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
