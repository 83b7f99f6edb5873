package prune

import (
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Member is an output channel of a layer with weights.
type Member struct {
	Layer   string
	Channel int
}

// Channel is a set of coupled channels.
type Channel struct {
	id      int
	Members []Member // of convolutions and dense layers, depthwise ones too, and batch-norms, in the order of the layers
}

// Space are the channels that the same layers make.
type Space struct {
	Layers   []string // convolutions and dense layers that make the channels anew, in the order of the network
	Channels []Channel
}

// Coupling is which channels of a network belong together.
type Coupling struct {
	net    *nn.Network
	out    map[string][]int // by layer: the channel of each place of the last axis
	parent []int            // union-find
	fixed  map[int]bool     // roots; complete after couple
	spaces []Space
}

// Couple finds the channels of a network.
func Couple(net *nn.Network) *Coupling {
	c := &Coupling{net: net, out: map[string][]int{}, fixed: map[int]bool{}}
	var stay []int
	for _, l := range net.Layers() {
		stay = append(stay, c.layer(l)...)
	}
	for _, l := range net.Outputs() {
		stay = append(stay, c.out[l.Name]...)
	}
	for _, id := range stay {
		c.fixed[c.find(id)] = true
	}
	c.collect()
	return c
}

// Spaces are those whose channels may go.
func (c *Coupling) Spaces() []Space { return c.spaces }

// fresh are n channels that are coupled to none.
func (c *Coupling) fresh(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = len(c.parent)
		c.parent = append(c.parent, ids[i])
	}
	return ids
}

func (c *Coupling) find(id int) int {
	for c.parent[id] != id {
		c.parent[id] = c.parent[c.parent[id]]
		id = c.parent[id]
	}
	return id
}

// join couples channels place by place.
func (c *Coupling) join(a, b []int) {
	for i := range a {
		x, y := c.find(a[i]), c.find(b[i])
		c.parent[max(x, y)] = min(x, y)
	}
}

// makes tells whether a layer makes its channels anew, of all channels of its input.
func makes(l nn.Layer) bool {
	op, conv := l.Op.(nn.Conv)
	_, dense := l.Op.(nn.Dense)
	return dense || conv && op.Groups <= 1
}

// depthwise is how many channels a depthwise convolution makes of each; 0 for other layers.
func depthwise(net *nn.Network, l nn.Layer) int {
	op, ok := l.Op.(nn.Conv)
	if !ok || op.Groups < 2 {
		return 0
	}
	if in := net.InputShapes(l)[0].Channels(); op.Groups == in {
		return op.Out / in
	}
	return 0
}

// layer finds the channels of a layer's output, and returns those that must stay for its sake.
func (c *Coupling) layer(l nn.Layer) (stay []int) {
	shape := c.net.Shape(l.Name)
	channels := shape.Channels()
	var in []int
	if len(l.Inputs) > 0 {
		in = c.out[l.Inputs[0]]
	}
	out := func() []int {
		switch op := l.Op.(type) {
		case nn.Dense:
			return c.fresh(channels)
		case nn.Conv:
			if times := depthwise(c.net, l); times > 0 {
				ids := make([]int, 0, channels)
				for _, id := range in {
					ids = append(ids, slices.Repeat([]int{id}, times)...)
				}
				return ids
			}
			ids := c.fresh(channels)
			if op.Groups > 1 { // the channels of a group go together with those of the input: they stay
				stay = append(slices.Clone(in), ids...)
			}
			return ids
		case nn.BatchNorm, nn.Activation, nn.Scale, nn.MaxPool, nn.AveragePool, nn.ZeroPad, nn.GlobalAveragePool, nn.Dropout, nn.Affine, nn.GradientReversal, nn.L2Normalise:
			return in
		case nn.Add, nn.Multiply:
			for _, other := range l.Inputs[1:] {
				c.join(in, c.out[other])
			}
			return in
		case nn.Concat:
			var ids []int
			for _, input := range l.Inputs {
				ids = append(ids, c.out[input]...)
			}
			return ids
		case nn.Flatten:
			return slices.Repeat(in, channels/max(len(in), 1))
		case nn.Reshape:
			if before := c.net.InputShapes(l)[0]; before.Channels() == channels {
				return in
			}
		}
		for _, input := range l.Inputs { // what the op does with channels is not known here
			stay = append(stay, c.out[input]...)
		}
		ids := c.fresh(channels)
		stay = append(stay, ids...)
		return ids
	}()
	c.out[l.Name] = out
	return stay
}

// collect gathers the members of each channel that may go, and the spaces.
func (c *Coupling) collect() {
	members, makers := map[int][]Member{}, map[int][]string{}
	var order []int // roots, in the order in which they come
	for _, l := range c.net.Layers() {
		if len(c.net.LayerParameters(l)) == 0 {
			continue
		}
		anew := makes(l)
		for i, id := range c.out[l.Name] {
			root := c.find(id)
			if c.fixed[root] {
				continue
			}
			if members[root] == nil {
				order = append(order, root)
			}
			members[root] = append(members[root], Member{l.Name, i})
			if anew && !slices.Contains(makers[root], l.Name) {
				makers[root] = append(makers[root], l.Name)
			}
		}
	}
	at := map[string]int{}
	for _, root := range order {
		if len(makers[root]) == 0 {
			continue
		}
		key := strings.Join(makers[root], "\n")
		i, ok := at[key]
		if !ok {
			i = len(c.spaces)
			at[key] = i
			c.spaces = append(c.spaces, Space{Layers: makers[root]})
		}
		c.spaces[i].Channels = append(c.spaces[i].Channels, Channel{root, members[root]})
	}
}
