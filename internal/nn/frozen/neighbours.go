package frozen

import (
	"cmp"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// lowerNeighbours makes two nodes: the products of a vector with all stored rows, by the convolutions' kernels,
// and the vote. The products choose the rows that may be among the nearest, whatever their rounding; those
// are then measured in float64, so that who votes does not depend on the instruction set.
func (c *compilation) lowerNeighbours(l nn.Layer, in []*value) {
	op := l.Op.(nn.Neighbours)
	rows := c.parameter(l, nn.Rows)
	products := &node{name: l.Name, kind: &lowering{emit: emitDense}, in: in, weight: rows}
	products.scale, products.shift = identity(op.Rows)
	products.out = &value{shape: nn.Shape{op.Rows}, maker: products, uses: 1}
	c.nodes = append(c.nodes, products)
	c.keep(l, []*value{in[0], products.out})
}

// neighboursStep lets the nearest rows vote.
type neighboursStep struct {
	src, products, dst view
	op                 nn.Neighbours
	rows               []float32
	labels             []int
	lengths            []float64 // of the rows
}

func emitNeighbours(n *node, _ Options, in []view, out view) ([]step, error) {
	s := &neighboursStep{src: in[0], products: in[1], dst: out, op: n.op.(nn.Neighbours), rows: cloned(n.weights[0])}
	var err error
	if s.labels, err = labelsOf(n.weights[1], s.op.Classes); err != nil {
		return nil, err
	}
	for i := range s.op.Rows {
		s.lengths = append(s.lengths, length(s.row(i)))
	}
	return []step{s}, nil
}

func (s *neighboursStep) row(i int) []float32 {
	return s.rows[i*s.src.channels : (i+1)*s.src.channels]
}

func (s *neighboursStep) run(f *frame) {
	src, products, dst := f.slice(s.src), f.slice(s.products), f.slice(s.dst)
	f.pool.Each(f.n, func(_, i int) {
		x := src[i*s.src.channels:][:s.src.channels]
		s.vote(dst[i*s.op.Classes:][:s.op.Classes], s.nearest(x, products[i*s.op.Rows:][:s.op.Rows]))
	})
}

// neighbour is a stored row and the square of its distance.
type neighbour struct {
	row    int
	square float64
}

func compareNeighbours(a, b neighbour) int {
	return cmp.Or(cmp.Compare(a.square, b.square), cmp.Compare(a.row, b.row))
}

// nearest returns the K nearest rows, in order. A product of n numbers in float32, in any order, is within
// n·2⁻²⁴/(1 − n·2⁻²⁴) of the lengths' product (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
func (s *neighboursStep) nearest(x, products []float32) []neighbour {
	own := length(x)
	unit := float64(len(x)+2) / (1 << 24)
	relative := 2 * unit / (1 - unit)
	low, high := make([]float64, len(products)), make([]float64, len(products)) // bounds of the squares
	for i, p := range products {
		square := own*own + s.lengths[i]*s.lengths[i] - 2*float64(p)
		slack := relative*own*s.lengths[i] + 1e-14*(own*own+s.lengths[i]*s.lengths[i])
		low[i], high[i] = square-slack, square+slack
	}
	slices.Sort(high)
	bound := high[s.op.K-1]
	var near []neighbour
	for i := range products {
		if !(low[i] > bound) { // what is not a number must not be lost
			near = append(near, neighbour{i, squareDistance(x, s.row(i))})
		}
	}
	slices.SortFunc(near, compareNeighbours)
	return near[:min(s.op.K, len(near))]
}

// vote writes the share of the votes that each class has.
func (s *neighboursStep) vote(shares []float32, near []neighbour) {
	votes := make([]float64, len(shares))
	total := 0.0
	for _, n := range near {
		vote := 1.0
		if s.op.Weighted && near[0].square > 0 {
			vote = 1 / math.Sqrt(n.square)
		} else if s.op.Weighted && n.square > 0 {
			vote = 0
		}
		votes[s.labels[n.row]] += vote
		total += vote
	}
	for c, v := range votes {
		shares[c] = float32(v / total)
	}
}

func length(x []float32) float64 {
	var square float64
	for _, v := range x {
		square += float64(v) * float64(v)
	}
	return math.Sqrt(square)
}

func squareDistance(x, y []float32) float64 {
	var square float64
	for i, v := range x {
		d := float64(v) - float64(y[i])
		square += d * d
	}
	return square
}

func (s *neighboursStep) bytes() int { return 4*len(s.rows) + 8*len(s.labels) + 8*len(s.lengths) }

func (*neighboursStep) describe() (string, int) { return "vote of neighbours", 0 }
