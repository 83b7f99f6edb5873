package adapter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Bottleneck puts adapters after layers. Its zero value narrows to an eighth, with ReLU.
type Bottleneck struct {
	Reduction  int               // channels of the layer for each of the bottleneck's, at least 1; 0 means 8
	Activation kernel.Activation // None means ReLU
}

// Apply puts an adapter after each of the named layers, maps or vectors, and returns the weights of
// the whole: those given, and those of the adapters. Names may be scopes, as in [nn.Network.Find];
// [Blocks] lists the usual ones. Up-projections are zero.
func (a Bottleneck) Apply(net *nn.Network, weights nn.Weights, after []string, seed uint64) (*nn.Network, nn.Weights, error) {
	if a.Reduction == 0 {
		a.Reduction = 8
	}
	if a.Activation == kernel.None {
		a.Activation = kernel.ReLU
	}
	if a.Reduction < 1 {
		return nil, nil, fmt.Errorf("adapters: reduction %d: must be at least 1", a.Reduction)
	}
	return graft(net, weights, after, seed, func(e *edit, l nn.Layer) (string, error) {
		shape := net.Shape(l.Name)
		x := e.add(l.Name, down, pointwise(shape, max(shape.Channels()/a.Reduction, 1)), l.Name)
		x = e.add(l.Name, "activation", nn.Activation{Function: a.Activation}, x)
		x = e.add(l.Name, up, pointwise(shape, shape.Channels()), x)
		return e.add(l.Name, sum, nn.Add{}, l.Name, x), nil
	})
}

// pointwise is a 1×1 convolution of maps, or a dense layer, with a bias.
func pointwise(shape nn.Shape, out int) nn.Op {
	if len(shape) == 3 {
		return nn.Conv{Out: out, Kernel: nn.Square(1), Bias: true}
	}
	return nn.Dense{Out: out, Bias: true}
}

// LowRank puts adapters beside convolutions and dense layers. Its zero value has rank 4.
type LowRank struct {
	Rank  int     // at least 1; 0 means 4
	Alpha float64 // the adapter's output is multiplied by Alpha/Rank; 0 means Rank, a factor of 1
}

// Apply puts an adapter beside each of the named layers and returns the weights of the whole: those
// given, and those of the adapters. The layers must be convolutions of one group or dense ones;
// [Projections] lists them. Up-projections are zero.
func (a LowRank) Apply(net *nn.Network, weights nn.Weights, beside []string, seed uint64) (*nn.Network, nn.Weights, error) {
	if a.Rank == 0 {
		a.Rank = 4
	}
	if a.Alpha == 0 {
		a.Alpha = float64(a.Rank)
	}
	if a.Rank < 1 || !(a.Alpha > 0) {
		return nil, nil, fmt.Errorf("adapters: rank %d, alpha %v: must be at least 1 and above 0", a.Rank, a.Alpha)
	}
	return graft(net, weights, beside, seed, func(e *edit, l nn.Layer) (string, error) {
		narrow, wide, ok := factors(l.Op, a.Rank)
		if !ok {
			return "", fmt.Errorf("%s has no adapter of low rank: want a convolution of one group or a dense layer", l.Op.Kind())
		}
		x := e.add(l.Name, down, narrow, l.Inputs[0])
		x = e.add(l.Name, up, wide, x)
		if factor := a.Alpha / float64(a.Rank); factor != 1 {
			x = e.add(l.Name, scale, nn.Scale{Factor: float32(factor)}, x)
		}
		return e.add(l.Name, sum, nn.Add{}, l.Name, x), nil
	})
}

// factors are the two layers whose product stands beside a layer.
func factors(op nn.Op, rank int) (narrow, wide nn.Op, ok bool) {
	switch op := op.(type) {
	case nn.Dense:
		return nn.Dense{Out: rank}, nn.Dense{Out: op.Out}, true
	case nn.Conv:
		wide = nn.Conv{Out: op.Out, Kernel: nn.Square(1)}
		op.Out, op.Bias = rank, false
		return op, wide, op.Groups <= 1
	}
	return nil, nil, false
}

// Blocks lists the layers after which bottlenecks usually stand: the outputs of residual blocks (of a transformer, both
// halves of each),
// with their activation if there is one, or, in a network without, the last map of each scope that
// stands at the top of the names.
func Blocks(net *nn.Network) []string {
	var out []string
	for i, l := range net.Layers() {
		if _, ok := l.Op.(nn.Add); !ok || len(net.Shape(l.Name)) < 2 { // of maps or tokens
			continue
		}
		out = append(out, activated(net.Layers()[i:]))
	}
	if len(out) > 0 {
		return out
	}
	last := map[string]string{}
	for _, l := range net.Layers() {
		top, _, scoped := strings.Cut(l.Name, ".")
		if scoped && len(net.Shape(l.Name)) == 3 {
			last[top] = l.Name
		}
	}
	for _, top := range net.Scopes() {
		if name, ok := last[top]; ok {
			out = append(out, name)
		}
	}
	return out
}

// activated returns the name of the activation that alone takes the first of the layers, or else of
// that layer.
func activated(layers []nn.Layer) string {
	name := layers[0].Name
	var takers []nn.Layer
	for _, l := range layers[1:] {
		if slices.Contains(l.Inputs, name) {
			takers = append(takers, l)
		}
	}
	if len(takers) == 1 {
		if _, ok := takers[0].Op.(nn.Activation); ok {
			return takers[0].Name
		}
	}
	return name
}

// Projections lists the layers that [LowRank] can adapt.
func Projections(net *nn.Network) []string {
	var out []string
	for _, l := range net.Layers() {
		if _, _, ok := factors(l.Op, 1); ok {
			out = append(out, l.Name)
		}
	}
	return out
}

// Names of an adapter's layers, in the scope of the layer it adapts.
const (
	scope = ".adapter."
	down  = "down"
	up    = "up"
	scale = "scale"
	sum   = "add"
)

// Added tells whether a layer, or a parameter, of that name belongs to an adapter.
func Added(name string) bool { return strings.Contains(name, scope) }

// edit is a network under reconstruction.
type edit struct{ layers []nn.Layer }

// add appends a layer to the adapter of another and returns its name.
func (e *edit) add(adapted, name string, op nn.Op, inputs ...string) string {
	e.layers = append(e.layers, nn.Layer{Name: adapted + scope + name, Op: op, Inputs: inputs})
	return adapted + scope + name
}

// graft rebuilds the network. After each of the named layers, put adds an adapter and returns the
// layer that those above are to take in its place.
func graft(net *nn.Network, weights nn.Weights, names []string, seed uint64, put func(*edit, nn.Layer) (string, error)) (*nn.Network, nn.Weights, error) {
	if err := net.Check(weights); err != nil {
		return nil, nil, fmt.Errorf("adapters: %w", err)
	}
	chosen := map[string]bool{}
	for _, name := range names {
		l, ok := net.Find(name)
		if !ok {
			return nil, nil, fmt.Errorf("adapters: there is no layer %q", name)
		}
		chosen[l.Name] = true
	}
	var e edit
	instead := map[string]string{}
	for _, l := range net.Layers() {
		l.Inputs = slices.Clone(l.Inputs)
		for i, input := range l.Inputs {
			if name, ok := instead[input]; ok {
				l.Inputs[i] = name
			}
		}
		e.layers = append(e.layers, l)
		if !chosen[l.Name] {
			continue
		}
		name, err := put(&e, l)
		if err != nil {
			return nil, nil, fmt.Errorf("adapters: layer %q: %w", l.Name, err)
		}
		instead[l.Name] = name
	}
	var outputs []string
	for _, l := range net.Outputs() {
		outputs = append(outputs, cmp.Or(instead[l.Name], l.Name))
	}
	adapted, err := nn.New(e.layers, outputs...)
	if err != nil {
		return nil, nil, fmt.Errorf("adapters: %w", err)
	}
	return adapted, complete(adapted, weights, seed), nil
}

// complete adds the weights of adapters to those given.
func complete(adapted *nn.Network, weights nn.Weights, seed uint64) nn.Weights {
	out := adapted.InitialiseSome(seed, func(p nn.Parameter) bool { _, given := weights[p.Name()]; return !given })
	for _, p := range adapted.Parameters() {
		if tensor, ok := weights[p.Name()]; ok {
			out[p.Name()] = tensor
		} else if strings.HasSuffix(p.Layer, scope+up) {
			clear(out[p.Name()].Data)
		}
	}
	return out
}
