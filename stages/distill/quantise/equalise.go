package quantise

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// equalise makes the channels between two consecutive layers equally large, as seen from both sides (cross-layer
// equalisation, Nagel et al. 2019, arXiv:1906.04721, 4.1): channel i of the first is divided by s = √(a·b)/b, and what the
// second takes of it multiplied, where a and b are the largest weights on either side. Between them may lie a ReLU, which
// such a factor goes through. It returns how many pairs there were; the network computes the same. weights is changed.
func equalise(net *nn.Network, weights nn.Weights) int {
	users := map[string][]nn.Layer{}
	for _, l := range net.Layers() {
		for _, in := range l.Inputs {
			users[in] = append(users[in], l)
		}
	}
	outputs := map[string]bool{}
	for _, l := range net.Outputs() {
		outputs[l.Name] = true
	}
	pairs := 0
	for _, l := range net.Layers() {
		if _, ok := l.Op.(nn.Conv); !ok {
			if _, ok := l.Op.(nn.Dense); !ok {
				continue
			}
		}
		next := l
		for !outputs[next.Name] && len(users[next.Name]) == 1 {
			next = users[next.Name][0]
			if a, ok := next.Op.(nn.Activation); !ok || a.Function != kernel.ReLU && a.Function != kernel.None {
				break
			}
		}
		if balance(net, weights, l, next) {
			pairs++
		}
	}
	return pairs
}

// balance equalises a pair, if it is one.
func balance(net *nn.Network, weights nn.Weights, first, second nn.Layer) bool {
	if first.Name == second.Name {
		return false
	}
	channels := net.Shape(first.Name).Channels()
	var column func(c int) []int // places in the second weight that take a channel
	name := func(l nn.Layer, r nn.Role) string { return nn.Parameter{Layer: l.Name, Role: r}.Name() }
	after := weights[name(second, nn.Weight)]
	switch op := second.Op.(type) {
	case nn.Conv:
		perGroup := after.Shape[3]
		switch groups := max(op.Groups, 1); {
		case groups == 1 && perGroup == channels:
			column = func(c int) []int {
				var at []int
				for i := c; i < len(after.Data); i += channels {
					at = append(at, i)
				}
				return at
			}
		case groups == channels && op.Out == channels:
			each := len(after.Data) / channels
			column = func(c int) []int {
				at := make([]int, each)
				for i := range at {
					at[i] = c*each + i
				}
				return at
			}
		default:
			return false
		}
	case nn.Dense:
		if after.Shape[1] != channels {
			return false
		}
		column = func(c int) []int {
			var at []int
			for i := c; i < len(after.Data); i += channels {
				at = append(at, i)
			}
			return at
		}
	default:
		return false
	}
	before := weights[name(first, nn.Weight)]
	bias := weights[name(first, nn.Bias)]
	own := func(t nn.Tensor) nn.Tensor { return nn.Tensor{Shape: t.Shape, Data: append([]float32(nil), t.Data...)} }
	before, after = own(before), own(after)
	each := len(before.Data) / channels
	if bias.Data != nil {
		bias = own(bias)
	}
	for c := range channels {
		row, at := before.Data[c*each:(c+1)*each], column(c)
		var a, b float64
		for _, v := range row {
			a = max(a, math.Abs(float64(v)))
		}
		for _, i := range at {
			b = max(b, math.Abs(float64(after.Data[i])))
		}
		s := math.Sqrt(a*b) / b
		if !(s > 1e-4 && s < 1e4) {
			continue
		}
		for i := range row {
			row[i] = float32(float64(row[i]) / s)
		}
		if bias.Data != nil {
			bias.Data[c] = float32(float64(bias.Data[c]) / s)
		}
		for _, i := range at {
			after.Data[i] = float32(float64(after.Data[i]) * s)
		}
	}
	weights[name(first, nn.Weight)], weights[name(second, nn.Weight)] = before, after
	if bias.Data != nil {
		weights[name(first, nn.Bias)] = bias
	}
	return true
}
