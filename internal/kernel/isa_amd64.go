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

// features lists what the processor offers of that the kernels use.
func features() []Feature {
	x := &cpu.X86
	return []Feature{
		{"AVX2 and FMA", x.HasAVX2 && x.HasFMA, "float32 on 8 numbers at once"},
		{"F16C", x.HasF16C, "weights stored in 16 bits without AVX-512"},
		{"AVX-512", detect() == avx512, "float32 on 16 numbers at once"},
		{"AVX-512 BF16", x.HasAVX512BF16, "products of bfloat16"},
		{"AVX-512 VNNI", x.HasAVX512VNNI, "products of int8"},
	}
}
