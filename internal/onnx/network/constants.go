package network

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// compute computes a node of constants.
func (c *call) compute() error {
	out, err := c.constant()
	if err == nil && out != nil && len(out.floats)+len(out.whole) != out.size() {
		err = errors.New("its inputs do not fit the operator")
	}
	if err != nil {
		return err
	}
	c.builder.values[c.node.Outputs[0]] = out
	return nil
}

func (c *call) constant() (out *value, err error) {
	defer func() {
		if fault := recover(); fault != nil { // sizes that do not fit each other
			err = fmt.Errorf("its inputs do not fit the operator (%v)", fault)
		}
	}()
	if c.node.Operator == "Constant" {
		return c.given()
	}
	if len(c.in) == 0 || c.in[0] == nil {
		return nil, errors.New("its first input is missing")
	}
	x := c.in[0]
	same := func(shape []int) *value { return &value{shape: shape, floats: x.floats, whole: x.whole} }
	switch c.node.Operator {
	case "Identity", "Dropout":
		return x, nil
	case "Cast":
		return c.cast(x)
	case "Unsqueeze", "Squeeze", "Reshape", "Flatten":
		return c.shaped(same)
	case "Gather":
		return c.gathered(x)
	case "Slice":
		return c.sliced(x)
	case "Concat":
		return c.joined()
	case "Transpose":
		return c.transposed(x)
	case "Add", "Sub", "Mul", "Div", "Max", "Min":
		return c.arithmetic()
	case "Ceil", "Floor":
		round := math.Ceil
		if c.node.Operator == "Floor" {
			round = math.Floor
		}
		out := &value{shape: x.shape, floats: make([]float32, len(x.floats))}
		for i, v := range x.floats {
			out.floats[i] = float32(round(float64(v)))
		}
		return out, nil
	case "Clip":
		return c.clipped(x)
	case "ConstantOfShape":
		return c.filled(x)
	case "ReduceProd":
		out := int64(1)
		for _, v := range x.whole {
			out *= v
		}
		return &value{shape: []int{}, whole: []int64{out}}, nil
	}
	return nil, errors.New("this operator is not supported on constants")
}

// given is the number, or the tensor, that a node Constant has.
func (c *call) given() (*value, error) {
	for _, a := range c.node.Attributes {
		switch {
		case a.Name == "value" && a.Tensor != nil:
			return constant(a.Tensor)
		case a.Name == "value_float":
			return &value{shape: []int{}, floats: []float32{a.Float}}, nil
		case a.Name == "value_int":
			return &value{shape: []int{}, whole: []int64{a.Int}}, nil
		case a.Name == "value_ints":
			return &value{shape: []int{len(a.Ints)}, whole: slices.Clone(a.Ints)}, nil
		case a.Name == "value_floats":
			return &value{shape: []int{len(a.Floats)}, floats: slices.Clone(a.Floats)}, nil
		}
	}
	return nil, errors.New("it has no supported value")
}

func (c *call) cast(x *value) (*value, error) {
	switch c.int("to", 0) {
	case 1, 10, 11, 16:
		if x.floats != nil {
			return x, nil
		}
		out := &value{shape: x.shape, floats: make([]float32, len(x.whole))}
		for i, v := range x.whole {
			out.floats[i] = float32(v)
		}
		return out, nil
	case 6, 7:
		if x.whole != nil {
			return x, nil
		}
		out := &value{shape: x.shape, whole: make([]int64, len(x.floats))}
		for i, v := range x.floats {
			out.whole[i] = int64(v)
		}
		return out, nil
	}
	return nil, fmt.Errorf("type %d is not supported", c.int("to", 0))
}

// shaped gives a constant another shape.
func (c *call) shaped(same func([]int) *value) (*value, error) {
	x := c.in[0]
	if c.node.Operator == "Flatten" {
		axis := c.int("axis", 1)
		return same([]int{product(x.shape[:axis]), product(x.shape[axis:])}), nil
	}
	name := "axes"
	if c.node.Operator == "Reshape" {
		name = "shape"
	}
	list, err := c.wholes(1, name)
	if err != nil {
		return nil, err
	}
	var shape []int
	switch c.node.Operator {
	case "Reshape":
		rest := -1
		for i, d := range list {
			switch d {
			case 0:
				shape = append(shape, x.shape[i])
			case -1:
				rest = i
				shape = append(shape, 1)
			default:
				shape = append(shape, int(d))
			}
		}
		if rest >= 0 {
			shape[rest] = x.size() / product(shape)
		}
	case "Squeeze":
		for i, d := range x.shape {
			if d == 1 && (list == nil || slices.Contains(list, int64(i)) || slices.Contains(list, int64(i-len(x.shape)))) {
				continue
			}
			shape = append(shape, d)
		}
	default:
		rank, from := len(x.shape)+len(list), 0
		for i := range rank {
			if slices.Contains(list, int64(i)) || slices.Contains(list, int64(i-rank)) {
				shape = append(shape, 1)
				continue
			}
			shape = append(shape, x.shape[from])
			from++
		}
	}
	if shape == nil {
		shape = []int{}
	}
	return same(shape), nil
}

// gathered takes elements of a list.
func (c *call) gathered(x *value) (*value, error) {
	at := c.input(1)
	if len(x.shape) != 1 || at == nil || at.whole == nil || x.whole == nil {
		return nil, errors.New("only single entries of a list of integers can be taken")
	}
	out := &value{shape: at.shape, whole: make([]int64, len(at.whole))}
	for i, k := range at.whole {
		if k < 0 {
			k += int64(len(x.whole))
		}
		out.whole[i] = x.whole[k]
	}
	return out, nil
}

// sliced takes a part of a constant along its first axis.
func (c *call) sliced(x *value) (*value, error) {
	starts, err := c.wholes(1, "starts")
	if err != nil {
		return nil, err
	}
	ends, err := c.wholes(2, "ends")
	if err != nil {
		return nil, err
	}
	step, along := int64(1), int64(0)
	if v := c.input(4); v != nil {
		step = v.whole[0]
	}
	if axes, err := c.wholes(3, "axes"); err == nil && len(axes) == 1 {
		along = axes[0]
	}
	if len(x.shape) == 0 || x.whole == nil || len(starts) != 1 || len(ends) != 1 || along != 0 && along != int64(-len(x.shape)) || step == 0 {
		return nil, errors.New("only slices of integers along the first axis are supported")
	}
	rows := int64(x.shape[0])
	row := x.size() / x.shape[0]
	bound := func(v, least, most int64) int64 {
		if v < 0 {
			v += rows
		}
		return min(max(v, least), most)
	}
	out := &value{shape: slices.Clone(x.shape), whole: []int64{}}
	out.shape[0] = 0
	from, to := bound(starts[0], 0, rows), bound(ends[0], 0, rows)
	if step < 0 {
		from, to = bound(starts[0], 0, rows-1), bound(ends[0], -1, rows-1)
		if ends[0] < -rows {
			to = -1
		}
	}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out.whole = append(out.whole, x.whole[int(i)*row:(int(i)+1)*row]...)
		out.shape[0]++
	}
	return out, nil
}

// clipped bounds numbers.
func (c *call) clipped(x *value) (*value, error) {
	out := &value{shape: x.shape, floats: slices.Clone(x.floats), whole: slices.Clone(x.whole)}
	if low := c.input(1); low != nil {
		for i := range out.floats {
			out.floats[i] = max(out.floats[i], low.floats[0])
		}
		for i := range out.whole {
			out.whole[i] = max(out.whole[i], low.whole[0])
		}
	}
	if high := c.input(2); high != nil {
		for i := range out.floats {
			out.floats[i] = min(out.floats[i], high.floats[0])
		}
		for i := range out.whole {
			out.whole[i] = min(out.whole[i], high.whole[0])
		}
	}
	return out, nil
}

// filled is a small list of one number.
func (c *call) filled(shape *value) (*value, error) {
	const most = 1 << 16
	if len(shape.whole) != 1 || shape.whole[0] < 0 || shape.whole[0] > most {
		return nil, fmt.Errorf("only short lists can be filled, not the shape %v", shape.whole)
	}
	n := int(shape.whole[0])
	out := &value{shape: []int{n}, floats: make([]float32, n)}
	if a := c.node.Attribute("value"); a != nil && a.Tensor != nil {
		one, err := constant(a.Tensor)
		if err != nil {
			return nil, err
		}
		if one.whole != nil {
			return &value{shape: []int{n}, whole: slices.Repeat(one.whole[:1], n)}, nil
		}
		out.floats = slices.Repeat(one.floats[:1], n)
	}
	return out, nil
}

// joined joins lists.
func (c *call) joined() (*value, error) {
	out := &value{shape: []int{0}}
	for _, v := range c.in {
		if v == nil || len(v.shape) != 1 {
			return nil, errors.New("only lists of constants can be concatenated")
		}
		out.whole = append(out.whole, v.whole...)
		out.floats = append(out.floats, v.floats...)
		out.shape[0] += v.shape[0]
	}
	if out.whole != nil && out.floats != nil {
		return nil, errors.New("lists of different types cannot be concatenated")
	}
	return out, nil
}

// transposed is the transposition of a matrix.
func (c *call) transposed(x *value) (*value, error) {
	a := c.node.Attribute("perm")
	if len(x.shape) != 2 || a != nil && !slices.Equal(a.Ints, []int64{1, 0}) {
		return nil, errors.New("only matrices of constants can be transposed")
	}
	rows, columns := x.shape[0], x.shape[1]
	out := &value{shape: []int{columns, rows}}
	if x.floats != nil {
		out.floats = turned(x.floats, rows, columns)
	} else {
		out.whole = turned(x.whole, rows, columns)
	}
	return out, nil
}

func turned[T any](matrix []T, rows, columns int) []T {
	out := make([]T, len(matrix))
	for r := range rows {
		for k := range columns {
			out[k*rows+r] = matrix[r*columns+k]
		}
	}
	return out
}

// arithmetic joins constants of equal shapes, or one with a number.
func (c *call) arithmetic() (*value, error) {
	if len(c.in) != 2 || c.in[1] == nil {
		return nil, errors.New("it takes two inputs")
	}
	a, b := c.in[0], c.in[1]
	shape := a.shape
	if b.size() > a.size() || b.size() == a.size() && len(b.shape) > len(a.shape) {
		shape = b.shape
	}
	if a.size() != b.size() && a.size() != 1 && b.size() != 1 {
		return nil, errors.New("constants of these shapes cannot be combined")
	}
	out := &value{shape: shape}
	if a.whole != nil && b.whole != nil {
		out.whole = joinedBy(c.node.Operator, a.whole, b.whole, product(shape))
	} else {
		out.floats = joinedBy(c.node.Operator, a.floats, b.floats, product(shape))
	}
	return out, nil
}

func joinedBy[T int64 | float32](operator string, a, b []T, n int) []T {
	out := make([]T, n)
	for i := range out {
		x, y := a[i%len(a)], b[i%len(b)]
		switch operator {
		case "Add":
			out[i] = x + y
		case "Sub":
			out[i] = x - y
		case "Mul":
			out[i] = x * y
		case "Div":
			out[i] = x / y
		case "Max":
			out[i] = max(x, y)
		case "Min":
			out[i] = min(x, y)
		}
	}
	return out
}
