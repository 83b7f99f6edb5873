package explain

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// A square of a quarter of the picture's sides is moved in steps of half of it: occlusions are the places of a side, squared.
const (
	occlusionPlaces = 7
	occlusions      = occlusionPlaces * occlusionPlaces
)

// occlude makes the explainer one by occlusion.
func (e *Explainer) occlude(parts []part) error {
	for _, p := range parts {
		program, err := frozen.Compile(p.net, p.weights)
		if err != nil {
			return err
		}
		e.stages = append(e.stages, program.NewSession(1))
		e.shapes = append(e.shapes, program.OutputShape(0))
	}
	return nil
}

// answer runs the model.
func (e *Explainer) answer(pixels []float32, output int) (float64, error) {
	x := pixels
	for i, session := range e.stages {
		y := make([]float32, e.shapes[i].Size())
		if err := session.Run(nil, x, 1, y); err != nil {
			return 0, err
		}
		if i == 0 && e.mirror && len(e.stages) == 2 {
			m := make([]float32, len(y))
			if err := session.Run(nil, mirrorOf(pixels, e.size), 1, m); err != nil {
				return 0, err
			}
			if len(e.shapes[0]) == 3 {
				m = mirrorOf(m, e.shapes[0])
			}
			for k, v := range m {
				y[k] = (y[k] + v) / 2
			}
		}
		x = y
	}
	if output >= len(x) {
		return 0, fmt.Errorf("output %d of %d", output, len(x))
	}
	return float64(x[output]), nil
}

// occlusion covers each place in turn. 0 is the mean colour of normalised pictures, or near it.
func (e *Explainer) occlusion(pixels []float32, output int) (Map, error) {
	whole, err := e.answer(pixels, output)
	if err != nil {
		return Map{}, err
	}
	height, width := e.size[0], e.size[1]
	covered := make([]float32, len(pixels))
	heat := make([]float64, occlusions)
	for place := range heat {
		// The square is 2/8 of a side; its corner goes from 0/8 to 6/8.
		top, left := place/occlusionPlaces*height/8, place%occlusionPlaces*width/8
		copy(covered, pixels)
		for y := top; y < min(top+max(height/4, 1), height); y++ {
			for x := left; x < min(left+max(width/4, 1), width); x++ {
				clear(covered[(y*width+x)*3 : (y*width+x)*3+3])
			}
		}
		p, err := e.answer(covered, output)
		if err != nil {
			return Map{}, err
		}
		heat[place] = whole - p
	}
	return scaled(heat, occlusionPlaces, occlusionPlaces, Occlusion), nil
}
