package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/disintegration/imaging"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// maxPictureBytes bounds how many pixels are read in search of the pictures
// of some ids, so that a report on millions of pictures still comes soon.
const maxPictureBytes = 8 << 30

// thumbnailSize is the longer side of pictures in the page, in pixels: twice
// what they take on screen, for sharp displays.
const thumbnailSize = 160

// pictureRow is a row of an images table that is asked for or shown.
type pictureRow struct {
	id, label, split string
	copy             int32
	picture          image.Image
}

// eachPicture visits the rows of an images table in order until visit returns
// false, or so many bytes of pixels were read. The picture is decoded only if
// want says so.
func eachPicture(ctx context.Context, in pipeline.Input, maxBytes int64, want func(pictureRow) bool, visit func(pictureRow) bool) error {
	read := int64(0)
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return err
		}
		tensors, err := record.TensorColumn(rec, record.Image)
		if err != nil {
			return fmt.Errorf("pictures of %s: %w", in.Name(), err)
		}
		pixels, err := newPixels(rec.Schema(), tensors)
		if err != nil {
			return fmt.Errorf("pictures of %s: %w", in.Name(), err)
		}
		for i := range int(rec.NumRows()) {
			row := pictureRow{
				id: textAt(rec, record.ID, i), label: textAt(rec, record.Label, i),
				split: textAt(rec, record.Split, i), copy: copyAt(rec, i),
			}
			if !want(row) || tensors.IsNull(i) {
				continue
			}
			row.picture = pixels.picture(i)
			if !visit(row) {
				return nil
			}
		}
		if read += rec.NumRows() * int64(tensors.Size()); read > maxBytes {
			return nil
		}
	}
	return nil
}

// findPictures looks for the pictures of some ids, the originals and not their
// copies. Those that lie beyond maxPictureBytes are not found.
func findPictures(ctx context.Context, in pipeline.Input, ids map[string]bool) (map[string]image.Image, error) {
	found := map[string]image.Image{}
	if len(ids) == 0 {
		return found, nil
	}
	missing := func(row pictureRow) bool { return row.copy == 0 && ids[row.id] && found[row.id] == nil }
	err := eachPicture(ctx, in, maxPictureBytes, missing, func(row pictureRow) bool {
		found[row.id] = thumbnail(row.picture)
		return len(found) < len(ids)
	})
	return found, err
}

// pixels turns the rows of an image tensor column into pictures.
type pixels struct {
	tensors       record.Tensors
	height, width int
	prepared      record.Preprocessing // to be undone, for tensors of floats
}

func newPixels(schema *arrow.Schema, tensors record.Tensors) (pixels, error) {
	if len(tensors.Shape) != 3 || tensors.Shape[2] != 3 {
		return pixels{}, fmt.Errorf("tensors of shape %v are no pictures", tensors.Shape)
	}
	p := pixels{tensors: tensors, height: tensors.Shape[0], width: tensors.Shape[1]}
	p.prepared.Std = [3]float32{1, 1, 1}
	if text, ok := schema.Metadata().GetValue(record.PreprocessingKey); ok {
		var err error
		if p.prepared, err = record.ParsePreprocessing(text); err != nil {
			return pixels{}, err
		}
	}
	return p, nil
}

// picture makes the picture of a row: bytes are RGB as they are; floats are
// what a network sees, and the normalisation is undone.
func (p pixels) picture(row int) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, p.width, p.height))
	if raw := p.tensors.Bytes(row); raw != nil {
		for i := range p.width * p.height {
			copy(out.Pix[4*i:4*i+3], raw[3*i:3*i+3])
			out.Pix[4*i+3] = 255
		}
		return out
	}
	values := p.tensors.AppendFloats(nil, row)
	for i := range p.width * p.height {
		for c := range 3 {
			x := 255 * (values[3*i+c]*p.prepared.Std[c] + p.prepared.Mean[c])
			to := c
			if p.prepared.Channels == "bgr" {
				to = 2 - c
			}
			out.Pix[4*i+to] = uint8(min(max(x+0.5, 0), 255))
		}
		out.Pix[4*i+3] = 255
	}
	return out
}

// thumbnail shrinks a picture to the size it has in the page.
func thumbnail(picture image.Image) image.Image {
	return imaging.Fit(picture, thumbnailSize, thumbnailSize, imaging.Lanczos)
}

// smallThumbnail is half of that size.
func smallThumbnail(picture image.Image) image.Image {
	return imaging.Fit(picture, thumbnailSize/2+20, thumbnailSize/2+20, imaging.Lanczos)
}

// dataURI encodes a picture, as PNG or JPEG, whichever is smaller.
func dataURI(picture image.Image) (template.URL, error) {
	var lossless, lossy bytes.Buffer
	if err := png.Encode(&lossless, picture); err != nil {
		return "", fmt.Errorf("encode a picture: %w", err)
	}
	if err := jpeg.Encode(&lossy, picture, &jpeg.Options{Quality: 88}); err != nil {
		return "", fmt.Errorf("encode a picture: %w", err)
	}
	kind, data := "png", lossless.Bytes()
	if lossy.Len() < lossless.Len() {
		kind, data = "jpeg", lossy.Bytes()
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)), nil
}

// textAt is the text of a column at a row; "" if either is absent.
func textAt(rec arrow.Record, column string, row int) string {
	at := rec.Schema().FieldIndices(column)
	if len(at) != 1 || rec.Column(at[0]).IsNull(row) {
		return ""
	}
	most := maxText
	if column == record.Reason {
		most = maxReason
	}
	// Cloned: the text must outlive the batch.
	return cutText(string([]byte(rec.Column(at[0]).ValueStr(row))), most)
}

// copyAt is 0 in tables without copies.
func copyAt(rec arrow.Record, row int) int32 {
	if at := rec.Schema().FieldIndices(record.Copy); len(at) == 1 {
		if c, ok := rec.Column(at[0]).(*array.Int32); ok {
			return c.Value(row)
		}
	}
	return 0
}
