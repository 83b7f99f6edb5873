package emit

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// layer adds the nodes of a layer.
func (e *emission) layer(l nn.Layer) error {
	map3 := len(e.net.Shape(l.Name)) == 3 // the output is a map
	same := func() (string, bool) { v := e.values[l.Inputs[0]]; return v.name, v.first }
	switch op := l.Op.(type) {
	case nn.Input:
		return e.input(l, op)
	case nn.Conv:
		return e.conv(l, op)
	case nn.Dense:
		return e.dense(l, op)
	case nn.Activation:
		x, first := same()
		y, err := e.activation(l.Name, x, op.Function)
		e.put(l, y, first)
		return err
	case nn.Add:
		sum := e.in(l.Inputs[0], map3)
		for i, name := range l.Inputs[1:] {
			sum = e.node("Add", part(l.Name, i, len(l.Inputs)-1), []string{sum, e.in(name, map3)})
		}
		e.put(l, sum, map3)
	case nn.Multiply:
		x, by := e.in(l.Inputs[0], map3), e.in(l.Inputs[1], map3)
		if n := e.net.Shape(l.Inputs[1]); map3 && len(n) == 1 {
			by = e.node("Reshape", l.Name+".by", []string{by, e.shape(l.Name, 0, int64(n[0]), 1, 1)})
		}
		e.put(l, e.node("Mul", l.Name, []string{x, by}), map3)
	case nn.Scale:
		x, first := same()
		e.put(l, e.node("Mul", l.Name, []string{x, e.number(l.Name+".factor", op.Factor)}), first)
	case nn.Affine:
		e.affine(l, op.Scale, op.Shift)
	case nn.BatchNorm:
		e.batchNorm(l, op)
	case nn.Concat:
		axis := -1
		if map3 {
			axis = 1
		}
		var in []string
		for _, name := range l.Inputs {
			in = append(in, e.in(name, map3))
		}
		e.put(l, e.node("Concat", l.Name, in, onnx.Int("axis", axis)), map3)
	case nn.MaxPool:
		e.put(l, e.pool(l, "MaxPool", op.Geometry()), true)
	case nn.AveragePool:
		e.put(l, e.pool(l, "AveragePool", op.Geometry()), true)
	case nn.GlobalAveragePool:
		pooled := e.node("GlobalAveragePool", l.Name+".mean", []string{e.in(l.Inputs[0], true)})
		e.put(l, e.node("Flatten", l.Name, []string{pooled}, onnx.Int("axis", 1)), false)
	case nn.ZeroPad:
		m := op.Margins
		pads := e.constant(onnx.Int64s(l.Name+".margins", []int{8}, 0, 0, int64(m[0]), int64(m[1]), 0, 0, int64(m[2]), int64(m[3])))
		e.put(l, e.node("Pad", l.Name, []string{e.in(l.Inputs[0], true), pads}), true)
	case nn.Flatten:
		e.put(l, e.reshaped(l, e.net.Shape(l.Name)), false)
	case nn.Reshape:
		e.put(l, e.reshaped(l, op.Shape), false)
	case nn.Transpose:
		axes := []int{0}
		for _, a := range op.Axes {
			axes = append(axes, a+1)
		}
		e.put(l, e.node("Transpose", l.Name, []string{e.in(l.Inputs[0], false)}, onnx.Ints("perm", axes...)), false)
	case nn.Softmax:
		e.put(l, e.node("Softmax", l.Name, []string{e.in(l.Inputs[0], false)}, onnx.Int("axis", -1)), false)
	case nn.LayerNorm:
		n := e.net.Shape(l.Name).Channels()
		in := []string{e.in(l.Inputs[0], false), e.weight(l, nn.Gamma, n), e.weight(l, nn.Beta, n)}
		e.put(l, e.node("LayerNormalization", l.Name, in, onnx.Int("axis", -1), onnx.Float("epsilon", op.Epsilon)), false)
	case nn.L2Normalise:
		x := e.in(l.Inputs[0], false)
		length := e.node("ReduceL2", l.Name+".length", []string{x}, onnx.Ints("axes", -1), onnx.Int("keepdims", 1))
		bounded := e.node("Max", l.Name+".bounded", []string{length, e.number(l.Name+".least", op.Least())})
		e.put(l, e.node("Div", l.Name, []string{x, bounded}), false)
	case nn.MatMul:
		a, b := e.in(l.Inputs[0], false), e.in(l.Inputs[1], false)
		if op.TransposeA {
			a = e.swapped(l.Name+".a", a, len(e.net.Shape(l.Inputs[0])))
		}
		if op.TransposeB {
			b = e.swapped(l.Name+".b", b, len(e.net.Shape(l.Inputs[1])))
		}
		e.put(l, e.node("MatMul", l.Name, []string{a, b}), false)
	case nn.Embedding:
		e.put(l, e.node("Gather", l.Name, []string{e.weight(l, nn.Weight, op.Count, op.Width), e.in(l.Inputs[0], false)}), false)
	case nn.Neighbours:
		return e.neighbours(l, op)
	case nn.Attention:
		return e.attention(l, op)
	case nn.Positions:
		e.positions(l, op)
	case nn.Prepend:
		e.prepend(l, op)
	case nn.ScaleShift:
		e.scaleShift(l, op)
	case nn.TokenPool:
		return e.tokenPool(l, op)
	case nn.Window:
		e.window(l, op)
	case nn.Recurrent:
		e.recurrent(l, op)
	case nn.GradientReversal, nn.Dropout: // hand their input on
		x, first := same()
		e.put(l, x, first)
	default:
		return errors.New("ONNX has no operator for it")
	}
	return nil
}

// part names the steps of something that takes several; the last has the name itself.
func part(name string, i, n int) string {
	if i == n-1 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, i+1)
}

// weight is a parameter of a layer as it is.
func (e *emission) weight(l nn.Layer, role nn.Role, shape ...int) string {
	name := nn.Parameter{Layer: l.Name, Role: role}.Name()
	return e.floats(name, shape, e.model.Weights[name].Data)
}

func (e *emission) data(l nn.Layer, role nn.Role) []float32 {
	return e.model.Weights[nn.Parameter{Layer: l.Name, Role: role}.Name()].Data
}

// input makes the network's input of pixels, or takes it as it is.
func (e *emission) input(l nn.Layer, op nn.Input) error {
	p := e.model.Pixels
	if op.Element == nn.Int32 && len(op.Shape) == 1 {
		e.tokens(l, op)
		return nil
	}
	name := e.unique(l.Name)
	if p == nil {
		kind := onnx.Float32
		if op.Element == nn.Int32 {
			kind = onnx.Int32
		}
		e.graph.Inputs = append(e.graph.Inputs, onnx.ValueInfo{Name: name, Type: kind, Known: true, Shape: dimensions(op.Shape)})
		e.put(l, name, false)
		return nil
	}
	e.graph.Inputs = append(e.graph.Inputs, onnx.ValueInfo{Name: name, Type: onnx.Uint8, Known: true, Shape: dimensions(op.Shape)})
	x := e.node("Cast", "pixels", []string{name}, onnx.Int("to", int(onnx.Float32)))
	if p.BGR {
		x = e.node("Gather", "pixels.bgr", []string{x, e.constant(onnx.Int64s("pixels.order", []int{3}, 2, 1, 0))}, onnx.Int("axis", 3))
	}
	x = e.node("Mul", "pixels.scaled", []string{x, e.constant(onnx.Float32s("pixels.scale", []int{3}, p.Scale[:]))})
	x = e.node("Add", "pixels.normalised", []string{x, e.constant(onnx.Float32s("pixels.shift", []int{3}, p.Shift[:]))})
	x = e.node("Transpose", "pixels.turned", []string{x}, onnx.Ints("perm", 0, 3, 1, 2))
	e.put(l, x, true)
	return nil
}

func (e *emission) conv(l nn.Layer, op nn.Conv) error {
	in := e.net.Shape(l.Inputs[0])
	g := op.Geometry(in[2])
	shape := []int{g.OutC, g.InC / g.Groups, g.KernelH, g.KernelW}
	inputs := []string{e.in(l.Inputs[0], true)}
	weight := e.model.Weights[nn.Parameter{Layer: l.Name, Role: nn.Weight}.Name()]
	if e.options.Scheme.Computes(l) {
		q := quantise.For(e.rounding[l.Inputs[0]], weight, e.data(l, nn.Bias))
		inputs = append(inputs, e.bytesWeight(l, shape, channelsFirst(q.Steps, shape), q.Sizes))
		if op.Bias {
			inputs = append(inputs, e.bytesBias(l, q))
		}
	} else {
		inputs = append(inputs, e.floats(l.Name+".weight", shape, channelsFirst(weight.Data, shape)))
		if op.Bias {
			inputs = append(inputs, e.weight(l, nn.Bias, g.OutC))
		}
	}
	y := e.node("Conv", l.Name, inputs,
		onnx.Ints("kernel_shape", g.KernelH, g.KernelW), onnx.Ints("strides", g.StrideH, g.StrideW),
		onnx.Ints("pads", g.PadTop, g.PadLeft, g.PadBottom, g.PadRight), onnx.Ints("dilations", g.DilationH, g.DilationW),
		onnx.Int("group", g.Groups))
	e.put(l, e.keptFloat(l, y), true)
	return nil
}

// keptFloat keeps a layer in float32 that is left so among others that compute with bytes: from version 1.21 on, ONNX Runtime rounds
// the weights of a Conv or Gemm whose input and output rest as bytes, with one size of steps for all channels
// (WeightBiasQuantization). It does not where something that is no bound stands between the layer and the rounding of its output.
func (e *emission) keptFloat(l nn.Layer, y string) string {
	if e.options.Scheme == nil || e.options.Scheme.Computes(l) {
		return y
	}
	return e.node("Max", l.Name+".float", []string{y, e.number("lowest", -math.MaxFloat32)})
}

// channelsFirst turns a weight [out, height, width, in] to the shape [out, in, height, width].
func channelsFirst[T any](weight []T, shape []int) []T {
	turned := make([]T, len(weight))
	channels, window := shape[1], shape[2]*shape[3]
	for o := range shape[0] {
		from, to := weight[o*channels*window:], turned[o*channels*window:]
		for at := range window {
			for c := range channels {
				to[c*window+at] = from[at*channels+c]
			}
		}
	}
	return turned
}

// bytesWeight is a weight of bytes and what widens it. On x86 processors without VNNI, ONNX Runtime adds pairs of products with int8 weights in 16
// bits, which overflow; those with uint8 weights it does not.
func (e *emission) bytesWeight(l nn.Layer, shape []int, steps []int8, sizes []float32) string {
	name := nn.Parameter{Layer: l.Name, Role: nn.Weight}.Name()
	s := e.constant(onnx.Float32s(name+".steps", []int{len(sizes)}, sizes))
	var q, z string
	if e.options.Signed {
		q = e.constant(onnx.Int8s(name+".int8", shape, steps))
		z = e.constant(onnx.Int8s(name+".zeros", []int{len(sizes)}, make([]int8, len(sizes))))
	} else {
		const zero = 128
		shifted := make([]uint8, len(steps))
		for i, step := range steps {
			shifted[i] = uint8(int(step) + zero)
		}
		q = e.constant(onnx.Uint8s(name+".uint8", shape, shifted))
		z = e.constant(onnx.Uint8s(name+".zeros", []int{len(sizes)}, bytes.Repeat([]byte{zero}, len(sizes))))
	}
	return e.node("DequantizeLinear", name, []string{q, s, z}, onnx.Int("axis", 0))
}

// bytesBias is a bias of int32 and what widens it.
func (e *emission) bytesBias(l nn.Layer, w quantise.Weighted) string {
	name := nn.Parameter{Layer: l.Name, Role: nn.Bias}.Name()
	scales := w.BiasSizes(e.rounding[l.Inputs[0]])
	q := e.constant(onnx.Int32s(name+".int32", []int{len(scales)}, w.Bias))
	s := e.constant(onnx.Float32s(name+".steps", []int{len(scales)}, scales))
	return e.node("DequantizeLinear", name, []string{q, s}, onnx.Int("axis", 0))
}

func (e *emission) dense(l nn.Layer, op nn.Dense) error {
	in := e.net.Shape(l.Inputs[0])
	k := in.Channels()
	x := e.in(l.Inputs[0], false)
	weight := e.model.Weights[nn.Parameter{Layer: l.Name, Role: nn.Weight}.Name()]
	var w, b string
	if e.options.Scheme.Computes(l) {
		q := quantise.For(e.rounding[l.Inputs[0]], weight, e.data(l, nn.Bias))
		w = e.bytesWeight(l, []int{op.Out, k}, q.Steps, q.Sizes)
		if op.Bias {
			b = e.bytesBias(l, q)
		}
	} else {
		w = e.floats(l.Name+".weight", []int{op.Out, k}, weight.Data)
		if op.Bias {
			b = e.weight(l, nn.Bias, op.Out)
		}
	}
	if len(in) == 1 {
		inputs := []string{x, w}
		if b != "" {
			inputs = append(inputs, b)
		}
		e.put(l, e.keptFloat(l, e.node("Gemm", l.Name, inputs, onnx.Int("transB", 1))), false)
		return nil
	}
	turned := e.node("Transpose", l.Name+".weight.turned", []string{w}, onnx.Ints("perm", 1, 0))
	y := e.node("MatMul", l.Name+".product", []string{x, turned})
	if b != "" {
		y = e.node("Add", l.Name, []string{y, b})
	}
	e.put(l, y, false)
	return nil
}

func (e *emission) activation(name, x string, f kernel.Activation) (string, error) {
	switch f {
	case kernel.None:
		return e.node("Identity", name, []string{x}), nil
	case kernel.ReLU:
		return e.node("Relu", name, []string{x}), nil
	case kernel.ReLU6:
		return e.node("Clip", name, []string{x, e.number("zero", 0), e.number("six", 6)}), nil
	case kernel.SiLU:
		return e.node("Mul", name, []string{x, e.node("Sigmoid", name+".sigmoid", []string{x})}), nil
	case kernel.HardSwish:
		return e.node("HardSwish", name, []string{x}), nil
	case kernel.Sigmoid:
		return e.node("Sigmoid", name, []string{x}), nil
	case kernel.Tanh:
		return e.node("Tanh", name, []string{x}), nil
	case kernel.GELU:
		scaled := e.node("Mul", name+".scaled", []string{x, e.number("half_root", math.Sqrt2/2)})
		erf := e.node("Erf", name+".erf", []string{scaled})
		more := e.node("Add", name+".more", []string{erf, e.number("one", 1)})
		half := e.node("Mul", name+".half", []string{x, e.number("half", 0.5)})
		return e.node("Mul", name, []string{half, more}), nil
	case kernel.GELUTanh:
		square := e.node("Mul", name+".square", []string{x, x})
		cubic := e.node("Mul", name+".cubic", []string{square, e.number("gelu_cubic", float32(2*math.Sqrt(2/math.Pi)*0.044715))})
		slope := e.node("Add", name+".slope", []string{cubic, e.number("gelu_linear", float32(2*math.Sqrt(2/math.Pi)))})
		inner := e.node("Mul", name+".inner", []string{x, slope})
		return e.node("Mul", name, []string{x, e.node("Sigmoid", name+".sigmoid", []string{inner})}), nil
	case kernel.QuickGELU:
		scaled := e.node("Mul", name+".scaled", []string{x, e.number("quick_gelu", 1.702)})
		return e.node("Mul", name, []string{x, e.node("Sigmoid", name+".sigmoid", []string{scaled})}), nil
	}
	return "", fmt.Errorf("ONNX has no operator for %v", f)
}

// affine multiplies and shifts each channel.
func (e *emission) affine(l nn.Layer, scale, shift []float32) {
	v := e.values[l.Inputs[0]]
	shape := []int{len(scale)}
	if v.first {
		shape = []int{len(scale), 1, 1}
	}
	scaled := e.node("Mul", l.Name+".scaled", []string{v.name, e.floats(l.Name+".scale", shape, scale)})
	e.put(l, e.node("Add", l.Name, []string{scaled, e.floats(l.Name+".shift", shape, shift)}), v.first)
}

// batchNorm is that of the running statistics: an affine map.
func (e *emission) batchNorm(l nn.Layer, op nn.BatchNorm) {
	gamma, beta, mean, variance := e.data(l, nn.Gamma), e.data(l, nn.Beta), e.data(l, nn.Mean), e.data(l, nn.Variance)
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

func (e *emission) pool(l nn.Layer, operator string, g kernel.Pooling) string {
	x := e.in(l.Inputs[0], true)
	in, out := e.net.Shape(l.Inputs[0]), e.net.Shape(l.Name)
	// What rounding up adds is written as padding at the end, of which runtimes have one understanding; means that count
	// padding do not count that, and are left to the runtime.
	bottom, right, ceil := g.PadBottom, g.PadRight, 0
	if g.Ceil {
		if operator == "AveragePool" && g.CountPadding {
			ceil = 1
		} else {
			bottom = max(bottom, (out[0]-1)*g.StrideH+g.KernelH-g.PadTop-in[0])
			right = max(right, (out[1]-1)*g.StrideW+g.KernelW-g.PadLeft-in[1])
		}
	}
	attributes := []onnx.Attribute{
		onnx.Ints("kernel_shape", g.KernelH, g.KernelW), onnx.Ints("strides", g.StrideH, g.StrideW),
		onnx.Ints("pads", g.PadTop, g.PadLeft, bottom, right), onnx.Int("ceil_mode", ceil),
	}
	if operator == "AveragePool" {
		count := 0
		if g.CountPadding {
			count = 1
		}
		attributes = append(attributes, onnx.Int("count_include_pad", count))
	}
	return e.node(operator, l.Name, []string{x}, attributes...)
}

// reshaped gives an input, its channels last, another shape.
func (e *emission) reshaped(l nn.Layer, shape nn.Shape) string {
	dims := []int64{0} // the batch, as it is
	from := e.net.Shape(l.Inputs[0])
	for i, d := range shape {
		switch {
		case d < 0 && i < len(from) && from[i] == d:
			d = 0 // as it is, too
		case d < 0:
			d = -1
		}
		dims = append(dims, int64(d))
	}
	return e.node("Reshape", l.Name, []string{e.in(l.Inputs[0], false), e.shape(l.Name, dims...)})
}

// swapped exchanges the last two axes.
func (e *emission) swapped(name, x string, rank int) string {
	axes := make([]int, rank+1)
	for i := range axes {
		axes[i] = i
	}
	axes[rank], axes[rank-1] = axes[rank-1], axes[rank]
	return e.node("Transpose", name, []string{x}, onnx.Ints("perm", axes...))
}

// neighbours lets the nearest stored rows vote: ‖x−r‖² = ‖x‖² + ‖r‖² − 2xr, of which the first is the same for all rows.
func (e *emission) neighbours(l nn.Layer, op nn.Neighbours) error {
	if op.Weighted {
		return errors.New("votes that weigh by distance have no ONNX operators; let them weigh the same")
	}
	rows, labels := e.data(l, nn.Rows), e.data(l, nn.Labels)
	width := len(rows) / op.Rows
	turned, squares, votes := make([]float32, len(rows)), make([]float32, op.Rows), make([]float32, op.Rows*op.Classes)
	for i := range op.Rows {
		var sum float64
		for j, v := range rows[i*width : (i+1)*width] {
			turned[j*op.Rows+i] = -2 * v
			sum += float64(v) * float64(v)
		}
		squares[i] = float32(sum)
		if class := int(labels[i]); class >= 0 && class < op.Classes {
			votes[i*op.Classes+class] = 1
		}
	}
	product := e.node("MatMul", l.Name+".product", []string{e.in(l.Inputs[0], false), e.floats(l.Name+".rows", []int{width, op.Rows}, turned)})
	distance := e.node("Add", l.Name+".distance", []string{product, e.constant(onnx.Float32s(l.Name+".squares", []int{op.Rows}, squares))})
	values, nearest := e.unique(l.Name+".distances"), e.unique(l.Name+".nearest")
	e.graph.Nodes = append(e.graph.Nodes, onnx.Node{
		Name: nearest, Operator: "TopK", Inputs: []string{distance, e.constant(onnx.Int64s(l.Name+".k", []int{1}, int64(op.K)))},
		Outputs: []string{values, nearest}, Attributes: []onnx.Attribute{onnx.Int("largest", 0), onnx.Int("sorted", 1)},
	})
	cast := e.node("Gather", l.Name+".votes", []string{e.constant(onnx.Float32s(l.Name+".classes", []int{op.Rows, op.Classes}, votes)), nearest}, onnx.Int("axis", 0))
	e.put(l, e.node("ReduceMean", l.Name, []string{cast}, onnx.Ints("axes", 1), onnx.Int("keepdims", 0)), false)
	return nil
}
