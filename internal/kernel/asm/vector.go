package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.sweep.
const (
	sweepOperands = 0 // six slices
	sweepSteps    = 144
	sweepN        = 192
	sweepRows     = 200
	sweepLow      = 208
	sweepHigh     = 212
)

func vectorAVX512(f *file) { vectors(f, zmm) }
func vectorAVX2(f *file)   { vectors(f, ymm) }

// sweep is a function that computes rows of elements, each from the elements at its place in up to
// five operands.
type sweep struct {
	*file
	machine
	free []reg.VecPhysical           // registers no operand has
	held map[float64]reg.VecPhysical // numbers that stay in registers
}

var (
	sweepPointer = []reg.GPPhysical{reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.RBX, reg.R8}
	sweepAt      = reg.RAX
	sweepLeft    = reg.R9
	sweepRow     = reg.R10
	sweepFrame   = reg.R11
	sweepScratch = reg.R12
)

func vectors(f *file, m machine) {
	s := &sweep{file: f, machine: m}
	bound := func(x, low, high reg.VecPhysical) {
		s.VMAXPS(x, low, x)
		s.VMINPS(x, high, x)
	}
	s.write("add", "dst = bound(x + y)", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical) {
		s.VADDPS(in[0], in[1], dst)
		bound(dst, low, high)
	})
	s.write("copy", "dst = x", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VMOVAPS(in[0], dst)
	})
	s.write("mul", "dst = x·y", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VMULPS(in[0], in[1], dst)
	})
	s.write("mulAdd", "dst += x·y", 2, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VFMADD231PS(in[0], in[1], dst)
	})
	s.write("accumulate", "dst += x", 1, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VADDPS(in[0], dst, dst)
	})
	s.write("maximum", "dst = max(dst, x)", 1, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		t := s.free[0]
		s.VMAXPS(in[0], dst, t) // x where one is not a number
		s.keepNaN(dst, t)
	})
	s.write("maximumUint8", "dst = max(dst, x) of four bytes each", 1, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VPMAXUB(in[0], dst, dst)
	})
	s.write("maximumBFloat16", "dst = max(dst, x) of two bfloat16 each", 1, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.ordered(dst)
		s.ordered(in[0])
		s.VPMAXSW(in[0], dst, dst)
		s.ordered(dst)
	})
	s.write("scale", "dst = x·low", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, _ reg.VecPhysical) {
		s.VMULPS(in[0], low, dst)
	})
	s.write("scaleShift", "dst = bound(x·y + z)", 3, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical) {
		s.VMOVAPS(in[2], dst)
		s.VFMADD231PS(in[0], in[1], dst)
		bound(dst, low, high)
	})
	s.write("addSquare", "dst += (x - y)²", 2, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VSUBPS(in[1], in[0], in[0])
		s.VFMADD231PS(in[0], in[0], dst)
	})
	s.write("addCentred", "dst += x·(y - z)", 3, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VSUBPS(in[2], in[1], in[1])
		s.VFMADD231PS(in[0], in[1], dst)
	})
	s.write("combine", "dst = x·y + z·u + v", 5, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VMOVAPS(in[4], dst)
		s.VFMADD231PS(in[0], in[1], dst)
		s.VFMADD231PS(in[2], in[3], dst)
	})
	s.write("route", "dst += z and z = 0 where x = y", 3, true, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		const equal = 8 // or not a number
		if s.set == "AVX512" {
			s.VCMPPS(Imm(equal), in[0], in[1], reg.K2)
			s.VADDPS(in[2], dst, reg.K2, dst)
			s.VXORPS(in[2], in[2], reg.K2, in[2])
			return
		}
		t, u := s.free[0], s.free[1]
		s.VCMPPS(Imm(equal), in[0], in[1], t)
		s.VANDPS(t, in[2], u)
		s.VADDPS(u, dst, dst)
		s.VANDNPS(in[2], t, in[2])
	})
	s.write("bound", "dst = bound(x)", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical) {
		s.VMOVAPS(in[0], dst)
		bound(dst, low, high)
	})
	s.write("boundBackward", "dst = x where low < y < high", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical) {
		if s.set == "AVX512" {
			s.VCMPPS(Imm(14), low, in[1], reg.K2) // greater
			s.VCMPPS(Imm(1), high, in[1], reg.K2, reg.K2)
			s.VMOVAPS_Z(in[0], reg.K2, dst)
			return
		}
		t := s.free[0]
		s.VCMPPS(Imm(14), low, in[1], t)
		s.VCMPPS(Imm(1), high, in[1], dst)
		s.VANDPS(t, dst, dst)
		s.VANDPS(in[0], dst, dst)
	})
	s.write("hardSwish", "dst = x·bound(x+3, 0, 6)/6", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.VADDPS(s.constant(3), in[0], dst)
		s.VMAXPS(s.constant(0), dst, dst)
		s.VMINPS(s.constant(6), dst, dst)
		s.VMULPS(in[0], dst, dst)
		s.VMULPS(s.constant(1.0/6), dst, dst)
	})
	s.write("hardSwishBackward", "dst = x·hardSwish′(y)", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		// y/3 + 1/2 between -3 and 3, 0 below, 1 above: at -3 the line is at -1/2, at 3 at 3/2.
		t := s.free[0]
		s.VMOVUPS(s.constant(0.5), dst)
		s.VFMADD231PS(s.constant(1.0/3), in[1], dst)
		s.VMOVUPS(s.constant(1), t)
		s.choose(5, s.constant(3), in[1], t, dst) // not less
		s.VXORPS(t, t, t)
		s.choose(2, s.constant(-3), in[1], t, dst) // less or equal
		s.VMULPS(in[0], dst, dst)
	})
	s.write("sigmoid", "dst = σ(x)", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.sigmoid(in[0], dst)
	}, sigmoidNumbers...)
	s.write("silu", "dst = x·σ(x)", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.onePlusExpNegative(in[0], s.free[4])
		s.divide(in[0], s.free[4], dst)
	}, sigmoidNumbers...)
	s.write("sigmoidBackward", "dst = x·σ′(y)", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.sigmoid(in[1], dst)
		s.VMULPS(dst, dst, s.free[0])
		s.VSUBPS(s.free[0], dst, dst)
		s.VMULPS(in[0], dst, dst)
	})
	s.write("siluBackward", "dst = x·silu′(y) = x·s·(1 + y·(1-s)), s = σ(y)", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		t, u := s.free[0], s.free[1]
		s.sigmoid(in[1], dst)
		s.VMOVUPS(s.constant(1), t)
		s.VMOVAPS(t, u)
		s.VSUBPS(dst, t, t)
		s.VFMADD231PS(in[1], t, u)
		s.VMULPS(u, dst, dst)
		s.VMULPS(in[0], dst, dst)
	})
	s.write("tanh", "dst = tanh(x)", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.tanh(in[0], dst)
	})
	s.write("tanhBackward", "dst = x·tanh′(y)", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.tanh(in[1], dst)
		s.VMOVUPS(s.constant(1), s.free[0])
		s.VFNMADD231PS(dst, dst, s.free[0])
		s.VMULPS(in[0], s.free[0], dst)
	})
	s.write("gelu", "dst = x·Φ(x)", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		s.normal(in[0], dst, s.free[4])
		s.VMULPS(in[0], dst, dst)
	})
	s.write("geluBackward", "dst = x·gelu′(y) = x·(Φ(y) + y·φ(y))", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		density := s.free[4]
		s.normal(in[1], dst, density)
		s.VMULPS(s.constant(1/math.Sqrt(2*math.Pi)), density, density)
		s.VFMADD231PS(in[1], density, dst)
		s.VMULPS(in[0], dst, dst)
	})
	s.write("geluTanh", "dst = x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		x, z := in[0], s.free[3]
		s.VMAXPS(x, s.inRegister(geluLow, z), x)
		s.geluTanhInner(x, z, s.free[5], 1)
		s.onePlusExpNegative(z, s.free[4])
		s.divide(x, s.free[4], dst)
	})
	s.write("geluTanhBackward", "dst = x·geluTanh′(y) = x·(s + y·s·(1-s)·z′), s = σ(z), z = 2·√(2/π)·(y + 0.044715·y³)", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		y, z, t := in[1], s.free[3], s.free[5]
		s.clamp(y, -20, 20) // the slope is 0 or 1 long before
		s.geluTanhInner(y, z, t, 1)
		s.sigmoid(z, dst)
		s.geluTanhInner(y, z, t, 3) // y·z′
		s.VMULPS(dst, dst, t)
		s.VSUBPS(t, dst, t)
		s.VFMADD231PS(t, z, dst)
		s.VMULPS(in[0], dst, dst)
	})
	s.write("quickGELU", "dst = x·σ(1.702·x)", 1, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		x, z := in[0], s.free[3]
		s.VMAXPS(x, s.inRegister(geluLow, z), x)
		s.VMULPS(s.constant(quickGELU), x, z)
		s.onePlusExpNegative(z, s.free[4])
		s.divide(x, s.free[4], dst)
	})
	s.write("quickGELUBackward", "dst = x·quickGELU′(y) = x·s·(1 + z·(1-s)), s = σ(z), z = 1.702·y", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, _, _ reg.VecPhysical) {
		z, t, u := s.free[3], s.free[0], s.free[1]
		s.VMULPS(s.constant(quickGELU), in[1], z)
		s.sigmoid(z, dst)
		s.VMOVUPS(s.constant(1), t)
		s.VMOVAPS(t, u)
		s.VSUBPS(dst, t, t)
		s.VFMADD231PS(z, t, u)
		s.VMULPS(u, dst, dst)
		s.VMULPS(in[0], dst, dst)
	})
	s.write("exp2", "dst = 2^((x - y)·low)", 2, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, _ reg.VecPhysical) {
		t, n, power := s.free[0], s.free[1], s.free[2]
		s.VSUBPS(in[1], in[0], t)
		s.VMULPS(low, t, t)
		s.exp2(t, n, power, dst)
	}, append([]float64{exp2Low}, exp2Coefficients...)...)
	s.write("rescale", "dst = x·low + (z·high + y)", 3, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical) {
		s.VFMADD213PS(in[1], high, in[2])
		s.VMOVAPS(in[2], dst)
		s.VFMADD231PS(in[0], low, dst)
	})
	s.write("rescaleAdd", "dst = x·low + (z·high + y) + u", 4, false, func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical) {
		s.VFMADD213PS(in[1], high, in[2])
		s.VFMADD213PS(in[2], low, in[0])
		s.VADDPS(in[3], in[0], dst)
	})
	s.write("addNormalised", "dst += x·((y - low)·high)", 2, true, func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical) {
		s.VSUBPS(low, in[1], in[1])
		s.VMULPS(high, in[1], in[1])
		s.VFMADD231PS(in[0], in[1], dst)
	})
}

// exp2 computes out = 2ᵗ, not below 2^exp2Low, with n and power free; t is changed.
func (s *sweep) exp2(t, n, power, out reg.VecPhysical) {
	s.VMAXPS(t, s.inRegister(exp2Low, n), t)
	if s.set == "AVX512" {
		s.VRNDSCALEPS(Imm(0), t, n)
	} else {
		s.VROUNDPS(Imm(0), t, n)
	}
	s.VSUBPS(n, t, t)
	s.VMOVUPS(s.number(exp2Coefficients[0]), power)
	for _, c := range exp2Coefficients[1:] {
		s.VFMADD213PS(s.number(c), t, power)
	}
	if s.set == "AVX512" {
		s.VSCALEFPS(n, power, out)
	} else {
		s.VCVTPS2DQ(n, n)
		s.VPSLLD(Imm(23), n, n)
		s.VPADDD(n, power, out)
	}
}

// The numbers of the other forms of GELU: from geluLow down they are 0, and 2 to exp2Low is in a softmax.
const (
	geluLow   = -60
	quickGELU = 1.702
	exp2Low   = -125
)

// geluTanhInner computes out = 2·√(2/π)·(x + cubes·0.044715·x³), with t free.
func (s *sweep) geluTanhInner(x, out, t reg.VecPhysical, cubes float64) {
	double := 2 * math.Sqrt(2/math.Pi)
	s.VMULPS(x, x, t)
	s.VMOVUPS(s.constant(cubes*0.044715*double), out)
	s.VFMADD213PS(s.constant(double), t, out)
	s.VMULPS(x, out, out)
}

// ordered turns bfloat16 numbers into integers of the same order, and back: the bits below the sign
// of negative ones are inverted.
func (s *sweep) ordered(x reg.VecPhysical) {
	t := s.free[0]
	s.VPSRAW(Imm(15), x, t)
	s.VPSRLW(Imm(1), t, t)
	if s.set == "AVX512" {
		s.VPXORD(t, x, x)
	} else {
		s.VPXOR(t, x, x)
	}
}

// keepNaN sets dst to x except where dst is not a number.
func (s *sweep) keepNaN(dst, x reg.VecPhysical) {
	if s.set == "AVX512" {
		s.VCMPPS(Imm(7), dst, dst, reg.K2) // ordered
		s.VMOVAPS(x, reg.K2, dst)
		return
	}
	t := s.free[1]
	s.VCMPPS(Imm(7), dst, dst, t)
	s.VBLENDVPS(t, x, dst, dst)
}

// choose sets dst to x where the comparison of a with limit holds.
func (s *sweep) choose(comparison uint8, limit Mem, a, x, dst reg.VecPhysical) {
	if s.set == "AVX512" {
		s.VCMPPS(Imm(uint64(comparison)), limit, a, reg.K2)
		s.VMOVAPS(x, reg.K2, dst)
		return
	}
	t := s.free[1]
	s.VCMPPS(Imm(uint64(comparison)), limit, a, t)
	s.VBLENDVPS(t, x, dst, dst)
}

// The exponential: eˣ = 2ⁿ·eʳ with n = round(x/ln 2) and |r| ≤ ln 2/2, where eʳ = 1 + r + r²·p(r)
// with the Taylor polynomial p of degree 5, whose error is below 3·10⁻⁸ there.
//
// expParts leaves 2ⁿ in scale and eʳ-1 in rest. x is changed; it must not be below -87.
func (s *sweep) expParts(x, scale, rest, n reg.VecPhysical) {
	s.VMULPS(s.constant(math.Log2E), x, n)
	if s.set == "AVX512" {
		s.VRNDSCALEPS(Imm(0), n, n)
	} else {
		s.VROUNDPS(Imm(0), n, n)
	}
	// ln 2 in two parts, the first with few bits, so that n times it is exact.
	high := float64(float32(355.0 / 512))
	s.VFNMADD231PS(s.constant(high), n, x)
	s.VFNMADD231PS(s.constant(math.Ln2-high), n, x)
	s.VMOVUPS(s.constant(1.0/5040), rest)
	for _, c := range []float64{1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1} {
		s.VFMADD213PS(s.constant(c), x, rest)
	}
	s.VMULPS(x, rest, rest)
	s.VCVTPS2DQ(n, n)
	s.VPADDD(s.integer(127), n, n)
	s.VPSLLD(Imm(23), n, scale)
}

// The exponential of a sigmoid: 2ᵗ = 2ⁿ·2ᶠ with n = round(t) and |f| ≤ 1/2, where 2ᶠ is a polynomial with
// coefficients fitted to a relative error of 10⁻⁷ by exp2.py. A multiplication and subtraction in one leaves f
// with the error of log₂e alone.
var (
	exp2Coefficients = []float64{0.0013264723893074877, 0.009671512869550355, 0.055507337542472224, 0.2402224208036345, 0.6931469775914951, 1}
	sigmoidNumbers   = append([]float64{-math.Log2E, sigmoidLow, sigmoidHigh, 2}, exp2Coefficients...)
)

// σ is not quite 0 at sigmoidLow, and 1 in float32 long before sigmoidHigh.
const sigmoidLow, sigmoidHigh = -87, 30

// onePlusExpNegative computes out = 1 + e⁻ˣ with free registers 0 … 2; a NaN stays. It raises x to sigmoidLow.
func (s *sweep) onePlusExpNegative(x, out reg.VecPhysical) {
	t, n, power := s.free[0], s.free[1], s.free[2]
	s.VMAXPS(x, s.inRegister(sigmoidLow, t), x)
	s.VMINPS(x, s.inRegister(sigmoidHigh, t), t)
	s.VMULPS(s.number(-math.Log2E), t, n)
	if s.set == "AVX512" {
		s.VRNDSCALEPS(Imm(0), n, n)
	} else {
		s.VROUNDPS(Imm(0), n, n)
	}
	s.VFMSUB132PS(s.number(-math.Log2E), n, t)
	s.VMOVUPS(s.number(exp2Coefficients[0]), power)
	for _, c := range exp2Coefficients[1:] {
		s.VFMADD213PS(s.number(c), t, power)
	}
	if s.set == "AVX512" {
		s.VSCALEFPS(n, power, out)
	} else {
		s.VCVTPS2DQ(n, n)
		s.VPSLLD(Imm(23), n, n)
		s.VPADDD(n, power, out)
	}
	s.VADDPS(s.number(1), out, out)
}

// divide computes out = a/b with free register 0, for b between 10⁻³⁷ and 10³⁸. AVX-512 refines
// the approximate reciprocal by one step of Newton's, to about one unit in the last place, in fewer
// cycles than a division takes. out must be neither a nor b, which is changed.
func (s *sweep) divide(a, b, out reg.VecPhysical) {
	if s.set != "AVX512" {
		s.VDIVPS(b, a, out)
		return
	}
	r := s.free[0]
	s.VRCP14PS(b, r)
	s.VMULPS(a, r, out)
	s.VFNMADD213PS(s.number(2), r, b)
	s.VMULPS(b, out, out)
}

// clamp bounds x; a NaN stays.
func (s *sweep) clamp(x reg.VecPhysical, low, high float64) {
	t := s.free[1]
	s.VMOVUPS(s.constant(high), t)
	s.VMINPS(x, t, x)
	s.VMOVUPS(s.constant(low), t)
	s.VMAXPS(x, t, x)
}

// sigmoid computes out = σ(x) with free registers 0 … 4.
func (s *sweep) sigmoid(x, out reg.VecPhysical) {
	s.onePlusExpNegative(x, s.free[4])
	s.divide(s.inRegister(1, s.free[2]), s.free[4], out)
}

// tanh computes out = (e²ˣ-1)/(e²ˣ+1) with free registers 0 … 4; e²ˣ-1 is summed so that small x
// keep their precision.
func (s *sweep) tanh(x, out reg.VecPhysical) {
	y, scale, rest, n := s.free[0], s.free[1], s.free[2], s.free[3]
	s.VADDPS(x, x, y)
	s.clamp(y, -20, 20)
	s.expParts(y, scale, rest, n)
	s.VSUBPS(s.constant(1), scale, n)
	s.VFMADD231PS(scale, rest, n) // e²ˣ-1
	s.VADDPS(s.constant(2), n, rest)
	s.divide(n, rest, out)
}

// normal computes Φ(x) and e^(-x²/2) with free registers 0 … 3, 5 and density. With t = 1/(1+p|x|/√2),
// Φ(-|x|) = e^(-x²/2)·(c₁t + … + c₈t⁸), the form of Abramowitz and Stegun, Handbook of Mathematical
// Functions, 7.1.26, with coefficients fitted to a relative error of 8.4·10⁻⁸ by normal.py.
func (s *sweep) normal(x, out, density reg.VecPhysical) {
	y, scale, rest, n, t := s.free[0], s.free[1], s.free[2], s.free[3], s.free[5]
	s.VMULPS(x, x, y)
	s.VMULPS(s.constant(-0.5), y, y)
	s.clamp(y, -87, 87)
	s.expParts(y, scale, rest, n)
	s.VMOVAPS(scale, density)
	s.VFMADD231PS(scale, rest, density)
	s.VANDPS(s.integer(0x7fffffff), x, y)
	s.VMINPS(s.constant(20), y, y) // Φ is 0 long before
	s.VMOVUPS(s.constant(1), rest)
	s.VMOVAPS(rest, n)
	s.VFMADD231PS(s.constant(0.43/math.Sqrt2), y, n)
	s.divide(rest, n, t)
	s.VMOVUPS(s.constant(1), scale)
	s.VMOVUPS(s.constant(0.03685405815330497), rest)
	for _, c := range []float64{
		-0.1551871090606594, 0.19185360574512864, -0.04286359946558255, 0.1234226155505546,
		0.10247542710036767, 0.12218774114375741, 0.12125730276630631,
	} {
		s.VFMADD213PS(s.constant(c), t, rest)
	}
	s.VMULPS(t, rest, rest)
	s.VMULPS(density, rest, rest) // Φ(-|x|)
	s.VSUBPS(rest, scale, out)
	s.VXORPS(n, n, n)
	if s.set == "AVX512" {
		s.VCMPPS(Imm(1), n, x, reg.K2)
		s.VMOVAPS(rest, reg.K2, out)
		return
	}
	s.VCMPPS(Imm(1), n, x, n)
	s.VBLENDVPS(n, rest, out, out)
}

// number returns a vector of one number, in a register if the sweep holds it there.
func (s *sweep) number(v float64) Op {
	if r, ok := s.held[v]; ok {
		return r
	}
	return s.constant(v)
}

// inRegister returns a register with a vector of one number: the one that holds it, or spare.
func (s *sweep) inRegister(v float64, spare reg.VecPhysical) reg.VecPhysical {
	if r, ok := s.held[v]; ok {
		return r
	}
	s.VMOVUPS(s.constant(v), spare)
	return spare
}

// constant returns a vector of one number.
func (f *file) constant(v float64) Mem { return f.integer(math.Float32bits(float32(v))) }

// integer returns a vector of one pattern of bits.
func (f *file) integer(bits uint32) Mem {
	if m, ok := f.constants[bits]; ok {
		return m
	}
	m := f.StaticGlobal(fmt.Sprintf("%s_%08x", f.name, bits))
	f.DataAttributes(8 | 16) // RODATA | NOPTR
	for i := range 16 {
		f.AddDatum(4*i, U32(bits))
	}
	f.constants[bits] = m
	return m
}

// write writes a sweep with the given number of operands besides dst. Where there are 32 registers, the last
// ones hold the given numbers.
func (s *sweep) write(name, doc string, operands int, readsDst bool, body func(dst reg.VecPhysical, in []reg.VecPhysical, low, high reg.VecPhysical), numbers ...float64) {
	dst, low, high, mask := s.registers[5], s.registers[6], s.registers[7], s.registers[8]
	in := s.registers[:operands]
	s.free = s.registers[9:]
	s.held = map[float64]reg.VecPhysical{}
	if len(s.registers) == 32 {
		for i, v := range numbers {
			s.held[v] = s.registers[31-i]
		}
	}

	s.function(name+s.set, "computes "+doc+".", "(s *sweep)", "(s *byte)")
	s.Load(s.Param("s"), sweepFrame)
	for i := range operands + 1 {
		s.MOVQ(Mem{Base: sweepFrame, Disp: sweepOperands + 24*i}, sweepPointer[i])
	}
	s.VBROADCASTSS(Mem{Base: sweepFrame, Disp: sweepLow}, low)
	s.VBROADCASTSS(Mem{Base: sweepFrame, Disp: sweepHigh}, high)
	for _, v := range numbers {
		if r, ok := s.held[v]; ok {
			s.VMOVUPS(s.constant(v), r)
		}
	}
	s.MOVQ(Mem{Base: sweepFrame, Disp: sweepRows}, sweepRow)
	row, full, tail, endRow := s.label("row"), s.label("full"), s.label("tail"), s.label("endRow")
	at := func(i int) Mem { return Mem{Base: sweepPointer[i], Index: sweepAt, Scale: 4} }

	s.Label(row)
	s.XORQ(sweepAt, sweepAt)
	s.MOVQ(Mem{Base: sweepFrame, Disp: sweepN}, sweepLeft)
	s.SUBQ(Imm(uint64(s.vector)), sweepLeft)
	s.JL(LabelRef(tail))
	s.Label(full)
	for i := range operands {
		s.VMOVUPS(at(i+1), in[i])
	}
	if readsDst {
		s.VMOVUPS(at(0), dst)
	}
	body(dst, in, low, high)
	s.VMOVUPS(dst, at(0))
	if name == "route" {
		s.VMOVUPS(in[2], at(3))
	}
	s.ADDQ(Imm(uint64(s.vector)), sweepAt)
	s.SUBQ(Imm(uint64(s.vector)), sweepLeft)
	s.JGE(LabelRef(full))

	s.Label(tail)
	s.ADDQ(Imm(uint64(s.vector)), sweepLeft)
	s.JZ(LabelRef(endRow))
	if s.set == "AVX512" {
		s.MOVQ(I32(-1), sweepScratch)
		s.BZHIQ(sweepLeft, sweepScratch, sweepScratch)
		s.KMOVW(sweepScratch.As32(), reg.K1)
		for i := range operands {
			s.VMOVUPS_Z(at(i+1), reg.K1, in[i])
		}
		if readsDst {
			s.VMOVUPS_Z(at(0), reg.K1, dst)
		}
		body(dst, in, low, high)
		s.VMOVUPS(dst, reg.K1, at(0))
		if name == "route" {
			s.VMOVUPS(in[2], reg.K1, at(3))
		}
	} else {
		s.LEAQ(s.maskTable(), sweepScratch)
		s.NEGQ(sweepLeft)
		s.VMOVUPS(Mem{Base: sweepScratch, Index: sweepLeft, Scale: 4, Disp: 64}, mask)
		for i := range operands {
			s.VMASKMOVPS(at(i+1), mask, in[i])
		}
		if readsDst {
			s.VMASKMOVPS(at(0), mask, dst)
		}
		body(dst, in, low, high)
		s.VMASKMOVPS(dst, mask, at(0))
		if name == "route" {
			s.VMASKMOVPS(in[2], mask, at(3))
		}
	}
	s.Label(endRow)
	for i := range operands + 1 {
		s.MOVQ(Mem{Base: sweepFrame, Disp: sweepSteps + 8*i}, sweepScratch)
		s.LEAQ(Mem{Base: sweepPointer[i], Index: sweepScratch, Scale: 4}, sweepPointer[i])
	}
	s.DECQ(sweepRow)
	s.JNZ(LabelRef(row))
	s.VZEROUPPER()
	s.RET()
}
