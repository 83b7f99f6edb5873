package frozen

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"pgregory.net/rapid"
)

// compute runs the named layers on n examples.
func compute(t rapid.TB, o Options, net *nn.Network, w nn.Weights, pool *kernel.Pool, x []float32, n, batch int, layers ...string) [][]float32 {
	t.Helper()
	p, err := o.Compile(net, w, layers...)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]float32, p.Outputs())
	for i := range out {
		out[i] = make([]float32, n*p.OutputShape(i).Size())
	}
	s := p.NewSession(batch)
	for range 2 { // what an earlier run left behind must not matter
		if err := s.Run(pool, x, n, out...); err != nil {
			t.Fatal(err)
		}
		s.spoil()
	}
	return out
}

// spoil fills the memory with NaN.
func (s *Session) spoil() {
	arenas := []arena{s.arena}
	for _, f := range s.frames {
		arenas = append(arenas, f.arena)
	}
	for _, a := range arenas {
		for i := range a.floats {
			a.floats[i] = float32(math.NaN())
		}
		for i := range a.bfloat16s {
			a.bfloat16s[i] = kernel.RoundBFloat16(float32(math.NaN()))
		}
		for i := range a.uint8s {
			a.uint8s[i] = 0xa5
		}
	}
}

// drawOptions draws where the steps for single examples end.
func drawOptions(t *rapid.T, net *nn.Network) Options {
	layer := rapid.SampledFrom(net.Layers()).Draw(t, "large")
	return Options{largeMap: 4 * net.Shape(layer.Name).Size()}
}

func checkNear(t rapid.TB, what string, got []float32, want []float64) {
	t.Helper()
	largest := 1.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - v); !(d <= 2e-5*largest) {
			t.Fatalf("%s: element %d is %v, want %v (largest %v)", what, i, got[i], v, largest)
		}
	}
}

func TestProgramsAgreeWithTheDefinition(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		seed := rapid.Uint64().Draw(t, "seed")
		w := nntest.Weights(net, seed)
		n := rapid.IntRange(1, 3).Draw(t, "n")
		x := nntest.Input(net, n, seed)
		want := nntest.Evaluate(net, w, nntest.Widen(x), n)
		layers := []string{net.Output().Name}
		for range rapid.IntRange(0, 2).Draw(t, "further outputs") {
			layers = append(layers, net.Layers()[rapid.IntRange(0, len(net.Layers())-1).Draw(t, "output")].Name)
		}
		got := compute(t, drawOptions(t, net), net, w, pool, x, n, rapid.IntRange(1, 3).Draw(t, "batch"), layers...)
		for i, layer := range layers {
			checkNear(t, layer, got[i], want[layer])
		}
	})
}

// The bytes of an example must not depend on its batch, the session's, or the threads.
func TestResultsDoNotDependOnTheBatch(t *testing.T) {
	three := kernel.NewPool(3)
	defer three.Close()
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		seed := rapid.Uint64().Draw(t, "seed")
		w := nntest.Weights(net, seed)
		const n = 7
		x := nntest.Input(net, n, seed)
		o := drawOptions(t, net)
		want := compute(t, o, net, w, nil, x, n, n)[0]
		size := len(x) / n
		out := len(want) / n
		for i := range n {
			one := compute(t, o, net, w, three, x[i*size:(i+1)*size], 1, 1)[0]
			if !slices.Equal(bits(one), bits(want[i*out:(i+1)*out])) {
				t.Fatalf("example %d alone: %v, in a batch: %v", i, one, want[i*out:(i+1)*out])
			}
		}
		for _, batch := range []int{1, 3, 4, n} {
			if parts := compute(t, o, net, w, three, x, n, batch)[0]; !slices.Equal(bits(parts), bits(want)) {
				t.Fatalf("in parts of %d: %v, at once: %v", batch, parts, want)
			}
		}
	})
}

// Winograd's method, in residual and concatenated convolutions wide enough for it, gives what the
// definition does, in any batch.
func TestWinogradAgreesWithTheDefinition(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("input", 17, 13, 32)
	conv := nn.Conv{Out: 32, Kernel: nn.Square(3), Padding: nn.Pad(1)}
	y := b.Layer("conv1", conv, x)
	y = b.Layer("bn1", nn.BatchNorm{Epsilon: 1e-5}, y)
	y = b.Layer("relu1", nn.Activation{Function: kernel.ReLU}, y)
	y = b.Layer("conv2", conv, y)
	y = b.Layer("add", nn.Add{}, y, x)
	y = b.Layer("silu", nn.Activation{Function: kernel.SiLU}, y)
	z := b.Layer("conv3", conv, y)
	b.Layer("concat", nn.Concat{}, z, b.Layer("conv4", conv, z), y)
	net := built(t, b)
	w := nntest.Weights(net, 1)
	const n = 3
	in := nntest.Input(net, n, 1)
	want := nntest.Evaluate(net, w, nntest.Widen(in), n)["concat"]
	for _, algorithm := range []kernel.Algorithm{kernel.Automatic, kernel.Plain, kernel.Winograd2, kernel.Winograd4} {
		p, err := Options{Algorithm: algorithm}.Compile(net, w)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(want))
		if err := p.NewSession(n).Run(nil, in, n, got); err != nil {
			t.Fatal(err)
		}
		checkNear(t, fmt.Sprintf("algorithm %v", algorithm), got, want)
		size, out := len(in)/n, len(want)/n
		for i := range n {
			one := make([]float32, out)
			if err := p.NewSession(1).Run(nil, in[i*size:(i+1)*size], 1, one); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(bits(one), bits(got[i*out:(i+1)*out])) {
				t.Errorf("algorithm %v: example %d alone differs", algorithm, i)
			}
		}
	}
}

func bits(x []float32) []uint32 {
	y := make([]uint32, len(x))
	for i, v := range x {
		y[i] = math.Float32bits(v)
	}
	return y
}

// block is an inverted bottleneck with a gate, the pattern of the mobile networks.
func block(t testing.TB) *nn.Network {
	b := nn.NewBuilder()
	x := b.Input("input", 8, 8, 16)
	y := b.Layer("expand", nn.Conv{Out: 32, Kernel: nn.Square(1)}, x)
	y = b.Layer("expand_bn", nn.BatchNorm{Epsilon: 1e-3}, y)
	y = b.Layer("expand_act", nn.Activation{Function: kernel.SiLU}, y)
	y = b.Layer("depthwise", nn.Conv{Out: 32, Kernel: nn.Square(3), Padding: nn.Pad(1), Groups: 32}, y)
	y = b.Layer("depthwise_bn", nn.BatchNorm{Epsilon: 1e-3}, y)
	y = b.Layer("depthwise_act", nn.Activation{Function: kernel.SiLU}, y)
	g := b.Layer("squeeze", nn.GlobalAveragePool{}, y)
	g = b.Layer("reduce", nn.Dense{Out: 4, Bias: true}, g)
	g = b.Layer("reduce_act", nn.Activation{Function: kernel.SiLU}, g)
	g = b.Layer("restore", nn.Dense{Out: 32, Bias: true}, g)
	g = b.Layer("gate", nn.Activation{Function: kernel.Sigmoid}, g)
	y = b.Layer("excite", nn.Multiply{}, y, g)
	y = b.Layer("project", nn.Conv{Out: 16, Kernel: nn.Square(1)}, y)
	y = b.Layer("project_bn", nn.BatchNorm{Epsilon: 1e-3}, y)
	x = b.Layer("add", nn.Add{}, y, x)
	b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	return built(t, b)
}

// dense is a dense block: every layer takes what all before it made.
func dense(t testing.TB) *nn.Network {
	b := nn.NewBuilder()
	x := b.Input("input", 8, 8, 3)
	x = b.Layer("conv", nn.Conv{Out: 8, Kernel: nn.Square(3), Padding: nn.Pad(1)}, x)
	values := []nn.Value{b.Layer("pool", nn.MaxPool{Kernel: nn.Square(2), Stride: nn.Square(2)}, x)}
	x = values[0]
	for i := range 4 {
		s := b.Scope(fmt.Sprintf("layer%d", i))
		y := s.Layer("bn", nn.BatchNorm{Epsilon: 1e-5}, x)
		y = s.Layer("relu", nn.Activation{Function: kernel.ReLU}, y)
		y = s.Layer("conv", nn.Conv{Out: 4, Kernel: nn.Square(3), Padding: nn.Pad(1)}, y)
		values = append(values, y)
		x = s.Layer("concat", nn.Concat{}, values...)
	}
	x = b.Layer("bn", nn.BatchNorm{Epsilon: 1e-5}, x)
	b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	return built(t, b)
}

// inception is a block of branches that are concatenated, one of them a concatenation itself.
func inception(t testing.TB) *nn.Network {
	b := nn.NewBuilder()
	x := b.Input("input", 8, 8, 16)
	y0 := b.Layer("one", nn.Conv{Out: 8, Kernel: nn.Square(1)}, x)
	y1 := b.Layer("three", nn.Conv{Out: 8, Kernel: nn.Square(3), Padding: nn.Pad(1)}, x)
	y2 := b.Layer("pool", nn.AveragePool{Kernel: nn.Square(3), Padding: nn.Pad(1)}, x)
	y2 = b.Layer("pool_conv", nn.Conv{Out: 8, Kernel: nn.Square(1)}, y2)
	y3 := b.Layer("split_a", nn.Conv{Out: 4, Kernel: nn.Pair{1, 3}, Padding: nn.Padding{0, 1, 0, 1}}, y1)
	y4 := b.Layer("split_b", nn.Conv{Out: 4, Kernel: nn.Pair{3, 1}, Padding: nn.Padding{1, 0, 1, 0}}, y1)
	y5 := b.Layer("split", nn.Concat{}, y3, y4)
	b.Layer("concat", nn.Concat{}, y0, y1, y5, y2)
	return built(t, b)
}

// residual is a bottleneck with a projection on its shortcut.
func residual(t testing.TB) *nn.Network {
	b := nn.NewBuilder()
	x := b.Input("input", 8, 8, 16)
	y := b.Layer("conv", nn.Conv{Out: 32, Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Pad(1)}, x)
	y = b.Layer("bn", nn.BatchNorm{Epsilon: 1e-5}, y)
	x = b.Layer("shortcut", nn.AveragePool{Kernel: nn.Square(2), Stride: nn.Square(2)}, x)
	x = b.Layer("widen", nn.Concat{}, x, x)
	x = b.Layer("add", nn.Add{}, y, x)
	b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	return built(t, b)
}

// What looks as if it could be fused or placed, and must not be.
func TestWhatMustStayApartDoes(t *testing.T) {
	one := nn.Conv{Out: 8, Kernel: nn.Square(1)}
	for name, last := range map[string]func(b *nn.Builder, x nn.Value){
		"batch-norm after a residual": func(b *nn.Builder, x nn.Value) {
			y := b.Layer("add", nn.Add{}, b.Layer("conv", one, x), x)
			b.Layer("bn", nn.BatchNorm{Epsilon: 1e-3}, y)
		},
		"two residuals": func(b *nn.Builder, x nn.Value) {
			z := b.Layer("other", one, x)
			z = b.Layer("relu", nn.Activation{Function: kernel.ReLU}, z)
			y := b.Layer("add1", nn.Add{}, b.Layer("conv", one, x), x)
			b.Layer("add2", nn.Add{}, z, y)
		},
		"two activations": func(b *nn.Builder, x nn.Value) {
			y := b.Layer("tanh", nn.Activation{Function: kernel.Tanh}, b.Layer("conv", one, x))
			b.Layer("silu", nn.Activation{Function: kernel.SiLU}, y)
		},
		"residual after an activation": func(b *nn.Builder, x nn.Value) {
			y := b.Layer("relu", nn.Activation{Function: kernel.ReLU}, b.Layer("conv", one, x))
			b.Layer("add", nn.Add{}, y, x)
		},
		"a band that is pooled": func(b *nn.Builder, x nn.Value) {
			y, z := b.Layer("y", one, x), b.Layer("z", one, x)
			p := b.Layer("pool", nn.MaxPool{Kernel: nn.Square(3), Padding: nn.Pad(1)}, y)
			b.Layer("concat", nn.Concat{}, z, y, p)
		},
		"the same bands in another order": func(b *nn.Builder, x nn.Value) {
			y, z := b.Layer("y", one, x), b.Layer("z", one, x)
			swapped := b.Layer("swapped", nn.Concat{}, z, y)
			v := b.Layer("conv", one, swapped)
			b.Layer("concat", nn.Concat{}, y, z, v)
		},
		"bands that do not touch": func(b *nn.Builder, x nn.Value) {
			y, z, v := b.Layer("y", one, x), b.Layer("z", one, x), b.Layer("v", one, x)
			apart := b.Layer("apart", nn.Concat{}, y, v)
			w := b.Layer("conv", one, apart)
			b.Layer("concat", nn.Concat{}, y, z, v, w)
		},
		"a batch-norm of what was flattened": func(b *nn.Builder, x nn.Value) {
			y := b.Layer("flat", nn.Flatten{}, b.Layer("conv", one, x))
			b.Layer("bn", nn.BatchNorm{Epsilon: 1e-3}, y)
		},
	} {
		b := nn.NewBuilder()
		last(b, b.Input("input", 5, 4, 8))
		net := built(t, b)
		w := nntest.Weights(net, 1)
		x := nntest.Input(net, 2, 1)
		layer := net.Output().Name
		checkNear(t, name, compute(t, Options{}, net, w, nil, x, 2, 2)[0], nntest.Evaluate(net, w, nntest.Widen(x), 2)[layer])
	}
}

func built(t testing.TB, b *nn.Builder) *nn.Network {
	t.Helper()
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// What fuses is counted, not timed.
func TestWhatBelongsTogetherIsOneStep(t *testing.T) {
	for _, c := range []struct {
		name string
		net  *nn.Network
		want string
	}{
		{"inverted bottleneck", block(t), "conv conv globalPool conv conv multiply conv"},
		{"dense block", dense(t), "conv pool copy scaleShift conv scaleShift conv scaleShift conv scaleShift conv scaleShift"},
		{"inception block", inception(t), "conv conv pool conv conv conv"},
		{"residual block", residual(t), "pool copy copy conv"},
	} {
		w := nntest.Weights(c.net, 1)
		p, err := Compile(c.net, w)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, s := range p.steps {
			switch s.(type) {
			case *convStep:
				got += "conv "
			case *scaleShiftStep:
				got += "scaleShift "
			case *copyStep:
				got += "copy "
			case *poolStep:
				got += "pool "
			case *globalPoolStep:
				got += "globalPool "
			case *multiplyStep:
				got += "multiply "
			default:
				got += fmt.Sprintf("%T ", s)
			}
		}
		if got != c.want+" " {
			t.Errorf("%s: steps %s\nwant %s", c.name, got, c.want)
		}
		x := nntest.Input(c.net, 2, 1)
		want := nntest.Evaluate(c.net, w, nntest.Widen(x), 2)
		for _, l := range c.net.Layers() {
			checkNear(t, c.name+": "+l.Name, compute(t, Options{}, c.net, w, nil, x, 2, 2, l.Name)[0], want[l.Name])
		}
	}
}

func TestBuffersInUseDoNotOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, single := element(rapid.IntRange(0, 2).Draw(t, "element")), rapid.Bool().Draw(t, "single")
		var buffers []*buffer
		largest := make([]int, 30)
		for range rapid.IntRange(1, 20).Draw(t, "buffers") {
			first := rapid.IntRange(0, 20).Draw(t, "first")
			b := &buffer{element: e, size: rapid.IntRange(1, 100).Draw(t, "size"), single: single, first: first, last: first + rapid.IntRange(0, 8).Draw(t, "length")}
			buffers = append(buffers, b)
			for i := b.first; i <= b.last; i++ {
				largest[i] += b.size
			}
		}
		total := arrange(buffers, e, single)
		if other := arrange(buffers, (e+1)%3, single) + arrange(buffers, e, !single); other != 0 {
			t.Fatalf("buffers of other sorts need %d", other)
		}
		if total < slices.Max(largest) {
			t.Fatalf("total %d, at one time %d are in use", total, slices.Max(largest))
		}
		for i, a := range buffers {
			if a.offset < 0 || a.offset+a.size > total || a.offset%16 != 0 {
				t.Fatalf("buffer %+v in an arena of %d", *a, total)
			}
			for _, b := range buffers[:i] {
				if a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Fatalf("%+v and %+v overlap", *a, *b)
				}
			}
		}
	})
}

// A deep chain needs the memory of two maps, not of all.
func TestArenaIsReused(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("input", 16, 16, 8)
	for i := range 20 {
		x = b.Layer(fmt.Sprintf("conv%d", i), nn.Conv{Out: 8, Kernel: nn.Square(3), Padding: nn.Pad(1)}, x)
	}
	net := built(t, b)
	p, err := Compile(net, net.InitialiseFrozen(1))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.ArenaBytes(), 2*4*16*16*8; got != want {
		t.Errorf("arena of %d bytes, want %d", got, want)
	}
	if got, want := p.AtOnce(1<<20), (256<<20)/p.ArenaBytes(); got != want {
		t.Errorf("%d examples at once, want %d", got, want)
	}
	if got := p.AtOnce(32); got != 32 {
		t.Errorf("%d examples at once, more than 32", got)
	}
}

func TestMistakesAreErrors(t *testing.T) {
	net := block(t)
	w := nntest.Weights(net, 1)
	if _, err := Compile(net, w, "nowhere"); err == nil {
		t.Error("compiled a layer that is not there")
	}
	delete(w, "reduce.bias")
	var e *nn.WeightsError
	if _, err := Compile(net, w); !errors.As(err, &e) || !slices.Equal(e.Missing, []string{"reduce.bias"}) {
		t.Errorf("error %v, want that of the missing bias", err)
	}
	p, err := Compile(net, w, "depthwise") // needs no bias
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession(1)
	if err := s.Run(nil, make([]float32, 3), 1, make([]float32, p.OutputShape(0).Size())); err == nil {
		t.Error("ran on an input that is too short")
	}
	if err := s.Run(nil, make([]float32, p.InputShape().Size()), 1, make([]float32, 3)); err == nil {
		t.Error("ran into an output that is too short")
	}
	if err := s.Run(nil, make([]float32, p.InputShape().Size()), 1); err == nil {
		t.Error("ran with no output")
	}
	if err := s.Run(nil, nil, 0, nil); err != nil {
		t.Errorf("no example: %v", err)
	}
}

// A session in steady state allocates nothing.
func TestRunAllocatesNothing(t *testing.T) {
	for _, net := range []*nn.Network{block(t), dense(t), inception(t)} {
		p, err := Compile(net, nntest.Weights(net, 1))
		if err != nil {
			t.Fatal(err)
		}
		s := p.NewSession(2)
		x, y := nntest.Input(net, 2, 1), make([]float32, 2*p.OutputShape(0).Size())
		allocations := testing.AllocsPerRun(20, func() {
			if err := s.Run(nil, x, 2, y); err != nil {
				t.Fatal(err)
			}
		})
		if allocations > 0 {
			t.Errorf("%v allocations a run", allocations)
		}
	}
}
