package backbone

import (
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

type spelledParams struct {
	Backbone Name `yaml:"backbone"`
}

func decodeName(text string) (Name, []*params.Error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil || len(node.Content) == 0 {
		return "", []*params.Error{{Message: "not YAML"}}
	}
	var p spelledParams
	errs := params.Decode(node.Content[0], &p)
	return p.Backbone, errs
}

func TestSpelledNetworks(t *testing.T) {
	for text, want := range map[string][]string{
		"tutorial_student": {"conv1 32×32×16", "relu1 32×32×16", "max_pool1 16×16×16", "conv2 16×16×32", "relu2 16×16×32", "max_pool2 8×8×32", "flatten1 2048", "dense1 64", "relu3 64"},
		"{layers: [{conv: 4, kernel: 5, stride: 2, padding: valid}, batch_norm, gelu, {depthwise: 3}, {average_pool: 2, stride: 1}, {dropout: 0.5}, {dense: 7}]}": {
			"conv1 14×14×4", "batch_norm1 14×14×4", "gelu1 14×14×4", "depthwise1 14×14×4", "average_pool1 13×13×4", "dropout1 13×13×4", "dense1.flatten 676", "dense1 7"},
		"{layers: [{conv: 6, groups: 3, bias: false}, global_average_pool]}": {"conv1 32×32×6", "global_average_pool1 6"},
	} {
		name, errs := decodeName("backbone: " + text)
		if len(errs) > 0 {
			t.Fatal(text, errs)
		}
		b, err := name.Backbone()
		if err != nil || !b.Spelled || !name.SpelledOut() {
			t.Fatal(text, err)
		}
		net, err := b.Network(32, 32)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range net.Layers()[1:] {
			got = append(got, l.Name+" "+net.Shape(l.Name).String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		if out := net.Output().Name; out != b.Pooled {
			t.Errorf("%s ends in %s, the head takes %s", text, out, b.Pooled)
		}
		if err := net.Check(b.Random(net, 1)); err != nil {
			t.Error(err)
		}
		if _, err := b.Resolve("imagenet"); err != nil {
			t.Error(err)
		}
		if _, err := b.Resolve("x.safetensors"); err == nil {
			t.Error("a spelled network takes a file of weights")
		}
	}
}

// Networks that are equal are equal names, however they are written.
func TestSpellingsOfOneNetwork(t *testing.T) {
	short, _ := decodeName("backbone: {layers: [{conv: 8}, relu, {max_pool: 2}]}")
	long, _ := decodeName("backbone:\n  layers:\n    - {kernel: 3, conv: 8, stride: 1, padding: same, groups: 1, bias: true}\n    - relu\n    - {max_pool: 2, stride: 2}")
	if short != long || short == "" {
		t.Errorf("%s and %s", short, long)
	}
}

func TestWhatIsMisspelled(t *testing.T) {
	for text, want := range map[string]string{
		"{layers: []}":                                       "the network has no layer",
		"{layers: [rellu]}":                                  `did you mean "relu"`,
		"{layers: [{conv: 16, dense: 3}]}":                   "a layer does one thing, this one 2",
		"{layers: [{kernel: 3}]}":                            "a layer does one thing, this one 0",
		"{layers: [{max_pool: 2, kernel: 3}]}":               "max_pool has no kernel",
		"{layers: [{conv: 0}]}":                              "smallest allowed value, 1",
		"{layers: [{conv: 3, padding: full}]}":               "padding",
		"{layers: [{dropout: 1}]}":                           "largest allowed value, 0.99",
		"{layer: [relu]}":                                    "layers",
		"{layers: [" + strings.Repeat("relu, ", 1001) + "]}": "more than the 1000",
	} {
		_, errs := decodeName("backbone: " + text)
		if len(errs) == 0 || !strings.Contains(errs[0].Error(), want) || errs[0].Line == 0 {
			t.Errorf("%.60s: %v, want %q", text, errs, want)
		}
	}
	for text, want := range map[string]struct {
		layer int
		text  string
	}{
		"{layers: [{conv: 4}, {max_pool: 16}, {conv: 4, padding: valid}]}": {2, "layer 3 (conv 4, kernel 3) cannot take the 2×2×4 that layer 2 gives for pictures of 32×32 pixels"},
		"{layers: [flatten, {conv: 4}]}":                                   {1, "cannot take the 3072"},
		"{layers: [{conv: 5, groups: 2}]}":                                 {0, "groups"},
		"{layers: [{conv: 2000}]}":                                         {0, "2048000 numbers"},
	} {
		name, errs := decodeName("backbone: " + text)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		layer, err := name.CheckShapes(32, 32)
		if err == nil || layer != want.layer || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: layer %d, %v", text, layer, err)
		}
	}
}

// FuzzSpelledNetwork: whatever is written, it is refused, or a network whose shapes are told.
func FuzzSpelledNetwork(f *testing.F) {
	f.Add("{layers: [{conv: 16, kernel: 3}, relu, {max_pool: 2}, {dense: 64}]}")
	f.Add("tutorial_teacher")
	f.Add("{layers: [{conv: 4, stride: 3, groups: 2}, {depthwise: 255}, flatten, batch_norm]}")
	f.Fuzz(func(t *testing.T, text string) {
		name, errs := decodeName("backbone: " + text)
		if len(errs) > 0 || !name.SpelledOut() {
			return
		}
		b, err := name.Backbone()
		if err != nil {
			t.Fatal(err)
		}
		_, wrong := name.CheckShapes(32, 32)
		net, err := b.Network(32, 32)
		if (err == nil) != (wrong == nil) && err != nil {
			t.Fatalf("%v, but %v", wrong, err)
		}
		if err == nil && !slices.Equal(net.Shape(b.Pooled), net.Shape(net.Output().Name)) {
			t.Fatal("the head does not take the last layer")
		}
	})
}
