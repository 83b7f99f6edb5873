package nn

import "fmt"

// Element is the type of a value's numbers.
type Element int

// The elements. Ids count from 0: of tokens, of domains. Only inputs can hold them, and only ops that look
// something up take them.
const (
	Float32 Element = iota
	Int32
)

// String gives "float32" or "int32".
func (e Element) String() string { return [...]string{"float32", "int32"}[e] }

// MarshalText implements encoding.TextMarshaler.
func (e Element) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Element) UnmarshalText(text []byte) error {
	for known := Float32; known <= Int32; known++ {
		if known.String() == string(text) {
			*e = known
			return nil
		}
	}
	return fmt.Errorf("unknown element %q (known: float32, int32)", text)
}

// Values are the numbers of some examples for one input or output, [examples][shape], row-major: the slice
// of their [Element] is set, the others are nil.
type Values struct {
	Float32 []float32
	Int32   []int32
}

// NewValues makes n zeros of a type.
func NewValues(e Element, n int) Values {
	if e == Int32 {
		return Values{Int32: make([]int32, n)}
	}
	return Values{Float32: make([]float32, n)}
}

// Len is the number of numbers of a type that the values hold.
func (v Values) Len(e Element) int {
	if e == Int32 {
		return len(v.Int32)
	}
	return len(v.Float32)
}

// Part returns the numbers of a type from … to-1, in the same memory.
func (v Values) Part(e Element, from, to int) Values {
	if e == Int32 {
		return Values{Int32: v.Int32[from:to]}
	}
	return Values{Float32: v.Float32[from:to]}
}

// Batch are values by the name of their input or output.
type Batch map[string]Values
