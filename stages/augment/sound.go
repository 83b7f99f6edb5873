package augment

import (
	"image"
	"math"

	"github.com/tlpipe/tlpipe/pipeline"
)

// Sound varies spectrograms, which the kind audio draws: time from left to right, frequency from bottom to top, levels in decibels.
type Sound struct {
	Shift          float64 `yaml:"shift" min:"0" max:"1" doc:"shift in time by up to this fraction of the length in either direction; silence moves in"`
	Gain           float64 `yaml:"gain" min:"0" max:"60" doc:"make it louder or softer by up to so many decibels"`
	Noise          float64 `yaml:"noise" min:"0" max:"100" doc:"add white noise that is so many decibels below the loudest level, or up to 20 decibels softer than that; 0 adds none"`
	TimeMasks      int     `yaml:"time_masks" min:"0" max:"20" doc:"so many stretches of time are silenced (SpecAugment, Park et al. 2019, arXiv:1904.08779)"`
	TimeMask       float64 `yaml:"time_mask" min:"0" max:"1" doc:"length of a silenced stretch, up to this fraction of the whole. Default: 0.15"`
	FrequencyMasks int     `yaml:"frequency_masks" min:"0" max:"20" doc:"so many ranges of frequencies are silenced"`
	FrequencyMask  float64 `yaml:"frequency_mask" min:"0" max:"1" doc:"width of a silenced range, up to this fraction of all bands. Default: 0.15"`
}

// defaultMask is the fraction of a mask that is not given.
const defaultMask = 0.15

func (s *Sound) check() error {
	if *s == (Sound{}) {
		return pipeline.ParamErrorHint("sound", "such as {shift: 0.1, time_masks: 2, frequency_masks: 2}", "nothing is varied")
	}
	if s.TimeMasks > 0 && s.TimeMask == 0 {
		s.TimeMask = defaultMask
	}
	if s.FrequencyMasks > 0 && s.FrequencyMask == 0 {
		s.FrequencyMask = defaultMask
	}
	return nil
}

// vary makes a copy of a spectrogram whose levels 0 … 255 span so many decibels.
func (s Sound) vary(src *image.NRGBA, d *draw, decibels float64) *image.NRGBA {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	late := int(math.Round(d.about(0, s.Shift) * float64(w)))
	gain := d.about(0, s.Gain) * 255 / decibels
	below := s.Noise + 20*d.Float64() // drawn in any case, so that what comes after is drawn alike
	out := image.NewNRGBA(src.Rect)
	for y := range h {
		for x := range w {
			value := 0.0 // silence
			if from := x - late; from >= 0 && from < w {
				value = float64(src.Pix[y*src.Stride+4*from]) + gain
			}
			if s.Noise > 0 {
				// The power of noise in a bin is distributed exponentially. Powers add.
				noise := -below + 10*math.Log10(d.ExpFloat64()+1e-12)
				own := (value/255 - 1) * decibels
				value = 255 * (1 + 10*math.Log10(math.Pow(10, own/10)+math.Pow(10, noise/10))/decibels)
			}
			v := level(value)
			copy(out.Pix[y*out.Stride+4*x:], []byte{v, v, v, 255})
		}
	}
	for range s.TimeMasks {
		from, to := d.stretch(w, s.TimeMask)
		s.silence(out, image.Rect(from, 0, to, h))
	}
	for range s.FrequencyMasks {
		from, to := d.stretch(h, s.FrequencyMask)
		s.silence(out, image.Rect(0, from, w, to))
	}
	return out
}

func (Sound) silence(out *image.NRGBA, part image.Rectangle) {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			copy(out.Pix[y*out.Stride+4*x:], []byte{0, 0, 0, 255})
		}
	}
}

// stretch draws a stretch of 0 … length, up to a fraction of it long.
func (d *draw) stretch(length int, most float64) (from, to int) {
	n := d.IntN(int(most*float64(length)) + 1)
	from = d.IntN(length - n + 1)
	return from, from + n
}
