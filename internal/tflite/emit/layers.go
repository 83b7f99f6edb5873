package emit

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/tflite"
)

// layer adds the operators of a layer.
func (e *emission) layer(l nn.Layer) error {
	if from, ok := e.fused[l.Name]; ok {
		v := *e.values[from]
		e.values[l.Name] = &v
		return nil
	}
	switch op := l.Op.(type) {
	case nn.Input:
		return e.input(l, op)
	case nn.Conv:
		return e.conv(l, op)
	case nn.Dense:
		return e.dense(l, op)
	case nn.Activation:
		return e.function(l, op.Function)
	case nn.Add:
		return e.add(l)
	case nn.Multiply:
		a, b := e.operand(l, l.Inputs[0]), e.operand(l, l.Inputs[1])
		out, _ := e.makes(l)
		e.operator(tflite.Mul, []int{a, b}, out, nil)
	case nn.Scale:
		n := e.net.Shape(l.Name).Channels()
		e.affine(l, slices.Repeat([]float32{op.Factor}, n), make([]float32, n))
	case nn.Affine:
		e.affine(l, op.Scale, op.Shift)
	case nn.BatchNorm:
		e.batchNorm(l, op)
	case nn.Concat:
		var in []int
		for _, name := range l.Inputs {
			in = append(in, e.moved(l, name))
		}
		out, _ := e.makes(l)
		e.operator(tflite.Concatenation, in, out, tflite.Options{tflite.Axis: len(e.net.Shape(l.Name))})
	case nn.MaxPool:
		return e.pool(l, tflite.MaxPool2D, op.Geometry())
	case nn.AveragePool:
		return e.pool(l, tflite.AveragePool2D, op.Geometry())
	case nn.GlobalAveragePool:
		in := e.operand(l, l.Inputs[0])
		axes := e.ints(l.Name+".axes", []int{2}, []int32{1, 2}, nil)
		out, _ := e.makes(l)
		e.operator(tflite.Mean, []int{in, axes}, out, nil)
	case nn.ZeroPad:
		e.zeroPad(l, op)
	case nn.Flatten, nn.Reshape:
		in := e.moved(l, l.Inputs[0])
		shape := []int32{1}
		for _, d := range e.net.Shape(l.Name) {
			shape = append(shape, int32(d))
		}
		to := e.ints(l.Name+".shape", []int{len(shape)}, shape, nil)
		out, _ := e.makes(l)
		e.operator(tflite.Reshape, []int{in, to}, out, nil)
	case nn.Transpose:
		axes := []int32{0}
		for _, a := range op.Axes {
			axes = append(axes, int32(a+1))
		}
		in, perm := e.as(l.Inputs[0], nil), e.ints(l.Name+".axes", []int{len(axes)}, axes, nil)
		out, _ := e.makes(l)
		e.operator(tflite.Transpose, []int{in, perm}, out, nil)
	case nn.Softmax:
		in := e.as(l.Inputs[0], nil)
		out := e.activation(l.Name, e.net.Shape(l.Name), nil)
		e.put(l, out, nil)
		e.operator(tflite.Softmax, []int{in}, out, nil)
	case nn.LayerNorm:
		e.layerNorm(l, op)
	case nn.ScaleShift:
		e.scaleShift(l, op)
	case nn.Attention:
		e.attention(l, op)
	case nn.Positions:
		e.positions(l, op)
	case nn.Prepend:
		e.prepend(l, op)
	case nn.TokenPool:
		return e.tokenPool(l, op)
	case nn.L2Normalise:
		e.l2Normalise(l, op)
	case nn.MatMul:
		e.matMul(l, op)
	default:
		return errNoOperator
	}
	return nil
}

// operand is an input of a layer as it computes: in the input's own steps, or in float32.
func (e *emission) operand(l nn.Layer, name string) int {
	if e.options.Scheme.Computes(l) {
		t, _ := e.own(name)
		return t
	}
	return e.as(name, nil)
}

// moved is an input of a layer that moves numbers: in the steps of what it puts out.
func (e *emission) moved(l nn.Layer, name string) int { return e.as(name, e.stepsOf(l)) }

func (e *emission) weight(l nn.Layer, role nn.Role) nn.Tensor {
	return e.model.Weights[nn.Parameter{Layer: l.Name, Role: role}.Name()]
}

// input takes pixels and normalises them by a convolution of one pixel, which can also change the order of the channels; or
// takes what the network takes.
func (e *emission) input(l nn.Layer, op nn.Input) error {
	p := e.model.Pixels
	if p == nil {
		if op.Element != nn.Float32 {
			return errNoOperator
		}
		t := e.activation(l.Name, op.Shape, nil)
		e.file.Inputs = append(e.file.Inputs, t)
		e.put(l, t, nil)
		return nil
	}
	shape := append([]int{1}, op.Shape...)
	scale, shift := p.Scale, p.Shift
	order := []int{0, 1, 2}
	if p.BGR {
		order = []int{2, 1, 0}
	}
	options := tflite.Options{tflite.Padding: tflite.ValidPadding, tflite.StrideWidth: 1, tflite.StrideHeight: 1, tflite.DilationWidth: 1, tflite.DilationHeight: 1}
	s, rounded := e.rounding[l.Name]
	if !rounded {
		pixels := e.tensor(tflite.Tensor{Name: l.Name, Type: tflite.Uint8, Shape: shape})
		e.file.Inputs = append(e.file.Inputs, pixels)
		wide := e.activation(l.Name+".float32", op.Shape, nil)
		e.operator(tflite.Cast, []int{pixels}, wide, tflite.Options{tflite.From: int(tflite.Uint8), tflite.To: int(tflite.Float32)})
		weight := make([]float32, 9)
		for c, from := range order {
			weight[3*c+from] = scale[c]
		}
		out := e.activation(l.Name+".normalised", op.Shape, nil)
		e.operator(tflite.Conv2D, []int{wide, e.floats(l.Name+".scale", []int{3, 1, 1, 3}, weight), e.floats(l.Name+".shift", []int{3}, shift[:])}, out, options)
		e.put(l, out, nil)
		return nil
	}
	zero := math.RoundToEven(float64(-shift[0] / scale[0]))
	if scale[0] == scale[1] && scale[1] == scale[2] && shift[0] == shift[1] && shift[1] == shift[2] && !p.BGR &&
		zero >= 0 && zero <= 255 && math.Abs(float64(-shift[0]/scale[0])-zero) < 1e-3 {
		// One size of steps for all channels, of which 0 is one: the pixels are quantised numbers as they are.
		pixels := e.tensor(tflite.Tensor{Name: l.Name, Type: tflite.Uint8, Shape: shape, Steps: &tflite.Steps{Sizes: []float32{scale[0]}, Zeros: []int64{int64(zero)}}})
		e.file.Inputs = append(e.file.Inputs, pixels)
		out := e.activation(l.Name+".normalised", op.Shape, &s)
		e.operator(tflite.Quantize, []int{pixels}, out, nil)
		e.put(l, out, &s)
		return nil
	}
	pixels := e.tensor(tflite.Tensor{Name: l.Name, Type: tflite.Uint8, Shape: shape, Steps: &tflite.Steps{Sizes: []float32{1}, Zeros: []int64{0}}})
	e.file.Inputs = append(e.file.Inputs, pixels)
	signed := quantise.Steps{Size: 1, Zero: -128}
	whole := e.activation(l.Name+".signed", op.Shape, &signed)
	e.operator(tflite.Quantize, []int{pixels}, whole, nil)
	normalising := nn.Tensor{Shape: nn.Shape{3, 3}, Data: make([]float32, 9)}
	for c, from := range order {
		normalising.Data[3*c+from] = scale[c]
	}
	weight, bias := e.weightAndBias(l.Name, []int{3, 1, 1, 3}, 0, quantise.For(signed, normalising, shift[:]), signed)
	out := e.activation(l.Name+".normalised", op.Shape, &s)
	e.operator(tflite.Conv2D, []int{whole, weight, bias}, out, options)
	e.put(l, out, &s)
	return nil
}

// weighted adds the weight and bias of a layer and returns all its inputs.
func (e *emission) weighted(l nn.Layer, shape []int, axis int, turn func(n int) []int) ([]int, error) {
	weight, bias := e.weight(l, nn.Weight), e.weight(l, nn.Bias).Data
	name := l.Name + ".weight"
	if !e.options.Scheme.Computes(l) {
		in := e.as(l.Inputs[0], nil)
		data := weight.Data
		if turn != nil {
			data = turned(weight.Data, turn(len(weight.Data)))
		}
		if bias == nil {
			bias = make([]float32, weight.Shape[0])
		}
		return []int{in, e.floats(name, shape, data), e.floats(l.Name+".bias", []int{len(bias)}, bias)}, nil
	}
	in, s := e.own(l.Inputs[0])
	if s == nil {
		return nil, fmt.Errorf("the range of its input %q is not known", l.Inputs[0])
	}
	q := quantise.For(*s, weight, bias)
	if turn != nil {
		q.Steps = turned(q.Steps, turn(len(q.Steps)))
	}
	w, b := e.weightAndBias(l.Name, shape, axis, q, *s)
	return []int{in, w, b}, nil
}

// turned puts numbers into another order: element i is the one at at[i].
func turned[T any](data []T, at []int) []T {
	out := make([]T, len(data))
	for i, from := range at {
		out[i] = data[from]
	}
	return out
}

func (e *emission) conv(l nn.Layer, op nn.Conv) error {
	shape := e.net.Shape(l.Inputs[0])
	g := op.Geometry(shape[2])
	options := tflite.Options{
		tflite.StrideWidth: g.StrideW, tflite.StrideHeight: g.StrideH, tflite.DilationWidth: max(g.DilationW, 1), tflite.DilationHeight: max(g.DilationH, 1),
		tflite.Activation: e.fusedActivation(l),
	}
	code, weightShape, axis := tflite.Conv2D, []int{g.OutC, g.KernelH, g.KernelW, g.InC / g.Groups}, 0
	var turn func(int) []int
	if g.Groups == g.InC && g.Groups > 1 {
		code, weightShape, axis = tflite.DepthwiseConv2D, []int{1, g.KernelH, g.KernelW, g.OutC}, 3
		options[tflite.DepthMultiplier] = g.OutC / g.InC
		window := g.KernelH * g.KernelW
		turn = func(n int) []int { // [out, window] to [window, out]
			at := make([]int, n)
			for i := range at {
				at[i] = i%g.OutC*window + i/g.OutC
			}
			return at
		}
	}
	in, err := e.weighted(l, weightShape, axis, turn)
	if err != nil {
		return err
	}
	dilatedH, dilatedW := (g.KernelH-1)*max(g.DilationH, 1)+1, (g.KernelW-1)*max(g.DilationW, 1)+1
	padding := nn.Padding{g.PadTop, g.PadLeft, g.PadBottom, g.PadRight}
	switch same := shape.Same(nn.Pair{dilatedH, dilatedW}, nn.Pair{g.StrideH, g.StrideW}); {
	case padding.IsZero():
		options[tflite.Padding] = tflite.ValidPadding
	case padding == same:
		options[tflite.Padding] = tflite.SamePadding
	default:
		options[tflite.Padding] = tflite.ValidPadding
		in[0] = e.padded(l, in[0], shape, padding)
	}
	out, _ := e.makes(l)
	e.operator(code, in, out, options)
	return nil
}

// padded puts zeros around a map.
func (e *emission) padded(l nn.Layer, in int, shape nn.Shape, margins nn.Padding) int {
	t := e.file.Tensors[in]
	t.Name = l.Name + ".padded"
	t.Shape = []int{1, shape[0] + margins[0] + margins[2], shape[1] + margins[1] + margins[3], shape[2]}
	out := e.tensor(t)
	e.operator(tflite.Pad, []int{in, e.margins(l.Name, margins)}, out, nil)
	return out
}

func (e *emission) margins(layer string, m nn.Padding) int {
	return e.ints(layer+".margins", []int{4, 2}, []int32{0, 0, int32(m[0]), int32(m[2]), int32(m[1]), int32(m[3]), 0, 0}, nil)
}

func (e *emission) dense(l nn.Layer, op nn.Dense) error {
	in := e.net.Shape(l.Inputs[0])
	inputs, err := e.weighted(l, []int{op.Out, in.Channels()}, 0, nil)
	if err != nil {
		return err
	}
	options := tflite.Options{tflite.Activation: e.fusedActivation(l)}
	if len(in) > 1 {
		options[tflite.KeepDims] = 1
	}
	out, _ := e.makes(l)
	e.operator(tflite.FullyConnected, inputs, out, options)
	return nil
}

// function applies an activation that is one with no other layer.
func (e *emission) function(l nn.Layer, f kernel.Activation) error {
	code, ok := map[kernel.Activation]tflite.Code{
		kernel.ReLU: tflite.ReLU, kernel.ReLU6: tflite.ReLU6, kernel.HardSwish: tflite.HardSwish, kernel.Sigmoid: tflite.Logistic,
		kernel.Tanh: tflite.Tanh, kernel.GELU: tflite.Gelu,
	}[f]
	switch {
	case f == kernel.None:
		e.values[l.Name] = e.values[l.Inputs[0]]
		return nil
	case f == kernel.SiLU:
		in := e.operand(l, l.Inputs[0])
		var s *quantise.Steps
		if e.options.Scheme.Computes(l) {
			fixed := quantise.Range{Low: 0, High: 255.0 / 256}.Steps()
			s = &fixed
		}
		sigmoid := e.activation(l.Name+".sigmoid", e.net.Shape(l.Name), s)
		e.operator(tflite.Logistic, []int{in}, sigmoid, nil)
		out, _ := e.makes(l)
		e.operator(tflite.Mul, []int{in, sigmoid}, out, nil)
		return nil
	case f == kernel.QuickGELU:
		shape, in := e.net.Shape(l.Name), e.as(l.Inputs[0], nil)
		scaled := e.step(tflite.Mul, l.Name+".scaled", shape, nil, in, e.number(l.Name+".factor", 1.702))
		sigmoid := e.step(tflite.Logistic, l.Name+".sigmoid", shape, nil, scaled)
		e.put(l, e.step(tflite.Mul, l.Name, shape, nil, in, sigmoid), nil)
		return nil
	case f == kernel.GELUTanh:
		e.put(l, e.step(tflite.Gelu, l.Name, e.net.Shape(l.Name), tflite.Options{tflite.Approximate: 1}, e.as(l.Inputs[0], nil)), nil)
		return nil
	case !ok:
		return errNoOperator
	}
	in := e.operand(l, l.Inputs[0])
	out, _ := e.makes(l)
	e.operator(code, []int{in}, out, nil)
	return nil
}

func (e *emission) add(l nn.Layer) error {
	sum := e.operand(l, l.Inputs[0])
	for i, name := range l.Inputs[1:] {
		other := e.operand(l, name)
		if i == len(l.Inputs)-2 {
			out, _ := e.makes(l)
			e.operator(tflite.Add, []int{sum, other}, out, tflite.Options{tflite.Activation: e.fusedActivation(l)})
			break
		}
		part := e.activation(fmt.Sprintf("%s.%d", l.Name, i+1), e.net.Shape(l.Name), e.stepsOf(l))
		e.operator(tflite.Add, []int{sum, other}, part, nil)
		sum = part
	}
	return nil
}

// affine multiplies and shifts each channel, in float32.
func (e *emission) affine(l nn.Layer, scale, shift []float32) {
	in := e.as(l.Inputs[0], nil)
	shape := e.net.Shape(l.Name)
	scaled := e.activation(l.Name+".scaled", shape, nil)
	e.operator(tflite.Mul, []int{in, e.floats(l.Name+".scale", []int{len(scale)}, scale)}, scaled, nil)
	out := e.activation(l.Name, shape, nil)
	e.operator(tflite.Add, []int{scaled, e.floats(l.Name+".shift", []int{len(shift)}, shift)}, out, nil)
	e.put(l, out, nil)
}

func (e *emission) batchNorm(l nn.Layer, op nn.BatchNorm) {
	gamma, beta, mean, variance := e.weight(l, nn.Gamma).Data, e.weight(l, nn.Beta).Data, e.weight(l, nn.Mean).Data, e.weight(l, nn.Variance).Data
	scale, shift := make([]float32, len(beta)), make([]float32, len(beta))
	for i := range beta {
		s := 1 / math.Sqrt(float64(variance[i])+float64(op.Epsilon))
		if !op.Unscaled {
			s *= float64(gamma[i])
		}
		scale[i], shift[i] = float32(s), float32(float64(beta[i])-float64(mean[i])*s)
	}
	e.affine(l, scale, shift)
}

func (e *emission) pool(l nn.Layer, code tflite.Code, g kernel.Pooling) error {
	shape, out := e.net.Shape(l.Inputs[0]), e.net.Shape(l.Name)
	in := e.moved(l, l.Inputs[0])
	options := tflite.Options{tflite.StrideWidth: g.StrideW, tflite.StrideHeight: g.StrideH, tflite.FilterWidth: g.KernelW, tflite.FilterHeight: g.KernelH, tflite.Padding: tflite.ValidPadding}
	// What rounding up adds counts as padding at the end.
	need := nn.Padding{
		g.PadTop, g.PadLeft,
		max((out[0]-1)*g.StrideH+g.KernelH-g.PadTop-shape[0], 0), max((out[1]-1)*g.StrideW+g.KernelW-g.PadLeft-shape[1], 0),
	}
	same := shape.Same(nn.Pair{g.KernelH, g.KernelW}, nn.Pair{g.StrideH, g.StrideW})
	average := code == tflite.AveragePool2D
	switch {
	case need.IsZero():
	case need == same && !(average && g.CountPadding):
		options[tflite.Padding] = tflite.SamePadding
	case average && (!g.CountPadding || g.Ceil):
		return fmt.Errorf("means over windows with padding %v: %w", need, errNoOperator)
	case average:
		in = e.padded(l, in, shape, need)
	default: // with the least number there is, which wins nothing
		t := e.file.Tensors[in]
		least := tflite.Tensor{Name: l.Name + ".least", Type: t.Type, Steps: t.Steps, Data: []byte{0x80}}
		if t.Type == tflite.Float32 {
			least.Data = []byte{0xff, 0xff, 0x7f, 0xff} // −3.4e38
		}
		t.Name, t.Shape = l.Name+".padded", []int{1, shape[0] + need[0] + need[2], shape[1] + need[1] + need[3], shape[2]}
		padded := e.tensor(t)
		e.operator(tflite.PadV2, []int{in, e.margins(l.Name, need), e.tensor(least)}, padded, nil)
		in = padded
	}
	to, _ := e.makes(l)
	e.operator(code, []int{in}, to, options)
	return nil
}
