package nn

import (
	"encoding/json"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Roles of a recurrent layer: the weights on the state before, and their bias, which only a GRU has.
const (
	StateWeight Role = "state_weight"
	StateBias   Role = "state_bias"
)

// Recurrent takes the tokens of a sequence one after the other: [tokens, channels] to [tokens, Units], or with Last to [Units],
// the output of the last one. Padding is not taken. The weights are [gates·Units, channels] and [gates·Units, Units]; see
// [kernel.Recurrent].
type Recurrent struct {
	Cell        kernel.RecurrentCell
	Units       int
	Reverse     bool // from the last token to the first; the output of the last is that of the first token
	Last        bool
	HardSigmoid bool // gates are clamp(x/5 + 1/2), as Keras had them
}

// Kind implements [Op].
func (Recurrent) Kind() string { return "recurrent" }

func (op Recurrent) on(inputs []Shape) (facts, error) {
	in, err := oneSequence(inputs)
	if err != nil {
		return facts{}, err
	}
	if op.Cell != kernel.LSTM && op.Cell != kernel.GRU {
		return facts{}, fmt.Errorf("unknown cell %v", op.Cell)
	}
	if op.Units < 1 || op.Units > maxDimension/4 {
		return facts{}, fmt.Errorf("%d units: must be from 1 to %d", op.Units, maxDimension/4)
	}
	wide := op.Cell.Gates() * op.Units
	output := Shape{in[0], op.Units}
	if op.Last {
		output = Shape{op.Units}
	}
	parameters := []Parameter{
		{Role: Weight, Shape: Shape{wide, in.Channels()}, initial: byFans, fanIn: in.Channels(), fanOut: wide},
		{Role: StateWeight, Shape: Shape{wide, op.Units}, initial: orthogonal},
		{Role: Bias, Shape: Shape{wide}, initial: zeros},
	}
	if op.Cell == kernel.LSTM {
		parameters[2].initial = remembering
	} else {
		parameters = append(parameters, Parameter{Role: StateBias, Shape: Shape{wide}, initial: zeros})
	}
	return facts{
		output: output, varies: true, parameters: parameters,
		multiplyAdds: int64(max(in[0], 1)) * int64(wide) * int64(in.Channels()+op.Units),
		expect:       expectUnit,
	}, nil
}

// Geometry is the layer as package kernel computes it.
func (op Recurrent) Geometry(channels int) kernel.Recurrent {
	return kernel.Recurrent{Cell: op.Cell, Units: op.Units, Inputs: channels, Reverse: op.Reverse, Last: op.Last, HardSigmoid: op.HardSigmoid}
}

type jsonRecurrent struct {
	Cell        string `json:"cell"`
	Units       int    `json:"units"`
	Reverse     bool   `json:"reverse,omitzero"`
	Last        bool   `json:"last,omitzero"`
	HardSigmoid bool   `json:"hard_sigmoid,omitzero"`
}

// MarshalJSON implements json.Marshaler: {"cell": "lstm", "units": 128}.
func (op Recurrent) MarshalJSON() ([]byte, error) {
	return json.Marshal(jsonRecurrent{op.Cell.String(), op.Units, op.Reverse, op.Last, op.HardSigmoid})
}

// UnmarshalJSON implements json.Unmarshaler.
func (op *Recurrent) UnmarshalJSON(data []byte) error {
	var in jsonRecurrent
	if err := strictly(data, &in); err != nil {
		return err
	}
	for _, cell := range []kernel.RecurrentCell{kernel.LSTM, kernel.GRU} {
		if in.Cell == cell.String() {
			*op = Recurrent{cell, in.Units, in.Reverse, in.Last, in.HardSigmoid}
			return nil
		}
	}
	return fmt.Errorf("unknown recurrent cell %q", in.Cell)
}
