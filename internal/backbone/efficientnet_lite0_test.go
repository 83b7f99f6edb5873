package backbone_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/safetensors"
)

// lite0 builds EfficientNet-Lite0 with its ImageNet weights.
func lite0(t testing.TB, height, width int) (*nn.Network, nn.Weights) {
	t.Helper()
	b, err := backbone.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	net, err := b.Network(height, width)
	if err != nil {
		t.Fatal(err)
	}
	set, err := b.Set("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.LoadSet(set, net)
	if err != nil {
		t.Fatal(err)
	}
	return net, w
}

// referencePixels is the input of testdata/make_efficientnet_lite0.py, normalised.
func referencePixels(n, h, w int) []float32 {
	x := make([]float32, 0, n*h*w*3)
	for i := range n {
		for y := range h {
			for column := range w {
				for c := range 3 {
					v := (3*column + 5*y + 40*c + column*y*(i+1)/32) % 512
					x = append(x, float32(min(v, 511-v)-127)/128)
				}
			}
		}
	}
	return x
}

// TestEfficientNetLite0AgreesWithPyTorch holds every block, the pooled features and the logits
// against testdata/efficientnet_lite0.safetensors, at three sizes.
func TestEfficientNetLite0AgreesWithPyTorch(t *testing.T) {
	fixture, err := safetensors.Open(filepath.Join("testdata", "efficientnet_lite0.safetensors"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer fixture.Close()
	reference := func(t *testing.T, name string) []float32 {
		t.Helper()
		_, data, err := fixture.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, c := range [][3]int{{2, 224, 224}, {1, 192, 192}, {1, 150, 187}} {
		n, h, w := c[0], c[1], c[2]
		name := fmt.Sprintf("%dx%d", h, w)
		t.Run(name, func(t *testing.T) {
			net, weights := lite0(t, h, w)
			layers := []string{"stem"}
			for i := range 16 {
				layers = append(layers, fmt.Sprintf("block%d", i))
			}
			layers = append(layers, "head", "pooled", "logits")
			p, err := frozen.Compile(net, weights, layers...)
			if err != nil {
				t.Fatal(err)
			}
			out := make([][]float32, len(layers))
			for i := range out {
				out[i] = make([]float32, n*p.OutputShape(i).Size())
			}
			if err := p.NewSession(n).Run(pool, referencePixels(n, h, w), n, out...); err != nil {
				t.Fatal(err)
			}
			for i, layer := range layers {
				shape := p.OutputShape(i)
				if len(shape) == 1 {
					near(t, layer, out[i], reference(t, name+"/"+layer))
					continue
				}
				var moments, corner, centre []float32
				for j := range n {
					y := out[i][j*shape.Size():][:shape.Size()]
					moments = append(moments, momentsOf(y)...)
					corner = append(corner, y[:16]...)
					middle := ((shape[0]/2)*shape[1] + shape[1]/2) * shape[2]
					centre = append(centre, y[middle:][:16]...)
				}
				near(t, layer+" moments", moments, reference(t, name+"/"+layer+"/moments"))
				near(t, layer+" corner", corner, reference(t, name+"/"+layer+"/corner"))
				near(t, layer+" centre", centre, reference(t, name+"/"+layer+"/centre"))
			}
			if name == "224x224" {
				head := out[slices.Index(layers, "head")]
				var first []float32
				for i := range len(head) / 1280 {
					first = append(first, head[i*1280:][:64]...)
				}
				near(t, "head", first, reference(t, name+"/head"))
			}

			// The program for use alone fuses more, and must give the same.
			alone, err := frozen.Compile(net, weights, "pooled")
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				pooled := make([]float32, 1280)
				if err := alone.NewSession(1).Run(nil, referencePixels(n, h, w)[i*h*w*3:][:h*w*3], 1, pooled); err != nil {
					t.Fatal(err)
				}
				near(t, "pooled alone", pooled, reference(t, name+"/pooled")[i*1280:][:1280])
			}
		})
	}
}

func momentsOf(x []float32) []float32 {
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	mean := sum / float64(len(x))
	return []float32{float32(mean), float32(math.Sqrt(squares/float64(len(x)) - mean*mean))}
}

// near checks that got is within 1e-4 of the largest absolute value of want.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var largest, off float64
	for i, v := range want {
		largest = max(largest, math.Abs(float64(v)))
		off = max(off, math.Abs(float64(got[i]-v)))
	}
	if !(off <= 1e-4*largest) {
		t.Errorf("%s: off by %.3g, the largest value is %.3g", what, off, largest)
	}
}
