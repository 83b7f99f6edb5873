package picture_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/picture"
)

// Pictures that are small files and much work or memory are refused, and the error names the limit.
func TestWhatPicturesMayCost(t *testing.T) {
	for name, c := range map[string]struct {
		data   []byte
		pixels int
		want   string
	}{
		"16 bits, four channels":     {deepPNG(9999, 9999, 16, 6, 0), 0, "9999×9999 pixels of this kind need 1099 MB of memory, the limit is 900 MB"},
		"16 bits of a smaller limit": {deepPNG(3000, 3000, 16, 6, 0), 9_000_000, "of memory, the limit is 81 MB"},
		"8 bits, four channels":      {deepPNG(9999, 9999, 8, 6, 0), 0, "not enough pixel data"},
		"scans without bits":         {scans(8000, 1000), 0, "JPEG: 29 scans: it takes more than 28194304 steps, which is the limit for it"},
		"many scans of a small one":  {scans(80, 1000), 0, "JPEG: more than 200 scans"},
		"a few scans":                {scans(80, 150), 0, ""},
		"strips that share bytes":    {sharing(300, 1<<20), 0, "TIFF: strips or tiles that share their bytes: it takes more than 75"},
		"a few strips that do":       {sharing(30, 1<<20), 0, ""},
		"samples upon samples":       {tiffHead(9999, 9999, 32, 64), 0, "of memory, the limit is 900 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			d := picture.NewDecoder()
			d.Limits.Pixels = c.pixels
			_, err := d.Decode(c.data)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func deepPNG(width, height uint32, depth, colourType, interlaced byte) []byte {
	chunk := func(out []byte, kind string, body []byte) []byte {
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
		from := len(out)
		out = append(append(out, kind...), body...)
		return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[from:]))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	out := chunk([]byte("\x89PNG\r\n\x1a\n"), "IHDR", append(head, depth, colourType, 0, 0, interlaced))
	return chunk(chunk(out, "IDAT", nil), "IEND", nil)
}

// scans makes a progressive JPEG of grey whose scans pass over all blocks by runs, 15 bits for 32,767 blocks.
func scans(side, n int) []byte {
	segment := func(out []byte, marker byte, body ...byte) []byte {
		out = append(out, 0xFF, marker)
		return append(binary.BigEndian.AppendUint16(out, uint16(len(body)+2)), body...)
	}
	ones := make([]byte, 65)
	for i := range 64 {
		ones[i+1] = 1
	}
	out := segment([]byte{0xFF, 0xD8}, 0xDB, ones...)
	out = segment(out, 0xC2, 8, byte(side>>8), byte(side), byte(side>>8), byte(side), 1, 1, 0x11, 0)
	out = segment(out, 0xC4, append(append([]byte{0x10, 1}, make([]byte, 15)...), 0xE0)...) // the code 0: a run of 14 bits
	blocks := (side + 7) / 8 * ((side + 7) / 8)
	var bits strings.Builder
	for run := 0; run < blocks; run += 32767 {
		bits.WriteString("0" + strings.Repeat("1", 14))
	}
	for bits.Len()%8 != 0 {
		bits.WriteByte('1')
	}
	var body []byte
	for text := bits.String(); text != ""; text = text[8:] {
		var b byte
		if _, err := fmt.Sscanf(text[:8], "%b", &b); err != nil {
			panic(err)
		}
		if body = append(body, b); b == 0xFF {
			body = append(body, 0)
		}
	}
	for range n {
		out = append(segment(out, 0xDA, 1, 1, 0, 1, 63, 0), body...)
	}
	return append(out, 0xFF, 0xD9)
}

// tiffFile makes a TIFF of grey, uncompressed, from the values of its tags and what follows the directory.
func tiffFile(tags map[uint16][]uint32, data []byte) []byte {
	out := []byte("II*\x00\x08\x00\x00\x00")
	out = binary.LittleEndian.AppendUint16(out, uint16(len(tags)))
	at := uint32(8 + 2 + 12*len(tags) + 4)
	var values []byte
	for tag := uint16(256); tag < 300; tag++ {
		v, ok := tags[tag]
		if !ok {
			continue
		}
		out = binary.LittleEndian.AppendUint16(out, tag)
		out = binary.LittleEndian.AppendUint16(out, 4)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(v)))
		if len(v) == 1 {
			out = binary.LittleEndian.AppendUint32(out, v[0])
			continue
		}
		out = binary.LittleEndian.AppendUint32(out, at+uint32(len(values)))
		for _, x := range v {
			values = binary.LittleEndian.AppendUint32(values, x)
		}
	}
	return append(append(append(out, 0, 0, 0, 0), values...), data...)
}

// sharing makes a TIFF of so many strips, which are all the same bytes.
func sharing(strips, size int) []byte {
	offsets, counts := make([]uint32, strips), make([]uint32, strips)
	for i := range offsets {
		offsets[i], counts[i] = 64, uint32(size)
	}
	return tiffFile(map[uint16][]uint32{256: {16}, 257: {uint32(strips)}, 258: {8}, 259: {1}, 262: {1}, 273: offsets, 277: {1}, 278: {1}, 279: counts}, make([]byte, size))
}

func tiffHead(width, height, bits, samples uint32) []byte {
	return tiffFile(map[uint16][]uint32{256: {width}, 257: {height}, 258: {bits}, 259: {1}, 262: {1}, 273: {64}, 277: {samples}, 278: {height}, 279: {16}}, make([]byte, 64))
}
