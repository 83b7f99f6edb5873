package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// uniform gives numbers from low to high by a hash of their place, as testdata/backbones.py does.
func uniform(stream, n int, low, high float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		x := uint64(stream)<<32 + uint64(i) + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
		out[i] = float32(low + (high-low)*(float64(x>>40)/(1<<24)))
	}
	return out
}

// The sizes of the PyTorch script.
const (
	pictureSize     = 64
	pictureCount    = 24
	pictureClasses  = 5
	backboneSteps   = 30
	pictureChannels = 3
)

// backboneNetwork is a backbone of the zoo with the script's head and weights.
func backboneNetwork(t *testing.T, name string) (*nn.Network, nn.Weights) {
	t.Helper()
	b, err := backbone.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := b.Network(pictureSize, pictureSize)
	if err != nil {
		t.Fatal(err)
	}
	trunk, err := whole.Cut(b.Pooled)
	if err != nil {
		t.Fatal(err)
	}
	net, err := nn.New(append(slices.Clone(trunk.Layers()), nn.Layer{
		Name: "fc", Op: nn.Dense{Out: pictureClasses, Bias: true}, Inputs: []string{trunk.Output().Name},
	}))
	if err != nil {
		t.Fatal(err)
	}
	w := nn.Weights{}
	k := 0
	for _, l := range net.Layers() {
		parameters := net.LayerParameters(l)
		if len(parameters) == 0 {
			continue
		}
		for _, p := range parameters {
			n := p.Shape.Size()
			values := func(role int, low, high float64) []float32 { return uniform(16*k+role, n, low, high) }
			var data []float32
			switch p.Role {
			case nn.Weight:
				limit := math.Pow(6/float64(n/p.Shape[0]), 0.5)
				data = values(0, -limit, limit)
			case nn.Gamma:
				data = values(0, 0.6, 0.8)
			case nn.Bias, nn.Beta:
				data = values(1, -0.1, 0.1)
			case nn.Mean:
				data = values(2, -0.1, 0.1)
			case nn.Variance:
				data = values(3, 0.7, 1.3)
			}
			w[p.Name()] = nn.Tensor{Shape: p.Shape, Data: data}
		}
		k++
	}
	return net, w
}

// photos are the script's waves with noise.
func photos() *Table {
	width := pictureSize * pictureSize * pictureChannels
	t := &Table{Width: width, Values: uniform(1<<20, pictureCount*width, -0.3, 0.3), Classes: make([]int, pictureCount)}
	shape := uniform(2<<20, pictureCount*4, 0, 1)
	for i := range t.Values {
		channel, x, y, s := i%3, i/3%pictureSize, i/3/pictureSize%pictureSize, shape[i/width*4:]
		turn := (float64(s[0])*float64(x) + float64(s[1])*float64(y)) / 4
		colour := float64(s[2])*2*math.Pi + float64(channel)*float64(s[3])*4
		t.Values[i] = float32(1.5*math.Sin(turn+colour) + float64(t.Values[i]))
	}
	for i := range t.Classes {
		t.Classes[i] = (i*i + 1) % pictureClasses
	}
	return t
}

func notAtTop(layer string) bool { return !nn.InScope(layer, "layer4") && layer != "fc" }

// backboneLosses takes the script's steps: the first eight, or all with TLPIPE_HEAVY.
func backboneLosses(t *testing.T, net *nn.Network, w nn.Weights, examples Examples, o Options) []float64 {
	t.Helper()
	trainer := newTrainer(t, net, w, o)
	steps := 8
	if os.Getenv("TLPIPE_HEAVY") != "" {
		steps = backboneSteps
	}
	var losses []float64
	for step := range steps {
		positions := make([]int, o.BatchSize)
		for j := range positions {
			positions[j] = (o.BatchSize*step + j) % pictureCount
		}
		s, err := trainer.step(context.Background(), examples, [][]int{positions}, o.Rate, graph.Draw{Step: step}, schedule.Position{})
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, s.loss)
	}
	return losses
}

// needsAssembly skips tests that take minutes in plain Go.
func needsAssembly(t *testing.T) {
	if set, err := kernel.InstructionSet(); err != nil || set == "portable" && os.Getenv("TLPIPE_HEAVY") == "" {
		t.Skip("set TLPIPE_HEAVY=1 to train backbones in plain Go")
	}
}

func backboneOptions(rate float64, batch int) Options {
	return Options{Epochs: 1, BatchSize: batch, Threads: 2, Rule: optimizer.SGD{Momentum: 0.9}, Rate: rate}
}

func fixed(string) BatchNormMode { return FixedStatistics }

// TestBackbonesTrainAsInPyTorch follows steps of whole backbones: each loss within a thousandth.
func TestBackbonesTrainAsInPyTorch(t *testing.T) {
	needsAssembly(t)
	text, err := os.ReadFile("testdata/backbones.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	examples := photos()
	for _, c := range []struct {
		name, backbone string
		rate           float64
		batch          int
		freeze         func(string) bool
		norms          func(string) BatchNormMode
	}{
		{"resnet18, partial", "resnet18", 0.004, 8, notAtTop, nil},
		{"resnet18, partial, fixed statistics", "resnet18", 0.004, 8, notAtTop, fixed},
		{"resnet18, full", "resnet18", 3e-5, 24, nil, nil},
		{"mobilenet_v2, full", "mobilenet_v2", 5e-6, 24, nil, nil},
		{"mobilenet_v2, full, fixed statistics", "mobilenet_v2", 0.004, 8, nil, fixed},
	} {
		t.Run(c.name, func(t *testing.T) {
			reference := want[c.name]
			if len(reference) != backboneSteps {
				t.Fatalf("PyTorch took %d steps", len(reference))
			}
			net, w := backboneNetwork(t, c.backbone)
			o := backboneOptions(c.rate, c.batch)
			o.Freeze, o.BatchNorm = c.freeze, c.norms
			for step, loss := range backboneLosses(t, net, w, examples, o) {
				if math.Abs(loss-reference[step]) > 1e-3*reference[step] {
					t.Errorf("step %d: loss %v, PyTorch has %v", step, loss, reference[step])
				}
			}
		})
	}
}

// TestCachedActivationsTrainAlike starts from the activations below layer4, computed once, and from
// the pictures: the losses agree within 1e-5.
func TestCachedActivationsTrainAlike(t *testing.T) {
	needsAssembly(t)
	net, w := backboneNetwork(t, "resnet18")
	o, examples := backboneOptions(0.004, 8), photos()
	o.Freeze = notAtTop
	want := backboneLosses(t, net, w, examples, o)
	program, err := frozen.Compile(net, w, "layer3.1.act")
	if err != nil {
		t.Fatal(err)
	}
	above, err := net.Above("layer3")
	if err != nil {
		t.Fatal(err)
	}
	cached := &Table{Width: above.Shape("layer3.1.act").Size(), Classes: examples.Classes}
	cached.Values = make([]float32, pictureCount*cached.Width)
	if err := program.NewSession(pictureCount).Run(nil, examples.Values, pictureCount, cached.Values); err != nil {
		t.Fatal(err)
	}
	o.Freeze = nil
	for step, loss := range backboneLosses(t, above, w.Select(above), cached, o) {
		if math.Abs(loss-want[step]) > 1e-5*want[step] {
			t.Errorf("step %d: loss %v from the cache, %v from the pictures", step, loss, want[step])
		}
	}
}
