package check

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/npy"
	"github.com/tlpipe/tlpipe/internal/safetensors"
)

// reference is the batch of internal/backbone/testdata/make_efficientnet_lite0.py in both layouts, and
// what PyTorch gave for it.
func reference(t *testing.T) (nhwc, nchw, pooled, logits npy.Array) {
	t.Helper()
	const side, pictures = 224, 2
	nhwc.Shape, nchw.Shape = []int{pictures, side, side, 3}, []int{pictures, 3, side, side}
	nchw.Data = make([]float32, pictures*3*side*side)
	for n := range pictures {
		for y := range side {
			for x := range side {
				for c := range 3 {
					v := (3*x + 5*y + 40*c + x*y*(n+1)/32) % 512
					value := float32(min(v, 511-v)-127) / 128
					nhwc.Data = append(nhwc.Data, value)
					nchw.Data[((n*3+c)*side+y)*side+x] = value
				}
			}
		}
	}
	file, err := safetensors.Open(filepath.FromSlash("../backbone/testdata/efficientnet_lite0.safetensors"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, a := range map[string]*npy.Array{"224x224/pooled": &pooled, "224x224/logits": &logits} {
		if a.Shape, a.Data, err = file.Float32(name); err != nil {
			t.Fatal(err)
		}
	}
	return nhwc, nchw, pooled, logits
}

func lite0(layer string) Check {
	return Check{Backbone: "efficientnet_lite0", Weights: "imagenet", Layer: layer, Tolerance: 1e-4, Threads: 2}
}

func TestAgreesWithPyTorch(t *testing.T) {
	nhwc, nchw, pooled, logits := reference(t)
	for _, c := range []struct {
		input, expect npy.Array
		layer         string
		plain         bool
	}{
		{nhwc, pooled, "pooled", false},
		{nchw, pooled, "pooled", true},
		{nchw, npy.Array{Shape: []int{2, 1280, 1, 1}, Data: pooled.Data}, "pooled", false}, // as a pooling of PyTorch gives it
		{nhwc, logits, "logits", false},
	} {
		k := lite0(c.layer)
		k.Plain = c.plain
		r, err := k.Run(context.Background(), c.input, c.expect, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Agrees || r.Relative <= 0 || r.Relative > 1e-5 || r.Pictures != 2 || r.Layer != c.layer || len(r.SHA256) != 64 || r.Variant == "" {
			t.Errorf("%v: %+v", c.expect.Shape, r)
		}
	}

	// One number that is off is found, and told where.
	off := npy.Array{Shape: pooled.Shape, Data: slices.Clone(pooled.Data)}
	off.Data[1280+77] += 0.01
	r, err := lite0("pooled").Run(context.Background(), nhwc, off, t.Logf)
	if err != nil || r.Agrees || math.Abs(float64(r.Absolute)-0.01) > 1e-4 || !slices.Equal(r.At, []int{1, 77}) {
		t.Errorf("%+v, %v", r, err)
	}

	// Probabilities in the place of logits are told of.
	softmax := npy.Array{Shape: logits.Shape, Data: make([]float32, len(logits.Data))}
	for row := range 2 {
		sum := 0.0
		for _, v := range logits.Data[row*1000:][:1000] {
			sum += math.Exp(float64(v))
		}
		for i := range 1000 {
			softmax.Data[row*1000+i] = float32(math.Exp(float64(logits.Data[row*1000+i])) / sum)
		}
	}
	if r, err := lite0("logits").Run(context.Background(), nhwc, softmax, t.Logf); err != nil || r.Agrees || !r.Probabilities {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatCannotBeChecked(t *testing.T) {
	shape := func(n ...int) npy.Array { return npy.Array{Shape: n, Data: make([]float32, nn.Shape(n).Size())} }
	picture := shape(1, 32, 32, 3)
	for name, c := range map[string]struct {
		change        func(*Check)
		input, expect npy.Array
		want          string
	}{
		"not a batch":           {nil, shape(32, 32, 3), shape(1, 1280), "want [pictures, 3, height, width]"},
		"no colours":            {nil, shape(1, 32, 32, 1), shape(1, 1280), "neither the second nor the last number is 3"},
		"both layouts":          {nil, shape(1, 3, 32, 3), shape(1, 1280), "--layout nchw or nhwc"},
		"another layout":        {func(k *Check) { k.Layout = NCHW }, picture, shape(1, 1280), "is not nchw"},
		"too small":             {nil, shape(1, 8, 8, 3), shape(1, 1280), "too small"},
		"another count":         {nil, picture, shape(2, 1280), "the layer gives [1280] for each of 1 pictures"},
		"another layer's":       {nil, picture, shape(1, 1000), "it fits --layer logits"},
		"a map for a vector":    {nil, picture, shape(1, 1280, 7, 7), "its shape is [1 1280 7 7]"},
		"a number":              {nil, picture, npy.Array{Data: []float32{1}}, "its shape is []"},
		"no such backbone":      {func(k *Check) { k.Backbone = "lite0" }, picture, shape(1, 1280), "no backbone"},
		"no such weights":       {func(k *Check) { k.Weights = "imagnet" }, picture, shape(1, 1280), "did you mean"},
		"no such layer":         {func(k *Check) { k.Layer = "pooler" }, picture, shape(1, 1280), `did you mean "pooled"`},
		"a file that is not it": {func(k *Check) { k.Weights = "testdata/none.pth" }, picture, shape(1, 1280), "none.pth"},
	} {
		k := lite0("pooled")
		if c.change != nil {
			c.change(&k)
		}
		if _, err := k.Run(context.Background(), c.input, c.expect, t.Logf); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestLayoutsOfMaps(t *testing.T) {
	// Two maps of 1×2 places with 3 channels.
	last := []float32{1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16}
	first := []float32{1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16}
	for _, c := range []struct {
		shape  []int
		data   []float32
		layout string // of the pictures
	}{
		{[]int{2, 1, 2, 3}, last, NHWC},
		{[]int{2, 1, 2, 3}, last, NCHW},
		{[]int{2, 3, 1, 2}, first, NHWC},
		{[]int{2, 3, 1, 2}, first, NCHW},
	} {
		got, err := (Check{}).outputs(npy.Array{Shape: c.shape, Data: c.data}, 2, nn.Shape{1, 2, 3}, c.layout)
		if err != nil || !reflect.DeepEqual(got, last) {
			t.Errorf("%v: %v, %v", c.shape, got, err)
		}
	}

	// A shape that fits both is what the pictures are.
	square := npy.Array{Shape: []int{1, 2, 2, 2}, Data: []float32{1, 2, 3, 4, 5, 6, 7, 8}}
	for layout, want := range map[string][]float32{NHWC: square.Data, NCHW: {1, 5, 2, 6, 3, 7, 4, 8}} {
		got, err := (Check{}).outputs(square, 1, nn.Shape{2, 2, 2}, layout)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", layout, got, err)
		}
	}
}

// The layout of pictures of three rows or columns has to be said.
func TestLayoutsOfPictures(t *testing.T) {
	three := npy.Array{Shape: []int{1, 3, 1, 3}, Data: []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}}
	for layout, want := range map[string]batch{
		NHWC: {1, 3, 1, three.Data},
		NCHW: {1, 1, 3, []float32{1, 4, 7, 2, 5, 8, 3, 6, 9}},
	} {
		got, told, err := Check{Layout: layout}.pictures(three)
		if err != nil || told != layout || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %s, %v", layout, got, told, err)
		}
	}
	if _, err := ParseLayout("chw"); err == nil {
		t.Error("chw is a layout")
	}
}

func TestNumbersThatAreNotFinite(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct{ got, want []float32 }{
		{[]float32{1, nan}, []float32{1, 2}},
		{[]float32{1, 2}, []float32{1, nan}},
		{[]float32{1, nan}, []float32{1, nan}},
		{[]float32{1, float32(math.Inf(1))}, []float32{1, float32(math.Inf(1))}},
	} {
		r := &Result{Shape: nn.Shape{2}, Pictures: 1, Tolerance: 1e9}
		r.compare(c.got, c.want)
		if r.Agrees {
			t.Errorf("%v and %v agree", c.got, c.want)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	}
	r := &Result{Shape: nn.Shape{2}, Pictures: 1}
	if r.compare([]float32{0, 0}, []float32{0, 0}); !r.Agrees || r.Relative != 0 {
		t.Errorf("nothing differs: %+v", r)
	}
}
