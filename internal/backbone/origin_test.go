package backbone

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
)

func TestOrigin(t *testing.T) {
	b, err := Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	set, err := b.Set("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	if set.Licence == "" || set.Digest == "" {
		t.Fatalf("nothing to tell of the weights: %+v", set)
	}
	want := record.Origin{Backbone: b.Name, Variant: set.Variant, Weights: "imagenet", Digest: set.Digest, Address: set.URL, Licence: set.Licence}
	weights, err := b.Resolve(DefaultWeights)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := weights.Origin(); err != nil || got != want {
		t.Errorf("resolved weights come from %+v, %v, want %+v", got, err, want)
	}
	made := record.Extraction{Backbone: b.Name, Variant: set.Variant, Weights: "imagenet", Digest: set.Digest}
	if got, ok := OriginOf(made); !ok || got != want {
		t.Errorf("features come from %+v, %v, want %+v", got, ok, want)
	}
	made.Weights, want.Weights = FileWeights, FileWeights // the file of the weight set
	if got, ok := OriginOf(made); !ok || got != want {
		t.Errorf("features of a file come from %+v, %v, want %+v", got, ok, want)
	}
	for _, unknown := range []record.Extraction{{Backbone: b.Name, Weights: RandomWeights}, {Backbone: b.Name, Weights: FileWeights, Digest: "abc"}, {Backbone: "resnet9000", Weights: "imagenet"}} {
		if got, ok := OriginOf(unknown); !ok || got != unknown.Origin() {
			t.Errorf("%+v comes from %+v, %v", unknown, got, ok)
		}
	}
	if _, ok := OriginOf(record.Extraction{Backbone: "pixels"}); ok {
		t.Error("a backbone without weights has weights from somewhere")
	}
}

// What a file of weights says of its licence, in the ways that such files say it.
func TestLicenceOfNotes(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"license", "cc-by-nc-4.0", "cc-by-nc-4.0"},
		{"licences", "MIT, CC-BY-NC-4.0, not known", "MIT AND CC-BY-NC-4.0 AND NOASSERTION"},
		{"licence", "MIT AND MIT", "MIT"},
		{"licence", "see the file LICENSE", ""},
		{"description", `{"version":2,"inputs":[{"name":"x"}],"origins":[{"digest":"a","licence":"MIT"},{"digest":"b","licence":"GPL-2.0-only","role":"teacher"}]}`, "MIT AND GPL-2.0-only"},
		{"other", "MIT", ""},
	} {
		if got := licenceIn(map[string]string{c.key: c.value}); got != c.want {
			t.Errorf("%s: %s is read as %q, want %q", c.key, c.value, got, c.want)
		}
	}
}
