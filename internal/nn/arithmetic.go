package nn

import (
	"fmt"
	"slices"
)

// Add sums its inputs, two or more of one shape.
type Add struct{}

// Multiply multiplies a map [height, width, channels] by a vector [channels], as
// squeeze-and-excitation does, or two inputs of one shape element by element.
type Multiply struct{}

// Scale multiplies by a constant.
type Scale struct {
	Factor float32 `json:"factor"`
}

// Kind implements [Op].
func (Add) Kind() string      { return "add" }
func (Multiply) Kind() string { return "multiply" }
func (Scale) Kind() string    { return "scale" }

func (Add) on(inputs []Shape) (facts, error) {
	if err := alike(inputs); err != nil {
		return facts{}, err
	}
	return facts{output: inputs[0], varies: true, expect: expectSum}, nil
}

// expectSum takes the terms to be independent.
func expectSum(in []moment) moment {
	var out moment
	for _, x := range in {
		out.mean += x.mean
		out.square += x.variance()
	}
	out.square += out.mean * out.mean
	return out
}

func (Multiply) on(inputs []Shape) (facts, error) {
	if len(inputs) != 2 {
		return facts{}, fmt.Errorf("takes two inputs, has %d", len(inputs))
	}
	a, b := inputs[0], inputs[1]
	if !slices.Equal(a, b) && !(len(a) == 3 && len(b) == 1 && a[2] == b[0]) {
		return facts{}, fmt.Errorf("inputs of shapes %v and %v: must be equal, or the second a vector of the first's channels", a, b)
	}
	return facts{output: a, varies: true, expect: func(in []moment) moment {
		return moment{in[0].mean * in[1].mean, in[0].square * in[1].square}
	}}, nil
}

func (op Scale) on(inputs []Shape) (facts, error) {
	if f := op.Factor; f-f != 0 {
		return facts{}, fmt.Errorf("factor %v: must be finite", f)
	}
	f, err := unchanged(inputs)
	f.expect = func(in []moment) moment {
		f := float64(op.Factor)
		return moment{in[0].mean * f, in[0].square * f * f}
	}
	return f, err
}
