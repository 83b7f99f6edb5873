package evaluate

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// shape gives the lengths of the axes.
func shape(c *call) error {
	x := c.in[0]
	y := &Tensor{Shape: []int{len(x.Shape)}, Whole: make([]int64, len(x.Shape))}
	for i, d := range x.Shape {
		y.Whole[i] = int64(d)
	}
	c.out = []*Tensor{y}
	return nil
}

// slice takes a range of one axis, in steps of 1.
func slice(c *call) error {
	if len(c.in) != 4 || len(c.in[1].Whole) != 1 || len(c.in[2].Whole) != 1 || len(c.in[3].Whole) != 1 {
		return errors.New("only of one axis")
	}
	x, a := c.in[0], axis(int(c.in[3].Whole[0]), len(c.in[0].Shape))
	n := x.Shape[a]
	bound := func(v int64) int {
		if v < 0 {
			v += int64(n)
		}
		return int(min(max(v, 0), int64(n)))
	}
	from, to := bound(c.in[1].Whole[0]), bound(c.in[2].Whole[0])
	to = max(to, from)
	out := slices.Clone(x.Shape)
	out[a] = to - from
	inner := product(x.Shape[a+1:])
	y := make([]float32, 0, product(out))
	for o := range product(x.Shape[:a]) {
		y = append(y, x.Float[(o*n+from)*inner:(o*n+to)*inner]...)
	}
	return c.put(out, y)
}

// expand repeats a tensor along axes of length 1.
func expand(c *call) error {
	shape := make([]int, len(c.in[1].Whole))
	for i, d := range c.in[1].Whole {
		shape[i] = int(d)
	}
	ones := &Tensor{Shape: shape, Float: slices.Repeat([]float32{1}, product(shape))}
	c.in = []*Tensor{c.in[0], ones}
	return broadcast(func(a, b float32) float32 { return a * b })(c)
}

// unsqueeze adds axes of length 1, squeeze takes them away.
func unsqueeze(c *call) error {
	x := c.in[0]
	out := slices.Clone(x.Shape)
	for _, a := range c.in[1].Whole {
		out = slices.Insert(out, axis(int(a), len(out)+1), 1)
	}
	c.out = []*Tensor{{Shape: out, Float: x.Float, Whole: x.Whole}}
	return nil
}

func squeeze(c *call) error {
	x := c.in[0]
	if len(c.in) != 2 || len(c.in[1].Whole) != 1 {
		return errors.New("only one axis")
	}
	a := axis(int(c.in[1].Whole[0]), len(x.Shape))
	if x.Shape[a] != 1 {
		return fmt.Errorf("axis %d has the length %d", a, x.Shape[a])
	}
	return c.put(slices.Delete(slices.Clone(x.Shape), a, a+1), x.Float)
}

// reduce joins the numbers along one axis; of a sum it is an input, of a maximum an attribute.
func reduce(begin float64, join func(a, b float64) float64) func(*call) error {
	return func(c *call) error {
		x := c.in[0]
		axes := c.ints("axes")
		if len(c.in) > 1 {
			axes = []int{int(c.in[1].Whole[0])}
		}
		if len(axes) != 1 || c.int("keepdims", 1) != 0 {
			return errors.New("only along one axis, which goes")
		}
		a := axis(axes[0], len(x.Shape))
		n, inner := x.Shape[a], product(x.Shape[a+1:])
		y := make([]float32, product(x.Shape[:a])*inner)
		for i := range y {
			v := begin
			for k := range n {
				v = join(v, float64(x.Float[(i/inner*n+k)*inner+i%inner]))
			}
			y[i] = float32(v)
		}
		return c.put(slices.Concat(x.Shape[:a], x.Shape[a+1:]), y)
	}
}

// padRows puts zeros before and after axis 1 of [n, rows, width].
func padRows(c *call) error {
	x, p := c.in[0], c.in[1].Whole
	if len(p) != 6 || p[0] != 0 || p[2] != 0 || p[3] != 0 || p[5] != 0 || p[1] < 0 || p[4] < 0 {
		return errors.New("only along axis 1")
	}
	n, rows, width := x.Shape[0], x.Shape[1], x.Shape[2]
	all := int(p[1]) + rows + int(p[4])
	y := make([]float32, n*all*width)
	for i := range n {
		copy(y[(i*all+int(p[1]))*width:], x.Float[i*rows*width:(i+1)*rows*width])
	}
	return c.put([]int{n, all, width}, y)
}

// recurrent is an LSTM or a GRU with linear_before_reset, of one direction: X [tokens, n, in], W [1, gates·units, in],
// R [1, gates·units, units], B [1, 2·gates·units] and the lengths of the sequences.
func recurrent(gates int) func(*call) error {
	return func(c *call) error {
		x, u := c.in[0], c.int("hidden_size", 0)
		tokens, n, width := x.Shape[0], x.Shape[1], x.Shape[2]
		wide := gates * u
		w, r, b := c.in[1].Float, c.in[2].Float, c.in[3].Float
		if len(w) != wide*width || len(r) != wide*u || len(b) != 2*wide || gates == 3 && c.int("linear_before_reset", 0) != 1 {
			return errors.New("its weights do not fit it")
		}
		gate := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		if string(c.node.Attribute("activations").Strings[0]) == "HardSigmoid" {
			gate = func(x float64) float64 { return min(max(0.2*x+0.5, 0), 1) }
		}
		all, last := make([]float32, tokens*n*u), make([]float32, n*u)
		for i := range n {
			length := tokens
			if len(c.in) > 4 && c.in[4] != nil {
				length = int(c.in[4].Whole[i])
			}
			state, cell := make([]float64, u), make([]float64, u)
			for step := range length {
				at := step
				if string(c.node.Attribute("direction").Bytes) == "reverse" {
					at = length - 1 - step
				}
				input, inner := make([]float64, wide), make([]float64, wide)
				for j := range wide {
					input[j], inner[j] = float64(b[j]), float64(b[wide+j])
					for k, v := range x.Float[(at*n+i)*width:][:width] {
						input[j] += float64(w[j*width+k]) * float64(v)
					}
					for k, v := range state {
						inner[j] += float64(r[j*u+k]) * v
					}
				}
				next := make([]float64, u)
				for j := range u {
					sum := func(g int) float64 { return input[g*u+j] + inner[g*u+j] }
					if gates == 4 { // input, output, forget, candidate
						cell[j] = gate(sum(2))*cell[j] + gate(sum(0))*math.Tanh(sum(3))
						next[j] = gate(sum(1)) * math.Tanh(cell[j])
						continue
					}
					update, reset := gate(sum(0)), gate(sum(1))
					candidate := math.Tanh(input[2*u+j] + reset*inner[2*u+j])
					next[j] = (1-update)*candidate + update*state[j]
				}
				state = next
				for j, v := range state {
					all[(at*n+i)*u+j] = float32(v)
				}
			}
			for j, v := range state {
				last[i*u+j] = float32(v)
			}
		}
		c.out = []*Tensor{{Shape: []int{tokens, 1, n, u}, Float: all}, {Shape: []int{1, n, u}, Float: last}}
		return nil
	}
}
