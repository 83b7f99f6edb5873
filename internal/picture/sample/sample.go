package sample

// Clamp bounds a value to 0 … 255.
func Clamp(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^v >> 31)
	}
	return uint8(v)
}

// Weigh weighs a row of samples three to one with its neighbour:
// out = 3·own + near. All are of one length.
func Weigh(out []int16, own, near []uint8) {
	out, near = out[:len(own)], near[:len(own)]
	done := 0
	if vectors() && len(own) >= 16 {
		done = len(own) &^ 15
		weighAVX2(&out[0], &own[0], &near[0], done)
	}
	weigh(out[done:], own[done:], near[done:])
}

func weigh(out []int16, own, near []uint8) {
	for i, s := range own {
		out[i] = 3*int16(s) + int16(near[i])
	}
}

// Double makes two samples of each of sums[1 : n+1], weighing it three to one
// with the sum before it and after it, adding even or odd, and dividing by
// 1<<shift. out has 2·n samples, sums n+2.
func Double(out []uint8, sums []int16, even, odd int16, shift uint) {
	n := len(out) / 2
	sums = sums[:n+2]
	done := 0
	if vectors() && n >= 16 {
		done = n &^ 15
		doubleAVX2(&out[0], &sums[0], done, even, odd, uint64(shift))
	}
	double(out[2*done:], sums[done:], even, odd, shift)
}

func double(out []uint8, sums []int16, even, odd int16, shift uint) {
	before, here := sums[0], sums[1]
	for i := 0; i+1 < len(out); i += 2 {
		after := sums[i/2+2]
		out[i] = uint8((3*here + before + even) >> shift)
		out[i+1] = uint8((3*here + after + odd) >> shift)
		before, here = here, after
	}
}

// The coefficients of JFIF's YCbCr in 16-bit fixed point, rounded as libjpeg
// does.
const (
	colourBits = 16
	crToRed    = 91881  // 1.40200
	cbToGreen  = -22554 // −0.34414
	crToGreen  = -46802 // −0.71414
	cbToBlue   = 116130 // 1.77200
)

// RGB converts a row of luma and chroma to 3 bytes a pixel.
func RGB(out, luma, cb, cr []uint8) {
	n := len(luma)
	out, cb, cr = out[:3*n], cb[:n], cr[:n]
	done := 0
	// The assembly stores 4 bytes beyond the 8 pixels at hand.
	if vectors() && n >= 10 {
		done = (n - 2) &^ 7
		rgbAVX2(&out[0], &luma[0], &cb[0], &cr[0], done)
	}
	rgb(out[3*done:], luma[done:], cb[done:], cr[done:])
}

func rgb(out, luma, cb, cr []uint8) {
	for x, l := range luma {
		y, u, v := int32(l)<<colourBits+1<<(colourBits-1), int32(cb[x])-128, int32(cr[x])-128
		o := out[3*x : 3*x+3 : 3*x+3]
		o[0] = Clamp((y + crToRed*v) >> colourBits)
		o[1] = Clamp((y + cbToGreen*u + crToGreen*v) >> colourBits)
		o[2] = Clamp((y + cbToBlue*u) >> colourBits)
	}
}
