package nn

import "fmt"

// ZeroPad adds zeros around a map, which count as values: they win a max pooling of negative ones. A
// negative number takes away as many lines or columns.
type ZeroPad struct {
	Margins Padding `json:"margins"`
}

// Kind implements [Op].
func (ZeroPad) Kind() string { return "zero_pad" }

func (op ZeroPad) on(inputs []Shape) (facts, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return facts{}, err
	}
	for _, n := range op.Margins {
		if n < -maxDimension || n > maxDimension {
			return facts{}, fmt.Errorf("margins %v: numbers must be from %d to %d", op.Margins, -maxDimension, maxDimension)
		}
	}
	m := op.Margins
	if h, w := in[0]+min(m[0], 0)+min(m[2], 0), in[1]+min(m[1], 0)+min(m[3], 0); h < 1 || w < 1 {
		return facts{}, fmt.Errorf("margins %v leave nothing of the input of shape %v", m, in)
	}
	return facts{output: Shape{in[0] + m[0] + m[2], in[1] + m[1] + m[3], in[2]}}, nil
}
