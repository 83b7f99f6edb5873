package backbone_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/fetch"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

const lite0Digest = "ea860c640ea97e90e626206ed732fd400ed68a2096d63a44fd797b2bb7abbc43"

func find(t testing.TB, name string) backbone.Backbone {
	t.Helper()
	b, err := backbone.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// One reference stands for weights everywhere; what recipes say of it is its name and digest.
func TestWordsForWeights(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.safetensors"), weights.EfficientNetLite0(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		backbone     string
		reference    backbone.WeightsReference
		name, digest string
	}{
		{"efficientnet_lite0", "imagenet", "imagenet", lite0Digest},
		{"efficientnet_lite0", "random", "random", ""},
		{"efficientnet_lite0", "own.safetensors", "file", lite0Digest},
		{"efficientnet_lite0", backbone.WeightsReference(filepath.Join(dir, "own.safetensors")), "file", lite0Digest},
		{"pixels", backbone.DefaultWeights, "", ""},
	} {
		b := find(t, c.backbone)
		resolved, err := b.Resolve(c.reference)
		if err != nil {
			t.Errorf("%s: %v", c.reference, err)
			continue
		}
		resolved.Locate(dir)
		digest, err := resolved.Digest()
		if err != nil || resolved.Name != c.name || digest != c.digest {
			t.Errorf("%s: name %q, digest %q, error %v", c.reference, resolved.Name, digest, err)
		}
		if err := resolved.Fetch(context.Background(), t.Logf); err != nil {
			t.Errorf("%s: %v", c.reference, err)
		}
		if p, err := resolved.Preprocessing(); err != nil || p != b.Preprocessing() {
			t.Errorf("%s: preprocessing %+v, %v", c.reference, p, err)
		}
		net, err := resolved.Network(64, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := resolved.Load(net, 3)
		if err != nil {
			t.Fatal(err)
		}
		switch c.name {
		case "":
			if len(got) > 0 {
				t.Errorf("%s has weights", c.backbone)
			}
		case backbone.RandomWeights:
			if !reflect.DeepEqual(got, b.Random(net, 3)) {
				t.Errorf("%s: other weights", c.reference)
			}
		default:
			if _, want := lite0(t, 64, 64); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: other weights", c.reference)
			}
		}
	}
}

// A reference may say the variant; what it is for is built in it.
func TestWordsForVariants(t *testing.T) {
	resolved, err := find(t, "resnet50").Resolve("keras:random")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := resolved.Variant(); err != nil || v != "keras" || resolved.Name != backbone.RandomWeights {
		t.Errorf("variant %q of %q, %v", v, resolved.Name, err)
	}
	if p, err := resolved.Preprocessing(); err != nil || p.Normalise != "caffe" || p.For != "resnet50:keras" {
		t.Errorf("preprocessing %+v, %v", p, err)
	}
	net, err := resolved.Network(64, 64)
	if err != nil || len(net.Parameters()) != 320 { // 53 biases more than torchvision's
		t.Errorf("%d parameters, %v", len(net.Parameters()), err)
	}
}

func TestWordsForWeightsThatAreRefused(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", t.TempDir())
	for _, c := range []struct {
		backbone  string
		reference backbone.WeightsReference
		want      string
	}{
		{"efficientnet_lite0", "imagnet", `did you mean "imagenet"?`},
		{"efficientnet_lite0", "keras:random", `has no weights "keras:random" (variants: tensorflow, timm; weights: imagenet, timm, timm_tf, random)`},
		{"efficientnet_lite0", "", "known: imagenet, timm, timm_tf, random"},
		{"pixels", "random", "pixels has no weights"},
		{"resnet50", "keras:imagenet", "are for another variant than the keras one"},
		{"resnet50", "keros:random", "keros:random"},
		{"resnet50", "imagenet_v2", "`tlpipe models pull resnet50:imagenet_v2` fetches them"},
		{"resnet50", "https://example.org/a.pth", "needs the file's SHA-256"},
		{"resnet50", "https://example.org/a.pth#sha256=abc", "https://example.org/a.pth#sha256="},
		{"resnet50", "keras:https://example.org/a.h5", "needs the file's SHA-256"},
	} {
		_, err := find(t, c.backbone).Resolve(c.reference)
		var wrong *params.Error
		if !errors.As(err, &wrong) || wrong.Path != "weights" || wrong.Hint == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: error %v, want one with %q", c.backbone, c.reference, err, c.want)
		}
	}
}

// web serves one file, and tells how often it was asked for.
func web(t *testing.T, file []byte) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write(file)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/lite0.safetensors", requests
}

// The names in a file tell the variant, unless they are those of two; the file of an address is not
// here when recipes are made, and cannot.
func TestFilesTellTheVariant(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", t.TempDir())
	for _, c := range []struct{ backbone, said, tensor, variant, fails string }{
		{"resnet50", "", "layer1.0.conv1.weight", "", ""},
		{"resnet50", "", "conv2_block1_1_conv/kernel", "keras", ""},
		{"efficientnet_lite0", "", "conv_stem.weight", "", "say which variant it is, as in tensorflow:PATH (tensorflow or timm)"},
		{"efficientnet_lite0", "timm:", "conv_stem.weight", "timm", ""},
	} {
		path := write(t, nn.Weights{c.tensor: {Shape: nn.Shape{1}, Data: []float32{1}}}, nil)
		b := find(t, c.backbone)
		resolved, err := b.Resolve(backbone.WeightsReference(c.said + path))
		if err != nil {
			t.Fatal(err)
		}
		switch v, err := resolved.Variant(); {
		case c.fails == "" && (err != nil || v != c.variant):
			t.Errorf("%s, %s: variant %q, %v", c.backbone, c.tensor, v, err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s, %s: error %v, want one with %q", c.backbone, c.tensor, err, c.fails)
		}

		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		url, _ := web(t, content)
		sum := sha256.Sum256(content)
		resolved, err = b.Resolve(backbone.WeightsReference(c.said + url + "#sha256=" + hex.EncodeToString(sum[:])))
		if err != nil {
			t.Fatal(err)
		}
		if err := resolved.Fetch(context.Background(), t.Logf); err != nil {
			t.Fatal(err)
		}
		if v, err := resolved.Variant(); err != nil || c.said != "" && v != c.variant || c.said == "" && v != "" {
			t.Errorf("%s, %s from an address: variant %q, %v", c.backbone, c.tensor, v, err)
		}
		net, err := resolved.Network(64, 64)
		if err != nil {
			t.Fatal(err)
		}
		want := "missing" // the rest of the weights
		if c.fails != "" {
			want = c.fails
		} else if c.said == "" && c.variant != "" {
			want = "write keras:http"
		}
		if _, err := resolved.Load(net, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, %s from an address: error %v, want one with %q", c.backbone, c.tensor, err, want)
		}
	}
}

// The file of an address is fetched at work, once, and is what its digest says.
func TestWeightsFromAnAddress(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", t.TempDir())
	url, requests := web(t, weights.EfficientNetLite0())
	lite0s := find(t, "efficientnet_lite0")
	net, want := lite0(t, 64, 64)
	ctx := context.Background()
	for range 2 {
		resolved, err := lite0s.Resolve(backbone.WeightsReference(url + "#sha256=" + strings.ToUpper(lite0Digest)))
		if err != nil {
			t.Fatal(err)
		}
		resolved.Locate(t.TempDir())
		if sum, err := resolved.Digest(); err != nil || sum != lite0Digest || resolved.Name != backbone.FileWeights {
			t.Errorf("%q, digest %q, %v", resolved.Name, sum, err)
		}
		if err := resolved.Fetch(ctx, t.Logf); err != nil {
			t.Fatal(err)
		}
		if got, err := resolved.Load(net, 0); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("other weights, %v", err)
		}
		if err := resolved.Unchanged(ctx, files{}); err != nil {
			t.Error(err)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}

	other, err := lite0s.Resolve(backbone.WeightsReference(url + "#sha256=" + strings.Repeat("0", 64)))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Fetch(ctx, t.Logf); err == nil || !strings.Contains(err.Error(), "not what was expected") {
		t.Errorf("another file: %v", err)
	}

	// Models made with it need no --weights.
	if _, err := lite0s.Recall(record.Extraction{Weights: "file", Digest: lite0Digest}, ""); err != nil {
		t.Error(err)
	}
}

// What downloading may cost stands beside the address, and is not part of what the weights are.
func TestLimitsOfAnAddress(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", t.TempDir())
	file := weights.EfficientNetLite0()
	url, _ := web(t, file)
	b := find(t, "efficientnet_lite0")
	for limits, want := range map[string]string{
		"&size=1MB":                    "limits of the weights can be raised",
		"&size=1GB&rate=100&stall=10s": "",
	} {
		t.Setenv("TLPIPE_WEIGHTS", t.TempDir()) // what is there is not fetched
		resolved, err := b.Resolve(backbone.WeightsReference(url + "#sha256=" + lite0Digest + limits))
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := resolved.Digest(); err != nil || sum != lite0Digest {
			t.Errorf("digest %q, %v", sum, err)
		}
		switch err := resolved.Fetch(context.Background(), t.Logf); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error %v, want %q", limits, err, want)
		}
	}
	for limits, want := range map[string]string{
		"&size=much": "the limit size of a download", "&rate=0": "it must be above 0", "&stall=30": "missing unit", "&stall=-1s": "it must be above 0", "&pace=1": `unknown limit "pace"`, "&": `unknown limit ""`,
	} {
		if _, err := b.Resolve(backbone.WeightsReference(url + "#sha256=" + lite0Digest + limits)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", limits, err, want)
		}
	}
}

// A weight set that was pulled is used by its name; its whole digest stands in recipes.
func TestWeightsThatWerePulled(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TLPIPE_WEIGHTS", dir)
	url, _ := web(t, weights.EfficientNetLite0())
	b := find(t, "efficientnet_lite0")
	b.Weights = []backbone.WeightSet{{Name: "public", URL: url, Digest: lite0Digest[:8], Preprocessing: b.Weights[0].Preprocessing}}
	set := b.Weights[0]
	if _, err := b.Resolve("public"); err == nil || set.Here() {
		t.Errorf("it is here before it was pulled: %v", err)
	}
	ctx := context.Background()
	f, err := store.Open(dir).Fetch(ctx, fetch.New(fetch.Hub{}), set.Source(), store.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := b.Resolve("public")
	if err != nil || !set.Here() {
		t.Fatal(err)
	}
	if sum, err := resolved.Digest(); err != nil || sum != lite0Digest || resolved.Name != "public" {
		t.Errorf("%q, digest %q, %v", resolved.Name, sum, err)
	}
	net, want := lite0(t, 64, 64)
	if got, err := resolved.Load(net, 0); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("other weights, %v", err)
	}
	if err := resolved.Unchanged(ctx, files{}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(f.Path, []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := resolved.Unchanged(ctx, files{}); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("damaged: %v", err)
	}
}

// A file does not tell what pixels it was trained on.
func TestPixelsForWeightsFromAFile(t *testing.T) {
	b := find(t, "resnet50")
	of := func(set string) record.Preprocessing {
		s, err := b.Set(set)
		if err != nil {
			t.Fatal(err)
		}
		return b.For(s)
	}
	own := of("imagenet")
	own.Mean, own.Std = [3]float32{0.5, 0.4, 0.3}, [3]float32{1, 1, 1}
	ownSize, notAsked := of("timm"), own
	ownSize.Height = 96
	notAsked.For = ""
	for _, c := range []struct {
		reference backbone.WeightsReference
		pixels    record.Preprocessing
		want      string // "" if it is all right
	}{
		{"torchvision:a.pth", of("imagenet"), ""},
		{"torchvision:a.pth", of("imagenet_v2"), ""},
		{"torchvision:a.pth", ownSize, ""},
		{"torchvision:a.pth", own, ""},
		{"torchvision:a.pth", notAsked, "normalised with mean"},
		{"torchvision:a.pth", of("keras"), "channels are BGR, not RGB"},
		{"keras:a.h5", of("keras"), ""},
		{"keras:a.h5", own, ""},
		{"keras:a.h5", of("imagenet"), "say `for: resnet50:keras`"},
		{"keras:random", own, "normalised with mean"},
	} {
		resolved, err := b.Resolve(c.reference)
		if err != nil {
			t.Fatal(err)
		}
		switch err := resolved.CheckPixels(c.pixels); {
		case c.want == "" && err != nil:
			t.Errorf("%s, pixels for %s: %v", c.reference, c.pixels.For, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s, pixels for %s: error %v, want one with %q", c.reference, c.pixels.For, err, c.want)
		}
	}
}

type files struct{}

func (files) Digest(_ context.Context, path string) (string, error) { return digest.File(path) }

func TestWordInYAML(t *testing.T) {
	type with struct {
		Weights backbone.WeightsReference `yaml:"weights"`
	}
	for text, want := range map[string]string{
		`{weights: imagenet}`:                                "imagenet",
		`{weights: {url: "https://a.org/b", sha256: "0fe"}}`: "https://a.org/b#sha256=0fe",
		`{weights: {url: "https://a.org/b", sha256: "0fe", limits: {size: 4GB, rate: 100, stall: 1m}}}`: "https://a.org/b#sha256=0fe&size=4GB&rate=100&stall=1m",
		`{weights: {url: "https://a.org/b", sha256: "0fe", limits: {speed: 4GB}}}`:                      `unknown key "speed"`,
		`{weights: {url: "https://a.org/b"}}`:                                                           `key "sha256" is required`,
		`{weights: {path: a, url: b, sha256: c}}`:                                                       `unknown key "path"`,
		`{weights: [a]}`: "expected a text, found a list",
	} {
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(text), &node); err != nil {
			t.Fatal(err)
		}
		var got with
		if errs := params.Decode(&node, &got); len(errs) > 0 {
			got.Weights = backbone.WeightsReference(errs[0].Message)
		}
		if string(got.Weights) != want {
			t.Errorf("%s: %q, want %q", text, got.Weights, want)
		}
	}
}

// Features can be made again with the weights they were made with, and with no others.
func TestWeightsAreRecalled(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", t.TempDir())
	lite0 := find(t, "efficientnet_lite0")
	path := filepath.Join("weights", "efficientnet_lite0.safetensors")
	for _, c := range []struct {
		made record.Extraction
		file string
		want string // "" if it is all right
	}{
		{record.Extraction{Weights: "imagenet", Digest: lite0Digest}, "", ""},
		{record.Extraction{Weights: "imagenet", Digest: "abc"}, "", "no longer those"},
		{record.Extraction{Weights: "file", Digest: lite0Digest}, path, ""},
		{record.Extraction{Weights: "file", Digest: lite0Digest}, "", "name it with --weights"},
		{record.Extraction{Weights: "file", Digest: "abc"}, path, "not the file of weights"},
		{record.Extraction{Weights: "random", Seed: 4}, "", ""},
		{record.Extraction{Weights: "imagenet_v7"}, "", "no weights"},
		{record.Extraction{Weights: path}, "", "no weights"}, // a model must not name a file to open
		{record.Extraction{Weights: path, Digest: lite0Digest}, "", "no weights"},
		{record.Extraction{Weights: "https://example.org/x#sha256=" + lite0Digest}, "", "no weights"},
	} {
		resolved, err := lite0.Recall(c.made, c.file)
		switch {
		case c.want == "" && (err != nil || resolved.Name != c.made.Weights):
			t.Errorf("%+v: %v", c.made, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: error %v, want one with %q", c.made, err, c.want)
		}
	}
}
