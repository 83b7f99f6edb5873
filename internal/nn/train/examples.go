package train

import "fmt"

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

func checkClasses(classes []int, count int) error {
	for _, c := range classes {
		if c < 0 || c >= count {
			return fmt.Errorf("an example is of class %d; the network has %d", c, count)
		}
	}
	return nil
}
