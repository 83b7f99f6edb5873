package graph

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// CrossEntropy is the softmax cross-entropy of logits [batch, classes], a tensor of one element:
// −Σ target·log softmax(logits) / total. target [batch, classes] holds the mass each class has for
// each example: 1 and zeros for a plain label, other values for smoothed labels, weighted classes
// or mixed examples, zeros for an example that does not count. total [1] is what the sum is
// divided by.
//
// The softmax is computed with the greatest logit taken off, and sums in float64.
func (g *Graph) CrossEntropy(logits, target, total *Node) *Node {
	batch, classes := logits.Shape()[0], logits.Shape()[1]
	logp := make([]float32, batch*classes)
	return g.add(operation{
		name:   "cross-entropy",
		output: tensor.Shape{1},
		forward: func(loss []float32, v [][]float32) error {
			kernel.LogSoftmax(g.run.pool, logp, v[0], batch, classes)
			var sum float64
			for i, t := range v[1] {
				if t != 0 { // so that 0·log 0 is 0
					sum -= float64(t) * float64(logp[i])
				}
			}
			loss[0] = float32(sum / float64(v[2][0]))
			return nil
		},
		backward: func(v gorgonia.Nodes, loss, gradient *Node) (gorgonia.Nodes, error) {
			// loss is an input only so that logp is computed before.
			dlogits, err := g.apply(operation{
				name:   "cross-entropy, gradient",
				output: logits.Shape().Clone(),
				forward: func(d []float32, v [][]float32) error {
					target, factor := v[0], float64(v[2][0])/float64(v[1][0])
					for at := 0; at < len(d); at += classes {
						var mass float64
						for _, t := range target[at : at+classes] {
							mass += float64(t)
						}
						for c := at; c < at+classes; c++ {
							p := math.Exp(float64(logp[c]))
							d[c] = float32((p*mass - float64(target[c])) * factor)
						}
					}
					return nil
				},
				order: 1,
			}, v[1], v[2], gradient, loss)
			return gorgonia.Nodes{dlogits, nil, nil}, err
		},
	}, logits, target, total)
}
