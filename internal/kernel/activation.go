package kernel

import (
	"fmt"
	"math"
)

// Activation is an element-wise function applied to an operation's output.
type Activation int

// The activations. GELU is the exact form, x·Φ(x); GELUTanh and QuickGELU approximate it, and networks that were trained with
// one of them need that one.
const (
	None      Activation = iota
	ReLU                 // max(x, 0)
	ReLU6                // min(max(x, 0), 6)
	SiLU                 // x·σ(x), also called swish
	HardSwish            // x·min(max(x+3, 0), 6)/6
	Sigmoid              // σ(x) = 1/(1+e⁻ˣ)
	Tanh                 //
	GELU                 // x·(1+erf(x/√2))/2
	GELUTanh             // x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2
	QuickGELU            // x·σ(1.702·x)
)

var activationNames = [...]string{"none", "relu", "relu6", "silu", "hardswish", "sigmoid", "tanh", "gelu", "gelu_tanh", "quick_gelu"}

// String returns the name in lower case: none, relu, relu6, silu, hardswish, sigmoid, tanh, gelu,
// gelu_tanh, quick_gelu.
func (a Activation) String() string {
	if a < 0 || int(a) >= len(activationNames) {
		return fmt.Sprintf("activation(%d)", int(a))
	}
	return activationNames[a]
}

// clamp splits the activation into bounds, which every kernel applies in its store, and a rest to
// be applied afterwards.
func (a Activation) clamp() (low, high float32, rest Activation) {
	infinity := float32(math.Inf(1))
	switch a {
	case ReLU:
		return 0, infinity, None
	case ReLU6:
		return 0, 6, None
	}
	return -infinity, infinity, a
}

// bound returns x between low and high; a NaN stays.
func bound(x, low, high float32) float32 {
	if x < low {
		return low
	}
	if x > high {
		return high
	}
	return x
}

// of returns the activation of x.
func (a Activation) of(x float32) float32 {
	switch a {
	case None:
		return x
	case ReLU:
		return bound(x, 0, float32(math.Inf(1)))
	case ReLU6:
		return bound(x, 0, 6)
	case SiLU:
		v := max(float64(x), siluZero)
		return float32(v * sigmoid(v))
	case HardSwish:
		return x * bound(x+3, 0, 6) * (1.0 / 6)
	case Sigmoid:
		return float32(sigmoid(float64(x)))
	case Tanh:
		return float32(math.Tanh(float64(x)))
	case GELU:
		return float32(float64(x) * normalCDF(float64(x)))
	case GELUTanh:
		v := max(float64(x), siluZero)
		return float32(v * sigmoid(geluTanhInner(v, 1)))
	case QuickGELU:
		v := max(float64(x), siluZero)
		return float32(v * sigmoid(quickGELU*v))
	}
	panic("kernel: " + a.String())
}

// slope returns the derivative of the activation at x. At the kinks of ReLU, ReLU6 and HardSwish it
// is what PyTorch takes: that of the flat side.
func (a Activation) slope(x float32) float32 {
	switch a {
	case None:
		return 1
	case ReLU:
		if x > 0 {
			return 1
		}
		return 0
	case ReLU6:
		if x > 0 && x < 6 {
			return 1
		}
		return 0
	case SiLU:
		v := max(float64(x), siluZero)
		s := sigmoid(v)
		return float32(s * (1 + v*(1-s)))
	case HardSwish:
		switch {
		case x <= -3:
			return 0
		case x < 3:
			return x*(1.0/3) + 0.5
		}
		return 1
	case Sigmoid:
		s := sigmoid(float64(x))
		return float32(s * (1 - s))
	case Tanh:
		t := math.Tanh(float64(x))
		return float32(1 - t*t)
	case GELU:
		v := float64(x)
		return float32(normalCDF(v) + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi))
	case GELUTanh:
		v := min(max(float64(x), -20), 20) // the slope is 0 or 1 long before
		s := sigmoid(geluTanhInner(v, 1))
		return float32(s + s*(1-s)*geluTanhInner(v, 3))
	case QuickGELU:
		v := quickGELU * max(float64(x), siluZero)
		s := sigmoid(v)
		return float32(s * (1 + v*(1-s)))
	}
	panic("kernel: " + a.String())
}

// siluZero is where SiLU is 0 in any precision; from there on it is, down to -∞.
const siluZero = -1000

// quickGELU is the factor in [QuickGELU].
const quickGELU = 1.702

// geluTanhInner is what the sigmoid of [GELUTanh] is taken of, (1+tanh(z))/2 being σ(2z); with three cubes it is x times the
// slope of that.
func geluTanhInner(x, cubes float64) float64 {
	return 2 * math.Sqrt(2/math.Pi) * x * (1 + cubes*0.044715*x*x)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// normalCDF is Φ, the distribution function of the standard normal distribution.
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
