package adapter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Merge takes the adapters of low rank out of a network and puts their product into the weights of
// the layers they stand beside. The outputs stay, up to rounding. Bottlenecks stay where they are.
func Merge(net *nn.Network, weights nn.Weights) (*nn.Network, nn.Weights, error) {
	if err := net.Check(weights); err != nil {
		return nil, nil, fmt.Errorf("merge adapters: %w", err)
	}
	ops := map[string]nn.Op{}
	for _, l := range net.Layers() {
		ops[l.Name] = l.Op
	}
	merged := func(name string) (beside string, ok bool) {
		beside, _, ok = strings.Cut(name, scope)
		_, bottleneck := ops[beside+scope+"activation"]
		return beside, ok && !bottleneck
	}
	var layers []nn.Layer
	out := weights.Select(net)
	for _, l := range net.Layers() {
		if beside, ok := merged(l.Name); ok {
			if strings.HasSuffix(l.Name, scope+up) {
				factor := float32(1)
				if s, ok := ops[beside+scope+scale].(nn.Scale); ok {
					factor = s.Factor
				}
				name := weightOf(beside)
				out[name] = addProduct(out[name], weights[weightOf(l.Name)], weights[weightOf(beside+scope+down)], factor)
			}
			continue
		}
		l.Inputs = slices.Clone(l.Inputs)
		for i, input := range l.Inputs {
			if beside, ok := merged(input); ok {
				l.Inputs[i] = beside
			}
		}
		layers = append(layers, l)
	}
	var outputs []string
	for _, l := range net.Outputs() {
		if beside, ok := merged(l.Name); ok {
			l.Name = beside
		}
		outputs = append(outputs, l.Name)
	}
	plain, err := nn.New(layers, outputs...)
	if err != nil {
		return nil, nil, fmt.Errorf("merge adapters: %w", err)
	}
	return plain, out.Select(plain), nil
}

func weightOf(layer string) string { return nn.Parameter{Layer: layer, Role: nn.Weight}.Name() }

// addProduct returns w + factor·wide·narrow, for w [out][…], wide [out][rank] and narrow [rank][…].
func addProduct(w, wide, narrow nn.Tensor, factor float32) nn.Tensor {
	out := nn.Tensor{Shape: w.Shape, Data: slices.Clone(w.Data)}
	rank := narrow.Shape[0]
	size := narrow.Shape.Size() / rank
	for o := range w.Shape[0] {
		row := out.Data[o*size : (o+1)*size]
		for r := range rank {
			f := factor * wide.Data[o*rank+r]
			for i, v := range narrow.Data[r*size : (r+1)*size] {
				row[i] += f * v
			}
		}
	}
	return out
}
