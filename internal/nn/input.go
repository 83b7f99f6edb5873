package nn

import "fmt"

// Input is where an example enters the network.
type Input struct {
	Shape   Shape   `json:"shape"`
	Element Element `json:"element,omitzero"`
}

// Kind implements [Op].
func (Input) Kind() string { return "input" }

func (op Input) on(inputs []Shape) (facts, error) {
	if len(inputs) != 0 {
		return facts{}, fmt.Errorf("takes no input, has %d", len(inputs))
	}
	if op.Element < Float32 || op.Element > Int32 {
		return facts{}, fmt.Errorf("unknown element %d", int(op.Element))
	}
	return facts{output: op.Shape, varies: true, expect: expectUnit}, nil
}

func (op Input) bind(lengths []int) Op {
	op.Shape = op.Shape.bind(lengths)
	return op
}
