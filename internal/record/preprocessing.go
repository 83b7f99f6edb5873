package record

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Preprocessing tells how pictures were turned into tensors. What reaches a
// network is (pixel/255 − Mean) / Std for each channel, in the order of
// Channels. Pixels that rest as uint8 are RGB whatever Channels says.
type Preprocessing struct {
	For       string     `json:"for,omitempty"` // the backbone it was taken from, if any
	Height    int        `json:"height"`        // pixels
	Width     int        `json:"width"`         // pixels
	Resize    string     `json:"resize"`        // one of the Resize rules
	ResizeTo  int        `json:"resize_to"`     // shortest: length of the shorter side before the crop
	Filter    string     `json:"filter"`        // one of the Filter names
	Channels  string     `json:"channels"`      // "rgb" or "bgr"
	Mean      [3]float32 `json:"mean"`          // of values in 0…1
	Std       [3]float32 `json:"std"`           // of values in 0…1
	Normalise string     `json:"normalise"`     // the name of Mean, Std and Channels; "custom" if given by values

	// Background is background colour for transparent images and letterbox padding,
	// as "#rrggbb"; "" for white.
	Background string `json:"background,omitempty"`

	Sound Spectrogram `json:"sound,omitzero"` // if set: the pictures are drawn of sound files
}

// Rules that bring a picture to Height × Width.
const (
	ResizeShortest  = "shortest"  // scale the shorter side to ResizeTo, crop the centre
	ResizeSquash    = "squash"    // scale both sides, whatever the aspect
	ResizeLetterbox = "letterbox" // scale to fit inside, pad with the background
)

// Interpolation filters, all with the area of support scaled when shrinking.
const (
	FilterBilinear = "bilinear"
	FilterBicubic  = "bicubic"
	FilterLanczos  = "lanczos"
)

// Normalisation returns a named normalisation: imagenet (torchvision, timm),
// inception (−1…1), caffe (BGR less the ImageNet mean, 0…255), none (0…1).
func Normalisation(name string) (mean, std [3]float32, channels string, ok bool) {
	switch name {
	case "imagenet":
		return [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}, "rgb", true
	case "inception":
		return [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}, "rgb", true
	case "clip":
		return [3]float32{0.48145466, 0.4578275, 0.40821073}, [3]float32{0.26862954, 0.26130258, 0.27577711}, "rgb", true
	case "caffe":
		const level = 1.0 / 255
		return [3]float32{103.939 * level, 116.779 * level, 123.68 * level}, [3]float32{level, level, level}, "bgr", true
	case "none":
		return [3]float32{}, [3]float32{1, 1, 1}, "rgb", true
	}
	return mean, std, "", false
}

// Encode gives the text that stands in metadata and traits.
func (p Preprocessing) Encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return string(text)
}

// ParsePreprocessing reads what Encode wrote.
func ParsePreprocessing(text string) (Preprocessing, error) {
	var p Preprocessing
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("read how the pixels were prepared: %w", err)
	}
	return p, nil
}

// Differences lists, for people, in what way the pixels that p describes are
// not what want asks for: values first, size last. The resize rule is not
// compared: it is a choice, not a mistake.
func (p Preprocessing) Differences(want Preprocessing) []string {
	var out []string
	if p.Channels != want.Channels {
		out = append(out, fmt.Sprintf("channels are %s, not %s", strings.ToUpper(p.Channels), strings.ToUpper(want.Channels)))
	}
	if !near(p.Mean, want.Mean) || !near(p.Std, want.Std) {
		out = append(out, fmt.Sprintf("normalised with mean %v and std %v, not mean %v and std %v", p.Mean, p.Std, want.Mean, want.Std))
	}
	if p.Height != want.Height || p.Width != want.Width {
		out = append(out, fmt.Sprintf("%d×%d pixels, not %d×%d", p.Width, p.Height, want.Width, want.Height))
	}
	return out
}

func near(a, b [3]float32) bool {
	for i := range a {
		if d := a[i] - b[i]; d > 1e-4 || d < -1e-4 {
			return false
		}
	}
	return true
}
