package exchange

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Check is how a file compares with the model that it is of.
type Check struct {
	Pictures int
	Largest  float64 // difference of a number
	Same     int     // pictures of which the most probable class is the same; all, where the model tells no class
}

// tolerance is the difference that files of a precision may make, in probabilities.
func (r Request) tolerance() float64 {
	switch r.Precision {
	case Float32:
		return 1e-4
	case Float16:
		return 0.05
	}
	return math.Inf(1) // int8 is judged on the user's own pictures, by the stage that made it
}

// computed is what a file gives for the pixels of a picture.
type computed func(pixels []uint8) ([]float32, error)

// examples are pictures, and what the model tells of them.
type examples struct {
	pixels  [][]uint8
	answers [][]float32
}

// examples computes the model on pictures; nil if it takes none.
func (r Request) examples(pool *kernel.Pool) (*examples, error) {
	if r.Model.Pixels == nil {
		return nil, nil
	}
	pictures, err := pixels(r.Model, r.Pictures)
	if err != nil {
		return nil, fmt.Errorf("pictures to check on: %w", err)
	}
	var scheme *quantise.Scheme
	if r.Precision == Int8 {
		scheme = r.Scheme
	}
	program, err := r.Model.Compile(scheme)
	if err != nil {
		return nil, err
	}
	session := program.NewSession(1)
	out := &examples{pixels: pictures}
	for _, p := range pictures {
		answers := make([]float32, program.OutputShape(0).Size())
		if err := session.Run(pool, r.Model.Pixels.Input(p), 1, answers); err != nil {
			return nil, err
		}
		out.answers = append(out.answers, answers)
	}
	return out, nil
}

// compare holds a file against the model on pictures.
func compare(r Request, e *examples, file computed) (*Check, error) {
	check := &Check{Pictures: len(e.pixels)}
	for i, p := range e.pixels {
		want := e.answers[i]
		got, err := file(p)
		if err != nil {
			return nil, err
		}
		if len(got) != len(want) {
			return nil, fmt.Errorf("it gives %d numbers a picture, the model %d", len(got), len(want))
		}
		scale := 1.0
		if r.Model.Head.Task == record.Regression {
			for _, v := range want {
				scale = max(scale, math.Abs(float64(v)))
			}
		}
		for i, v := range want {
			d := math.Abs(float64(v)-float64(got[i])) / scale
			if math.IsNaN(d) {
				return nil, errors.New("it gives what is not a number")
			}
			check.Largest = max(check.Largest, d)
		}
		if r.Model.Head.Task == record.Regression || greatest(got) == greatest(want) {
			check.Same++
		}
	}
	if check.Largest > r.tolerance() {
		return nil, fmt.Errorf("on %d pictures it differs from the model by up to %.3g, more than %.3g", check.Pictures, check.Largest, r.tolerance())
	}
	return check, nil
}

func greatest(x []float32) int {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}

// pixels are those of embedded pictures, prepared as the model's are.
func pixels(m *deploy.Model, n int) ([][]uint8, error) {
	steps := m.Description.Inputs[0].Transforms.WithoutFeatures().OfPictures()
	preparation, err := picture.Prepare(steps)
	if err != nil {
		return nil, err
	}
	set, err := emoji.Open()
	if err != nil {
		return nil, err
	}
	rows := set.Rows()
	decoder := picture.NewDecoder()
	var out [][]uint8
	for i := range n {
		data, err := set.Read(rows[i*len(rows)/n].ID)
		if err != nil {
			return nil, err
		}
		levels := make([]uint8, preparation.Size())
		if err := preparation.Pixels(decoder, levels, data); err != nil {
			return nil, err
		}
		out = append(out, levels)
	}
	return out, nil
}
