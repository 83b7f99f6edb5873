package kernel

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// revision counts the changes of the bits of what this package computes: it is raised when an operation
// sums in another order, chooses another algorithm or approximates otherwise, on any instruction set.
const revision = 2

// Numerics names what decides the last bits of results in float32: the instructions in use and the
// revision of the operations, such as "avx512 1". Between equal names results are equal bit for bit, for
// any number of threads; between different ones they differ by rounding.
func Numerics() string { return named(active(), "") }

// NumericsBFloat16 is Numerics of operations on bfloat16: "avx512 bf16 1" where there are instructions for
// them, "avx2 half 1" where only weights have 16 bits.
func NumericsBFloat16() string {
	if !HasBFloat16() {
		return named(active(), " half")
	}
	return named(active(), " bf16"+unlessKnown(bfloat16Products(), knownProducts))
}

// NumericsInt8 is Numerics of operations on bytes: "avx512 vnni 1" where there are instructions for them.
func NumericsInt8() string {
	if !HasInt8() {
		return Numerics()
	}
	return named(active(), " vnni")
}

// recurrentRevision counts the changes of the bits of the gradients of recurrent layers, as revision does.
const recurrentRevision = 2

// NumericsRecurrent is what trainings of recurrent layers add to a name: " recurrent 2".
func NumericsRecurrent() string { return " recurrent " + strconv.Itoa(recurrentRevision) }

// ScalarNumerics names what decides the last bits of floating-point numbers that Go code computes one by
// one, without this package: the architecture, such as "amd64 fma". It is the same for each TLPIPE_KERNEL.
func ScalarNumerics() string {
	name := runtime.GOARCH + scalarInstructions()
	if fuses(1+1.0/(1<<30), 1-1.0/(1<<30), -1) != 0 {
		name += " fused"
	}
	return name
}

// named is the name of an instruction set with what an element type adds to it.
func named(set isa, element string) string {
	name := set.String()
	switch set {
	case avx512:
		name += unlessKnown(reciprocals(), knownReciprocals)
	}
	switch scalar := ScalarNumerics(); {
	case set == portable:
		name += " " + scalar
	case strings.HasSuffix(scalar, " fused"):
		name += " fused"
	}
	return name + element + " " + strconv.Itoa(revision)
}

// fuses is 0 for numbers whose product rounds to -z, unless the compiler rounds product and sum in one
// step: it may, and does for some processors.
//
//go:noinline
func fuses(x, y, z float64) float64 { return x*y + z }

// AVX-512 divides by way of an approximate reciprocal, and of products of bfloat16 only some of the sums'
// roundings are written down: here makers of processors have a choice. These are the digests of what some
// such operations give on processors of Intel; others that give the same have the same name.
const (
	knownReciprocals = "f6dc7454"
	knownProducts    = "e7aa81ed"
)

// unlessKnown is what an unknown digest adds to a name.
func unlessKnown(digest, known string) string {
	if digest == known {
		return ""
	}
	return " " + digest
}

// reciprocals is a digest of sigmoids, which are reciprocals of numbers above 1.
var reciprocals = sync.OnceValue(func() string {
	x := make([]float32, 1<<15)
	for i := range x {
		x[i] = float32(i) * (8.0 / (1 << 15))
	}
	Activate(nil, x, x, Sigmoid)
	return digestOf(x)
})

// bfloat16Products is a digest of sums of products of bfloat16.
var bfloat16Products = sync.OnceValue(func() string {
	const n = 64
	a, b, c := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	word := uint32(1)
	for _, x := range [][]float32{a, b} {
		for i := range x { // numbers of many magnitudes
			word = word*1664525 + 1013904223
			x[i] = math.Float32frombits(word&0x807fffff | (118+word>>8&15)<<23)
		}
	}
	GemmBFloat16(nil, false, false, n, n, n, 1, a, n, b, n, 0, c, n, &Workspace{})
	return digestOf(c)
})

// digestOf is short: it tells a few makers of processors apart.
func digestOf(x []float32) string {
	raw := make([]byte, 0, 4*len(x))
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:4])
}
