package graph

import "gorgonia.org/gorgonia"

// Rounding is a function that is constant between jumps, with the gradient that training takes it to have.
type Rounding struct {
	// Round writes the rounded numbers of x, of which there are as many, to y. y may be x.
	Round func(y, x []float32)
	// Within tells whether a number is rounded and not cut off; nil: all are.
	Within func(x float32) bool
}

// StraightThrough is x rounded. Its gradient is 1 where numbers are rounded, and 0 where they are cut off: the straight-through
// estimator (Bengio et al. 2013, arXiv:1308.3432), by which networks are trained that compute with few steps.
func (g *Graph) StraightThrough(name string, x *Node, r Rounding) *Node {
	forward := func(y []float32, v [][]float32) error {
		r.Round(y, v[0])
		return nil
	}
	return g.add(operation{
		name:    name,
		output:  x.Shape().Clone(),
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			if r.Within == nil {
				return gorgonia.Nodes{dy}, nil
			}
			dx, err := g.apply(operation{
				name:   name + ", gradient",
				output: dy.Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					g.inPieces(len(dx), func(from, to int) {
						for i := from; i < to; i++ {
							if r.Within(v[1][i]) {
								dx[i] = v[0][i]
							} else {
								dx[i] = 0
							}
						}
					})
					return nil
				},
				over: []int{0},
			}, dy, v[0])
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

// EachNumber is a rounding of numbers one by one, as many at a time as the threads of the graph share.
func (g *Graph) EachNumber(round func(float32) float32, within func(float32) bool) Rounding {
	return Rounding{
		Round: func(y, x []float32) {
			g.inPieces(len(x), func(from, to int) {
				for i := from; i < to; i++ {
					y[i] = round(x[i])
				}
			})
		},
		Within: within,
	}
}

// inPieces divides n numbers among the threads.
func (g *Graph) inPieces(n int, do func(from, to int)) {
	const piece = 1 << 14
	g.run.pool.Each((n+piece-1)/piece, func(_, i int) { do(i*piece, min((i+1)*piece, n)) })
}
