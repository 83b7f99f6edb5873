package network_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/onnx"
	"github.com/tlpipe/tlpipe/internal/onnx/network"
)

// picture is by the formula of testdata/make.py, with channels last.
func picture(size int) []float32 {
	out := make([]float32, 3*size*size)
	for i := range out {
		channel, pixel := i/(size*size), i%(size*size)
		out[3*pixel+channel] = float32(math.Sin(float64(i) * 0.37))
	}
	return out
}

func read(t *testing.T, name string) *onnx.Model {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Parse(data, onnx.Limits())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Networks of the operators that torchvision, timm and Keras export give what ONNX Runtime computes.
func TestAsONNXRuntime(t *testing.T) {
	text, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string][]float32
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	for name, want := range expected {
		t.Run(name, func(t *testing.T) {
			net, weights, err := network.New(read(t, name), 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := net.Find(network.Features); !ok {
				t.Error("there are no features")
			}
			if _, ok := net.Find(network.Map); !ok {
				t.Error("there is no last map")
			}
			program, err := frozen.Options{Algorithm: kernel.Plain}.Compile(net, weights)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, program.OutputShape(0).Size())
			if err := program.NewSession(1).Run(pool, picture(16), 1, got); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d numbers, want %d", len(got), len(want))
			}
			for i := range got {
				if d := math.Abs(float64(got[i] - want[i])); !(d <= 2e-6*max(1, math.Abs(float64(want[i])))) {
					t.Errorf("number %d is %v, want %v", i, got[i], want[i])
				}
			}
		})
	}
}

// A convolution of 1×1 is a classifier as a dense layer is: what it takes are the features, pooled where it takes a map.
func TestFeaturesOfConvolutionalClassifiers(t *testing.T) {
	for name, want := range map[string]int{"dla": 6, "squeezenet": 8, "convnext": 8} {
		net, _, err := network.New(read(t, name), 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		if got := net.Shape(network.Features); len(got) != 1 || got[0] != want {
			t.Errorf("%s: features of shape %v, want %d", name, got, want)
		}
		if got := net.Output().Name; got != network.Output {
			t.Errorf("%s: the output is called %s", name, got)
		}
	}
	// Without a classifier, what ends in such a convolution is the features.
	m := read(t, "squeezenet")
	for i := range m.Graph.Nodes {
		if n := &m.Graph.Nodes[i]; n.Operator == "Concat" {
			m.Graph.Outputs[0].Name = n.Outputs[0]
		}
	}
	net, _, err := network.New(m, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	if net.Output().Name != network.Features {
		t.Errorf("the output is called %s", net.Output().Name)
	}
}

// A network that is fully convolutional takes pictures of another size.
func TestAnotherSize(t *testing.T) {
	net, _, err := network.New(read(t, "efficientnet"), 32, 24)
	if err != nil {
		t.Fatal(err)
	}
	if got := net.Shape(network.Features); len(got) != 1 || got[0] != 12 {
		t.Errorf("features of shape %v", got)
	}
	if _, _, err := network.New(read(t, "vgg"), 32, 32); err == nil || !strings.Contains(err.Error(), "(Gemm)") && !strings.Contains(err.Error(), "AveragePool") {
		t.Errorf("a network for 16×16 pixels takes 32×32: %v", err)
	}
}

// What there is no layer for is named with its node.
func TestUnknown(t *testing.T) {
	for _, change := range []struct {
		what string
		make func(*onnx.Model)
		want string
	}{
		{"operator", func(m *onnx.Model) { m.Graph.Nodes[1].Operator = "LSTM" }, `(LSTM): this operator is not supported`},
		{"domain", func(m *onnx.Model) { m.Graph.Nodes[1].Domain = "com.microsoft" }, `of domain com.microsoft`},
		{"version", func(m *onnx.Model) { m.Opsets[0].Version = 3 }, "opset version is 3"},
		{"input", func(m *onnx.Model) { m.Graph.Nodes[1].Inputs[0] = "nowhere" }, `no node computes its input "nowhere"`},
		{"channels", func(m *onnx.Model) { m.Graph.Inputs[0].Shape[1].Length = 1 }, "as colour pictures have"},
		{"external", func(m *onnx.Model) { m.Graph.Initializers[0].External = true }, "external_data=False"},
		{"erf", func(m *onnx.Model) { m.Graph.Nodes[1].Operator = "Erf" }, "but as a part of GELU"},
		{"output", func(m *onnx.Model) { m.Graph.Outputs = nil }, "it has 0 outputs"},
	} {
		m := read(t, "resnet")
		change.make(m)
		if _, _, err := network.New(m, 16, 16); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: %v, want %s", change.what, err, change.want)
		}
	}
}

// Files with anything in the place of what is expected are errors.
func FuzzNew(f *testing.F) {
	files, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Parse(data, onnx.Limits())
		if err != nil {
			return
		}
		_, _, _ = network.New(m, 16, 16)
	})
}
