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

// calibrated finds the ranges of a network on examples.
func calibrated(t testing.TB, net *nn.Network, w nn.Weights, pool *kernel.Pool, x []float32, n int, layers ...string) Options {
	t.Helper()
	o := Options{Precision: Int8}
	var err error
	if o.Ranges, err = o.Calibrate(net, w, pool, x, n, layers...); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestInt8AgreesWithTheDefinition(t *testing.T) {
	net := wide(t)
	w := nntest.Weights(net, 1)
	const n = 3
	x := nntest.Input(net, n, 1)
	want := nntest.Evaluate(net, w, nntest.Widen(x), n)
	layers := []string{"pool", "concat", "project", "pooled", "logits"}
	o := calibrated(t, net, w, nil, x, n, layers...)
	for _, large := range []int{1, 7 * 6 * 224, 1 << 20} {
		t.Run(fmt.Sprintf("large maps from %d bytes", large), func(t *testing.T) {
			o.largeMap = large
			checkReduced(t, o, net, w, x, n, want, layers, 0.997)
		})
	}
}

// The steps of a wide network are on bytes, and bytes are widened where float32 is needed.
func TestWhatIsComputedOnBytes(t *testing.T) {
	net := wide(t)
	w := nntest.Weights(net, 1)
	p, err := calibrated(t, net, w, nil, nntest.Input(net, 1, 1), 1).Compile(net, w)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.Steps() {
		got = append(got, fmt.Sprintf("%s: %s", s.Layer, s.Class))
	}
	want := `stem: convert
stem: stem 3×3, int8
early: conv 3×3, int8
pool: max pool, int8
reduce: conv 1×1, int8
grouped: convert
grouped: conv 3×3, int8
left: conv 3×3, int8
right: conv 1×1, int8
expand: conv 1×1, int8
depthwise: depthwise 3×3
squeeze: global pool
gate: activation
excite: multiply
project: convert
project: conv 1×1, int8
pooled: global pool, int8
logits: dense`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("steps:\n%s\nwant:\n%s", text, want)
	}
}

// Ranges hold what was seen, and zero, and are the same for any number of threads.
func TestRanges(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("input", 1, 1, 1)
	x = b.Layer("conv", nn.Conv{Out: 1, Kernel: nn.Square(1), Bias: true}, x)
	b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	net := built(t, b)
	w := nn.Weights{
		"conv.weight": {Shape: nn.Shape{1, 1, 1, 1}, Data: []float32{-2}},
		"conv.bias":   {Shape: nn.Shape{1}, Data: []float32{1}},
	}
	two := kernel.NewPool(2)
	defer two.Close()
	for _, pool := range []*kernel.Pool{nil, two} {
		ranges := calibrated(t, net, w, pool, []float32{1, -3, -1}, 3).Ranges
		want := map[string]Range{
			"input": {(0 - 3 - 1) / 3.0, (1 + 0 + 0) / 3.0},
			"conv":  {0, (0 + 7 + 3) / 3.0}, // with its activation
		}
		if len(ranges) != len(want) {
			t.Errorf("ranges %v", ranges)
		}
		for name, w := range want {
			r := ranges[name]
			if math.Abs(float64(r.Low-w.Low)) > 1e-2 || math.Abs(float64(r.High-w.High)) > 2e-2 {
				t.Errorf("%s: range %v, want %v", name, r, w)
			}
		}
	}
	q := Range{-1, 3}.quantization()
	if q.Zero != 64 || math.Abs(float64(q.Scale)-4.0/255) > 1e-7 {
		t.Errorf("quantization %+v", q)
	}
	if q := (Range{}).quantization(); q.Scale != 1 || q.Zero != 0 {
		t.Errorf("quantization of zeros: %+v", q)
	}
}

func TestCalibrationMistakesAreErrors(t *testing.T) {
	net := block(t)
	w := nntest.Weights(net, 1)
	if _, err := (Options{Precision: Int8}).Compile(net, w); err == nil || !strings.Contains(err.Error(), "calibrate") {
		t.Errorf("compiled without ranges: error %v", err)
	}
	x := nntest.Input(net, 1, 1)
	if _, err := (Options{}).Calibrate(net, w, nil, x[1:], 1); err == nil {
		t.Error("calibrated on an example that is too short")
	}
	if _, err := (Options{}).Calibrate(net, w, nil, nil, 0); err == nil {
		t.Error("calibrated on nothing")
	}
	bad := slices.Clone(x)
	bad[5] = float32(math.NaN())
	if _, err := (Options{}).Calibrate(net, w, nil, bad, 1); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("calibrated on what is not a number: error %v", err)
	}
}
