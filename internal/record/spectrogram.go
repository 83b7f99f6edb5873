package record

import (
	"fmt"
)

// Spectrogram tells how a sound file becomes a picture: mixed to one channel, resampled to Rate, cut or filled with silence to
// Seconds, and drawn as log-mel values, time from left to right, frequency from bottom to top. The loudest value is white, what
// lies Decibels below it or deeper black.
type Spectrogram struct {
	Rate       int     `json:"rate"`           // samples a second
	Seconds    float64 `json:"seconds"`        // that are kept
	Take       string  `json:"take,omitempty"` // of longer recordings: one of the Take words
	MaxSeconds float64 `json:"max_seconds"`    // longer recordings are refused
	Window     int     `json:"window"`         // samples of a frame
	Hop        int     `json:"hop"`            // samples between the starts of frames
	Mels       int     `json:"mels"`           // bands
	Low        float64 `json:"low"`            // Hz
	High       float64 `json:"high"`           // Hz
	Decibels   float64 `json:"decibels"`       // from black to white
}

// What is kept of recordings that are longer.
const (
	TakeStart   = "start"
	TakeMiddle  = "middle"
	TakeLoudest = "loudest" // where the energy of so many seconds is largest
)

// Transform is the number of samples that are transformed: the next power of two of Window.
func (s Spectrogram) Transform() int {
	n := 16
	for n < s.Window {
		n *= 2
	}
	return n
}

// Samples is how many are kept.
func (s Spectrogram) Samples() int { return int(s.Seconds*float64(s.Rate) + 0.5) }

// Frames is the width of the picture.
func (s Spectrogram) Frames() int { return 1 + s.Samples()/max(s.Hop, 1) }

// SpectrogramStep makes pixels of the bytes of a sound file: a Spectrogram.
type SpectrogramStep struct{ Spectrogram }

// Kind implements Transform.
func (SpectrogramStep) Kind() string { return "spectrogram" }

func (s SpectrogramStep) String() string {
	kept := ""
	if s.Take != "" && s.Take != TakeStart {
		kept = ", from the " + s.Take
	}
	return fmt.Sprintf("draw %g s of sound at %d Hz%s as %d mel bands from %g to %g Hz, windows of %d samples every %d, %g dB from black to white",
		s.Seconds, s.Rate, kept, s.Mels, s.Low, s.High, s.Window, s.Hop, s.Decibels)
}

// maxSoundSamples bounds how much of a recording is drawn: an hour at 48 kHz.
const maxSoundSamples = 3600 * 48_000

func (s SpectrogramStep) check() error {
	switch {
	case s.Rate < 100 || s.Rate > 768_000:
		return fmt.Errorf("%d samples a second are not 100 to 768000", s.Rate)
	case !(s.Seconds > 0) || s.Seconds*float64(s.Rate) > maxSoundSamples || s.Samples() < 1:
		return fmt.Errorf("%g seconds at %d Hz are not 1 to %d samples", s.Seconds, s.Rate, maxSoundSamples)
	case !(s.MaxSeconds > 0):
		return fmt.Errorf("recordings of at most %g seconds", s.MaxSeconds)
	case s.Take != "" && s.Take != TakeStart && s.Take != TakeMiddle && s.Take != TakeLoudest:
		return fmt.Errorf("what is kept of longer recordings, %q, is not %s, %s or %s", s.Take, TakeStart, TakeMiddle, TakeLoudest)
	case s.Window < 2 || s.Window > 1<<16:
		return fmt.Errorf("a window of %d samples is not 2 to 65536", s.Window)
	case s.Hop < 1 || s.Frames() > maxPixels:
		return fmt.Errorf("a hop of %d samples makes more than %d frames, or none", s.Hop, maxPixels)
	case s.Mels < 1 || s.Mels > 512:
		return fmt.Errorf("%d mel bands are not 1 to 512", s.Mels)
	case !(s.Low >= 0 && s.Low < s.High && s.High <= float64(s.Rate)/2):
		return fmt.Errorf("%g to %g Hz are not frequencies of sound at %d Hz", s.Low, s.High, s.Rate)
	case !(s.Decibels > 0 && s.Decibels <= 200):
		return fmt.Errorf("a range of %g decibels is not above 0 and up to 200", s.Decibels)
	}
	return nil
}

// Check tells what is wrong.
func (s Spectrogram) Check() error { return SpectrogramStep{s}.check() }

// OfSound tells whether the steps start from the bytes of a sound file.
func (t Transforms) OfSound() bool {
	if len(t) == 0 {
		return false
	}
	_, ok := t[0].(SpectrogramStep)
	return ok
}

// OfPictures are the steps as they would be for picture files, if they are for sound files.
func (t Transforms) OfPictures() Transforms {
	if !t.OfSound() {
		return t
	}
	return append(Transforms{DecodeStep{defaultBackground}, UprightStep{}}, t[1:]...)
}
