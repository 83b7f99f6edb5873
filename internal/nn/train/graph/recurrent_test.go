package graph

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

func TestWindowGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := func(name string, most int) int { return rapid.IntRange(1, most).Draw(t, name) }
		batch, tokens, columns, size := num("batch", 3), num("tokens", 4), num("columns", 3), num("size", 4)
		sequences := NewSequences(batch, tokens)
		for i := range sequences {
			sequences[i].Length = num("length", tokens)
		}
		checkGradients(t, [][]float32{normal(drawRandom(t), batch*tokens*columns)}, [][]int{{batch, tokens, columns}}, func(g *Graph, v []*Node) *Node {
			return g.PoolTokens(g.Window(v[0], size, sequences), kernel.MeanOfTokens, 0, sequences)
		})
	})
}

func TestRecurrentGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		num := func(name string, most int) int { return rapid.IntRange(1, most).Draw(t, name) }
		batch, tokens, columns, units := num("batch", 3), num("tokens", 4), num("columns", 3), num("units", 3)
		sequences := NewSequences(batch, tokens)
		for i := range sequences {
			sequences[i].Length = num("length", tokens)
		}
		layer := kernel.Recurrent{Units: units, Inputs: columns, Reverse: rapid.Bool().Draw(t, "reverse"), Last: rapid.Bool().Draw(t, "last")}
		if rapid.Bool().Draw(t, "gru") {
			layer.Cell = kernel.GRU
		}
		wide := layer.Cell.Gates() * units
		shapes := [][]int{{batch, tokens, columns}, {wide, columns}, {wide, units}, {wide}}
		if layer.Cell == kernel.GRU {
			shapes = append(shapes, []int{wide})
		}
		var tensors [][]float32
		for _, shape := range shapes {
			n := 1
			for _, d := range shape {
				n *= d
			}
			tensors = append(tensors, normal(random, n))
		}
		checkGradients(t, tensors, shapes, func(g *Graph, v []*Node) *Node {
			w := RecurrentWeights{Input: v[1], State: v[2], Bias: v[3]}
			if len(v) > 4 {
				w.Inner = v[4]
			}
			y := g.Recurrent(v[0], w, layer, sequences)
			if !layer.Last {
				y = g.PoolTokens(y, kernel.MeanOfTokens, 0, sequences)
			}
			return y
		})
	})
}
