package audio

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// Clip is a recording, mixed down to one channel.
type Clip struct {
	Rate    int       // samples a second, 1 to MaxRate
	Samples []float32 // -1 … 1
}

// MaxRate is the highest rate that is read: that of the fastest converters for music.
const MaxRate = 768_000

// Seconds is the length of the clip.
func (c Clip) Seconds() float64 { return float64(len(c.Samples)) / float64(c.Rate) }

// Peak is the largest absolute sample, 0 for silence.
func (c Clip) Peak() float32 {
	peak := float32(0)
	for _, s := range c.Samples {
		peak = max(peak, s, -s)
	}
	return peak
}

// Endings are those of the names of sound files, in lower case.
func Endings() []string { return []string{".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus"} }

// NamedAsSound tells by the name whether a file holds sound.
func NamedAsSound(name string) bool {
	return slices.Contains(Endings(), strings.ToLower(filepath.Ext(name)))
}

// Decode reads a sound file: WAV (integers of 8 to 32 bits, floats, A-law, µ-law), FLAC or MP3, told apart by their first
// bytes. Channels are averaged. A recording longer than maxSeconds is an error, found before it is decoded where the
// file tells its length.
func Decode(file []byte, maxSeconds float64) (clip Clip, err error) {
	defer func() {
		if r := recover(); r != nil { // the readers of FLAC and MP3 are not ours
			clip, err = Clip{}, fmt.Errorf("the file is damaged: %v", r)
		}
	}()
	limit := limit{seconds: maxSeconds}
	switch kind := format(file); kind {
	case "":
		return Clip{}, errors.New("it is no sound file that can be read: WAV, FLAC and MP3 can")
	case "WAV":
		clip, err = decodeWAV(file, limit)
	case "FLAC":
		clip, err = decodeFLAC(file, limit)
	case "MP3":
		clip, err = decodeMP3(file, limit)
	default:
		return Clip{}, fmt.Errorf("%s cannot be read: convert it, such as with `ffmpeg -i FILE out.flac`", kind)
	}
	if err != nil {
		return Clip{}, err
	}
	if len(clip.Samples) == 0 {
		return Clip{}, errors.New("the recording is empty")
	}
	for _, s := range clip.Samples {
		if math.IsNaN(float64(s)) || math.IsInf(float64(s), 0) {
			return Clip{}, errors.New("samples are not finite")
		}
	}
	return clip, nil
}

// format names the format of a file, "" if it is not known.
func format(file []byte) string {
	starts := func(at int, text string) bool { return len(file) >= at && bytes.HasPrefix(file[at:], []byte(text)) }
	switch {
	case (starts(0, "RIFF") || starts(0, "RF64")) && starts(8, "WAVE"):
		return "WAV"
	case starts(0, "fLaC"):
		return "FLAC"
	case starts(0, "ID3") && flacBehindTag(file):
		return "FLAC"
	case starts(0, "ID3"), len(file) > 2 && file[0] == 0xff && file[1]&0xe0 == 0xe0 && file[1]>>1&3 != 0:
		return "MP3"
	case starts(0, "OggS"):
		for _, codec := range []struct{ mark, name string }{{"OpusHead", "Ogg Opus"}, {"\x7fFLAC", "FLAC in Ogg"}, {"Speex", "Ogg Speex"}} {
			if bytes.Contains(file[:min(len(file), 256)], []byte(codec.mark)) {
				return codec.name
			}
		}
		return "Ogg Vorbis"
	case starts(4, "ftyp"):
		return "MPEG-4 audio"
	case starts(0, "FORM") && (starts(8, "AIFF") || starts(8, "AIFC")):
		return "AIFF"
	case starts(0, "\x30\x26\xb2\x75"):
		return "Windows Media audio"
	case starts(0, ".snd"):
		return "AU"
	}
	return ""
}

// limit bounds how long a recording may be.
type limit struct{ seconds float64 }

// check is told how many samples a channel has, or has so far.
func (l limit) check(samples int64, rate int) error {
	if rate < 1 || rate > MaxRate {
		return fmt.Errorf("a rate of %d samples a second", rate)
	}
	if seconds := float64(samples) / float64(rate); seconds > l.seconds {
		return fmt.Errorf("it lasts %s, longer than the %s allowed", duration(seconds), duration(l.seconds))
	}
	return nil
}

func duration(seconds float64) string {
	switch {
	case seconds < 120:
		return fmt.Sprintf("%.3g s", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}
