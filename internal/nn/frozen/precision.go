package frozen

import "fmt"

// Precision is the arithmetic of a program. Inputs and outputs are float32 in each.
type Precision int

// The precisions.
const (
	Float32 Precision = iota
	// BFloat16 rounds the weights and inputs of convolutions to bfloat16 where that is faster, and
	// sums in float32.
	BFloat16
	// Int8 quantizes the weights of convolutions to signed bytes, channel by channel, and their inputs
	// to unsigned ones with a range for the whole tensor, where that is faster, and sums in integers.
	// It needs [Ranges].
	Int8
)

// ParsePrecision reads the name of a precision: fp32, bf16 or int8.
func ParsePrecision(name string) (Precision, error) {
	for p := Float32; p <= Int8; p++ {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("there is no precision %q (known: fp32, bf16, int8)", name)
}

func (p Precision) String() string {
	return [...]string{"fp32", "bf16", "int8"}[p]
}

// element is the type of the numbers of a value.
type element uint8

const (
	floats    element = iota
	bfloat16s         // bfloat16
	uint8s            // bytes that are quantized
)

// size returns the bytes of a number.
func (e element) size() int { return 4 >> e }

// line returns how many numbers a cache line holds.
func (e element) line() int { return 64 / e.size() }
