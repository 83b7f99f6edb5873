package graph

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Sequences are where the tokens of the examples of a batch lie in values [batch, tokens, channels], some of them padding. The
// caller changes the lengths between runs. They are no node, since nothing flows through them.
type Sequences []kernel.Sequence

// NewSequences are examples of so many tokens, none of them padding.
func NewSequences(batch, tokens int) Sequences {
	s := make(Sequences, batch)
	for i := range s {
		s[i] = kernel.Sequence{First: i * tokens, Length: tokens, Rows: tokens}
	}
	return s
}

// fits returns an error unless x has the tokens of the sequences.
func (s Sequences) fits(x *Node) error {
	if shape := x.Shape(); len(shape) != 3 || shape[0] != len(s) || len(s) == 0 || shape[1] != s[0].Rows {
		return fmt.Errorf("shape %v does not fit %d sequences", x.Shape(), len(s))
	}
	return nil
}

// Positions adds row first+i of table to token i of each example.
func (g *Graph) Positions(x, table *Node, first int, sequences Sequences) *Node {
	err := sequences.fits(x)
	if err == nil && table.Shape()[0] < first+x.Shape()[1] {
		err = fmt.Errorf("a table of shape %v is too small for the shape %v", table.Shape(), x.Shape())
	}
	if err != nil {
		g.fail(fmt.Errorf("positions: %w", err))
		return standIn(x.Shape())
	}
	channels := x.Shape()[2]
	forward := func(y []float32, v [][]float32) error {
		kernel.AddPositions(g.run.pool, y, v[0], v[1], first, sequences, channels)
		return nil
	}
	return g.add(operation{
		name:    "positions",
		output:  x.Shape().Clone(),
		forward: forward, again: forward, over: []int{0},
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := gorgonia.Nodes{dy, nil}
			var err error
			if g.learns[v[1]] {
				gradients[1], err = g.apply(operation{
					name:   "positions, gradient of the table",
					output: v[1].Shape().Clone(),
					forward: func(dtable []float32, v [][]float32) error {
						kernel.SumPositions(g.run.pool, dtable, v[0], first, sequences, channels)
						return nil
					},
				}, dy)
			}
			return gradients, err
		},
	}, x, table)
}

// Prepend puts the rows of before in front of the tokens of each example.
func (g *Graph) Prepend(x, before *Node) *Node {
	shape := x.Shape().Clone()
	batch, channels := shape[0], shape[2]
	size, added := shape[1]*channels, before.Shape().TotalSize()
	shape[1] += before.Shape()[0]
	forward := func(y []float32, v [][]float32) error {
		for i := range batch {
			to := y[i*(size+added) : (i+1)*(size+added)]
			copy(to[copy(to, v[1]):], v[0][i*size:(i+1)*size])
		}
		return nil
	}
	return g.add(operation{
		name:    "prepend",
		output:  shape,
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, 2)
			var err error
			if g.learns[v[0]] {
				gradients[0], err = g.apply(operation{
					name:   "prepend, gradient of the tokens",
					output: v[0].Shape().Clone(),
					forward: func(dx []float32, v [][]float32) error {
						for i := range batch {
							copy(dx[i*size:(i+1)*size], v[0][i*(size+added)+added:])
						}
						return nil
					},
				}, dy)
			}
			if err == nil && g.learns[v[1]] {
				gradients[1], err = g.apply(operation{
					name:   "prepend, gradient of what is prepended",
					output: v[1].Shape().Clone(),
					forward: func(d []float32, v [][]float32) error {
						clear(d)
						for i := range batch {
							for j, dy := range v[0][i*(size+added):][:added] {
								d[j] += dy
							}
						}
						return nil
					},
				}, dy)
			}
			return gradients, err
		},
	}, x, before)
}

// ScaleShift multiplies each channel by gamma and adds beta; either may be nil.
func (g *Graph) ScaleShift(x, gamma, beta *Node) *Node {
	if gamma != nil {
		x = g.scaleChannels(x, gamma)
	}
	if beta != nil {
		x = g.shiftChannels(x, beta)
	}
	return x
}

func (g *Graph) scaleChannels(x, gamma *Node) *Node {
	channels := gamma.Shape()[0]
	rows := x.Shape().TotalSize() / channels
	forward := func(y []float32, v [][]float32) error {
		kernel.MulChannels(g.run.pool, y, v[0], v[1], 1, rows, channels)
		return nil
	}
	return g.add(operation{
		name:    "scale of channels",
		output:  x.Shape().Clone(),
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dgamma := make([]float32, channels)
			dx, err := g.apply(operation{
				name:   "scale of channels, gradient of the input",
				output: v[0].Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.MulChannelsBackward(g.run.pool, dx, dgamma, v[0], v[1], v[2], 1, rows, channels)
					return nil
				},
			}, dy, v[0], v[1])
			gradients := gorgonia.Nodes{dx, nil}
			if err == nil && g.learns[v[1]] {
				gradients[1], err = g.aside("scale of channels, gradient of the factors", tensor.Shape{channels}, dgamma, dx)
			}
			return gradients, err
		},
	}, x, gamma)
}

func (g *Graph) shiftChannels(x, beta *Node) *Node {
	channels := beta.Shape()[0]
	rows := x.Shape().TotalSize() / channels
	ones := make([]float32, channels)
	for i := range ones {
		ones[i] = 1
	}
	forward := func(y []float32, v [][]float32) error {
		kernel.ScaleShift(g.run.pool, y, v[0], ones, v[1], rows, channels, kernel.None)
		return nil
	}
	return g.add(operation{
		name:    "shift of channels",
		output:  x.Shape().Clone(),
		forward: forward, again: forward, over: []int{0},
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := gorgonia.Nodes{dy, nil}
			var err error
			if g.learns[v[1]] {
				gradients[1], err = g.apply(operation{
					name:   "shift of channels, gradient",
					output: tensor.Shape{channels},
					forward: func(d []float32, v [][]float32) error {
						kernel.SumRows(g.run.pool, d, v[0], rows, channels)
						return nil
					},
				}, dy)
			}
			return gradients, err
		},
	}, x, beta)
}

// PoolTokens makes one vector of the tokens of each example, without the first skip ones.
func (g *Graph) PoolTokens(x *Node, function kernel.TokenPooling, skip int, sequences Sequences) *Node {
	if err := sequences.fits(x); err != nil {
		g.fail(fmt.Errorf("pooling of tokens: %w", err))
		return standIn(tensor.Shape{1, 1})
	}
	batch, channels := x.Shape()[0], x.Shape()[2]
	return g.add(operation{
		name:   "pooling of tokens",
		output: tensor.Shape{batch, channels},
		forward: func(y []float32, v [][]float32) error {
			kernel.PoolTokens(g.run.pool, function, y, v[0], sequences, skip, channels)
			return nil
		},
		backward: func(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "pooling of tokens, gradient",
				output: v[0].Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.PoolTokensBackward(g.run.pool, function, dx, v[0], v[1], v[2], sequences, skip, channels)
					return nil
				},
			}, dy, y, v[0])
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}
