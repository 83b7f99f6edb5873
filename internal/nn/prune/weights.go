package prune

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// prunable lists the weights of convolutions and dense layers but for those that make the outputs: the last layer stays.
func (c *Coupling) prunable(keep func(layer string) bool) (out []nn.Parameter) {
	for _, l := range c.net.Layers() {
		last := makes(l) && slices.ContainsFunc(c.out[l.Name], func(id int) bool { return c.output(id) })
		for _, p := range c.net.LayerParameters(l) {
			if p.Role == nn.Weight && len(p.Shape) >= 2 && !last && (keep == nil || !keep(l.Name)) {
				out = append(out, p)
			}
		}
	}
	return out
}

// output tells whether a channel is one of the network's outputs.
func (c *Coupling) output(id int) bool {
	for _, l := range c.net.Outputs() {
		for _, other := range c.out[l.Name] {
			if c.find(id) == c.find(other) {
				return true
			}
		}
	}
	// Of a softmax, what it takes.
	for _, l := range c.net.Outputs() {
		if len(l.Inputs) == 1 && len(c.net.LayerParameters(l)) == 0 && slices.Contains(c.out[l.Inputs[0]], id) {
			return true
		}
	}
	return false
}

// Sparsify sets the share of the weights to 0 that are least in magnitude (Han et al. 2015, arXiv:1506.02626): of each layer, or of all
// together. Layers keep their shapes. It returns the weights and how many were set to 0 that were not.
func (c *Coupling) Sparsify(w nn.Weights, share float64, global bool, keep func(layer string) bool) (nn.Weights, int, error) {
	if !(share > 0 && share < 1) {
		return nil, 0, fmt.Errorf("ratio %v: must be above 0 and below 1", share)
	}
	out, set := copied(w), 0
	parameters := c.prunable(keep)
	var all []float32
	for _, p := range parameters {
		if global {
			all = append(all, w[p.Name()].Data...)
		}
	}
	limit := threshold(all, share)
	for _, p := range parameters {
		data := slices.Clone(w[p.Name()].Data)
		if !global {
			limit = threshold(data, share)
		}
		for i, x := range data {
			if float32(math.Abs(float64(x))) < limit && x != 0 {
				data[i] = 0
				set++
			}
		}
		out[p.Name()] = nn.Tensor{Shape: w[p.Name()].Shape, Data: data}
	}
	if set == 0 {
		return nil, 0, errors.New("no weight was set to 0")
	}
	return out, set, nil
}

// threshold is the magnitude below which a share of the numbers lies.
func threshold(x []float32, share float64) float32 {
	if len(x) == 0 {
		return 0
	}
	sizes := make([]float32, len(x))
	for i, v := range x {
		sizes[i] = float32(math.Abs(float64(v)))
	}
	slices.Sort(sizes)
	return sizes[min(int(share*float64(len(sizes))), len(sizes)-1)]
}

// TwoOfFour sets to 0, of each four weights side by side along a filter, the two that are least in magnitude: the pattern that sparse
// tensor cores take (Mishra et al. 2021, arXiv:2104.08378). Layers whose filters are no multiple of four long stay.
func (c *Coupling) TwoOfFour(w nn.Weights, keep func(layer string) bool) (nn.Weights, int, error) {
	out, set := copied(w), 0
	for _, p := range c.prunable(keep) {
		each := p.Shape.Size() / p.Shape[0]
		if each%4 != 0 {
			continue
		}
		data := slices.Clone(w[p.Name()].Data)
		for at := 0; at < len(data); at += 4 {
			four := data[at : at+4]
			order := []int{0, 1, 2, 3}
			slices.SortStableFunc(order, func(a, b int) int {
				x, y := math.Abs(float64(four[a])), math.Abs(float64(four[b]))
				switch {
				case x < y:
					return -1
				case x > y:
					return 1
				}
				return 0
			})
			for _, i := range order[:2] {
				if four[i] != 0 {
					four[i] = 0
					set++
				}
			}
		}
		out[p.Name()] = nn.Tensor{Shape: w[p.Name()].Shape, Data: data}
	}
	if set == 0 {
		return nil, 0, errors.New("no weight was set to 0: no layer but the last has filters whose length is a multiple of four")
	}
	return out, set, nil
}

// Nonzero counts the weights that are not 0, of all parameters that are trained.
func Nonzero(net *nn.Network, w nn.Weights) (n int64) {
	for _, p := range net.Parameters() {
		if !p.Role.Trained() {
			continue
		}
		for _, x := range w[p.Name()].Data {
			if x != 0 {
				n++
			}
		}
	}
	return n
}

func copied(w nn.Weights) nn.Weights {
	out := make(nn.Weights, len(w))
	for name, t := range w {
		out[name] = t
	}
	return out
}
