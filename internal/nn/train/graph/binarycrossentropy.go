package graph

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BinaryCrossEntropy is the cross-entropy of independent yes-or-no answers, of their logits, a tensor of
// one element:
//
//	−Σ (yes·log σ(logit) + no·log(1 − σ(logit))) / total
//
// logits, yes and no have one shape: yes and no hold the mass of either answer, such as 1 and 0 for a plain
// label, and 0 and 0 for an answer that does not count. total [1] is what the sum is divided by. Sums are in
// float64.
func (g *Graph) BinaryCrossEntropy(logits, yes, no, total *Node) *Node {
	return g.add(operation{
		name:   "binary cross-entropy",
		output: tensor.Shape{1},
		forward: func(loss []float32, v [][]float32) error {
			var sum float64
			for i, z := range v[0] {
				sum += float64(v[1][i])*Softplus(-float64(z)) + float64(v[2][i])*Softplus(float64(z))
			}
			loss[0] = float32(sum / float64(v[3][0]))
			return nil
		},
		backward: func(v gorgonia.Nodes, _, gradient *Node) (gorgonia.Nodes, error) {
			dlogits, err := g.apply(operation{
				name:   "binary cross-entropy, gradient",
				output: logits.Shape().Clone(),
				forward: func(d []float32, v [][]float32) error {
					factor := float64(v[4][0]) / float64(v[3][0])
					for i, z := range v[0] {
						p := 1 / (1 + math.Exp(-float64(z)))
						d[i] = float32((float64(v[2][i])*p - float64(v[1][i])*(1-p)) * factor)
					}
					return nil
				},
			}, v[0], v[1], v[2], v[3], gradient)
			return gorgonia.Nodes{dlogits, nil, nil, nil}, err
		},
	}, logits, yes, no, total)
}

// Softplus is log(1 + e^x), without overflow.
func Softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
