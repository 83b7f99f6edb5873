package backbone

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// ofKeras calls f with every network that Keras has, and its naming.
func ofKeras(t *testing.T, f func(b Backbone, whole *nn.Network, names naming)) {
	for _, b := range All() {
		b, err := b.As("keras")
		if err != nil {
			continue
		}
		whole, err := b.whole()
		if err != nil {
			t.Fatal(err)
		}
		for _, names := range b.variants[b.chosen].namings {
			if names.order == kerasOrder {
				f(b, whole, names)
			}
		}
	}
}

// TestOrderOfKeras holds the order of layers against that of the models of keras.applications
// (testdata/make_keras_order.py).
func TestOrderOfKeras(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "keras_order.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	seen := 0
	ofKeras(t, func(b Backbone, whole *nn.Network, names naming) {
		seen++
		hash := sha256.New()
		for _, l := range inKerasOrder(whole) {
			if !half(l, "depthwise") {
				name, _, _ := strings.Cut(names.layer(l.Name), "/")
				fmt.Fprintln(hash, name)
			}
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != want[b.Name] {
			t.Errorf("%s: layers in another order than Keras has them", b.Name)
		}
	})
	if seen != len(want) {
		t.Errorf("%d networks, want %d", seen, len(want))
	}
}

// TestFilesWithOtherNamesAreReadByPosition renames all layers, in a file in the order of Keras.
func TestFilesWithOtherNamesAreReadByPosition(t *testing.T) {
	ofKeras(t, func(b Backbone, whole *nn.Network, names naming) {
		list := map[string]nn.Shape{}
		for _, x := range tensorList(whole, names) {
			list[x.Name] = x.Shape
		}
		renamed := func(with func(l nn.Layer) bool) (file []stored.Tensor, own map[string]string) {
			own = map[string]string{}
			add := func(l nn.Layer, layer string) {
				for _, p := range whole.LayerParameters(l) {
					name := names.tensor(p)
					_, variable, _ := strings.Cut(name, "/")
					own[name] = layer + "/" + variable
					file = append(file, stored.Tensor{Name: own[name], Type: stored.F32, Shape: list[name]})
				}
			}
			for i, l := range inKerasOrder(whole) {
				if half(l, "depthwise") || !with(l) {
					continue
				}
				layer := fmt.Sprint("layer ", i)
				if other, ok := whole.Find(strings.TrimSuffix(l.Name, "pointwise") + "depthwise"); ok && half(l, "pointwise") {
					add(other, layer)
				}
				add(l, layer)
			}
			return file, own
		}

		file, own := renamed(func(nn.Layer) bool { return true })
		fit := b.recognise(file, whole)
		if fit.missing != 0 {
			t.Fatalf("%s: %d tensors were found, %d not", b.Name, fit.found, fit.missing)
		}
		for _, p := range whole.Parameters() {
			if got, want := fit.naming.tensor(p), own[names.tensor(p)]; got != want {
				t.Errorf("%s: %s is %q, want %q", b.Name, p.Name(), got, want)
			}
		}

		trunk, _ := renamed(func(l nn.Layer) bool { return l.Name != b.Logits })
		if fit := b.recognise(trunk, whole); fit.missing != len(file)-len(trunk) {
			t.Errorf("%s: without its classifier %d tensors were found, %d not", b.Name, fit.found, fit.missing)
		}
		// What does not fit altogether is not taken by position.
		short := file[2:]
		if fit := b.recognise(short, whole); fit.found != 0 {
			t.Errorf("%s: %d tensors were found in a file without its first layer", b.Name, fit.found)
		}
		file[0].Shape = []int{1, 2, 3, 4}
		if fit := b.recognise(file, whole); fit.found != 0 {
			t.Errorf("%s: %d tensors were found in a file with a shape that does not fit", b.Name, fit.found)
		}
	})
}
