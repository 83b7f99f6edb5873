package kernel

import "golang.org/x/sys/cpu"

// detect returns the widest instruction set that processor and operating system offer.
func detect() isa {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512DQ && x.HasAVX2 && x.HasFMA:
		return avx512
	case x.HasAVX2 && x.HasFMA:
		return avx2
	}
	return portable
}

// multiplies tells whether the set, on this processor, multiplies elements as they are.
func (s isa) multiplies(e element) bool {
	switch e {
	case elementBFloat16:
		return s == avx512 && cpu.X86.HasAVX512BF16
	case elementHalf:
		return s == avx2 && cpu.X86.HasF16C
	case elementUint8:
		return s != avx512 || cpu.X86.HasAVX512VNNI
	}
	return true
}
