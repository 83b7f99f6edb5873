package graph

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

// weightedSum is Σ factor·x, a loss whose gradient with respect to x is factor.
func (g *Graph) weightedSum(x *Node, factor []float32) *Node {
	f := g.Fixed("factors", x.Shape(), factor)
	return g.add(operation{
		name:   "weighted sum",
		output: tensor.Shape{1},
		forward: func(out []float32, v [][]float32) error {
			var sum float64
			for i, x := range v[0] {
				sum += float64(x) * float64(v[1][i])
			}
			out[0] = float32(sum)
			return nil
		},
		backward: func(_ gorgonia.Nodes, _, _ *Node) (gorgonia.Nodes, error) {
			return gorgonia.Nodes{f, nil}, nil
		},
	}, x, f)
}

// checkGradients holds the gradients of a layer's parameters, x among them, against differences.
// layer is called once a graph; tensors are the values of its learned nodes, in order.
func checkGradients(t *rapid.T, tensors [][]float32, shapes [][]int, layer func(g *Graph, v []*Node) *Node) {
	t.Helper()
	var factor []float32
	build := func() (*Graph, *Node) {
		g := New(nil, nil)
		nodes := make([]*Node, len(tensors))
		for i := range tensors {
			nodes[i] = g.Learned(fmt.Sprint("v", i), shapes[i], tensors[i])
		}
		y := layer(g, nodes)
		if factor == nil {
			factor = normal(rand.New(rand.NewPCG(1, 2)), y.Shape().TotalSize())
		}
		loss := g.weightedSum(y, factor)
		g.Differentiate(loss)
		if err := g.Compile(y); err != nil {
			t.Fatal(err)
		}
		return g, y
	}
	g, y := build()
	value := func() float64 {
		if err := g.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		var sum float64
		for i, v := range g.Data(y) {
			sum += float64(v) * float64(factor[i])
		}
		return sum
	}
	value()
	gradients := make([][]float32, len(tensors))
	for i, p := range g.Parameters() {
		grad, err := p.Grad()
		if err != nil {
			t.Fatal(err)
		}
		gradients[i] = slices.Clone(grad.Data().([]float32))
	}
	value()
	for i, p := range g.Parameters() {
		if grad, _ := p.Grad(); !slices.Equal(gradients[i], grad.Data().([]float32)) {
			t.Fatalf("a second run gave other gradients of value %d", i)
		}
	}
	for i, data := range tensors {
		for j := range data {
			const h = 1.0 / 128
			x := data[j]
			data[j] = x + h
			above := value()
			data[j] = x - h
			below := value()
			data[j] = x
			want := (above - below) / (2 * h)
			if got := float64(gradients[i][j]); math.Abs(got-want) > 2e-3*(1+math.Abs(want)) {
				t.Fatalf("gradient %d of value %d: %v, differences give %v", j, i, got, want)
			}
		}
	}
}

func normal(random *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(random.NormFloat64())
	}
	return out
}

func drawRandom(t *rapid.T) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
}

func TestDenseGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		batch, in, out := rapid.IntRange(1, 5).Draw(t, "batch"), rapid.IntRange(1, 7).Draw(t, "in"), rapid.IntRange(1, 6).Draw(t, "out")
		tensors := [][]float32{normal(random, batch*in), normal(random, out*in), normal(random, out)}
		shapes := [][]int{{batch, in}, {out, in}, {out}}
		n := rapid.IntRange(2, 3).Draw(t, "values")
		checkGradients(t, tensors[:n], shapes[:n], func(g *Graph, v []*Node) *Node {
			if n == 2 {
				return g.Dense(v[0], v[1], nil)
			}
			return g.Dense(v[0], v[1], v[2])
		})
	})
}

// TestSharedGradients has a weight that gradients reach along two ways.
func TestSharedGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		n := rapid.IntRange(1, 4).Draw(t, "n")
		tensors := [][]float32{normal(random, 2*n), normal(random, n*n)}
		checkGradients(t, tensors, [][]int{{2, n}, {n, n}}, func(g *Graph, v []*Node) *Node {
			h := g.Activate(g.Dense(v[0], v[1], nil), kernel.Tanh)
			return g.Dense(h, v[1], nil)
		})
	})
}

func TestActivationGradients(t *testing.T) {
	for f := kernel.None; f <= kernel.QuickGELU; f++ {
		t.Run(f.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				n := rapid.IntRange(1, 9).Draw(t, "n")
				x := normal(drawRandom(t), n)
				for i := range x { // differences across a kink mean nothing
					for _, kink := range []float32{0, 6, -3, 3} {
						if math.Abs(float64(x[i]-kink)) < 0.05 {
							x[i] = kink + 0.1
						}
					}
				}
				checkGradients(t, [][]float32{x}, [][]int{{1, n}}, func(g *Graph, v []*Node) *Node {
					return g.Activate(v[0], f)
				})
			})
		})
	}
}

func TestBatchNormGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		batch, channels := rapid.IntRange(3, 6).Draw(t, "batch"), rapid.IntRange(1, 4).Draw(t, "channels")
		shape := []int{batch, channels}
		size := batch * channels
		if rapid.Bool().Draw(t, "map") {
			shape, size = []int{batch, 2, 2, channels}, 4*size
		}
		tensors := [][]float32{normal(random, size), normal(random, channels), normal(random, channels)}
		checkGradients(t, tensors, [][]int{shape, {channels}, {channels}}, func(g *Graph, v []*Node) *Node {
			// A large epsilon keeps the curvature within what differences can tell.
			return g.BatchNorm(v[0], v[1], v[2], make([]float32, channels), make([]float32, channels), 0.5, 0.9, kernel.None)
		})
	})
}

func TestFrozenBatchNormGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		batch, channels := rapid.IntRange(1, 5).Draw(t, "batch"), rapid.IntRange(1, 4).Draw(t, "channels")
		mean, variance := normal(random, channels), normal(random, channels)
		for i := range variance {
			variance[i] = 0.5 + variance[i]*variance[i]
		}
		tensors := [][]float32{normal(random, batch*channels), normal(random, channels), normal(random, channels)}
		checkGradients(t, tensors, [][]int{{batch, channels}, {channels}, {channels}}, func(g *Graph, v []*Node) *Node {
			return g.FrozenBatchNorm(v[0], Norm{v[1], v[2], mean, variance, 1e-3}, kernel.None)
		})
	})
}

func TestDropoutGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		checkGradients(t, [][]float32{normal(drawRandom(t), n)}, [][]int{{1, n}}, func(g *Graph, v []*Node) *Node {
			return g.Dropout(v[0], 0.4, "drop")
		})
	})
}

func TestFlattenGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkGradients(t, [][]float32{normal(drawRandom(t), 12)}, [][]int{{2, 3, 1, 2}}, func(g *Graph, v []*Node) *Node {
			return g.Flatten(v[0])
		})
	})
}

func TestCrossEntropyGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		batch, classes := rapid.IntRange(1, 5).Draw(t, "batch"), rapid.IntRange(2, 5).Draw(t, "classes")
		target := make([]float32, batch*classes)
		for i := range target {
			target[i] = random.Float32()
		}
		checkGradients(t, [][]float32{normal(random, batch*classes)}, [][]int{{batch, classes}}, func(g *Graph, v []*Node) *Node {
			return g.CrossEntropy(v[0], g.Fixed("target", []int{batch, classes}, target), g.Fixed("total", []int{1}, []float32{2.5}))
		})
	})
}

func TestLossGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		shape := []int{rapid.IntRange(1, 5).Draw(t, "batch"), rapid.IntRange(1, 5).Draw(t, "width")}
		given := func(g *Graph, name string, data []float32) *Node { return g.Fixed(name, shape, data) }
		n := shape[0] * shape[1]
		a, b := make([]float32, n), make([]float32, n)
		for i := range n {
			a[i], b[i] = random.Float32(), random.Float32()
		}
		total := func(g *Graph) *Node { return g.Fixed("total", []int{1}, []float32{2.5}) }
		checkGradients(t, [][]float32{normal(random, n)}, [][]int{shape}, func(g *Graph, v []*Node) *Node {
			return g.BinaryCrossEntropy(v[0], given(g, "yes", a), given(g, "no", b), total(g))
		})
		checkGradients(t, [][]float32{normal(random, n)}, [][]int{shape}, func(g *Graph, v []*Node) *Node {
			return g.SquaredError(v[0], given(g, "target", a), given(g, "weight", b), total(g))
		})
		checkGradients(t, [][]float32{normal(random, n), normal(random, n)}, [][]int{shape, shape}, func(g *Graph, v []*Node) *Node {
			ones := g.Fixed("one", []int{1}, []float32{1})
			fixed := g.SquaredError(given(g, "x", b), given(g, "y", a), given(g, "z", a), ones)
			return g.Combine(g.Fixed("weights of the losses", []int{3}, []float32{0.75, 3, -1.5}),
				g.SquaredError(v[0], given(g, "target", a), given(g, "weight", b), total(g)), fixed,
				g.SquaredError(v[1], given(g, "other target", b), given(g, "other weight", a), ones))
		})
	})
}

// TestReversedGradients has a value that a plain way and a reversed one lead away from: the differences of
// each way by itself, the second times −lambda·factor, make the gradient.
func TestReversedGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		n := rapid.IntRange(1, 4).Draw(t, "n")
		lambda, factor := rapid.Float32Range(0, 2).Draw(t, "lambda"), rapid.Float32Range(0, 2).Draw(t, "factor")
		x, w := normal(random, 2*n), normal(random, n*n)
		plain, reversed := normal(random, 2*n), normal(random, 2*n)
		gradients := func(first, second float32, reverse bool) (dx, dw []float32, output []float32) {
			g := New(nil, nil)
			vx, vw := g.Learned("x", []int{2, n}, slices.Clone(x)), g.Learned("w", []int{n, n}, slices.Clone(w))
			h := g.Activate(g.Dense(vx, vw, nil), kernel.Tanh)
			other := h
			if reverse {
				other = g.ReverseGradient(h, lambda, g.Fixed("factor", []int{1}, []float32{factor}))
			}
			side := func(name string, x *Node, by []float32, scale float32) *Node {
				f := slices.Clone(by)
				for i := range f {
					f[i] *= scale
				}
				return g.Multiply(g.Activate(x, kernel.Sigmoid), g.Fixed(name, []int{2, n}, f))
			}
			y := g.Add(kernel.None, side("plain", h, plain, first), side("reversed", other, reversed, second))
			ones := make([]float32, 2*n)
			for i := range ones {
				ones[i] = 1
			}
			g.Differentiate(g.weightedSum(y, ones))
			if err := g.Compile(y); err != nil {
				t.Fatal(err)
			}
			if err := g.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			var out [][]float32
			for _, p := range g.Parameters() {
				grad, err := p.Grad()
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, slices.Clone(grad.Data().([]float32)))
			}
			return out[0], out[1], slices.Clone(g.Data(y))
		}
		dx, dw, y := gradients(1, 1, true)
		dx1, dw1, _ := gradients(1, 0, false)
		dx2, dw2, _ := gradients(0, 1, false)
		if _, _, same := gradients(1, 1, false); !slices.Equal(y, same) {
			t.Fatalf("output %v, without the reversal %v", y, same)
		}
		for _, c := range [][3][]float32{{dx, dx1, dx2}, {dw, dw1, dw2}} {
			for i, got := range c[0] {
				if want := c[1][i] - lambda*factor*c[2][i]; math.Abs(float64(got-want)) > 1e-5*(1+math.Abs(float64(want))) {
					t.Fatalf("gradient %v, want %v − %v·%v", got, c[1][i], lambda*factor, c[2][i])
				}
			}
		}
	})
}

func TestAffineGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		n := rapid.IntRange(1, 4).Draw(t, "n")
		scale, shift := normal(random, n), normal(random, n)
		checkGradients(t, [][]float32{normal(random, 3*n)}, [][]int{{3, n}}, func(g *Graph, v []*Node) *Node {
			return g.Affine(v[0], scale, shift)
		})
	})
}

func TestCrossEntropyOfExtremeLogits(t *testing.T) {
	g := New(nil, nil)
	logits := g.Learned("logits", []int{2, 3}, []float32{1e30, -1e30, 0, -3e4, 2e4, 2e4})
	loss := g.CrossEntropy(logits, g.Fixed("target", []int{2, 3}, []float32{1, 0, 0, 0, 1, 0}), g.Fixed("total", []int{1}, []float32{2}))
	g.Differentiate(loss)
	run(t, g)
	if got, want := g.Data(loss)[0], float32(math.Ln2/2); math.Abs(float64(got-want)) > 1e-6 {
		t.Errorf("loss %v, want %v", got, want)
	}
	grad, err := g.Parameters()[0].Grad()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := grad.Data().([]float32), []float32{0, 0, 0, 0, -0.25, 0.25}; !slices.Equal(got, want) {
		t.Errorf("gradient %v, want %v", got, want)
	}
}

// Of weights that are equal, as many are dropped as the rate says, others in each head, sequence and step; without a rate to speak
// of, it is the attention without dropout.
func TestDroppedAttention(t *testing.T) {
	const batch, tokens, heads, width = 3, 150, 2, 150
	sequences := NewSequences(batch, tokens)
	sequences[1].Length = 140
	shape := []int{batch, tokens, heads * width}
	zeros, places := make([]float32, batch*tokens*heads*width), make([]float32, batch*tokens*heads*width)
	for i := range batch * tokens {
		for h := range heads {
			places[(i*heads+h)*width+i%tokens] = 1 // values that say which weight they had
		}
	}
	drawn := func(step int) []float32 {
		g := New(nil, nil)
		q, k, v := g.Fixed("q", shape, zeros), g.Fixed("k", shape, zeros), g.Fixed("v", shape, places)
		y := g.DroppedAttention(q, k, v, heads, false, sequences, 0.3, "drop")
		g.SetDraw(Draw{1, 0, step})
		run(t, g, y)
		return slices.Clone(g.Data(y))
	}
	first := drawn(0)
	if !slices.Equal(first, drawn(0)) {
		t.Error("the same draw drops others")
	}
	dropped := func(y []float32) []bool {
		out := make([]bool, len(y))
		for i, x := range y {
			row, key := i/(heads*width), i%width
			length := sequences[row/tokens].Length
			switch want := 1 / (0.7 * float64(length)); {
			case row%tokens >= length || key >= length:
				if x != 0 {
					t.Fatalf("padding has %v", x)
				}
			case x == 0:
				out[i] = true
			case math.Abs(float64(x)-want) > 1e-4*want:
				t.Fatalf("a weight is %v, want %v", x, want)
			}
		}
		return out
	}
	count := func(a, b []bool) float64 {
		both, all := 0, 0
		for i := range a {
			all++
			if a[i] && b[i] {
				both++
			}
		}
		return float64(both) / float64(all)
	}
	a, b := dropped(first), dropped(drawn(1))
	real := float64(2*150*150+140*140) / (3 * 150 * 150)
	if got := count(a, a) / real; math.Abs(got-0.3) > 0.005 {
		t.Errorf("%v of the weights are dropped, want 0.3", got)
	}
	if got := count(a, b) / real; math.Abs(got-0.09) > 0.005 {
		t.Errorf("%v are dropped in two steps, want 0.09", got)
	}
	half := heads * width * tokens
	if got := count(a[:half], a[2*half:]); math.Abs(got-0.09) > 0.008 {
		t.Errorf("%v are dropped in two sequences, want 0.09", got)
	}

	random := rand.New(rand.NewPCG(3, 4))
	q, k, v := normal(random, len(zeros)), normal(random, len(zeros)), normal(random, len(zeros))
	for _, causal := range []bool{false, true} {
		var outputs [2][]float32
		for i, rate := range []float32{0, 1e-12} {
			g := New(nil, nil)
			y := g.DroppedAttention(g.Fixed("q", shape, q), g.Fixed("k", shape, k), g.Fixed("v", shape, v), heads, causal, sequences, rate, "drop")
			run(t, g, y)
			outputs[i] = slices.Clone(g.Data(y))
		}
		for i, x := range outputs[0] {
			if math.Abs(float64(x-outputs[1][i])) > 1e-4 {
				t.Fatalf("causal %v: %v at %d, %v without dropout", causal, outputs[1][i], i, x)
			}
		}
	}
}

func TestDropout(t *testing.T) {
	const n = 100_001
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	drawn := func(d Draw, layer string) []float32 {
		g := New(nil, nil)
		y := g.Dropout(g.Fixed("x", []int{1, n}, ones), 0.3, layer)
		g.SetDraw(d)
		run(t, g, y)
		return slices.Clone(g.Data(y))
	}
	first := drawn(Draw{1, 2, 3}, "drop")
	zeros := 0
	for _, v := range first {
		switch v {
		case 0:
			zeros++
		case 1 / float32(1-float32(0.3)):
		default:
			t.Fatalf("an element is %v", v)
		}
	}
	if share := float64(zeros) / n; math.Abs(share-0.3) > 0.006 { // four standard deviations
		t.Errorf("dropped %v of all", share)
	}
	if !slices.Equal(first, drawn(Draw{1, 2, 3}, "drop")) {
		t.Error("the same draw gave another mask")
	}
	for _, other := range [][]float32{
		drawn(Draw{2, 2, 3}, "drop"), drawn(Draw{1, 3, 3}, "drop"), drawn(Draw{1, 2, 4}, "drop"), drawn(Draw{1, 2, 3}, "drop2"),
	} {
		both := 0
		for i, v := range first {
			if v == 0 && other[i] == 0 {
				both++
			}
		}
		if share := float64(both) / n; math.Abs(share-0.09) > 0.004 {
			t.Errorf("two draws drop the same element with probability %v", share)
		}
	}
}

func TestMomentsFollowTheBatches(t *testing.T) {
	g := New(nil, nil)
	mean, variance := []float32{1, 0}, []float32{1, 2}
	x := g.Fixed("x", []int{4, 2}, []float32{1, 2, 3, 2, 5, 2, 7, 2})
	g.BatchNorm(x, g.Fixed("gamma", []int{2}, []float32{1, 1}), g.Fixed("beta", []int{2}, []float32{0, 0}), mean, variance, 1e-5, 0.75, kernel.None)
	run(t, g)
	if mean[0] != 1 {
		t.Error("a run changed the running statistics")
	}
	for _, m := range g.Moments() {
		m.Update()
	}
	// Means 4 and 2; unbiased variances 20/3 and 0.
	if want := []float32{1.75, 0.5}; !slices.Equal(mean, want) {
		t.Errorf("mean %v, want %v", mean, want)
	}
	if want := []float32{float32(0.75 + 0.25*20.0/3), 1.5}; !slices.Equal(variance, want) {
		t.Errorf("variance %v, want %v", variance, want)
	}
}

// TestTwins has two layers whose nodes Gorgonia could take for one.
func TestTwins(t *testing.T) {
	g := New(nil, nil)
	x := g.Fixed("x", []int{1, 64}, slices.Repeat([]float32{1}, 64))
	a, b := g.Dropout(x, 0.5, "a"), g.Dropout(x, 0.5, "b")
	run(t, g, a, b)
	if slices.Equal(g.Data(a), g.Data(b)) {
		t.Error("two dropout layers on one input dropped the same")
	}
}

// TestNodesOfOneHash has two operations whose nodes Gorgonia could take for one.
func TestNodesOfOneHash(t *testing.T) {
	g := New(nil, nil)
	x := g.Learned("x", []int{1}, []float32{3})
	times := func(name string, factor float32) *Node {
		var o operation
		o = operation{name: name, output: tensor.Shape{1}, forward: func(out []float32, v [][]float32) error {
			out[0] = factor * v[0][0]
			return nil
		}}
		layer := o
		layer.backward = func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(o, dy)
			return gorgonia.Nodes{dx}, err
		}
		return g.add(layer, x)
	}
	a, b := times("a52371", 2), times("b114923", 5)
	if a.Hashcode() != b.Hashcode() {
		t.Fatal("the hashes differ: this test needs another pair of names")
	}
	g.Differentiate(g.Add(kernel.None, a, b))
	run(t, g, a, b)
	gradient, err := g.Parameters()[0].Grad()
	if err != nil {
		t.Fatal(err)
	}
	if got := []float32{g.Data(a)[0], g.Data(b)[0], gradient.Data().([]float32)[0]}; !slices.Equal(got, []float32{6, 15, 7}) {
		t.Errorf("values and gradient %v, want 6, 15 and 7", got)
	}
}

func TestGradientsStopAtWhatIsFixed(t *testing.T) {
	g := New(nil, nil)
	x := g.Input("x", 2, 3)
	hidden := g.Dense(x, g.Fixed("frozen", []int{4, 3}, make([]float32, 12)), nil)
	if g.Learns(hidden) {
		t.Error("a layer of fixed values learns")
	}
	logits := g.Dense(hidden, g.Learned("w", []int{2, 4}, make([]float32, 8)), nil)
	before := len(g.operations)
	g.Differentiate(g.CrossEntropy(logits, g.Input("target", 2, 2), g.Fixed("total", []int{1}, []float32{1})))
	if added := len(g.operations) - before; added != 3 { // loss, its gradient, that of w
		t.Errorf("%d operations for the loss and one gradient", added)
	}
	run(t, g)
}

func TestConstructionErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		build      func(g *Graph)
	}{
		{"size", "given 2", func(g *Graph) { g.Fixed("x", []int{3}, []float32{1, 2}) }},
		{"empty", "0 values", func(g *Graph) { g.Input("x", 0, 3) }},
		{"twice", "used twice", func(g *Graph) { g.Input("x", 3); g.Input("x", 3) }},
		{"reshape", "not as many", func(g *Graph) { g.Reshape(g.Input("x", 3), 4) }},
		{"nothing learns", "differentiate", func(g *Graph) {
			x := g.Input("x", 2, 3)
			g.Differentiate(g.CrossEntropy(x, g.Input("t", 2, 3), g.Input("n", 1)))
		}},
	} {
		g := New(nil, nil)
		c.build(g)
		if err := g.Compile(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestRunStopsWhenTheContextEnds(t *testing.T) {
	g := New(nil, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ran := 0
	x := g.Input("x", 1)
	for range 3 {
		x = g.add(operation{name: "count", output: tensor.Shape{1}, forward: func([]float32, [][]float32) error {
			if ran++; ran == 2 {
				cancel()
			}
			return nil
		}}, x)
	}
	if err := g.Compile(); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if ran != 2 {
		t.Errorf("%d operations ran", ran)
	}
}

func TestPanicInAKernelIsAnError(t *testing.T) {
	g := New(nil, nil)
	g.add(operation{name: "faulty", output: tensor.Shape{1}, forward: func([]float32, [][]float32) error { panic("out of reach") }}, g.Input("x", 1))
	if err := g.Compile(); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "faulty: out of reach") {
		t.Errorf("error %v", err)
	}
}

func TestRunsAllocateNothingLarge(t *testing.T) {
	g := New(nil, nil)
	x := g.Fixed("x", []int{64, 256}, make([]float32, 64*256))
	y := g.Activate(g.Dense(x, g.Learned("w", []int{128, 256}, make([]float32, 128*256)), nil), kernel.ReLU)
	g.Differentiate(g.CrossEntropy(y, g.Input("target", 64, 128), g.Fixed("total", []int{1}, []float32{1})))
	run(t, g)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const runs = 20
	for range runs {
		if err := g.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if perRun := (after.TotalAlloc - before.TotalAlloc) / runs; perRun > 16<<10 {
		t.Errorf("a run allocates %d bytes", perRun)
	}
}

func run(t *testing.T, g *Graph, keep ...*Node) {
	t.Helper()
	if err := g.Compile(keep...); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestSequenceGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		num := func(name string, most int) int { return rapid.IntRange(1, most).Draw(t, name) }
		batch, rows, columns, other := num("batch", 3), num("rows", 4), 1+num("columns", 5), num("other", 4)
		x := normal(random, batch*rows*columns)
		shape := []int{batch, rows, columns}
		switch rapid.IntRange(0, 6).Draw(t, "layer") {
		case 0:
			checkGradients(t, [][]float32{x, normal(random, other*columns), normal(random, other)}, [][]int{shape, {other, columns}, {other}},
				func(g *Graph, v []*Node) *Node { return g.Dense(v[0], v[1], v[2]) })
		case 1:
			checkGradients(t, [][]float32{x}, [][]int{shape}, func(g *Graph, v []*Node) *Node { return g.Softmax(v[0]) })
		case 2:
			checkGradients(t, [][]float32{x, normal(random, columns), normal(random, columns)}, [][]int{shape, {columns}, {columns}},
				func(g *Graph, v []*Node) *Node { return g.LayerNorm(v[0], v[1], v[2], 0.1) })
		case 3:
			ids := make([]int32, batch*rows)
			for i := range ids {
				ids[i] = int32(random.IntN(other))
			}
			checkGradients(t, [][]float32{normal(random, other*columns)}, [][]int{{other, columns}},
				func(g *Graph, v []*Node) *Node { return g.Embedding(v[0], ids, batch, rows) })
		case 4:
			axes := rapid.Permutation([]int{0, 1, 2}).Draw(t, "axes")
			checkGradients(t, [][]float32{x}, [][]int{shape}, func(g *Graph, v []*Node) *Node { return g.Transpose(v[0], axes...) })
		case 5:
			for i := range x {
				x[i] += 2 // away from zero, where the curvature is high
			}
			checkGradients(t, [][]float32{x}, [][]int{shape}, func(g *Graph, v []*Node) *Node { return g.L2Normalise(v[0], 1e-12) })
		default:
			a, b := []int{batch, rows, columns}, []int{batch, columns, other}
			transA, transB := rapid.Bool().Draw(t, "transpose a"), rapid.Bool().Draw(t, "transpose b")
			if transA {
				a[1], a[2] = a[2], a[1]
			}
			if transB {
				b[1], b[2] = b[2], b[1]
			}
			checkGradients(t, [][]float32{x, normal(random, batch*columns*other)}, [][]int{a, b},
				func(g *Graph, v []*Node) *Node { return g.MatMul(v[0], v[1], transA, transB) })
		}
	})
}

func TestTokenGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := drawRandom(t)
		num := func(name string, most int) int { return rapid.IntRange(1, most).Draw(t, name) }
		batch, tokens, columns := num("batch", 3), 1+num("tokens", 4), 2*num("columns", 3)
		size, shape := batch*tokens*columns, []int{batch, tokens, columns}
		sequences := NewSequences(batch, tokens)
		for i := range sequences {
			sequences[i].Length = num("length", tokens)
		}
		// Padding leads nowhere: what follows pools the real tokens.
		pooled := func(g *Graph, x *Node) *Node { return g.PoolTokens(x, kernel.MeanOfTokens, 0, sequences) }
		switch rapid.IntRange(0, 4).Draw(t, "layer") {
		case 0:
			tensors := [][]float32{normal(random, size), normal(random, size), normal(random, size)}
			causal := rapid.Bool().Draw(t, "causal")
			checkGradients(t, tensors, [][]int{shape, shape, shape}, func(g *Graph, v []*Node) *Node {
				return pooled(g, g.Attention(v[0], v[1], v[2], 2, causal, sequences))
			})
			checkGradients(t, tensors, [][]int{shape, shape, shape}, func(g *Graph, v []*Node) *Node {
				return pooled(g, g.DroppedAttention(v[0], v[1], v[2], 2, causal, sequences, 0.4, "drop"))
			})
		case 1:
			checkGradients(t, [][]float32{normal(random, size), normal(random, (tokens+2)*columns)}, [][]int{shape, {tokens + 2, columns}}, func(g *Graph, v []*Node) *Node {
				return pooled(g, g.Positions(v[0], v[1], 1, sequences))
			})
		case 2:
			checkGradients(t, [][]float32{normal(random, size), normal(random, 2*columns)}, [][]int{shape, {2, columns}}, func(g *Graph, v []*Node) *Node { return g.Prepend(v[0], v[1]) })
		case 3:
			checkGradients(t, [][]float32{normal(random, size), normal(random, columns), normal(random, columns)}, [][]int{shape, {columns}, {columns}},
				func(g *Graph, v []*Node) *Node { return g.ScaleShift(v[0], v[1], v[2]) })
		default:
			skip := rapid.IntRange(0, 1).Draw(t, "skip")
			function := kernel.TokenPooling(rapid.IntRange(int(kernel.MeanOfTokens), int(kernel.LastToken)).Draw(t, "function"))
			x := normal(random, size)
			if function == kernel.GreatestOfTokens { // far from ties
				for i, place := range random.Perm(size) {
					x[i] = float32(place) / 4
				}
			}
			checkGradients(t, [][]float32{x}, [][]int{shape}, func(g *Graph, v []*Node) *Node { return g.PoolTokens(v[0], function, skip, sequences) })
		}
	})
}

func TestIDsAreChecked(t *testing.T) {
	g := New(nil, nil)
	y := g.Embedding(g.Fixed("table", []int{2, 1}, []float32{1, 2}), []int32{1, 2}, 2)
	if err := g.Compile(y); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "id 1 is 2") {
		t.Errorf("error %v", err)
	}
}
