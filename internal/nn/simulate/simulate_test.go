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
		ranges, err := s.Ranges(ctx, x, n, simulate.Calibration{Method: method, Percentile: 99.9})
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
		ranges, err := s.Ranges(context.Background(), data, n, simulate.Calibration{Method: method, Percentile: 99.9})
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
	ranges, err := s.Ranges(ctx, data, n, simulate.Calibration{Method: simulate.MinMax})
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
