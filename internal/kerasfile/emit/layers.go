package emit

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// errNoLayer is for layers that files cannot hold.
var errNoLayer = errors.New("Keras has no layer for it: export it as onnx or tflite")

// layer adds the layers of Keras that compute a layer.
func (e *emission) layer(l nn.Layer) (err error) {
	name, out := l.Name, ""
	switch op := l.Op.(type) {
	case nn.Input:
		out, err = e.input(l, op)
	case nn.Conv:
		out, err = e.conv(l, op)
	case nn.Dense:
		out = e.dense(l, op)
	case nn.BatchNorm:
		out = e.batchNorm(l, op)
	case nn.LayerNorm:
		n := e.net.Shape(name).Channels()
		out = e.with(kerasfile.Layer{
			Class: "LayerNormalization", Name: name, Config: config{"axis": -1, "epsilon": op.Epsilon}, Inputs: e.ins(l),
			Variables: []kerasfile.Variable{{Shape: []int{n}, Data: e.data(l, nn.Gamma).Data}, {Shape: []int{n}, Data: e.data(l, nn.Beta).Data}},
		})
	case nn.Activation:
		out, err = e.activation(name, e.in(l, 0), op.Function)
	case nn.Add:
		out = e.with(kerasfile.Layer{Class: "Add", Name: name, Inputs: e.ins(l), Together: true})
	case nn.Multiply:
		in := e.ins(l)
		if n := e.net.Shape(l.Inputs[1]); len(n) == 1 && len(e.net.Shape(name)) == 3 {
			shape := nn.Shape{1, 1, n[0]}
			in[1] = e.with(kerasfile.Layer{Class: "Reshape", Name: name + ".by", Config: config{"target_shape": shape}, Inputs: []string{in[1]}, Shape: shape})
		}
		out = e.with(kerasfile.Layer{Class: "Multiply", Name: name, Inputs: in, Together: true})
	case nn.Scale:
		out = e.rescaled(name, e.in(l, 0), op.Factor, 0)
	case nn.Affine:
		out = e.rescaled(name, e.in(l, 0), op.Scale, op.Shift)
	case nn.ScaleShift:
		out = e.scaleShift(l, op)
	case nn.Concat:
		out = e.with(kerasfile.Layer{Class: "Concatenate", Name: name, Config: config{"axis": -1}, Inputs: e.ins(l), Together: true})
	case nn.MaxPool:
		out, err = e.pool(l, "MaxPooling2D", op.Geometry())
	case nn.AveragePool:
		out, err = e.pool(l, "AveragePooling2D", op.Geometry())
	case nn.GlobalAveragePool:
		out = e.add("GlobalAveragePooling2D", name, nil, e.in(l, 0))
	case nn.ZeroPad:
		out = e.padded(name, e.in(l, 0), op.Margins)
	case nn.Flatten:
		out = e.add("Flatten", name, nil, e.in(l, 0))
	case nn.Reshape:
		out = e.add("Reshape", name, config{"target_shape": op.Shape}, e.in(l, 0))
	case nn.Transpose:
		dims := slices.Clone(op.Axes)
		for i := range dims {
			dims[i]++
		}
		out = e.add("Permute", name, config{"dims": dims}, e.in(l, 0))
	case nn.Softmax:
		out = e.add("Softmax", name, config{"axis": -1}, e.in(l, 0))
	case nn.L2Normalise:
		if op.Least() != 1e-12 {
			return fmt.Errorf("vectors shorter than %v are not made longer, where Keras has 1e-12: export it as onnx or tflite", op.Least())
		}
		out = e.add("UnitNormalization", name, config{"axis": -1}, e.in(l, 0))
	case nn.Dropout:
		out = e.add("Dropout", name, config{"rate": op.Rate}, e.in(l, 0))
	case nn.GradientReversal: // hands its input on
		out = e.in(l, 0)
	default:
		return errNoLayer
	}
	e.names[name] = out
	return err
}

// input takes pixels and normalises them, or takes what the network takes.
func (e *emission) input(l nn.Layer, op nn.Input) (string, error) {
	if op.Element != nn.Float32 {
		return "", errNoLayer
	}
	shape := []any{nil}
	for _, d := range op.Shape {
		shape = append(shape, d)
	}
	p := e.pixels
	if p == nil {
		return e.add("InputLayer", l.Name, config{"batch_shape": shape, "dtype": "float32"}), nil
	}
	pixels := e.add("InputLayer", l.Name, config{"batch_shape": shape, "dtype": "uint8"})
	if !p.BGR {
		return e.rescaled(l.Name+".normalised", pixels, p.Scale[:], p.Shift[:]), nil
	}
	// A convolution of one pixel changes the order of the channels, too: its kernel is [1, 1, in, out].
	wide := e.rescaled(l.Name+".float32", pixels, float32(1), 0)
	kernel := make([]float32, 9)
	for c := range 3 {
		kernel[3*(2-c)+c] = p.Scale[c]
	}
	return e.with(kerasfile.Layer{
		Class: "Conv2D", Name: l.Name + ".normalised", Config: config{"filters": 3, "kernel_size": []int{1, 1}}, Inputs: []string{wide},
		Variables: []kerasfile.Variable{{Shape: []int{1, 1, 3, 3}, Data: kernel}, {Shape: []int{3}, Data: p.Shift[:]}},
	}), nil
}

// rescaled multiplies and shifts by constants, numbers or a list for the channels.
func (e *emission) rescaled(name, in string, scale, offset any) string {
	return e.add("Rescaling", name, config{"scale": scale, "offset": offset}, in)
}

func (e *emission) conv(l nn.Layer, op nn.Conv) (string, error) {
	shape := e.net.Shape(l.Inputs[0])
	g := op.Geometry(shape[2])
	dilation := []int{max(g.DilationH, 1), max(g.DilationW, 1)}
	if dilated := max(dilation[0], dilation[1]) > 1; dilated && max(g.StrideH, g.StrideW) > 1 {
		return "", errors.New("Keras has no convolution with both strides and dilation: export it as onnx or tflite")
	}
	in, window := e.in(l, 0), nn.Pair{(g.KernelH-1)*dilation[0] + 1, (g.KernelW-1)*dilation[1] + 1}
	in, padding := e.padding(l.Name, in, nn.Padding{g.PadTop, g.PadLeft, g.PadBottom, g.PadRight}, shape.Same(window, nn.Pair{g.StrideH, g.StrideW}))
	k := kerasfile.Layer{Class: "Conv2D", Name: l.Name, Inputs: []string{in}, Config: config{
		"kernel_size": []int{g.KernelH, g.KernelW}, "strides": []int{g.StrideH, g.StrideW}, "dilation_rate": dilation, "padding": padding, "use_bias": op.Bias,
	}}
	weight := e.data(l, nn.Weight).Data
	windowSize, each := g.KernelH*g.KernelW, g.InC/g.Groups
	turned := make([]float32, len(weight))
	for o := range g.OutC { // [out, window, in] to [window, in, out], of which a depthwise one is [window, channel, multiplier]
		for at := range windowSize * each {
			turned[at*g.OutC+o] = weight[o*windowSize*each+at]
		}
	}
	if g.Groups == g.InC && g.Groups > 1 {
		if g.StrideH != g.StrideW {
			return "", errors.New("Keras has depthwise convolutions of equal strides only: export it as onnx or tflite")
		}
		k.Class = "DepthwiseConv2D"
		k.Config["depth_multiplier"] = g.OutC / g.InC
		k.Variables = []kerasfile.Variable{{Shape: []int{g.KernelH, g.KernelW, g.InC, g.OutC / g.InC}, Data: turned}}
	} else {
		k.Config["filters"], k.Config["groups"] = g.OutC, g.Groups
		k.Variables = []kerasfile.Variable{{Shape: []int{g.KernelH, g.KernelW, each, g.OutC}, Data: turned}}
	}
	if op.Bias {
		k.Variables = append(k.Variables, kerasfile.Variable{Shape: []int{g.OutC}, Data: e.data(l, nn.Bias).Data})
	}
	return e.with(k), nil
}

// padding is the word for a padding, after a layer that adds it where there is no word.
func (e *emission) padding(name, in string, margins, same nn.Padding) (from, word string) {
	switch {
	case margins.IsZero():
		return in, "valid"
	case margins == same:
		return in, "same"
	}
	return e.padded(name+".pad", in, margins), "valid"
}

// padded puts zeros around a map, or takes lines away where a number is negative.
func (e *emission) padded(name, in string, m nn.Padding) string {
	pairs := func(sign int) [][]int {
		n := func(i int) int { return max(sign*m[i], 0) }
		return [][]int{{n(0), n(2)}, {n(1), n(3)}}
	}
	shaped := func(class, name, key string, pairs [][]int, sign int) {
		shape := slices.Clone(e.shapes[in])
		for axis, pair := range pairs {
			shape[axis] += sign * (pair[0] + pair[1])
		}
		in = e.with(kerasfile.Layer{Class: class, Name: name, Config: config{key: pairs}, Inputs: []string{in}, Shape: shape})
	}
	if slices.Min(m[:]) < 0 {
		shaped("Cropping2D", name+".cut", "cropping", pairs(-1), -1)
	}
	if slices.Max(m[:]) > 0 {
		shaped("ZeroPadding2D", name, "padding", pairs(1), 1)
	}
	return in
}

func (e *emission) dense(l nn.Layer, op nn.Dense) string {
	weight := e.data(l, nn.Weight).Data
	k := len(weight) / op.Out
	turned := make([]float32, len(weight))
	for o := range op.Out {
		for i := range k {
			turned[i*op.Out+o] = weight[o*k+i]
		}
	}
	d := kerasfile.Layer{
		Class: "Dense", Name: l.Name, Config: config{"units": op.Out, "use_bias": op.Bias}, Inputs: e.ins(l),
		Variables: []kerasfile.Variable{{Shape: []int{k, op.Out}, Data: turned}},
	}
	if op.Bias {
		d.Variables = append(d.Variables, kerasfile.Variable{Shape: []int{op.Out}, Data: e.data(l, nn.Bias).Data})
	}
	return e.with(d)
}

func (e *emission) batchNorm(l nn.Layer, op nn.BatchNorm) string {
	k := kerasfile.Layer{Class: "BatchNormalization", Name: l.Name, Inputs: e.ins(l), Config: config{"axis": -1, "epsilon": op.Epsilon, "scale": !op.Unscaled}}
	if op.Momentum > 0 {
		k.Config["momentum"] = op.Momentum
	}
	roles := []nn.Role{nn.Gamma, nn.Beta, nn.Mean, nn.Variance}
	if op.Unscaled {
		roles = roles[1:]
	}
	for _, role := range roles {
		data := e.data(l, role).Data
		k.Variables = append(k.Variables, kerasfile.Variable{Shape: []int{len(data)}, Data: data})
	}
	return e.with(k)
}

// scaleShift is, on maps, a depthwise convolution of one pixel, which goes on learning; elsewhere Keras has constants alone.
func (e *emission) scaleShift(l nn.Layer, op nn.ScaleShift) string {
	shape := e.net.Shape(l.Name)
	n := shape.Channels()
	scale, shift := slices.Repeat([]float32{1}, n), make([]float32, n)
	if op.Scale {
		scale = e.data(l, nn.Gamma).Data
	}
	if op.Shift {
		shift = e.data(l, nn.Beta).Data
	}
	if len(shape) != 3 {
		return e.rescaled(l.Name, e.in(l, 0), scale, shift)
	}
	k := kerasfile.Layer{
		Class: "DepthwiseConv2D", Name: l.Name, Config: config{"kernel_size": []int{1, 1}, "use_bias": op.Shift}, Inputs: e.ins(l),
		Variables: []kerasfile.Variable{{Shape: []int{1, 1, n, 1}, Data: scale}},
	}
	if op.Shift {
		k.Variables = append(k.Variables, kerasfile.Variable{Shape: []int{n}, Data: shift})
	}
	return e.with(k)
}

func (e *emission) activation(name, x string, f kernel.Activation) (string, error) {
	words := map[kernel.Activation]string{
		kernel.None: "linear", kernel.ReLU: "relu", kernel.ReLU6: "relu6", kernel.SiLU: "silu", kernel.HardSwish: "hard_silu",
		kernel.Sigmoid: "sigmoid", kernel.Tanh: "tanh", kernel.GELU: "gelu",
	}
	if word, ok := words[f]; ok {
		return e.add("Activation", name, config{"activation": word}, x), nil
	}
	product := func(name string, of ...string) string {
		return e.with(kerasfile.Layer{Class: "Multiply", Name: name, Inputs: of, Together: true})
	}
	var inner string // of x·σ(inner)
	switch f {
	case kernel.QuickGELU:
		inner = e.rescaled(name+".scaled", x, float32(1.702), 0)
	case kernel.GELUTanh: // 1 + tanh(y) is 2σ(2y)
		root := 2 * math.Sqrt(2/math.Pi)
		slope := e.rescaled(name+".slope", product(name+".square", x, x), float32(root*0.044715), float32(root))
		inner = product(name+".inner", x, slope)
	default:
		return "", fmt.Errorf("Keras has no activation %v: export it as onnx or tflite", f)
	}
	return product(name, x, e.add("Activation", name+".sigmoid", config{"activation": "sigmoid"}, inner)), nil
}

func (e *emission) pool(l nn.Layer, class string, g kernel.Pooling) (string, error) {
	shape, out := e.net.Shape(l.Inputs[0]), e.net.Shape(l.Name)
	average := class == "AveragePooling2D"
	// What rounding up adds counts as padding at the end.
	need := nn.Padding{
		g.PadTop, g.PadLeft,
		max((out[0]-1)*g.StrideH+g.KernelH-g.PadTop-shape[0], 0), max((out[1]-1)*g.StrideW+g.KernelW-g.PadLeft-shape[1], 0),
	}
	same := shape.Same(nn.Pair{g.KernelH, g.KernelW}, nn.Pair{g.StrideH, g.StrideW})
	if need != same && !need.IsZero() {
		switch {
		case average && (!g.CountPadding || g.Ceil):
			return "", fmt.Errorf("Keras has no means over windows with padding %v that leave it out: export it as onnx", need)
		case !average && !e.positive(l.Inputs[0]):
			return "", fmt.Errorf("Keras pads maxima with zeros, and its input can be negative; padding %v: export it as onnx or tflite", need)
		}
	}
	if average && g.CountPadding && !need.IsZero() {
		same = nn.Padding{-1} // which does not count it
	}
	in, padding := e.padding(l.Name, e.in(l, 0), need, same)
	return e.add(class, l.Name, config{"pool_size": []int{g.KernelH, g.KernelW}, "strides": []int{g.StrideH, g.StrideW}, "padding": padding}, in), nil
}

// positive tells whether what a layer puts out cannot be negative.
func (e *emission) positive(name string) bool {
	l, _ := e.net.Find(name)
	switch op := l.Op.(type) {
	case nn.Activation:
		return op.Function == kernel.ReLU || op.Function == kernel.ReLU6 || op.Function == kernel.Sigmoid
	case nn.Softmax:
		return true
	case nn.Add, nn.Multiply, nn.Concat, nn.MaxPool, nn.AveragePool, nn.ZeroPad, nn.Dropout:
		return !slices.ContainsFunc(l.Inputs, func(name string) bool { return !e.positive(name) })
	}
	return false
}
