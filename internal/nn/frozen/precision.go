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
)

// ParsePrecision reads the name of a precision: fp32 or bf16.
func ParsePrecision(name string) (Precision, error) {
	for p := Float32; p <= BFloat16; p++ {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("there is no precision %q (known: fp32, bf16)", name)
}

func (p Precision) String() string {
	return [...]string{"fp32", "bf16"}[p]
}
