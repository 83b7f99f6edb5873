package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.adamTask.
const (
	adamWeights  = 0
	adamGradient = 24
	adamMean     = 48
	adamSquare   = 72
	adamN        = 96
	adamNumbers  = 104 // shrink, scale, decay, new mean, keep square, new square, step, epsilon
)

// adam writes the function that takes Adam's step. No product is added in one instruction: the result is then that of plain Go, bit for bit.
func adam(f *file) {
	f.function("adamAVX2", "takes the step for n elements, a positive multiple of 8.", "(t *adamTask)", "(t *byte)")
	frame, w, gradient, mean, square, left := reg.R11, reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.RAX
	f.Load(f.Param("t"), frame)
	f.MOVQ(Mem{Base: frame, Disp: adamWeights}, w)
	f.MOVQ(Mem{Base: frame, Disp: adamGradient}, gradient)
	f.MOVQ(Mem{Base: frame, Disp: adamMean}, mean)
	f.MOVQ(Mem{Base: frame, Disp: adamSquare}, square)
	f.MOVQ(Mem{Base: frame, Disp: adamN}, left)
	shrink, scale, decay, newMean := reg.Y8, reg.Y9, reg.Y10, reg.Y11
	keepSquare, newSquare, step, epsilon := reg.Y12, reg.Y13, reg.Y14, reg.Y15
	for i, number := range []reg.VecPhysical{shrink, scale, decay, newMean, keepSquare, newSquare, step, epsilon} {
		f.VBROADCASTSS(Mem{Base: frame, Disp: adamNumbers + 4*i}, number)
	}
	x, g, m, v, t := reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4

	f.Label("next")
	f.VMULPS(Mem{Base: w}, shrink, x)
	f.VMULPS(Mem{Base: gradient}, scale, g)
	f.VMULPS(decay, x, t)
	f.VADDPS(t, g, g)
	f.VMOVUPS(Mem{Base: mean}, m)
	f.VSUBPS(m, g, t)
	f.VMULPS(newMean, t, t)
	f.VADDPS(t, m, m)
	f.VMOVUPS(m, Mem{Base: mean})
	f.VMULPS(Mem{Base: square}, keepSquare, v)
	f.VMULPS(g, newSquare, t)
	f.VMULPS(g, t, t)
	f.VADDPS(t, v, v)
	f.VMOVUPS(v, Mem{Base: square})
	f.VSQRTPS(v, v)
	f.VADDPS(epsilon, v, v)
	f.VMULPS(step, m, m)
	f.VDIVPS(v, m, m)
	f.VSUBPS(m, x, x)
	f.VMOVUPS(x, Mem{Base: w})
	for _, pointer := range []reg.GPPhysical{w, gradient, mean, square} {
		f.ADDQ(Imm(32), pointer)
	}
	f.SUBQ(Imm(8), left)
	f.JNZ(LabelRef("next"))
	f.VZEROUPPER()
	f.RET()
}
