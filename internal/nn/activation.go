package nn

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Activation applies a function to each element.
type Activation struct {
	Function kernel.Activation
}

// Kind implements [Op].
func (Activation) Kind() string { return "activation" }

func (op Activation) on(inputs []Shape) (facts, error) {
	if op.Function < kernel.None || op.Function > kernel.QuickGELU {
		return facts{}, fmt.Errorf("unknown function %v", op.Function)
	}
	f, err := unchanged(inputs)
	f.expect = func(in []moment) moment { return momentAfter(op.Function, in[0]) }
	return f, err
}

type jsonActivation struct {
	Function string `json:"function"`
}

// MarshalJSON implements json.Marshaler: {"function": "relu6"}.
func (op Activation) MarshalJSON() ([]byte, error) {
	return json.Marshal(jsonActivation{op.Function.String()})
}

// UnmarshalJSON implements json.Unmarshaler.
func (op *Activation) UnmarshalJSON(data []byte) error {
	var in jsonActivation
	if err := strictly(data, &in); err != nil {
		return err
	}
	f, err := ParseActivation(in.Function)
	if err != nil {
		return err
	}
	op.Function = f
	return nil
}

// ParseActivation returns the activation of that name: none, relu, relu6, silu, hardswish, sigmoid,
// tanh, gelu, gelu_tanh, quick_gelu.
func ParseActivation(name string) (kernel.Activation, error) {
	for f := kernel.None; f <= kernel.QuickGELU; f++ {
		if f.String() == name {
			return f, nil
		}
	}
	return kernel.None, fmt.Errorf("unknown activation %q", name)
}

// rectifies tells whether the function cuts off about half of what it is given, so that the weights
// before it are drawn twice as wide.
func rectifies(f kernel.Activation) bool {
	switch f {
	case kernel.ReLU, kernel.ReLU6, kernel.SiLU, kernel.HardSwish, kernel.GELU, kernel.GELUTanh, kernel.QuickGELU:
		return true
	}
	return false
}

// momentAfter returns the moments of f(x) for a normal x of moments m, by the trapezoidal rule.
func momentAfter(f kernel.Activation, m moment) moment {
	const reach, steps = 8.0, 1600
	deviation := math.Sqrt(m.variance())
	var out moment
	for i := range steps + 1 {
		z := reach * (2*float64(i)/steps - 1)
		y := valueOf(f, m.mean+deviation*z)
		density := math.Exp(-z * z / 2)
		out.mean += y * density
		out.square += y * y * density
	}
	const unit = 2 * reach / steps
	out.mean *= unit / math.Sqrt(2*math.Pi)
	out.square *= unit / math.Sqrt(2*math.Pi)
	return out
}

// valueOf is the activation in float64: weights must not depend on the processor's kernels.
func valueOf(f kernel.Activation, x float64) float64 {
	switch f {
	case kernel.ReLU:
		return max(x, 0)
	case kernel.ReLU6:
		return min(max(x, 0), 6)
	case kernel.SiLU:
		return x / (1 + math.Exp(-x))
	case kernel.HardSwish:
		return x * min(max(x+3, 0), 6) / 6
	case kernel.Sigmoid:
		return 1 / (1 + math.Exp(-x))
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.GELU:
		return x * math.Erfc(-x/math.Sqrt2) / 2
	case kernel.GELUTanh:
		return x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) / 2
	case kernel.QuickGELU:
		return x / (1 + math.Exp(-1.702*x))
	}
	return x
}
