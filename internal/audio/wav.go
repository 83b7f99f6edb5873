package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Codes of sample formats in WAV files.
const (
	wavInteger    = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe
)

type wavFormat struct {
	code, channels, bits int
	rate                 int
}

// decodeWAV reads RIFF and RF64 files (Microsoft, Multimedia Programming Interface 1.0; EBU Tech 3306).
func decodeWAV(file []byte, l limit) (Clip, error) {
	var format *wavFormat
	long := int64(-1) // what RF64 says of the data
	for at := 12; at+8 <= len(file); {
		name, size := string(file[at:at+4]), int64(binary.LittleEndian.Uint32(file[at+4:]))
		body := file[at+8:]
		if name == "data" {
			if format == nil {
				return Clip{}, errors.New("the file is damaged: the samples stand before their format")
			}
			if size == math.MaxUint32 && long >= 0 {
				size = long
			}
			if size > int64(len(body)) {
				if size < math.MaxUint32-64 { // else the length was not known when the file was begun
					return Clip{}, fmt.Errorf("the file is cut off: it has %d of %d bytes of samples", len(body), size)
				}
				size = int64(len(body))
			}
			return format.decode(body[:size], l)
		}
		if size > int64(len(body)) {
			return Clip{}, fmt.Errorf("the file is cut off in its part %q", name)
		}
		var err error
		switch name {
		case "fmt ":
			format, err = parseWAVFormat(body[:size])
		case "ds64":
			if size >= 16 {
				long = int64(binary.LittleEndian.Uint64(body[8:]) & math.MaxInt64)
			}
		}
		if err != nil {
			return Clip{}, err
		}
		at += 8 + int(size+size&1)
	}
	return Clip{}, errors.New("the file has no samples")
}

func parseWAVFormat(body []byte) (*wavFormat, error) {
	if len(body) < 16 {
		return nil, errors.New("the file is damaged: its format is cut off")
	}
	f := &wavFormat{
		code:     int(binary.LittleEndian.Uint16(body)),
		channels: int(binary.LittleEndian.Uint16(body[2:])),
		rate:     int(binary.LittleEndian.Uint32(body[4:])),
		bits:     int(binary.LittleEndian.Uint16(body[14:])),
	}
	if f.code == wavExtensible && len(body) >= 26 {
		f.code = int(binary.LittleEndian.Uint16(body[24:]))
	}
	if f.channels < 1 || f.channels > 64 {
		return nil, fmt.Errorf("%d channels", f.channels)
	}
	if f.sample() == nil {
		return nil, fmt.Errorf("WAV with samples of format %d and %d bits cannot be read: integers, floats, A-law and µ-law can", f.code, f.bits)
	}
	return f, nil
}

// sample returns what reads one sample, nil for formats that are not known.
func (f *wavFormat) sample() func(b []byte) float32 {
	switch {
	case f.code == wavInteger && f.bits == 8:
		return func(b []byte) float32 { return (float32(b[0]) - 128) / 128 }
	case f.code == wavInteger && f.bits == 16:
		return func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15) }
	case f.code == wavInteger && f.bits == 24:
		return func(b []byte) float32 {
			return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 31)
		}
	case f.code == wavInteger && f.bits == 32:
		return func(b []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(b))) / (1 << 31) }
	case f.code == wavFloat && f.bits == 32:
		return func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case f.code == wavFloat && f.bits == 64:
		return func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
	case f.code == wavALaw && f.bits == 8:
		return func(b []byte) float32 { return float32(aLaw(b[0])) / (1 << 15) }
	case f.code == wavMuLaw && f.bits == 8:
		return func(b []byte) float32 { return float32(muLaw(b[0])) / (1 << 15) }
	}
	return nil
}

func (f *wavFormat) decode(data []byte, l limit) (Clip, error) {
	width := f.bits / 8
	frames := len(data) / (width * f.channels)
	if err := l.check(int64(frames), f.rate); err != nil {
		return Clip{}, err
	}
	clip := Clip{Rate: f.rate, Samples: make([]float32, frames)}
	sample, share := f.sample(), 1/float32(f.channels)
	for i := range clip.Samples {
		sum := float32(0)
		for range f.channels {
			sum += sample(data)
			data = data[width:]
		}
		clip.Samples[i] = sum * share
	}
	return clip, nil
}

// aLaw and muLaw expand the eight bits of telephony (ITU-T G.711) to sixteen.
func aLaw(b byte) int {
	b ^= 0x55
	exponent, mantissa := int(b>>4&7), int(b&15)
	value := mantissa<<4 + 8
	if exponent > 0 {
		value = (value + 0x100) << (exponent - 1)
	}
	if b&0x80 == 0 {
		return -value
	}
	return value
}

func muLaw(b byte) int {
	b = ^b
	value := (int(b&15)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		return -value
	}
	return value
}
