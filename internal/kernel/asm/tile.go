package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.tile.
const (
	tileA      = 0
	tileB      = 24
	tileC      = 48
	tileR      = 72
	tileBias   = 96
	tileTaps   = 120
	tileRun    = 144
	tileA0     = 152
	tileA1     = 160
	tileARow   = 168
	tileB0     = 176
	tileBPanel = 184
	tileC0     = 192
	tileC1     = 200
	tileCRow   = 208
	tileR0     = 216
	tileR1     = 224
	tileRRow   = 232
	tileBias0  = 240
	tileN      = 248
	tileLow    = 256
	tileHigh   = 260
	tileScale  = 264
	tileShift  = 288
	tileRScale = 312
	tileStored = 317
)

// The registers of a tile kernel.
var (
	group0  = reg.RAX // first row of group 0
	group1  = reg.RBX
	stride  = reg.RCX // distance of rows, in bytes
	stride3 = reg.RDX
	stride5 = reg.RSI
	right   = reg.RDI // b
	count   = reg.R8
	tap     = reg.R9
	taps    = reg.R10
	columns = reg.R11 // that remain
	frame   = reg.R12
	panel   = reg.R13 // start of the panel in b
	shift   = reg.R14 // of the panel's first column, in bytes
	scratch = reg.R15
)

// machine is what differs between instruction sets.
type machine struct {
	set       string
	vector    int // floats
	registers []reg.VecPhysical
}

var (
	zmm = machine{"AVX512", 16, []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}}
	ymm = machine{"AVX2", 8, []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}}
)

func tilesAVX512(f *file)     { tiles(f, float) }
func tilesAVX512BF16(f *file) { tiles(f, bfloat16) }
func tilesAVX512VNNI(f *file) { tiles(f, uint8s) }

func tiles(f *file, kind element) {
	for vectors := 1; vectors <= 2; vectors++ {
		for rows := 1; rows <= 14; rows++ {
			first := rows
			if rows > 7 {
				first = (rows + 1) / 2
			}
			newTile(f, zmm, kind, rows, first, vectors).write()
		}
	}
}

func tilesAVX2(f *file)     { tiles6(f, float) }
func tilesAVX2Half(f *file) { tiles6(f, half) }
func tilesAVX2U8(f *file)   { tiles6(f, uint8s) }

func tiles6(f *file, kind element) {
	for vectors := 1; vectors <= 2; vectors++ {
		for rows := 1; rows <= 6; rows++ {
			newTile(f, ymm, kind, rows, rows, vectors).write()
		}
	}
}

// element is what a tile multiplies. Four bytes of a and of b always meet: one float32, two
// bfloat16, or four unsigned and four signed bytes. Only of half has a float32, and b words of two bfloat16 for two
// neighbouring elements of a.
type element struct {
	name string
	log  int // of the bytes of an element of c and r
}

var (
	float    = element{"", 2}
	bfloat16 = element{"BF16", 1}
	half     = element{"Half", 2}
	uint8s   = element{"U8", 0}
)

// tile is a micro-kernel of some rows by some vectors.
type tile struct {
	*file
	machine
	kind                 element
	rows, first, vectors int
}

func newTile(f *file, m machine, kind element, rows, first, vectors int) *tile {
	return &tile{f, m, kind, rows, first, vectors}
}

func (t *tile) accumulator(row, vector int) reg.VecPhysical {
	return t.registers[row*t.vectors+vector]
}

// spare returns one of the four registers that hold no sum.
func (t *tile) spare(i int) reg.VecPhysical { return t.registers[len(t.registers)-1-i] }

// row returns the address of element k of a row, or of the row of c or r when the pointers and
// strides have been set to those.
func (t *tile) row(i, offset int) Mem {
	base := group0
	if i >= t.first {
		base, i = group1, i-t.first
	}
	m := Mem{Base: base, Disp: offset}
	switch i {
	case 1, 2, 4:
		m.Index, m.Scale = stride, uint8(i)
	case 3, 6:
		m.Index, m.Scale = stride3, uint8(i/3)
	case 5:
		m.Index, m.Scale = stride5, 1
	}
	return m
}

// strides sets the stride registers from a field of the frame that counts elements of 1<<log bytes.
func (t *tile) strides(field, log int) {
	t.MOVQ(Mem{Base: frame, Disp: field}, stride)
	t.SHLQ(Imm(uint64(log)), stride)
	t.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	t.LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, stride5)
}

// pointers sets the group pointers to base + (first + plus)·(1<<log).
func (t *tile) pointers(base, first0, first1 int, plus reg.Register, log int) {
	for i, p := range []reg.GPPhysical{group0, group1}[:t.groups()] {
		t.MOVQ(Mem{Base: frame, Disp: []int{first0, first1}[i]}, p)
		if plus != nil {
			t.ADDQ(plus, p)
		}
		t.SHLQ(Imm(uint64(log)), p)
		t.ADDQ(Mem{Base: frame, Disp: base}, p)
	}
}

// toColumn moves the group pointers to the panel's first column of c or r, which hold such elements.
func (t *tile) toColumn(as element) {
	t.MOVQ(shift, count)
	t.SHRQ(Imm(uint64(2-as.log)), count)
	for _, p := range []reg.GPPhysical{group0, group1}[:t.groups()] {
		t.ADDQ(count, p)
	}
}

// multiply adds the products of a and b.
func (t *tile) multiply(b, a, sum reg.VecPhysical) {
	switch t.kind {
	case bfloat16:
		t.evex(0b10, 0x52, b, a, sum) // VDPBF16PS
	case uint8s:
		t.Instruction(&ir.Instruction{Opcode: "VPDPBUSD", Operands: []Op{b, a, sum}})
	default:
		t.VFMADD231PS(b, a, sum)
	}
}

// evex writes an instruction of map 0F38 on ZMM registers that Go's assembler does not know, with
// its mandatory prefix and opcode; the operands are in Go's order.
func (t *tile) evex(prefix, opcode byte, rm, v, r reg.VecPhysical) {
	n := func(x reg.VecPhysical) byte {
		for i, y := range t.registers {
			if x == y {
				return byte(i)
			}
		}
		panic("no register")
	}
	not := func(x, bit byte) byte { return ^(x >> bit) & 1 }
	b := []byte{
		0x62,
		not(n(r), 3)<<7 | not(n(rm), 4)<<6 | not(n(rm), 3)<<5 | not(n(r), 4)<<4 | 0b010,
		^n(v)&0b1111<<3 | 0b100 | prefix,
		0b10<<5 | not(n(v), 4)<<3,
		opcode,
		0b11<<6 | n(r)&7<<3 | n(rm)&7,
	}
	t.Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(binary.LittleEndian.Uint32(b))}})
	t.Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(binary.LittleEndian.Uint16(b[4:]))}})
}

func (t *tile) groups() int {
	if t.first < t.rows {
		return 2
	}
	return 1
}

func (t *tile) write() {
	width := t.vectors * t.vector
	t.function(fmt.Sprintf("tile%dx%d%s%s", t.rows, width, t.set, t.kind.name),
		fmt.Sprintf("computes %d rows in panels of %d columns.", t.rows, width), "(t *tile)", "(t *byte)")
	t.Load(t.Param("t"), frame)
	t.MOVQ(Mem{Base: frame, Disp: tileB0}, panel)
	t.SHLQ(Imm(2), panel)
	t.ADDQ(Mem{Base: frame, Disp: tileB}, panel)
	t.MOVQ(Mem{Base: frame, Disp: tileN}, columns)
	t.XORQ(shift, shift)

	unit := 1 // elements of a that are taken at least
	if t.kind == half {
		unit = 2
	}
	nextPanel, nextTap, sums, tail := t.label("panel"), t.label("tap"), t.label("sums"), t.label("tail")
	one, four, endTap := t.label("one"), t.label("four"), t.label("end")
	t.Label(nextPanel)
	t.strides(tileARow, 2)
	t.MOVQ(panel, right)
	t.MOVQ(Mem{Base: frame, Disp: tileBias0}, scratch)
	t.SHLQ(Imm(2), scratch)
	t.ADDQ(Mem{Base: frame, Disp: tileBias}, scratch)
	for v := range t.vectors {
		t.VMOVUPS(Mem{Base: scratch, Index: shift, Scale: 1, Disp: v * 4 * t.vector}, t.accumulator(0, v))
	}
	for i := 1; i < t.rows; i++ {
		for v := range t.vectors {
			t.VMOVAPS(t.accumulator(0, v), t.accumulator(i, v))
		}
	}
	if t.words() {
		t.VMOVUPS(t.integer(0x00ff00ff), t.spare(3))
	}
	t.MOVQ(Mem{Base: frame, Disp: tileTaps}, tap)
	t.MOVQ(Mem{Base: frame, Disp: tileTaps + 8}, taps)
	t.TESTQ(taps, taps)
	t.JZ(LabelRef(sums))

	t.Label(nextTap)
	t.MOVQ(Mem{Base: tap}, scratch)
	t.pointers(tileA, tileA0, tileA1, scratch, 2)
	t.MOVQ(Mem{Base: frame, Disp: tileRun}, count)
	t.SUBQ(Imm(4), count)
	t.JL(LabelRef(tail))
	t.Label(four)
	t.steps(4)
	t.SUBQ(Imm(4), count)
	t.JGE(LabelRef(four))
	t.Label(tail)
	t.ADDQ(Imm(4), count)
	t.JZ(LabelRef(endTap))
	t.Label(one)
	t.steps(unit)
	if unit == 1 {
		t.DECQ(count)
	} else {
		t.SUBQ(Imm(uint64(unit)), count)
	}
	t.JNZ(LabelRef(one))
	t.Label(endTap)
	t.ADDQ(Imm(8), tap)
	t.DECQ(taps)
	t.JNZ(LabelRef(nextTap))

	t.Label(sums)
	t.store()
	t.SUBQ(U32(uint32(width)), columns)
	done := t.label("done")
	t.JLE(LabelRef(done))
	t.ADDQ(U32(uint32(4*width)), shift)
	t.MOVQ(Mem{Base: frame, Disp: tileBPanel}, scratch)
	t.LEAQ(Mem{Base: panel, Index: scratch, Scale: 4}, panel)
	t.JMP(LabelRef(nextPanel))
	t.Label(done)
	t.VZEROUPPER()
	t.RET()
}

// steps advances k by n.
func (t *tile) steps(n int) {
	bytes := 4 * t.vector
	switch {
	case t.words():
		t.wordSteps(n)
		return
	case t.kind == half:
		t.halfSteps(n)
		return
	}
	for u := range n {
		for v := range t.vectors {
			t.VMOVUPS(Mem{Base: right, Disp: (u*t.vectors + v) * bytes}, t.spare(v))
		}
		for i := range t.rows {
			if t.vectors == 1 && t.kind == float && t.set == "AVX512" {
				t.VFMADD231PS_BCST(t.row(i, 4*u), t.spare(0), t.accumulator(i, 0))
				continue
			}
			a := t.spare(2 + i%2)
			t.VBROADCASTSS(t.row(i, 4*u), a)
			for v := range t.vectors {
				t.multiply(t.spare(v), a, t.accumulator(i, v))
			}
		}
	}
	t.ADDQ(Imm(uint64(4*n)), group0)
	if t.groups() > 1 {
		t.ADDQ(Imm(uint64(4*n)), group1)
	}
	t.ADDQ(U32(uint32(n*t.vectors*bytes)), right)
}

// words tells whether bytes are multiplied as numbers of 16 bits, of which b then has pairs: those of
// the four's first and third byte, then those of its second and fourth. AVX2 has no other product of
// bytes that cannot overflow.
func (t *tile) words() bool { return t.kind == uint8s && t.set == "AVX2" }

// wordSteps is steps for words.
func (t *tile) wordSteps(n int) {
	bytes := 4 * t.vector
	even, odd, product, mask := t.spare(0), t.spare(1), t.spare(2), t.spare(3)
	for u := range n {
		for i := range t.rows {
			t.VPBROADCASTD(t.row(i, 4*u), even)
			t.VPSRLW(Imm(8), even, odd)
			t.VPAND(mask, even, even)
			for half, a := range []reg.VecPhysical{even, odd} {
				for v := range t.vectors {
					t.VPMADDWD(Mem{Base: right, Disp: ((2*u+half)*t.vectors + v) * bytes}, a, product)
					t.VPADDD(product, t.accumulator(i, v), t.accumulator(i, v))
				}
			}
		}
	}
	t.ADDQ(Imm(uint64(4*n)), group0)
	t.ADDQ(U32(uint32(2*n*t.vectors*bytes)), right)
}

// halfSteps is steps for weights in bfloat16: of each word the lower half meets the first of two elements of a.
func (t *tile) halfSteps(n int) {
	bytes := 4 * t.vector
	for u := range n {
		for v := range t.vectors {
			from, b := Mem{Base: right, Disp: (u/2*t.vectors + v) * bytes}, t.spare(v)
			if u%2 == 0 {
				t.VMOVDQU(from, b)
				t.VPSLLD(Imm(16), b, b)
			} else {
				t.VMOVUPS(t.integer(0xffff0000), b)
				t.VANDPS(from, b, b)
			}
		}
		for i := range t.rows {
			a := t.spare(2 + i%2)
			t.VBROADCASTSS(t.row(i, 4*u), a)
			for v := range t.vectors {
				t.VFMADD231PS(t.spare(v), a, t.accumulator(i, v))
			}
		}
	}
	t.ADDQ(Imm(uint64(4*n)), group0)
	t.ADDQ(U32(uint32(n/2*t.vectors*bytes)), right)
}

// store ends the sums and stores the panel.
func (t *tile) store() {
	if t.kind == float || t.kind == half {
		t.finish(float)
		return
	}
	if t.kind == uint8s {
		t.rescale()
	}
	wide, stored := t.label("wide"), t.label("whole")
	t.CMPB(Mem{Base: frame, Disp: tileStored}, Imm(0))
	t.JE(LabelRef(wide))
	t.finish(t.kind)
	t.JMP(LabelRef(stored))
	t.Label(wide)
	t.finish(float)
	t.Label(stored)
}

// finish adds the residual, applies the bounds and stores the panel; c and r hold such elements. What
// is no full panel of bytes has to be one in AVX2, which has no masks for them.
func (t *tile) finish(as element) {
	width := t.vectors * t.vector
	bytes := t.vector << as.log
	full := as == uint8s && t.set == "AVX2"
	masked, added, stored := t.label("masked"), t.label("added"), t.label("stored")
	each := func(visit func(row, vector int)) {
		for i := range t.rows {
			for v := range t.vectors {
				visit(i, v)
			}
		}
	}

	t.MOVQ(Mem{Base: frame, Disp: tileR}, scratch)
	t.TESTQ(scratch, scratch)
	t.JZ(LabelRef(added))
	t.strides(tileRRow, as.log)
	t.pointers(tileR, tileR0, tileR1, nil, as.log)
	t.toColumn(as)
	if as == uint8s {
		t.VBROADCASTSS(Mem{Base: frame, Disp: tileRScale}, t.spare(3))
	}
	var masks []reg.Register
	if !full {
		t.CMPQ(columns, U32(uint32(width)))
		t.JL(LabelRef(masked))
	}
	each(func(i, v int) { t.add(as, t.row(i, v*bytes), t.accumulator(i, v), nil) })
	if !full {
		t.JMP(LabelRef(added))
		t.Label(masked)
		masks = t.masks()
		each(func(i, v int) { t.add(as, t.row(i, v*bytes), t.accumulator(i, v), masks[v]) })
	}
	t.Label(added)

	low, high, bounded := t.spare(2), t.spare(3), ""
	if t.set == "AVX2" && as == float { // most often there are none
		bounded = t.label("bounded")
		some := t.label("some")
		t.CMPL(Mem{Base: frame, Disp: tileLow}, U32(math.Float32bits(float32(math.Inf(-1)))))
		t.JNE(LabelRef(some))
		t.CMPL(Mem{Base: frame, Disp: tileHigh}, U32(math.Float32bits(float32(math.Inf(1)))))
		t.JE(LabelRef(bounded))
		t.Label(some)
	}
	t.VBROADCASTSS(Mem{Base: frame, Disp: tileLow}, low)
	t.VBROADCASTSS(Mem{Base: frame, Disp: tileHigh}, high)
	each(func(i, v int) {
		// The sum comes second, so that a NaN stays.
		t.VMAXPS(t.accumulator(i, v), low, t.accumulator(i, v))
		t.VMINPS(t.accumulator(i, v), high, t.accumulator(i, v))
	})
	if bounded != "" {
		t.Label(bounded)
	}

	t.strides(tileCRow, as.log)
	t.pointers(tileC, tileC0, tileC1, nil, as.log)
	t.toColumn(as)
	if full {
		for i := range t.rows {
			if t.vectors == 1 {
				t.putHalfRow(t.accumulator(i, 0), t.row(i, 0))
			} else {
				t.putRow(t.accumulator(i, 0), t.accumulator(i, 1), t.row(i, 0))
			}
		}
		return
	}
	masked = t.label("masked")
	t.CMPQ(columns, U32(uint32(width)))
	t.JL(LabelRef(masked))
	if as == uint8s && t.vectors == 2 {
		t.putRows()
	} else {
		each(func(i, v int) { t.put(as, t.accumulator(i, v), t.row(i, v*bytes), nil) })
	}
	t.JMP(LabelRef(stored))
	t.Label(masked)
	masks = t.masks()
	each(func(i, v int) { t.put(as, t.accumulator(i, v), t.row(i, v*bytes), masks[v]) })
	t.Label(stored)
}

// rescale turns the integer sums into numbers in units of the output: sum·scale + shift, by column.
func (t *tile) rescale() {
	t.MOVQ(Mem{Base: frame, Disp: tileBias0}, scratch)
	t.SHLQ(Imm(2), scratch)
	t.ADDQ(shift, scratch)
	t.MOVQ(scratch, count)
	t.ADDQ(Mem{Base: frame, Disp: tileScale}, scratch)
	t.ADDQ(Mem{Base: frame, Disp: tileShift}, count)
	for v := range t.vectors {
		t.VMOVUPS(Mem{Base: scratch, Disp: 4 * t.vector * v}, t.spare(0))
		t.VMOVUPS(Mem{Base: count, Disp: 4 * t.vector * v}, t.spare(1))
		for i := range t.rows {
			t.VCVTDQ2PS(t.accumulator(i, v), t.accumulator(i, v))
			t.VFMADD213PS(t.spare(1), t.spare(0), t.accumulator(i, v))
		}
	}
}

// masks sets a mask for each vector of a panel that is not full: K1 and K2, or two spare registers.
func (t *tile) masks() []reg.Register {
	if t.set == "AVX512" {
		t.MOVQ(I32(-1), scratch)
		t.BZHIQ(columns, scratch, scratch)
		t.KMOVW(scratch.As32(), reg.K1)
		if t.vectors > 1 {
			t.SHRQ(Imm(16), scratch)
			t.KMOVW(scratch.As32(), reg.K2)
		}
		return []reg.Register{reg.K1, reg.K2}
	}
	t.LEAQ(t.maskTable(), scratch)
	t.MOVQ(columns, count)
	t.NEGQ(count)
	for v := range t.vectors {
		t.VMOVUPS(Mem{Base: scratch, Index: count, Scale: 4, Disp: 64 + v*4*t.vector}, t.spare(v))
	}
	return []reg.Register{t.spare(0), t.spare(1)}
}

// add adds elements of the residual to a sum.
func (t *tile) add(as element, from Mem, sum reg.VecPhysical, mask reg.Register) {
	x := t.spare(2)
	switch {
	case as == bfloat16:
		if mask == nil {
			t.VPMOVZXWD(from, x)
		} else {
			t.VPMOVZXWD_Z(from, mask, x)
		}
		t.VPSLLD(Imm(16), x, x)
		t.VADDPS(x, sum, sum)
	case as == uint8s:
		if mask == nil {
			t.VPMOVZXBD(from, x)
		} else {
			t.VPMOVZXBD_Z(from, mask, x)
		}
		t.VCVTDQ2PS(x, x)
		t.VFMADD231PS(t.spare(3), x, sum)
	case mask == nil:
		t.VADDPS(from, sum, sum)
	case t.set == "AVX512":
		t.VMOVUPS_Z(from, mask, x)
		t.VADDPS(x, sum, sum)
	default:
		t.VMASKMOVPS(from, mask, x)
		t.VADDPS(x, sum, sum)
	}
}

// put stores a sum.
func (t *tile) put(as element, sum reg.VecPhysical, to Mem, mask reg.Register) {
	switch {
	case as == bfloat16:
		t.evex(0b10, 0x72, sum, t.registers[0], sum) // VCVTNEPS2BF16; a second operand of 0 stands for none
		if mask == nil {
			t.VMOVDQU16(sum.AsY(), to)
		} else {
			t.VMOVDQU16(sum.AsY(), mask, to)
		}
	case as == uint8s:
		t.VCVTPS2DQ(sum, sum)
		if mask == nil {
			t.VPMOVUSDB(sum, to)
		} else {
			t.VPMOVUSDB(sum, mask, to)
		}
	case mask == nil:
		t.VMOVUPS(sum, to)
	case t.set == "AVX512":
		t.VMOVUPS(sum, mask, to)
	default:
		t.VMASKMOVPS(sum, mask, to)
	}
}

// putRow stores 16 sums as bytes, with AVX2.
func (t *tile) putRow(a, b reg.VecPhysical, to Mem) {
	t.VCVTPS2DQ(a, a)
	t.VCVTPS2DQ(b, b)
	t.VPACKSSDW(b, a, a)
	t.VPERMQ(Imm(0b11_01_10_00), a, a) // the packing is one of halves
	t.VPACKUSWB(a, a, a)
	t.VPERMQ(Imm(0b00_00_10_00), a, a)
	t.VMOVDQU(a.AsX(), to)
}

// putHalfRow stores 8 sums as bytes, with AVX2.
func (t *tile) putHalfRow(a reg.VecPhysical, to Mem) {
	t.VCVTPS2DQ(a, a)
	t.VPACKSSDW(a, a, a)
	t.VPERMQ(Imm(0b00_00_10_00), a, a)
	t.VPACKUSWB(a, a, a)
	t.VMOVQ(a.AsX(), to)
}

// putRows stores all sums as bytes, two rows of 32 at a time: each packing of two vectors into one
// alternates between them every 128 bits, and a permutation puts all in order.
func (t *tile) putRows() {
	order := t.StaticGlobal(t.label("order"))
	t.DataAttributes(8 | 16) // RODATA | NOPTR
	for i := range 16 {
		t.AddDatum(4*i, U32(uint32(i%4*4+i/4)))
	}
	index := t.spare(0)
	t.VMOVDQU32(order, index)
	for i := 0; i < t.rows; i += 2 {
		last := min(i+1, t.rows-1)
		for row := i; row <= last; row++ {
			a, b := t.accumulator(row, 0), t.accumulator(row, 1)
			t.VCVTPS2DQ(a, a)
			t.VCVTPS2DQ(b, b)
			t.VPACKUSDW(b, a, a)
		}
		sum := t.accumulator(i, 0)
		t.VPACKUSWB(t.accumulator(last, 0), sum, sum)
		t.VPERMD(sum, index, sum)
		t.VMOVDQU32(sum.AsY(), t.row(i, 0))
		if last > i {
			t.VEXTRACTI64X4(Imm(1), sum, t.row(last, 0))
		}
	}
}
