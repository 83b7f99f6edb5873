package frozen

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sourcegraph/conc/iter"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Options say how a program computes.
type Options struct {
	// Algorithm computes the 3×3 convolutions. The zero value takes the fastest for the size of the
	// network's maps, whatever the batch, so that an example's numbers do not depend on it;
	// kernel.Plain keeps to the definition.
	Algorithm kernel.Algorithm

	// Precision is the arithmetic of the convolutions, where it is faster than float32.
	Precision Precision

	// Ranges are those of the values of the network, for the precision Int8; see [Options.Calibrate].
	Ranges Ranges

	// Values are ranges by another name, in the place of Ranges: by the last layer that a value is the output of, such as the
	// activation after a convolution. Values without one stay float32.
	Values Ranges
	// Float are layers that compute in float32 whatever the precision.
	Float map[string]bool

	// Lengths are those of the axes of the network that vary; see [nn.Network.Bind]. Without them a network of which one axis
	// varies, that of the tokens, is compiled for [Session.RunSequences].
	Lengths []int

	largeMap int  // bytes; 0 for the constant
	apart    bool // every node is a step of its own, whose output is seen
	half     bool // weights have 16 bits, and values 32
}

// largeMap is the size in bytes from which on a map of one example is better worked on before the
// next example's is made: those of a batch would go through memory from layer to layer, while the
// weights, which are then read for each example, are few where maps are large.
const largeMap = 1 << 20

// Compile makes a program that computes the named layers of a network, which may be scopes, or the
// network's outputs when no name is given. Weights are copied; those of layers that are not needed
// are ignored, and what is wrong with the others is a *[nn.WeightsError].
func Compile(net *nn.Network, w nn.Weights, layers ...string) (*Program, error) {
	return Options{}.Compile(net, w, layers...)
}

// Compile is [Compile] with options.
func (o Options) Compile(net *nn.Network, w nn.Weights, layers ...string) (*Program, error) {
	_, p, err := o.compile(net, w, layers)
	return p, err
}

func (o Options) compile(net *nn.Network, w nn.Weights, layers []string) (*compilation, *Program, error) {
	if len(layers) == 0 {
		for _, l := range net.Outputs() {
			layers = append(layers, l.Name)
		}
	}
	c := &compilation{weights: w, algorithm: o.Algorithm, lowerings: lowerings(), values: map[string]*value{}}
	for _, name := range layers {
		l, ok := net.Find(name)
		if !ok {
			return nil, nil, fmt.Errorf("compile a network: there is no layer %q", name)
		}
		c.outputs = append(c.outputs, l.Name)
	}
	var err error
	if c.net, err = net.Cut(c.outputs...); err == nil && len(o.Lengths) > 0 {
		c.net, err = c.net.Bind(o.Lengths...)
	}
	packed := false
	if err == nil {
		packed, err = c.packs()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("compile a network: %w", err)
	}
	for _, name := range c.outputs {
		if e := c.net.Element(name); e != nn.Float32 {
			return nil, nil, fmt.Errorf("compile a network: layer %q holds %v: outputs are float32", name, e)
		}
	}
	if err := c.net.Check(w.Select(c.net)); err != nil {
		return nil, nil, fmt.Errorf("compile a network: %w", err)
	}
	for _, l := range c.net.Layers() {
		if err := c.lower(l); err != nil {
			return nil, nil, fmt.Errorf("compile a network: %w", err)
		}
	}
	if o.Precision == BFloat16 && !kernel.HasBFloat16() {
		o.half = true
	} else if o.Precision != Float32 {
		if err := c.reduce(reductionTo(o.Precision), o); err != nil {
			return nil, nil, fmt.Errorf("compile a network: %w", err)
		}
	}
	if !packed && !o.apart {
		c.joinSeparable()
	}
	c.place()
	if !packed {
		c.divide(cmp.Or(o.largeMap, largeMap))
	}
	p := &Program{packed: packed, most: c.net.MostTokens()}
	for _, l := range c.net.Inputs() {
		p.inputs = append(p.inputs, Port{l.Name, c.net.Shape(l.Name), c.net.Element(l.Name)})
		p.ids = append(p.ids, c.idsOf(l))
	}
	p.batch, p.thread = c.plan()
	for _, name := range c.outputs {
		p.outputs = append(p.outputs, output{Port{Name: name, Shape: c.net.Shape(name)}, c.values[name].view()})
	}
	emitted, err := iter.MapErr(c.nodes, func(n **node) ([]step, error) {
		steps, err := (*n).emit(o)
		if err != nil {
			return nil, fmt.Errorf("compile layer %q: %w", (*n).name, err)
		}
		return steps, nil
	})
	if err != nil {
		return nil, nil, err
	}
	for i, n := range c.nodes {
		if i == c.single {
			p.single = len(p.steps)
		}
		for _, s := range emitted[i] {
			p.steps = append(p.steps, s)
			p.layers = append(p.layers, n.beginning())
			p.rows = append(p.rows, n.out.varies())
		}
		n.end = len(p.steps)
	}
	if c.single == len(c.nodes) {
		p.single = len(p.steps)
	}
	return c, p, nil
}

// compilation is a network on its way to a program: layers are lowered to nodes, fused where they
// can be, and the nodes' values are given places in memory.
type compilation struct {
	net     *nn.Network
	weights nn.Weights
	outputs []string

	algorithm kernel.Algorithm
	lowerings map[string]lowering // by kind of layer

	sources int               // inputs so far
	values  map[string]*value // by layer
	nodes   []*node           // in the order of execution
	buffers []*buffer
	single  int // nodes that compute one example after the other; those after them compute a batch
}

// node is what one step will compute, or a few.
type node struct {
	name     string
	kind     *lowering
	op       nn.Op   // nil for a copy or a conversion
	element  element // that it computes with
	first    *node   // the pointwise convolution that is computed together with this depthwise one; nil if there is none
	in       []*value
	residual *value
	act      kernel.Activation
	out      *value
	wide     bool // it computes in float32 whatever the precision
	end      int  // how many steps the program has up to here, those of the node included

	weights []nn.Tensor // of other layers, in the order of their parameters

	// Convolutions, dense layers, batch-norms and scales end in an affine map of each channel:
	// a batch-norm is one, and one that follows is folded into it.
	weight       []float32
	scale, shift []float64
}

// value is the output of a node, or an input of the network, whose maker is nil.
type value struct {
	source            int // number of the input
	shape             nn.Shape
	element           element
	quantizationRange *quantizationRange // of uint8s
	maker             *node
	uses              int // layers that take it, and outputs of the network; while lowering

	home     *buffer
	channel  int // first channel in the home
	pitch    int // channels of the home as this value sees it
	lastRead int // index of the node that reads it last
}

func (v *value) channels() int { return max(v.shape.Channels(), 1) }
func (v *value) pixels() int   { return v.size() / v.channels() }
func (v *value) varies() bool  { return !v.shape.Fixed() }

// size is the number of elements of an example or, where tokens vary, of a token.
func (v *value) size() int { return sizeOf(v.shape) }

func sizeOf(s nn.Shape) int {
	n := 1
	for _, d := range s {
		n *= max(d, 1)
	}
	return n
}

// packs tells whether an axis of the network varies, and returns an error if it is not one, or a layer cannot take tokens of
// several examples side by side.
func (c *compilation) packs() (bool, error) {
	varies := false
	for _, l := range c.net.Layers() {
		shapes := append(c.net.InputShapes(l), c.net.Shape(l.Name))
		if !slices.ContainsFunc(shapes, func(s nn.Shape) bool { return !s.Fixed() }) {
			continue
		}
		varies = true
		for _, s := range shapes {
			if !s.Fixed() && (s[0] != -1 || !s[1:].Fixed()) || !c.lowerings[l.Op.Kind()].packs {
				return false, c.net.Fixed()
			}
		}
	}
	return varies, nil
}

// lower adds a layer to the nodes, or to an earlier node if it can be fused with it.
func (c *compilation) lower(l nn.Layer) error {
	kind, ok := c.lowerings[l.Op.Kind()]
	if !ok {
		return fmt.Errorf("layer %q: %s cannot be compiled", l.Name, l.Op.Kind())
	}
	var in []*value
	for _, name := range l.Inputs {
		in = append(in, c.values[name])
	}
	if kind.lower != nil {
		kind.lower(c, l, in)
	} else {
		c.add(l, &node{in: in})
	}
	return nil
}

// uses counts what takes a layer's output.
func (c *compilation) uses(l nn.Layer) int {
	n := 0
	for _, other := range c.net.Layers() {
		for _, input := range other.Inputs {
			if input == l.Name {
				n++
			}
		}
	}
	for _, name := range c.outputs {
		if name == l.Name {
			n++
		}
	}
	return n
}

// add makes a layer a node of its own.
func (c *compilation) add(l nn.Layer, n *node) {
	kind := c.lowerings[l.Op.Kind()]
	n.name, n.op, n.kind = l.Name, l.Op, &kind
	n.out = &value{shape: c.net.Shape(l.Name), maker: n, uses: c.uses(l)}
	c.nodes = append(c.nodes, n)
	c.values[l.Name] = n.out
}

// alias makes v the output of a layer that is no step of its own.
func (c *compilation) alias(l nn.Layer, v *value) {
	v.uses += c.uses(l) - 1
	c.values[l.Name] = v
}

// lowerResidual fuses the addition of two values with the convolution that makes one of them; that
// convolution then runs after the other value is there.
func (c *compilation) lowerResidual(l nn.Layer, in []*value) bool {
	if len(in) != 2 || in[0] == in[1] {
		return false
	}
	if c.made(in[0]) > c.made(in[1]) {
		in = []*value{in[1], in[0]}
	}
	for i := 1; i >= 0; i-- { // rather the later one, which need not move
		x, other := in[i], in[1-i]
		n := x.maker
		if n == nil || x.uses != 1 || n.kind.ending < convolved || n.residual != nil || n.act != kernel.None {
			continue
		}
		n.residual = other
		at := slices.Index(c.nodes, n)
		c.nodes = append(slices.Delete(c.nodes, at, at+1), n)
		c.alias(l, x)
		return true
	}
	return false
}

// made returns the place of a value's maker in the order of execution; -1 for an input of the network.
func (c *compilation) made(v *value) int { return slices.Index(c.nodes, v.maker) }

// idsOf returns how many ids the embeddings that take an input all have.
func (c *compilation) idsOf(input nn.Layer) int {
	count := math.MaxInt32
	for _, l := range c.net.Layers() {
		if op, ok := l.Op.(nn.Embedding); ok && l.Inputs[0] == input.Name {
			count = min(count, op.Count)
		}
	}
	return count
}

func (c *compilation) parameter(l nn.Layer, role nn.Role) []float32 {
	return c.weights[nn.Parameter{Layer: l.Name, Role: role}.Name()].Data
}

func identity(channels int) (scale, shift []float64) {
	scale, shift = make([]float64, channels), make([]float64, channels)
	for i := range scale {
		scale[i] = 1
	}
	return scale, shift
}
