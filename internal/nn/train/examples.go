package train

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// Examples are labelled examples that can be fetched in any order.
type Examples interface {
	// Len is the number of examples.
	Len() int
	// Read fetches the examples at the given positions: inputs is [len(positions)][shape of the
	// network's input], a vector or a map [height, width, channels]; classes is [len(positions)]. It is called from one goroutine.
	Read(positions []int, inputs []float32, classes []int) error
}

// Table is examples in memory.
type Table struct {
	Width   int       // numbers in an example, of a map height·width·channels
	Values  []float32 // [examples][Width]
	Classes []int     // [examples], each from 0
}

// Len implements [Examples].
func (t *Table) Len() int { return len(t.Classes) }

// Read implements [Examples].
func (t *Table) Read(positions []int, inputs []float32, classes []int) error {
	for i, p := range positions {
		copy(inputs[i*t.Width:(i+1)*t.Width], t.Values[p*t.Width:])
		classes[i] = t.Classes[p]
	}
	return nil
}

// order returns the positions 0 … n-1 in the order of an epoch, by the shuffle of Fisher and
// Yates. It is written out here because what [math/rand/v2] makes of a source may change.
func order(n int, seed uint64, epoch int) []int {
	random := graph.Draw{Seed: seed, Epoch: epoch}.Stream("order of the examples")
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j, _ := bits.Mul64(random.Uint64(), uint64(i+1))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// batches cuts positions into runs of size. A single example left over joins the run before it:
// batch-norm learns nothing from one.
func batches(positions []int, size int) [][]int {
	out := slices.Collect(slices.Chunk(positions, size))
	if n := len(out); n > 1 && len(out[n-1]) == 1 {
		out[n-2] = positions[(n-2)*size:]
		out = out[:n-1]
	}
	return out
}

func checkClasses(classes []int, count int) error {
	for _, c := range classes {
		if c < 0 || c >= count {
			return fmt.Errorf("an example is of class %d; the network has %d", c, count)
		}
	}
	return nil
}
