package picture

import (
	"fmt"
	"sync"

	"github.com/tlpipe/tlpipe/internal/audio"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Preparation makes what a network takes of the bytes of a picture file. It is the one place that carries out the
// transforms of pictures: training and prediction share it. It may be used by several goroutines.
type Preparation struct {
	fit       Fit
	normalise Normaliser
	sound     *record.Spectrogram // if the files hold sound
	painters  sync.Pool           // of *audio.Painter
}

// Prepare makes a preparation of transforms: decode and upright, or spectrogram for files of sound, then resize, crop or pad as the
// rule of the resize needs it, normalise. Others are an error that names them.
func Prepare(steps record.Transforms) (*Preparation, error) {
	p := &Preparation{}
	next := func(kind string) (record.Transform, error) {
		if len(steps) == 0 {
			return nil, fmt.Errorf("the transform %s is missing", kind)
		}
		step := steps[0]
		if step.Kind() != kind {
			return nil, fmt.Errorf("the transform %s stands where pictures need %s", step.Kind(), kind)
		}
		steps = steps[1:]
		return step, nil
	}
	var backgrounds []string
	if len(steps) > 0 && steps.OfSound() {
		sound := steps[0].(record.SpectrogramStep).Spectrogram
		if _, err := audio.NewPainter(sound); err != nil {
			return nil, err
		}
		p.sound, steps = &sound, steps[1:]
		backgrounds = append(backgrounds, "#000000")
	} else {
		decode, err := next(record.DecodeStep{}.Kind())
		if err != nil {
			return nil, err
		}
		backgrounds = append(backgrounds, decode.(record.DecodeStep).Background)
		if _, err := next(record.UprightStep{}.Kind()); err != nil {
			return nil, err
		}
	}
	step, err := next(record.ResizeStep{}.Kind())
	if err != nil {
		return nil, err
	}
	resize := step.(record.ResizeStep)
	p.fit = Fit{Width: resize.Width, Height: resize.Height, Rule: resize.Rule, Short: resize.Shorter, Filter: resize.Filter}
	switch resize.Rule {
	case record.ResizeShortest:
		step, err := next(record.CropStep{}.Kind())
		if err != nil {
			return nil, err
		}
		crop := step.(record.CropStep)
		p.fit.Width, p.fit.Height = crop.Width, crop.Height
		backgrounds = append(backgrounds, crop.Background)
	case record.ResizeLetterbox:
		step, err := next(record.PadStep{}.Kind())
		if err != nil {
			return nil, err
		}
		pad := step.(record.PadStep)
		if pad.Width != p.fit.Width || pad.Height != p.fit.Height {
			return nil, fmt.Errorf("pictures that fit into %d×%d pixels are padded to %d×%d", p.fit.Width, p.fit.Height, pad.Width, pad.Height)
		}
		backgrounds = append(backgrounds, pad.Background)
	}
	step, err = next(record.NormaliseStep{}.Kind())
	if err != nil {
		return nil, err
	}
	if len(steps) > 0 {
		return nil, fmt.Errorf("the transform %s stands after %s", steps[0].Kind(), step.Kind())
	}
	p.normalise = NewNormaliser(step.(record.NormaliseStep))
	for _, text := range backgrounds {
		if text != backgrounds[0] {
			return nil, fmt.Errorf("transparent pictures have the background %s, frames %s", backgrounds[0], text)
		}
	}
	if p.fit.Background, err = ParseColour(backgrounds[0]); err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	return p, p.fit.Validate()
}

// Height of the result in pixels.
func (p *Preparation) Height() int { return p.fit.Height }

// Width of the result in pixels.
func (p *Preparation) Width() int { return p.fit.Width }

// Size is how many numbers a picture becomes: 3·Height·Width.
func (p *Preparation) Size() int { return 3 * p.fit.Height * p.fit.Width }

// Pixels does all but normalise: dst has room for Size bytes.
func (p *Preparation) Pixels(d *Decoder, dst []uint8, file []byte) error {
	if p.sound == nil {
		return d.Fit(dst, file, p.fit)
	}
	painter, _ := p.painters.Get().(*audio.Painter)
	if painter == nil {
		var err error
		if painter, err = audio.NewPainter(*p.sound); err != nil {
			return err
		}
	}
	defer p.painters.Put(painter)
	grey, err := painter.Paint(file)
	if err != nil {
		return err
	}
	drawn := Picture{Width: p.sound.Frames(), Height: p.sound.Mels, Pixels: make([]uint8, 3*len(grey))}
	for i, level := range grey {
		drawn.Pixels[3*i], drawn.Pixels[3*i+1], drawn.Pixels[3*i+2] = level, level, level
	}
	return d.fitDecoded(dst, drawn, p.fit)
}

// OfSound tells whether files of sound are taken.
func (p *Preparation) OfSound() bool { return p.sound != nil }

// Normalise turns pixels into what a network takes.
func (p *Preparation) Normalise(dst []float32, pixels []uint8) { p.normalise.Apply(dst, pixels) }
