package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.rowsTask.
const (
	rowsDst    = 0
	rowsBy     = 24
	rowsMatrix = 48
	rowsN      = 72
	rowsRows   = 80
	rowsLead   = 88
)

// doubleRows writes the functions that go over the rows of a matrix in float64. No product is added in one instruction: the result is then that of plain
// Go, bit for bit.
func doubleRows(f *file) {
	rowProducts(f)
	f.overRows("addWeightedRowsAVX2", "adds to n elements, a positive multiple of 4, the products of each row's elements with its number.", func(number, at, t Op) {
		f.VMULPD(at, number, t)
	})
	f.overRows("addSquaredDistancesAVX2", "adds to n elements, a positive multiple of 4, the squares of each row's elements less its number.", func(number, at, t Op) {
		f.VSUBPD(at, number, t)
		f.VMULPD(t, t, t)
	})
}

// overRows writes a function that adds what term leaves in its last operand, of each row's number and elements. 16 elements rest in registers for
// all rows, then 4.
func (f *file) overRows(name, doc string, term func(number, at, t Op)) {
	f.function(name, doc, "(t *rowsTask)", "(t *byte)")
	frame, dst, matrix, left, lead := reg.R11, reg.RDI, reg.RSI, reg.RCX, reg.R8
	by, at, count := reg.RDX, reg.R9, reg.RAX
	f.Load(f.Param("t"), frame)
	f.MOVQ(Mem{Base: frame, Disp: rowsDst}, dst)
	f.MOVQ(Mem{Base: frame, Disp: rowsMatrix}, matrix)
	f.MOVQ(Mem{Base: frame, Disp: rowsN}, left)
	f.MOVQ(Mem{Base: frame, Disp: rowsLead}, lead)
	f.SHLQ(Imm(3), lead)
	sums := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3}
	terms := []reg.VecPhysical{reg.Y4, reg.Y5, reg.Y6, reg.Y7}
	number := reg.Y8
	wide, narrow, end := f.label("wide"), f.label("narrow"), f.label("end")

	block := func(vectors int) {
		for i := range vectors {
			f.VMOVUPD(Mem{Base: dst, Disp: 32 * i}, sums[i])
		}
		f.MOVQ(Mem{Base: frame, Disp: rowsBy}, by)
		f.MOVQ(matrix, at)
		f.MOVQ(Mem{Base: frame, Disp: rowsRows}, count)
		next := f.label("next")
		f.Label(next)
		f.VBROADCASTSD(Mem{Base: by}, number)
		for i := range vectors {
			term(number, Mem{Base: at, Disp: 32 * i}, terms[i])
			f.VADDPD(terms[i], sums[i], sums[i])
		}
		f.ADDQ(Imm(8), by)
		f.ADDQ(lead, at)
		f.DECQ(count)
		f.JNZ(LabelRef(next))
		for i := range vectors {
			f.VMOVUPD(sums[i], Mem{Base: dst, Disp: 32 * i})
		}
		f.ADDQ(Imm(uint64(32*vectors)), dst)
		f.ADDQ(Imm(uint64(32*vectors)), matrix)
		f.SUBQ(Imm(uint64(4*vectors)), left)
	}
	f.Label(wide)
	f.CMPQ(left, Imm(16))
	f.JLT(LabelRef(narrow))
	block(4)
	f.JMP(LabelRef(wide))
	f.Label(narrow)
	f.CMPQ(left, Imm(4))
	f.JLT(LabelRef(end))
	block(1)
	f.JMP(LabelRef(narrow))
	f.Label(end)
	f.VZEROUPPER()
	f.RET()
}

// Offsets of the fields of kernel.rowProductsTask, and how many rows it takes.
const (
	productRows   = 8
	productsSums  = 0
	productsRows  = 256
	productsV     = 280
	productsN     = 304
	productsLead  = 312
	productsStep  = 32 // bytes of four elements
	productsShift = 3
)

// rowProducts writes the function that multiplies eight rows by a vector, in four sums each.
func rowProducts(f *file) {
	f.function("rowProductsAVX2", "sums the products of eight rows with a vector, every fourth element apart.", "(t *rowProductsTask)", "(t *byte)")
	frame, at, v, left, lead, three := reg.R11, reg.RDI, reg.RSI, reg.RCX, reg.R8, reg.R9
	upper := reg.RDX
	f.Load(f.Param("t"), frame)
	f.MOVQ(Mem{Base: frame, Disp: productsRows}, at)
	f.MOVQ(Mem{Base: frame, Disp: productsV}, v)
	f.MOVQ(Mem{Base: frame, Disp: productsN}, left)
	f.MOVQ(Mem{Base: frame, Disp: productsLead}, lead)
	f.SHLQ(Imm(productsShift), lead)
	f.LEAQ(Mem{Base: lead, Index: lead, Scale: 2}, three)
	f.LEAQ(Mem{Base: at, Index: lead, Scale: 4}, upper)
	sums := ymm.registers[:productRows]
	terms := ymm.registers[productRows+1 : productRows+5]
	vector := ymm.registers[productRows]
	for _, s := range sums {
		f.VXORPD(s, s, s)
	}
	f.Label("next")
	f.VMOVUPD(Mem{Base: v}, vector)
	for half, base := range []reg.GPPhysical{at, upper} {
		for i, row := range []Mem{{Base: base}, {Base: base, Index: lead, Scale: 1}, {Base: base, Index: lead, Scale: 2}, {Base: base, Index: three, Scale: 1}} {
			f.VMULPD(row, vector, terms[i])
			f.VADDPD(terms[i], sums[4*half+i], sums[4*half+i])
		}
	}
	f.ADDQ(Imm(productsStep), v)
	f.ADDQ(Imm(productsStep), at)
	f.ADDQ(Imm(productsStep), upper)
	f.SUBQ(Imm(4), left)
	f.JNZ(LabelRef("next"))
	for i, s := range sums {
		f.VMOVUPD(s, Mem{Base: frame, Disp: productsSums + 32*i})
	}
	f.VZEROUPPER()
	f.RET()
}
