package graph

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"pgregory.net/rapid"
)

// distinct gives n numbers in random order, so far apart that differences tell which is greater.
func distinct(random *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i, p := range random.Perm(n) {
		out[i] = float32(p-n/2) / 16
	}
	return out
}

func drawPooling(t *rapid.T) kernel.Pooling {
	side := func(name string) (size, stride, before, after int) {
		size = rapid.IntRange(1, 3).Draw(t, name)
		return size, rapid.IntRange(1, 2).Draw(t, name+" stride"),
			rapid.IntRange(0, size-1).Draw(t, name+" before"), rapid.IntRange(0, size-1).Draw(t, name+" after")
	}
	var p kernel.Pooling
	p.KernelH, p.StrideH, p.PadTop, p.PadBottom = side("height")
	p.KernelW, p.StrideW, p.PadLeft, p.PadRight = side("width")
	p.Ceil, p.CountPadding = rapid.Bool().Draw(t, "ceil"), rapid.Bool().Draw(t, "count padding")
	return p
}

func TestPoolingGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPooling(t)
		shape := []int{rapid.IntRange(1, 2).Draw(t, "batch"), rapid.IntRange(3, 5).Draw(t, "height"), rapid.IntRange(3, 5).Draw(t, "width"), rapid.IntRange(1, 3).Draw(t, "channels")}
		x := distinct(drawRandom(t), shape[0]*shape[1]*shape[2]*shape[3])
		greatest := rapid.Bool().Draw(t, "greatest")
		checkGradients(t, [][]float32{x}, [][]int{shape}, func(g *Graph, v []*Node) *Node {
			if greatest {
				return g.MaxPool(v[0], p)
			}
			return g.AveragePool(v[0], p)
		})
	})
}

// TestActivatedBatchNorm holds a batch-norm with an activation against the two apart.
func TestActivatedBatchNorm(t *testing.T) {
	for _, act := range []kernel.Activation{kernel.ReLU, kernel.ReLU6} {
		random := rand.New(rand.NewPCG(1, 2))
		x, factor := normal(random, 4*9*5), normal(random, 4*9*5)
		gradients := func(layer func(g *Graph, v []*Node) *Node) [][]float32 {
			g := New(nil, nil)
			v := []*Node{g.Learned("x", []int{4, 3, 3, 5}, x), g.Learned("gamma", []int{5}, []float32{1, 4, 8, 0.1, 2}), g.Learned("beta", []int{5}, []float32{0, 4, -1, 1, 2})}
			y := layer(g, v)
			g.Differentiate(g.weightedSum(y, factor))
			run(t, g, y)
			out := [][]float32{g.Data(y)}
			for _, p := range g.Parameters() {
				grad, err := p.Grad()
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, grad.Data().([]float32))
			}
			return out
		}
		norm := func(g *Graph, v []*Node, act kernel.Activation) *Node {
			return g.BatchNorm(v[0], v[1], v[2], make([]float32, 5), make([]float32, 5), 1e-3, 0.9, act)
		}
		got := gradients(func(g *Graph, v []*Node) *Node { return norm(g, v, act) })
		want := gradients(func(g *Graph, v []*Node) *Node { return g.Activate(norm(g, v, kernel.None), act) })
		for i := range want {
			for j, v := range want[i] {
				if math.Abs(float64(got[i][j]-v)) > 1e-5*(1+math.Abs(float64(v))) {
					t.Fatalf("%v: value %d, element %d: %v, apart %v", act, i, j, got[i][j], v)
				}
			}
		}
	}
}

// TestConvolutionAndNormAsOne holds a convolution with a norm after it against the two apart.
func TestConvolutionAndNormAsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		c := kernel.Conv{InC: 4, OutC: 4, KernelH: rapid.IntRange(1, 3).Draw(t, "kernel"), KernelW: 2, StrideH: rapid.IntRange(1, 2).Draw(t, "stride"), StrideW: 1, PadTop: 1, PadLeft: 1,
			Groups: rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "groups")}
		act := rapid.SampledFrom([]kernel.Activation{kernel.None, kernel.ReLU, kernel.ReLU6}).Draw(t, "act")
		fixed := rapid.IntRange(0, 7).Draw(t, "fixed") // bits: x, weight and norm, norm
		x, w := normal(random, 2*5*4*4), normal(random, c.WeightSize())
		gamma, beta, mean, variance := normal(random, 4), normal(random, 4), normal(random, 4), []float32{0.1, 1, 2, 3}
		oh, ow := c.OutSize(5, 4)
		factor := normal(random, 2*oh*ow*4)
		gradients := func(layer func(g *Graph, x, w *Node, norm Norm) *Node) [][]float32 {
			g := New(nil, nil)
			leaf := func(name string, still bool, data []float32, shape ...int) *Node {
				if still {
					return g.Fixed(name, shape, data)
				}
				return g.Learned(name, shape, data)
			}
			y := layer(g, leaf("x", fixed == 1, x, 2, 5, 4, 4), leaf("w", fixed&2 != 0, w, 4, c.KernelH, c.KernelW, 4/c.Groups),
				Norm{leaf("gamma", fixed > 1, gamma, 4), leaf("beta", fixed > 1, beta, 4), mean, variance, 1e-3})
			g.Differentiate(g.weightedSum(y, factor))
			if err := g.Compile(y); err != nil {
				t.Fatal(err)
			}
			for range 2 { // packed, and packed again
				if err := g.Run(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			out := [][]float32{slices.Clone(g.Data(y))}
			for _, p := range g.Parameters() {
				grad, err := p.Grad()
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, slices.Clone(grad.Data().([]float32)))
			}
			return out
		}
		got := gradients(func(g *Graph, x, w *Node, norm Norm) *Node { return g.ConvNorm(x, w, norm, c, act) })
		want := gradients(func(g *Graph, x, w *Node, norm Norm) *Node {
			return g.FrozenBatchNorm(g.Conv(x, w, nil, c, kernel.None), norm, act)
		})
		if len(got) != len(want) {
			t.Fatalf("%d gradients, apart %d", len(got), len(want))
		}
		for i := range want {
			var scale float64
			for _, v := range want[i] {
				scale = max(scale, math.Abs(float64(v)))
			}
			for j, v := range want[i] {
				if math.Abs(float64(got[i][j]-v)) > 1e-4*(1+scale) {
					t.Fatalf("value %d, element %d: %v, apart %v", i, j, got[i][j], v)
				}
			}
		}
	})
}

func TestProductGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		n, c := rapid.IntRange(1, 3).Draw(t, "batch"), rapid.IntRange(1, 5).Draw(t, "channels")
		shapes := [][]int{{n, 2, 3, c}, {n, c}}
		if rapid.Bool().Draw(t, "of one shape") {
			shapes[1] = shapes[0]
		}
		tensors := [][]float32{normal(random, n*6*c), normal(random, n*c)}
		if len(shapes[1]) == 4 {
			tensors[1] = normal(random, n*6*c)
		}
		checkGradients(t, tensors, shapes, func(g *Graph, v []*Node) *Node { return g.Multiply(v[0], v[1]) })
	})
}

// TestTermsThatAreOne has a value that is multiplied by and added to itself.
func TestTermsThatAreOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkGradients(t, [][]float32{normal(drawRandom(t), 6)}, [][]int{{2, 3}}, func(g *Graph, v []*Node) *Node {
			return g.Add(kernel.None, g.Multiply(v[0], v[0]), v[0], v[0], g.Scale(v[0], -3))
		})
	})
}

func TestMapConstructionErrors(t *testing.T) {
	for name, build := range map[string]func(g *Graph, x *Node) *Node{
		"convolution: ": func(g *Graph, x *Node) *Node {
			return g.Conv(x, g.Input("w", 4, 3, 3, 2), nil, kernel.Conv{InC: 2, OutC: 4, KernelH: 3, KernelW: 3}, kernel.None)
		},
		"batch-norm: ": func(g *Graph, x *Node) *Node {
			c := make([]float32, 2)
			return g.BatchNorm(x, g.Input("gamma", 2), g.Input("beta", 2), c, c, 1e-3, 0.9, kernel.SiLU)
		},
		"pooling: ": func(g *Graph, x *Node) *Node { return g.MaxPool(x, kernel.Pooling{}) },
	} {
		g := New(nil, nil)
		build(g, g.Input("x", 1, 4, 4, 2))
		if err := g.Compile(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}
