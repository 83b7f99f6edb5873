package evaluate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/tflite"
)

// Program is a file that can be computed. One goroutine uses it at a time.
type Program struct {
	model  *tflite.Model
	fixed  map[int][]float32 // constants, as numbers
	packed map[int]*kernel.PackedConv
	pool   *kernel.Pool
	space  kernel.Workspace
}

// New prepares a file.
func New(m *tflite.Model, pool *kernel.Pool) (*Program, error) {
	p := &Program{model: m, fixed: map[int][]float32{}, packed: map[int]*kernel.PackedConv{}, pool: pool}
	if len(m.Inputs) != 1 || len(m.Outputs) != 1 {
		return nil, fmt.Errorf("evaluate a TensorFlow Lite model: it has %d inputs and %d outputs, want one of each", len(m.Inputs), len(m.Outputs))
	}
	for i := range m.Tensors {
		if t := &m.Tensors[i]; t.Data != nil {
			numbers, err := numbersOf(t)
			if err != nil {
				return nil, fmt.Errorf("evaluate a TensorFlow Lite model: tensor %q: %w", t.Name, err)
			}
			p.fixed[i] = numbers
		}
	}
	return p, nil
}

// numbersOf are what the elements of a constant stand for.
func numbersOf(t *tflite.Tensor) ([]float32, error) {
	n := t.Elements()
	out := make([]float32, n)
	for i := range out {
		switch t.Type {
		case tflite.Float32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		case tflite.Int32:
			out[i] = float32(int32(binary.LittleEndian.Uint32(t.Data[4*i:])))
		case tflite.Int8:
			out[i] = float32(int8(t.Data[i]))
		case tflite.Uint8:
			out[i] = float32(t.Data[i])
		case tflite.Float16:
		default:
			return nil, fmt.Errorf("type %d is not known", t.Type)
		}
	}
	if t.Type == tflite.Float16 {
		return stored.Tensor{Type: stored.F16, Shape: []int{n}, Content: stored.Raw(t.Data)}.Float32()
	}
	if s := t.Steps; s != nil {
		inner := 1
		if len(s.Sizes) > 1 {
			for _, d := range t.Shape[s.Axis+1:] {
				inner *= d
			}
		}
		for i := range out {
			c := i / inner % len(s.Sizes)
			out[i] = s.Sizes[c] * (out[i] - float32(s.Zeros[c]))
		}
	}
	return out, nil
}

// Run computes the output, as numbers, of an input of bytes, or of numbers.
func (p *Program) Run(pixels []uint8, numbers []float32) ([]float32, error) {
	in := &p.model.Tensors[p.model.Inputs[0]]
	if pixels != nil {
		numbers = make([]float32, len(pixels))
		for i, v := range pixels {
			numbers[i] = float32(v)
			if in.Steps != nil {
				numbers[i] = in.Steps.Sizes[0] * float32(int64(v)-in.Steps.Zeros[0])
			}
		}
	}
	if len(numbers) != in.Elements() {
		return nil, fmt.Errorf("evaluate a TensorFlow Lite model: %d numbers for an input of shape %v", len(numbers), in.Shape)
	}
	values := map[int][]float32{p.model.Inputs[0]: numbers}
	for i := range p.model.Operators {
		if err := p.run(i, values); err != nil {
			return nil, err
		}
	}
	out := values[p.model.Outputs[0]]
	if out == nil {
		return nil, errors.New("evaluate a TensorFlow Lite model: nothing makes the output")
	}
	return out, nil
}

// call is an operator at work.
type call struct {
	*tflite.Operator
	program *Program
	number  int
	in      [][]float32
	tensors []*tflite.Tensor // of the inputs
	to      *tflite.Tensor
}

func (p *Program) run(i int, values map[int][]float32) (err error) {
	o := &p.model.Operators[i]
	defer func() {
		if fault := recover(); fault != nil { // sizes that do not fit each other
			err = fmt.Errorf("evaluate a TensorFlow Lite model: operator %d (%s): its inputs do not fit it (%v)", i, o.Code, fault)
		}
	}()
	c := &call{Operator: o, program: p, number: i, to: &p.model.Tensors[o.Outputs[0]]}
	for _, t := range o.Inputs {
		x := values[t]
		if x == nil {
			x = p.fixed[t]
		}
		if x == nil {
			return fmt.Errorf("evaluate a TensorFlow Lite model: operator %d (%s): nothing makes its input %d", i, o.Code, t)
		}
		c.in, c.tensors = append(c.in, x), append(c.tensors, &p.model.Tensors[t])
	}
	y, err := c.compute()
	if err != nil {
		return fmt.Errorf("evaluate a TensorFlow Lite model: operator %d (%s): %w", i, o.Code, err)
	}
	if len(y) != c.to.Elements() {
		return fmt.Errorf("evaluate a TensorFlow Lite model: operator %d (%s) gives %d numbers for a tensor of shape %v", i, o.Code, len(y), c.to.Shape)
	}
	values[o.Outputs[0]] = c.bounded(y)
	return nil
}

// bounded applies the activation that is part of an operator, and rounds to the steps of the output.
func (c *call) bounded(y []float32) []float32 {
	low, high := float32(math.Inf(-1)), float32(math.Inf(1))
	switch c.Options[tflite.Activation] {
	case tflite.ReLUActivation:
		low = 0
	case tflite.ReLU6Activation:
		low, high = 0, 6
	}
	for i, v := range y {
		v = min(max(v, low), high)
		if s := c.to.Steps; s != nil && c.to.Type == tflite.Int8 {
			step := math.RoundToEven(float64(v/s.Sizes[0])) + float64(s.Zeros[0])
			v = s.Sizes[0] * float32(min(max(step, -128), 127)-float64(s.Zeros[0]))
		}
		y[i] = v
	}
	return y
}

func (c *call) compute() ([]float32, error) {
	each := func(f func(float64) float64) ([]float32, error) {
		y := make([]float32, len(c.in[0]))
		for i, v := range c.in[0] {
			y[i] = float32(f(float64(v)))
		}
		return y, nil
	}
	switch c.Code {
	case tflite.Cast, tflite.Quantize, tflite.Dequantize, tflite.Reshape:
		return slices.Clone(c.in[0]), nil
	case tflite.ReLU:
		return each(func(x float64) float64 { return max(x, 0) })
	case tflite.ReLU6:
		return each(func(x float64) float64 { return min(max(x, 0), 6) })
	case tflite.Logistic:
		return each(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) })
	case tflite.Tanh:
		return each(math.Tanh)
	case tflite.HardSwish:
		return each(func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 })
	case tflite.Gelu:
		if c.Options[tflite.Approximate] == 1 {
			return each(func(x float64) float64 { return x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) / 2 })
		}
		return each(func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 })
	case tflite.Add:
		return c.broadcast(func(a, b float32) float32 { return a + b })
	case tflite.Mul:
		return c.broadcast(func(a, b float32) float32 { return a * b })
	case tflite.Sub:
		return c.broadcast(func(a, b float32) float32 { return a - b })
	case tflite.SquaredDifference:
		return c.broadcast(func(a, b float32) float32 { return (a - b) * (a - b) })
	case tflite.Maximum:
		return c.broadcast(func(a, b float32) float32 { return max(a, b) })
	case tflite.Rsqrt:
		return each(func(x float64) float64 { return 1 / math.Sqrt(x) })
	case tflite.Sum:
		return c.reduce(0, func(a, b float64) float64 { return a + b })
	case tflite.ReduceMax:
		return c.reduce(math.Inf(-1), math.Max)
	case tflite.Slice:
		return c.slice()
	case tflite.BatchMatMul:
		return c.batchMatMul()
	case tflite.Conv2D, tflite.DepthwiseConv2D:
		return c.conv()
	case tflite.FullyConnected:
		return c.dense()
	case tflite.MaxPool2D, tflite.AveragePool2D:
		return c.pool()
	case tflite.Mean:
		return c.mean()
	case tflite.Concatenation:
		return c.concat()
	case tflite.Pad, tflite.PadV2:
		return c.pad()
	case tflite.Transpose:
		axes := make([]int, len(c.in[1]))
		for i, a := range c.in[1] {
			axes[i] = int(a)
		}
		y := make([]float32, len(c.in[0]))
		kernel.Permute(c.program.pool, y, c.in[0], c.tensors[0].Shape, axes)
		return y, nil
	case tflite.Softmax:
		return c.softmax()
	}
	return nil, errors.New("it is not known")
}

// broadcast repeats either input along axes in which it has the length 1, or which it has not.
func (c *call) broadcast(f func(a, b float32) float32) ([]float32, error) {
	shape := c.to.Shape
	strides := func(t *tflite.Tensor) []int {
		out, at := make([]int, len(shape)), 1
		for i := range t.Shape {
			axis, length := len(shape)-1-i, t.Shape[len(t.Shape)-1-i]
			if axis < 0 || length != shape[axis] && length != 1 {
				return nil
			}
			if length > 1 {
				out[axis] = at
			}
			at *= length
		}
		return out
	}
	as, bs := strides(c.tensors[0]), strides(c.tensors[1])
	if as == nil || bs == nil {
		return nil, fmt.Errorf("shapes %v and %v do not give %v", c.tensors[0].Shape, c.tensors[1].Shape, shape)
	}
	y, index := make([]float32, c.to.Elements()), make([]int, len(shape))
	a, b := 0, 0
	for i := range y {
		y[i] = f(c.in[0][a], c.in[1][b])
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			a, b = a+as[axis], b+bs[axis]
			if index[axis] < shape[axis] {
				break
			}
			a, b = a-as[axis]*shape[axis], b-bs[axis]*shape[axis]
			index[axis] = 0
		}
	}
	return y, nil
}

// reduce joins the numbers along one axis.
func (c *call) reduce(begin float64, join func(a, b float64) float64) ([]float32, error) {
	if len(c.in[1]) != 1 {
		return nil, errors.New("only along one axis")
	}
	shape, axis := c.tensors[0].Shape, int(c.in[1][0])
	n, inner := shape[axis], product(shape[axis+1:])
	y := make([]float32, product(shape[:axis])*inner)
	for i := range y {
		v := begin
		for k := range n {
			v = join(v, float64(c.in[0][(i/inner*n+k)*inner+i%inner]))
		}
		y[i] = float32(v)
	}
	return y, nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// slice takes a part of each axis.
func (c *call) slice() ([]float32, error) {
	from, shape := c.tensors[0].Shape, c.to.Shape
	y, index := make([]float32, c.to.Elements()), make([]int, len(shape))
	for i := range y {
		at := 0
		for axis, v := range index {
			if int(c.in[2][axis]) != shape[axis] {
				return nil, fmt.Errorf("a part of size %v is no %v", c.in[2], shape)
			}
			at = at*from[axis] + v + int(c.in[1][axis])
		}
		y[i] = c.in[0][at]
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
	return y, nil
}

func (c *call) batchMatMul() ([]float32, error) {
	a, b := c.tensors[0].Shape, c.tensors[1].Shape
	rank := len(a)
	m, k, n := a[rank-2], a[rank-1], b[rank-1]
	turnedA, turnedB := c.Options[tflite.TurnedA] == 1, c.Options[tflite.TurnedB] == 1
	if turnedA {
		m, k = k, m
	}
	if turnedB {
		n = b[rank-2]
	}
	count := product(a[:rank-2])
	if len(b) != rank || len(c.in[1]) != count*k*n {
		return nil, fmt.Errorf("shapes %v and %v do not go together", a, b)
	}
	y := make([]float32, count*m*n)
	kernel.Products(c.program.pool, count, turnedA, turnedB, m, n, k, c.in[0], c.in[1], y, &c.program.space)
	return y, nil
}

// padding is what comes before and after an axis.
func (c *call) padding(size, window, stride, dilation int) (before, after int) {
	if c.Options[tflite.Padding] == tflite.ValidPadding {
		return 0, 0
	}
	return kernel.Same(size, window, stride, dilation)
}

func (c *call) conv() ([]float32, error) {
	x, w := c.tensors[0].Shape, c.tensors[1].Shape
	g := kernel.Conv{
		InC: x[3], OutC: w[0], KernelH: w[1], KernelW: w[2], StrideH: c.Options[tflite.StrideHeight], StrideW: c.Options[tflite.StrideWidth],
		DilationH: c.Options[tflite.DilationHeight], DilationW: c.Options[tflite.DilationWidth], Groups: 1,
	}
	weight := c.in[1]
	if c.Code == tflite.DepthwiseConv2D {
		g.OutC, g.Groups = w[3], x[3]
		weight = make([]float32, len(weight))
		kernel.Permute(c.program.pool, weight, c.in[1], []int{w[1] * w[2], w[3]}, []int{1, 0})
	} else {
		g.Groups = x[3] / w[3]
	}
	g.PadTop, g.PadBottom = c.padding(x[1], g.KernelH, g.StrideH, g.DilationH)
	g.PadLeft, g.PadRight = c.padding(x[2], g.KernelW, g.StrideW, g.DilationW)
	packed := c.program.packed[c.number]
	if packed == nil {
		var err error
		if packed, err = kernel.PackConvFor(g, weight, c.in[2], kernel.PackOptions{Algorithm: kernel.Plain, N: 1, H: x[1], W: x[2]}); err != nil {
			return nil, err
		}
		c.program.packed[c.number] = packed
	}
	oh, ow := g.OutSize(x[1], x[2])
	y := kernel.Memory(oh * ow * g.OutC)
	packed.Run(c.program.pool, y, c.in[0], 1, x[1], x[2], nil, kernel.None, &c.program.space)
	return y, nil
}

func (c *call) dense() ([]float32, error) {
	w := c.tensors[1].Shape
	n, k := w[0], w[1]
	m := len(c.in[0]) / k
	y := make([]float32, m*n)
	kernel.Products(c.program.pool, 1, false, true, m, n, k, c.in[0], c.in[1], y, &c.program.space)
	for i := range y {
		y[i] += c.in[2][i%n]
	}
	return y, nil
}

func (c *call) pool() ([]float32, error) {
	x := c.tensors[0].Shape
	p := kernel.Pooling{KernelH: c.Options[tflite.FilterHeight], KernelW: c.Options[tflite.FilterWidth], StrideH: c.Options[tflite.StrideHeight], StrideW: c.Options[tflite.StrideWidth]}
	p.PadTop, p.PadBottom = c.padding(x[1], p.KernelH, p.StrideH, 1)
	p.PadLeft, p.PadRight = c.padding(x[2], p.KernelW, p.StrideW, 1)
	if err := p.Validate(); err != nil {
		return nil, err
	}
	oh, ow := p.OutSize(x[1], x[2])
	y := make([]float32, oh*ow*x[3])
	run := kernel.AvgPool
	if c.Code == tflite.MaxPool2D {
		run = kernel.MaxPool
	}
	run(c.program.pool, p, y, c.in[0], 1, x[1], x[2], x[3])
	return y, nil
}

// mean is that of each channel of a map, or along one axis.
func (c *call) mean() ([]float32, error) {
	if len(c.in[1]) == 1 {
		n := float64(c.tensors[0].Shape[int(c.in[1][0])])
		return c.reduce(0, func(a, b float64) float64 { return a + b/n })
	}
	if !slices.Equal(c.in[1], []float32{1, 2}) {
		return nil, errors.New("only over height and width, or one axis")
	}
	channels := c.tensors[0].Shape[3]
	sums := make([]float64, channels)
	for i, v := range c.in[0] {
		sums[i%channels] += float64(v)
	}
	y := make([]float32, channels)
	for i, s := range sums {
		y[i] = float32(s * float64(channels) / float64(len(c.in[0])))
	}
	return y, nil
}

// concat joins along an axis.
func (c *call) concat() ([]float32, error) {
	axis := c.Options[tflite.Axis]
	var y []float32
	for row := range product(c.to.Shape[:axis]) {
		for i, x := range c.in {
			n := product(c.tensors[i].Shape[axis:])
			y = append(y, x[row*n:(row+1)*n]...)
		}
	}
	return y, nil
}

func (c *call) pad() ([]float32, error) {
	x, m := c.tensors[0].Shape, c.in[1]
	top, left := int(m[2]), int(m[4])
	h, w, channels := x[1]+top+int(m[3]), x[2]+left+int(m[5]), x[3]
	y := make([]float32, h*w*channels)
	if len(c.in) > 2 {
		for i := range y {
			y[i] = c.in[2][0]
		}
	}
	for row := range x[1] {
		copy(y[((row+top)*w+left)*channels:], c.in[0][row*x[2]*channels:(row+1)*x[2]*channels])
	}
	return y, nil
}

func (c *call) softmax() ([]float32, error) {
	n := c.to.Shape[len(c.to.Shape)-1]
	y := slices.Clone(c.in[0])
	kernel.Softmax(c.program.pool, y, c.in[0], len(y)/n, n)
	return y, nil
}
