package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.normRow, which begins with four slices.
const (
	normN       = 96
	normCount   = 104
	normEpsilon = 108
	normMean    = 112
	normScale   = 116
)

func rowsAVX512(f *file) { rows(f, zmm) }
func rowsAVX2(f *file)   { rows(f, ymm) }

func rows(f *file, m machine) {
	norms(f, m)
	softmaxes(f, m)
}

// Offsets of the fields of kernel.softmaxRow, which begins with a slice.
const (
	softmaxN      = 24
	softmaxFactor = 32
	softmaxTop    = 36
	softmaxTotal  = 40
)

// row writes functions on one row.
type row struct {
	*sweep
	n    int             // offset of the length in the frame
	mask reg.VecPhysical // of AVX2: of the last vector
	tail bool            // the last vector is being written
}

// norms writes layer-norm and its gradient.
func norms(f *file, m machine) {
	s := &row{sweep: &sweep{file: f, machine: m}, n: normN, mask: m.registers[15]}
	x, t, sum, other := m.registers[0], m.registers[1], m.registers[2], m.registers[3]
	mean, scale, first, second := m.registers[4], m.registers[5], m.registers[6], m.registers[7]
	count := m.registers[8]

	s.begin("layerNorm", "normRow", "normalises a row, and keeps its mean and scale.", 4)
	s.VXORPS(sum.AsY(), sum.AsY(), sum.AsY())
	s.each(func() { s.VADDPS(s.load(1, x), sum, sum) })
	s.broadcast(normCount, count)
	s.mean(sum, t, count)
	s.VMOVSS(sum.AsX(), Mem{Base: sweepFrame, Disp: normMean})
	s.VBROADCASTSS(sum.AsX(), mean)
	s.VXORPS(sum.AsY(), sum.AsY(), sum.AsY())
	s.each(func() {
		s.VSUBPS(mean, s.load(1, x), t)
		s.clearTail(t)
		s.VFMADD231PS(t, t, sum)
	})
	s.mean(sum, t, count)
	s.VADDSS(Mem{Base: sweepFrame, Disp: normEpsilon}, sum.AsX(), sum.AsX())
	s.VSQRTSS(sum.AsX(), sum.AsX(), sum.AsX())
	s.VMOVSS(s.constant(1), x.AsX())
	s.VDIVSS(sum.AsX(), x.AsX(), sum.AsX())
	s.VMOVSS(sum.AsX(), Mem{Base: sweepFrame, Disp: normScale})
	s.VBROADCASTSS(sum.AsX(), scale)
	s.each(func() {
		s.VSUBPS(mean, s.load(1, x), x)
		s.VMULPS(scale, x, x)
		s.VMOVAPS(s.load(3, t), other)
		s.VFMADD231PS(x, s.load(2, t), other)
		s.store(other)
	})
	s.VZEROUPPER()
	s.RET()

	s.begin("layerNormBackward", "normRow", "computes the gradient of a row from that of what became of it, the row, gamma, and the row's mean and scale.", 4)
	s.broadcast(normMean, mean)
	s.broadcast(normScale, scale)
	s.VXORPS(first.AsY(), first.AsY(), first.AsY())
	s.VXORPS(second.AsY(), second.AsY(), second.AsY())
	parts := func() { // the gradient of what is normalised in sum, and that in t
		s.VSUBPS(mean, s.load(2, t), t)
		s.VMULPS(scale, t, t)
		s.VMULPS(s.load(1, x), s.load(3, sum), sum)
	}
	s.each(func() {
		parts()
		s.VADDPS(sum, first, first)
		s.VFMADD231PS(sum, t, second)
	})
	s.broadcast(normCount, count)
	for _, of := range []reg.VecPhysical{first, second} {
		s.mean(of, t, count)
		s.VBROADCASTSS(of.AsX(), of)
	}
	s.each(func() {
		parts()
		s.VSUBPS(first, sum, sum)
		s.VFNMADD231PS(second, t, sum)
		s.VMULPS(scale, sum, sum)
		s.store(sum)
	})
	s.VZEROUPPER()
	s.RET()
}

// begin loads the pointers, and for the last vector its mask.
func (s *row) begin(name, frame, doc string, operands int) {
	s.function(name+s.set, doc, "(r *"+frame+")", "(r *byte)")
	s.Load(s.Param("r"), sweepFrame)
	for i := range operands {
		s.MOVQ(Mem{Base: sweepFrame, Disp: 24 * i}, sweepPointer[i])
	}
	s.MOVQ(Mem{Base: sweepFrame, Disp: s.n}, sweepLeft)
	s.ANDQ(Imm(uint64(s.vector-1)), sweepLeft)
	if s.set == "AVX512" {
		s.MOVQ(I32(-1), sweepScratch)
		s.BZHIQ(sweepLeft, sweepScratch, sweepScratch)
		s.KMOVW(sweepScratch.As32(), reg.K1)
		return
	}
	s.LEAQ(s.maskTable(), sweepScratch)
	s.NEGQ(sweepLeft)
	s.VMOVUPS(Mem{Base: sweepScratch, Index: sweepLeft, Scale: 4, Disp: 64}, s.mask)
}

// each writes a loop over the vectors of the row, and the last one that is not whole.
func (s *row) each(body func()) {
	next, tail, end := s.label("next"), s.label("tail"), s.label("end")
	s.XORQ(sweepAt, sweepAt)
	s.MOVQ(Mem{Base: sweepFrame, Disp: s.n}, sweepLeft)
	s.Label(next)
	s.SUBQ(Imm(uint64(s.vector)), sweepLeft)
	s.JL(LabelRef(tail))
	s.tail = false
	body()
	s.ADDQ(Imm(uint64(s.vector)), sweepAt)
	s.JMP(LabelRef(next))
	s.Label(tail)
	s.ADDQ(Imm(uint64(s.vector)), sweepLeft)
	s.JZ(LabelRef(end))
	s.tail = true
	body()
	s.Label(end)
}

// load loads a vector of an operand into a register, with zeros for what is missing.
func (s *row) load(operand int, x reg.VecPhysical) reg.VecPhysical {
	from := Mem{Base: sweepPointer[operand], Index: sweepAt, Scale: 4}
	switch {
	case !s.tail:
		s.VMOVUPS(from, x)
	case s.set == "AVX512":
		s.VMOVUPS_Z(from, reg.K1, x)
	default:
		s.VMASKMOVPS(from, s.mask, x)
	}
	return x
}

// clearTail sets what is missing to zero.
func (s *row) clearTail(x reg.VecPhysical) {
	switch {
	case !s.tail:
	case s.set == "AVX512":
		s.VMOVAPS_Z(x, reg.K1, x)
	default:
		s.VANDPS(s.mask, x, x)
	}
}

// store stores a vector of dst.
func (s *row) store(x reg.VecPhysical) {
	to := Mem{Base: sweepPointer[0], Index: sweepAt, Scale: 4}
	switch {
	case !s.tail:
		s.VMOVUPS(x, to)
	case s.set == "AVX512":
		s.VMOVUPS(x, reg.K1, to)
	default:
		s.VMASKMOVPS(x, s.mask, to)
	}
}

func (s *row) broadcast(field int, x reg.VecPhysical) {
	s.VBROADCASTSS(Mem{Base: sweepFrame, Disp: field}, x)
}

// horizontal combines the elements of a vector; the first element is the result.
func (s *row) horizontal(x, t reg.VecPhysical, combine func(ops ...Op)) {
	if s.vector == 16 {
		s.VEXTRACTF64X4(Imm(1), x, t.AsY())
		combine(t.AsY(), x.AsY(), x.AsY())
	}
	s.VEXTRACTF128(Imm(1), x.AsY(), t.AsX())
	combine(t.AsX(), x.AsX(), x.AsX())
	s.VPERMILPS(Imm(0b01_00_11_10), x.AsX(), t.AsX())
	combine(t.AsX(), x.AsX(), x.AsX())
	s.VPERMILPS(Imm(0b10_11_00_01), x.AsX(), t.AsX())
	combine(t.AsX(), x.AsX(), x.AsX())
}

// mean adds the elements of a vector up and divides by count; the first element is the result.
func (s *row) mean(sum, t, count reg.VecPhysical) {
	s.horizontal(sum, t, s.VADDPS)
	s.VDIVSS(count.AsX(), sum.AsX(), sum.AsX())
}

// softmaxes writes the softmax of a row.
func softmaxes(f *file, m machine) {
	r := m.registers
	s := &row{sweep: &sweep{file: f, machine: m, held: map[float64]reg.VecPhysical{}}, n: softmaxN, mask: r[15]}
	x, t, n, power, top, total, factor, least := r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]
	s.begin("softmaxRow", "softmaxRow", "computes 2^((x - top)·factor), top being the greatest, divided by the sum of all, in place.", 1)
	if len(r) == 32 {
		for i, v := range append([]float64{exp2Low}, exp2Coefficients...) {
			s.VMOVUPS(s.constant(v), r[31-i])
			s.held[v] = r[31-i]
		}
	}
	s.VMOVUPS(s.constant(math.Inf(-1)), least)
	s.VMOVAPS(least, top)
	s.each(func() {
		s.load(0, x)
		s.lowerTail(x, least)
		s.VMAXPS(x, top, top)
	})
	s.horizontal(top, t, s.VMAXPS)
	s.VMOVSS(top.AsX(), Mem{Base: sweepFrame, Disp: softmaxTop})
	s.VBROADCASTSS(top.AsX(), top)
	s.broadcast(softmaxFactor, factor)
	s.VXORPS(total.AsY(), total.AsY(), total.AsY())
	s.each(func() {
		s.VSUBPS(top, s.load(0, x), t)
		s.VMULPS(factor, t, t)
		s.exp2(t, n, power, x)
		s.clearTail(x)
		s.VADDPS(x, total, total)
		s.store(x)
	})
	s.horizontal(total, t, s.VADDPS)
	s.VMOVSS(total.AsX(), Mem{Base: sweepFrame, Disp: softmaxTotal})
	s.VMOVSS(s.constant(1), x.AsX())
	s.VDIVSS(total.AsX(), x.AsX(), total.AsX())
	s.VBROADCASTSS(total.AsX(), total)
	s.each(func() {
		s.VMULPS(total, s.load(0, x), x)
		s.store(x)
	})
	s.VZEROUPPER()
	s.RET()
}

// lowerTail sets what is missing to what a register has.
func (s *row) lowerTail(x, to reg.VecPhysical) {
	switch {
	case !s.tail:
	case s.set == "AVX512":
		s.KNOTW(reg.K1, reg.K2)
		s.VMOVAPS(to, reg.K2, x)
	default:
		s.VBLENDVPS(s.mask, x, to, x)
	}
}
