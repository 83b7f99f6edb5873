package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convert writes the conversions between float32, bfloat16 and unsigned bytes.
func convert(f *file) {
	t := &tile{file: f, machine: zmm}
	x, scale, shift := reg.Z0, reg.Z1, reg.Z2
	t.conversion("expandBFloat16AVX512", "widens n numbers.", "(dst *float32, src *BFloat16, n int)", "(dst *float32, src *uint16, n int)", 1, 2, func(from, to Mem, mask reg.Register) {
		t.VPMOVZXWD_Z(from, mask, x)
		t.VPSLLD(Imm(16), x, x)
		t.VMOVUPS(x, mask, to)
	})
	t.conversion("roundBFloat16AVX512", "rounds n numbers.", "(dst *BFloat16, src *float32, n int)", "(dst *uint16, src *float32, n int)", 2, 1, func(from, to Mem, mask reg.Register) {
		t.VMOVUPS_Z(from, mask, x)
		t.evex(0b10, 0x72, x, x, x)
		t.VMOVDQU16(x.AsY(), mask, to)
	})
	t.conversion("roundThreesBFloat16AVX512", "is roundBFloat16AVX512 of n/4 threes of numbers to fours, the last of which is zero.", "(dst *BFloat16, src *float32, n int)", "(dst *uint16, src *float32, n int)", 2, 1, func(from, to Mem, mask reg.Register) {
		t.threes(from, mask, x)
		t.evex(0b10, 0x72, x, x, x)
		t.VMOVDQU16(x.AsY(), mask, to)
	})
	t.conversion("pairBFloat16AVX512", "rounds n numbers each of two rows and lays them side by side, two and two.", "(dst, src, high *float32, n int)", "(dst, src, high *float32, n int)", 2, 2, func(from, to Mem, mask reg.Register) {
		y := reg.Z1
		t.VMOVUPS_Z(from, mask, x)
		t.evex(0b10, 0x72, x, x, x)
		t.VPMOVZXWD(x.AsY(), x)
		from.Base = reg.R8
		t.VMOVUPS_Z(from, mask, y)
		t.evex(0b10, 0x72, y, x, y)
		t.VPMOVZXWD(y.AsY(), y)
		t.VPSLLD(Imm(16), y, y)
		t.VPORD(x, y, x)
		t.VMOVUPS(x, mask, to)
	})
	t.conversion("dequantizeAVX512", "computes dst = src·scale + shift.", "(dst *float32, src *uint8, n int, scale, shift float32)", "(dst *float32, src *uint8, n int, scale, shift float32)", 0, 2, func(from, to Mem, mask reg.Register) {
		t.VPMOVZXBD_Z(from, mask, x)
		t.VCVTDQ2PS(x, x)
		t.VFMADD213PS(shift, scale, x)
		t.VMOVUPS(x, mask, to)
	})
	t.conversion("quantizeAVX512", "computes dst = round(src·scale + shift), within 0 … 255.", "(dst *uint8, src *float32, n int, scale, shift float32)", "(dst *uint8, src *float32, n int, scale, shift float32)", 2, 0, func(from, to Mem, mask reg.Register) {
		t.VMOVUPS_Z(from, mask, x)
		t.VFMADD213PS(shift, scale, x)
		t.VMAXPS(t.constant(0), x, x)
		t.VMINPS(t.constant(255), x, x)
		t.VCVTPS2DQ(x, x)
		t.VPMOVUSDB(x, mask, to)
	})
	t.conversion("quantizeThreesAVX512", "is quantizeAVX512 of n/4 threes of numbers to fours of bytes, the last of which is zero.", "(dst *uint8, src *float32, n int, scale, shift float32)", "(dst *uint8, src *float32, n int, scale, shift float32)", 2, 0, func(from, to Mem, mask reg.Register) {
		t.threes(from, mask, x)
		t.VFMADD213PS_Z(shift, scale, reg.K3, x)
		t.VMAXPS(t.constant(0), x, x)
		t.VMINPS(t.constant(255), x, x)
		t.VCVTPS2DQ(x, x)
		t.VPMOVUSDB(x, mask, to)
	})
	t.extremes()
}

// extremes writes the function that finds the range of numbers. Products with 0 tell what is not finite.
func (t *tile) extremes() {
	src, n, i := reg.RSI, reg.RCX, reg.RAX
	t.function("extremes"+t.set, fmt.Sprintf("returns the least and the greatest of 0 and n numbers, a positive multiple of %d, and 0, or NaN if one is not finite.", t.vector),
		"(src *float32, n int) (low, high, finite float32)", "(src *float32, n int) (low, high, finite float32)")
	t.Load(t.Param("src"), src)
	t.Load(t.Param("n"), n)
	found, zero, x := []reg.VecPhysical{t.registers[0], t.registers[1], t.registers[2]}, t.registers[3], t.registers[4]
	for _, r := range append(found, zero) {
		t.VXORPS(r.AsY(), r.AsY(), r.AsY())
	}
	t.XORQ(i, i)
	next := t.label("next")
	t.Label(next)
	t.VMOVUPS(Mem{Base: src, Index: i, Scale: 4}, x)
	t.VMINPS(x, found[0], found[0])
	t.VMAXPS(x, found[1], found[1])
	t.VFMADD231PS(x, zero, found[2])
	t.ADDQ(Imm(uint64(t.vector)), i)
	t.CMPQ(i, n)
	t.JL(LabelRef(next))
	r := &row{sweep: &sweep{file: t.file, machine: t.machine}}
	for k, combine := range []func(ops ...Op){t.VMINPS, t.VMAXPS, t.VADDPS} {
		r.horizontal(found[k], x, combine)
	}
	t.VZEROUPPER()
	for k, of := range found {
		t.Store(of.AsX(), t.ReturnIndex(k))
	}
	t.RET()
}

// threes loads three numbers to each four lanes; the last becomes zero. Of the source only three
// quarters are read, and its pointer stays behind.
func (t *tile) threes(from Mem, mask reg.Register, x reg.VecPhysical) {
	t.KANDW(reg.K2, mask, reg.K3)
	t.VEXPANDPS_Z(from, reg.K3, x)
	t.SUBQ(Imm(16), reg.RSI)
}

// conversion writes a loop over vectors; inLog and outLog are those of the bytes of the elements.
func (t *tile) conversion(name, doc, signature, seen string, inLog, outLog int, body func(from, to Mem, mask reg.Register)) {
	dst, src, n, i, mask := reg.RDI, reg.RSI, reg.RCX, reg.RAX, reg.RDX
	t.function(name, doc, signature, seen)
	t.Load(t.Param("dst"), dst)
	t.Load(t.Param("src"), src)
	t.Load(t.Param("n"), n)
	if strings.Contains(signature, "scale") {
		s, _ := t.Param("scale").Resolve()
		t.VBROADCASTSS(s.Addr, reg.Z1)
		s, _ = t.Param("shift").Resolve()
		t.VBROADCASTSS(s.Addr, reg.Z2)
	}
	if strings.Contains(signature, "high") {
		t.Load(t.Param("high"), reg.R8)
	}
	if strings.Contains(name, "Threes") {
		t.MOVQ(U32(0x7777), mask)
		t.KMOVW(mask.As32(), reg.K2)
	}
	t.XORQ(i, i)
	next, full, end := t.label("next"), t.label("full"), t.label("end")
	t.KXNORW(reg.K1, reg.K1, reg.K1)
	t.Label(next)
	t.CMPQ(n, Imm(16))
	t.JGE(LabelRef(full))
	t.TESTQ(n, n)
	t.JLE(LabelRef(end))
	t.MOVQ(I32(-1), mask)
	t.BZHIQ(n, mask, mask)
	t.KMOVW(mask.As32(), reg.K1)
	t.Label(full)
	body(Mem{Base: src, Index: i, Scale: 1 << inLog}, Mem{Base: dst, Index: i, Scale: 1 << outLog}, reg.K1)
	t.ADDQ(Imm(16), i)
	t.SUBQ(Imm(16), n)
	t.JMP(LabelRef(next))
	t.Label(end)
	t.VZEROUPPER()
	t.RET()
}

// convertAVX2 writes the conversions of AVX2, which has no masks for small numbers: n is a multiple of eight.
func convertAVX2(f *file) {
	t := &tile{file: f, machine: ymm}
	x := reg.Y0
	t.eights("expandFloat16AVX2", "widens n numbers, eight at a time.", "(dst *float32, src *float16, n int)", "(dst *float32, src *uint16, n int)", 1, 2, func(from, to Mem) {
		t.VCVTPH2PS(from, x)
		t.VMOVUPS(x, to)
	})
	t.eights("roundFloat16AVX2", "rounds n numbers to the nearest, ties to even, eight at a time.", "(dst *float16, src *float32, n int)", "(dst *uint16, src *float32, n int)", 2, 1, func(from, to Mem) {
		t.VMOVUPS(from, x)
		t.VCVTPS2PH(Imm(0), x, to)
	})
	scale, shift, low, high := reg.Y1, reg.Y2, reg.Y3, reg.Y4
	t.eights("dequantizeAVX2", "computes dst = src·scale + shift, eight at a time.", "(dst *float32, src *uint8, n int, scale, shift float32)", "(dst *float32, src *uint8, n int, scale, shift float32)", 0, 2, func(from, to Mem) {
		t.VPMOVZXBD(from, x)
		t.VCVTDQ2PS(x, x)
		t.VFMADD213PS(shift, scale, x)
		t.VMOVUPS(x, to)
	})
	t.eights("quantizeAVX2", "computes dst = round(src·scale + shift), within 0 … 255, eight at a time.", "(dst *uint8, src *float32, n int, scale, shift float32)", "(dst *uint8, src *float32, n int, scale, shift float32)", 2, 0, func(from, to Mem) {
		t.VMOVUPS(from, x)
		t.VFMADD213PS(shift, scale, x)
		t.VMAXPS(low, x, x)
		t.VMINPS(high, x, x)
		t.VCVTPS2DQ(x, x)
		t.VPACKSSDW(x, x, x)
		t.VPERMQ(Imm(0b00_00_10_00), x, x)
		t.VPACKUSWB(x.AsX(), x.AsX(), x.AsX())
		t.VMOVQ(x.AsX(), to)
	})
	t.extremes()
}

// eights writes a loop over vectors of eight; inLog and outLog are those of the bytes of the elements.
func (t *tile) eights(name, doc, signature, seen string, inLog, outLog int, body func(from, to Mem)) {
	dst, src, n, i := reg.RDI, reg.RSI, reg.RCX, reg.RAX
	t.function(name, doc, signature, seen)
	t.Load(t.Param("dst"), dst)
	t.Load(t.Param("src"), src)
	t.Load(t.Param("n"), n)
	if strings.Contains(signature, "scale") {
		s, _ := t.Param("scale").Resolve()
		t.VBROADCASTSS(s.Addr, reg.Y1)
		s, _ = t.Param("shift").Resolve()
		t.VBROADCASTSS(s.Addr, reg.Y2)
		t.VXORPS(reg.Y3, reg.Y3, reg.Y3)
		t.VMOVUPS(t.constant(255), reg.Y4)
	}
	t.XORQ(i, i)
	next, end := t.label("next"), t.label("end")
	t.Label(next)
	t.CMPQ(i, n)
	t.JGE(LabelRef(end))
	body(Mem{Base: src, Index: i, Scale: 1 << inLog}, Mem{Base: dst, Index: i, Scale: 1 << outLog})
	t.ADDQ(Imm(8), i)
	t.JMP(LabelRef(next))
	t.Label(end)
	t.VZEROUPPER()
	t.RET()
}
