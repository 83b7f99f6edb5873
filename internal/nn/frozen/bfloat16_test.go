package frozen

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
)

// wide is a network with all that meets bfloat16: a stem of three channels, pooling, residuals,
// branches, a depthwise convolution and a gate between wide convolutions.
func wide(t testing.TB) *nn.Network {
	b := nn.NewBuilder()
	relu := nn.Activation{Function: kernel.ReLU}
	x := b.Layer("stem", nn.Conv{Out: 64, Kernel: nn.Square(3), Padding: nn.Pad(1)}, b.Input("input", 13, 11, 3))
	x = b.Layer("early", nn.Conv{Out: 64, Kernel: nn.Square(3), Padding: nn.Pad(1), Bias: true}, b.Layer("relu", relu, x))
	x = b.Layer("pool", nn.MaxPool{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Pad(1)}, x)
	y := b.Layer("reduce", nn.Conv{Out: 96, Kernel: nn.Square(1)}, x)
	y = b.Layer("reduce_bn", nn.BatchNorm{Epsilon: 1e-5}, y)
	y = b.Layer("reduce_silu", nn.Activation{Function: kernel.SiLU}, y)
	y = b.Layer("grouped", nn.Conv{Out: 64, Kernel: nn.Square(3), Padding: nn.Pad(1), Groups: 2}, y)
	x = b.Layer("add", nn.Add{}, x, y)
	x = b.Layer("add_relu", relu, x)
	left := b.Layer("left", nn.Conv{Out: 64, Kernel: nn.Square(3), Padding: nn.Pad(1)}, x)
	right := b.Layer("right", nn.Conv{Out: 96, Kernel: nn.Square(1)}, x)
	x = b.Layer("concat", nn.Concat{}, left, right, x)
	x = b.Layer("expand", nn.Conv{Out: 224, Kernel: nn.Square(1)}, x)
	x = b.Layer("depthwise", nn.Conv{Out: 224, Kernel: nn.Square(3), Padding: nn.Pad(1), Groups: 224}, x)
	g := b.Layer("squeeze", nn.GlobalAveragePool{}, x)
	g = b.Layer("gate", nn.Activation{Function: kernel.Sigmoid}, g)
	x = b.Layer("excite", nn.Multiply{}, x, g)
	x = b.Layer("project", nn.Conv{Out: 224, Kernel: nn.Square(1)}, x)
	x = b.Layer("pooled", nn.GlobalAveragePool{}, x)
	b.Layer("logits", nn.Dense{Out: 10, Bias: true}, x)
	return built(t, b)
}

func TestBFloat16AgreesWithTheDefinition(t *testing.T) {
	net := wide(t)
	w := nntest.Weights(net, 1)
	const n = 3
	x := nntest.Input(net, n, 1)
	want := nntest.Evaluate(net, w, nntest.Widen(x), n)
	layers := []string{"pool", "concat", "project", "pooled", "logits"}
	for _, large := range []int{1, 2 * 7 * 6 * 224, 1 << 20} {
		t.Run(fmt.Sprintf("large maps from %d bytes", large), func(t *testing.T) {
			checkReduced(t, Options{Precision: BFloat16, largeMap: large}, net, w, x, n, want, layers, 0.9995)
		})
	}
}

// checkReduced holds the layers against the definition, and examples alone against those in a batch.
func checkReduced(t *testing.T, o Options, net *nn.Network, w nn.Weights, x []float32, n int, want map[string][]float64, layers []string, least float64) {
	p, err := o.Compile(net, w, layers...)
	if err != nil {
		t.Fatal(err)
	}
	got := make([][]float32, len(layers))
	for i := range got {
		got[i] = make([]float32, n*p.OutputShape(i).Size())
	}
	s := p.NewSession(n)
	pool := kernel.NewPool(2)
	defer pool.Close()
	for range 2 { // what an earlier run left behind must not matter
		if err := s.Run(pool, x, n, got...); err != nil {
			t.Fatal(err)
		}
		s.spoil()
	}
	for i, layer := range layers {
		if c := cosine(got[i], want[layer]); !(c > least) {
			t.Errorf("%s: cosine similarity %v", layer, c)
		}
		if c := cosine(got[i], want[layer]); c == 1 {
			t.Errorf("%s: nothing was rounded", layer)
		}
	}
	size := len(x) / n
	one := p.NewSession(1)
	for i := range n {
		out := make([][]float32, len(layers))
		for j := range out {
			out[j] = make([]float32, p.OutputShape(j).Size())
		}
		if err := one.Run(nil, x[i*size:(i+1)*size], 1, out...); err != nil {
			t.Fatal(err)
		}
		for j, y := range out {
			if !slices.Equal(bits(y), bits(got[j][i*len(y):(i+1)*len(y)])) {
				t.Errorf("%s: example %d alone differs", layers[j], i)
			}
		}
	}
}

// The steps of a wide network are in bfloat16, but for those that would not be faster so; or, where the instructions have no
// product of bfloat16, the weights alone.
func TestWhatIsComputedInBFloat16(t *testing.T) {
	p, err := Options{Precision: BFloat16}.Compile(wide(t), nntest.Weights(wide(t), 1))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.Steps() {
		got = append(got, fmt.Sprintf("%s: %s", s.Layer, s.Class))
	}
	want := `stem: convert
stem: stem 3×3, bf16
early: conv 3×3, bf16
pool: max pool, bf16
reduce: conv 1×1, bf16
grouped: conv 3×3, bf16
left: conv 3×3, bf16
right: conv 1×1, bf16
concat: copy, bf16
concat: copy, bf16
concat: copy, bf16
expand: conv 1×1, bf16
depthwise: convert
depthwise: depthwise 3×3
squeeze: global pool
gate: activation
excite: multiply
project: convert
project: conv 1×1, bf16
pooled: global pool, bf16
logits: dense`
	if !kernel.HasBFloat16() {
		want = `stem: stem 3×3, 16-bit weights
early: conv 3×3, 16-bit weights
pool: max pool
reduce: conv 1×1, 16-bit weights
grouped: conv 3×3, 16-bit weights
left: conv 3×3, 16-bit weights
right: conv 1×1, 16-bit weights
expand: conv 1×1, 16-bit weights
depthwise: depthwise 3×3
squeeze: global pool
gate: activation
excite: multiply
project: conv 1×1, 16-bit weights
pooled: global pool
logits: dense, 16-bit weights`
	}
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("steps:\n%s\nwant:\n%s", text, want)
	}
}

func cosine(a []float32, b []float64) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		ab += float64(x) * b[i]
		aa += float64(x) * float64(x)
		bb += b[i] * b[i]
	}
	return ab / math.Sqrt(aa*bb)
}
