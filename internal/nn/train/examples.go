package train

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
)

// Batch is some examples: what enters the network and what its outputs are compared with, by name.
type Batch struct {
	Inputs  nn.Batch // of the network
	Targets nn.Batch // of the objective
	// Lengths are how many tokens of each example are real, of a network of which an axis varies: as many as there is room for
	// until Read says otherwise. Attention and pooling take no notice of the others.
	Lengths []int
}

// Examples are examples that can be fetched in any order.
type Examples interface {
	// Len is the number of examples.
	Len() int
	// Read fetches the examples at the given positions into a batch that has memory for them: of every
	// input and target [len(positions)][shape]. It is called from one goroutine.
	Read(positions []int, into Batch) error
}

// fillLengths says that all tokens are real.
func (b Batch) fillLengths(lengths []int) {
	for i := range b.Lengths {
		b.Lengths[i] = lengths[0]
	}
}

// Varying is implemented by examples of a network with axes that vary in length from batch to batch.
type Varying interface {
	// Lengths are those of the axes, as [nn.Network.Bind] takes them, for a batch of the examples at these
	// positions: shorter examples are padded by Read. A batch of other lengths is another program to be
	// compiled, so few lengths, such as multiples of 16, are better than many. most is the greatest length that
	// the network has positions for, 0 if any will do: no padding may go beyond it.
	Lengths(positions []int, most int) []int
}

// Measured is implemented by examples that differ in length.
type Measured interface {
	// Length is that of an example, such as the number of its tokens.
	Length(position int) int
}

// lengthsOf are those of a batch; nil if the network's axes do not vary.
func lengthsOf(net *nn.Network, examples Examples, positions []int) []int {
	if v, ok := examples.(Varying); ok {
		return v.Lengths(positions, net.MostTokens())
	}
	return nil
}

// Table is examples in memory, of one input.
type Table struct {
	Width   int       // numbers of the input in an example, of a map height·width·channels
	Values  []float32 // [examples][Width]
	Classes []int     // [examples], each from 0: the target [objective.Class]; nil: there is none
	Targets nn.Batch  // further targets, [examples][shape]
}

// Len implements [Examples].
func (t *Table) Len() int { return len(t.Values) / max(t.Width, 1) }

// Read implements [Examples].
func (t *Table) Read(positions []int, into Batch) error {
	for _, input := range into.Inputs {
		for i, p := range positions {
			copy(input.Float32[i*t.Width:(i+1)*t.Width], t.Values[p*t.Width:])
		}
	}
	for name, to := range into.Targets {
		if name == objective.Class && t.Classes != nil {
			for i, p := range positions {
				to.Int32[i] = int32(t.Classes[p])
			}
			continue
		}
		from, ok := t.Targets[name]
		if !ok {
			return fmt.Errorf("the examples have no target %q", name)
		}
		CopyRows(to, from, positions, t.Len())
	}
	return nil
}

// CopyRows copies the rows at the given positions, of all there are, one after the other.
func CopyRows(to, from nn.Values, positions []int, all int) {
	floats, ids := len(from.Float32)/max(all, 1), len(from.Int32)/max(all, 1)
	for i, p := range positions {
		copy(to.Float32[i*floats:(i+1)*floats], from.Float32[p*floats:])
		copy(to.Int32[i*ids:(i+1)*ids], from.Int32[p*ids:])
	}
}
