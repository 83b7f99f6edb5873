package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"pgregory.net/rapid"
)

// layers adds the layers of the PyTorch script's networks to a builder.
type layers struct{ *nn.Builder }

func (b layers) conv(name string, x nn.Value, op nn.Conv) nn.Value { return b.Layer(name, op, x) }

// normed is a convolution of a k×k window, padded to keep its size, and a batch-norm.
func (b layers) normed(name string, x nn.Value, out, k, stride, groups int) nn.Value {
	x = b.conv(name, x, nn.Conv{Out: out, Kernel: nn.Square(k), Stride: nn.Square(stride), Padding: nn.Pad(k / 2), Groups: groups})
	return b.norm(name+"norm", x)
}

func (b layers) norm(name string, x nn.Value) nn.Value {
	return b.Layer(name, nn.BatchNorm{Epsilon: 1e-3, Momentum: 0.9}, x)
}

func (b layers) activate(name string, x nn.Value, f kernel.Activation) nn.Value {
	return b.Layer(name+"active", nn.Activation{Function: f}, x)
}

func (b layers) network(t testing.TB, x nn.Value) *nn.Network {
	t.Helper()
	x = b.Layer("pooled", nn.GlobalAveragePool{}, x)
	x = b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func residual(t testing.TB) *nn.Network {
	b := layers{nn.NewBuilder()}
	relu := func(name string, x nn.Value) nn.Value { return b.activate(name, x, kernel.ReLU) }
	x := relu("stem", b.normed("stem", b.Input("input", 20, 16, 3), 6, 7, 2, 1))
	x = b.Layer("pool", nn.MaxPool{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Pad(1)}, x)
	y := relu("a1", b.normed("a1", x, 6, 3, 1, 1))
	y = b.normed("a2", y, 6, 3, 1, 1)
	x = relu("a", b.Layer("aadd", nn.Add{}, x, y))
	y = relu("b1", b.normed("b1", x, 10, 3, 2, 1))
	y = b.normed("b2", y, 10, 3, 1, 1)
	x = b.normed("short", x, 10, 1, 2, 1)
	return b.network(t, relu("b", b.Layer("badd", nn.Add{}, x, y)))
}

func inverted(t testing.TB) *nn.Network {
	b := layers{nn.NewBuilder()}
	x := b.conv("stem", b.Input("input", 20, 16, 3), nn.Conv{Out: 6, Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Padding{0, 0, 1, 1}})
	x = b.activate("stem", b.norm("stemnorm", x), kernel.ReLU6)
	y := b.activate("a1", b.normed("a1", x, 18, 1, 1, 1), kernel.ReLU6)
	y = b.activate("a2", b.normed("a2", y, 18, 3, 1, 18), kernel.ReLU6)
	x = b.Layer("add", nn.Add{}, x, b.normed("a3", y, 6, 1, 1, 1))
	y = b.activate("b1", b.normed("b1", x, 12, 1, 1, 1), kernel.SiLU)
	y = b.activate("b2", b.normed("b2", y, 12, 3, 2, 12), kernel.SiLU)
	gate := b.Layer("squeezepool", nn.GlobalAveragePool{}, y)
	gate = b.activate("squeeze", b.Layer("squeeze", nn.Dense{Out: 4, Bias: true}, gate), kernel.SiLU)
	gate = b.activate("excite", b.Layer("excite", nn.Dense{Out: 12, Bias: true}, gate), kernel.Sigmoid)
	x = b.normed("b3", b.Layer("gated", nn.Multiply{}, y, gate), 8, 1, 1, 1)
	left := b.conv("left", x, nn.Conv{Out: 8, Kernel: nn.Square(3), Padding: nn.Pad(2), Dilation: nn.Square(2), Groups: 2, Bias: true})
	right := b.Layer("right", nn.AveragePool{Kernel: nn.Square(3), Stride: nn.Square(1), Padding: nn.Pad(1)}, x)
	return b.network(t, b.Layer("joined", nn.Concat{}, left, right))
}

// referenceWeights fills the parameters as the script does.
func referenceWeights(net *nn.Network) nn.Weights {
	w := nn.Weights{}
	k := 0
	for _, l := range net.Layers() {
		parameters := net.LayerParameters(l)
		if len(parameters) == 0 {
			continue
		}
		k++
		a := 2*k + 29
		for _, p := range parameters {
			n := p.Shape.Size()
			var data []float32
			switch p.Role {
			case nn.Weight:
				data = pattern(n, a, k, 997, math.Sqrt(6/float64(n/p.Shape[0])))
			case nn.Bias:
				data = pattern(n, a, 2, 997, 0.1)
			case nn.Gamma:
				data = plus(1, pattern(n, a, 3, 997, 0.3))
			case nn.Beta:
				data = pattern(n, a, 5, 997, 0.3)
			case nn.Mean:
				data = pattern(n, a, 7, 997, 0.3)
			case nn.Variance:
				data = plus(1, pattern(n, a, 11, 997, 0.5))
			}
			w[p.Name()] = nn.Tensor{Shape: p.Shape, Data: data}
		}
	}
	return w
}

func pictures(n int) *Table {
	t := &Table{Width: 20 * 16 * 3, Values: pattern(n*20*16*3, 7919, 13, 10007, 2), Classes: make([]int, n)}
	for i := range t.Classes {
		t.Classes[i] = (i*i + 1) % 3
	}
	return t
}

var networkCases = []struct {
	name   string
	net    func(t testing.TB) *nn.Network
	frozen func(layer string) bool
}{
	{"residual", residual, nil},
	{"inverted", inverted, nil},
	{"inverted, frozen norms", inverted, isNorm},
	{"inverted, frozen below", inverted, func(layer string) bool {
		return isNorm(layer) || slices.Contains([]string{"stem", "a1", "a2", "a3"}, layer)
	}},
}

func isNorm(layer string) bool { return strings.HasSuffix(layer, "norm") }

// TestNetworksTrainAsInPyTorch follows ten steps of SGD with momentum, and looks at the weights
// after them.
func TestNetworksTrainAsInPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/networks.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Losses  []float64
		Weights map[string][2]float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	role := strings.NewReplacer("norm.weight", "norm.gamma", "norm.bias", "norm.beta", "running_mean", "mean", "running_var", "variance")
	close := func(got, want float64) bool { return math.Abs(got-want) <= 1e-4*math.Abs(want)+1e-4 }
	for _, c := range networkCases {
		t.Run(c.name, func(t *testing.T) {
			reference := want[c.name]
			if len(reference.Losses) != 10 || len(reference.Weights) == 0 {
				t.Fatalf("PyTorch took %d steps of %d tensors", len(reference.Losses), len(reference.Weights))
			}
			net := c.net(t)
			trainer := newTrainer(t, net, referenceWeights(net), mapOptions(c.frozen, 2))
			for step, loss := range tenSteps(t, trainer) {
				if math.Abs(loss-reference.Losses[step]) > 1e-4*reference.Losses[step] {
					t.Errorf("step %d: loss %v, PyTorch has %v", step, loss, reference.Losses[step])
				}
			}
			last := trainer.Last()
			for name, sums := range reference.Weights {
				tensor, ok := last[role.Replace(name)]
				if !ok {
					t.Fatalf("no tensor %q", name)
				}
				var sum, weighted float64
				for i, v := range tensor.Data {
					sum += float64(v)
					weighted += float64(v) * float64(i+1) / float64(len(tensor.Data))
				}
				if !close(sum, sums[0]) || !close(weighted, sums[1]) {
					t.Errorf("%s: sums %v and %v, PyTorch has %v", name, sum, weighted, sums)
				}
			}
		})
	}
}

func mapOptions(freeze func(string) bool, threads int) Options {
	return Options{Epochs: 1, BatchSize: 5, Seed: 1, Threads: threads, Rule: optimizer.SGD{Momentum: 0.9}, Rate: 0.02, Freeze: freeze}
}

// tenSteps takes the script's steps and returns their losses.
func tenSteps(t testing.TB, trainer *Trainer) []float64 {
	t.Helper()
	examples := pictures(12)
	var losses []float64
	for step := range 10 {
		positions := make([]int, 5)
		for j := range positions {
			positions[j] = (5*step + j) % 12
		}
		s, err := trainer.step(context.Background(), examples, [][]int{positions}, trainer.options.Rate, graph.Draw{Step: step}, schedule.Position{})
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, s.loss)
	}
	return losses
}

func TestThreadsDoNotMatterToMaps(t *testing.T) {
	for _, c := range networkCases {
		t.Run(c.name, func(t *testing.T) {
			net := c.net(t)
			var want string
			for _, threads := range []int{1, 2, 5} {
				trainer := newTrainer(t, net, referenceWeights(net), mapOptions(c.frozen, threads))
				got := fmt.Sprint(tenSteps(t, trainer), digest(trainer.Last()))
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%d threads gave another result than one", threads)
				}
			}
		})
	}
}

// TestFrozenLayersCostNoGradient counts the operations of a graph whose lower layers are frozen.
func TestFrozenLayersCostNoGradient(t *testing.T) {
	count := func(freeze func(string) bool) (learned, gradients int) {
		net := inverted(t)
		trainer := newTrainer(t, net, referenceWeights(net), mapOptions(freeze, 1))
		p, err := trainer.program(5)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range p.Operations() {
			if strings.Contains(name, "gradient") {
				gradients++
			}
		}
		return len(p.Parameters()), gradients
	}
	head := func(layer string) bool { return layer != "logits" }
	if learned, gradients := count(head); learned != 2 || gradients != 3 { // of the loss, the weight and the bias
		t.Errorf("a head alone: %d parameters, %d gradients", learned, gradients)
	}
	if learned, gradients := count(func(string) bool { return false }); learned < 25 || gradients < 50 {
		t.Errorf("all layers: %d parameters, %d gradients", learned, gradients)
	}
}

func TestStepsOnMapsAllocateNothingLarge(t *testing.T) {
	net := inverted(t)
	trainer := newTrainer(t, net, referenceWeights(net), mapOptions(nil, 2))
	tenSteps(t, trainer)
	examples, positions := pictures(12), []int{0, 1, 2, 3, 4}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const steps = 10
	for range steps {
		if _, err := trainer.step(context.Background(), examples, [][]int{positions}, 0.01, graph.Draw{}, schedule.Position{}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	// Gorgonia allocates a little for each of some 150 operations; the maps of one layer are 70 KB.
	if perStep := (after.TotalAlloc - before.TotalAlloc) / steps; perStep > 64<<10 {
		t.Errorf("a step allocates %d bytes", perStep)
	}
}

// TestRandomNetworks holds outputs and gradients of random networks, their norms frozen, against a
// definition in float64 and its differences.
func TestRandomNetworks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := smooth(t, nntest.Draw(t))
		seed := rapid.Uint64().Draw(t, "seed")
		w := nntest.Weights(net, seed)
		batch := rapid.IntRange(1, 3).Draw(t, "batch")
		input := nntest.Input(net, batch, seed)
		fixed := map[string]bool{}
		for _, l := range net.Layers() {
			_, norm := l.Op.(nn.BatchNorm)
			_, drop := l.Op.(nn.Dropout)
			fixed[l.Name] = norm || drop || rapid.IntRange(0, 3).Draw(t, "frozen") == 0
		}
		fixed["logits"] = false
		freeze := func(layer string) bool { return fixed[layer] }
		random := rand.New(rand.NewPCG(seed, 2))
		classes := net.Shape("logits").Size()
		entropy := objective.CrossEntropy{Smoothing: 0.3}
		for range classes {
			entropy.ClassWeights = append(entropy.ClassWeights, 0.1+random.Float64())
		}
		o := Options{Freeze: freeze, Objective: entropy}.complete()
		trunk, err := newTrunk(net, w, o)
		if err != nil {
			t.Fatal(err)
		}
		trainer := &Trainer{net: net, objective: entropy, options: o, weights: w}
		p, err := trainer.newProgram(net, nil, batch, trunk)
		if err != nil {
			t.Fatal(err)
		}
		copy(p.read.Inputs[net.Inputs()[0].Name].Float32, input)
		truth := p.read.Targets[objective.Class].Int32
		for i := range truth {
			truth[i] = int32(random.IntN(classes))
		}
		if _, err := p.loss.Fill(p.read.Targets, objective.Filling{}); err != nil {
			t.Fatal(err)
		}
		p.loss.DivideBy(1)
		if err := p.compute(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		loss := func() float64 {
			logits := nntest.Evaluate(net, w, nntest.Widen(input), batch)["logits"]
			var sum float64
			for i := range batch {
				row := logits[i*classes : (i+1)*classes]
				top, total := slices.Max(row), 0.0
				for _, z := range row {
					total += math.Exp(z - top)
				}
				for c, z := range row {
					mass := entropy.Smoothing / float64(classes)
					if c == int(truth[i]) {
						mass += 1 - entropy.Smoothing
					}
					sum -= mass * entropy.ClassWeights[c] * (z - top - math.Log(total))
				}
			}
			return sum
		}
		if got, want := float64(p.Data(p.loss.Node())[0]), loss(); math.Abs(got-want) > 1e-3*(1+math.Abs(want)) {
			t.Fatalf("loss %v, want %v", got, want)
		}
		for _, q := range p.Parameters() {
			gradient, err := q.Grad()
			if err != nil {
				t.Fatal(err)
			}
			got := gradient.Data().([]float32)
			var scale float64
			for _, v := range got {
				scale = max(scale, math.Abs(float64(v)))
			}
			data := w[q.Name()].Data
			for range 3 {
				i := random.IntN(len(data))
				x := data[i]
				data[i] = x + 1.0/(1<<14)
				above, high := loss(), float64(data[i])
				data[i] = x - 1.0/(1<<14)
				below, low := loss(), float64(data[i])
				data[i] = x
				want := (above - below) / (high - low)
				if math.Abs(float64(got[i])-want) > 2e-3*scale+1e-4 {
					t.Fatalf("%s, element %d: gradient %v, differences give %v", q.Name(), i, got[i], want)
				}
			}
		}
	})
}

// smooth gives the network logits that every value leads to, and takes away kinks: differences
// across them mean nothing.
func smooth(t *rapid.T, net *nn.Network) *nn.Network {
	b := nn.NewBuilder()
	values := map[string]nn.Value{}
	var ends []nn.Value
	for _, l := range net.Layers() {
		var in []nn.Value
		for _, name := range l.Inputs {
			in = append(in, values[name])
		}
		switch op := l.Op.(type) {
		case nn.Activation:
			switch op.Function {
			case kernel.ReLU, kernel.ReLU6, kernel.HardSwish:
				l.Op = nn.Activation{Function: kernel.Tanh}
			}
		case nn.MaxPool:
			l.Op = nn.AveragePool{Kernel: op.Kernel, Stride: op.Stride, Padding: op.Padding, Ceil: op.Ceil}
		case nn.Softmax:
			values[l.Name] = in[0]
			continue
		}
		values[l.Name] = b.Layer(l.Name, l.Op, in...)
		ends = append(ends, values[l.Name])
	}
	var vectors []nn.Value
	for i, v := range ends {
		if len(v.Shape) == 3 {
			v = b.Layer(fmt.Sprint("flat", i), nn.Flatten{}, v)
		}
		vectors = append(vectors, v)
	}
	x := vectors[0]
	if len(vectors) > 1 {
		x = b.Layer("ends", nn.Concat{}, vectors...)
	}
	b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x)
	out, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
