package network

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// operators make layers, by name.
func operators() map[string]func(*call) (*value, error) {
	return map[string]func(*call) (*value, error){
		"Identity": identity, "Dropout": identity, "Cast": identity,
		"Shape": shapeOf, "Constant": nil,
		"Conv": conv, "Gemm": gemm, "MatMul": matMul, "BatchNormalization": batchNorm, "LayerNormalization": layerNorm,
		"Relu": activation(kernel.ReLU), "Sigmoid": gating(kernel.Sigmoid), "Tanh": activation(kernel.Tanh),
		"HardSwish": activation(kernel.HardSwish), "HardSigmoid": hardSigmoid, "Gelu": exactGELU, "Erf": erf, "Clip": clip, "Swish": swish,
		"Softmax": softmax,
		"Add":     add, "Sub": subtract, "Mul": multiply, "Div": divide, "Sum": sum,
		"MaxPool": maxPool, "AveragePool": averagePool, "GlobalAveragePool": globalAverage, "GlobalMaxPool": globalMax, "ReduceMean": reduceMean,
		"Flatten": flatten, "Reshape": reshape, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
		"Concat": concat, "Pad": pad,
		// Of constants alone.
		"Gather": nil, "Slice": nil, "ConstantOfShape": nil, "ReduceProd": nil, "Ceil": nil, "Floor": nil, "Max": nil, "Min": nil,
	}
}

func identity(c *call) (*value, error) {
	if to := onnx.DataType(c.int("to", int(onnx.Float32))); to != onnx.Float32 {
		return nil, fmt.Errorf("values of type %d are not supported", to)
	}
	return c.in[0], nil
}

func shapeOf(c *call) (*value, error) {
	out := &value{shape: []int{len(c.in[0].shape)}, whole: []int64{}}
	for _, d := range c.in[0].shape {
		out.whole = append(out.whole, int64(d))
	}
	return out, nil
}

// padding is that of a window, by pads or auto_pad.
func (c *call) padding(v *value, window, stride, dilation nn.Pair) (nn.Padding, error) {
	if dilation == (nn.Pair{}) {
		dilation = nn.Pair{1, 1}
	}
	switch word := c.text("auto_pad"); word {
	case "", "NOTSET":
	case "VALID":
		return nn.Padding{}, nil
	case "SAME_UPPER", "SAME_LOWER":
		var out nn.Padding
		for axis := range 2 {
			reach := (window[axis]-1)*dilation[axis] + 1
			size := v.layer.Shape[axis]
			all := max((size+stride[axis]-1)/stride[axis]*stride[axis]-stride[axis]+reach-size, 0)
			out[axis], out[axis+2] = all/2, all-all/2
			if word == "SAME_LOWER" {
				out[axis], out[axis+2] = out[axis+2], out[axis]
			}
		}
		return out, nil
	default:
		return nn.Padding{}, fmt.Errorf("auto_pad %q is not supported", word)
	}
	a := c.node.Attribute("pads")
	if a == nil {
		return nn.Padding{}, nil
	}
	if len(a.Ints) != 4 || slices.Min(a.Ints) < 0 || slices.Max(a.Ints) > 1<<16 {
		return nn.Padding{}, fmt.Errorf("its pads %v are not four non-negative numbers", a.Ints)
	}
	return nn.Padding{int(a.Ints[0]), int(a.Ints[1]), int(a.Ints[2]), int(a.Ints[3])}, nil
}

// bias is a constant of so many numbers, which may be left out.
func (c *call) bias(i, n int) ([]float32, error) {
	if c.input(i) == nil {
		return nil, nil
	}
	v, err := c.numbers(i, "bias")
	if err != nil {
		return nil, err
	}
	if len(v.floats) == 1 && n > 1 {
		return slices.Repeat(v.floats, n), nil
	}
	if len(v.floats) != n {
		return nil, fmt.Errorf("its bias has %d numbers, want %d", len(v.floats), n)
	}
	return v.floats, nil
}

func conv(c *call) (*value, error) {
	x, err := c.aMap()
	if err != nil {
		return nil, err
	}
	w, err := c.numbers(1, "weight")
	if err != nil {
		return nil, err
	}
	if len(w.shape) != 4 || w.size() != len(w.floats) || w.size() == 0 {
		return nil, fmt.Errorf("its weight has the shape %v, want 4 axes", w.shape)
	}
	out, in, h, wide := w.shape[0], w.shape[1], w.shape[2], w.shape[3]
	op := nn.Conv{Out: out, Kernel: nn.Pair{h, wide}, Groups: c.int("group", 1)}
	if op.Stride, err = c.pair("strides"); err != nil {
		return nil, err
	}
	if op.Dilation, err = c.pair("dilations"); err != nil {
		return nil, err
	}
	if op.Padding, err = c.padding(x, op.Kernel, op.Stride, op.Dilation); err != nil {
		return nil, err
	}
	bias, err := c.bias(2, out)
	if err != nil {
		return nil, err
	}
	op.Bias = bias != nil
	if op.Groups < 1 || in*op.Groups != x.layer.Shape[2] {
		return nil, fmt.Errorf("its weight of shape %v in %d groups does not fit a map of %d channels", w.shape, op.Groups, x.layer.Shape[2])
	}
	last := make([]float32, len(w.floats))
	for o := range out {
		for i := range in {
			for k := range h * wide {
				last[(o*h*wide+k)*in+i] = w.floats[(o*in+i)*h*wide+k]
			}
		}
	}
	layer := c.layer(op, x.layer)
	c.set(layer, nn.Weight, nn.Shape{out, h, wide, in}, last)
	if op.Bias {
		c.set(layer, nn.Bias, nn.Shape{out}, bias)
	}
	return mapped(channelsFirst, layer), nil
}

func gemm(c *call) (*value, error) {
	if c.int("transA", 0) != 0 || c.float("alpha", 1) != 1 || c.float("beta", 1) != 1 && c.input(2) != nil {
		return nil, errors.New("transA, alpha or beta other than 0, 1, 1 are not supported")
	}
	w, err := c.numbers(1, "weight")
	if err != nil {
		return nil, err
	}
	return c.dense(w, c.int("transB", 0) != 0)
}

func matMul(c *call) (*value, error) {
	w, err := c.numbers(1, "weight")
	if err != nil {
		return nil, err
	}
	return c.dense(w, false)
}

// dense makes a layer of a weight, [out, in] if it is transposed, else [in, out].
func (c *call) dense(w *value, transposed bool) (*value, error) {
	x := c.in[0]
	if len(x.shape) == 4 && len(w.shape) == 2 && len(x.layer.Shape) == 3 && slices.Equal(x.order, channelsLast) && w.size() == len(w.floats) && !transposed {
		return c.pixelwise(w)
	}
	if len(w.shape) != 2 || len(x.shape) != 2 || w.size() != len(w.floats) {
		return nil, fmt.Errorf("its inputs have the shapes %v and %v, want 2 axes", x.shape, w.shape)
	}
	in, out := w.shape[0], w.shape[1]
	if transposed {
		in, out = out, in
	}
	if in != x.shape[1] || in == 0 || out == 0 {
		return nil, fmt.Errorf("its weight of shape %v does not fit an input of %d numbers", w.shape, x.shape[1])
	}
	column := func(i int) int { return i } // of the layer, by that of the file
	if f := x.flattened; f != nil {
		area := f.height * f.width
		column = func(i int) int { return i%area*f.channels + i/area }
	}
	data := make([]float32, in*out)
	for o := range out {
		for i := range in {
			from := i*out + o
			if transposed {
				from = o*in + i
			}
			data[o*in+column(i)] = w.floats[from]
		}
	}
	bias, err := c.bias(2, out)
	if err != nil {
		return nil, err
	}
	from, err := c.vector(x)
	if err != nil {
		return nil, err
	}
	layer := c.layer(nn.Dense{Out: out, Bias: bias != nil}, from)
	c.set(layer, nn.Weight, nn.Shape{out, in}, data)
	if bias != nil {
		c.set(layer, nn.Bias, nn.Shape{out}, bias)
	}
	return &value{shape: []int{1, out}, layer: layer}, nil
}

// pixelwise makes a convolution of 1×1 of a weight [in, out] that all pixels of a map are multiplied by.
func (c *call) pixelwise(w *value) (*value, error) {
	x, in, out := c.in[0], w.shape[0], w.shape[1]
	if in != x.layer.Shape[2] || out == 0 {
		return nil, fmt.Errorf("its weight of shape %v does not fit an input of shape %v", w.shape, x.shape)
	}
	data := make([]float32, in*out)
	for o := range out {
		for i := range in {
			data[o*in+i] = w.floats[i*out+o]
		}
	}
	layer := c.layer(nn.Conv{Out: out, Kernel: nn.Pair{1, 1}}, x.layer)
	c.set(layer, nn.Weight, nn.Shape{out, 1, 1, in}, data)
	return mapped(channelsLast, layer), nil
}

func batchNorm(c *call) (*value, error) {
	x := c.in[0]
	if axis, err := x.channelAxis(); err != nil || axis != 1 {
		return nil, errors.Join(err, errors.New("its channels are not on axis 1"))
	}
	if c.int("training_mode", 0) != 0 {
		return nil, errors.New("it was exported for training")
	}
	op := nn.BatchNorm{Epsilon: c.float("epsilon", 1e-5), Momentum: min(max(c.float("momentum", 0.9), 0), 0.999)}
	layer := c.layer(op, x.layer)
	for i, role := range []nn.Role{nn.Gamma, nn.Beta, nn.Mean, nn.Variance} {
		v, err := c.numbers(i+1, string(role))
		if err != nil {
			return nil, err
		}
		c.set(layer, role, nn.Shape{len(v.floats)}, v.floats)
	}
	return like(x, layer), nil
}

func activation(f kernel.Activation) func(*call) (*value, error) {
	return func(c *call) (*value, error) {
		return like(c.in[0], c.layer(nn.Activation{Function: f}, c.in[0].layer)), nil
	}
}

// gating is an activation that is one with the multiplication of its own input by it.
func gating(f kernel.Activation) func(*call) (*value, error) {
	return func(c *call) (*value, error) {
		v, err := activation(f)(c)
		if err == nil {
			v.gate = &gate{of: c.in[0].layer.Name, function: c.node.Operator}
		}
		return v, err
	}
}

// hardSigmoid is min(max(x/6 + 1/2, 0), 1), as MobileNetV3 has it: relu6(x + 3)/6.
func hardSigmoid(c *call) (*value, error) {
	alpha, beta := c.float("alpha", 0.2), c.float("beta", 0.5)
	if math.Abs(float64(alpha)-1.0/6) > 1e-6 || beta != 0.5 {
		return nil, fmt.Errorf("there is no layer for alpha %v, beta %v: only 1/6 and 0.5 are supported", alpha, beta)
	}
	x := c.in[0]
	shifted := c.affine(x, 1, 3)
	bounded := c.layer(nn.Activation{Function: kernel.ReLU6}, shifted)
	v := like(x, c.layer(nn.Scale{Factor: 1.0 / 6}, bounded))
	v.gate = &gate{of: x.layer.Name, function: "HardSigmoid"}
	return v, nil
}

// affine maps all channels alike.
func (c *call) affine(x *value, scale, shift float32) nn.Value {
	n := x.layer.Shape.Channels()
	return c.layer(nn.Affine{Scale: slices.Repeat([]float32{scale}, n), Shift: slices.Repeat([]float32{shift}, n)}, x.layer)
}

func exactGELU(c *call) (*value, error) {
	if a := c.text("approximate"); a != "" && a != "none" {
		return nil, fmt.Errorf("there is no layer for approximate %q", a)
	}
	return activation(kernel.GELU)(c)
}

// erf begins a GELU that is spelled out; the nodes that follow complete it.
func erf(c *call) (*value, error) {
	x := c.in[0]
	if x.scaled == nil || math.Abs(float64(x.factor)-1/math.Sqrt2) > 1e-6 {
		return nil, errors.New("there is no layer for it but as a part of GELU, of a value divided by the root of 2")
	}
	out := like(x.scaled, x.scaled.layer)
	out.erf = x.scaled
	return out, nil
}

// erfPlus adds a constant to the erf of a GELU.
func erfPlus(x, constant *value) (*value, error) {
	if x.plusOne || len(constant.floats) != 1 || constant.floats[0] != 1 {
		return nil, errors.New("Erf is supported as a part of GELU only, with 1 added")
	}
	out := like(x, x.layer)
	out.erf, out.plusOne = x.erf, true
	return out, nil
}

// completed is the GELU that multiplication by a value completes.
func (c *call) completed(half, by *value) (*value, error) {
	x := half.erf
	if !half.plusOne {
		return nil, errors.New("Erf is supported as a part of GELU only, with 1 added")
	}
	whole := like(x, c.layer(nn.Activation{Function: kernel.GELU}, x.layer))
	switch {
	case by.layer.Name == x.layer.Name:
		twice := like(x, c.layer(nn.Scale{Factor: 2}, whole.layer))
		twice.doubled = whole
		return twice, nil
	case by.scaled != nil && by.scaled.layer.Name == x.layer.Name && by.factor == 0.5:
		return whole, nil
	}
	return nil, errors.New("Erf is supported as a part of GELU only, times the value that it is of")
}

// scaling is a value times one factor for all channels, and says so.
func scaling(x *value, layer nn.Value, factors []float32) *value {
	out := like(x, layer)
	if slices.Min(factors) == slices.Max(factors) {
		out.scaled, out.factor = x, factors[0]
	}
	return out
}

func layerNorm(c *call) (*value, error) {
	x := c.in[0]
	at, err := x.channelAxis()
	if err != nil {
		return nil, err
	}
	if axis := c.int("axis", -1); at != len(x.shape)-1 || axis != -1 && axis != at {
		return nil, fmt.Errorf("only the layer-norm along channels is supported, not along axis %d of %v", axis, x.shape)
	}
	n := x.layer.Shape.Channels()
	gamma, err := c.numbers(1, "scale")
	if err != nil {
		return nil, err
	}
	beta, err := c.bias(2, n)
	if err != nil {
		return nil, err
	}
	if beta == nil {
		beta = make([]float32, n)
	}
	if len(gamma.floats) != n {
		return nil, fmt.Errorf("its scale has %d numbers, want %d", len(gamma.floats), n)
	}
	layer := c.layer(nn.LayerNorm{Epsilon: c.float("epsilon", 1e-5)}, x.layer)
	c.set(layer, nn.Gamma, nn.Shape{n}, gamma.floats)
	c.set(layer, nn.Beta, nn.Shape{n}, beta)
	return like(x, layer), nil
}

func swish(c *call) (*value, error) {
	if a := c.float("alpha", 1); a != 1 {
		return nil, fmt.Errorf("there is no layer for alpha %v", a)
	}
	return activation(kernel.SiLU)(c)
}

func clip(c *call) (*value, error) {
	bounds := []float64{math.Inf(-1), math.Inf(1)}
	for i, name := range []string{"min", "max"} {
		if a := c.node.Attribute(name); a != nil {
			bounds[i] = float64(a.Float)
		} else if c.input(i+1) != nil {
			v, err := c.numbers(i+1, name)
			if err != nil {
				return nil, err
			}
			if len(v.floats) != 1 {
				return nil, fmt.Errorf("its %s is not one number", name)
			}
			bounds[i] = float64(v.floats[0])
		}
	}
	switch {
	case bounds[0] == 0 && bounds[1] == 6:
		return activation(kernel.ReLU6)(c)
	case bounds[0] == 0 && bounds[1] >= math.MaxFloat32:
		return activation(kernel.ReLU)(c)
	}
	return nil, fmt.Errorf("there is no layer for bounds of %g and %g", bounds[0], bounds[1])
}

func softmax(c *call) (*value, error) {
	x := c.in[0]
	if axis := c.int("axis", -1); len(x.shape) != 2 || axis != 1 && axis != -1 {
		return nil, fmt.Errorf("only the softmax of vectors is supported, not along axis %d of %v", axis, x.shape)
	}
	return like(x, c.layer(nn.Softmax{}, x.layer)), nil
}

// sided divides two inputs into the value and the constant.
func (c *call) sided() (x, constant *value, err error) {
	if len(c.in) != 2 || c.in[0] == nil || c.in[1] == nil {
		return nil, nil, errors.New("it takes two inputs")
	}
	switch {
	case c.in[1].fixed():
		return c.in[0], c.in[1], nil
	case c.in[0].fixed():
		return c.in[1], c.in[0], nil
	}
	return c.in[0], nil, nil
}

// alike refuses two values whose axes do not stand in the same order.
func alike(a, b *value) error {
	if !slices.Equal(a.shape, b.shape) || !slices.Equal(a.order, b.order) || (a.flattened == nil) != (b.flattened == nil) || len(a.layer.Shape) != len(b.layer.Shape) {
		return fmt.Errorf("its inputs of shapes %v and %v do not have the same axes", a.shape, b.shape)
	}
	return nil
}

func add(c *call) (*value, error) {
	x, constant, err := c.sided()
	if err != nil {
		return nil, err
	}
	if constant == nil {
		if c.in[0].erf != nil || c.in[1].erf != nil {
			return nil, errors.New("Erf is supported as a part of GELU only, with 1 added")
		}
		if err := alike(c.in[0], c.in[1]); err != nil {
			return nil, err
		}
		return like(x, c.layer(nn.Add{}, c.in[0].layer, c.in[1].layer)), nil
	}
	if x.erf != nil {
		return erfPlus(x, constant)
	}
	shift, err := perChannel(x, constant)
	if err != nil {
		return nil, err
	}
	if c.becomesBias(x) {
		return c.withBias(x, shift), nil
	}
	return like(x, c.layer(nn.Affine{Scale: slices.Repeat([]float32{1}, len(shift)), Shift: shift}, x.layer)), nil
}

// becomesBias tells whether what is added to a value is the bias of the layer that makes it, and of no use to another.
func (c *call) becomesBias(x *value) bool {
	for i, v := range c.in {
		if v == x && c.builder.users[c.node.Inputs[i]] != 1 {
			return false
		}
	}
	switch op := c.builder.producers[x.layer.Name].Op.(type) {
	case nn.Dense:
		return !op.Bias
	case nn.Conv:
		return !op.Bias
	}
	return false
}

// withBias makes the layer again, with a bias.
func (c *call) withBias(x *value, bias []float32) *value {
	was := c.builder.producers[x.layer.Name]
	var op nn.Op
	switch before := was.Op.(type) {
	case nn.Dense:
		before.Bias = true
		op = before
	case nn.Conv:
		before.Bias = true
		op = before
	}
	weight := c.builder.weights[nn.Parameter{Layer: was.Name, Role: nn.Weight}.Name()]
	layer := c.layer(op, nn.Value{Name: was.Inputs[0]})
	c.set(layer, nn.Weight, weight.Shape, weight.Data)
	c.set(layer, nn.Bias, nn.Shape{len(bias)}, bias)
	return like(x, layer)
}

func sum(c *call) (*value, error) {
	var inputs []nn.Value
	for _, v := range c.in {
		if v == nil || v.fixed() {
			return nil, errors.New("only sums of values are supported")
		}
		if err := alike(c.in[0], v); err != nil {
			return nil, err
		}
		inputs = append(inputs, v.layer)
	}
	if len(inputs) == 1 {
		return c.in[0], nil
	}
	return like(c.in[0], c.layer(nn.Add{}, inputs...)), nil
}

func subtract(c *call) (*value, error) {
	x, constant, err := c.sided()
	if err != nil {
		return nil, err
	}
	if constant == nil {
		return nil, errors.New("there is no layer for the difference of two values")
	}
	numbers, err := perChannel(x, constant)
	if err != nil {
		return nil, err
	}
	scale, shift := float32(1), slices.Clone(numbers)
	if constant == c.in[0] {
		scale = -1
	} else {
		for i := range shift {
			shift[i] = -shift[i]
		}
	}
	return like(x, c.layer(nn.Affine{Scale: slices.Repeat([]float32{scale}, len(shift)), Shift: shift}, x.layer)), nil
}

func multiply(c *call) (*value, error) {
	x, constant, err := c.sided()
	if err != nil {
		return nil, err
	}
	if constant != nil {
		if x.erf != nil {
			return nil, errors.New("Erf is supported as a part of GELU only, times the value that it is of")
		}
		if x.doubled != nil && len(constant.floats) == 1 && constant.floats[0] == 0.5 {
			return x.doubled, nil
		}
		scale, err := perChannel(x, constant)
		if err != nil {
			return nil, err
		}
		return scaling(x, c.layer(nn.Affine{Scale: scale, Shift: make([]float32, len(scale))}, x.layer), scale), nil
	}
	a, b := c.in[0], c.in[1]
	switch {
	case a.erf != nil && b.erf != nil:
		return nil, errors.New("Erf is supported as a part of GELU only, times the value that it is of")
	case a.erf != nil:
		return c.completed(a, b)
	case b.erf != nil:
		return c.completed(b, a)
	}
	for range 2 {
		if g := b.gate; g != nil && g.of == a.layer.Name {
			f := kernel.SiLU
			if g.function == "HardSigmoid" {
				f = kernel.HardSwish
			}
			return like(a, c.layer(nn.Activation{Function: f}, a.layer)), nil
		}
		a, b = b, a
	}
	if a.size() < b.size() {
		a, b = b, a
	}
	if len(a.layer.Shape) == 3 && len(a.shape) == 4 && slices.Equal(a.order, b.order) && b.size() == a.layer.Shape[2] && len(b.shape) == 4 {
		gate, err := c.vector(b)
		if err != nil {
			return nil, err
		}
		return like(a, c.layer(nn.Multiply{}, a.layer, gate)), nil
	}
	if err := alike(a, b); err != nil {
		return nil, err
	}
	return like(a, c.layer(nn.Multiply{}, a.layer, b.layer)), nil
}

func divide(c *call) (*value, error) {
	x, constant, err := c.sided()
	if err != nil {
		return nil, err
	}
	if constant == nil || constant == c.in[0] {
		return nil, errors.New("only division by a constant is supported")
	}
	scale, err := perChannel(x, constant)
	if err != nil {
		return nil, err
	}
	scale = slices.Clone(scale)
	for i, v := range scale {
		scale[i] = 1 / v
	}
	return scaling(x, c.layer(nn.Affine{Scale: scale, Shift: make([]float32, len(scale))}, x.layer), scale), nil
}

// window reads what all poolings have.
func (c *call) window() (x *value, window, stride nn.Pair, pad nn.Padding, ceil bool, err error) {
	if x, err = c.aMap(); err != nil {
		return
	}
	if window, err = c.pair("kernel_shape"); err != nil {
		return
	}
	if stride, err = c.pair("strides"); err != nil {
		return
	}
	dilation, err := c.pair("dilations")
	if err == nil && dilation != (nn.Pair{1, 1}) {
		err = fmt.Errorf("there is no layer for dilations %v", dilation)
	}
	if err != nil {
		return
	}
	pad, err = c.padding(x, window, stride, dilation)
	return x, window, stride, pad, c.int("ceil_mode", 0) != 0, err
}

func maxPool(c *call) (*value, error) {
	x, window, stride, pad, ceil, err := c.window()
	if err != nil {
		return nil, err
	}
	return mapped(channelsFirst, c.layer(nn.MaxPool{Kernel: window, Stride: stride, Padding: pad, Ceil: ceil}, x.layer)), nil
}

func averagePool(c *call) (*value, error) {
	x, window, stride, pad, ceil, err := c.window()
	if err != nil {
		return nil, err
	}
	op := nn.AveragePool{Kernel: window, Stride: stride, Padding: pad, Ceil: ceil, CountPadding: c.int("count_include_pad", 0) != 0}
	return mapped(channelsFirst, c.layer(op, x.layer)), nil
}

func globalAverage(c *call) (*value, error) {
	x, err := c.aMap()
	if err != nil {
		return nil, err
	}
	return &value{shape: []int{1, x.layer.Shape[2], 1, 1}, order: channelsFirst, layer: c.layer(nn.GlobalAveragePool{}, x.layer)}, nil
}

func globalMax(c *call) (*value, error) {
	x, err := c.aMap()
	if err != nil {
		return nil, err
	}
	s := x.layer.Shape
	most := c.layer(nn.MaxPool{Kernel: nn.Pair{s[0], s[1]}}, x.layer)
	return &value{shape: []int{1, s[2], 1, 1}, order: channelsFirst, layer: c.layer(nn.Flatten{}, most)}, nil
}

func reduceMean(c *call) (*value, error) {
	axes, err := c.wholes(1, "axes")
	if err != nil {
		return nil, err
	}
	x := c.in[0]
	if !x.spatial(axes) {
		return nil, fmt.Errorf("only means over height and width are supported, not over axes %v of %v", axes, x.shape)
	}
	layer := x.layer
	if len(layer.Shape) == 3 {
		layer = c.layer(nn.GlobalAveragePool{}, layer)
	}
	n := layer.Shape[0]
	if c.int("keepdims", 1) == 0 {
		return &value{shape: []int{1, n}, layer: layer}, nil
	}
	shape := []int{1, 1, 1, 1}
	shape[slices.Index(x.order, 3)] = n
	return &value{shape: shape, order: x.order, layer: layer}, nil
}

func flatten(c *call) (*value, error) {
	if axis := c.int("axis", 1); axis != 1 && axis != 1-len(c.in[0].shape) {
		return nil, fmt.Errorf("axis %d is not supported, only 1", axis)
	}
	return c.flat(c.in[0])
}

// flat makes a vector of a value.
func (c *call) flat(x *value) (*value, error) {
	layer, err := c.vector(x)
	if err != nil {
		return nil, err
	}
	out := &value{shape: []int{1, x.size()}, layer: layer, flattened: x.flattened}
	if s := x.layer.Shape; len(s) == 3 && s[0]*s[1] > 1 && s[2] > 1 && !slices.Equal(x.order, channelsLast) {
		if !slices.Equal(x.order, channelsFirst) {
			return nil, fmt.Errorf("a map with its axes in the order %v cannot be flattened", x.order)
		}
		out.flattened = &flattened{channels: s[2], height: s[0], width: s[1]}
	}
	return out, nil
}

func reshape(c *call) (*value, error) {
	x := c.in[0]
	to, err := c.wholes(1, "shape")
	if err != nil {
		return nil, err
	}
	shape, rest := make([]int, len(to)), -1
	for i, d := range to {
		switch {
		case d == 0 && i < len(x.shape) && c.int("allowzero", 0) == 0:
			shape[i] = x.shape[i]
		case d == -1 && rest < 0:
			rest, shape[i] = i, 1
		case d > 0 && d <= mostNumbers:
			shape[i] = int(d)
		default:
			return nil, fmt.Errorf("%v is not a possible shape for %v", to, x.shape)
		}
	}
	if rest >= 0 && product(shape) > 0 {
		shape[rest] = x.size() / product(shape)
	}
	return c.reshaped(shape)
}

// reshaped gives the first input another shape.
func (c *call) reshaped(shape []int) (*value, error) {
	x := c.in[0]
	if product(shape) != x.size() || len(shape) > 0 && shape[0] != 1 {
		return nil, fmt.Errorf("%v cannot be reshaped to %v for each picture", x.shape, shape)
	}
	vector := len(x.layer.Shape) == 1 || x.layer.Shape[0]*x.layer.Shape[1] == 1
	switch {
	case slices.Equal(shape, x.shape):
		return x, nil
	case len(shape) == 2:
		return c.flat(x)
	case len(shape) == 4 && vector && x.flattened == nil:
		layer, err := c.vector(x)
		if err != nil {
			return nil, err
		}
		n := x.size()
		switch {
		case shape[1] == n:
			return &value{shape: shape, order: channelsFirst, layer: layer}, nil
		case shape[3] == n:
			return &value{shape: shape, order: channelsLast, layer: layer}, nil
		}
	}
	return nil, fmt.Errorf("a change of shape to %v from %v is not supported", shape, x.shape)
}

func squeeze(c *call) (*value, error) {
	axes, err := c.wholes(1, "axes")
	if err != nil {
		return nil, err
	}
	x := c.in[0]
	var shape []int
	for i, d := range x.shape {
		if slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-len(x.shape))) {
			if d != 1 || i == 0 {
				return nil, fmt.Errorf("axis %d of %v cannot be left out", i, x.shape)
			}
			continue
		}
		shape = append(shape, d)
	}
	if len(x.shape) == 4 && len(shape) != 2 {
		return nil, fmt.Errorf("a change of shape to %v from %v is not supported", shape, x.shape)
	}
	return c.reshaped(shape)
}

func unsqueeze(c *call) (*value, error) {
	axes, err := c.wholes(1, "axes")
	if err != nil {
		return nil, err
	}
	rank := len(c.in[0].shape) + len(axes)
	shape, from := make([]int, rank), 0
	for i := range shape {
		if slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-rank)) {
			shape[i] = 1
		} else if from < len(c.in[0].shape) {
			shape[i] = c.in[0].shape[from]
			from++
		}
	}
	return c.reshaped(shape)
}

func transpose(c *call) (*value, error) {
	x := c.in[0]
	a := c.node.Attribute("perm")
	if a == nil || len(a.Ints) != 4 || len(x.shape) != 4 || a.Ints[0] != 0 {
		return nil, fmt.Errorf("this operator is not supported on %v", x.shape)
	}
	out := &value{layer: x.layer, order: make([]int, 4), shape: make([]int, 4)}
	seen := [4]bool{}
	for i, from := range a.Ints {
		if from < 0 || from > 3 || seen[from] {
			return nil, fmt.Errorf("%v is not an order of 4 axes", a.Ints)
		}
		seen[from] = true
		out.order[i], out.shape[i] = x.order[from], x.shape[from]
	}
	return out, nil
}

func concat(c *call) (*value, error) {
	if len(c.in) == 1 {
		return c.in[0], nil
	}
	var inputs []nn.Value
	first := c.in[0]
	axis := c.int("axis", 1)
	if axis < 0 {
		axis += len(first.shape)
	}
	shape := slices.Clone(first.shape)
	for i, v := range c.in {
		if v == nil || v.fixed() {
			return nil, errors.New("constants and computed values cannot be concatenated")
		}
		if at, err := v.channelAxis(); err != nil || at != axis || !slices.Equal(v.order, first.order) {
			return nil, errors.Join(err, fmt.Errorf("there is no layer that concatenates %v and %v along axis %d, only along channels", first.shape, v.shape, axis))
		}
		if i > 0 {
			shape[axis] += v.shape[axis]
		}
		inputs = append(inputs, v.layer)
	}
	return &value{shape: shape, order: first.order, layer: c.layer(nn.Concat{}, inputs...)}, nil
}

func pad(c *call) (*value, error) {
	if mode := c.text("mode"); mode != "" && mode != "constant" {
		return nil, fmt.Errorf("there is no layer for mode %q", mode)
	}
	if v := c.input(2); c.float("value", 0) != 0 || v != nil && (!v.fixed() || len(v.floats) != 1 || v.floats[0] != 0) {
		return nil, errors.New("only padding with zeros is supported")
	}
	if c.input(3) != nil {
		return nil, errors.New("axes are not supported")
	}
	pads, err := c.wholes(1, "pads")
	if err != nil {
		return nil, err
	}
	x := c.in[0]
	if len(pads) != 8 || len(x.shape) != 4 || len(x.layer.Shape) != 3 {
		return nil, fmt.Errorf("its pads %v are not those of a map", pads)
	}
	around := make([]int, 8) // by batch, height, width, channels, before and after
	for i, p := range pads {
		if p < -1<<20 || p > 1<<20 {
			return nil, fmt.Errorf("its pads %v are too large", pads)
		}
		around[i/4*4+x.order[i%4]] = int(p)
	}
	if around[0]|around[4]|around[3]|around[7] != 0 {
		return nil, errors.New("only height and width can be padded")
	}
	return mapped(x.order, c.layer(nn.ZeroPad{Margins: nn.Padding{around[1], around[2], around[5], around[6]}}, x.layer)), nil
}
