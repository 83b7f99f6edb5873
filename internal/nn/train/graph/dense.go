package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Dense is a fully connected layer on the last axis: x·weightᵀ + bias, for x [batch, …, inputs], weight
// [outputs, inputs] and bias [outputs], which may be nil.
func (g *Graph) Dense(x, weight, bias *Node) *Node {
	in, out := weight.Shape()[1], weight.Shape()[0]
	rows, output := x.Shape().TotalSize()/in, x.Shape().Clone()
	output[len(output)-1] = out
	layer := operation{
		name:   "dense",
		output: output,
		forward: func(y []float32, v [][]float32) error {
			var beta float32
			if bias != nil {
				for i := range rows {
					copy(y[i*out:], v[2])
				}
				beta = 1
			}
			g.product(false, true, rows, out, in, 1, v[0], in, v[1], in, beta, y, out)
			return nil
		},
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, len(v))
			var err error
			if g.learns[v[1]] {
				if gradients[1], err = g.denseWeightGradient(dy, v[0]); err != nil {
					return nil, err
				}
			}
			if len(v) > 2 && g.learns[v[2]] {
				if gradients[2], err = g.biasGradient(dy); err != nil {
					return nil, err
				}
			}
			if g.learns[v[0]] {
				if gradients[0], err = g.denseInputGradient(dy, v[1]); err != nil {
					return nil, err
				}
			}
			return gradients, nil
		},
	}
	if bias == nil {
		return g.add(layer, x, weight)
	}
	return g.add(layer, x, weight, bias)
}

// denseInputGradient is dy·weight.
func (g *Graph) denseInputGradient(dy, weight *Node) (*Node, error) {
	in, out := weight.Shape()[1], weight.Shape()[0]
	rows, output := dy.Shape().TotalSize()/out, dy.Shape().Clone()
	output[len(output)-1] = in
	return g.apply(operation{
		name:   "dense, gradient of the input",
		output: output,
		forward: func(dx []float32, v [][]float32) error {
			g.product(false, false, rows, in, out, 1, v[0], out, v[1], in, 0, dx, in)
			return nil
		},
	}, dy, weight)
}

// denseWeightGradient is dyᵀ·x.
func (g *Graph) denseWeightGradient(dy, x *Node) (*Node, error) {
	in, out := x.Shape()[x.Dims()-1], dy.Shape()[dy.Dims()-1]
	rows := dy.Shape().TotalSize() / out
	return g.apply(operation{
		name:   "dense, gradient of the weight",
		output: tensor.Shape{out, in},
		forward: func(dw []float32, v [][]float32) error {
			g.product(true, false, out, in, rows, 1, v[0], out, v[1], in, 0, dw, in)
			return nil
		},
	}, dy, x)
}

// biasGradient sums dy over all but the last dimension.
func (g *Graph) biasGradient(dy *Node) (*Node, error) {
	channels := dy.Shape()[dy.Dims()-1]
	return g.apply(operation{
		name:   "gradient of the bias",
		output: tensor.Shape{channels},
		forward: func(db []float32, v [][]float32) error {
			kernel.SumRows(g.run.pool, db, v[0], len(v[0])/channels, channels)
			return nil
		},
	}, dy)
}

// product is [kernel.Gemm], with what is multiplied rounded if the graph says so.
func (g *Graph) product(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	multiply := kernel.Gemm
	if g.rounds {
		multiply = kernel.GemmBFloat16
	}
	multiply(g.run.pool, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, &g.run.scratch.Workspace)
}
