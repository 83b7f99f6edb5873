package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/explain"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/predict"
)

// explanations writes, for each picture, what its most probable class rests on: a PNG of the picture as the network sees it, and
// beside it the heat map. A nil one writes nothing.
type explanations struct {
	explainer *explain.Explainer
	names     []string
	folder    string
	taken     map[string]bool // names of files written
	method    explain.Method
}

func newExplanations(stored *classifier.Classifier, weights, folder string) (*explanations, error) {
	e, err := explain.New(stored, weights)
	if err != nil {
		return nil, fmt.Errorf("explain answers: %w", err)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("folder of heat maps: %w", err)
	}
	return &explanations{explainer: e, names: stored.Head().Names(), folder: folder, taken: map[string]bool{}}, nil
}

// write makes the PNG of a picture that was answered.
func (x *explanations) write(path string, all []predict.Prediction) error {
	if x == nil || len(all) == 0 {
		return nil
	}
	file, err := budget.ReadFile(path, predict.MaxFile)
	if err != nil {
		return err
	}
	seen, heat, err := x.explainer.File(file, slices.Index(x.names, all[0].Label))
	if err != nil {
		return fmt.Errorf("explain %s: %w", path, err)
	}
	x.method = heat.Method
	const gap = 8
	width, height := seen.Bounds().Dx(), seen.Bounds().Dy()
	both := image.NewNRGBA(image.Rect(0, 0, 2*width+gap, height))
	draw.Draw(both, both.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(both, seen.Bounds(), seen, image.Point{}, draw.Src)
	draw.Draw(both, image.Rect(width+gap, 0, 2*width+gap, height), explain.Overlay(seen, heat), image.Point{}, draw.Src)
	return writeFile(filepath.Join(x.folder, x.nameOf(path)), func(w io.Writer) error { return png.Encode(w, both) })
}

// nameOf is a name for the heat map that no other picture of this call has: that of the picture, with a number where two pictures of
// several folders have the same.
func (x *explanations) nameOf(path string) string {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	for i := 1; ; i++ {
		name := base + ".explained.png"
		if i > 1 {
			name = fmt.Sprintf("%s-%d.explained.png", base, i)
		}
		if !x.taken[name] {
			x.taken[name] = true
			return name
		}
	}
}
