package emit_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/kerasfile/emit"
	"github.com/tlpipe/tlpipe/internal/kerasfile/network"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/record"
)

// model makes one of a network that takes numbers as they are.
func model(net *nn.Network, w nn.Weights) *deploy.Model {
	in := net.Inputs()[0]
	names := make([]string, net.Shape(net.Output().Name).Size())
	for i := range names {
		names[i] = string(rune('a'+i%26)) + string(rune('0'+i/26%10)) + string(rune('0'+i/260))
	}
	m := &deploy.Model{
		Head:        record.RegressionHead("numbers", names),
		Description: record.Description{Version: record.ModelVersion, Inputs: []record.ModelInput{{Name: in.Name, Shape: net.Shape(in.Name)}}},
	}
	m.Trained.Network, m.Trained.Weights = net, w
	return m
}

// read writes a file and makes a network of it.
func read(t interface{ Fatal(...any) }, m *deploy.Model, o emit.Options) (*nn.Network, nn.Weights, error) {
	file, err := emit.Model(m, o)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	if err := file.Write(&b); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "keras")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "net.keras")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	archive, closing, err := kerasfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	net, weights, err := network.Of(archive)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range weights {
		w.Data = append([]float32{}, w.Data...) // the file is closed
		weights[name] = w
	}
	if err := closing(); err != nil {
		t.Fatal(err)
	}
	return net, weights, nil
}

// A file of any network, read again as Keras defines its layers, gives what the network does, or it is refused for a layer that Keras
// does not have.
func TestFilesComputeWhatNetworksDo(t *testing.T) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		w := nntest.Weights(net, rapid.Uint64().Draw(t, "seed"))
		back, weights, err := read(t, model(net, w), emit.Options{})
		if err != nil {
			if !strings.Contains(err.Error(), "Keras") || !strings.Contains(err.Error(), "layer") {
				t.Fatal(err)
			}
			return
		}
		written++
		const n = 2
		x := nntest.Widen(nntest.Input(net, n, 1))
		want, got := nntest.Evaluate(net, w, x, n)[net.Output().Name], nntest.Evaluate(back, weights, x, n)[back.Output().Name]
		if len(got) != len(want) {
			t.Fatalf("%d numbers, want %d", len(got), len(want))
		}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-4*(1+math.Abs(want[i])) {
				t.Fatalf("number %d is %v, want %v", i, got[i], want[i])
			}
		}
	})
	if written < 10 {
		t.Errorf("of all networks only %d were written", written)
	}
}

// Pixels go in, as bytes in RGB, and are normalised as the model's description tells.
func TestPixels(t *testing.T) {
	b := nn.NewBuilder()
	b.Layer("flat", nn.Flatten{}, b.Input("image", 2, 2, 3))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	m := model(net, nn.Weights{})
	for bgr, want := range map[bool][]float64{
		false: {0, 4, 10, -1, 0, 1, 254, 0, 1, -1, 0, 13},
		true:  {2, 4, 4, -1, 0, 1, -1, 0, 766, 3, 0, 1},
	} {
		m.Pixels = &deploy.Pixels{Height: 2, Width: 2, Scale: [3]float32{1, 2, 3}, Shift: [3]float32{-1, 0, 1}, BGR: bgr}
		back, weights, err := read(t, m, emit.Options{Float16: true})
		if err != nil {
			t.Fatal(err)
		}
		got := nntest.Evaluate(back, weights, []float64{1, 2, 3, 0, 0, 0, 255, 0, 0, 0, 0, 4}, 1)[back.Output().Name]
		for i, v := range got {
			if v != want[i] {
				t.Errorf("BGR %v: numbers %v, want %v", bgr, got, want)
				break
			}
		}
	}
}

// A layer that Keras does not have is named, with what to do instead.
func TestRefused(t *testing.T) {
	for kind, build := range map[string]func(b *nn.Builder){
		"max_pool": func(b *nn.Builder) { // zeros would win
			b.Layer("pool", nn.MaxPool{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Padding{1, 1, 1, 1}}, b.Input("x", 8, 8, 3))
		},
		"average_pool": func(b *nn.Builder) {
			b.Layer("pool", nn.AveragePool{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Padding{1, 1, 1, 1}}, b.Input("x", 8, 8, 3))
		},
		"attention": func(b *nn.Builder) {
			x := b.Input("x", 8, 8)
			b.Layer("heads", nn.Attention{Heads: 2}, x, x, x)
		},
	} {
		b := nn.NewBuilder()
		build(b)
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := emit.Model(model(net, nntest.Weights(net, 1)), emit.Options{}); err == nil || !strings.Contains(err.Error(), kind) || !strings.Contains(err.Error(), "export it as onnx") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	// After a rectifier they lose.
	b := nn.NewBuilder()
	x := b.Layer("act", nn.Activation{Function: kernel.ReLU}, b.Input("x", 8, 8, 3))
	b.Layer("pool", nn.MaxPool{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Padding{1, 1, 1, 1}}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := emit.Model(model(net, nn.Weights{}), emit.Options{}); err != nil {
		t.Error(err)
	}
}
