package simulate_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/fold"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/simulate"
)

func drawn(t *rapid.T) (*nn.Network, nn.Weights) {
	net := nntest.Draw(t)
	net, w, err := fold.Fold(net, nntest.Weights(net, rapid.Uint64().Draw(t, "seed")))
	if err != nil {
		t.Fatal(err)
	}
	return net, w
}

// Without a scheme it is the network; with one, ranges hold what comes, and rounding moves the output by little.
func TestSimulatedNetworks(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		net, w := drawn(t)
		s, err := simulate.New(net, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		const n = 3
		x := nntest.Input(net, n, 1)
		got, err := s.Run(ctx, x, n, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := nntest.Evaluate(net, w, nntest.Widen(x), n)
		for i, v := range want[net.Output().Name] {
			if math.Abs(float64(got[i])-v) > 1e-3*(1+math.Abs(v)) {
				t.Fatalf("number %d is %v, want %v", i, got[i], v)
			}
		}
		method := rapid.SampledFrom([]simulate.Method{simulate.MinMax, simulate.Percentile}).Draw(t, "method")
		ranges, err := s.Ranges(ctx, simulate.InMemory(x, n), simulate.Calibration{Method: method, Percentile: 99.9})
		if err != nil {
			t.Fatal(err)
		}
		scheme := &quantise.Scheme{Ranges: ranges}
		if err := scheme.Check(net); err != nil {
			t.Fatal(err)
		}
		for name, steps := range scheme.Rounding(net) {
			if steps.Round(0) != 0 {
				t.Fatalf("layer %s: 0 becomes %v", name, steps.Round(0))
			}
		}
		if _, err := s.Run(ctx, x, n, scheme, nil); err != nil {
			t.Fatal(err)
		}
		all := s.WithFloat(scheme)
		for _, l := range net.Layers() {
			all.Float = append(all.Float, l.Name)
		}
		same, err := s.Run(ctx, x, n, all, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range same {
			if same[i] != got[i] {
				t.Fatal("with all layers in float32 it is not the network")
			}
		}
	})
}

// A value with long tails: all methods but that of the extremes cut them off.
func TestMethods(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("x", 1)
	b.Layer("y", nn.Dense{Out: 1}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	s, err := simulate.New(net, nn.Weights{"y.weight": {Shape: nn.Shape{1, 1}, Data: []float32{1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const n = 4000
	data := make([]float32, n)
	for i := range data {
		u := math.Log(float64(i/2+1) / (n/2 + 1)) // to the fourth power: from 0 to 3300
		data[i] = float32(u * u * u * u)
		if i%2 == 1 {
			data[i] /= -4
		}
	}
	greatest := slices.Max(data)
	for method, most := range map[simulate.Method]float32{simulate.MinMax: greatest, simulate.Percentile: greatest * 0.75, simulate.Squared: greatest * 0.99, simulate.Entropy: greatest * 0.99} {
		ranges, err := s.Ranges(context.Background(), simulate.InMemory(data, n), simulate.Calibration{Method: method, Percentile: 99.9})
		if err != nil {
			t.Fatal(err)
		}
		r := ranges["y"]
		t.Log(method, r)
		if r.High > most || r.High < 10 || r.Low > 0 {
			t.Errorf("%s gives %v", method, r)
		}
		if method == simulate.MinMax && (r.High != greatest || r.Low != slices.Min(data)) {
			t.Errorf("%s gives %v", method, r)
		}
	}
}

// Correcting biases takes the difference of means away.
func TestBiasCorrection(t *testing.T) {
	ctx := context.Background()
	b := nn.NewBuilder()
	x := b.Input("x", 6)
	x = b.Layer("a", nn.Dense{Out: 5, Bias: true}, x)
	b.Layer("b", nn.Dense{Out: 3, Bias: true}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	s, err := simulate.New(net, nntest.Weights(net, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	const n = 64
	data := nntest.Input(net, n, 5)
	for i := range data {
		data[i] = data[i]*0.2 + 1
	}
	want, _ := s.Run(ctx, data, n, nil, nil)
	ranges, err := s.Ranges(ctx, simulate.InMemory(data, n), simulate.Calibration{Method: simulate.MinMax})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range ranges { // coarse steps
		ranges[name] = quantise.Range{Low: 8 * r.Low, High: 8 * r.High}
	}
	scheme := &quantise.Scheme{Ranges: ranges}
	off := func() (most float64) {
		got, err := s.Run(ctx, data, n, scheme, nil)
		if err != nil {
			t.Fatal(err)
		}
		for c := range 3 {
			var sum float64
			for i := c; i < len(got); i += 3 {
				sum += float64(got[i]-want[i]) / n
			}
			most = max(most, math.Abs(sum))
		}
		return most
	}
	before := off()
	biases, err := s.CorrectBias(ctx, data, n, scheme)
	if err != nil || len(biases) != 2 {
		t.Fatal(biases, err)
	}
	if after := off(); after > before/2 {
		t.Errorf("means are off by %v, were by %v", after, before)
	}
	moved, err := s.Sensitivity(ctx, data, n, scheme, false, func(int, int) {})
	if err != nil || len(moved) != 2 || !(moved["a"] > 0 && moved["b"] > 0) {
		t.Errorf("sensitivities %v, %v", moved, err)
	}
}

// Learned rounding moves what a layer puts out less than rounding to the nearest step, and stays as it is when it is stored.
func TestLearnedRounding(t *testing.T) {
	ctx := context.Background()
	for _, op := range []nn.Op{
		nn.Conv{Out: 6, Kernel: nn.Square(3), Padding: nn.Padding{1, 1, 1, 1}, Bias: true},
		nn.Conv{Out: 8, Kernel: nn.Square(3), Stride: nn.Square(2), Groups: 8, Bias: true},
		nn.Conv{Out: 6, Kernel: nn.Square(1), Groups: 2},
	} {
		b := nn.NewBuilder()
		x := b.Input("image", 9, 9, 8)
		x = b.Layer("layer", op, x)
		b.Layer("out", nn.Dense{Out: 5, Bias: true}, b.Layer("flat", nn.Flatten{}, x))
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		w := nntest.Weights(net, 3)
		const n = 6
		in := nntest.Input(net, n, 1)
		for i := range in { // inputs that go together, so that errors can cancel
			in[i] = 0.7*in[i/8*8] + 0.3*in[i]
		}
		distance := func(learn bool) (sum float64) {
			s, err := simulate.New(net, w, nil)
			if err != nil {
				t.Fatal(err)
			}
			ranges, err := s.Ranges(ctx, simulate.InMemory(in, n), simulate.Calibration{Method: simulate.MinMax})
			if err != nil {
				t.Fatal(err)
			}
			scheme := &quantise.Scheme{Ranges: ranges}
			if learn {
				learned, err := s.LearnRounding(ctx, in, n, scheme, func(int, int) {})
				if err != nil {
					t.Fatal(err)
				}
				for name, own := range learned {
					was := w[name+".weight"]
					_, sizes := quantise.Weight(was)
					if !slices.Equal(quantise.Rounded(own).Data, own.Data) {
						t.Errorf("%T %s: stored, the weights are others", op, name)
					}
					for i, v := range own.Data {
						if d := math.Abs(float64(v - was.Data[i])); d > float64(sizes[i*len(sizes)/len(own.Data)])*(1+1e-6) {
							t.Fatalf("%T %s: weight %d moves by %v, more than a step", op, name, i, d)
						}
					}
				}
				if len(learned) != 2 {
					t.Errorf("%d layers were learned", len(learned))
				}
			}
			exact := map[string][]float32{}
			if _, err := s.Run(ctx, in, n, nil, func(layer string, values []float32) { exact[layer] = slices.Clone(values) }); err != nil {
				t.Fatal(err)
			}
			// The rounding of the values themselves is in both.
			wide := &quantise.Scheme{Ranges: ranges}
			if _, err := s.Run(ctx, in, n, wide, func(layer string, values []float32) {
				if layer == "layer" {
					for i, v := range values {
						sum += math.Pow(float64(v-exact[layer][i]), 2)
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			return sum
		}
		if nearest, learned := distance(false), distance(true); !(learned < 0.98*nearest) {
			t.Errorf("%+v: the squared error is %g with learned rounding, %g with the nearest steps", op, learned, nearest)
		}
	}
}
