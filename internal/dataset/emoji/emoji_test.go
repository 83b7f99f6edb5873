package emoji_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	_ "image/png"
	"io/fs"
	"slices"
	"testing"

	_ "golang.org/x/image/webp"

	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
)

var domains = []string{"noto", "twemoji", "fluent"}

func open(t *testing.T) *emoji.Set {
	t.Helper()
	set, err := emoji.Open()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEveryClassHas21ObjectsInEveryDomain(t *testing.T) {
	rows := open(t).Rows()
	if len(rows) != 504 {
		t.Fatalf("%d rows, want 504", len(rows))
	}
	type key struct{ label, object string }
	drawn := map[key][]string{}
	objects := map[string]int{}
	captions := map[key]string{}
	ids := map[string]bool{}
	for _, row := range rows {
		k := key{row.Label, row.Object}
		if drawn[k] == nil {
			objects[row.Label]++
		}
		drawn[k] = append(drawn[k], row.Domain)
		if first, ok := captions[k]; ok && first != row.Caption || row.Caption == "" {
			t.Errorf("%s: caption %q, elsewhere %q", row.ID, row.Caption, first)
		}
		captions[k] = row.Caption
		if want := row.Domain + "/" + row.Object; row.ID != want || ids[row.ID] {
			t.Errorf("id %q, want %q, once", row.ID, want)
		}
		ids[row.ID] = true
	}
	for k, in := range drawn {
		if !slices.Equal(in, domains) {
			t.Errorf("%v is drawn in %v, want %v", k, in, domains)
		}
	}
	want := map[string]int{
		"mammal": 21, "bird": 21, "fruit or vegetable": 21, "clothing": 21,
		"vehicle": 21, "building": 21, "face": 21, "clock": 21,
	}
	for label, n := range objects {
		if want[label] != n {
			t.Errorf("class %q has %d objects, want %d", label, n, want[label])
		}
		delete(want, label)
	}
	if len(want) != 0 {
		t.Errorf("classes missing: %v", want)
	}
}

func TestEveryPictureDecodes(t *testing.T) {
	set := open(t)
	seen := map[string]string{}
	for _, row := range set.Rows() {
		data, err := set.Read(row.ID)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if digest := hex.EncodeToString(sum[:]); digest != row.Digest {
			t.Errorf("%s: digest %s, index says %s", row.ID, digest, row.Digest)
		}
		if other, ok := seen[row.Digest]; ok {
			t.Errorf("%s and %s are the same picture", row.ID, other)
		}
		seen[row.Digest] = row.ID
		picture, _, err := image.Decode(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", row.ID, err)
			continue
		}
		if got := picture.Bounds(); got != image.Rect(0, 0, 64, 64) {
			t.Errorf("%s: %v, want 64×64", row.ID, got)
		}
		if flat(picture) {
			t.Errorf("%s: nothing is drawn", row.ID)
		}
	}
}

// flat reports whether all pixels are alike.
func flat(picture image.Image) bool {
	first := picture.At(0, 0)
	for y := range 64 {
		for x := range 64 {
			if picture.At(x, y) != first {
				return false
			}
		}
	}
	return true
}

func TestRowsAreTheCallersOwn(t *testing.T) {
	set := open(t)
	set.Rows()[0].Label = "changed"
	if got := set.Rows()[0].Label; got != "mammal" {
		t.Errorf("label %q after a caller's change", got)
	}
}

func TestReadUnknown(t *testing.T) {
	if _, err := open(t).Read("noto/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
