package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"strings"

	"github.com/jsummers/gobmp"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/picture/jpeg"
)

// Limits bound what a file may decode to, so that a few kB cannot take all
// memory. Decoding may hold 9 bytes for each pixel that is allowed, and at
// least 64 MB: enough for all formats with 8 bits a channel but the largest
// progressive JPEG of full chroma.
type Limits struct {
	Pixels int // width × height; 0: 100 million
	Side   int // width or height; 0: 65,535
}

func (l Limits) check(info Info) error {
	width, height := info.Width, info.Height
	pixels, side := l.Pixels, l.Side
	if pixels == 0 {
		pixels = 100_000_000
	}
	memory := budget.Proportional(int64(pixels), 0, 9)
	if side == 0 {
		side = 65_535
	}
	switch {
	case width < 1 || height < 1:
		return fmt.Errorf("%d×%d pixels: nothing to see", width, height)
	case width > side || height > side:
		return fmt.Errorf("%d×%d pixels: a side is longer than the %d allowed", width, height, side)
	case width*height > pixels:
		return fmt.Errorf("%d×%d pixels are more than the %d million allowed", width, height, pixels/1_000_000)
	case info.memory() > max(memory, 64<<20):
		return fmt.Errorf("%d×%d pixels of this kind need %s of memory, the limit is %s", width, height, budget.Bytes(info.memory()), budget.Bytes(max(memory, 64<<20)))
	}
	return nil
}

// Info is what the head of a file tells.
type Info struct {
	Format        string // "jpeg", "png", "gif", "webp", "bmp", "tiff", "pnm"
	Width, Height int    // pixels, as stored
	Orientation   Orientation
	Held          int64 // bytes that decoding holds besides the pixels that it gives, about; 0: 4 for each pixel
}

// memory is what decoding holds, about, in bytes.
func (i Info) memory() int64 {
	pixels := int64(i.Width) * int64(i.Height)
	held := i.Held
	if held == 0 {
		held = 4 * pixels
	}
	if !i.Orientation.upright() {
		held += 3 * pixels
	}
	return held + 3*pixels
}

// Decoder turns picture files into pixels, one after another. It keeps its
// buffers, so what it returns holds until the next call, and it is not for use
// by several goroutines at once. The zero value has a black background; use
// NewDecoder for white.
type Decoder struct {
	// Background shows through where a picture is transparent, in Decode; Fit
	// takes that of the fit.
	Background Colour
	Limits     Limits

	jpeg   jpeg.Decoder
	scale  resampler
	pixels []uint8
	turned []uint8
}

// NewDecoder returns a decoder with a white background and the default limits.
func NewDecoder() *Decoder { return &Decoder{Background: White} }

// Inspect reads the head of a file, and refuses what Decode would refuse for
// its size or format.
func (d *Decoder) Inspect(data []byte) (info Info, err error) {
	defer recovered(&err)
	f, err := formatOf(data)
	if err != nil {
		return info, err
	}
	info, err = f.inspect(data)
	info.Format = f.name
	if err != nil {
		return info, plain(f.name, err)
	}
	return info, d.Limits.check(info)
}

// Decode decodes a whole picture: its first frame, upright, over the
// background.
func (d *Decoder) Decode(data []byte) (p Picture, err error) {
	info, err := d.Inspect(data)
	if err != nil {
		return p, err
	}
	return d.part(data, info, info.Orientation.size(info.Width, info.Height), d.Background)
}

// Fit decodes a picture and fits it into dst, which must have room for the
// result: 3·Width·Height bytes.
func (d *Decoder) Fit(dst []uint8, data []byte, fit Fit) error {
	if len(dst) != 3*fit.Width*fit.Height {
		return fmt.Errorf("fit a picture of %d×%d pixels into %d bytes", fit.Width, fit.Height, len(dst))
	}
	if err := fit.Validate(); err != nil {
		return err
	}
	info, err := d.Inspect(data)
	if err != nil {
		return err
	}
	whole := info.Orientation.size(info.Width, info.Height)
	place, err := fit.place(whole.Dx(), whole.Dy())
	if err != nil {
		return err
	}
	left, top, right, bottom, err := d.scale.prepare(place, fit.Filter)
	if err != nil {
		return err
	}
	region := image.Rect(left, top, right, bottom)
	if info.Format != "jpeg" {
		region = whole // only JPEG decodes in part
	}
	p, err := d.part(data, info, region, fit.Background)
	if err != nil {
		return err
	}
	fit.fill(dst, place)
	d.scale.run(dst[3*(place.y*fit.Width+place.x):], 3*fit.Width, p, region.Min.X, region.Min.Y)
	return nil
}

// fitDecoded fits a picture that is decoded already.
func (d *Decoder) fitDecoded(dst []uint8, p Picture, fit Fit) error {
	place, err := fit.place(p.Width, p.Height)
	if err != nil {
		return err
	}
	if _, _, _, _, err := d.scale.prepare(place, fit.Filter); err != nil {
		return err
	}
	fit.fill(dst, place)
	d.scale.run(dst[3*(place.y*fit.Width+place.x):], 3*fit.Width, p, 0, 0)
	return nil
}

// part decodes a region, given in upright coordinates.
func (d *Decoder) part(data []byte, info Info, region image.Rectangle, background Colour) (p Picture, err error) {
	defer recovered(&err)
	stored := info.Orientation.stored(region, info.Width, info.Height)
	if info.Format == "jpeg" {
		d.pixels, err = d.jpeg.Decode(d.pixels, data, stored)
	} else {
		var f format
		if f, err = formatOf(data); err == nil {
			d.pixels, err = f.decode(d.pixels, data, info, background)
		}
	}
	if err != nil {
		return p, plain(info.Format, err)
	}
	p = Picture{Width: stored.Dx(), Height: stored.Dy(), Pixels: d.pixels}
	if len(p.Pixels) != 3*p.Width*p.Height {
		return p, fmt.Errorf("%s: the picture is not of the size that its head tells", info.Format)
	}
	if info.Orientation.upright() {
		return p, nil
	}
	p = info.Orientation.turn(d.turned, p)
	d.turned = p.Pixels
	return p, nil
}

// recovered turns a panic of a decoder, which met what its author did not
// think of, into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("malformed: %v", p)
	}
}

// plain gives an error of a decoder a form for people.
func plain(format string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: the data ends early", strings.ToUpper(format))
	}
	text := err.Error()
	if strings.HasPrefix(strings.ToLower(text), format) {
		return err
	}
	return fmt.Errorf("%s: %w", strings.ToUpper(format), err)
}

// format is a file format that can be decoded.
type format struct {
	name    string
	inspect func(data []byte) (Info, error)
	// decode returns the whole picture as stored, over the background.
	decode func(dst []uint8, data []byte, info Info, background Colour) ([]uint8, error)
}

// formatOf recognises a file by its first bytes; names play no part.
func formatOf(data []byte) (format, error) {
	if len(data) == 0 {
		return format{}, errors.New("the file is empty")
	}
	begins := func(magic string, at int) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	switch {
	case begins("\xFF\xD8\xFF", 0):
		return format{"jpeg", inspectJPEG, nil}, nil
	case begins("\x89PNG\r\n\x1A\n", 0):
		return pngFormat(), nil
	case begins("GIF8", 0):
		return gifFormat(), nil
	case begins("RIFF", 0) && begins("WEBP", 8):
		return webpFormat(), nil
	case begins("II*\x00", 0), begins("MM\x00*", 0), begins("II+\x00", 0), begins("MM\x00+", 0):
		return tiffFormat(), nil
	case begins("BM", 0):
		return plainFormat("bmp", gobmp.DecodeConfig, gobmp.Decode, upright), nil
	case data[0] == 'P' && len(data) > 2 && data[1] >= '1' && data[1] <= '6' && isSpace(data[2]):
		return pnmFormat(), nil
	}
	for _, known := range []struct {
		magic string
		at    int
		name  string
	}{
		{"ftypavif", 4, "an AVIF picture"}, {"ftypheic", 4, "a HEIC picture"}, {"ftypheix", 4, "a HEIC picture"},
		{"ftypmif1", 4, "a HEIF picture"}, {"\xFF\x0A", 0, "a JPEG XL picture"}, {"JXL ", 4, "a JPEG XL picture"},
		{"\x00\x00\x00\x0CjP  ", 0, "a JPEG 2000 picture"}, {"8BPS", 0, "a Photoshop file"}, {"%PDF", 0, "a PDF file"},
		{"<svg", 0, "an SVG drawing"}, {"\x00\x00\x01\x00", 0, "an icon file"}, {"PK\x03\x04", 0, "a ZIP archive"},
		{"\x1F\x8B", 0, "a gzip file"},
	} {
		if begins(known.magic, known.at) {
			return format{}, fmt.Errorf("%s, a format that is not supported", known.name)
		}
	}
	if isText(data[:min(len(data), 512)]) {
		return format{}, errors.New("text, not a picture")
	}
	return format{}, errors.New("not a picture of a known format")
}

func isText(data []byte) bool {
	return bytes.IndexFunc(data, func(r rune) bool { return r < 0x20 && !isSpace(byte(r)) || r == '�' }) < 0
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

func inspectJPEG(data []byte) (Info, error) {
	h, err := jpeg.ReadHeader(data)
	held := 64 * int64(h.Blocks)
	if h.Progressive {
		held *= 3 // coefficients, too
	}
	return Info{Width: h.Width, Height: h.Height, Orientation: orientationOf(h.Exif, h.XMP), Held: held}, err
}
