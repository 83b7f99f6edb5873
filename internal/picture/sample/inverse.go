package sample

// The inverse DCT is the accurate integer one of the Independent JPEG Group
// (jidctint): Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT
// algorithms with 11 multiplications" (ICASSP 1989), with constants of 13 bits
// and 2 extra bits between the passes. Integer sums are exact, so any order of
// them gives the same samples.
const (
	constBits = 13
	passBits  = 2

	fix0298 = 2446  // 0.298631336 · 2¹³, and so on
	fix0390 = 3196  // 0.390180644
	fix0541 = 4433  // 0.541196100
	fix0765 = 6270  // 0.765366865
	fix0899 = 7373  // 0.899976223
	fix1175 = 9633  // 1.175875602
	fix1501 = 12299 // 1.501321110
	fix1847 = 15137 // 1.847759065
	fix1961 = 16069 // 1.961570560
	fix2053 = 16819 // 2.053119869
	fix2562 = 20995 // 2.562915447
	fix3072 = 25172 // 3.072711026
)

// Inverse transforms dequantised coefficients, row-major, to an 8×8 block of
// samples at out, rows stride apart. The coefficients are destroyed.
func Inverse(out []uint8, stride int, coefficients *[64]int32) {
	_ = out[7*stride+7]
	if vectors() {
		inverseAVX2(&out[0], stride, coefficients)
		return
	}
	inverse(out, stride, coefficients)
}

func inverse(out []uint8, stride int, in *[64]int32) {
	columns(in)
	for y := range 8 {
		row := in[8*y : 8*y+8 : 8*y+8]
		o := out[y*stride : y*stride+8 : y*stride+8]

		z2, z3 := row[2], row[6]
		z1 := (z2 + z3) * fix0541
		t2, t3 := z1-z3*fix1847, z1+z2*fix0765
		t0, t1 := (row[0]+row[4])<<constBits, (row[0]-row[4])<<constBits
		const bias = 1<<(constBits+passBits+2) + 128<<(constBits+passBits+3)
		e0, e3, e1, e2 := t0+t3+bias, t0-t3+bias, t1+t2+bias, t1-t2+bias
		o0, o1, o2, o3 := odd(row[7], row[5], row[3], row[1])

		const shift = constBits + passBits + 3
		o[0], o[7] = Clamp((e0+o3)>>shift), Clamp((e0-o3)>>shift)
		o[1], o[6] = Clamp((e1+o2)>>shift), Clamp((e1-o2)>>shift)
		o[2], o[5] = Clamp((e2+o1)>>shift), Clamp((e2-o1)>>shift)
		o[3], o[4] = Clamp((e3+o0)>>shift), Clamp((e3-o0)>>shift)
	}
}

// columns is the first pass, in place.
func columns(in *[64]int32) {
	for x := range 8 {
		if in[8+x]|in[16+x]|in[24+x]|in[32+x]|in[40+x]|in[48+x]|in[56+x] == 0 {
			dc := in[x] << passBits
			in[x], in[8+x], in[16+x], in[24+x], in[32+x], in[40+x], in[48+x], in[56+x] = dc, dc, dc, dc, dc, dc, dc, dc
			continue
		}
		z2, z3 := in[16+x], in[48+x]
		z1 := (z2 + z3) * fix0541
		t2, t3 := z1-z3*fix1847, z1+z2*fix0765
		t0, t1 := (in[x]+in[32+x])<<constBits, (in[x]-in[32+x])<<constBits
		const bias = 1 << (constBits - passBits - 1)
		e0, e3, e1, e2 := t0+t3+bias, t0-t3+bias, t1+t2+bias, t1-t2+bias
		o0, o1, o2, o3 := odd(in[56+x], in[40+x], in[24+x], in[8+x])

		const shift = constBits - passBits
		in[x], in[56+x] = (e0+o3)>>shift, (e0-o3)>>shift
		in[8+x], in[48+x] = (e1+o2)>>shift, (e1-o2)>>shift
		in[16+x], in[40+x] = (e2+o1)>>shift, (e2-o1)>>shift
		in[24+x], in[32+x] = (e3+o0)>>shift, (e3-o0)>>shift
	}
}

// odd is the odd part of both passes: of inputs 7, 5, 3, 1.
func odd(t0, t1, t2, t3 int32) (o0, o1, o2, o3 int32) {
	z1, z2, z3, z4 := t0+t3, t1+t2, t0+t2, t1+t3
	z5 := (z3 + z4) * fix1175
	z1, z2, z3, z4 = -z1*fix0899, -z2*fix2562, z5-z3*fix1961, z5-z4*fix0390
	return t0*fix0298 + z1 + z3, t1*fix2053 + z2 + z4, t2*fix3072 + z2 + z3, t3*fix1501 + z1 + z4
}

// Flat fills an 8×8 block whose only coefficient is the first.
func Flat(out []uint8, stride int, dc int32) {
	v := Clamp((dc<<passBits+1<<(passBits+2))>>(passBits+3) + 128)
	for y := range 8 {
		o := out[y*stride : y*stride+8 : y*stride+8]
		for x := range o {
			o[x] = v
		}
	}
}
