package prune_test

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/prune"
)

func run(t *testing.T, net *nn.Network, w nn.Weights, input []float32, rows int) []float32 {
	t.Helper()
	program, err := frozen.Compile(net, w)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	out := make([]float32, rows*program.OutputShape(0).Size())
	if err := program.NewSession(rows).Run(pool, input, rows, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func normal(n int) []float32 {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(random.NormFloat64())
	}
	return out
}

// Channels are taken out of every architecture of the zoo, and what is left gives what the network gives with those channels
// silenced.
func TestEveryArchitecture(t *testing.T) {
	for _, b := range zoo.All() {
		if b.AnyPixels {
			continue
		}
		// Others are the same with more blocks, or other paddings.
		heavy := os.Getenv("TLPIPE_HEAVY") != ""
		if !heavy && slices.Contains([]string{"resnet34", "resnet101", "resnet152", "vgg19"}, b.Name) {
			continue
		}
		for i, variant := range b.Variants() {
			if i > 0 && !heavy {
				break
			}
			t.Run(b.Name+"/"+variant, func(t *testing.T) {
				b, err := b.As(variant)
				if err != nil {
					t.Fatal(err)
				}
				size := max(b.MinSize, 32)
				net, err := b.Network(size, size)
				if err != nil {
					t.Fatal(err)
				}
				w := net.InitialiseFrozen(1)
				noise := normal(1 << 12)
				for name, tensor := range w { // norms that do something
					if strings.HasSuffix(name, ".beta") || strings.HasSuffix(name, ".mean") {
						for i := range tensor.Data {
							tensor.Data[i] = noise[i%len(noise)] / 4
						}
					}
				}
				c := prune.Couple(net)
				gone, err := c.Choose(prune.L1(net, w), prune.Choice{Ratio: 0.3, Multiple: 8})
				if err != nil {
					t.Fatal(err)
				}
				less, lighter, err := c.Remove(gone, w)
				if err != nil {
					t.Fatal(err)
				}
				input := normal(2 * size * size * 3)
				got, want := run(t, less, lighter, input, 2), run(t, net, c.Silence(gone, w), input, 2)
				var worst, scale float64
				for i := range want {
					worst, scale = max(worst, math.Abs(float64(got[i]-want[i]))), max(scale, math.Abs(float64(want[i])))
				}
				if !(worst <= 1e-4*scale) || scale == 0 {
					t.Errorf("outputs differ by %v, they reach %v", worst, scale)
				}
				before, _ := net.ParameterCount()
				after, _ := less.ParameterCount()
				share := float64(after) / float64(before)
				work := float64(less.MultiplyAdds()) / float64(net.MultiplyAdds())
				most := 0.75 // of the work that may be left
				if slices.ContainsFunc(net.Layers(), func(l nn.Layer) bool { _, ok := l.Op.(nn.Attention); return ok }) {
					most = 0.82 // attention keeps its heads: a third of a transformer's parameters
				}
				if share > 0.85 || share < 0.4 || work > most || work < 0.35 {
					t.Errorf("%.2f of the parameters and %.2f of the multiply-adds are left", share, work)
				}
				for _, l := range less.Layers() {
					old, _ := net.Find(l.Name)
					if conv, ok := l.Op.(nn.Conv); ok && conv.Out%8 != 0 && conv.Out != old.Op.(nn.Conv).Out {
						t.Errorf("layer %s has %d channels", l.Name, conv.Out)
					}
				}
				if !slices.Equal(less.Shape(less.Output().Name), net.Shape(net.Output().Name)) {
					t.Error("the outputs were pruned")
				}
			})
		}
	}
}

// small is a network with all that couples channels: an addition, a depthwise convolution, a concatenation, a gate.
func small(t *testing.T) (*nn.Network, nn.Weights) {
	t.Helper()
	b := nn.NewBuilder()
	one := nn.Square(1)
	x := b.Input("image", 6, 6, 3)
	a := b.Layer("a", nn.Conv{Out: 16, Kernel: nn.Square(3), Padding: nn.Pad(1), Bias: true}, x)
	a = b.Layer("a.bn", nn.BatchNorm{Epsilon: 1e-3, Momentum: 0.9}, a)
	r := b.Layer("r", nn.Activation{Function: kernel.ReLU}, a)
	d := b.Layer("d", nn.Conv{Out: 16, Kernel: nn.Square(3), Padding: nn.Pad(1), Groups: 16}, r)
	e := b.Layer("e", nn.Conv{Out: 16, Kernel: one}, d)
	sum := b.Layer("sum", nn.Add{}, e, r)
	pooled := b.Layer("squeeze", nn.GlobalAveragePool{}, sum)
	gate := b.Layer("g1", nn.Dense{Out: 8, Bias: true}, pooled)
	gate = b.Layer("g2", nn.Dense{Out: 16, Bias: true}, gate)
	gate = b.Layer("gate", nn.Activation{Function: kernel.Sigmoid}, gate)
	m := b.Layer("m", nn.Multiply{}, sum, gate)
	f := b.Layer("f", nn.Conv{Out: 24, Kernel: one}, m)
	both := b.Layer("both", nn.Concat{}, m, f)
	flat := b.Layer("flat", nn.Flatten{}, both)
	h := b.Layer("h", nn.Dense{Out: 32, Bias: true}, flat)
	z := b.Layer("logits", nn.Dense{Out: 5, Bias: true}, h)
	b.Layer("probabilities", nn.Softmax{}, z)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net, net.Initialise(3)
}

func TestWhatIsCoupled(t *testing.T) {
	net, w := small(t)
	c := prune.Couple(net)
	var got []string
	for _, s := range c.Spaces() {
		got = append(got, strings.Join(s.Layers, "+"))
	}
	if want := []string{"a+e+g2", "g1", "f", "h"}; !slices.Equal(got, want) {
		t.Errorf("spaces %q, want %q", got, want)
	}
	if n := len(c.Spaces()[0].Channels[0].Members); n != 5 { // a, its norm, d, e and g2
		t.Errorf("%d members: %v", n, c.Spaces()[0].Channels[0])
	}
	for _, o := range []prune.Choice{{Ratio: 0.5, Multiple: 8}, {Ratio: 0.4, Global: true, Multiple: 4}, {Ratio: 0.7, Multiple: 1}} {
		gone, err := c.Choose(prune.L1(net, w), o)
		if err != nil {
			t.Fatal(err)
		}
		less, lighter, err := c.Remove(gone, w)
		if err != nil {
			t.Fatal(err)
		}
		input := normal(3 * 6 * 6 * 3)
		a, b := run(t, less, lighter, input, 3), run(t, net, c.Silence(gone, w), input, 3)
		for i := range a {
			if math.Abs(float64(a[i]-b[i])) > 1e-6 {
				t.Fatalf("%+v: output %d is %v, silenced %v", o, i, a[i], b[i])
			}
		}
	}
	for _, keep := range []string{"a", "g2"} { // one of the layers that make a space is enough
		gone, err := c.Choose(prune.L1(net, w), prune.Choice{Ratio: 0.5, Multiple: 8, Keep: func(l string) bool { return l == keep }})
		if err != nil {
			t.Fatal(err)
		}
		if less, _, err := c.Remove(gone, w); err != nil || less.Shape("a").Channels() != 16 || less.Shape("h").Size() != 16 {
			t.Errorf("%v, %v", less, err)
		}
	}
}

// The least by the criterion go.
func TestTheLeastGo(t *testing.T) {
	net, w := small(t)
	c := prune.Couple(net)
	gamma := w["a.bn.gamma"].Data
	for i := range gamma {
		gamma[i] = 1 + float32((5*i)%16)
	}
	scores, err := prune.BatchNormScale(net, w)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := c.Choose(scores, prune.Choice{Ratio: 0.5, Multiple: 8})
	if err != nil || len(gone) != 8 {
		t.Fatalf("%d gone, %v", len(gone), err)
	}
	for _, channel := range gone {
		if at := channel.Members[0].Channel; gamma[at] > 8 {
			t.Errorf("channel %d with scale %v goes", at, gamma[at])
		}
	}
	if _, err := prune.BatchNormScale(net, nil); err == nil {
		t.Log("a norm without weights has no scores")
	}
}

func TestNothingToTakeOut(t *testing.T) {
	net, w := small(t)
	c := prune.Couple(net)
	if _, err := c.Choose(prune.L1(net, w), prune.Choice{Ratio: 0.01, Multiple: 8}); err == nil || !strings.Contains(err.Error(), "nothing can be taken out") {
		t.Errorf("%v", err)
	}
	if _, err := c.Choose(prune.L1(net, w), prune.Choice{Ratio: 1.2}); err == nil {
		t.Error("a ratio of 1.2 is taken")
	}
}

func TestSparseWeights(t *testing.T) {
	net, w := small(t)
	c := prune.Couple(net)
	for _, global := range []bool{false, true} {
		sparse, set, err := c.Sparsify(w, 0.6, global, nil)
		if err != nil {
			t.Fatal(err)
		}
		all, zero := 0, 0
		for _, name := range []string{"a", "d", "e", "g1", "g2", "f", "h"} {
			for _, x := range sparse[name+".weight"].Data {
				all++
				if x == 0 {
					zero++
				}
			}
		}
		if share := float64(zero) / float64(all); math.Abs(share-0.6) > 0.01 || zero != set {
			t.Errorf("global %v: %.3f of the weights are 0, %d set", global, share, set)
		}
		if !slices.Equal(sparse["logits.weight"].Data, w["logits.weight"].Data) {
			t.Error("the last layer was pruned")
		}
		if prune.Nonzero(net, w)-prune.Nonzero(net, sparse) != int64(set) {
			t.Error("counts differ")
		}
	}
	sparse, _, err := c.TwoOfFour(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at, data := 0, sparse["e.weight"].Data; at < len(data); at += 4 {
		zero := 0
		var kept, lost float64 = math.Inf(1), 0
		for i, x := range data[at : at+4] {
			was := math.Abs(float64(w["e.weight"].Data[at+i]))
			if x == 0 {
				zero++
				lost = max(lost, was)
			} else {
				kept = min(kept, was)
			}
		}
		if zero != 2 || lost > kept {
			t.Fatalf("four at %d: %v of %v", at, data[at:at+4], w["e.weight"].Data[at:at+4])
		}
	}
	if !slices.Equal(sparse["a.weight"].Data, w["a.weight"].Data) { // 27 weights a filter
		t.Error("filters of 27 weights are no fours")
	}
}
