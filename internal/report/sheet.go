package report

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/disintegration/imaging"
	"github.com/tlpipe/tlpipe/internal/untrusted"
	"github.com/tlpipe/tlpipe/pipeline"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Sizes of a contact sheet, in pixels.
const (
	tileSize      = 128
	tileGap       = 12
	captionHeight = 20
	captionSize   = 12 // of the letters
)

// ContactSheet draws the first pictures of an images table in a grid, each
// with its label or, for an augmented copy, its number. A limit of
// 0 or less stands for 60. Names in scripts that the built-in Go font does not
// have show as empty boxes.
func ContactSheet(ctx context.Context, in pipeline.Input, limit int) (image.Image, error) {
	if limit <= 0 {
		limit = 60
	}
	var rows []pictureRow
	all := func(pictureRow) bool { return true }
	err := eachPicture(ctx, in, maxPictureBytes, all, func(row pictureRow) bool {
		row.picture = imaging.Fit(row.picture, tileSize, tileSize, imaging.Lanczos)
		rows = append(rows, row)
		return len(rows) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("contact sheet: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("contact sheet: there is no image")
	}

	columns := sheetColumns(rows)
	lines := (len(rows) + columns - 1) / columns
	sheet := image.NewNRGBA(image.Rect(0, 0,
		columns*(tileSize+tileGap)+tileGap, lines*(tileSize+captionHeight+tileGap)+tileGap))
	draw.Draw(sheet, sheet.Bounds(), image.White, image.Point{}, draw.Src)
	face, err := captionFace()
	if err != nil {
		return nil, err
	}
	defer face.Close()
	for i, row := range rows {
		x := tileGap + i%columns*(tileSize+tileGap)
		y := tileGap + i/columns*(tileSize+captionHeight+tileGap)
		size := row.picture.Bounds().Size()
		at := image.Pt(x+(tileSize-size.X)/2, y+(tileSize-size.Y)/2)
		frame := image.Rectangle{Min: at, Max: at.Add(size)}
		draw.Draw(sheet, frame.Inset(-1), image.NewUniform(color.NRGBA{218, 218, 214, 255}), image.Point{}, draw.Src)
		draw.Draw(sheet, frame, row.picture, row.picture.Bounds().Min, draw.Src)
		caption(sheet, face, x, y+tileSize+captionHeight-5, captionOf(row))
	}
	return sheet, nil
}

// sheetColumns makes a row of the grid a picture and all of its copies, or as
// many of such groups as keep the sheet about as wide as it is high.
func sheetColumns(rows []pictureRow) int {
	square := int(math.Ceil(math.Sqrt(1.3 * float64(len(rows)))))
	group := 1
	for _, row := range rows {
		group = max(group, int(row.copy)+1)
	}
	if group == 1 || group >= len(rows) {
		return square
	}
	return max(1, (square+group/2)/group) * group
}

func captionOf(row pictureRow) string {
	switch {
	case row.copy > 0:
		return fmt.Sprintf("copy %d", row.copy) // of the picture before
	case row.label != "":
		return row.label
	default:
		return row.id
	}
}

func captionFace() (font.Face, error) {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("contact sheet: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: captionSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("contact sheet: %w", err)
	}
	return face, nil
}

// caption writes a line no wider than a tile.
func caption(sheet draw.Image, face font.Face, x, y int, text string) {
	runes := []rune(untrusted.Cut(untrusted.Line(text), tileSize)) // no letter is narrower than a pixel
	for len(runes) > 1 && font.MeasureString(face, string(runes)).Ceil() > tileSize {
		runes = append(runes[:len(runes)-2], '…')
	}
	drawer := font.Drawer{Dst: sheet, Src: image.NewUniform(color.NRGBA{60, 60, 60, 255}), Face: face, Dot: fixed.P(x, y)}
	drawer.DrawString(string(runes))
}
