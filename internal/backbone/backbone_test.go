package backbone_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/safetensors"
)

func TestEveryEntryHoldsTogether(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", t.TempDir())
	seen := map[string]bool{}
	for _, b := range backbone.All() {
		t.Run(b.Name, func(t *testing.T) {
			if seen[b.Name] {
				t.Error("the name is used twice")
			}
			seen[b.Name] = true
			found, err := backbone.Find(b.Name)
			if err != nil || found.Title != b.Title {
				t.Errorf("found %q, %v", found.Title, err)
			}
			p := b.Preprocessing()
			if p.For != b.Name || p.Height == 0 || p.Width == 0 || p.Std[0] == 0 || p.Channels == "" || p.Filter == "" {
				t.Errorf("preprocessing %+v", p)
			}
			d, err := b.Describe(0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if d.Height != p.Height || d.Features == 0 || len(d.Layers) == 0 || d.Parameters < d.TrunkParameters {
				t.Errorf("description %+v", d)
			}
			if _, err := json.Marshal(d); err != nil {
				t.Error(err)
			}
			net, err := b.Network(p.Height, p.Width)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range append([]string{"pooled", "last"}, b.Scopes(net)...) {
				if name, err := b.Layer(net, word); err != nil || net.Shape(name) == nil {
					t.Errorf("layer %q is %q, %v", word, name, err)
				}
			}
			if _, err := b.Layer(net, "pooledd"); err == nil || !strings.Contains(err.Error(), `did you mean "pooled"`) {
				t.Errorf("error %v, want a hint", err)
			}
			if _, err := b.Network(b.MinSize, b.MinSize); err != nil {
				t.Errorf("smallest size: %v", err)
			}
			if _, err := b.Network(b.MinSize-1, 224); err == nil {
				t.Error("built for pictures that are too small")
			}
			for _, set := range b.Weights {
				v, err := b.As(set.Variant)
				if err != nil {
					t.Fatal(err)
				}
				net, err := v.Network(p.Height, p.Width)
				if err != nil {
					t.Fatal(err)
				}
				if v.Variant() != "" {
					if _, err := b.LoadSet(set, net); err == nil || !strings.Contains(err.Error(), "another variant") {
						t.Errorf("error %v, want one that says that %q is for another variant", err, set.Name)
					}
				}
				w, err := v.LoadSet(set, net)
				switch {
				case !set.Here():
					if !strings.HasPrefix(set.URL, "https://") || err == nil || !strings.Contains(err.Error(), "tlpipe models pull "+v.For(set).For) {
						t.Errorf("error %v, want one that tells how to get %q", err, set.Name)
					}
				case err != nil:
					t.Fatal(err)
				default:
					if err := net.Check(w); err != nil {
						t.Error(err)
					}
				}
				if set.Licence == "" || set.Provenance == "" || set.Figures == "" || set.Top1 == 0 {
					t.Errorf("weight set %+v", set)
				}
				if logits := net.Shape(b.Logits); set.Classes != nil && len(set.Classes()) != logits.Size() {
					t.Errorf("%d classes, logits are %v", len(set.Classes()), logits)
				}
			}
		})
	}
	var unknown *backbone.UnknownError
	if _, err := backbone.Find("eficientnet_lite0"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "efficientnet_lite0") {
		t.Errorf("error %v, want one that names the nearest", err)
	}
}

// Sizes as the papers and the reference implementations give them.
func TestSizesAreThoseOfTheReference(t *testing.T) {
	for name, want := range map[string]backbone.Description{
		// As PyTorch counts parameters() and, with its FlopCounterMode, half the operations.
		"efficientnet_lite0": {Parameters: 4_652_008, TrunkParameters: 3_371_008, Statistics: 42_016, MultiplyAdds: 385_187_552, Features: 1280, Depth: 50},
		"efficientnet_b0":    {Parameters: 5_288_548, TrunkParameters: 4_007_548, Statistics: 42_016, MultiplyAdds: 385_814_752, Features: 1280, Depth: 82},
		"mobilenet_v2":       {Parameters: 3_504_872, TrunkParameters: 2_223_872, Statistics: 34_112, MultiplyAdds: 300_774_272, Features: 1280, Depth: 53},
		"densenet121":        {Parameters: 7_978_856, TrunkParameters: 6_953_856, Statistics: 83_648, MultiplyAdds: 2_834_161_664, Features: 1024, Depth: 121},
		"inception_v3":       {Parameters: 23_834_568, TrunkParameters: 21_785_568, Statistics: 34_432, MultiplyAdds: 5_713_216_096, Features: 2048, Depth: 95}, // aux_logits=False
		// As Keras counts trainable and other weights.
		"inception_resnet_v2": {Parameters: 55_813_192, TrunkParameters: 54_276_192, Statistics: 60_544, MultiplyAdds: 13_155_794_016, Features: 1536, Depth: 245},
		"nasnet_mobile":       {Parameters: 5_289_978, TrunkParameters: 4_232_978, Statistics: 36_738, MultiplyAdds: 563_638_816, Features: 1056, Depth: 357},
		"resnet18":            {Parameters: 11_689_512, TrunkParameters: 11_176_512, Statistics: 9_600, MultiplyAdds: 1_814_073_344, Features: 512, Depth: 21},
		"resnet34":            {Parameters: 21_797_672, TrunkParameters: 21_284_672, Statistics: 17_024, MultiplyAdds: 3_663_761_408, Features: 512, Depth: 37},
		"resnet50":            {Parameters: 25_557_032, TrunkParameters: 23_508_032, Statistics: 53_120, MultiplyAdds: 4_089_184_256, Features: 2048, Depth: 54},
		"resnet101":           {Parameters: 44_549_160, TrunkParameters: 42_500_160, Statistics: 105_344, MultiplyAdds: 7_801_405_440, Features: 2048, Depth: 105},
		"resnet152":           {Parameters: 60_192_808, TrunkParameters: 58_143_808, Statistics: 151_424, MultiplyAdds: 11_513_626_624, Features: 2048, Depth: 156},
		"vgg16":               {Parameters: 138_357_544, TrunkParameters: 14_714_688, MultiplyAdds: 15_470_264_320, Features: 512, Depth: 16},
		"vgg19":               {Parameters: 143_667_240, TrunkParameters: 20_024_384, MultiplyAdds: 19_632_062_464, Features: 512, Depth: 19},
		"pixels":              {Features: 768},
	} {
		b, err := backbone.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := b.Describe(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := backbone.Description{
			Parameters: d.Parameters, TrunkParameters: d.TrunkParameters, Statistics: d.Statistics,
			MultiplyAdds: d.MultiplyAdds, Features: d.Features, Depth: d.Depth,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
	}
}

func TestEmbeddedWeightsAreThoseOfTheDigest(t *testing.T) {
	b, err := backbone.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(weights.EfficientNetLite0())
	if got := hex.EncodeToString(sum[:]); b.Weights[0].Digest != got {
		t.Errorf("digest %s, want %s", b.Weights[0].Digest, got)
	}
}

// write writes weights as a file, after edit has changed the list.
func write(t *testing.T, w nn.Weights, edit func([]safetensors.Tensor) []safetensors.Tensor) string {
	t.Helper()
	var tensors []safetensors.Tensor
	for name, x := range w {
		tensors = append(tensors, safetensors.Tensor{Name: name, Shape: x.Shape, Data: x.Data})
	}
	slices.SortFunc(tensors, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	if edit != nil {
		tensors = edit(tensors)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesOfWeights(t *testing.T) {
	b, err := backbone.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	net, want := lite0(t, 64, 64)
	trunk, err := net.Cut("pooled")
	if err != nil {
		t.Fatal(err)
	}

	own, err := b.LoadFile(write(t, want, nil), net)
	if err != nil || !reflect.DeepEqual(own, want) {
		t.Errorf("the program's own names: %v", err)
	}
	framework := filepath.Join("weights", "efficientnet_lite0.safetensors")
	if got, err := b.LoadFile(framework, net); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the framework's names: %v", err)
	}

	// A classifier that the trunk does not need may be missing, or for other classes.
	other := write(t, want, func(all []safetensors.Tensor) []safetensors.Tensor {
		all = slices.DeleteFunc(all, func(x safetensors.Tensor) bool { return x.Name == "logits.bias" })
		at := slices.IndexFunc(all, func(x safetensors.Tensor) bool { return x.Name == "logits.weight" })
		all[at].Shape, all[at].Data = []int{2, 1280}, make([]float32, 2*1280)
		return all
	})
	if got, err := b.LoadFile(other, trunk); err != nil || !reflect.DeepEqual(got, want.Select(trunk)) {
		t.Errorf("another classifier: %v", err)
	}
	var wrong *nn.WeightsError
	if _, err := b.LoadFile(other, net); !errors.As(err, &wrong) || !slices.Equal(wrong.Missing, []string{"logits.bias"}) || len(wrong.Misshaped) != 1 {
		t.Errorf("another classifier, needed: %v", err)
	}

	damaged := write(t, want, func(all []safetensors.Tensor) []safetensors.Tensor {
		all[3].Name, all[5].Name = "strange", "stranger"
		all[7].Data = slices.Clone(all[7].Data)
		all[7].Data[0] = float32(math.Inf(1))
		return all
	})
	if _, err := b.LoadFile(damaged, net); !errors.As(err, &wrong) || len(wrong.Missing) != 2 || !slices.Equal(wrong.Extra, []string{"strange", "stranger"}) || len(wrong.NotFinite) != 1 {
		t.Errorf("damaged: %v", err)
	}

	foreign := write(t, nn.Weights{"conv1.weight": {Shape: nn.Shape{1}, Data: []float32{1}}}, nil)
	if _, err := b.LoadFile(foreign, net); err == nil || !strings.Contains(err.Error(), "none of its 1 tensors") {
		t.Errorf("another architecture: %v", err)
	}
	if _, err := b.LoadFile(filepath.Join(t.TempDir(), "none"), net); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Random weights let the picture through: features differ from picture to picture, and none has
// vanished or exploded on the way. EfficientNet-B0's do get small: its gates and depthwise layers give
// less than is expected without looking at data, and SiLU halves what is small; only that they differ
// is held of them.
func TestRandomWeightsLetTheSignalThrough(t *testing.T) {
	large := []string{"inception_resnet_v2", "resnet101", "resnet152", "vgg16", "vgg19"}
	for _, b := range backbone.All() {
		if b.AnyPixels || slices.Contains(large, b.Name) && os.Getenv("TLPIPE_HEAVY") == "" {
			continue
		}
		net, err := b.Network(224, 224)
		if err != nil {
			t.Fatal(err)
		}
		if net, err = net.Cut(b.LastMap, b.Pooled); err != nil {
			t.Fatal(err)
		}
		p, err := frozen.Compile(net, b.Random(net, 1), b.LastMap, b.Pooled)
		if err != nil {
			t.Fatal(err)
		}
		const n = 2 // a picture and its negative
		last, pooled := make([]float32, n*p.OutputShape(0).Size()), make([]float32, n*p.OutputShape(1).Size())
		x := referencePixels(1, 224, 224)
		for _, v := range slices.Clone(x) {
			x = append(x, -v)
		}
		if err := p.NewSession(n).Run(nil, x, n, last, pooled); err != nil {
			t.Fatal(err)
		}
		if m := momentsOf(last); b.Name != "efficientnet_b0" && (m[0] < 0.1 || m[0] > 3 || m[1] < 0.1 || m[1] > 3) {
			t.Errorf("%s: last map has mean and deviation %v", b.Name, m)
		}
		size := len(pooled) / n
		var between, within float64
		for i := range size {
			d := float64(pooled[i] - pooled[size+i])
			between += d * d
			within += float64(pooled[i]) * float64(pooled[i])
		}
		if !(between > 2.5e-5*within) { // the deeper a random network, the more alike it makes them
			t.Errorf("%s: features of two pictures differ by %.3g of their size", b.Name, math.Sqrt(between/within))
		}
	}
}

func TestPixelsAreAveragedColours(t *testing.T) {
	b, err := backbone.Find("pixels")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ h, w, features int }{{64, 32, 768}, {16, 16, 768}, {20, 35, 768}, {8, 224, 8 * 16 * 3}} {
		net, err := b.Network(c.h, c.w)
		if err != nil {
			t.Fatal(err)
		}
		p, err := frozen.Compile(net, nil, "pooled")
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, c.h*c.w*3)
		for i := range x {
			x[i] = float32(i%3) + float32(i/3/c.w) // colour, and a gradient downwards
		}
		got := make([]float32, p.OutputShape(0).Size())
		if len(got) != c.features {
			t.Errorf("%d×%d: %d features, want %d", c.h, c.w, len(got), c.features)
		}
		if err := p.NewSession(1).Run(nil, x, 1, got); err != nil {
			t.Fatal(err)
		}
		if d := got[1] - got[0]; math.Abs(float64(d-1)) > 1e-5 {
			t.Errorf("%d×%d: the first pixel's colours are %v", c.h, c.w, got[:3])
		}
		if d := got[0] + got[len(got)-3]; math.Abs(float64(d)-float64(c.h-1)) > 1e-3 {
			t.Errorf("%d×%d: first and last line sum to %v, want %d", c.h, c.w, d, c.h-1)
		}
	}
}
