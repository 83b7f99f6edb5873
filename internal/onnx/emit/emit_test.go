package emit_test

import (
	"bytes"
	"context"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/fold"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/simulate"
	"github.com/tlpipe/tlpipe/internal/onnx"
	"github.com/tlpipe/tlpipe/internal/onnx/emit"
	"github.com/tlpipe/tlpipe/internal/onnx/evaluate"
	"github.com/tlpipe/tlpipe/internal/record"
)

// read writes a file and reads it again.
func read(t interface{ Fatal(...any) }, m *deploy.Model, o emit.Options) (*onnx.Model, *evaluate.Program) {
	file, err := emit.Model(m, o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := file.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := onnx.Parse(b.Bytes(), onnx.Limits())
	if err != nil {
		t.Fatal(err)
	}
	p, err := evaluate.New(back, nil)
	if err != nil {
		t.Fatal(err)
	}
	return back, p
}

// model makes one of a network that takes numbers as they are.
func model(net *nn.Network, w nn.Weights) *deploy.Model {
	in := net.Inputs()[0]
	names := make([]string, net.Shape(net.Output().Name).Size())
	for i := range names {
		names[i] = string(rune('a'+i%26)) + string(rune('0'+i/26%10)) + string(rune('0'+i/260))
	}
	return &deploy.Model{
		Network: net, Weights: w, Head: record.RegressionHead("numbers", names),
		Description: record.Description{Version: record.ModelVersion, Inputs: []record.ModelInput{{Name: in.Name, Shape: net.Shape(in.Name)}}},
	}
}

// A file of any network, read again and computed by the operators' definitions, gives what the network does.
func TestFilesComputeWhatNetworksDo(t *testing.T) {
	check := func(t *rapid.T, net *nn.Network) {
		w := nntest.Weights(net, rapid.Uint64().Draw(t, "seed"))
		net, w, err := fold.Fold(net, w)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range net.Layers() {
			if n, ok := l.Op.(nn.Neighbours); ok && n.Weighted {
				t.Skip()
			}
		}
		_, p := read(t, model(net, w), emit.Options{})
		const n = 2
		x := nntest.Input(net, n, 1)
		out, err := p.Run(&evaluate.Tensor{Shape: append([]int{n}, net.Shape(net.Inputs()[0].Name)...), Float: x})
		if err != nil {
			t.Fatal(err)
		}
		want := nntest.Evaluate(net, w, nntest.Widen(x), n)[net.Output().Name]
		got := out["numbers"].Float
		if len(got) != len(want) {
			t.Fatalf("%d numbers, want %d", len(got), len(want))
		}
		for i := range want {
			if math.Abs(float64(got[i])-want[i]) > 1e-3*(1+math.Abs(want[i])) {
				t.Fatalf("number %d is %v, want %v", i, got[i], want[i])
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) { check(t, nntest.Draw(t)) })
}

// Pixels go in, as bytes in RGB, and are normalised as the model's description tells.
func TestPixels(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("image", 2, 2, 3)
	b.Layer("flat", nn.Flatten{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	m := model(net, nn.Weights{})
	m.Pixels = &deploy.Pixels{Height: 2, Width: 2, Scale: [3]float32{1, 2, 3}, Shift: [3]float32{-1, 0, 1}, BGR: true}
	file, p := read(t, m, emit.Options{Version: "1"})
	out, err := p.Run(&evaluate.Tensor{Shape: []int{1, 2, 2, 3}, Whole: []int64{1, 2, 3, 0, 0, 0, 255, 0, 0, 0, 0, 4}})
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{2, 4, 4, -1, 0, 1, -1, 0, 766, 3, 0, 1}
	for i, v := range out["numbers"].Float {
		if v != want[i] {
			t.Errorf("numbers %v, want %v", out["numbers"].Float, want)
			break
		}
	}
	if file.Opset("") != emit.Opset || file.Graph.Inputs[0].Type != onnx.Uint8 {
		t.Errorf("opset %d, input %+v", file.Opset(""), file.Graph.Inputs[0])
	}
	if _, err := p.Run(&evaluate.Tensor{Shape: []int{1, 3, 2, 3}, Whole: make([]int64, 18)}); err == nil {
		t.Error("a picture of another size was taken")
	}
}

// Between a layer that is left in float32 and the rounding of its output stands an operator that keeps ONNX Runtime from rounding the
// layer's weights, and that changes no number.
func TestLayersLeftInFloat32(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("image", 4, 4, 2)
	for _, name := range []string{"one", "two", "three"} {
		x = b.Layer(name, nn.Conv{Out: 2, Kernel: nn.Square(1), Bias: true}, x)
	}
	x = b.Layer("flat", nn.Flatten{}, x)
	b.Layer("last", nn.Dense{Out: 3, Bias: true}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	w := nntest.Weights(net, 1)
	scheme := &quantise.Scheme{Ranges: map[string]quantise.Range{}}
	for _, l := range net.Layers() {
		scheme.Ranges[l.Name] = quantise.Range{Low: -2, High: 3}
	}
	scheme.Ranges = quantise.Share(net, scheme.Ranges)
	scheme.Float = []string{"two", "last"}
	file, p := read(t, model(net, w), emit.Options{Scheme: scheme})
	after := map[string]string{} // operators that take what a layer gives
	for _, n := range file.Graph.Nodes {
		for _, in := range n.Inputs {
			after[in] += n.Operator
		}
	}
	for layer, want := range map[string]string{"one": "QuantizeLinear", "two": "Max", "three": "QuantizeLinear", "last": "Max"} {
		if after[layer] != want {
			t.Errorf("layer %s is taken by %q, want %s", layer, after[layer], want)
		}
	}
	const n = 3
	in := nntest.Input(net, n, 1)
	out, err := p.Run(&evaluate.Tensor{Shape: []int{n, 4, 4, 2}, Float: in})
	if err != nil {
		t.Fatal(err)
	}
	simulation, err := simulate.New(net, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := simulation.Run(context.Background(), in, n, scheme, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range want {
		if math.Abs(float64(v-out["numbers"].Float[i])) > 1e-4*(1+math.Abs(float64(v))) {
			t.Errorf("number %d is %v, want %v", i, out["numbers"].Float[i], v)
		}
	}
}
