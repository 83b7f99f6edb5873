package emit

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/tflite"
)

// Layers of Vision Transformers and the like. They are computed in float32.

// step adds an operator that puts out float32 in a shape, and returns its tensor.
func (e *emission) step(code tflite.Code, name string, shape nn.Shape, options tflite.Options, inputs ...int) int {
	out := e.activation(name, shape, nil)
	e.operator(code, inputs, out, options)
	return out
}

// indices is a constant list of whole numbers.
func (e *emission) indices(name string, list ...int) int {
	data := make([]int32, len(list))
	for i, v := range list {
		data[i] = int32(v)
	}
	return e.ints(name, []int{len(list)}, data, nil)
}

func (e *emission) number(name string, v float32) int { return e.floats(name, []int{1}, []float32{v}) }

// single is a shape whose last axis has the length 1.
func single(shape nn.Shape) nn.Shape {
	out := slices.Clone(shape)
	out[len(out)-1] = 1
	return out
}

func (e *emission) layerNorm(l nn.Layer, op nn.LayerNorm) {
	shape := e.net.Shape(l.Name)
	x, axis := e.as(l.Inputs[0], nil), e.indices(l.Name+".axis", len(shape))
	n := []int{shape.Channels()}
	keep := tflite.Options{tflite.KeepDims: 1}
	mean := e.step(tflite.Mean, l.Name+".mean", single(shape), keep, x, axis)
	square := e.step(tflite.SquaredDifference, l.Name+".square", shape, nil, x, mean)
	variance := e.step(tflite.Mean, l.Name+".variance", single(shape), keep, square, axis)
	bounded := e.step(tflite.Add, l.Name+".bounded", single(shape), nil, variance, e.number(l.Name+".epsilon", op.Epsilon))
	scale := e.step(tflite.Rsqrt, l.Name+".scale", single(shape), nil, bounded)
	centred := e.step(tflite.Sub, l.Name+".centred", shape, nil, x, mean)
	normed := e.step(tflite.Mul, l.Name+".normed", shape, nil, centred, scale)
	scaled := e.step(tflite.Mul, l.Name+".scaled", shape, nil, normed, e.floats(l.Name+".gamma", n, e.weight(l, nn.Gamma).Data))
	e.put(l, e.step(tflite.Add, l.Name, shape, nil, scaled, e.floats(l.Name+".beta", n, e.weight(l, nn.Beta).Data)), nil)
}

func (e *emission) scaleShift(l nn.Layer, op nn.ScaleShift) {
	shape := e.net.Shape(l.Name)
	n := []int{shape.Channels()}
	y := e.as(l.Inputs[0], nil)
	if op.Scale {
		y = e.step(tflite.Mul, l.Name+".scaled", shape, nil, y, e.floats(l.Name+".gamma", n, e.weight(l, nn.Gamma).Data))
	}
	if op.Shift {
		y = e.step(tflite.Add, l.Name, shape, nil, y, e.floats(l.Name+".beta", n, e.weight(l, nn.Beta).Data))
	}
	e.put(l, y, nil)
}

// attention is scaled dot-product attention; what no token may see has −10⁹ added before the softmax.
func (e *emission) attention(l nn.Layer, op nn.Attention) {
	shape := e.net.Shape(l.Name)
	g := op.Geometry(shape.Channels())
	n := shape[0]
	split, turned, scores := nn.Shape{n, g.Heads, g.Width}, nn.Shape{g.Heads, n, g.Width}, nn.Shape{g.Heads, n, n}
	axes := e.indices(l.Name+".axes", 0, 2, 1, 3)
	into := e.indices(l.Name+".split", 1, n, g.Heads, g.Width)
	heads := func(i int, part string) int {
		apart := e.step(tflite.Reshape, l.Name+"."+part+".split", split, nil, e.as(l.Inputs[i], nil), into)
		return e.step(tflite.Transpose, l.Name+"."+part, turned, nil, apart, axes)
	}
	q, k, v := heads(0, "queries"), heads(1, "keys"), heads(2, "values")
	x := e.step(tflite.BatchMatMul, l.Name+".products", scores, tflite.Options{tflite.TurnedB: 1}, q, k)
	x = e.step(tflite.Mul, l.Name+".scores", scores, nil, x, e.number(l.Name+".scale", float32(1/math.Sqrt(float64(g.Width)))))
	if op.Causal {
		later := make([]float32, n*n)
		for i := range n {
			for j := i + 1; j < n; j++ {
				later[i*n+j] = -1e9
			}
		}
		x = e.step(tflite.Add, l.Name+".causal", scores, nil, x, e.floats(l.Name+".later", []int{n, n}, later))
	}
	x = e.step(tflite.Softmax, l.Name+".weights", scores, nil, x)
	x = e.step(tflite.BatchMatMul, l.Name+".mixed", turned, nil, x, v)
	x = e.step(tflite.Transpose, l.Name+".together", split, nil, x, axes)
	e.put(l, e.step(tflite.Reshape, l.Name, shape, nil, x, e.indices(l.Name+".shape", 1, n, shape.Channels())), nil)
}

func (e *emission) positions(l nn.Layer, op nn.Positions) {
	shape := e.net.Shape(l.Name)
	n := shape.Channels()
	weight := e.weight(l, nn.Weight).Data[op.First*n:][:shape.Size()]
	e.put(l, e.step(tflite.Add, l.Name, shape, nil, e.as(l.Inputs[0], nil), e.floats(l.Name+".weight", []int{1, shape[0], n}, weight)), nil)
}

func (e *emission) prepend(l nn.Layer, op nn.Prepend) {
	shape := e.net.Shape(l.Name)
	weight := e.floats(l.Name+".weight", []int{1, op.Count, shape.Channels()}, e.weight(l, nn.Weight).Data)
	e.put(l, e.step(tflite.Concatenation, l.Name, shape, tflite.Options{tflite.Axis: 1}, weight, e.as(l.Inputs[0], nil)), nil)
}

// rows takes so many tokens.
func (e *emission) rows(name string, x int, from, count, channels int) int {
	begin, size := e.indices(name+".begin", 0, from, 0), e.indices(name+".size", 1, count, channels)
	return e.step(tflite.Slice, name, nn.Shape{count, channels}, nil, x, begin, size)
}

func (e *emission) tokenPool(l nn.Layer, op nn.TokenPool) error {
	in := e.net.Shape(l.Inputs[0])
	n, channels := in[0], in[1]
	x := e.as(l.Inputs[0], nil)
	code := tflite.Mean
	switch op.Function {
	case kernel.FirstToken, kernel.LastToken:
		at := op.Skip
		if op.Function == kernel.LastToken {
			at = n - 1
		}
		row := e.rows(l.Name+".row", x, at, 1, channels)
		e.put(l, e.step(tflite.Reshape, l.Name, nn.Shape{channels}, nil, row, e.indices(l.Name+".shape", 1, channels)), nil)
		return nil
	case kernel.GreatestOfTokens:
		code = tflite.ReduceMax
	case kernel.MeanOfTokens:
	default:
		return fmt.Errorf("%v of tokens: %w", op.Function, errNoOperator)
	}
	if op.Skip > 0 {
		x = e.rows(l.Name+".rows", x, op.Skip, n-op.Skip, channels)
	}
	e.put(l, e.step(code, l.Name, nn.Shape{channels}, nil, x, e.indices(l.Name+".axis", 1)), nil)
	return nil
}

func (e *emission) l2Normalise(l nn.Layer, op nn.L2Normalise) {
	shape := e.net.Shape(l.Name)
	x := e.as(l.Inputs[0], nil)
	square := e.step(tflite.Mul, l.Name+".square", shape, nil, x, x)
	sum := e.step(tflite.Sum, l.Name+".sum", single(shape), tflite.Options{tflite.KeepDims: 1}, square, e.indices(l.Name+".axis", len(shape)))
	bounded := e.step(tflite.Maximum, l.Name+".bounded", single(shape), nil, sum, e.number(l.Name+".least", op.Least()*op.Least()))
	scale := e.step(tflite.Rsqrt, l.Name+".scale", single(shape), nil, bounded)
	e.put(l, e.step(tflite.Mul, l.Name, shape, nil, x, scale), nil)
}

func (e *emission) matMul(l nn.Layer, op nn.MatMul) {
	options := tflite.Options{}
	if op.TransposeA {
		options[tflite.TurnedA] = 1
	}
	if op.TransposeB {
		options[tflite.TurnedB] = 1
	}
	e.put(l, e.step(tflite.BatchMatMul, l.Name, e.net.Shape(l.Name), options, e.as(l.Inputs[0], nil), e.as(l.Inputs[1], nil)), nil)
}

// zeroPad puts zeros around a map; where a number is negative, lines are taken away first.
func (e *emission) zeroPad(l nn.Layer, op nn.ZeroPad) {
	m, shape := op.Margins, slices.Clone(e.net.Shape(l.Inputs[0]))
	in := e.moved(l, l.Inputs[0])
	if slices.Min(m[:]) < 0 {
		top, left := max(-m[0], 0), max(-m[1], 0)
		shape[0] -= top + max(-m[2], 0)
		shape[1] -= left + max(-m[3], 0)
		begin, size := e.indices(l.Name+".begin", 0, top, left, 0), e.indices(l.Name+".size", 1, shape[0], shape[1], shape[2])
		cut := e.activation(l.Name+".cut", shape, e.stepsOf(l))
		e.operator(tflite.Slice, []int{in, begin, size}, cut, nil)
		in = cut
	}
	margins := e.margins(l.Name, nn.Padding{max(m[0], 0), max(m[1], 0), max(m[2], 0), max(m[3], 0)})
	out, _ := e.makes(l)
	e.operator(tflite.Pad, []int{in, margins}, out, nil)
}
