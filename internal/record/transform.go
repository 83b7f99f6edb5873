package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
)

// Transform is a step from what a row holds to what a network takes. Steps are data here; package
// picture carries out those of pictures, package features that of a backbone, package textinput those of texts.
//
// In JSON a step is {"transform": Kind, "with": its fields}.
type Transform interface {
	// Kind is the word for the step.
	Kind() string
	// String tells in words what it does.
	String() string
	check() error
}

// DecodeStep makes pixels of the bytes of a picture file: the first frame, RGB, 8 bits a channel, over a
// background where it is transparent.
type DecodeStep struct {
	Background string `json:"background"` // "#rrggbb"
}

// UprightStep turns and mirrors pixels as the file says that they are to be seen.
type UprightStep struct{}

// ResizeStep scales pixels by one of the Resize rules: shortest scales the shorter side to Shorter, the
// longer in proportion, rounded down; squash scales to Height × Width; letterbox scales, in
// proportion, to what fits into Height × Width, rounded half up. Filters have their support scaled
// when they shrink, as Pillow's.
type ResizeStep struct {
	Rule    string `json:"rule"`
	Shorter int    `json:"shorter,omitempty"` // pixels
	Height  int    `json:"height,omitempty"`  // pixels
	Width   int    `json:"width,omitempty"`   // pixels
	Filter  string `json:"filter"`            // one of the Filter names
}

// CropStep cuts Height × Width out of the centre, with offsets rounded half to even, and pads with the
// background where there is less.
type CropStep struct {
	Height     int    `json:"height"` // pixels
	Width      int    `json:"width"`  // pixels
	Background string `json:"background"`
}

// PadStep puts pixels into the centre of Height × Width of the background, with offsets rounded down.
type PadStep struct {
	Height     int    `json:"height"` // pixels
	Width      int    `json:"width"`  // pixels
	Background string `json:"background"`
}

// NormaliseStep makes (v/Divisor − Mean) / Std of each value of a channel, as float32, in the order of
// Channels. Mean and Std are in that order too.
type NormaliseStep struct {
	Name     string     `json:"name,omitempty"` // of these values, if they have one; see [Normalisation]
	Channels string     `json:"channels"`       // "rgb" or "bgr"
	Divisor  float64    `json:"divisor"`
	Mean     [3]float32 `json:"mean"`
	Std      [3]float32 `json:"std"`
}

// FeaturesStep runs a frozen backbone up to a layer. The backbone is not part of the model: it is found
// by name and its weights by digest.
type FeaturesStep struct{ Extraction }

// UnknownStep is a step that this version of the program does not know.
type UnknownStep struct {
	Name string
	With json.RawMessage
}

func (DecodeStep) Kind() string     { return "decode" }
func (UprightStep) Kind() string    { return "upright" }
func (ResizeStep) Kind() string     { return "resize" }
func (CropStep) Kind() string       { return "crop" }
func (PadStep) Kind() string        { return "pad" }
func (NormaliseStep) Kind() string  { return "normalise" }
func (FeaturesStep) Kind() string   { return "features" }
func (u *UnknownStep) Kind() string { return u.Name }

func (d DecodeStep) String() string {
	return "decode to 8-bit RGB, " + d.Background + " behind transparent parts"
}
func (UprightStep) String() string { return "turn upright, as the file says" }

func (r ResizeStep) String() string {
	switch r.Rule {
	case ResizeShortest:
		return fmt.Sprintf("resize the shorter side to %d pixels, %s", r.Shorter, r.Filter)
	case ResizeLetterbox:
		return fmt.Sprintf("resize to fit into %d×%d pixels, %s", r.Width, r.Height, r.Filter)
	}
	return fmt.Sprintf("resize to %d×%d pixels whatever the aspect, %s", r.Width, r.Height, r.Filter)
}

func (c CropStep) String() string {
	return fmt.Sprintf("crop the centre to %d×%d pixels", c.Width, c.Height)
}
func (p PadStep) String() string {
	return fmt.Sprintf("pad to %d×%d pixels with %s", p.Width, p.Height, p.Background)
}

func (n NormaliseStep) String() string {
	name := ""
	if n.Name != "" {
		name = " as " + n.Name
	}
	return fmt.Sprintf("normalise%s: %s, divided by %g, mean %v, standard deviation %v", name, strings.ToUpper(n.Channels), n.Divisor, n.Mean, n.Std)
}

func (f FeaturesStep) String() string {
	text := fmt.Sprintf("features of the frozen backbone %s", f.Backbone)
	if f.Weights != "" {
		text += ", weights " + f.Weights
	}
	text += fmt.Sprintf(", layer %s, %s", f.Layer, f.Precision)
	if f.Flip {
		text += ", averaged over the picture and its mirror image"
	}
	return text
}

func (u *UnknownStep) String() string { return u.Name + ", which this version of tlpipe does not know" }

// maxPixels bounds the sides of pictures.
const maxPixels = 16384

func checkSide(what string, n int) error {
	if n < 1 || n > maxPixels {
		return fmt.Errorf("%s of %d pixels is not a size", what, n)
	}
	return nil
}

func (DecodeStep) check() error  { return nil }
func (UprightStep) check() error { return nil }

func (r ResizeStep) check() error {
	if r.Rule == ResizeShortest {
		return checkSide("a shorter side", r.Shorter)
	}
	return checkSize(r.Height, r.Width)
}

func (c CropStep) check() error { return checkSize(c.Height, c.Width) }
func (p PadStep) check() error  { return checkSize(p.Height, p.Width) }

func checkSize(height, width int) error {
	if err := checkSide("a height", height); err != nil {
		return err
	}
	return checkSide("a width", width)
}

func (n NormaliseStep) check() error {
	if n.Channels != "rgb" && n.Channels != "bgr" {
		return fmt.Errorf("channels %q are not rgb or bgr", n.Channels)
	}
	if !(n.Divisor > 0) || math.IsInf(n.Divisor, 0) {
		return fmt.Errorf("%v is not a divisor", n.Divisor)
	}
	for _, s := range n.Std {
		if s == 0 {
			return fmt.Errorf("a standard deviation of 0")
		}
	}
	return nil
}

func (FeaturesStep) check() error   { return nil }
func (u *UnknownStep) check() error { return nil }

// Transforms are steps in the order in which they are taken.
type Transforms []Transform

// knownTransforms is a step of each sort.
func knownTransforms() []Transform {
	return []Transform{DecodeStep{}, UprightStep{}, ResizeStep{}, CropStep{}, PadStep{}, NormaliseStep{}, FeaturesStep{}, SpectrogramStep{},
		ReadTextStep{}, TokensStep{}, EncodingStep{}, TermsStep{}, WordMeanStep{}}
}

type jsonTransform struct {
	Transform string          `json:"transform"`
	With      json.RawMessage `json:"with,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (t Transforms) MarshalJSON() ([]byte, error) {
	out := make([]jsonTransform, len(t))
	for i, step := range t {
		out[i].Transform = step.Kind()
		if u, ok := step.(*UnknownStep); ok {
			out[i].With = u.With
			continue
		}
		with, err := json.Marshal(step)
		if err != nil {
			return nil, fmt.Errorf("transform %s: %w", step.Kind(), err)
		}
		if string(with) != "{}" {
			out[i].With = with
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler. A step of an unknown sort becomes an *[UnknownStep],
// and so does one with a field that is not known: what it does cannot be guessed.
func (t *Transforms) UnmarshalJSON(data []byte) error {
	var in []jsonTransform
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if len(in) > maxTransforms {
		return fmt.Errorf("%d transforms are more than the %d allowed", len(in), maxTransforms)
	}
	*t = nil
	for _, step := range in {
		read, err := parseTransform(step)
		if err != nil {
			return fmt.Errorf("transform %q: %w", step.Transform, err)
		}
		*t = append(*t, read)
	}
	return nil
}

// maxTransforms bounds how many steps an input may have.
const maxTransforms = 256

func parseTransform(step jsonTransform) (Transform, error) {
	for _, known := range knownTransforms() {
		if known.Kind() != step.Transform {
			continue
		}
		target := reflect.New(reflect.TypeOf(known))
		if len(step.With) > 0 {
			d := json.NewDecoder(bytes.NewReader(step.With))
			d.DisallowUnknownFields()
			if err := d.Decode(target.Interface()); err != nil {
				if json.Unmarshal(step.With, target.Interface()) == nil {
					break // only a field is not known
				}
				return nil, err
			}
			if _, err := d.Token(); err != io.EOF {
				return nil, fmt.Errorf("there is more after its fields")
			}
		}
		read := target.Elem().Interface().(Transform)
		return read, read.check()
	}
	return &UnknownStep{Name: step.Transform, With: step.With}, nil
}

// Check tells what is wrong with a step.
func (t Transforms) Check() error {
	if len(t) > maxTransforms {
		return fmt.Errorf("%d transforms are more than the %d allowed", len(t), maxTransforms)
	}
	for _, step := range t {
		if err := step.check(); err != nil {
			return fmt.Errorf("transform %q: %w", step.Kind(), err)
		}
	}
	return nil
}

// Unknown returns the first step that this version of the program does not know; nil if there is none.
func (t Transforms) Unknown() *UnknownStep {
	for _, step := range t {
		if u, ok := step.(*UnknownStep); ok {
			return u
		}
	}
	return nil
}

// Extraction returns the extraction by which the steps make features; false if they make none.
func (t Transforms) Extraction() (Extraction, bool) {
	if n := len(t); n > 0 {
		if f, ok := t[n-1].(FeaturesStep); ok {
			return f.Extraction, true
		}
	}
	return Extraction{}, false
}

// WithoutFeatures are the steps before those of a backbone.
func (t Transforms) WithoutFeatures() Transforms {
	if _, ok := t.Extraction(); ok {
		return t[:len(t)-1]
	}
	return t
}

// TransformsOf are the steps that the metadata of images or features tells of, by TransformsKey, or by PreprocessingKey and
// ExtractionKey. Without the first two it is not known how pictures were prepared: there are none but that
// of the features.
func TransformsOf(metadata map[string]string) (steps Transforms, err error) {
	if text, ok := metadata[TransformsKey]; ok {
		if err := json.Unmarshal([]byte(text), &steps); err != nil {
			return nil, fmt.Errorf("read how features were made: %w", err)
		}
		return steps, nil
	}
	if text, ok := metadata[PreprocessingKey]; ok {
		p, err := ParsePreprocessing(text)
		if err != nil {
			return nil, err
		}
		steps = p.Transforms()
		if err := steps.Check(); err != nil {
			return nil, fmt.Errorf("how the pictures were prepared: %w", err)
		}
	}
	if text, ok := metadata[ExtractionKey]; ok {
		made, err := ParseExtraction(text)
		if err != nil {
			return nil, err
		}
		steps = append(steps, FeaturesStep{made})
	}
	return steps, nil
}

// defaultBackground is the colour of Preprocessing.Background "".
const defaultBackground = "#ffffff"

// Transforms are the steps that p sums up.
func (p Preprocessing) Transforms() Transforms {
	background := p.Background
	if background == "" {
		background = defaultBackground
	}
	steps := Transforms{DecodeStep{background}, UprightStep{}}
	if p.Sound != (Spectrogram{}) {
		steps = Transforms{SpectrogramStep{p.Sound}}
	}
	switch p.Resize {
	case ResizeShortest:
		steps = append(steps, ResizeStep{Rule: p.Resize, Shorter: p.ResizeTo, Filter: p.Filter}, CropStep{p.Height, p.Width, background})
	case ResizeLetterbox:
		steps = append(steps, ResizeStep{Rule: p.Resize, Height: p.Height, Width: p.Width, Filter: p.Filter}, PadStep{p.Height, p.Width, background})
	default:
		steps = append(steps, ResizeStep{Rule: p.Resize, Height: p.Height, Width: p.Width, Filter: p.Filter})
	}
	return append(steps, p.Normalisation())
}

// Normalisation is the last of the steps that p sums up.
func (p Preprocessing) Normalisation() NormaliseStep {
	return NormaliseStep{Name: p.Normalise, Channels: p.Channels, Divisor: 255, Mean: p.Mean, Std: p.Std}
}
