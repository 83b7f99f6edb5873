package graph

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"pgregory.net/rapid"
)

// drawGraph builds a network of random layers on maps, differentiated, with a batch-norm or two that
// are worth computing again.
func drawGraph(t *rapid.T) *Graph {
	g := New(nil, nil)
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	const n, side, channels = 2, 3, 4
	shape := []int{n, side, side, channels}
	nodes := []*Node{g.Fixed("x", shape, normal(random, n*side*side*channels))}
	pick := func() *Node { return nodes[rapid.IntRange(max(0, len(nodes)-3), len(nodes)-1).Draw(t, "input")] }
	act := func() kernel.Activation {
		return rapid.SampledFrom([]kernel.Activation{kernel.None, kernel.ReLU}).Draw(t, "act")
	}
	for i := range rapid.IntRange(3, 14).Draw(t, "layers") {
		learned := func(name string, size ...int) *Node {
			total := 1
			for _, s := range size {
				total *= s
			}
			return g.Learned(fmt.Sprint(name, i), size, normal(random, total))
		}
		switch rapid.IntRange(0, 6).Draw(t, "layer") {
		case 0, 1:
			c := kernel.Conv{InC: channels, OutC: channels, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
			nodes = append(nodes, g.Conv(pick(), learned("w", channels, 1, 1, channels), nil, c, act()))
		case 2, 3:
			nodes = append(nodes, g.BatchNorm(pick(), learned("gamma", channels), learned("beta", channels), make([]float32, channels), make([]float32, channels), 1e-3, 0.9, act()))
		case 4:
			nodes = append(nodes, g.Activate(pick(), kernel.SiLU))
		case 5:
			nodes = append(nodes, g.Add(act(), pick(), pick()))
		case 6:
			nodes = append(nodes, g.FrozenBatchNorm(pick(), Norm{learned("gamma", channels), learned("beta", channels), normal(random, channels), []float32{1, 2, 3, 4}, 1e-3}, act()))
		}
	}
	x := g.Add(kernel.None, nodes[len(nodes)-1], g.Scale(nodes[len(nodes)-1], 0.5))
	logits := g.Dense(g.GlobalAveragePool(x), g.Learned("dense", []int{3, channels}, normal(random, 3*channels)), nil)
	loss := g.CrossEntropy(logits, g.Fixed("target", []int{n, 3}, []float32{1, 0, 0, 0, 1, 0}), g.Fixed("total", []int{1}, []float32{2}))
	// Parameters that do not lead to the loss have no gradient.
	needed := map[*Node]bool{loss: true}
	for _, o := range slices.Backward(g.operations) {
		if needed[o.node] {
			for _, input := range o.inputs {
				needed[input] = true
			}
		}
	}
	g.parameters = slices.DeleteFunc(g.parameters, func(p *Parameter) bool { return !needed[p.node] })
	g.Differentiate(loss)
	return g
}

// TestPlansKeepWhatIsRead follows a plan and sees that no value is written over that is still to be
// read, and that each step reads the values of the nodes it is to read.
func TestPlansKeepWhatIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		g.Limit(rapid.IntRange(0, 20000).Draw(t, "limit"))
		if err := g.Compile(); err != nil {
			t.Fatal(err)
		}
		holds := make([]*Node, g.run.arena) // which node's value each element has
		check := func(n *Node, x *place, by string) {
			if x.block == nil {
				return
			}
			for i, holder := range holds[x.block.Offset:][:x.size] {
				if holder != n {
					t.Fatalf("%s reads element %d of %v, which %v has written", by, i, n, holder)
				}
			}
		}
		for _, s := range g.run.steps {
			for i, n := range s.reads() {
				check(n, s.in[i], s.name)
			}
			for i := range s.out.size {
				holds[s.out.block.Offset+i] = s.node
			}
		}
		for n := range g.run.kept {
			check(n, g.run.places[n], "the caller")
		}
	})
}

// TestGradientsDoNotDependOnThePlan runs graphs as planned and with memory for each value.
func TestGradientsDoNotDependOnThePlan(t *testing.T) {
	again := 0
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		g.Limit(rapid.IntRange(0, 20000).Draw(t, "limit"))
		if err := g.Compile(); err != nil {
			t.Fatal(err)
		}
		if err := g.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		values := map[*Node][]float32{}
		for n, data := range g.leaves {
			values[n] = data
		}
		for _, s := range g.run.steps {
			if s.again {
				again++
				continue
			}
			var in [][]float32
			for _, n := range s.reads() {
				in = append(in, values[n])
			}
			values[s.node] = make([]float32, s.out.size)
			if err := s.forward(values[s.node], in); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range g.Parameters() {
			gradient, err := p.Grad()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(gradient.Data().([]float32), values[p.gradient]) {
				t.Fatalf("%s: gradient %v, with memory for each value %v", p.Name(), gradient, values[p.gradient])
			}
		}
	})
	if again == 0 {
		t.Error("nothing was computed again: the test tells little")
	}
}

// TestMemoryOfAChain counts what a chain of convolutions, batch-norms and rectifiers keeps: one map a
// convolution, and three more on the way back.
func TestMemoryOfAChain(t *testing.T) {
	const n, side, channels, layers = 2, 8, 16, 12
	g := New(nil, nil)
	x := g.Fixed("x", []int{n, side, side, channels}, make([]float32, n*side*side*channels))
	for i := range layers {
		c := kernel.Conv{InC: channels, OutC: channels, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
		w := g.Learned(fmt.Sprint("w", i), []int{channels, 1, 1, channels}, make([]float32, channels*channels))
		x = g.Conv(x, w, nil, c, kernel.None)
		gamma := g.Learned(fmt.Sprint("gamma", i), []int{channels}, make([]float32, channels))
		beta := g.Learned(fmt.Sprint("beta", i), []int{channels}, make([]float32, channels))
		x = g.BatchNorm(x, gamma, beta, make([]float32, channels), make([]float32, channels), 1e-3, 0.9, kernel.ReLU)
	}
	logits := g.GlobalAveragePool(x)
	g.Differentiate(g.CrossEntropy(logits, g.Fixed("target", []int{n, channels}, make([]float32, n*channels)), g.Fixed("total", []int{1}, []float32{1})))
	if err := g.Compile(); err != nil {
		t.Fatal(err)
	}
	gradients := 4 * layers * (channels*channels + 2*channels)
	if maps := float64(g.ArenaBytes()-gradients) / (4 * n * side * side * channels); maps > layers+3.5 {
		t.Errorf("%v maps are kept of %d layers", maps, layers)
	}
	recomputed := 0
	for _, s := range g.run.steps {
		if s.again {
			recomputed++
		}
	}
	if recomputed < layers-3 {
		t.Errorf("%d values are computed again", recomputed)
	}
	if names := strings.Join(g.Operations(), ","); strings.Count(names, "batch-norm, gradient of the input") != layers {
		t.Errorf("operations %s", names)
	}
}

// TestLimit sees that values are given up until the limit is held, no more than it asks for, and that gradients stay the same.
func TestLimit(t *testing.T) {
	const n, side, channels, layers = 2, 8, 16, 32
	oneMap := 4 * n * side * side * channels
	run := func(limit int) (arena, again int, gradient []float32) {
		g := New(nil, nil)
		g.Limit(limit)
		random := rand.New(rand.NewPCG(3, 0))
		x := g.Fixed("x", []int{n, side, side, channels}, normal(random, n*side*side*channels))
		for i := range layers {
			c := kernel.Conv{InC: channels, OutC: channels, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
			x = g.Conv(x, g.Learned(fmt.Sprint("w", i), []int{channels, 1, 1, channels}, normal(random, channels*channels)), nil, c, kernel.ReLU)
		}
		g.Differentiate(g.CrossEntropy(g.GlobalAveragePool(x), g.Fixed("target", []int{n, channels}, normal(random, n*channels)), g.Fixed("total", []int{1}, []float32{1})))
		if err := g.Compile(); err != nil {
			t.Fatal(err)
		}
		if err := g.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, s := range g.run.steps {
			if s.again {
				again++
			}
		}
		first, err := g.Parameters()[0].Grad()
		if err != nil {
			t.Fatal(err)
		}
		return g.ArenaBytes(), again, slices.Clone(first.Data().([]float32))
	}
	all, none, want := run(0)
	if none != 0 {
		t.Fatalf("%d convolutions are computed again without a limit", none)
	}
	before := 0
	for _, maps := range []int{30, 24, 18, 14} {
		limit := maps * oneMap
		arena, again, got := run(limit)
		if arena > limit || again == 0 || again >= layers {
			t.Errorf("limit %d: %d bytes of %d, %d convolutions computed again", limit, arena, all, again)
		}
		if again < before {
			t.Errorf("limit %d: %d convolutions computed again, fewer than for a higher limit", limit, again)
		}
		before = again
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: another gradient", limit)
		}
	}
	if arena, _, got := run(8); arena > all/2 || !slices.Equal(got, want) {
		t.Errorf("the least is %d bytes of %d", arena, all)
	}
}
