package curve

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/tlpipe/tlpipe/internal/nn/train"
)

// Formats lists the endings of files that [File] writes.
func Formats() []string { return []string{".svg", ".png"} }

// File draws the curve into a file, 16 cm by 9 cm, in the format that its name asks for.
func File(path, title string, c *train.RateCurve) error {
	if !slices.Contains(Formats(), strings.ToLower(filepath.Ext(path))) {
		return fmt.Errorf("draw %s: its name must end in one of %s", path, strings.Join(Formats(), ", "))
	}
	if len(c.Points) == 0 {
		return fmt.Errorf("draw %s: no step was taken", path)
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, "learning rate", "loss"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	least, most := bounds(c)
	points := make(plotter.XYs, len(c.Points))
	for i, point := range c.Points {
		points[i] = plotter.XY{X: point.Rate, Y: min(point.Smoothed, most)}
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	p.Add(line)
	for _, s := range suggestions(c) {
		mark, err := plotter.NewLine(plotter.XYs{{X: s.rate, Y: least}, {X: s.rate, Y: most}})
		if err != nil {
			return fmt.Errorf("draw %s: %w", path, err)
		}
		mark.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		label, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: s.rate, Y: most}}, Labels: []string{s.name}})
		if err != nil {
			return fmt.Errorf("draw %s: %w", path, err)
		}
		p.Add(mark, label)
	}
	if err := p.Save(16*vg.Centimeter, 9*vg.Centimeter, path); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	return nil
}
