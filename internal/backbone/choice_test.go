package backbone_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/backbone/weights"
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

// One word stands for weights everywhere; what recipes say of it is its name and digest.
func TestWordsForWeights(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.safetensors"), weights.EfficientNetLite0(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ backbone, word, name, digest string }{
		{"efficientnet_lite0", "imagenet", "imagenet", lite0Digest},
		{"efficientnet_lite0", "random", "random", ""},
		{"efficientnet_lite0", "own.safetensors", "file", lite0Digest},
		{"efficientnet_lite0", filepath.Join(dir, "own.safetensors"), "file", lite0Digest},
		{"pixels", backbone.DefaultWeights, "", ""},
	} {
		b := find(t, c.backbone)
		choice, err := b.Choose(c.word)
		if err != nil {
			t.Errorf("%s: %v", c.word, err)
			continue
		}
		choice.Locate(dir)
		digest, err := choice.Digest()
		if err != nil || choice.Name != c.name || digest != c.digest {
			t.Errorf("%s: name %q, digest %q, error %v", c.word, choice.Name, digest, err)
		}
		if (choice.File() != "") != (c.name == backbone.FileWeights) {
			t.Errorf("%s: file %q", c.word, choice.File())
		}
		if p, err := choice.Preprocessing(); err != nil || p != b.Preprocessing() {
			t.Errorf("%s: preprocessing %+v, %v", c.word, p, err)
		}
		net, err := choice.Network(64, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := choice.Load(net, 3)
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
				t.Errorf("%s: other weights", c.word)
			}
		default:
			if _, want := lite0(t, 64, 64); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: other weights", c.word)
			}
		}
	}
}

// A word may say the variant; what it is for is built in it.
func TestWordsForVariants(t *testing.T) {
	choice, err := find(t, "resnet50").Choose("keras:random")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := choice.Variant(); err != nil || v != "keras" || choice.Name != backbone.RandomWeights {
		t.Errorf("variant %q of %q, %v", v, choice.Name, err)
	}
	if p, err := choice.Preprocessing(); err != nil || p.Normalise != "caffe" || p.For != "resnet50:keras" {
		t.Errorf("preprocessing %+v, %v", p, err)
	}
	net, err := choice.Network(64, 64)
	if err != nil || len(net.Parameters()) != 320 { // 53 biases more than torchvision's
		t.Errorf("%d parameters, %v", len(net.Parameters()), err)
	}
}

func TestWordsForWeightsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ backbone, word, want string }{
		{"efficientnet_lite0", "imagnet", `did you mean "imagenet"?`},
		{"efficientnet_lite0", "", "known: imagenet, random"},
		{"pixels", "random", "pixels has no weights"},
		{"resnet50", "keras:imagenet", "are for another variant than the keras one"},
		{"resnet50", "keros:random", "keros:random"},
		{"resnet50", "imagenet_v2", "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"},
	} {
		_, err := find(t, c.backbone).Choose(c.word)
		var wrong *params.Error
		if !errors.As(err, &wrong) || wrong.Path != "weights" || wrong.Hint == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: error %v, want one with %q", c.backbone, c.word, err, c.want)
		}
	}
}

// Features can be made again with the weights they were made with, and with no others.
func TestWeightsAreRecalled(t *testing.T) {
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
	} {
		choice, err := lite0.Recall(c.made, c.file)
		switch {
		case c.want == "" && (err != nil || choice.Name != c.made.Weights):
			t.Errorf("%+v: %v", c.made, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: error %v, want one with %q", c.made, err, c.want)
		}
	}
}
