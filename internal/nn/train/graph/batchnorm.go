package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Moments are the running statistics of one batch-norm layer in training, and those of the batch
// that was run last.
type Moments struct {
	mean, variance           []float32 // running
	batchMean, batchVariance []float32 // of the batch, the variance biased
	keep                     float32   // share of the old that an update keeps
	rows                     int       // rows that the batch's moments are over
}

// Update moves the running statistics towards those of the batch, with the unbiased variance, as
// PyTorch and Keras do: new = keep·old + (1−keep)·batch.
func (m *Moments) Update() { m.UpdateKeeping(float64(m.keep)) }

// UpdateKeeping is Update with another share of the old that is kept: k/(k+1) after k batches makes the running statistics
// the mean of those of all batches.
func (m *Moments) UpdateKeeping(keep float64) {
	unbiased := 1.0
	if m.rows > 1 {
		unbiased = float64(m.rows) / float64(m.rows-1)
	}
	for i := range m.mean {
		m.mean[i] = float32(keep*float64(m.mean[i]) + (1-keep)*float64(m.batchMean[i]))
		m.variance[i] = float32(keep*float64(m.variance[i]) + (1-keep)*unbiased*float64(m.batchVariance[i]))
	}
}

// Moments are those of the graph's training batch-norm layers, in order. A run does not change the
// running statistics: the caller updates them when it takes a step.
func (g *Graph) Moments() []*Moments { return g.moments }

// BatchNorm normalises each channel, the last dimension of x, with the mean and variance of the
// batch (Ioffe and Szegedy 2015). mean and variance are the running statistics, of which keep
// stays at an update; see [Graph.Moments]. The activation act, None, ReLU or ReLU6, is applied to the
// result.
func (g *Graph) BatchNorm(x, gamma, beta *Node, mean, variance []float32, epsilon, keep float32, act kernel.Activation) *Node {
	if !g.checkFused("batch-norm", act) {
		return standIn(x.Shape())
	}
	channels := gamma.Shape()[0]
	rows := x.Shape().TotalSize() / channels
	m := &Moments{
		mean: mean, variance: variance,
		batchMean: make([]float32, channels), batchVariance: make([]float32, channels),
		keep: keep, rows: rows,
	}
	g.moments = append(g.moments, m)
	return g.add(operation{
		name:   "batch-norm",
		output: x.Shape().Clone(),
		forward: func(y []float32, v [][]float32) error {
			kernel.BatchNorm(g.run.pool, y, m.batchMean, m.batchVariance, v[0], v[1], v[2], epsilon, rows, channels, act)
			return nil
		},
		again: func(y []float32, v [][]float32) error {
			kernel.Normalise(g.run.pool, y, v[0], v[1], v[2], m.batchMean, m.batchVariance, epsilon, rows, channels, act)
			return nil
		},
		backward: func(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			return g.batchNormGradients(v, y, dy, m, epsilon, act)
		},
	}, x, gamma, beta)
}

// batchNormGradients adds one node that computes all three gradients and holds that of x, and
// those that hand out the others.
func (g *Graph) batchNormGradients(v gorgonia.Nodes, y, dy *Node, m *Moments, epsilon float32, act kernel.Activation) (gorgonia.Nodes, error) {
	x, gamma, channels := v[0], v[1], len(m.mean)
	dgamma, dbeta := make([]float32, channels), make([]float32, channels)
	order := 0
	if act == kernel.None {
		order = 1 // of y, so that the batch's moments are computed before
	}
	dx, err := g.apply(operation{
		name:   "batch-norm, gradient of the input",
		output: x.Shape().Clone(),
		forward: func(dx []float32, v [][]float32) error {
			dy := v[0]
			if act != kernel.None {
				kernel.ActivateBackward(g.run.pool, dx, dy, v[3], act)
				dy = dx
			}
			kernel.BatchNormBackward(g.run.pool, dx, dgamma, dbeta, dy, v[1], v[2], m.batchMean, m.batchVariance, epsilon, m.rows, channels)
			return nil
		},
		over: []int{0}, order: order,
	}, dy, x, gamma, y)
	if err != nil {
		return nil, err
	}
	gradients := gorgonia.Nodes{dx, nil, nil}
	for i, data := range [][]float32{dgamma, dbeta} {
		if !g.learns[v[i+1]] {
			continue
		}
		gradients[i+1], err = g.aside("batch-norm, gradient of gamma or beta", tensor.Shape{channels}, data, dx)
		if err != nil {
			return nil, err
		}
	}
	return gradients, nil
}

// FrozenBatchNorm normalises each channel with statistics that stay as they are, and applies the
// activation act, None, ReLU or ReLU6.
func (g *Graph) FrozenBatchNorm(x *Node, norm Norm, act kernel.Activation) *Node {
	if !g.checkFused("frozen batch-norm", act) {
		return standIn(x.Shape())
	}
	channels := norm.Gamma.Shape()[0]
	l := &frozenNorm{Norm: norm, graph: g, rows: x.Shape().TotalSize() / channels, channels: channels}
	forward := func(y []float32, v [][]float32) error {
		kernel.Normalise(g.run.pool, y, v[0], v[1], v[2], norm.Mean, norm.Variance, norm.Epsilon, l.rows, channels, act)
		return nil
	}
	return g.add(operation{
		name:    "frozen batch-norm",
		output:  x.Shape().Clone(),
		forward: forward, again: forward, over: []int{0},
		backward: func(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			dy, err := g.before(act, y, dy)
			if err != nil {
				return nil, err
			}
			return l.gradients(v, dy)
		},
	}, x, norm.Gamma, norm.Beta)
}

// frozenNorm is a batch-norm with statistics that stay, on so many rows.
type frozenNorm struct {
	Norm
	graph          *Graph
	rows, channels int
}

func (l *frozenNorm) gradients(v gorgonia.Nodes, dy *Node) (gorgonia.Nodes, error) {
	g := l.graph
	gradients := make(gorgonia.Nodes, 3)
	var err error
	if g.learns[v[1]] {
		if gradients[1], err = l.gammaGradient(dy, v[0]); err != nil {
			return nil, err
		}
	}
	if g.learns[v[2]] {
		if gradients[2], err = g.biasGradient(dy); err != nil {
			return nil, err
		}
	}
	if g.learns[v[0]] {
		if gradients[0], err = l.inputGradient(dy, v[1]); err != nil {
			return nil, err
		}
	}
	return gradients, nil
}

// gammaGradient is Σ dy·(x−mean)/√(variance+epsilon).
func (l *frozenNorm) gammaGradient(dy, x *Node) (*Node, error) {
	return l.graph.apply(operation{
		name:   "frozen batch-norm, gradient of gamma",
		output: tensor.Shape{l.channels},
		forward: func(dgamma []float32, v [][]float32) error {
			kernel.SumCentred(l.graph.run.pool, dgamma, v[0], v[1], l.Mean, l.rows, l.channels)
			for c := range dgamma {
				dgamma[c] = float32(float64(dgamma[c]) * l.inverse(c))
			}
			return nil
		},
	}, dy, x)
}

// inputGradient is dy·gamma/√(variance+epsilon).
func (l *frozenNorm) inputGradient(dy, gamma *Node) (*Node, error) {
	scale, zero := make([]float32, l.channels), make([]float32, l.channels)
	return l.graph.apply(operation{
		name:   "frozen batch-norm, gradient of the input",
		output: dy.Shape().Clone(),
		forward: func(dx []float32, v [][]float32) error {
			for c := range scale {
				scale[c] = float32(float64(v[1][c]) * l.inverse(c))
			}
			kernel.ScaleShift(l.graph.run.pool, dx, v[0], scale, zero, l.rows, l.channels, kernel.None)
			return nil
		},
		over: []int{0},
	}, dy, gamma)
}
