package picture_test

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/picture"
)

// A 16-bit picture is flattened some rows at a time: where the cuts fall makes
// no difference.
func TestDeepPicturesHaveNoSeams(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	whole := image.NewNRGBA64(image.Rect(0, 0, 7, 150))
	for i := range whole.Pix {
		whole.Pix[i] = uint8(draw.Uint32())
	}
	decode := func(img image.Image) []uint8 {
		t.Helper()
		var file bytes.Buffer
		if err := png.Encode(&file, img); err != nil {
			t.Fatal(err)
		}
		p, err := picture.NewDecoder().Decode(file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(p.Pixels)
	}
	var rows []uint8
	for y := range 150 {
		rows = append(rows, decode(whole.SubImage(image.Rect(0, y, 7, y+1)))...)
	}
	if !bytes.Equal(decode(whole), rows) {
		t.Error("the whole is not its rows")
	}
}
