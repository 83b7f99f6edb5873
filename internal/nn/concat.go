package nn

import (
	"fmt"
	"slices"
)

// Concat joins its inputs along the channels.
type Concat struct{}

// Kind implements [Op].
func (Concat) Kind() string { return "concat" }

func (Concat) on(inputs []Shape) (facts, error) {
	if len(inputs) < 2 {
		return facts{}, fmt.Errorf("takes two inputs or more, has %d", len(inputs))
	}
	out := slices.Clone(inputs[0])
	last := len(out) - 1
	for _, s := range inputs[1:] {
		if len(s) != len(out) || !slices.Equal(s[:last], out[:last]) {
			return facts{}, fmt.Errorf("inputs of shapes %v and %v: must be equal but for the channels", inputs[0], s)
		}
		out[last] += s[last]
	}
	if slices.ContainsFunc(inputs, func(s Shape) bool { return s[last] < 0 }) {
		return facts{}, fmt.Errorf("inputs of shapes %v: the channels must not vary", inputs)
	}
	return facts{output: out, varies: true, expect: func(in []moment) moment {
		var m moment
		for i, s := range inputs {
			share := float64(s.Channels()) / float64(out.Channels())
			m.mean += in[i].mean * share
			m.square += in[i].square * share
		}
		return m
	}}, nil
}
