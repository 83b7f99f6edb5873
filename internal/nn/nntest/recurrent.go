package nntest

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// recurrent takes one token after the other.
func recurrent(l layer, y []float64, x [][]float64) {
	op := l.Op.(nn.Recurrent)
	in, u := l.inputs[0].Channels(), op.Units
	wide, tokens := op.Cell.Gates()*u, l.inputs[0][0]
	weight, state := l.parameter(nn.Weight, wide*in), l.parameter(nn.StateWeight, wide*u)
	bias, inner := l.parameter(nn.Bias, wide), l.parameter(nn.StateBias, wide)
	gate := func(x float64) float64 {
		if op.HardSigmoid {
			return min(max(0.2*x+0.5, 0), 1)
		}
		return 1 / (1 + math.Exp(-x))
	}
	h, c := make([]float64, u), make([]float64, u)
	for step := range tokens {
		at := step
		if op.Reverse {
			at = tokens - 1 - step
		}
		a, b := make([]float64, wide), make([]float64, wide)
		for i := range wide {
			a[i], b[i] = float64(bias[i]), float64(inner[i])
			for j := range in {
				a[i] += float64(weight[i*in+j]) * x[0][at*in+j]
			}
			for j := range u {
				b[i] += float64(state[i*u+j]) * h[j]
			}
		}
		for j := range u {
			if op.Cell == kernel.GRU {
				n := math.Tanh(a[2*u+j] + gate(a[j]+b[j])*b[2*u+j])
				z := gate(a[u+j] + b[u+j])
				h[j] = (1-z)*n + z*h[j]
				continue
			}
			c[j] = gate(a[u+j]+b[u+j])*c[j] + gate(a[j]+b[j])*math.Tanh(a[2*u+j]+b[2*u+j])
			h[j] = gate(a[3*u+j]+b[3*u+j]) * math.Tanh(c[j])
		}
		if !op.Last {
			copy(y[at*u:], h)
		}
	}
	if op.Last {
		copy(y, h)
	}
}
