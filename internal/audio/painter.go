package audio

import (
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Painter draws the spectrograms of sound files. It is for one goroutine.
type Painter struct {
	how      record.Spectrogram
	analyser *Analyser
}

// NewPainter prepares to draw.
func NewPainter(how record.Spectrogram) (*Painter, error) {
	if err := how.Check(); err != nil {
		return nil, err
	}
	a, err := NewAnalyser(Spectrum{
		Rate: how.Rate, Window: how.Window, Hop: how.Hop, FFT: how.Transform(), Mels: how.Mels, Low: how.Low, High: how.High, Zeros: true,
	})
	if err != nil {
		return nil, err
	}
	return &Painter{how, a}, nil
}

// silence is the largest sample of a recording that is taken for silent: below the last bit of 16.
const silence = 1.0 / (1 << 16)

// Paint reads a file and draws it: grey levels, Mels rows from the highest band down of Frames columns. A silent recording is an
// error.
func (p *Painter) Paint(file []byte) ([]uint8, error) {
	clip, err := Decode(file, p.how.MaxSeconds)
	if err != nil {
		return nil, err
	}
	if clip.Peak() <= silence {
		return nil, errors.New("the recording is silent (of several channels, their mean)")
	}
	clip = Resample(clip, p.how.Rate)
	samples := p.cut(clip.Samples)
	if (Clip{Samples: samples}).Peak() <= silence {
		return nil, fmt.Errorf("the %g s that are taken of the recording are silent", p.how.Seconds)
	}
	mel, err := p.analyser.Mel(samples)
	if err != nil {
		return nil, err
	}
	Decibels(mel, p.how.Decibels)
	top := mel[0]
	for _, x := range mel {
		top = max(top, x)
	}
	frames := p.how.Frames()
	grey := make([]uint8, p.how.Mels*frames)
	floor, scale := top-float32(p.how.Decibels), 255/float32(p.how.Decibels)
	for t := range frames {
		for band, x := range mel[t*p.how.Mels : (t+1)*p.how.Mels] {
			grey[(p.how.Mels-1-band)*frames+t] = uint8(min(max((x-floor)*scale, 0), 255) + 0.5)
		}
	}
	return grey, nil
}

// cut keeps so many samples of a recording, or fills it with silence.
func (p *Painter) cut(samples []float32) []float32 {
	want := p.how.Samples()
	if len(samples) <= want {
		return append(make([]float32, 0, want), samples...)[:want]
	}
	from := 0
	switch p.how.Take {
	case record.TakeMiddle:
		from = (len(samples) - want) / 2
	case record.TakeLoudest:
		energy, most := 0.0, 0.0
		for i, s := range samples {
			energy += float64(s) * float64(s)
			if i >= want {
				energy -= float64(samples[i-want]) * float64(samples[i-want])
			}
			if i >= want-1 && energy > most {
				most, from = energy, i-want+1
			}
		}
	}
	return samples[from : from+want]
}
