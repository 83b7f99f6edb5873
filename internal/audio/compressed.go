package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
	"github.com/mewkiz/flac"
)

// decodeFLAC reads the Free Lossless Audio Codec (RFC 9639).
func decodeFLAC(file []byte, l limit) (_ Clip, err error) {
	stream, err := flac.New(bytes.NewReader(file[tagSize(file):]))
	if err != nil {
		return Clip{}, fmt.Errorf("read FLAC: %w", err)
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	rate, total := int(stream.Info.SampleRate), int64(stream.Info.NSamples)
	if err := l.check(total, rate); err != nil {
		return Clip{}, err
	}
	clip := Clip{Rate: rate}
	for {
		frame, err := stream.ParseNext()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Clip{}, fmt.Errorf("read FLAC: after %d samples: %w", len(clip.Samples), err)
		}
		bits := int(frame.BitsPerSample)
		if bits < 4 || bits > 32 || len(frame.Subframes) == 0 {
			return Clip{}, fmt.Errorf("read FLAC: samples of %d bits in %d channels", bits, len(frame.Subframes))
		}
		if err := l.check(int64(len(clip.Samples)+int(frame.BlockSize)), rate); err != nil {
			return Clip{}, err
		}
		scale := 1 / (float64(int64(1)<<(bits-1)) * float64(len(frame.Subframes)))
		for i := range frame.Subframes[0].Samples {
			sum := int64(0)
			for _, channel := range frame.Subframes {
				sum += int64(channel.Samples[i])
			}
			clip.Samples = append(clip.Samples, float32(float64(sum)*scale))
		}
	}
	if int64(len(clip.Samples)) < total {
		return Clip{}, fmt.Errorf("the file is cut off: it has %d of %d samples", len(clip.Samples), total)
	}
	return clip, nil
}

// decodeMP3 reads MPEG-1 and MPEG-2 audio, layer III. What encoders add at both ends is not taken off.
func decodeMP3(file []byte, l limit) (Clip, error) {
	decoder, err := mp3.NewDecoder(bytes.NewReader(file))
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("there is no frame of sound in the file")
		}
		return Clip{}, fmt.Errorf("read MP3: %w", err)
	}
	clip := Clip{Rate: decoder.SampleRate()}
	if bytes := decoder.Length(); bytes > 0 {
		if err := l.check(bytes/4, clip.Rate); err != nil {
			return Clip{}, err
		}
	}
	buffer := make([]byte, 1<<16) // of two channels of 16 bits
	for {
		n, err := io.ReadFull(decoder, buffer)
		for i := 0; i+4 <= n; i += 4 {
			left, right := int16(binary.LittleEndian.Uint16(buffer[i:])), int16(binary.LittleEndian.Uint16(buffer[i+2:]))
			clip.Samples = append(clip.Samples, float32(int(left)+int(right))/(1<<16))
		}
		if err := l.check(int64(len(clip.Samples)), clip.Rate); err != nil {
			return Clip{}, err
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return clip, nil
		case err != nil:
			return Clip{}, fmt.Errorf("read MP3: after %d samples: %w", len(clip.Samples), err)
		}
	}
}

// tagSize is the length of an ID3 tag at the start of a file, 0 without one.
func tagSize(file []byte) int {
	if len(file) < 10 || string(file[:3]) != "ID3" {
		return 0
	}
	size := 10
	for i, b := range file[6:10] {
		size += int(b&0x7f) << (7 * (3 - i))
	}
	return min(size, len(file))
}

func flacBehindTag(file []byte) bool { return bytes.HasPrefix(file[tagSize(file):], []byte("fLaC")) }
