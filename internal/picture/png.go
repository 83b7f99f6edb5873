package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image/png"
	"io"
)

// pngFormat is PNG. A file that the standard library's decoder refuses, but others read, is mended first.
func pngFormat() format {
	return format{"png", func(data []byte) (Info, error) {
		if len(data) < 29 || string(data[12:16]) != "IHDR" {
			return Info{}, errors.New("PNG: the data ends early")
		}
		width, height := int(binary.BigEndian.Uint32(data[16:])), int(binary.BigEndian.Uint32(data[20:]))
		info := Info{Width: width, Height: height, Held: pngBytes(data[24], data[25]) * int64(width) * int64(height)}
		if data[28] != 0 { // interlaced: passes of their own
			info.Held += info.Held / 2
		}
		info.Orientation = pngOrientation(data)
		return info, nil
	}, func(dst []uint8, data []byte, info Info, background Colour) ([]uint8, error) {
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			whole, ok := mendPNG(data)
			if !ok {
				return nil, err
			}
			var failed error
			if img, failed = png.Decode(bytes.NewReader(whole)); failed != nil {
				return nil, err // of the file as it is
			}
		}
		return onCanvas(dst, img, info, background)
	}}
}

// pngBytes is what the standard library's decoder holds for a pixel, in bytes.
func pngBytes(depth, colourType byte) int64 {
	const palette = 3
	switch {
	case depth == 16:
		return 8
	case colourType == palette:
		return 1
	}
	return 4
}

// mendPNG writes a file anew from the chunks that its pixels need, as libpng understands them: a transparency that the
// colour type does not allow is left out, one before the palette comes after it, what is behind the last pixel is cut
// off, and the end is marked. It fails if pixels are missing or damaged.
func mendPNG(data []byte) (whole []byte, ok bool) {
	chunks := map[string][]byte{}
	at := 8
	for at+12 <= len(data) {
		length := int(binary.BigEndian.Uint32(data[at:]))
		if length > len(data)-at-12 {
			return nil, false
		}
		kind, body := string(data[at+4:at+8]), data[at+8:at+8+length]
		if critical := kind[0]&0x20 == 0; crc32.ChecksumIEEE(data[at+4:at+8+length]) != binary.BigEndian.Uint32(data[at+8+length:]) {
			if critical {
				return nil, false
			}
		} else if kind == "IDAT" {
			chunks[kind] = append(chunks[kind], body...)
		} else if _, twice := chunks[kind]; !twice {
			chunks[kind] = body
		}
		at += 12 + length
	}
	head := chunks["IHDR"]
	if len(head) != 13 {
		return nil, false
	}
	size, ok := pngDataSize(head)
	if !ok {
		return nil, false
	}
	in, err := zlib.NewReader(bytes.NewReader(chunks["IDAT"]))
	if err != nil {
		return nil, false
	}
	pixels, err := io.ReadAll(io.LimitReader(in, int64(size)))
	if err != nil || len(pixels) < size {
		return nil, false
	}
	var packed bytes.Buffer
	out, err := zlib.NewWriterLevel(&packed, zlib.NoCompression)
	if err == nil {
		_, err = out.Write(pixels)
	}
	if errors.Join(err, out.Close()) != nil {
		return nil, false
	}
	whole = append(whole, data[:8]...)
	add := func(kind string, body []byte) {
		whole = binary.BigEndian.AppendUint32(whole, uint32(len(body)))
		from := len(whole)
		whole = append(append(whole, kind...), body...)
		whole = binary.BigEndian.AppendUint32(whole, crc32.ChecksumIEEE(whole[from:]))
	}
	const withAlpha, withPalette = 4, 1
	colourType := head[9]
	add("IHDR", head)
	if palette := chunks["PLTE"]; palette != nil && colourType&withPalette != 0 {
		add("PLTE", palette)
	}
	if transparency := chunks["tRNS"]; transparency != nil && colourType&withAlpha == 0 {
		add("tRNS", transparency)
	}
	add("IDAT", packed.Bytes())
	add("IEND", nil)
	return whole, true
}

// maxPNGData bounds what the pixels of a file that is mended take, in bytes. They are held four times.
const maxPNGData = 1 << 26

// pngDataSize is the number of bytes of a picture's filtered rows, all passes together.
func pngDataSize(head []byte) (size int, ok bool) {
	width, height := int(binary.BigEndian.Uint32(head)), int(binary.BigEndian.Uint32(head[4:]))
	samples, known := map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[head[9]]
	if !known || width < 1 || height < 1 || width > 1<<24 || height > 1<<24 {
		return 0, false
	}
	rows := func(w, h int) int {
		if w == 0 || h == 0 {
			return 0
		}
		return h * (1 + (w*samples*int(head[8])+7)/8)
	}
	if head[12] == 0 {
		size = rows(width, height)
	} else { // Adam7
		for _, pass := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
			size += rows(max(0, (width-pass[0]+pass[2]-1)/pass[2]), max(0, (height-pass[1]+pass[3]-1)/pass[3]))
		}
	}
	return size, size <= maxPNGData
}
