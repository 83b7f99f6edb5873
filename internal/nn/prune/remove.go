package prune

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Remove makes the network without the channels, and its weights of those of the network.
func (c *Coupling) Remove(gone []Channel, w nn.Weights) (*nn.Network, nn.Weights, error) {
	out := map[int]bool{}
	for _, channel := range gone {
		if c.fixed[channel.id] {
			return nil, nil, fmt.Errorf("channel %v must stay", channel.Members)
		}
		out[channel.id] = true
	}
	kept := map[string][]int{} // by layer: places of the last axis
	for name, ids := range c.out {
		for i, id := range ids {
			if !out[c.find(id)] {
				kept[name] = append(kept[name], i)
			}
		}
		if len(kept[name]) == 0 {
			return nil, nil, fmt.Errorf("layer %q would have no channel left", name)
		}
	}
	layers := slices.Clone(c.net.Layers())
	for i, l := range layers {
		layers[i].Op = c.op(l, kept)
	}
	var outputs []string
	for _, l := range c.net.Outputs() {
		outputs = append(outputs, l.Name)
	}
	net, err := nn.New(layers, outputs...)
	if err != nil {
		return nil, nil, fmt.Errorf("the network without its channels: %w", err)
	}
	weights := nn.Weights{}
	for _, l := range c.net.Layers() {
		for _, p := range c.net.LayerParameters(l) {
			weights[p.Name()] = c.tensor(l, p, w[p.Name()], kept)
		}
	}
	if err := net.Check(weights); err != nil {
		return nil, nil, fmt.Errorf("the network without its channels: %w", err)
	}
	return net, weights, nil
}

// op is what a layer does with the channels that are left.
func (c *Coupling) op(l nn.Layer, kept map[string][]int) nn.Op {
	n := len(kept[l.Name])
	switch op := l.Op.(type) {
	case nn.Conv:
		if depthwise(c.net, l) > 0 {
			op.Groups = len(kept[l.Inputs[0]])
		}
		op.Out = n
		return op
	case nn.Dense:
		op.Out = n
		return op
	case nn.Affine:
		op.Scale, op.Shift = pick(op.Scale, kept[l.Name]), pick(op.Shift, kept[l.Name])
		return op
	case nn.Reshape:
		shape := slices.Clone(op.Shape)
		shape[len(shape)-1] = n
		op.Shape = shape
		return op
	}
	return l.Op
}

// tensor is a parameter with the channels that are left.
func (c *Coupling) tensor(l nn.Layer, p nn.Parameter, t nn.Tensor, kept map[string][]int) nn.Tensor {
	rows := kept[l.Name]
	switch l.Op.(type) {
	case nn.Conv, nn.Dense, nn.BatchNorm:
	default:
		return t
	}
	if p.Role != nn.Weight {
		return nn.Tensor{Shape: nn.Shape{len(rows)}, Data: pick(t.Data, rows)}
	}
	columns := kept[l.Inputs[0]]
	inputs := t.Shape.Channels()
	if depthwise(c.net, l) > 0 || len(columns) == inputs {
		columns = nil // all of them
	}
	each := t.Shape.Size() / t.Shape[0]
	out := nn.Tensor{Shape: slices.Clone(t.Shape)}
	out.Shape[0] = len(rows)
	if columns != nil {
		out.Shape[len(out.Shape)-1] = len(columns)
	}
	for _, r := range rows {
		row := t.Data[r*each : (r+1)*each]
		if columns == nil {
			out.Data = append(out.Data, row...)
			continue
		}
		for at := 0; at < each; at += inputs {
			for _, k := range columns {
				out.Data = append(out.Data, row[at+k])
			}
		}
	}
	return out
}

// pick are the elements at these places.
func pick(x []float32, places []int) []float32 {
	out := make([]float32, len(places))
	for i, p := range places {
		out[i] = x[p]
	}
	return out
}

// Silence returns the weights with which the network gives what it gives without the channels: all that takes them takes 0.
func (c *Coupling) Silence(gone []Channel, w nn.Weights) nn.Weights {
	out, silent := nn.Weights{}, map[int]bool{}
	for _, channel := range gone {
		silent[channel.id] = true
	}
	for name, t := range w {
		out[name] = t
	}
	for _, l := range c.net.Layers() {
		if !makes(l) {
			continue
		}
		name := nn.Parameter{Layer: l.Name, Role: nn.Weight}.Name()
		t := nn.Tensor{Shape: w[name].Shape, Data: slices.Clone(w[name].Data)}
		inputs := t.Shape.Channels()
		for k, id := range c.out[l.Inputs[0]] {
			if silent[c.find(id)] {
				for at := k; at < len(t.Data); at += inputs {
					t.Data[at] = 0
				}
			}
		}
		out[name] = t
	}
	return out
}
