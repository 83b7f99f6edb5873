package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LayerNorm normalises along the last axis: gamma·(x−mean)/√(variance+epsilon) + beta.
func (g *Graph) LayerNorm(x, gamma, beta *Node, epsilon float32) *Node {
	columns := gamma.Shape()[0]
	rows := x.Shape().TotalSize() / columns
	mean, scale := make([]float32, rows), make([]float32, rows)
	forward := func(y []float32, v [][]float32) error {
		kernel.LayerNorm(g.run.pool, y, mean, scale, v[0], v[1], v[2], epsilon, rows, columns)
		return nil
	}
	return g.add(operation{
		name:    "layer-norm",
		output:  x.Shape().Clone(),
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			dgamma, dbeta := make([]float32, columns), make([]float32, columns)
			// The order with y is what the moments are computed by.
			dx, err := g.apply(operation{
				name:   "layer-norm, gradient of the input",
				output: v[0].Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.LayerNormBackward(g.run.pool, dx, dgamma, dbeta, v[0], v[1], v[2], mean, scale, rows, columns)
					return nil
				},
				over: []int{0}, order: 1,
			}, dy, v[0], v[1], y)
			gradients := gorgonia.Nodes{dx, nil, nil}
			for i, data := range [][]float32{dgamma, dbeta} {
				if err == nil && g.learns[v[i+1]] {
					gradients[i+1], err = g.aside("layer-norm, gradient of gamma or beta", tensor.Shape{columns}, data, dx)
				}
			}
			return gradients, err
		},
	}, x, gamma, beta)
}
