package nn

import (
	"fmt"
	"slices"
)

// MatMul multiplies two stacks of matrices, pair by pair: [… m, k] and [… k, n] to [… m, n], where what is
// before the last two axes is the same in both. The flags say that the last two axes of an input lie the
// other way.
type MatMul struct {
	TransposeA bool `json:"transpose_a,omitzero"` // the first is [… k, m]
	TransposeB bool `json:"transpose_b,omitzero"` // the second is [… n, k]
}

// Kind implements [Op].
func (MatMul) Kind() string { return "mat_mul" }

// Sizes returns the number of pairs, m, n and k, for inputs of these shapes, which fit.
func (op MatMul) Sizes(a, b Shape) (count, m, n, k int) {
	at := len(a) - 2
	m, k, n = a[at], a[at+1], b[at+1]
	if op.TransposeA {
		m, k = k, m
	}
	if op.TransposeB {
		n = b[at]
	}
	return a[:at].Size(), m, n, k
}

func (op MatMul) on(inputs []Shape) (facts, error) {
	if len(inputs) != 2 {
		return facts{}, fmt.Errorf("takes two inputs, has %d", len(inputs))
	}
	a, b := inputs[0], inputs[1]
	at := len(a) - 2
	if at < 0 || len(a) != len(b) || !slices.Equal(a[:at], b[:at]) {
		return facts{}, fmt.Errorf("inputs of shapes %v and %v: must be matrices, or as many of them", a, b)
	}
	count, m, n, k := op.Sizes(a, b)
	other := b[at]
	if op.TransposeB {
		other = b[at+1]
	}
	if k != other {
		return facts{}, fmt.Errorf("inputs of shapes %v and %v: rows of %d numbers meet columns of %d", a, b, k, other)
	}
	return facts{
		output: append(slices.Clone(a[:at]), m, n), varies: true,
		multiplyAdds: int64(count) * int64(m) * int64(n) * int64(k),
		expect: func(in []moment) moment {
			return moment{float64(k) * in[0].mean * in[1].mean, float64(k) * in[0].square * in[1].square}
		},
	}, nil
}
