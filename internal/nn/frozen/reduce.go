package frozen

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// reduction is a way to compute with smaller numbers than float32. The speed of convolutions is
// measured on Zen 5; that of plain ones in float32 is 1.
type reduction struct {
	element element
	speed   float64
	takes   func(g kernel.Conv) bool // what convolutions it computes
	widens  bool                     // its convolutions can also write float32
}

// reduced is how the nodes of a kind compute with smaller numbers.
type reduced struct {
	// multiplies tells that they are convolutions, which compute so where it is faster; others do where all
	// that they read is so already.
	multiplies bool
	moves      bool // the numbers put out are some of those read, so that they have one range
	widens     bool // what is put out is float32
	// The functions make the steps of a node that reads bfloat16, or bytes.
	bfloat16, uint8 func(n *node, in []view, out view) ([]step, error)
}

// reductionTo returns that of a precision below float32.
func reductionTo(p Precision) reduction {
	if p == BFloat16 {
		return reduction{element: bfloat16s, speed: 2.3, takes: func(g kernel.Conv) bool { return g.InC == 3 || g.InC/g.Groups%2 == 0 }}
	}
	return reduction{element: uint8s, speed: 4.2, widens: true, takes: func(g kernel.Conv) bool { return g.InC == 3 || g.PacksInt8() }}
}

// The speed of Winograd's method beside plain convolutions, and how many operations of these are worth
// the conversion of one number, and the reading of one transformed weight from memory where there are
// more than caches hold. Measured on Zen 5.
const (
	winogradSpeed = 3.2
	conversion    = 60
	reading       = 2
	cached        = 4 << 20
)

// reduce decides which nodes compute with smaller numbers, and puts conversions where their values meet
// those of others.
func (c *compilation) reduce(r reduction, o Options) error {
	if !slices.ContainsFunc(c.nodes, func(n *node) bool { return n.kind.reduced != nil && n.kind.reduced.multiplies }) {
		return nil // dense layers read and write float32, and need no ranges
	}
	switch {
	case r.element == uint8s && o.Values != nil:
		c.assignValues(o.Values)
	case r.element == uint8s:
		if err := c.assignRanges(o.Ranges); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		n.wide = o.Float[n.name]
	}
	for _, n := range c.nodes {
		if c.worthReducing(n, r) {
			n.element = r.element
			n.out.element = c.stored(n, r)
			n.shareRange()
		}
	}
	var nodes []*node
	type key struct {
		*value
		element
	}
	converted := map[key]*value{}
	as := func(v *value, e element, name string) *value {
		if v.element == e {
			return v
		}
		x := converted[key{v, e}]
		if x == nil {
			x = &value{shape: v.shape, element: e, quantizationRange: v.quantizationRange}
			if e != floats && v.channels() == 3 { // convolutions take channels by twos or fours
				x.shape = nn.Shape{v.shape[0], v.shape[1], 4}
			}
			x.maker = &node{name: name, kind: mover(), in: []*value{v}, out: x}
			nodes = append(nodes, x.maker)
			converted[key{v, e}] = x
		}
		return x
	}
	for _, n := range c.nodes {
		for i, v := range n.in {
			n.in[i] = as(v, n.element, n.name)
		}
		if n.residual != nil {
			n.residual = as(n.residual, n.out.element, n.name)
		}
		nodes = append(nodes, n)
	}
	for _, name := range c.outputs {
		c.values[name] = as(c.values[name], floats, name)
	}
	c.nodes = nodes
	return nil
}

// worthReducing tells whether a node, whose inputs are decided on, is faster with smaller numbers,
// conversions included.
func (c *compilation) worthReducing(n *node, r reduction) bool {
	if !n.reducible(r) {
		return false
	}
	if !n.kind.reduced.multiplies {
		return !slices.ContainsFunc(n.in, func(v *value) bool { return v.element != r.element })
	}
	g, shape := n.geometry(), n.in[0].shape
	if g.InC == 3 && n.in[0].element != floats {
		return false
	}
	flops := float64(g.FLOPs(shape[0], shape[1]))
	float, reduced := flops/c.floatSpeed(g, shape), flops/r.speed
	for _, v := range n.reads() {
		if v.element == r.element {
			float += conversion * float64(v.shape.Size())
		} else {
			reduced += conversion * float64(v.shape.Size())
		}
	}
	size := float64(n.out.shape.Size())
	if wish := c.wish(n.out, r); wish < 0 && !r.widens {
		reduced += conversion * size
	} else if wish > 0 {
		float += conversion * size
	}
	return reduced < float
}

// stored tells what a node that computes with smaller numbers writes.
func (c *compilation) stored(n *node, r reduction) element {
	kind := n.kind.reduced
	if kind.widens || kind.multiplies && r.widens && (c.wish(n.out, r) < 0 || !bounds(n.act)) {
		return floats
	}
	return r.element
}

// bounds tells whether an activation does nothing but keep numbers within bounds.
func bounds(a kernel.Activation) bool {
	return a == kernel.None || a == kernel.ReLU || a == kernel.ReLU6
}

// floatSpeed guesses the speed of a convolution in float32: with Winograd's method where that can be
// taken, which is the less fast the more of its squares of 4×4 lie outside.
func (c *compilation) floatSpeed(g kernel.Conv, shape nn.Shape) float64 {
	h, w := g.OutSize(shape[0], shape[1])
	if c.algorithm == kernel.Plain || g.KernelH != 3 || g.KernelW != 3 || g.StrideH != 1 || g.StrideW != 1 ||
		max(g.DilationH, g.DilationW, g.Groups) > 1 || min(g.InC, g.OutC) < 32 {
		return 1
	}
	speed := winogradSpeed * float64(h*w) / float64((h+3)/4*4*((w+3)/4*4))
	if min(g.InC, g.OutC) < 128 {
		speed *= 0.75 // its transforms weigh more
	}
	if weights := 36 * g.InC * g.OutC; weights > cached {
		flops := float64(g.FLOPs(shape[0], shape[1]))
		speed = flops / (flops/speed + float64(reading*weights))
	}
	return speed
}

// wish tells what those who read a value would rather have: smaller numbers if it is positive, float32
// if it is negative.
func (c *compilation) wish(v *value, r reduction) int {
	wish := 0
	for _, n := range c.nodes {
		for _, read := range n.reads() {
			if read != v {
				continue
			}
			if !n.reducible(r) {
				return -1
			}
			switch {
			case n.kind.joins && c.wish(n.out, r) < 0:
				return -1
			case n.kind.reduced.multiplies && c.floatSpeed(n.geometry(), n.in[0].shape) < r.speed:
				wish = 1
			}
		}
	}
	return wish
}

// reducible tells whether there is a way to compute the node with smaller numbers that may be faster.
func (n *node) reducible(r reduction) bool {
	if n.kind.reduced == nil || n.wide {
		return false
	}
	if r.element == uint8s && slices.ContainsFunc(append(n.reads(), n.out), func(v *value) bool { return v.quantizationRange == nil }) {
		return false
	}
	if !n.kind.reduced.multiplies {
		return true
	}
	g := n.geometry()
	return !g.Depthwise() && r.takes(g)
}

// geometry is that of a convolution, on the channels that it reads.
func (n *node) geometry() kernel.Conv { return n.op.(nn.Conv).Geometry(n.in[0].channels()) }

// quantizationRange is the range of numbers that the bytes of a value stand for. Values whose bytes are moved but
// not computed with share one, which holds those of all.
type quantizationRange struct {
	Range
	part *quantizationRange // of that one, if it is not nil
}

func (s *quantizationRange) whole() *quantizationRange {
	for s.part != nil {
		s = s.part
	}
	return s
}

func (s *quantizationRange) share(other *quantizationRange) {
	if s, other = s.whole(), other.whole(); s != other {
		s.Range = s.Range.with(other.Range)
		other.part = s
	}
}

func (s *quantizationRange) quantization() kernel.Quantization { return s.whole().Range.quantization() }

// assignRanges gives each value its range.
func (c *compilation) assignRanges(ranges Ranges) error {
	give := func(v *value, name string) error {
		r, ok := ranges[name]
		if !ok {
			return fmt.Errorf("the range of layer %q is not known: calibrate the network first", name)
		}
		v.quantizationRange = &quantizationRange{Range: r}
		return nil
	}
	for _, input := range c.net.Inputs() {
		if c.net.Element(input.Name) != nn.Float32 {
			continue
		}
		if err := give(c.values[input.Name], input.Name); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := give(n.out, n.name); err != nil {
			return err
		}
	}
	return nil
}

// assignValues gives each value the range of the last layer that it is the output of, if that has one.
func (c *compilation) assignValues(ranges Ranges) {
	for _, l := range c.net.Layers() {
		c.values[l.Name].quantizationRange = nil
		if r, ok := ranges[l.Name]; ok {
			c.values[l.Name].quantizationRange = &quantizationRange{Range: r}
		}
	}
}

// shareRange gives what the node reads and writes the same range, if it moves bytes as they are.
func (n *node) shareRange() {
	if !n.kind.reduced.moves {
		return
	}
	for _, v := range n.in {
		if v.quantizationRange != nil {
			n.out.quantizationRange.share(v.quantizationRange)
		}
	}
}

// weightByFours is the scaled weight for inputs of which three channels have become four: with a zero
// after each three.
func (n *node) weightByFours(op nn.Conv) []float32 {
	weight := n.scaledWeight()
	if len(weight) != 3*op.Kernel[0]*op.Kernel[1]*op.Out {
		return weight
	}
	padded := make([]float32, len(weight)/3*4)
	for i := range len(weight) / 3 {
		copy(padded[4*i:], weight[3*i:3*i+3])
	}
	return padded
}

// defined is the geometry as the network has it.
func (n *node) defined(op nn.Conv) kernel.Conv {
	return op.Geometry(len(n.weight) / (op.Kernel[0] * op.Kernel[1] * op.Out) * max(op.Groups, 1))
}
