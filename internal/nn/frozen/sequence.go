package frozen

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// keep gives a node the parameters of its layer as they are.
func (c *compilation) keep(l nn.Layer, in []*value) *node {
	n := &node{in: in}
	for _, p := range c.net.LayerParameters(l) {
		n.weights = append(n.weights, c.weights[p.Name()])
	}
	c.add(l, n)
	return n
}

// lowerKept is for layers that are nodes with their parameters.
func (c *compilation) lowerKept(l nn.Layer, in []*value) { c.keep(l, in) }

// embeddingStep looks ids up.
type embeddingStep struct {
	ids, dst view
	table    []float32
	op       nn.Embedding
}

func newEmbeddingStep(n *node, in []view, out view) step {
	return &embeddingStep{ids: in[0], dst: out, table: cloned(n.weights[0]), op: n.op.(nn.Embedding)}
}

func (s *embeddingStep) run(f *frame) {
	kernel.Gather(f.pool, f.slice(s.dst), s.table, f.ids(s.ids), s.op.Count, s.op.Width)
}

func (s *embeddingStep) bytes() int { return 4 * len(s.table) }

func (*embeddingStep) describe() (string, int) { return "embedding", 0 }

// layerNormStep normalises pixels.
type layerNormStep struct {
	src, dst    view
	gamma, beta []float32
	epsilon     float32
}

func newLayerNormStep(n *node, in []view, out view) step {
	return &layerNormStep{
		src: in[0], dst: out, gamma: cloned(n.weights[0]), beta: cloned(n.weights[1]), epsilon: n.op.(nn.LayerNorm).Epsilon,
	}
}

func (s *layerNormStep) run(f *frame) {
	kernel.LayerNorm(f.pool, f.slice(s.dst), nil, nil, f.slice(s.src), s.gamma, s.beta, s.epsilon, f.n*s.src.pixels, s.src.channels)
}

func (s *layerNormStep) bytes() int { return 4 * (len(s.gamma) + len(s.beta)) }

func (*layerNormStep) describe() (string, int) { return "layer-norm", 0 }

// matMulStep multiplies stacks of matrices.
type matMulStep struct {
	weightless
	a, b, dst      view
	op             nn.MatMul
	count, m, n, k int // count of an example
}

func newMatMulStep(n *node, in []view, out view) step {
	s := &matMulStep{a: in[0], b: in[1], dst: out, op: n.op.(nn.MatMul)}
	s.count, s.m, s.n, s.k = s.op.Sizes(n.in[0].shape, n.in[1].shape)
	return s
}

func (s *matMulStep) run(f *frame) {
	kernel.Products(f.pool, f.n*s.count, s.op.TransposeA, s.op.TransposeB, s.m, s.n, s.k, f.slice(s.a), f.slice(s.b), f.slice(s.dst), &f.workspace)
}

func (s *matMulStep) describe() (string, int) { return "matrix product", 2 * s.count * s.m * s.n * s.k }

// transposeStep puts axes in another order.
type transposeStep struct {
	weightless
	src, dst view
	shape    []int // of the batch and an example
	axes     []int
}

func newTransposeStep(n *node, in []view, out view) step {
	s := &transposeStep{src: in[0], dst: out, shape: append([]int{1}, n.in[0].shape...), axes: []int{0}}
	for _, axis := range n.op.(nn.Transpose).Axes {
		s.axes = append(s.axes, axis+1)
	}
	return s
}

func (s *transposeStep) run(f *frame) {
	size := s.src.pixels * s.src.channels
	src, dst := f.slice(s.src), f.slice(s.dst)
	for i := range f.n { // the shape is one example's, so that sessions can share the step
		kernel.Permute(f.pool, dst[i*size:(i+1)*size], src[i*size:(i+1)*size], s.shape, s.axes)
	}
}

func (*transposeStep) describe() (string, int) { return "transpose", 0 }

// l2NormaliseStep divides pixels by their lengths.
type l2NormaliseStep struct {
	weightless
	src, dst view
	least    float32
}

func (s *l2NormaliseStep) run(f *frame) {
	kernel.L2Normalise(f.pool, f.slice(s.dst), f.slice(s.src), s.least, f.n*s.src.pixels, s.src.channels)
}

func (*l2NormaliseStep) describe() (string, int) { return "L2 normalisation", 0 }

// cloned returns a tensor's numbers in memory of the program's own.
func cloned(t nn.Tensor) []float32 {
	data := kernel.Memory(len(t.Data))
	copy(data, t.Data)
	return data
}

// labelsOf reads the labels of stored rows.
func labelsOf(t nn.Tensor, classes int) ([]int, error) {
	labels := make([]int, len(t.Data))
	for i, v := range t.Data {
		labels[i] = int(v)
		if float32(labels[i]) != v || labels[i] < 0 || labels[i] >= classes {
			return nil, fmt.Errorf("row %d has the label %v: must be a whole number from 0 to %d", i, v, classes-1)
		}
	}
	return labels, nil
}
