package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"

	"golang.org/x/image/webp"

	"github.com/tlpipe/tlpipe/internal/picture/sample"
)

func webpFormat() format {
	return format{"webp", inspectWebP, decodeWebP}
}

var errWebP = errors.New("WEBP: malformed")

func inspectWebP(data []byte) (Info, error) {
	frame, info, err := firstFrame(data)
	if err != nil {
		return info, err
	}
	if info.Width == 0 {
		config, err := webp.DecodeConfig(bytes.NewReader(frame.file))
		if err != nil {
			return info, err
		}
		info.Width, info.Height = config.Width, config.Height
	}
	return info, nil
}

func decodeWebP(dst []uint8, data []byte, info Info, background Colour) ([]uint8, error) {
	frame, _, err := firstFrame(data)
	if err != nil {
		return nil, err
	}
	// The frame's own size decides what is allocated.
	config, err := webp.DecodeConfig(bytes.NewReader(frame.file))
	if err != nil {
		return nil, err
	}
	size := image.Rect(frame.x, frame.y, frame.x+config.Width, frame.y+config.Height)
	if !size.In(image.Rect(0, 0, info.Width, info.Height)) {
		return nil, errors.New("WEBP: a frame reaches beyond the picture")
	}
	img, err := webp.Decode(bytes.NewReader(frame.file))
	if err != nil {
		return nil, err
	}
	switch lossy := img.(type) {
	case *image.YCbCr:
		img = studioRGB(lossy)
	case *image.NYCbCrA:
		rgb := studioRGB(&lossy.YCbCr)
		for y := range rgb.Rect.Dy() {
			for x := range rgb.Rect.Dx() {
				rgb.Pix[y*rgb.Stride+4*x+3] = lossy.A[y*lossy.AStride+x]
			}
		}
		img = rgb
	}
	return onCanvas(dst, moved(img, frame.x, frame.y), info, background)
}

// moved shifts an image's bounds.
func moved(img image.Image, x, y int) image.Image {
	if n, ok := img.(*image.NRGBA); ok && (x != 0 || y != 0) {
		n.Rect = n.Rect.Add(image.Pt(x, y))
	}
	return img
}

// webpFrame is a still picture and where it lies on the canvas.
type webpFrame struct {
	file []byte // a WebP file
	x, y int
}

// firstFrame finds the first frame of an animation, or the only picture. Of
// the info it fills in what the container tells: the canvas of an animation,
// the orientation.
func firstFrame(data []byte) (frame webpFrame, info Info, err error) {
	frame.file = data
	info.Orientation = 1
	animated, found := false, false
	for at := 12; at+8 <= len(data); {
		kind, length := string(data[at:at+4]), int(binary.LittleEndian.Uint32(data[at+4:]))
		if length > len(data)-at-8 {
			break
		}
		body := data[at+8 : at+8+length]
		switch {
		case kind == "VP8X" && length >= 10:
			if animated = body[0]&2 != 0; animated {
				info.Width, info.Height = uint24(body[4:])+1, uint24(body[7:])+1
			}
		case kind == "EXIF":
			info.Orientation = exifOrientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		case kind == "ANMF" && animated && !found:
			if length < 24 {
				return frame, info, errWebP
			}
			found = true
			frame = webpFrame{file: standAlone(body), x: 2 * uint24(body), y: 2 * uint24(body[3:])}
		}
		at += 8 + length + length&1
	}
	if animated && !found {
		return frame, info, errWebP
	}
	return frame, info, nil
}

// standAlone makes a WebP file of one frame of an animation.
func standAlone(anmf []byte) []byte {
	chunks := anmf[16:]
	var alpha byte
	if string(chunks[:4]) == "ALPH" {
		alpha = 1 << 4
	}
	file := []byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0A\x00\x00\x00")
	file = append(file, alpha, 0, 0, 0)
	file = append(file, anmf[6:12]...) // width − 1, height − 1
	file = append(file, chunks...)
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8))
	return file
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// studioRGB converts the luma and chroma of a lossy WebP as libwebp does:
// BT.601 with luma in 16…235 and chroma in 16…240, and chroma at half
// resolution interpolated, three to one in each direction.
func studioRGB(img *image.YCbCr) *image.NRGBA {
	width, height := img.Rect.Dx(), img.Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, width, height))
	lastX, lastY := (width+1)/2-1, (height+1)/2-1
	for y := range height {
		own := y / 2
		near := min(max(own-1+2*(y%2), 0), lastY)
		own, near = own*img.CStride, near*img.CStride
		row := out.Pix[y*out.Stride:]
		for x := range width {
			at := x / 2
			side := min(max(at-1+2*(x%2), 0), lastX)
			mix := func(plane []uint8) int32 {
				a, b := int32(plane[own+at]), int32(plane[own+side])
				c, d := int32(plane[near+at]), int32(plane[near+side])
				return ((a+b+c+d+8+2*(b+c))>>3 + a) >> 1
			}
			luma, u, v := int32(img.Y[y*img.YStride+x])*19077>>8, mix(img.Cb), mix(img.Cr)
			row[4*x] = sample.Clamp((luma + v*26149>>8 - 14234) >> 6)
			row[4*x+1] = sample.Clamp((luma - u*6419>>8 - v*13320>>8 + 8708) >> 6)
			row[4*x+2] = sample.Clamp((luma + u*33050>>8 - 17685) >> 6)
			row[4*x+3] = 255
		}
	}
	return out
}
