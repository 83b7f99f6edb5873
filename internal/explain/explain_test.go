package explain

import (
	"encoding/json"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

// reference is what testdata/make_gradcam.py wrote.
type reference struct {
	Height, Width int
	Picture       []uint8Number
	Mean, Std     [3]float32
	Weights       map[string][]float32
	FeatureShape  [2]int      `json:"feature_shape"`
	Maps          [][]float64 // by class, of a head of two layers
	LinearMaps    [][]float64 `json:"linear_maps"` // of one linear layer
}

type uint8Number int

func readReference(t *testing.T) reference {
	t.Helper()
	data, err := os.ReadFile("testdata/gradcam.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// network makes the reference's network, with a head of one layer or two.
func (r reference) network(t *testing.T, linear bool) *classifier.Classifier {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("image", r.Height, r.Width, 3)
	pad := nn.Padding{1, 1, 1, 1}
	x = b.Layer("conv1", nn.Conv{Out: 6, Kernel: nn.Pair{3, 3}, Stride: nn.Pair{2, 2}, Padding: pad, Bias: true}, x)
	x = b.Layer("act1", nn.Activation{Function: kernel.SiLU}, x)
	x = b.Layer("conv2", nn.Conv{Out: 8, Kernel: nn.Pair{3, 3}, Padding: pad, Bias: true}, x)
	x = b.Layer("act2", nn.Activation{Function: kernel.ReLU}, x)
	x = b.Layer("pool", nn.GlobalAveragePool{}, x)
	if linear {
		x = b.Layer("linear", nn.Dense{Out: 4, Bias: true}, x)
	} else {
		x = b.Layer("norm", nn.BatchNorm{Epsilon: 1e-5}, x)
		x = b.Layer("hidden", nn.Dense{Out: 7, Bias: true}, x)
		x = b.Layer("act3", nn.Activation{Function: kernel.GELU}, x)
		x = b.Layer("dropout", nn.Dropout{Rate: 0.5}, x)
		x = b.Layer("last", nn.Dense{Out: 4, Bias: true}, x)
	}
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.Weights{}
	for _, p := range net.Parameters() {
		weights[p.Name()] = nn.Tensor{Shape: p.Shape, Data: r.Weights[p.Name()]}
	}
	steps := record.Preprocessing{Height: r.Height, Width: r.Width, Resize: record.ResizeSquash, Filter: record.FilterBilinear, Background: "#ffffff", Channels: "rgb", Mean: r.Mean, Std: r.Std}.Transforms()
	return classifier.New(net, weights, record.SingleLabelHead(record.Label, []string{"a", "b", "c", "d"}), steps)
}

func (r reference) picture() *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, r.Width, r.Height))
	for i := range r.Width * r.Height {
		out.SetNRGBA(i%r.Width, i/r.Width, color.NRGBA{uint8(r.Picture[3*i]), uint8(r.Picture[3*i+1]), uint8(r.Picture[3*i+2]), 255})
	}
	return out
}

func TestGradCAMIsThatOfPyTorch(t *testing.T) {
	ref := readReference(t)
	for _, linear := range []bool{false, true} {
		e, err := New(ref.network(t, linear), "")
		if err != nil {
			t.Fatal(err)
		}
		want := ref.Maps
		if linear {
			want = ref.LinearMaps
		}
		for class, values := range want {
			m, err := e.Picture(ref.picture(), class)
			if err != nil {
				t.Fatal(err)
			}
			if m.Method != GradCAM || m.Height != ref.FeatureShape[0] || m.Width != ref.FeatureShape[1] {
				t.Fatalf("a map of %d×%d by %s", m.Height, m.Width, m.Method)
			}
			for i, v := range values {
				if math.Abs(float64(m.Values[i])-v) > 1e-4 {
					t.Errorf("linear %v, class %d, place %d: %v, want %v", linear, class, i, m.Values[i], v)
				}
			}
		}
	}
}

// Every op of a chain has the gradient that finite differences have.
func TestGradientsOfChains(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := func(n int, low, high float64) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(low + (high-low)*random.Float64())
		}
		return out
	}
	weights := map[nn.Role][]float32{nn.Weight: numbers(12, -1, 1), nn.Bias: numbers(3, -1, 1), nn.Gamma: numbers(4, -2, 2), nn.Beta: numbers(4, -1, 1), nn.Mean: numbers(4, -1, 1), nn.Variance: numbers(4, 0.5, 2)}
	of := func(r nn.Role) []float32 { return weights[r] }
	four := nn.Shape{4}
	steps := []step{
		{nn.Dense{Out: 3, Bias: true}, of, four, nn.Shape{3}},
		{nn.BatchNorm{Epsilon: 1e-3}, of, four, four},
		{nn.BatchNorm{Epsilon: 1e-3, Unscaled: true}, of, four, four},
		{nn.Affine{Scale: numbers(4, -1, 1), Shift: numbers(4, -1, 1)}, of, four, four},
		{nn.Scale{Factor: 1.7}, of, four, four},
		{nn.L2Normalise{}, of, four, four},
		{nn.Dropout{Rate: 0.3}, of, four, four},
		{nn.Flatten{}, of, nn.Shape{2, 1, 2}, four},
		{nn.GlobalAveragePool{}, of, nn.Shape{3, 2, 4}, four},
	}
	for f := kernel.None; f <= kernel.QuickGELU; f++ {
		steps = append(steps, step{nn.Activation{Function: f}, of, nn.Shape{40}, nn.Shape{40}})
	}
	for _, s := range steps {
		if !s.known() {
			t.Errorf("%T is not known", s.op)
		}
		x := make([]float64, s.in.Size())
		for i := range x {
			x[i] = 8*random.Float64() - 4
		}
		for output := range s.out.Size() {
			g := make([]float64, s.out.Size())
			g[output] = 1
			got := s.backward(x, g)
			for i := range x {
				const h = 1e-6
				up, down := append([]float64(nil), x...), append([]float64(nil), x...)
				up[i] += h
				down[i] -= h
				want := (s.forward(up)[output] - s.forward(down)[output]) / (2 * h)
				if math.Abs(got[i]-want) > 1e-5 {
					t.Errorf("%T %v: gradient of output %d to input %d is %v, want %v", s.op, s.op, output, i, got[i], want)
				}
			}
		}
	}
}

// Where the model looks at one corner alone, occlusion finds it.
func TestOcclusion(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("image", 16, 16, 3)
	x = b.Layer("wide", nn.Conv{Out: 2, Kernel: nn.Pair{16, 16}}, x) // no last feature map: it has one place
	x = b.Layer("flat", nn.Flatten{}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	w := make([]float32, 2*16*16*3)
	for y := 8; y < 12; y++ {
		for x := 12; x < 16; x++ {
			w[(y*16+x)*3] = 0.2
		}
	}
	steps := record.Preprocessing{Height: 16, Width: 16, Resize: record.ResizeSquash, Filter: record.FilterBilinear, Background: "#ffffff", Channels: "rgb", Std: [3]float32{1, 1, 1}}.Transforms()
	stored := classifier.New(net, nn.Weights{"wide.weight": {Shape: nn.Shape{2, 16, 16, 3}, Data: w}}, record.SingleLabelHead(record.Label, []string{"a", "b"}), steps)
	e, err := New(stored, "")
	if err != nil {
		t.Fatal(err)
	}
	white := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	m, err := e.Picture(white, 0)
	if err != nil {
		t.Fatal(err)
	}
	if m.Method != Occlusion || m.Values[4*7+6] != 1 || m.Values[0] != 0 {
		t.Errorf("%s: %v", m.Method, m.Values)
	}
	if m, err = e.Picture(white, 1); err != nil || m.Values[4*7+6] != 0 {
		t.Errorf("of the other class: %v, error %v", m.Values, err)
	}
	if _, err := e.Picture(white, 2); err == nil {
		t.Error("there is a third output")
	}
	if _, err := e.Picture(image.NewNRGBA(image.Rect(0, 0, 3, 3)), 0); err == nil {
		t.Error("a picture of another size is taken")
	}
	if o := Overlay(white, m); o.Bounds() != white.Bounds() {
		t.Errorf("the overlay has the bounds %v", o.Bounds())
	}
}
