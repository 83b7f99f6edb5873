package evaluate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// operators are those that are known, by name.
func operators() map[string]func(*call) error {
	return map[string]func(*call) error{
		"Identity": func(c *call) error { c.out = c.in[:1]; return nil },
		"Cast":     cast, "Gather": gather, "Transpose": transpose, "Reshape": reshape, "Flatten": flatten, "Concat": concat, "Pad": pad,
		"Add": broadcast(func(a, b float32) float32 { return a + b }), "Sub": broadcast(func(a, b float32) float32 { return a - b }),
		"Mul": broadcast(func(a, b float32) float32 { return a * b }), "Div": broadcast(func(a, b float32) float32 { return a / b }),
		"Max":  broadcast(func(a, b float32) float32 { return max(a, b) }),
		"Relu": each(func(x float64) float64 { return max(x, 0) }), "Sigmoid": each(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }),
		"Tanh": each(math.Tanh), "Erf": each(math.Erf), "HardSwish": each(func(x float64) float64 { return x * min(max(x/6+0.5, 0), 1) }),
		"Clip": clip, "Softmax": softmax, "LayerNormalization": layerNorm, "ReduceL2": reduceL2, "ReduceMean": reduceMean,
		"Conv": conv, "Gemm": gemm, "MatMul": matMul, "MaxPool": pool(true), "AveragePool": pool(false), "GlobalAveragePool": globalAverage,
		"Shape": shape, "Slice": slice, "Expand": expand, "Unsqueeze": unsqueeze, "Squeeze": squeeze,
		"ReduceSum": reduce(0, func(a, b float64) float64 { return a + b }), "ReduceMax": reduce(math.Inf(-1), math.Max),
		"LSTM": recurrent(4), "GRU": recurrent(3),
		"TopK": topK, "QuantizeLinear": quantize, "DequantizeLinear": dequantize,
	}
}

func each(f func(float64) float64) func(*call) error {
	return func(c *call) error {
		x := c.in[0]
		y := make([]float32, len(x.Float))
		for i, v := range x.Float {
			y[i] = float32(f(float64(v)))
		}
		return c.put(x.Shape, y)
	}
}

func cast(c *call) error {
	x := c.in[0]
	switch onnx.DataType(c.int("to", 0)) {
	case onnx.Float32:
	case onnx.Int32:
		y := &Tensor{Shape: x.Shape, Whole: x.Whole}
		for _, v := range x.Float {
			y.Whole = append(y.Whole, int64(v))
		}
		c.out = []*Tensor{y}
		return nil
	default:
		return errors.New("only casts to float32 and int32 are known")
	}
	if x.Float != nil {
		return c.put(x.Shape, x.Float)
	}
	y := make([]float32, len(x.Whole))
	for i, v := range x.Whole {
		y[i] = float32(v)
	}
	return c.put(x.Shape, y)
}

// strides of a row-major shape.
func strides(shape []int) []int {
	out := make([]int, len(shape))
	at := 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = at
		at *= shape[i]
	}
	return out
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func broadcast(f func(a, b float32) float32) func(*call) error {
	return func(c *call) error {
		a, b := c.in[0], c.in[1]
		if slices.Equal(a.Shape, b.Shape) {
			y := make([]float32, len(a.Float))
			for i, v := range a.Float {
				y[i] = f(v, b.Float[i])
			}
			return c.put(a.Shape, y)
		}
		rank := max(len(a.Shape), len(b.Shape))
		wide := func(t *Tensor) []int {
			return append(slices.Repeat([]int{1}, rank-len(t.Shape)), t.Shape...)
		}
		as, bs := wide(a), wide(b)
		shape := make([]int, rank)
		for i := range shape {
			shape[i] = max(as[i], bs[i])
			if as[i] != shape[i] && as[i] != 1 || bs[i] != shape[i] && bs[i] != 1 {
				return fmt.Errorf("shapes %v and %v do not go together", a.Shape, b.Shape)
			}
		}
		at, bt := strides(as), strides(bs)
		for i := range shape {
			if as[i] == 1 {
				at[i] = 0
			}
			if bs[i] == 1 {
				bt[i] = 0
			}
		}
		y := make([]float32, product(shape))
		index := make([]int, rank)
		for i := range y {
			from, other := 0, 0
			for axis, v := range index {
				from += v * at[axis]
				other += v * bt[axis]
			}
			y[i] = f(a.Float[from], b.Float[other])
			for axis := rank - 1; axis >= 0; axis-- {
				if index[axis]++; index[axis] < shape[axis] {
					break
				}
				index[axis] = 0
			}
		}
		return c.put(shape, y)
	}
}

// axis counts from the end if it is negative.
func axis(a, rank int) int {
	if a < 0 {
		return a + rank
	}
	return a
}

func gather(c *call) error {
	x, at := c.in[0], c.in[1]
	a := axis(c.int("axis", 0), len(x.Shape))
	outer, n, inner := product(x.Shape[:a]), x.Shape[a], product(x.Shape[a+1:])
	shape := slices.Concat(x.Shape[:a], at.Shape, x.Shape[a+1:])
	if x.Whole != nil { // of lengths
		y := &Tensor{Shape: shape}
		for _, i := range at.Whole {
			y.Whole = append(y.Whole, x.Whole[axis(int(i), n)])
		}
		c.out = []*Tensor{y}
		return nil
	}
	y := make([]float32, 0, product(shape))
	for o := range outer {
		for _, i := range at.Whole {
			from := (o*n + axis(int(i), n)) * inner
			y = append(y, x.Float[from:from+inner]...)
		}
	}
	return c.put(shape, y)
}

func transpose(c *call) error {
	x := c.in[0]
	y := make([]float32, len(x.Float))
	perm := c.ints("perm")
	kernel.Permute(c.program.pool, y, x.Float, x.Shape, perm)
	shape := make([]int, len(perm))
	for i, a := range perm {
		shape[i] = x.Shape[a]
	}
	return c.put(shape, y)
}

func reshape(c *call) error {
	x := c.in[0]
	shape, rest := make([]int, len(c.in[1].Whole)), -1
	for i, d := range c.in[1].Whole {
		shape[i] = int(d)
		switch d {
		case 0:
			shape[i] = x.Shape[i]
		case -1:
			rest, shape[i] = i, 1
		}
	}
	if rest >= 0 {
		shape[rest] = x.size() / product(shape)
	}
	if product(shape) != x.size() {
		return fmt.Errorf("shape %v cannot become %v", x.Shape, shape)
	}
	c.out = []*Tensor{{Shape: shape, Float: x.Float, Whole: x.Whole}}
	return nil
}

func flatten(c *call) error {
	x := c.in[0]
	a := axis(c.int("axis", 1), len(x.Shape))
	return c.put([]int{product(x.Shape[:a]), product(x.Shape[a:])}, x.Float)
}

func concat(c *call) error {
	a := axis(c.int("axis", 0), len(c.in[0].Shape))
	shape := slices.Clone(c.in[0].Shape)
	shape[a] = 0
	for _, x := range c.in {
		shape[a] += x.Shape[a]
	}
	if c.in[0].Whole != nil { // lists of lengths
		y := &Tensor{Shape: shape}
		for _, x := range c.in {
			y.Whole = append(y.Whole, x.Whole...)
		}
		c.out = []*Tensor{y}
		return nil
	}
	y := make([]float32, 0, product(shape))
	for o := range product(shape[:a]) {
		for _, x := range c.in {
			n := product(x.Shape[a:])
			y = append(y, x.Float[o*n:(o+1)*n]...)
		}
	}
	return c.put(shape, y)
}

// pad is that of maps with zeros; negative numbers cut.
func pad(c *call) error {
	if len(c.in[0].Shape) == 3 {
		return padRows(c)
	}
	x, p := c.in[0], c.in[1].Whole
	n, ch, h, w := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	top, left := int(p[2]), int(p[3])
	oh, ow := h+top+int(p[6]), w+left+int(p[7])
	y := make([]float32, n*ch*oh*ow)
	for m := range n * ch {
		for row := range oh {
			from := row - top
			if from < 0 || from >= h {
				continue
			}
			for column := range ow {
				if at := column - left; at >= 0 && at < w {
					y[(m*oh+row)*ow+column] = x.Float[(m*h+from)*w+at]
				}
			}
		}
	}
	return c.put([]int{n, ch, oh, ow}, y)
}

func clip(c *call) error {
	low, high := float32(math.Inf(-1)), float32(math.Inf(1))
	if len(c.in) > 1 && c.in[1] != nil {
		low = c.in[1].Float[0]
	}
	if len(c.in) > 2 && c.in[2] != nil {
		high = c.in[2].Float[0]
	}
	y := make([]float32, len(c.in[0].Float))
	for i, v := range c.in[0].Float {
		y[i] = min(max(v, low), high)
	}
	return c.put(c.in[0].Shape, y)
}

// rows calls f with the numbers along the last axis.
func rows(c *call, f func(dst, src []float32)) error {
	x := c.in[0]
	n := x.Shape[len(x.Shape)-1]
	y := make([]float32, len(x.Float))
	for at := 0; at < len(y); at += n {
		f(y[at:at+n], x.Float[at:at+n])
	}
	return c.put(x.Shape, y)
}

func softmax(c *call) error {
	if axis(c.int("axis", -1), len(c.in[0].Shape)) != len(c.in[0].Shape)-1 {
		return errors.New("only along the last axis")
	}
	return rows(c, func(dst, src []float32) {
		greatest := slices.Max(src)
		var sum float64
		for i, v := range src {
			e := math.Exp(float64(v - greatest))
			dst[i] = float32(e)
			sum += e
		}
		for i := range dst {
			dst[i] = float32(float64(dst[i]) / sum)
		}
	})
}

func layerNorm(c *call) error {
	epsilon := float64(c.node.Attribute("epsilon").Float)
	gamma, beta := c.in[1].Float, c.in[2].Float
	return rows(c, func(dst, src []float32) {
		var mean, variance float64
		for _, v := range src {
			mean += float64(v) / float64(len(src))
		}
		for _, v := range src {
			variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(src))
		}
		for i, v := range src {
			dst[i] = float32((float64(v)-mean)/math.Sqrt(variance+epsilon)*float64(gamma[i]) + float64(beta[i]))
		}
	})
}

func reduceL2(c *call) error {
	x := c.in[0]
	n := x.Shape[len(x.Shape)-1]
	shape := append(slices.Clone(x.Shape[:len(x.Shape)-1]), 1)
	y := make([]float32, product(shape))
	for i := range y {
		var sum float64
		for _, v := range x.Float[i*n : (i+1)*n] {
			sum += float64(v) * float64(v)
		}
		y[i] = float32(math.Sqrt(sum))
	}
	return c.put(shape, y)
}

// reduceMean takes the mean along one axis, which goes.
func reduceMean(c *call) error {
	x := c.in[0]
	a := axis(c.ints("axes")[0], len(x.Shape))
	outer, n, inner := product(x.Shape[:a]), x.Shape[a], product(x.Shape[a+1:])
	y := make([]float32, outer*inner)
	for o := range outer {
		for i := range inner {
			var sum float64
			for k := range n {
				sum += float64(x.Float[(o*n+k)*inner+i])
			}
			y[o*inner+i] = float32(sum / float64(n))
		}
	}
	return c.put(slices.Concat(x.Shape[:a], x.Shape[a+1:]), y)
}

// last turns maps [n, channels, height, width] to [n, height, width, channels].
func (c *call) last(x *Tensor) []float32 {
	y := make([]float32, len(x.Float))
	kernel.Permute(c.program.pool, y, x.Float, x.Shape, []int{0, 2, 3, 1})
	return y
}

// putMaps turns maps back.
func (c *call) putMaps(n, h, w, channels int, x []float32) error {
	y := make([]float32, len(x))
	kernel.Permute(c.program.pool, y, x, []int{n, h, w, channels}, []int{0, 3, 1, 2})
	return c.put([]int{n, channels, h, w}, y)
}

func conv(c *call) error {
	x, w := c.in[0], c.in[1]
	groups := c.int("group", 1)
	stride, pads, dilation := c.ints("strides", 1, 1), c.ints("pads", 0, 0, 0, 0), c.ints("dilations", 1, 1)
	g := kernel.Conv{
		InC: w.Shape[1] * groups, OutC: w.Shape[0], KernelH: w.Shape[2], KernelW: w.Shape[3], StrideH: stride[0], StrideW: stride[1],
		PadTop: pads[0], PadLeft: pads[1], PadBottom: pads[2], PadRight: pads[3], DilationH: dilation[0], DilationW: dilation[1], Groups: groups,
	}
	n, h, width := x.Shape[0], x.Shape[2], x.Shape[3]
	if x.Shape[1] != g.InC {
		return fmt.Errorf("input of shape %v, weight of %v in %d groups", x.Shape, w.Shape, groups)
	}
	name := c.node.Outputs[0]
	packed := c.program.packed[name]
	if packed == nil {
		var bias []float32
		if len(c.in) > 2 && c.in[2] != nil {
			bias = c.in[2].Float
		}
		var err error
		packed, err = kernel.PackConvFor(g, c.last(w), bias, kernel.PackOptions{Algorithm: kernel.Plain, N: 1, H: h, W: width})
		if err != nil {
			return err
		}
		c.program.packed[name] = packed
	}
	oh, ow := g.OutSize(h, width)
	y := kernel.Memory(n * oh * ow * g.OutC)
	packed.Run(c.program.pool, y, c.last(x), n, h, width, nil, kernel.None, &c.program.space)
	return c.putMaps(n, oh, ow, g.OutC, y)
}

func gemm(c *call) error {
	x, w := c.in[0], c.in[1]
	if c.int("transB", 0) != 1 || c.node.Attribute("alpha") != nil || c.node.Attribute("beta") != nil || c.node.Attribute("transA") != nil {
		return errors.New("only with transB")
	}
	m, k, n := x.Shape[0], x.Shape[1], w.Shape[0]
	if w.Shape[1] != k {
		return fmt.Errorf("shapes %v and %v do not go together", x.Shape, w.Shape)
	}
	y := make([]float32, m*n)
	kernel.Products(c.program.pool, 1, false, true, m, n, k, x.Float, w.Float, y, &c.program.space)
	if len(c.in) > 2 {
		for i := range y {
			y[i] += c.in[2].Float[i%n]
		}
	}
	return c.put([]int{m, n}, y)
}

func matMul(c *call) error {
	a, b := c.in[0], c.in[1]
	rank := len(a.Shape)
	m, k, n := a.Shape[rank-2], a.Shape[rank-1], b.Shape[len(b.Shape)-1]
	if b.Shape[len(b.Shape)-2] != k {
		return fmt.Errorf("shapes %v and %v do not go together", a.Shape, b.Shape)
	}
	count := product(a.Shape[:rank-2])
	if len(b.Shape) == 2 {
		m, count = m*count, 1 // one matrix for all
	} else if product(b.Shape[:len(b.Shape)-2]) != count {
		return fmt.Errorf("shapes %v and %v do not go together", a.Shape, b.Shape)
	}
	shape := append(slices.Clone(a.Shape[:rank-1]), n)
	y := make([]float32, product(shape))
	kernel.Products(c.program.pool, count, false, false, m, n, k, a.Float, b.Float, y, &c.program.space)
	return c.put(shape, y)
}

func pool(greatest bool) func(*call) error {
	return func(c *call) error {
		x := c.in[0]
		n, ch, h, w := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
		k, s, p := c.ints("kernel_shape"), c.ints("strides", 1, 1), c.ints("pads", 0, 0, 0, 0)
		if len(k) != 2 || len(s) != 2 || len(p) != 4 || min(k[0], k[1], s[0], s[1]) < 1 {
			return errors.New("no windows of two axes")
		}
		size := func(in, k, s, before, after int) int {
			span := in + before + after - k
			out := span/s + 1
			if c.int("ceil_mode", 0) == 1 && span%s != 0 && out*s < in+before {
				out++
			}
			return out
		}
		oh, ow := size(h, k[0], s[0], p[0], p[2]), size(w, k[1], s[1], p[1], p[3])
		count := c.int("count_include_pad", 0) == 1
		y := make([]float32, n*ch*oh*ow)
		c.program.pool.Each(n*ch, func(_, m int) {
			for oy := range oh {
				for ox := range ow {
					y0, x0 := oy*s[0]-p[0], ox*s[1]-p[1]
					inside := 0
					var sum float64
					best := float32(math.Inf(-1))
					for yy := max(y0, 0); yy < min(y0+k[0], h); yy++ {
						for xx := max(x0, 0); xx < min(x0+k[1], w); xx++ {
							v := x.Float[(m*h+yy)*w+xx]
							sum += float64(v)
							best = max(best, v)
							inside++
						}
					}
					if count {
						inside = (min(y0+k[0], h+p[2]) - y0) * (min(x0+k[1], w+p[3]) - x0)
					}
					at := (m*oh+oy)*ow + ox
					if greatest {
						y[at] = best
					} else {
						y[at] = float32(sum / float64(inside))
					}
				}
			}
		})
		return c.put([]int{n, ch, oh, ow}, y)
	}
}

func globalAverage(c *call) error {
	x := c.in[0]
	n := x.Shape[2] * x.Shape[3]
	y := make([]float32, x.Shape[0]*x.Shape[1])
	for i := range y {
		var sum float64
		for _, v := range x.Float[i*n : (i+1)*n] {
			sum += float64(v)
		}
		y[i] = float32(sum / float64(n))
	}
	return c.put([]int{x.Shape[0], x.Shape[1], 1, 1}, y)
}

// topK gives the K least numbers of each row; of equal ones the first.
func topK(c *call) error {
	x := c.in[0]
	k := int(c.in[1].Whole[0])
	n := x.Shape[len(x.Shape)-1]
	if c.int("largest", 1) != 0 || k < 1 || k > n {
		return errors.New("only the least, and no more than there are")
	}
	shape := append(slices.Clone(x.Shape[:len(x.Shape)-1]), k)
	values, at := &Tensor{Shape: shape}, &Tensor{Shape: shape}
	for from := 0; from < len(x.Float); from += n {
		row := x.Float[from : from+n]
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(a, b int) bool { return row[order[a]] < row[order[b]] })
		for _, i := range order[:k] {
			values.Float = append(values.Float, row[i])
			at.Whole = append(at.Whole, int64(i))
		}
	}
	c.out = []*Tensor{values, at}
	return nil
}

// quantize rounds to int8, ties to even.
func quantize(c *call) error {
	x, size, zero := c.in[0], c.in[1].Float, c.in[2].Whole
	if len(size) != 1 || len(zero) != 1 {
		return errors.New("only one size of steps for a tensor")
	}
	low, high := -128.0, 127.0
	if c.in[2].unsigned { // the type of the zero point is that of the output
		low, high = 0, 255
	}
	y := make([]int64, len(x.Float))
	for i, v := range x.Float {
		y[i] = int64(min(max(math.RoundToEven(float64(v/size[0]))+float64(zero[0]), low), high))
	}
	c.out = []*Tensor{{Shape: x.Shape, Whole: y}}
	return nil
}

func dequantize(c *call) error {
	x, size := c.in[0], c.in[1].Float
	inner, n := len(x.Whole), 1
	if len(size) > 1 {
		a := axis(c.int("axis", 1), len(x.Shape))
		inner, n = product(x.Shape[a+1:]), x.Shape[a]
		if n != len(size) {
			return fmt.Errorf("%d sizes of steps for %d channels", len(size), n)
		}
	}
	y := make([]float32, len(x.Whole))
	for i, v := range x.Whole {
		channel := i / max(inner, 1) % n
		var zero int64
		if len(c.in) > 2 && c.in[2] != nil {
			zero = c.in[2].Whole[channel]
		}
		y[i] = size[channel] * float32(v-zero)
	}
	return c.put(x.Shape, y)
}
