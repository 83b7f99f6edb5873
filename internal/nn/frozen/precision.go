package frozen

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Precision is the arithmetic of a program. Inputs and outputs are float32 in each.
type Precision int

// The precisions.
const (
	Float32 Precision = iota
	// BFloat16 rounds the weights and inputs of convolutions to bfloat16 where that is faster, and those of dense layers of
	// tokens, and sums in float32. Where the instructions have no product of bfloat16 it rounds the weights of all convolutions
	// that are not depthwise, and of dense layers, to 16 bits, and values stay float32; see [kernel.PackOptions].
	BFloat16
	// Int8 quantizes the weights of convolutions to signed bytes, channel by channel, and their inputs
	// to unsigned ones with a range for the whole tensor, where that is faster, and sums in integers.
	// It needs [Ranges] if there are convolutions. Dense layers of tokens quantise each token by itself; see
	// [kernel.PackedDenseInt8].
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

// Numerics names what decides the last bits of what programs of the precision put out, such as "avx512 1";
// see [kernel.Numerics].
func (p Precision) Numerics() string {
	switch p {
	case BFloat16:
		return kernel.NumericsBFloat16()
	case Int8:
		return kernel.NumericsInt8()
	}
	return kernel.Numerics()
}

// Note tells what programs of the precision compute where the instructions in use have none for it, and
// what speed that gives; "" where they have.
func (p Precision) Note() string {
	instructions, _ := kernel.InstructionSet()
	switch {
	case p == BFloat16 && !kernel.HasBFloat16():
		memory := ""
		if kernel.HasHalfWeights() {
			memory = ", half their memory,"
		}
		return fmt.Sprintf("precision bf16: the instructions in use (%s) have no product of bfloat16: "+
			"weights are rounded to 16 bits%s and multiplied in float32, which is no faster than fp32", instructions, memory)
	case p == Int8 && !kernel.HasInt8():
		return fmt.Sprintf("precision int8: the instructions in use (%s) have no product of bytes: "+
			"bytes are widened and multiplied, with the same results but less gain in speed", instructions)
	}
	return ""
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
