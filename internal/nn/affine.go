package nn

import "fmt"

// Affine maps each number of the last axis by constants, Scale·x + Shift: what a network answers in units of
// its own becomes numbers in those of the world.
type Affine struct {
	Scale []float32 `json:"scale"` // finite, as many as the last axis is long
	Shift []float32 `json:"shift"` // likewise
}

// Kind implements [Op].
func (Affine) Kind() string { return "affine" }

func (op Affine) on(inputs []Shape) (facts, error) {
	f, err := unchanged(inputs)
	if err != nil {
		return facts{}, err
	}
	n := inputs[0].Channels()
	if len(op.Scale) != n || len(op.Shift) != n {
		return facts{}, fmt.Errorf("%d scales and %d shifts for an axis of length %d", len(op.Scale), len(op.Shift), n)
	}
	var scale, square, shift float64
	for i, s := range op.Scale {
		if s-s != 0 || op.Shift[i]-op.Shift[i] != 0 {
			return facts{}, fmt.Errorf("%v·x + %v: must be finite", s, op.Shift[i])
		}
		scale += float64(s) / float64(n)
		square += float64(s) * float64(s) / float64(n)
		shift += float64(op.Shift[i]) / float64(n)
	}
	f.expect = func(in []moment) moment {
		mean := in[0].mean*scale + shift
		return moment{mean, in[0].variance()*square + mean*mean}
	}
	return f, nil
}
