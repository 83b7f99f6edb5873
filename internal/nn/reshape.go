package nn

import (
	"fmt"
	"slices"
)

// Flatten makes a vector of a map, row by row, the channels of a pixel side by side.
type Flatten struct{}

// Reshape gives the numbers another shape, in their order. An axis of it that varies is one that varies in
// the input: a negative number does not stand for what is left over.
type Reshape struct {
	Shape Shape `json:"shape"`
}

// Transpose puts the axes in another order: axis i of the output is axis Axes[i] of the input, counted
// from 0 without the batch.
type Transpose struct {
	Axes []int `json:"axes"`
}

// Kind implements [Op].
func (Flatten) Kind() string   { return "flatten" }
func (Reshape) Kind() string   { return "reshape" }
func (Transpose) Kind() string { return "transpose" }

func (Flatten) on(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	return facts{output: Shape{in.Size()}}, nil
}

func (op Reshape) on(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	if err := op.Shape.check(); err != nil {
		return facts{}, err
	}
	had, varied := in.parts()
	if fixed, varying := op.Shape.parts(); fixed != had || !slices.Equal(varying, varied) {
		return facts{}, fmt.Errorf("input of shape %v has not as many numbers as %v", in, op.Shape)
	}
	return facts{output: op.Shape, varies: true}, nil
}

func (op Reshape) bind(lengths []int) Op { return Reshape{op.Shape.bind(lengths)} }

func (op Transpose) on(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	if sorted := slices.Sorted(slices.Values(op.Axes)); !slices.Equal(sorted, counting(len(in))) {
		return facts{}, fmt.Errorf("axes %v of an input of shape %v: must be 0 to %d, each once", op.Axes, in, len(in)-1)
	}
	out := make(Shape, len(in))
	for i, axis := range op.Axes {
		out[i] = in[axis]
	}
	return facts{output: out, varies: true}, nil
}

// counting lists 0 … n-1.
func counting(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
