package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/tensor"
)

// pattern gives the values that the PyTorch script has.
func pattern(shape []int, a, b, m int) []float32 {
	out := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range out {
		out[i] = float32((a*i+b)%m-m/2) / 8
	}
	return out
}

// referenceCase is a layer and the shapes of what it takes.
type referenceCase struct {
	shapes [][]int
	layer  func(g *Graph, v []*Node) *Node
}

func referenceCases() map[string]referenceCase {
	cases := map[string]referenceCase{
		"dense": {[][]int{{5, 7}, {4, 7}, {4}}, func(g *Graph, v []*Node) *Node { return g.Dense(v[0], v[1], v[2]) }},
		"batch norm": {[][]int{{5, 3}, {3}, {3}}, func(g *Graph, v []*Node) *Node {
			return g.BatchNorm(v[0], v[1], v[2], make([]float32, 3), make([]float32, 3), 1e-3, 0.9, kernel.None)
		}},
		"frozen batch norm": {[][]int{{5, 3}, {3}, {3}}, func(g *Graph, v []*Node) *Node {
			variance := pattern([]int{3}, 5, 4, 8)
			for i, x := range variance {
				variance[i] = 1 + float32(math.Abs(float64(x)))
			}
			return g.FrozenBatchNorm(v[0], Norm{v[1], v[2], pattern([]int{3}, 3, 1, 7), variance, 1e-3}, kernel.None)
		}},
		"cross-entropy": {[][]int{{4, 5}}, func(g *Graph, v []*Node) *Node {
			target := pattern([]int{4, 5}, 5, 2, 13)
			for i, x := range target {
				target[i] = float32(math.Abs(float64(x)))
			}
			return g.CrossEntropy(v[0], g.Fixed("target", []int{4, 5}, target), g.Fixed("total", []int{1}, []float32{2.5}))
		}},
		"dense on the last axis": {[][]int{{2, 3, 7}, {4, 7}, {4}}, func(g *Graph, v []*Node) *Node { return g.Dense(v[0], v[1], v[2]) }},
		"softmax":                {[][]int{{2, 3, 5}}, func(g *Graph, v []*Node) *Node { return g.Softmax(v[0]) }},
		"layer norm":             {[][]int{{2, 3, 6}, {6}, {6}}, func(g *Graph, v []*Node) *Node { return g.LayerNorm(v[0], v[1], v[2], 1e-5) }},
		"embedding": {[][]int{{5, 4}}, func(g *Graph, v []*Node) *Node {
			return g.Embedding(v[0], []int32{3, 0, 3, 1, 3, 2}, 2, 3)
		}},
		"l2 normalise": {[][]int{{2, 3, 5}}, func(g *Graph, v []*Node) *Node { return g.L2Normalise(v[0], 1e-12) }},
		"transpose":    {[][]int{{2, 3, 4, 5}}, func(g *Graph, v []*Node) *Node { return g.Transpose(v[0], 0, 2, 3, 1) }},
		"reshape":      {[][]int{{2, 3, 4, 5}}, func(g *Graph, v []*Node) *Node { return g.Reshape(v[0], 2, 4, 15) }},
	}
	for name, flags := range map[string][2]bool{"": {}, ", left transposed": {true, false}, ", right transposed": {false, true}, ", both transposed": {true, true}} {
		shapes := [][]int{{2, 4, 5}, {2, 5, 6}}
		if name == "" {
			shapes = [][]int{{2, 3, 4, 5}, {2, 3, 5, 6}}
		}
		for i, flag := range flags {
			if flag {
				shapes[i][1], shapes[i][2] = shapes[i][2], shapes[i][1]
			}
		}
		cases["mat mul"+name] = referenceCase{shapes, func(g *Graph, v []*Node) *Node { return g.MatMul(v[0], v[1], flags[0], flags[1]) }}
	}
	for f := kernel.None; f <= kernel.GELU; f++ {
		cases[f.String()] = referenceCase{[][]int{{2, 24}}, func(g *Graph, v []*Node) *Node { return g.Activate(v[0], f) }}
	}
	return cases
}

func TestLayersAreThoseOfPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/layers.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Output    []float64
		Gradients [][]float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	cases := referenceCases()
	if len(want) != len(cases) {
		t.Errorf("%d cases, PyTorch has %d", len(cases), len(want))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := New(nil, nil)
			var nodes []*Node
			for k, shape := range c.shapes {
				nodes = append(nodes, g.Learned(fmt.Sprint("v", k), shape, pattern(shape, 37+2*k, 11*k+5, 149)))
			}
			y := c.layer(g, nodes)
			g.Differentiate(g.weightedSum(y, pattern(y.Shape(), 29, 3, 61)))
			if err := g.Compile(y); err != nil {
				t.Fatal(err)
			}
			if err := g.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			compare(t, "output", g.Data(y), want[name].Output)
			for k, p := range g.Parameters() {
				gradient, err := p.Grad()
				if err != nil {
					t.Fatal(err)
				}
				compare(t, fmt.Sprint("gradient ", k), gradient.Data().([]float32), want[name].Gradients[k])
			}
		})
	}
}

func compare(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d values, PyTorch's has %d", what, len(got), len(want))
	}
	for i, v := range got {
		if math.Abs(float64(v)-want[i]) > 1e-5*(1+math.Abs(want[i])) {
			t.Errorf("%s, element %d: %v, PyTorch has %v", what, i, v, want[i])
		}
	}
}
