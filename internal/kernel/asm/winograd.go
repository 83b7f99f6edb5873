package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.winogradFrame.
const (
	winogradSrc       = 0
	winogradDst       = 8
	winogradBias      = 16
	winogradTemporary = 24
	winogradSrcLine   = 32
	winogradSrcPixel  = 40
	winogradDstLine   = 48
	winogradDstPixel  = 56
	winogradN         = 64
	winogradLow       = 72
	winogradHigh      = 76
)

func winogradAVX512(f *file) { winograd(f, zmm) }
func winogradAVX2(f *file)   { winograd(f, ymm) }

// winograd writes the transforms of F(2×2,3×3) and F(4×4,3×3), after Lavin and Gray, Fast Algorithms
// for Convolutional Neural Networks, 2015: a transform in one dimension, applied to the columns of a
// square and then to its rows, for a vector of channels at a time.
func winograd(f *file, m machine) {
	w := &square{file: f, machine: m}
	d, o := m.registers[:6], m.registers[6:12]
	p, q := m.registers[12], m.registers[13]
	sum := func(a, b, to reg.VecPhysical) { w.VADDPS(a, b, to) }
	difference := func(a, b, to reg.VecPhysical) { w.VSUBPS(b, a, to) }
	addTimes := func(factor float64, a, to reg.VecPhysical) { w.VFMADD231PS(w.constant(factor), a, to) }

	w.write("winogradInput2", "transforms 4×4 inputs for F(2×2,3×3)", 4, 4, d, o, false, func() {
		difference(d[0], d[2], o[0])
		sum(d[1], d[2], o[1])
		difference(d[2], d[1], o[2])
		difference(d[1], d[3], o[3])
	})
	w.write("winogradOutput2", "transforms 4×4 sums to 2×2 outputs for F(2×2,3×3)", 4, 2, d, o, true, func() {
		sum(d[1], d[2], p)
		sum(d[0], p, o[0])
		difference(d[1], d[2], p)
		difference(p, d[3], o[1])
	})
	w.write("winogradWeights2", "transforms 3×3 weights for F(2×2,3×3)", 3, 4, d, o, false, func() {
		w.VMOVAPS(d[0], o[0])
		sum(d[0], d[2], p)
		sum(p, d[1], o[1])
		difference(p, d[1], o[2])
		w.VMULPS(w.constant(0.5), o[1], o[1])
		w.VMULPS(w.constant(0.5), o[2], o[2])
		w.VMOVAPS(d[2], o[3])
	})
	w.write("winogradInput4", "transforms 6×6 inputs for F(4×4,3×3)", 6, 6, d, o, false, func() {
		w.VMOVAPS(d[4], o[0])
		addTimes(-5, d[2], o[0])
		addTimes(4, d[0], o[0])
		w.VMOVAPS(d[4], p)
		addTimes(-4, d[2], p)
		w.VMOVAPS(d[3], q)
		addTimes(-4, d[1], q)
		sum(p, q, o[1])
		difference(p, q, o[2])
		difference(d[4], d[2], p)
		difference(d[3], d[1], q)
		w.VADDPS(q, q, q)
		sum(p, q, o[3])
		difference(p, q, o[4])
		w.VMOVAPS(d[5], o[5])
		addTimes(-5, d[3], o[5])
		addTimes(4, d[1], o[5])
	})
	w.write("winogradOutput4", "transforms 6×6 sums to 4×4 outputs for F(4×4,3×3)", 6, 4, d, o, true, func() {
		sum(d[1], d[2], p)
		sum(d[3], d[4], q)
		sum(d[0], p, o[0])
		sum(o[0], q, o[0])
		w.VMOVAPS(p, o[2])
		addTimes(4, q, o[2])
		difference(d[1], d[2], p)
		difference(d[3], d[4], q)
		w.VMOVAPS(p, o[1])
		addTimes(2, q, o[1])
		sum(p, d[5], o[3])
		addTimes(8, q, o[3])
	})
	w.write("winogradWeights4", "transforms 3×3 weights for F(4×4,3×3)", 3, 6, d, o, false, func() {
		w.VMULPS(w.constant(0.25), d[0], o[0])
		sum(d[0], d[2], p)
		sum(p, d[1], o[1])
		difference(p, d[1], o[2])
		w.VMULPS(w.constant(-1.0/6), o[1], o[1])
		w.VMULPS(w.constant(-1.0/6), o[2], o[2])
		w.VMULPS(w.constant(1.0/24), d[0], p)
		addTimes(1.0/6, d[2], p)
		w.VMULPS(w.constant(1.0/12), d[1], q)
		sum(p, q, o[3])
		difference(p, q, o[4])
		w.VMOVAPS(d[2], o[5])
	})
}

// square is a transform of squares.
type square struct {
	*file
	machine
}

// write writes a transform of in×in to out×out: element (i, j) of the source lies i·srcLine +
// j·srcPixel bytes from its start, and so for the destination; dense squares have a line of in (out)
// pixels. The result of a finish is the output of a convolution: the bias is added and the bounds
// are applied.
func (w *square) write(name, doc string, in, out int, d, o []reg.VecPhysical, finish bool, transform func()) {
	src, dst, temporary, left, at := reg.RSI, reg.RDI, reg.RDX, reg.RCX, reg.RAX
	line, line3, line5, pixel := reg.R8, reg.R9, reg.R10, reg.R11
	outLine, outPixel, frame, p, bias := reg.R12, reg.R13, reg.R14, reg.RBX, reg.R15
	bytes := 4 * w.vector
	field := func(offset int) Mem { return Mem{Base: frame, Disp: offset} }

	w.function(name+w.set, doc+fmt.Sprintf(", %d channels at a time.", w.vector), "(f *winogradFrame)", "(f *byte)")
	w.Load(w.Param("f"), frame)
	w.MOVQ(field(winogradSrc), src)
	w.MOVQ(field(winogradDst), dst)
	w.MOVQ(field(winogradTemporary), temporary)
	w.MOVQ(field(winogradSrcLine), line)
	w.LEAQ(Mem{Base: line, Index: line, Scale: 2}, line3)
	w.LEAQ(Mem{Base: line, Index: line, Scale: 4}, line5)
	w.MOVQ(field(winogradSrcPixel), pixel)
	w.MOVQ(field(winogradDstLine), outLine)
	w.MOVQ(field(winogradDstPixel), outPixel)
	w.MOVQ(field(winogradN), left)
	low, high, shift := w.registers[13], w.registers[14], w.registers[15]
	if finish {
		w.MOVQ(field(winogradBias), bias)
	}
	next := w.label("next")
	w.Label(next)
	w.MOVQ(src, p)
	for x := range in {
		for y := range in {
			w.VMOVUPS([]Mem{
				{Base: p}, {Base: p, Index: line, Scale: 1}, {Base: p, Index: line, Scale: 2},
				{Base: p, Index: line3, Scale: 1}, {Base: p, Index: line, Scale: 4}, {Base: p, Index: line5, Scale: 1},
			}[y], d[y])
		}
		transform()
		for y := range out {
			w.VMOVAPS(o[y], Mem{Base: temporary, Disp: (y*in + x) * bytes})
		}
		w.ADDQ(pixel, p)
	}
	w.MOVQ(dst, p)
	for y := range out {
		for x := range in {
			w.VMOVAPS(Mem{Base: temporary, Disp: (y*in + x) * bytes}, d[x])
		}
		transform()
		if finish {
			w.VBROADCASTSS(field(winogradLow), low)
			w.VBROADCASTSS(field(winogradHigh), high)
			w.VMOVUPS(Mem{Base: bias}, shift)
		}
		w.MOVQ(p, at)
		for x := range out {
			if finish {
				w.VADDPS(shift, o[x], o[x])
				w.VMAXPS(o[x], low, o[x])
				w.VMINPS(o[x], high, o[x])
			}
			w.VMOVUPS(o[x], Mem{Base: at})
			w.ADDQ(outPixel, at)
		}
		w.ADDQ(outLine, p)
	}
	w.ADDQ(Imm(uint64(bytes)), src)
	w.ADDQ(Imm(uint64(bytes)), dst)
	if finish {
		w.ADDQ(Imm(uint64(bytes)), bias)
	}
	w.SUBQ(Imm(uint64(w.vector)), left)
	w.JG(LabelRef(next))
	w.VZEROUPPER()
	w.RET()
}
