package nn

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Passage is a layer that all ways from the inputs to the outputs go through: its output alone
// decides those of the network, so that the network can be parted there.
type Passage struct {
	Layer string
	Shape Shape // of its output
	// MultiplyAdds are those of the layers up to this one that the output needs; see
	// [Network.MultiplyAdds].
	MultiplyAdds int64
}

// Cuts lists the network's passages in order, from the input, if it is the only one, to the last
// before the first of the outputs.
func (n *Network) Cuts() []Passage {
	needed := n.needed(n.outputs...)
	lastUse, lastInput := make([]int, len(n.layers)), 0
	for i, l := range n.layers {
		if _, ok := l.Op.(Input); ok && needed[l.Name] {
			lastInput = i
		}
		for _, input := range l.Inputs {
			if needed[l.Name] {
				lastUse[n.index[input]] = i
			}
		}
	}
	first := len(n.layers) - 1
	for _, name := range n.outputs {
		first = min(first, n.index[name])
	}
	var out []Passage
	var below int64
	reach := 0 // the last use of a layer so far
	for i, l := range n.layers[:first] {
		if !needed[l.Name] {
			continue
		}
		below += n.LayerMultiplyAdds(l)
		if i >= reach && i >= lastInput {
			out = append(out, Passage{Layer: l.Name, Shape: n.Shape(l.Name), MultiplyAdds: below})
		}
		reach = max(reach, lastUse[i])
	}
	return out
}

// Above returns the part of the network above a passage, with an [Input] of that layer's name and
// shape in its place: what [Network.Cut] leaves. The name may be a scope's, as in [Network.Find]. It
// is an error if the layer is no passage, or an output itself.
func (n *Network) Above(name string) (*Network, error) {
	l, ok := n.Find(name)
	if !ok {
		return nil, fmt.Errorf("there is no layer %q", name)
	}
	if !slices.ContainsFunc(n.Cuts(), func(p Passage) bool { return p.Layer == l.Name }) {
		return nil, fmt.Errorf("layer %q: the network cannot be parted there: its output is not the only way on to %s", l.Name, quoted(n.outputs))
	}
	needed := n.needed(n.outputs...)
	at := n.index[l.Name]
	layers := []Layer{{Name: l.Name, Op: Input{Shape: n.Shape(l.Name)}}}
	for _, l := range n.layers[at+1:] {
		if needed[l.Name] {
			layers = append(layers, l)
		}
	}
	return New(layers, n.outputs...)
}

// quoted lists names in quotes.
func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strconv.Quote(name)
	}
	return strings.Join(list, ", ")
}
