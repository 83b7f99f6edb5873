package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peakAVX512 and peakAVX2 write loops of multiply-adds in registers, as many as their latency and the processor's two units take.
func peakAVX512(f *file) { f.peak(zmm, 24) }
func peakAVX2(f *file)   { f.peak(ymm, 12) }

func (f *file) peak(m machine, sums int) {
	f.function("peak"+m.set, "makes so many rounds of multiply-adds, at least one.", "(rounds int)", "(rounds int)")
	left := reg.RAX
	f.Load(f.Param("rounds"), left)
	for i := range sums + 2 {
		f.VXORPS(m.registers[i], m.registers[i], m.registers[i])
	}
	f.Label("next")
	for i := range sums {
		f.VFMADD231PS(m.registers[sums], m.registers[sums+1], m.registers[i])
	}
	f.DECQ(left)
	f.JNZ(LabelRef("next"))
	f.VZEROUPPER()
	f.RET()
}
