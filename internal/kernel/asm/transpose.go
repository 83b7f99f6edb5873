package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose writes the function that transposes a matrix in blocks of 8×8.
func transpose(f *file) {
	f.function("transpose8x8AVX2", "writes the transpose of a matrix of 8·rows by 8·columns elements, rows and columns at least 1.",
		"(dst, src *float32, dstRow, srcRow, rows, columns int)", "(dst, src *float32, dstRow, srcRow, rows, columns int)")
	dst, src, dstRow, srcRow, rows, columns := reg.RDI, reg.RSI, reg.RAX, reg.RBX, reg.RCX, reg.RDX
	in, out, left, row3, in4, out3, out4 := reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14
	f.Load(f.Param("dst"), dst)
	f.Load(f.Param("src"), src)
	f.Load(f.Param("dstRow"), dstRow)
	f.Load(f.Param("srcRow"), srcRow)
	f.Load(f.Param("rows"), rows)
	f.Load(f.Param("columns"), columns)
	f.SHLQ(Imm(2), dstRow)
	f.SHLQ(Imm(2), srcRow)
	f.LEAQ(Mem{Base: srcRow, Index: srcRow, Scale: 2}, row3)
	f.LEAQ(Mem{Base: dstRow, Index: dstRow, Scale: 2}, out3)
	a := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7}
	b := []reg.VecPhysical{reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	lines := func(base, step, step3 reg.Register) []Mem {
		return []Mem{{Base: base}, {Base: base, Index: step, Scale: 1}, {Base: base, Index: step, Scale: 2}, {Base: base, Index: step3, Scale: 1}}
	}

	f.Label("band")
	f.MOVQ(src, in)
	f.MOVQ(dst, out)
	f.MOVQ(columns, left)
	f.Label("block")
	f.LEAQ(Mem{Base: in, Index: srcRow, Scale: 4}, in4)
	for i, m := range append(lines(in, srcRow, row3), lines(in4, srcRow, row3)...) {
		f.VMOVUPS(m, a[i])
	}
	for i := 0; i < 8; i += 2 { // pairs of rows, element by element
		f.VUNPCKLPS(a[i+1], a[i], b[i])
		f.VUNPCKHPS(a[i+1], a[i], b[i+1])
	}
	for i := 0; i < 8; i += 4 { // fours
		f.VUNPCKLPD(b[i+2], b[i], a[i])
		f.VUNPCKHPD(b[i+2], b[i], a[i+1])
		f.VUNPCKLPD(b[i+3], b[i+1], a[i+2])
		f.VUNPCKHPD(b[i+3], b[i+1], a[i+3])
	}
	for i := range 4 { // eights
		f.VPERM2F128(Imm(0x20), a[i+4], a[i], b[i])
		f.VPERM2F128(Imm(0x31), a[i+4], a[i], b[i+4])
	}
	f.LEAQ(Mem{Base: out, Index: dstRow, Scale: 4}, out4)
	for i, m := range append(lines(out, dstRow, out3), lines(out4, dstRow, out3)...) {
		f.VMOVUPS(b[i], m)
	}
	f.ADDQ(Imm(32), in)
	f.LEAQ(Mem{Base: out4, Index: dstRow, Scale: 4}, out)
	f.DECQ(left)
	f.JNZ(LabelRef("block"))
	f.LEAQ(Mem{Base: src, Index: srcRow, Scale: 8}, src)
	f.ADDQ(Imm(32), dst)
	f.DECQ(rows)
	f.JNZ(LabelRef("band"))
	f.VZEROUPPER()
	f.RET()
}
