package kernel

import "math"

// sweep computes rows of dst, each element from those at its place in x, y, z, u and v. The start
// of a row lies step elements after that of the row before; a step of zero takes the same row
// again.
//
// The assembly reads this struct at the offsets that vector_test.go pins.
type sweep struct {
	dst, x, y, z, u, v []float32
	step               [6]int // of dst, x, y, z, u, v
	n, rows            int
	low, high          float32
}

// operation is what a sweep computes.
type operation uint8

const (
	opAdd             operation = iota // dst = bound(x + y, low, high)
	opCopy                             // dst = x
	opMul                              // dst = x·y
	opMulAdd                           // dst += x·y
	opAccumulate                       // dst += x
	opMaximum                          // dst = max(dst, x); a NaN wins
	opMaximumUint8                     // dst = max(dst, x), of four bytes in each element
	opMaximumBFloat16                  // dst = max(dst, x), of two bfloat16 in each element
	opScale                            // dst = x·low
	opScaleShift                       // dst = bound(x·y + z, low, high)
	opAddSquare                        // dst += (x - y)²
	opAddCentred                       // dst += x·(y - z)
	opCombine                          // dst = x·y + z·u + v
	opRoute                            // dst += z and z = 0 where x = y, or one is not a number
	opBound                            // dst = bound(x, low, high)
	opBoundBackward                    // dst = x where low < y < high, 0 elsewhere
	opSiLU                             // dst = silu(x), and so on
	opHardSwish
	opSigmoid
	opTanh
	opGELU
	opGELUTanh
	opQuickGELU
	opSiLUBackward // dst = x·silu′(y), and so on
	opHardSwishBackward
	opSigmoidBackward
	opTanhBackward
	opGELUBackward
	opGELUTanhBackward
	opQuickGELUBackward
	opExp2          // dst = 2^((x - y)·low), not below 2^exp2Low
	opRescale       // dst = x·low + (z·high + y), each sum rounded once
	opRescaleAdd    // dst = x·low + (z·high + y) + u
	opAddNormalised // dst += x·((y - low)·high)
)

// exp2Low is the least exponent of [opExp2].
const exp2Low = -125

// operands is the number of slices of each operation, dst included.
var operands = [...]int{
	opAdd: 3, opCopy: 2, opMul: 3, opMulAdd: 3, opAccumulate: 2, opMaximum: 2, opMaximumUint8: 2, opMaximumBFloat16: 2, opScale: 2, opScaleShift: 4,
	opAddSquare: 3, opAddCentred: 4, opCombine: 6, opRoute: 4, opBound: 2, opBoundBackward: 3,
	opSiLU: 2, opHardSwish: 2, opSigmoid: 2, opTanh: 2, opGELU: 2, opGELUTanh: 2, opQuickGELU: 2,
	opSiLUBackward: 3, opHardSwishBackward: 3, opSigmoidBackward: 3, opTanhBackward: 3, opGELUBackward: 3,
	opGELUTanhBackward: 3, opQuickGELUBackward: 3, opExp2: 3, opRescale: 4, opRescaleAdd: 5, opAddNormalised: 3,
}

// do runs the sweep.
func (s *sweep) do(set isa, o operation) {
	if s.n <= 0 || s.rows <= 0 {
		return
	}
	all := [...][]float32{s.dst, s.x, s.y, s.z, s.u, s.v}
	for i, x := range all[:operands[o]] {
		_ = x[(s.rows-1)*s.step[i]+s.n-1] // the assembly does not look
	}
	if !s.assembly(set, o) {
		s.plain(o)
	}
}

// plain is the sweep in plain Go.
func (s *sweep) plain(o operation) {
	for i := range s.rows {
		rows := [...][]float32{s.dst, s.x, s.y, s.z, s.u, s.v}
		for k := range rows[:operands[o]] {
			rows[k] = rows[k][i*s.step[k]:][:s.n]
		}
		plainRow(o, rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], s.low, s.high)
	}
}

func plainRow(o operation, dst, x, y, z, u, v []float32, low, high float32) {
	x = x[:len(dst)]
	switch o {
	case opAdd:
		for i := range dst {
			dst[i] = bound(x[i]+y[i], low, high)
		}
	case opCopy:
		copy(dst, x)
	case opMul:
		for i := range dst {
			dst[i] = x[i] * y[i]
		}
	case opMulAdd:
		for i := range dst {
			dst[i] += x[i] * y[i]
		}
	case opAccumulate:
		for i := range dst {
			dst[i] += x[i]
		}
	case opMaximum:
		for i, a := range x {
			if a > dst[i] || a != a {
				dst[i] = a
			}
		}
	case opMaximumUint8:
		for i, a := range x {
			dst[i] = maximumOfParts(dst[i], a, 8, 0)
		}
	case opMaximumBFloat16:
		for i, a := range x {
			dst[i] = maximumOfParts(dst[i], a, 16, 0x7fff)
		}
	case opScale:
		for i := range dst {
			dst[i] = x[i] * low
		}
	case opScaleShift:
		for i := range dst {
			dst[i] = bound(x[i]*y[i]+z[i], low, high)
		}
	case opAddSquare:
		for i := range dst {
			d := x[i] - y[i]
			dst[i] += d * d
		}
	case opAddCentred:
		for i := range dst {
			dst[i] += x[i] * (y[i] - z[i])
		}
	case opCombine:
		for i := range dst {
			dst[i] = x[i]*y[i] + z[i]*u[i] + v[i]
		}
	case opRoute:
		for i, a := range x {
			if !(a < y[i] || a > y[i]) {
				dst[i] += z[i]
				z[i] = 0
			}
		}
	case opBound:
		for i := range dst {
			dst[i] = bound(x[i], low, high)
		}
	case opBoundBackward:
		for i, a := range y {
			if a > low && a < high {
				dst[i] = x[i]
			} else {
				dst[i] = 0
			}
		}
	case opExp2:
		for i, a := range x {
			dst[i] = float32(math.Exp2(max(float64(a-y[i])*float64(low), exp2Low)))
		}
	case opRescale:
		for i, a := range x {
			dst[i] = fma(a, low, fma(z[i], high, y[i]))
		}
	case opRescaleAdd:
		for i, a := range x {
			dst[i] = fma(a, low, fma(z[i], high, y[i])) + u[i]
		}
	case opAddNormalised:
		for i, a := range x {
			dst[i] += a * ((y[i] - low) * high)
		}
	case opSiLU, opHardSwish, opSigmoid, opTanh, opGELU, opGELUTanh, opQuickGELU:
		act := [...]Activation{SiLU, HardSwish, Sigmoid, Tanh, GELU, GELUTanh, QuickGELU}[o-opSiLU]
		for i, a := range x {
			dst[i] = act.of(a)
		}
	default:
		act := [...]Activation{SiLU, HardSwish, Sigmoid, Tanh, GELU, GELUTanh, QuickGELU}[o-opSiLUBackward]
		for i, a := range y {
			dst[i] = x[i] * act.slope(a)
		}
	}
}

// scaleInto computes dst = a·factor.
func scaleInto(set isa, dst, a []float32, factor float32) {
	s := sweep{dst: dst, x: a, n: len(dst), rows: 1, low: factor}
	s.do(set, opScale)
}

// activateInto computes dst = act(src).
func activateInto(set isa, act Activation, dst, src []float32) {
	s := sweep{dst: dst, x: src, n: len(dst), rows: 1}
	s.activate(set, act)
}

// activate sets dst to the activation of x.
func (s *sweep) activate(set isa, act Activation) {
	if act == None || act == ReLU || act == ReLU6 {
		s.low, s.high, _ = act.clamp()
		s.do(set, opBound)
		return
	}
	s.do(set, opSiLU+operation(act.curve()))
}

// curve numbers the activations that are no bounds.
func (a Activation) curve() int {
	switch a {
	case SiLU:
		return 0
	case HardSwish:
		return 1
	case Sigmoid:
		return 2
	case Tanh:
		return 3
	case GELU:
		return 4
	case GELUTanh:
		return 5
	case QuickGELU:
		return 6
	}
	panic("kernel: " + a.String())
}

func activateBackwardInto(set isa, act Activation, dsrc, ddst, src []float32) {
	s := sweep{dst: dsrc, x: ddst, y: src, n: len(dsrc), rows: 1}
	switch act {
	case None:
		copy(dsrc, ddst)
	case ReLU, ReLU6:
		s.low, s.high, _ = act.clamp()
		s.do(set, opBoundBackward)
	default:
		s.do(set, opSiLUBackward+operation(act.curve()))
	}
}

// maximumOfParts returns the greater of each two parts of so many bits. Parts below zero have the bits
// of flip inverted, so that those of bfloat16 are in order; without flip parts have no sign.
func maximumOfParts(a, b float32, width int, flip uint32) float32 {
	x, y, result := math.Float32bits(a), math.Float32bits(b), uint32(0)
	mask := uint32(1)<<width - 1
	ordered := func(part uint32) uint32 {
		if flip == 0 {
			return part
		}
		if part > flip {
			return part ^ mask // of those below zero the greatest are the least, and the sign goes
		}
		return part | (flip + 1)
	}
	for at := 0; at < 32; at += width {
		p, q := x>>at&mask, y>>at&mask
		if ordered(q) > ordered(p) {
			p = q
		}
		result |= p << at
	}
	return math.Float32frombits(result)
}
