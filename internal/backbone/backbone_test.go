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
				if set.Licence == "" || set.Provenance == "" || (set.Figures == "") != (set.Top1 == 0) || set.Top1 == 0 && b.Name != "siglip_b16" {
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

// NAME is a backbone with its default weights, NAME:SET one with others, in the variant that they want.
func TestReferencesToWeights(t *testing.T) {
	for _, c := range []struct{ reference, set, variant, normalise, fails string }{
		{"resnet50", "imagenet", "", "imagenet", ""},
		{"resnet50:imagenet", "imagenet", "", "imagenet", ""},
		{"resnet50:keras", "keras", "keras", "caffe", ""},
		{"efficientnet_b0:timm_tf", "timm_tf", "keras", "imagenet", ""},
		{"pixels", "", "", "none", ""},
		{"resnet50:kears", "", "", "", `did you mean "keras"?`},
		{"resnet50:", "", "", "", "known: imagenet, imagenet_v2, keras, timm"},
		{"pixels:imagenet", "", "", "", "pixels has no weights"},
		{"resnet", "", "", "", `there is no backbone "resnet"`},
	} {
		b, set, err := backbone.FindSet(c.reference)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: error %v, want one with %q", c.reference, err, c.fails)
			}
			continue
		}
		if err != nil || set.Name != c.set || b.Variant() != c.variant {
			t.Errorf("%s: set %q, variant %q, %v", c.reference, set.Name, b.Variant(), err)
			continue
		}
		p := b.Preprocessing()
		if set.Name != "" {
			p = b.For(set)
		}
		if p.Normalise != c.normalise {
			t.Errorf("%s: pixels %+v", c.reference, p)
		}
		if again, _, err := backbone.FindSet(p.For); err != nil || again.Variant() != b.Variant() {
			t.Errorf("%s: pixels are for %q, %v", c.reference, p.For, err)
		}
	}
}

// Sizes are those that testdata/make_counts.py found in the frameworks' own networks.
func TestSizesAreThoseOfTheReferences(t *testing.T) {
	var references map[string]map[string]struct {
		Parameters, Trunk, Statistics int64
		MultiplyAdds                  int64 `json:"multiply_adds"`
		Depth                         int
	}
	readJSON(t, "counts.json", &references)
	features := map[string]int{
		"efficientnet_lite0": 1280, "efficientnet_b0": 1280, "mobilenet_v2": 1280, "densenet121": 1024,
		"inception_v3": 2048, "inception_resnet_v2": 1536, "nasnet_mobile": 1056,
		"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048, "resnet152": 2048,
		"vgg16": 512, "vgg19": 512, "pixels": 768,
		"convnext_tiny": 768, "vit_s16": 384, "vit_b16": 768, "dinov2_s14": 384, "dinov2_b14": 768, "dinov2_reg_s14": 384, "dinov2_reg_b14": 768, "clip_b16": 768, "clip_b32": 768, "siglip_b16": 768,
	}
	for _, b := range backbone.All() {
		for _, name := range b.Variants() {
			v, err := b.As(name)
			if err != nil {
				t.Fatal(err)
			}
			d, err := v.Describe(0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if d.Features != features[b.Name] {
				t.Errorf("%s: %d features, want %d", b.Name, d.Features, features[b.Name])
			}
			want, ok := references[b.Name][name]
			if !ok && !b.AnyPixels {
				t.Errorf("counts.json has nothing of %s, variant %s", b.Name, name)
			}
			got := want
			got.Parameters, got.Trunk, got.Statistics = d.Parameters, d.TrunkParameters, d.Statistics
			got.MultiplyAdds, got.Depth = d.MultiplyAdds, d.Depth
			if got != want {
				t.Errorf("%s, variant %s: %+v\nwant %+v", b.Name, name, got, want)
			}
		}
	}
}

// What weight sets say of timm's weights is what its configurations say, which testdata/make_timm.py
// stored.
func TestSetsOfTimmAreAsItsConfigurations(t *testing.T) {
	var configurations map[string]struct {
		Hub, Licence, Interpolation string
		Size                        int
		Crop                        float64
		Mean, Std                   [3]float32
	}
	readJSON(t, "timm.json", &configurations)
	seen := 0
	for _, b := range backbone.All() {
		for _, set := range b.Weights {
			model, ok := strings.CutPrefix(set.Provenance, "timm, ")
			if !ok {
				continue
			}
			seen++
			c, p := configurations[model], set.Preprocessing
			if set.URL != "https://huggingface.co/"+c.Hub+"/resolve/main/model.safetensors" || !strings.EqualFold(set.Licence, c.Licence) {
				t.Errorf("%s: %+v, configuration %+v", model, set, c)
			}
			if p.Height != c.Size || p.Width != c.Size || p.ResizeTo != int(math.Floor(float64(c.Size)/c.Crop)) ||
				p.Filter != c.Interpolation || p.Mean != c.Mean || p.Std != c.Std || p.Channels != "rgb" {
				t.Errorf("%s: pixels %+v, configuration %+v", model, p, c)
			}
		}
	}
	if seen != len(configurations) {
		t.Errorf("%d weight sets of timm, %d configurations", seen, len(configurations))
	}
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
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
	// So may the head that a fine-tuned network has in its place.
	tuned := write(t, want, func(all []safetensors.Tensor) []safetensors.Tensor {
		all = slices.DeleteFunc(all, func(x safetensors.Tensor) bool { return strings.HasPrefix(x.Name, "logits.") })
		return append(all, safetensors.Tensor{Name: "classifier.logits.bias", Shape: []int{2}, Data: make([]float32, 2)})
	})
	if got, err := b.LoadFile(tuned, trunk); err != nil || !reflect.DeepEqual(got, want.Select(trunk)) {
		t.Errorf("the head of a fine-tuned network: %v", err)
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
	large := []string{"inception_resnet_v2", "resnet101", "resnet152", "vgg16", "vgg19", "vit_b16", "dinov2_b14", "dinov2_reg_b14", "clip_b16", "clip_b32"}
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
		if m := momentsOf(last); b.Name != "efficientnet_b0" && (m[0] < 0.1 && b.LastMap != "map" && b.Name != "convnext_tiny" || m[0] > 3 || m[1] < 0.1 || m[1] > 3) {
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
