package nn

import "fmt"

// ScaleShift multiplies each channel by a learned factor, gamma, or adds a learned number, beta, or does both.
type ScaleShift struct {
	Scale bool `json:"scale,omitzero"`
	Shift bool `json:"shift,omitzero"`
}

// Kind implements [Op].
func (ScaleShift) Kind() string { return "scale_shift" }

func (op ScaleShift) on(inputs []Shape) (facts, error) {
	f, err := unchanged(inputs)
	if err != nil {
		return f, err
	}
	if !op.Scale && !op.Shift {
		return f, fmt.Errorf("neither scales nor shifts")
	}
	if op.Scale {
		f.parameters = append(f.parameters, Parameter{Role: Gamma, Shape: Shape{f.output.Channels()}, initial: ones})
	}
	if op.Shift {
		f.parameters = append(f.parameters, Parameter{Role: Beta, Shape: Shape{f.output.Channels()}})
	}
	return f, nil
}
