package audio

import "math"

// transform computes the power spectrum of real samples, of an even number that has no prime factor above 5. It is the
// Fourier transform of half as many complex numbers (Stockham's order, which needs no reversal of bits), whose even and odd parts
// are then told apart. It is for one goroutine.
type transform struct {
	size     int
	passes   []pass
	turns    []complex128 // e^(−2πik/size), k up to size/4 and beyond to size/2
	from, to []complex128 // of length size/2, by turns input and output of a pass
}

// pass splits the transform of a length into radix of a shorter one.
type pass struct {
	radix, parts, stride int
	turns                []complex128 // of each part: e^(−2πi·part·k/length), k from 1 to radix−1
}

// fastSize tells whether a transform of so many samples can be made.
func fastSize(size int) bool {
	if size < 4 || size%2 != 0 {
		return false
	}
	for _, prime := range []int{2, 3, 5} {
		for size%prime == 0 {
			size /= prime
		}
	}
	return size == 1
}

func newTransform(size int) *transform {
	half := size / 2
	t := &transform{size: size, turns: make([]complex128, half/2+1), from: make([]complex128, half), to: make([]complex128, half)}
	for k := range t.turns {
		t.turns[k] = turn(k, size)
	}
	for length, stride := half, 1; length > 1; {
		p := pass{radix: radixOf(length), stride: stride}
		p.parts = length / p.radix
		for part := range p.parts {
			for k := 1; k < p.radix; k++ {
				p.turns = append(p.turns, turn(part*k, length))
			}
		}
		t.passes = append(t.passes, p)
		length, stride = p.parts, stride*p.radix
	}
	return t
}

func radixOf(length int) int {
	for _, radix := range []int{4, 5, 3} {
		if length%radix == 0 {
			return radix
		}
	}
	return 2
}

// turn is e^(−2πi·k/n).
func turn(k, n int) complex128 {
	sin, cos := math.Sincos(2 * math.Pi * float64(k%n) / float64(n))
	return complex(cos, -sin)
}

// power writes |X[k]|², k from 0 to size/2, of samples.
func (t *transform) power(dst, samples []float64) {
	half := t.size / 2
	from, to := t.from, t.to
	for i := range from {
		from[i] = complex(samples[2*i], samples[2*i+1])
	}
	for i := range t.passes {
		p := &t.passes[i]
		switch p.radix {
		case 4:
			p.four(to, from)
		case 5:
			p.five(to, from)
		case 3:
			p.three(to, from)
		default:
			p.two(to, from)
		}
		from, to = to, from
	}
	sum, difference := real(from[0])+imag(from[0]), real(from[0])-imag(from[0])
	dst[0], dst[half] = sum*sum, difference*difference
	for k := 1; k <= half/2; k++ {
		a, b := from[k], from[half-k]
		even := complex((real(a)+real(b))/2, (imag(a)-imag(b))/2)
		odd := complex((imag(a)+imag(b))/2, (real(b)-real(a))/2)
		odd *= t.turns[k]
		x, y := even+odd, even-odd // X[k], and the conjugate of X[half−k]
		dst[k] = real(x)*real(x) + imag(x)*imag(x)
		dst[half-k] = real(y)*real(y) + imag(y)*imag(y)
	}
}

func (p *pass) two(y, x []complex128) {
	s, apart := p.stride, p.stride*p.parts
	for part := range p.parts {
		w := p.turns[part]
		x0, x1 := x[s*part:][:s], x[s*part+apart:][:s]
		y0, y1 := y[2*s*part:][:s], y[2*s*part+s:][:s]
		for q := range s {
			a, b := x0[q], x1[q]
			y0[q], y1[q] = a+b, (a-b)*w
		}
	}
}

func (p *pass) three(y, x []complex128) {
	const sin = 0.86602540378443864676 // of a third of a turn
	s, apart := p.stride, p.stride*p.parts
	for part := range p.parts {
		w := p.turns[2*part:][:2]
		x0, x1, x2 := x[s*part:][:s], x[s*part+apart:][:s], x[s*part+2*apart:][:s]
		at := 3 * s * part
		y0, y1, y2 := y[at:][:s], y[at+s:][:s], y[at+2*s:][:s]
		for q := range s {
			a, sum, difference := x0[q], x1[q]+x2[q], x1[q]-x2[q]
			middle := complex(real(a)-real(sum)/2, imag(a)-imag(sum)/2)
			turned := complex(sin*imag(difference), -sin*real(difference))
			y0[q], y1[q], y2[q] = a+sum, (middle+turned)*w[0], (middle-turned)*w[1]
		}
	}
}

func (p *pass) four(y, x []complex128) {
	s, apart := p.stride, p.stride*p.parts
	for part := range p.parts {
		w1, w2, w3 := p.turns[3*part], p.turns[3*part+1], p.turns[3*part+2]
		x0, x1, x2, x3 := x[s*part:][:s], x[s*part+apart:][:s], x[s*part+2*apart:][:s], x[s*part+3*apart:][:s]
		at := 4 * s * part
		y0, y1, y2, y3 := y[at:][:s], y[at+s:][:s], y[at+2*s:][:s], y[at+3*s:][:s]
		for q := range s {
			a, b, c, d := x0[q]+x2[q], x0[q]-x2[q], x1[q]+x3[q], x1[q]-x3[q]
			turned := complex(imag(d), -real(d))
			y0[q], y1[q], y2[q], y3[q] = a+c, (b+turned)*w1, (a-c)*w2, (b-turned)*w3
		}
	}
}

func (p *pass) five(y, x []complex128) {
	const ( // cosines and sines of a fifth and of two fifths of a turn
		cos1, sin1 = 0.30901699437494742410, 0.95105651629515357212
		cos2, sin2 = -0.80901699437494742410, 0.58778525229247312917
	)
	s, apart := p.stride, p.stride*p.parts
	for part := range p.parts {
		w := p.turns[4*part:][:4]
		x0, x1, x2 := x[s*part:][:s], x[s*part+apart:][:s], x[s*part+2*apart:][:s]
		x3, x4 := x[s*part+3*apart:][:s], x[s*part+4*apart:][:s]
		at := 5 * s * part
		y0, y1, y2, y3, y4 := y[at:][:s], y[at+s:][:s], y[at+2*s:][:s], y[at+3*s:][:s], y[at+4*s:][:s]
		for q := range s {
			a := x0[q]
			b, e := x1[q]+x4[q], x1[q]-x4[q]
			c, d := x2[q]+x3[q], x2[q]-x3[q]
			near := complex(real(a)+cos1*real(b)+cos2*real(c), imag(a)+cos1*imag(b)+cos2*imag(c))
			far := complex(real(a)+cos2*real(b)+cos1*real(c), imag(a)+cos2*imag(b)+cos1*imag(c))
			nearTurned := complex(sin1*imag(e)+sin2*imag(d), -sin1*real(e)-sin2*real(d))
			farTurned := complex(sin2*imag(e)-sin1*imag(d), -sin2*real(e)+sin1*real(d))
			y0[q] = a + b + c
			y1[q], y4[q] = (near+nearTurned)*w[0], (near-nearTurned)*w[3]
			y2[q], y3[q] = (far+farTurned)*w[1], (far-farTurned)*w[2]
		}
	}
}
