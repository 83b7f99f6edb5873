package frozen

import "fmt"

// Precision is the arithmetic of a program. Inputs and outputs are float32 in each.
type Precision int

// The precisions.
const (
	Float32 Precision = iota
)

// ParsePrecision reads the name of a precision: fp32.
func ParsePrecision(name string) (Precision, error) {
	for p := Float32; p <= Float32; p++ {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("there is no precision %q", name)
}

func (p Precision) String() string {
	return [...]string{"fp32"}[p]
}
