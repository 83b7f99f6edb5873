package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.depthwiseLine.
const (
	lineSrc       = 0
	lineDst       = 8
	lineWeights   = 16
	lineLimits    = 24
	lineRows      = 32 // five
	lineSrcPixel  = 72
	lineDstPixel  = 80
	lineChannels  = 88
	lineLeft      = 96
	lineMiddle    = 104
	lineRight     = 112
	lineEdgeIn    = 120
	lineEdgeOut   = 128
	lineGroupIn   = 136
	lineGroupOut  = 144
	lineMask      = 152
	lineLow       = 160
	lineHigh      = 164
	lineAt        = 168 // scratch
	linePositions = 176 // scratch
)

func depthwiseAVX512(f *file) { depthwise(f, zmm) }
func depthwiseAVX2(f *file)   { depthwise(f, ymm) }

func depthwise(f *file, m machine) {
	for _, kernel := range []int{3, 5} {
		for stride := 1; stride <= 2; stride++ {
			l := &line{file: f, machine: m, kernel: kernel, stride: stride}
			l.writeNarrow()
			l.writeWide()
		}
	}
}

// line is a kernel that convolves one line of output positions. The weights of a vector of channels
// lie together: the bias, then tap after tap.
//
// The narrow kernel takes a vector of channels along the whole line before the next; the weights
// stay in registers where there are enough of them. The wide one takes all channels of four
// positions before the next four, so that a long line streams through the caches in order.
type line struct {
	*file
	machine
	kernel, stride int
}

// pixels is the number of positions computed together.
const pixels = 4

var (
	lineRow     = []reg.GPPhysical{reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI}
	lineOut     = reg.RDI
	linePitch   = reg.R8 // distance of input pixels, in bytes
	linePitch3  = reg.R9
	linePitch5  = reg.R10
	linePitch7  = reg.R11
	linePitch9  = reg.R12
	lineCounter = reg.R13
	lineFrame   = reg.R14
	lineScratch = reg.R15
)

func (l *line) resident() bool { return len(l.registers) >= l.kernel*l.kernel+pixels+3 }

// bytes is the size of a vector.
func (l *line) bytes() int { return 4 * l.vector }

// blockBytes is the size of the bias and weights of a vector of channels.
func (l *line) blockBytes() int { return (1 + l.kernel*l.kernel) * l.bytes() }

// weightAt returns the address of a tap's weights in the block that base points to.
func (l *line) weightAt(base reg.Register, ky, kx int) Mem {
	return Mem{Base: base, Disp: (1 + ky*l.kernel + kx) * l.bytes()}
}

// weight returns the register of a tap, when the weights are resident.
func (l *line) weight(ky, kx int) reg.VecPhysical {
	return l.registers[pixels+3+ky*l.kernel+kx]
}

func (l *line) sum(i int) reg.VecPhysical  { return l.registers[i] }
func (l *line) temporary() reg.VecPhysical { return l.registers[pixels] }
func (l *line) low() reg.VecPhysical       { return l.registers[pixels+1] }
func (l *line) high() reg.VecPhysical      { return l.registers[pixels+2] }

// input returns the address of column x of line ky, from the position the pointers are at.
func (l *line) input(ky, x int) Mem {
	m := Mem{Base: lineRow[ky]}
	switch x {
	case 0:
	case 1, 2, 4, 8:
		m.Index, m.Scale = linePitch, uint8(x)
	case 3, 6:
		m.Index, m.Scale = linePitch3, uint8(x/3)
	case 5, 10:
		m.Index, m.Scale = linePitch5, uint8(x/5)
	case 7:
		m.Index, m.Scale = linePitch7, 1
	case 9:
		m.Index, m.Scale = linePitch9, 1
	default:
		panic(x)
	}
	return m
}

func (l *line) load(from Mem, to reg.VecPhysical) {
	if l.set == "AVX512" {
		l.VMOVUPS_Z(from, reg.K1, to)
	} else {
		l.VMOVUPS(from, to)
	}
}

func (l *line) save(from reg.VecPhysical, to Mem) {
	if l.set == "AVX512" {
		l.VMOVUPS(from, reg.K1, to)
	} else {
		l.VMOVUPS(from, to)
	}
}

func (l *line) field(offset int) Mem { return Mem{Base: lineFrame, Disp: offset} }

func (l *line) begin(kind string) {
	l.function(fmt.Sprintf("depthwise%dx%ds%d%s%s", l.kernel, l.kernel, l.stride, kind, l.set),
		"computes one line of positions.", "(l *depthwiseLine)", "(l *byte)")
	l.Load(l.Param("l"), lineFrame)
	l.VBROADCASTSS(l.field(lineLow), l.low())
	l.VBROADCASTSS(l.field(lineHigh), l.high())
	l.MOVQ(l.field(lineSrcPixel), linePitch)
	l.LEAQ(Mem{Base: linePitch, Index: linePitch, Scale: 2}, linePitch3)
	l.LEAQ(Mem{Base: linePitch, Index: linePitch, Scale: 4}, linePitch5)
	l.LEAQ(Mem{Base: linePitch3, Index: linePitch, Scale: 4}, linePitch7)
}

// bound applies the bounds to a sum.
func (l *line) bound(i int) {
	l.VMAXPS(l.sum(i), l.low(), l.sum(i))
	l.VMINPS(l.sum(i), l.high(), l.sum(i))
}

// repeat writes a loop of as many rounds as a field says.
func (l *line) repeat(field int, counter Op, body func()) {
	next, end := l.label("next"), l.label("end")
	if _, inMemory := counter.(Mem); inMemory {
		l.MOVQ(l.field(field), lineScratch)
		l.MOVQ(lineScratch, counter)
		l.TESTQ(lineScratch, lineScratch)
	} else {
		l.MOVQ(l.field(field), counter)
		l.TESTQ(counter, counter)
	}
	l.JZ(LabelRef(end))
	l.Label(next)
	body()
	l.DECQ(counter)
	l.JNZ(LabelRef(next))
	l.Label(end)
}

func (l *line) writeNarrow() {
	l.begin("Narrow")
	l.MOVQ(I32(0), l.field(lineAt))
	l.MOVQ(I32(0), l.field(linePositions))
	block := l.label("block")
	l.Label(block)
	if l.set == "AVX512" {
		full, masked := l.label("full"), l.label("masked")
		l.CMPQ(l.field(lineChannels), Imm(16))
		l.JGE(LabelRef(full))
		l.KMOVW(l.field(lineMask), reg.K1)
		l.JMP(LabelRef(masked))
		l.Label(full)
		l.KXNORW(reg.K1, reg.K1, reg.K1)
		l.Label(masked)
	}
	for ky := range l.kernel {
		l.MOVQ(l.field(lineRows+8*ky), lineRow[ky])
		l.ADDQ(l.field(lineSrc), lineRow[ky])
		l.ADDQ(l.field(lineAt), lineRow[ky])
	}
	l.MOVQ(l.field(lineDst), lineOut)
	l.ADDQ(l.field(lineAt), lineOut)
	if l.resident() {
		l.weights(lineScratch)
		for ky := range l.kernel {
			for kx := range l.kernel {
				l.VMOVUPS(l.weightAt(lineScratch, ky, kx), l.weight(ky, kx))
			}
		}
	}
	l.narrowEdges(lineLeft, 0)
	l.LEAQ(Mem{Base: linePitch, Index: linePitch, Scale: 8}, linePitch9)
	l.repeat(lineMiddle, lineCounter, l.narrowGroup)
	l.narrowEdges(lineRight, lineLeft)
	l.ADDQ(U32(uint32(l.bytes())), l.field(lineAt))
	l.ADDQ(U32(uint32(l.blockBytes())), l.field(linePositions))
	l.SUBQ(U32(uint32(l.vector)), l.field(lineChannels))
	l.JG(LabelRef(block))
	l.VZEROUPPER()
	l.RET()
}

// weights sets a register to the present block of weights.
func (l *line) weights(to reg.Register) {
	l.MOVQ(l.field(lineWeights), to)
	l.ADDQ(l.field(linePositions), to)
}

// narrowGroup computes four positions whose taps are all inside.
func (l *line) narrowGroup() {
	l.weights(lineScratch)
	l.VMOVUPS(Mem{Base: lineScratch}, l.sum(0))
	for i := 1; i < pixels; i++ {
		l.VMOVAPS(l.sum(0), l.sum(i))
	}
	for ky := range l.kernel {
		if l.resident() {
			l.slide(ky, func(kx int) reg.VecPhysical { return l.weight(ky, kx) })
			continue
		}
		for kx := range l.kernel {
			l.VMOVUPS(l.weightAt(lineScratch, ky, kx), l.temporary())
			for i := range pixels {
				l.VFMADD231PS(l.input(ky, i*l.stride+kx), l.temporary(), l.sum(i))
			}
		}
	}
	for i := range pixels {
		l.bound(i)
		l.save(l.sum(i), Mem{Base: lineOut})
		l.ADDQ(l.field(lineDstPixel), lineOut)
	}
	for ky := range l.kernel {
		for range l.stride {
			l.LEAQ(Mem{Base: lineRow[ky], Index: linePitch, Scale: 4}, lineRow[ky])
		}
	}
}

// slide adds line ky of the window for four positions; each input is loaded once.
func (l *line) slide(ky int, weight func(kx int) reg.VecPhysical) {
	for x := range (pixels-1)*l.stride + l.kernel {
		l.load(l.input(ky, x), l.temporary())
		for i := range pixels {
			if kx := x - i*l.stride; kx >= 0 && kx < l.kernel {
				l.VFMADD231PS(l.temporary(), weight(kx), l.sum(i))
			}
		}
	}
}

// narrowEdges computes positions one by one, each with the taps from its first limit up to its
// second. The limits begin after those of the positions that field skip counts.
func (l *line) narrowEdges(field, skip int) {
	block := linePitch9 // free here: no address uses nine times the pitch
	l.MOVQ(l.field(lineLimits), lineScratch)
	if skip != 0 {
		l.MOVQ(l.field(skip), block)
		l.SHLQ(Imm(4), block)
		l.ADDQ(block, lineScratch)
	}
	l.weights(block)
	l.repeat(field, lineCounter, func() {
		l.edge(lineScratch, block)
		l.bound(0)
		l.save(l.sum(0), Mem{Base: lineOut})
		l.ADDQ(l.field(lineDstPixel), lineOut)
		for ky := range l.kernel {
			l.LEAQ(Mem{Base: lineRow[ky], Index: linePitch, Scale: uint8(l.stride)}, lineRow[ky])
		}
		l.ADDQ(Imm(16), lineScratch)
	})
}

// edge sums the taps of one position within limits.
func (l *line) edge(limits, block reg.Register) {
	l.VMOVUPS(Mem{Base: block}, l.sum(0))
	for kx := range l.kernel {
		outside := l.label("outside")
		l.CMPQ(Mem{Base: limits}, Imm(uint64(kx)))
		l.JG(LabelRef(outside))
		l.CMPQ(Mem{Base: limits, Disp: 8}, Imm(uint64(kx)))
		l.JLE(LabelRef(outside))
		for ky := range l.kernel {
			l.load(l.input(ky, kx), l.temporary())
			l.VFMADD231PS(l.weightAt(block, ky, kx), l.temporary(), l.sum(0))
		}
		l.Label(outside)
	}
}

func (l *line) writeWide() {
	l.begin("Wide")
	for ky := range l.kernel {
		l.MOVQ(l.field(lineRows+8*ky), lineRow[ky])
		l.ADDQ(l.field(lineSrc), lineRow[ky])
	}
	l.MOVQ(l.field(lineDst), lineOut)
	l.wideEdges(lineLeft, 0)
	l.LEAQ(Mem{Base: linePitch, Index: linePitch, Scale: 8}, linePitch9)
	l.repeat(lineMiddle, l.field(linePositions), l.wideGroup)
	l.wideEdges(lineRight, lineLeft)
	l.VZEROUPPER()
	l.RET()
}

// blocks writes the loop over the vectors of channels of one or four positions, with block pointing
// to the weights of each; in and out take the pointers on to the next position.
func (l *line) blocks(block reg.Register, in, out int, body func()) {
	next, last := l.label("block"), l.label("last")
	l.MOVQ(l.field(lineWeights), block)
	l.MOVQ(l.field(lineChannels), lineScratch)
	l.MOVQ(lineScratch, l.field(lineAt))
	if l.set == "AVX512" {
		l.KXNORW(reg.K1, reg.K1, reg.K1)
	}
	l.Label(next)
	if l.set == "AVX512" {
		full := l.label("full")
		l.CMPQ(l.field(lineAt), Imm(16))
		l.JGE(LabelRef(full))
		l.KMOVW(l.field(lineMask), reg.K1)
		l.Label(full)
	}
	body()
	for ky := range l.kernel {
		l.ADDQ(Imm(uint64(l.bytes())), lineRow[ky])
	}
	l.ADDQ(Imm(uint64(l.bytes())), lineOut)
	l.ADDQ(U32(uint32(l.blockBytes())), block)
	l.SUBQ(Imm(uint64(l.vector)), l.field(lineAt))
	l.JG(LabelRef(next))
	l.Label(last)
	for ky := range l.kernel {
		l.ADDQ(l.field(in), lineRow[ky])
	}
	l.ADDQ(l.field(out), lineOut)
}

func (l *line) wideGroup() {
	block, distance := lineCounter, lineScratch
	l.blocks(block, lineGroupIn, lineGroupOut, func() {
		l.MOVQ(l.field(lineDstPixel), distance)
		l.VMOVUPS(Mem{Base: block}, l.sum(0))
		for i := 1; i < pixels; i++ {
			l.VMOVAPS(l.sum(0), l.sum(i))
		}
		for ky := range l.kernel {
			for kx := range l.kernel {
				l.VMOVUPS(l.weightAt(block, ky, kx), l.weight(0, kx))
			}
			l.slide(ky, func(kx int) reg.VecPhysical { return l.weight(0, kx) })
		}
		for i := range pixels {
			l.bound(i)
		}
		l.save(l.sum(0), Mem{Base: lineOut})
		l.save(l.sum(1), Mem{Base: lineOut, Index: distance, Scale: 1})
		l.save(l.sum(2), Mem{Base: lineOut, Index: distance, Scale: 2})
		l.ADDQ(distance, lineOut)
		l.save(l.sum(3), Mem{Base: lineOut, Index: distance, Scale: 2})
		l.SUBQ(distance, lineOut)
	})
}

func (l *line) wideEdges(field, skip int) {
	block, limits := lineCounter, linePitch9
	l.MOVQ(l.field(lineLimits), limits)
	if skip != 0 {
		l.MOVQ(l.field(skip), block)
		l.SHLQ(Imm(4), block)
		l.ADDQ(block, limits)
	}
	l.repeat(field, l.field(linePositions), func() {
		l.blocks(block, lineEdgeIn, lineEdgeOut, func() {
			l.edge(limits, block)
			l.bound(0)
			l.save(l.sum(0), Mem{Base: lineOut})
		})
		l.ADDQ(Imm(16), limits)
	})
}
