package kernel

import "golang.org/x/sys/cpu"

// scalarInstructions names what package math computes with where that depends on the processor: with
// fused multiplication and addition its exponentials round otherwise.
func scalarInstructions() string {
	if cpu.X86.HasAVX && cpu.X86.HasFMA {
		return " fma"
	}
	return ""
}
