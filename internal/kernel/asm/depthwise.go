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
	lineBias      = 24
	lineLimits    = 32
	lineRows      = 40 // five
	lineSrcPixel  = 80
	lineDstPixel  = 88
	lineWeightRow = 96
	lineChannels  = 104
	lineLeft      = 112
	lineMiddle    = 120
	lineRight     = 128
	lineLow       = 136
	lineHigh      = 140
	lineAt        = 144 // bytes from the first channel to the present block
)

func depthwiseAVX512(f *file) { depthwise(f, zmm) }
func depthwiseAVX2(f *file)   { depthwise(f, ymm) }

func depthwise(f *file, m machine) {
	for _, kernel := range []int{3, 5} {
		for stride := 1; stride <= 2; stride++ {
			(&line{file: f, machine: m, kernel: kernel, stride: stride}).write()
		}
	}
}

// line is a kernel that convolves one line of output positions, a vector of channels at a time. The
// weights stay in registers where there are enough of them.
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

// pointer sets a register to a pointer of the frame, moved to the present block of channels.
func (l *line) pointer(field int, to reg.Register) {
	l.MOVQ(l.field(field), to)
	l.ADDQ(l.field(lineAt), to)
}

func (l *line) write() {
	l.function(fmt.Sprintf("depthwise%dx%ds%d%s", l.kernel, l.kernel, l.stride, l.set),
		"computes one line of positions.", "(l *depthwiseLine)", "(l *byte)")
	l.Load(l.Param("l"), lineFrame)
	l.VBROADCASTSS(l.field(lineLow), l.low())
	l.VBROADCASTSS(l.field(lineHigh), l.high())
	l.MOVQ(l.field(lineSrcPixel), linePitch)
	l.LEAQ(Mem{Base: linePitch, Index: linePitch, Scale: 2}, linePitch3)
	l.LEAQ(Mem{Base: linePitch, Index: linePitch, Scale: 4}, linePitch5)
	l.LEAQ(Mem{Base: linePitch3, Index: linePitch, Scale: 4}, linePitch7)

	block, done, middle, endMiddle := l.label("block"), l.label("done"), l.label("middle"), l.label("endMiddle")
	l.Label(block)
	if l.set == "AVX512" {
		full := l.label("full")
		l.MOVQ(l.field(lineChannels), lineScratch)
		l.MOVQ(I32(-1), lineCounter)
		l.CMPQ(lineScratch, Imm(16))
		l.JGE(LabelRef(full))
		l.BZHIQ(lineScratch, lineCounter, lineCounter)
		l.Label(full)
		l.KMOVW(lineCounter.As32(), reg.K1)
	}
	for ky := range l.kernel {
		l.MOVQ(l.field(lineRows+8*ky), lineRow[ky])
		l.ADDQ(l.field(lineSrc), lineRow[ky])
		l.ADDQ(l.field(lineAt), lineRow[ky])
	}
	l.pointer(lineDst, lineOut)
	if l.resident() {
		l.pointer(lineWeights, lineScratch)
		for ky := range l.kernel {
			for kx := range l.kernel {
				l.load(Mem{Base: lineScratch}, l.weight(ky, kx))
				l.ADDQ(l.field(lineWeightRow), lineScratch)
			}
		}
	}
	l.edges(lineLeft, 0)

	l.MOVQ(l.field(lineMiddle), lineCounter)
	l.TESTQ(lineCounter, lineCounter)
	l.JZ(LabelRef(endMiddle))
	l.LEAQ(Mem{Base: linePitch, Index: linePitch, Scale: 8}, linePitch9)
	l.Label(middle)
	l.group()
	l.DECQ(lineCounter)
	l.JNZ(LabelRef(middle))
	l.Label(endMiddle)
	l.edges(lineRight, lineLeft)

	l.ADDQ(U32(uint32(4*l.vector)), l.field(lineAt))
	l.SUBQ(U32(uint32(l.vector)), l.field(lineChannels))
	l.JG(LabelRef(block))
	l.Label(done)
	l.VZEROUPPER()
	l.RET()
}

// group computes four positions whose taps are all inside.
func (l *line) group() {
	l.pointer(lineBias, lineScratch)
	l.load(Mem{Base: lineScratch}, l.sum(0))
	for i := 1; i < pixels; i++ {
		l.VMOVAPS(l.sum(0), l.sum(i))
	}
	if !l.resident() {
		l.pointer(lineWeights, lineScratch)
	}
	for ky := range l.kernel {
		if l.resident() {
			for x := range (pixels-1)*l.stride + l.kernel {
				l.load(l.input(ky, x), l.temporary())
				for i := range pixels {
					if kx := x - i*l.stride; kx >= 0 && kx < l.kernel {
						l.VFMADD231PS(l.temporary(), l.weight(ky, kx), l.sum(i))
					}
				}
			}
			continue
		}
		for kx := range l.kernel {
			l.load(Mem{Base: lineScratch}, l.temporary())
			l.ADDQ(l.field(lineWeightRow), lineScratch)
			for i := range pixels {
				l.VFMADD231PS(l.input(ky, i*l.stride+kx), l.temporary(), l.sum(i))
			}
		}
	}
	for i := range pixels {
		l.finish(i)
		l.ADDQ(l.field(lineDstPixel), lineOut)
	}
	for ky := range l.kernel {
		l.LEAQ(Mem{Base: lineRow[ky], Index: linePitch, Scale: 4}, lineRow[ky])
		if l.stride == 2 {
			l.LEAQ(Mem{Base: lineRow[ky], Index: linePitch, Scale: 4}, lineRow[ky])
		}
	}
}

// finish bounds and stores a sum.
func (l *line) finish(i int) {
	l.VMAXPS(l.sum(i), l.low(), l.sum(i))
	l.VMINPS(l.sum(i), l.high(), l.sum(i))
	l.save(l.sum(i), Mem{Base: lineOut})
}

// edges computes positions one by one, each with the taps from its first limit up to its second.
// The limits begin after those of the positions that field skip counts.
func (l *line) edges(field, skip int) {
	next, end := l.label("edge"), l.label("endEdge")
	l.MOVQ(l.field(field), lineCounter)
	l.TESTQ(lineCounter, lineCounter)
	l.JZ(LabelRef(end))
	l.MOVQ(l.field(lineLimits), lineScratch)
	if skip != 0 {
		l.MOVQ(l.field(skip), lineOut2)
		l.SHLQ(Imm(4), lineOut2)
		l.ADDQ(lineOut2, lineScratch)
	}
	l.Label(next)
	l.pointer(lineBias, lineOut2)
	l.load(Mem{Base: lineOut2}, l.sum(0))
	if !l.resident() {
		l.pointer(lineWeights, lineOut2)
	}
	for kx := range l.kernel {
		outside := l.label("outside")
		l.CMPQ(Mem{Base: lineScratch}, Imm(uint64(kx)))
		l.JG(LabelRef(outside))
		l.CMPQ(Mem{Base: lineScratch, Disp: 8}, Imm(uint64(kx)))
		l.JLE(LabelRef(outside))
		if !l.resident() {
			l.pointer(lineWeights, lineOut2)
			for range kx {
				l.ADDQ(l.field(lineWeightRow), lineOut2)
			}
		}
		for ky := range l.kernel {
			l.load(l.input(ky, kx), l.temporary())
			if l.resident() {
				l.VFMADD231PS(l.temporary(), l.weight(ky, kx), l.sum(0))
				continue
			}
			l.VFMADD231PS(Mem{Base: lineOut2}, l.temporary(), l.sum(0))
			if ky < l.kernel-1 {
				for range l.kernel {
					l.ADDQ(l.field(lineWeightRow), lineOut2)
				}
			}
		}
		l.Label(outside)
	}
	l.finish(0)
	l.ADDQ(l.field(lineDstPixel), lineOut)
	for ky := range l.kernel {
		l.LEAQ(Mem{Base: lineRow[ky], Index: linePitch, Scale: uint8(l.stride)}, lineRow[ky])
	}
	l.ADDQ(Imm(16), lineScratch)
	l.DECQ(lineCounter)
	l.JNZ(LabelRef(next))
	l.Label(end)
}

// lineOut2 serves while edges are computed: no address there uses nine times the pitch.
var lineOut2 = linePitch9
