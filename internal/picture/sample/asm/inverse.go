package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// inverse writes the transform of a block: a row of 8 coefficients is a register, so that the
// pass over columns works on whole registers; the pass over rows does the same between two
// transpositions.
func (f *file) inverse() {
	f.function("inverseAVX2", "transforms one block.",
		"(out *uint8, stride int, coefficients *[64]int32)", "(out *uint8, stride int, coefficients *byte)")
	out, stride, in := reg.RDI, reg.RSI, reg.RDX
	f.Load(f.Param("out"), out)
	f.Load(f.Param("stride"), stride)
	f.Load(f.Param("coefficients"), in)
	rows := [8]reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7}
	for i, r := range rows {
		f.VMOVDQU(Mem{Base: in, Disp: 32 * i}, r)
	}
	f.pass(rows, f.words("inverseFirst", 1<<10), 11)
	f.transpose(rows)
	f.pass(rows, f.words("inverseSecond", 1<<17+128<<18), 18)
	f.transpose(rows)
	// Two rows a register, then the halves of the packed words put in order.
	row := reg.RCX
	f.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, row)
	place := []Mem{{Base: out}, {Base: out, Index: stride, Scale: 1}, {Base: out, Index: stride, Scale: 2}, {Base: out, Index: row, Scale: 1}}
	for half := range 2 {
		a, b, c, d := rows[4*half], rows[4*half+1], rows[4*half+2], rows[4*half+3]
		f.VPACKSSDW(b, a, a)
		f.VPACKSSDW(d, c, c)
		f.VPACKUSWB(c, a, a) // 4 bytes of rows a, b, c, d; then their other 4
		f.VEXTRACTI128(Imm(1), a, b.AsX())
		f.VPUNPCKLDQ(b.AsX(), a.AsX(), c.AsX())
		f.VPUNPCKHDQ(b.AsX(), a.AsX(), d.AsX())
		f.VMOVQ(c.AsX(), place[0])
		f.VPEXTRQ(Imm(1), c.AsX(), place[1])
		f.VMOVQ(d.AsX(), place[2])
		f.VPEXTRQ(Imm(1), d.AsX(), place[3])
		f.LEAQ(Mem{Base: out, Index: stride, Scale: 4}, out)
	}
	f.VZEROUPPER()
	f.RET()
}

// pass is the one-dimensional transform of 8 columns, in place, with bias added and divided by
// 1<<shift.
func (f *file) pass(r [8]reg.VecPhysical, bias Mem, shift uint8) {
	spare := []reg.VecPhysical{reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	times := func(name string, factor int32, x, to reg.VecPhysical) {
		f.VPBROADCASTD(f.words(name, uint32(factor)), spare[7])
		f.VPMULLD(spare[7], x, to)
	}
	// Even part: rows 0, 2, 4, 6 to e0…e3 in rows 0, 2, 4, 6.
	z1, t2, t3 := spare[0], spare[1], spare[2]
	f.VPADDD(r[2], r[6], z1)
	times("fix0541", 4433, z1, z1)
	times("fixMinus1847", -15137, r[6], t2)
	f.VPADDD(z1, t2, t2)
	times("fix0765", 6270, r[2], t3)
	f.VPADDD(z1, t3, t3)
	t0, t1 := spare[3], spare[4]
	f.VPADDD(r[0], r[4], t0)
	f.VPSUBD(r[4], r[0], t1)
	f.VPSLLD(Imm(13), t0, t0)
	f.VPSLLD(Imm(13), t1, t1)
	f.VPBROADCASTD(bias, spare[7])
	f.VPADDD(spare[7], t0, t0)
	f.VPADDD(spare[7], t1, t1)
	e0, e1, e2, e3 := r[0], r[2], r[4], r[6]
	f.VPADDD(t3, t0, e0)
	f.VPSUBD(t3, t0, e3)
	f.VPADDD(t2, t1, e1)
	f.VPSUBD(t2, t1, e2)
	// Odd part: rows 7, 5, 3, 1.
	a, b, c, d := r[7], r[5], r[3], r[1]
	z1, z2, z3, z4, z5 := spare[0], spare[1], spare[2], spare[3], spare[4]
	f.VPADDD(a, d, z1)
	f.VPADDD(b, c, z2)
	f.VPADDD(a, c, z3)
	f.VPADDD(b, d, z4)
	f.VPADDD(z3, z4, z5)
	times("fix1175", 9633, z5, z5)
	times("fixMinus0899", -7373, z1, z1)
	times("fixMinus2562", -20995, z2, z2)
	times("fixMinus1961", -16069, z3, z3)
	times("fixMinus0390", -3196, z4, z4)
	f.VPADDD(z5, z3, z3)
	f.VPADDD(z5, z4, z4)
	times("fix0298", 2446, a, a)
	times("fix2053", 16819, b, b)
	times("fix3072", 25172, c, c)
	times("fix1501", 12299, d, d)
	f.VPADDD(z1, a, a)
	f.VPADDD(z3, a, a)
	f.VPADDD(z2, b, b)
	f.VPADDD(z4, b, b)
	f.VPADDD(z2, c, c)
	f.VPADDD(z3, c, c)
	f.VPADDD(z1, d, d)
	f.VPADDD(z4, d, d)
	// Sums and differences: e0 ± d, e1 ± c, e2 ± b, e3 ± a.
	results := [8]reg.VecPhysical{spare[0], spare[1], spare[2], spare[3]}
	for i, pair := range [4][2]reg.VecPhysical{{e0, d}, {e1, c}, {e2, b}, {e3, a}} {
		f.VPADDD(pair[1], pair[0], results[i])
		f.VPSUBD(pair[1], pair[0], pair[0])
	}
	last := [4]reg.VecPhysical{e0, e1, e2, e3} // rows 7, 6, 5, 4
	// The registers of the rows are r[0] … r[7] again: first those that free others.
	f.VPSRAD(Imm(uint64(shift)), last[0], r[7])
	f.VPSRAD(Imm(uint64(shift)), last[2], r[5])
	f.VPSRAD(Imm(uint64(shift)), last[3], spare[4]) // row 4, whose register holds nothing any more
	f.VPSRAD(Imm(uint64(shift)), last[1], r[6])
	f.VMOVDQA(spare[4], r[4])
	for i := range 4 {
		f.VPSRAD(Imm(uint64(shift)), results[i], r[i])
	}
}

// transpose transposes 8 rows of 8 words.
func (f *file) transpose(r [8]reg.VecPhysical) {
	t := []reg.VecPhysical{reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	for i := range 4 {
		f.VPUNPCKLDQ(r[2*i+1], r[2*i], t[2*i])
		f.VPUNPCKHDQ(r[2*i+1], r[2*i], t[2*i+1])
	}
	for i := range 2 {
		f.VPUNPCKLQDQ(t[4*i+2], t[4*i], r[4*i])
		f.VPUNPCKHQDQ(t[4*i+2], t[4*i], r[4*i+1])
		f.VPUNPCKLQDQ(t[4*i+3], t[4*i+1], r[4*i+2])
		f.VPUNPCKHQDQ(t[4*i+3], t[4*i+1], r[4*i+3])
	}
	for i := range 4 {
		f.VPERM2I128(Imm(0x20), r[4+i], r[i], t[i])
		f.VPERM2I128(Imm(0x31), r[4+i], r[i], t[4+i])
	}
	for i := range 8 {
		f.VMOVDQA(t[i], r[i])
	}
}
