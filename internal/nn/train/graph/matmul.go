package graph

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MatMul multiplies the matrices on the last two axes of a and b, pair by pair: [… m, k] and [… k, n] to
// [… m, n]. The flags say that those of an input lie transposed.
func (g *Graph) MatMul(a, b *Node, transposeA, transposeB bool) *Node {
	p, output, err := newMatrixProduct(g, a.Shape(), b.Shape(), transposeA, transposeB)
	if err != nil {
		g.fail(err)
		return standIn(tensor.Shape{1, 1})
	}
	return g.add(operation{
		name:   "matrix product",
		output: output,
		forward: func(y []float32, v [][]float32) error {
			p.multiply(transposeA, transposeB, p.m, p.n, p.k, v[0], v[1], y)
			return nil
		},
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, 2)
			var err error
			if g.learns[v[0]] {
				gradients[0], err = p.gradientA(dy, v[0], v[1])
			}
			if err == nil && g.learns[v[1]] {
				gradients[1], err = p.gradientB(dy, v[0], v[1])
			}
			return gradients, err
		},
	}, a, b)
}

// matrixProduct is so many products of m×k by k×n.
type matrixProduct struct {
	graph          *Graph
	transA, transB bool
	count, m, n, k int
}

func newMatrixProduct(g *Graph, a, b tensor.Shape, transA, transB bool) (*matrixProduct, tensor.Shape, error) {
	at := len(a) - 2
	if at < 0 || len(b) != len(a) || !slices.Equal(a[:at], b[:at]) {
		return nil, nil, fmt.Errorf("matrix product: shapes %v and %v do not fit", a, b)
	}
	p := &matrixProduct{graph: g, transA: transA, transB: transB, count: 1, m: a[at], k: a[at+1], n: b[at+1]}
	inner := b[at]
	if transA {
		p.m, p.k = p.k, p.m
	}
	if transB {
		p.n, inner = inner, p.n
	}
	if p.k != inner {
		return nil, nil, fmt.Errorf("matrix product: shapes %v and %v do not fit", a, b)
	}
	for _, d := range a[:at] {
		p.count *= d
	}
	return p, append(a[:at].Clone(), p.m, p.n), nil
}

func (p *matrixProduct) multiply(transA, transB bool, m, n, k int, a, b, c []float32) {
	products, r := kernel.Products, p.graph.run
	if p.graph.rounds {
		products = kernel.ProductsBFloat16
	}
	products(r.pool, p.count, transA, transB, m, n, k, a, b, c, &r.scratch.Workspace)
}

// gradientA is dy·bᵀ, transposed if a is.
func (p *matrixProduct) gradientA(dy, a, b *Node) (*Node, error) {
	return p.graph.apply(operation{
		name:   "matrix product, gradient of the left",
		output: a.Shape().Clone(),
		forward: func(da []float32, v [][]float32) error {
			if p.transA {
				p.multiply(p.transB, true, p.k, p.m, p.n, v[1], v[0], da)
			} else {
				p.multiply(false, !p.transB, p.m, p.k, p.n, v[0], v[1], da)
			}
			return nil
		},
	}, dy, b)
}

// gradientB is aᵀ·dy, transposed if b is.
func (p *matrixProduct) gradientB(dy, a, b *Node) (*Node, error) {
	return p.graph.apply(operation{
		name:   "matrix product, gradient of the right",
		output: b.Shape().Clone(),
		forward: func(db []float32, v [][]float32) error {
			if p.transB {
				p.multiply(true, p.transA, p.n, p.k, p.m, v[0], v[1], db)
			} else {
				p.multiply(!p.transA, false, p.k, p.n, p.m, v[1], v[0], db)
			}
			return nil
		},
	}, dy, a)
}
