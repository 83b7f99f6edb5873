package report

import (
	"image"
	"strings"
	"testing"
)

// A label of megabytes is cut before it is measured: measuring it letter by letter takes minutes.
func TestLongCaption(t *testing.T) {
	face, err := captionFace()
	if err != nil {
		t.Fatal(err)
	}
	defer face.Close()
	drawn := func(text string) *image.Gray {
		sheet := image.NewGray(image.Rect(0, 0, tileSize, captionHeight))
		caption(sheet, face, 0, captionHeight-5, text)
		return sheet
	}
	long, longer := drawn(strings.Repeat("W", 1000)), drawn(strings.Repeat("W", 4<<20))
	if string(long.Pix) != string(longer.Pix) {
		t.Error("a longer caption looks different")
	}
	if string(long.Pix) == string(drawn("").Pix) {
		t.Error("nothing is drawn")
	}
}
