package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.lstmToken.
const (
	lstmSlices = 0 // gates, moved, bias, before, cell, state, flow, memory
	lstmUnits  = 192
	lstmFirst  = 200
)

func lstmAVX512(f *file) { lstms(f, zmm) }
func lstmAVX2(f *file)   { lstms(f, ymm) }

// lstm writes functions on one token.
type lstm struct {
	*sweep
	mask    reg.VecPhysical // of AVX2: of the last vector
	tail    bool            // the last vector is being written
	numbers []float64       // that stay in registers, where there are 32
}

// The registers of an LSTM's functions, besides those of sweeps: the places of the element in the four blocks.
var (
	lstmAt   = []reg.GPPhysical{reg.RAX, reg.R9, reg.R10, reg.R13}
	lstmLeft = reg.R15
)

// The slices, in the order of the frame; those that a function has are loaded into the pointers of sweeps.
const (
	lstmGates = iota
	lstmMoved
	lstmBias
	lstmBefore
	lstmCell
	lstmState
	lstmFlow
	lstmMemory
)

// lstms writes the step of an LSTM and its gradient. Products are rounded before they are added, as in plain Go.
func lstms(f *file, m machine) {
	r := m.registers
	s := &lstm{sweep: &sweep{file: f, machine: m, free: r[9:15]}, mask: r[8]}
	if s.held = map[float64]reg.VecPhysical{}; len(r) == 32 {
		s.numbers = sigmoidNumbers
	}
	for i, v := range s.numbers {
		s.held[v] = r[31-i]
	}

	gates, moved, bias, before, cell, state := s.begin("lstmForward", "computes the gates, the cell and the state of a token.",
		lstmGates, lstmMoved, lstmBias, lstmBefore, lstmCell, lstmState)
	s.each(func() {
		t, u, c := r[6], r[7], r[4]
		for k, at := range lstmAt {
			z := r[k]
			s.load(bias, at, u)
			s.load(moved, at, t)
			s.VADDPS(u, t, t)
			s.load(gates, at, z)
			s.VADDPS(t, z, z)
			if k == 2 {
				s.tanh(z, t)
			} else {
				s.sigmoid(z, t)
			}
			s.store(t, gates, at)
			s.VMOVAPS(t, z)
		}
		s.VMULPS(r[0], r[2], c)
		s.unlessFirst(func() {
			s.load(before, lstmAt[0], t)
			s.VMULPS(r[1], t, t)
			s.VADDPS(t, c, c)
		})
		s.store(c, cell, lstmAt[0])
		s.tanh(c, t)
		s.VMULPS(t, r[3], t)
		s.store(t, state, lstmAt[0])
	})
	s.VZEROUPPER()
	s.RET()

	var flow, memory reg.GPPhysical
	gates, flow, state, memory, cell, before = s.begin("lstmBackward", "computes the gradients of a token's gates and of the cell before from those of state and cell.",
		lstmGates, lstmFlow, lstmState, lstmMemory, lstmCell, lstmBefore)
	s.each(func() {
		dh, c, y, z, t, u := r[0], r[1], r[2], r[3], r[4], r[5]
		one := r[6]
		s.load(cell, lstmAt[0], t)
		s.tanh(t, y)
		s.VMOVUPS(s.constant(1), one)
		slope := func() { // of the gate in z, in t
			s.VSUBPS(z, one, t)
			s.VMULPS(t, z, t)
		}
		s.load(state, lstmAt[0], dh)
		s.load(gates, lstmAt[3], z)
		slope()
		s.VMULPS(y, dh, u)
		s.VMULPS(t, u, u)
		s.store(u, flow, lstmAt[3])
		s.VMULPS(z, dh, u)
		s.VMULPS(y, y, t)
		s.VSUBPS(t, one, t)
		s.VMULPS(t, u, u)
		s.load(memory, lstmAt[0], c)
		s.VADDPS(u, c, c)

		candidate := r[7]
		s.load(gates, lstmAt[2], candidate)
		s.load(gates, lstmAt[0], z)
		slope()
		s.VMULPS(candidate, c, u)
		s.VMULPS(t, u, u)
		s.store(u, flow, lstmAt[0])
		s.VMULPS(z, c, u)
		s.VMULPS(candidate, candidate, t)
		s.VSUBPS(t, one, t)
		s.VMULPS(t, u, u)
		s.store(u, flow, lstmAt[2])

		s.load(gates, lstmAt[1], z)
		slope()
		s.VXORPS(u.AsY(), u.AsY(), u.AsY())
		s.unlessFirst(func() {
			s.VMULPS(t, c, u)
			s.load(before, lstmAt[0], t)
			s.VMULPS(t, u, u)
		})
		s.store(u, flow, lstmAt[1])
		s.VMULPS(z, c, u)
		s.store(u, memory, lstmAt[0])
	})
	s.VZEROUPPER()
	s.RET()
}

// begin loads the pointers of six slices, and for the last vector its mask.
func (s *lstm) begin(name, doc string, slices ...int) (a, b, c, d, e, f reg.GPPhysical) {
	s.function(name+s.set, doc, "(t *lstmToken)", "(t *byte)")
	s.Load(s.Param("t"), sweepFrame)
	for i, slice := range slices {
		s.MOVQ(Mem{Base: sweepFrame, Disp: lstmSlices + 24*slice}, sweepPointer[i])
	}
	for _, v := range s.numbers {
		s.VMOVUPS(s.constant(v), s.held[v])
	}
	s.MOVQ(Mem{Base: sweepFrame, Disp: lstmUnits}, lstmLeft)
	s.ANDQ(Imm(uint64(s.vector-1)), lstmLeft)
	if s.set == "AVX512" {
		s.MOVQ(I32(-1), sweepScratch)
		s.BZHIQ(lstmLeft, sweepScratch, sweepScratch)
		s.KMOVW(sweepScratch.As32(), reg.K1)
	} else {
		s.LEAQ(s.maskTable(), sweepScratch)
		s.NEGQ(lstmLeft)
		s.VMOVUPS(Mem{Base: sweepScratch, Index: lstmLeft, Scale: 4, Disp: 64}, s.mask)
	}
	p := sweepPointer
	return p[0], p[1], p[2], p[3], p[4], p[5]
}

// each writes a loop over the vectors of the units, and the last one that is not whole.
func (s *lstm) each(body func()) {
	next, tail, end := s.label("next"), s.label("tail"), s.label("end")
	s.MOVQ(Mem{Base: sweepFrame, Disp: lstmUnits}, lstmLeft)
	s.XORQ(lstmAt[0], lstmAt[0])
	for k := 1; k < len(lstmAt); k++ {
		s.LEAQ(Mem{Base: lstmAt[k-1], Index: lstmLeft, Scale: 1}, lstmAt[k])
	}
	s.Label(next)
	s.SUBQ(Imm(uint64(s.vector)), lstmLeft)
	s.JL(LabelRef(tail))
	s.tail = false
	body()
	for _, at := range lstmAt {
		s.ADDQ(Imm(uint64(s.vector)), at)
	}
	s.JMP(LabelRef(next))
	s.Label(tail)
	s.ADDQ(Imm(uint64(s.vector)), lstmLeft)
	s.JZ(LabelRef(end))
	s.tail = true
	body()
	s.Label(end)
}

// unlessFirst writes what is left out at the first token.
func (s *lstm) unlessFirst(body func()) {
	first := s.label("first")
	s.CMPQ(Mem{Base: sweepFrame, Disp: lstmFirst}, Imm(0))
	s.JNE(LabelRef(first))
	body()
	s.Label(first)
}

func (s *lstm) load(slice, at reg.GPPhysical, x reg.VecPhysical) {
	from := Mem{Base: slice, Index: at, Scale: 4}
	switch {
	case !s.tail:
		s.VMOVUPS(from, x)
	case s.set == "AVX512":
		s.VMOVUPS_Z(from, reg.K1, x)
	default:
		s.VMASKMOVPS(from, s.mask, x)
	}
}

func (s *lstm) store(x reg.VecPhysical, slice, at reg.GPPhysical) {
	to := Mem{Base: slice, Index: at, Scale: 4}
	switch {
	case !s.tail:
		s.VMOVUPS(x, to)
	case s.set == "AVX512":
		s.VMOVUPS(x, reg.K1, to)
	default:
		s.VMASKMOVPS(x, s.mask, to)
	}
}
