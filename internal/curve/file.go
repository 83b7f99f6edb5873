package curve

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"

	"github.com/tlpipe/tlpipe/internal/nn/train"
)

// Formats lists the endings of files that [File] writes.
func Formats() []string { return []string{".svg", ".png"} }

// File draws the curve into a file, in the format that its name asks for.
func File(path, title string, c *train.RateCurve) error {
	var format chartdraw.RendererProvider
	switch strings.ToLower(filepath.Ext(path)) {
	case ".svg":
		format = chartdraw.SVG
	case ".png":
		format = chartdraw.PNG
	default:
		return fmt.Errorf("draw %s: its name must end in one of %s", path, strings.Join(Formats(), ", "))
	}
	if len(c.Points) == 0 {
		return fmt.Errorf("draw %s: no step was taken", path)
	}
	var drawn bytes.Buffer
	if err := chart(title, c).Render(format, &drawn); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	if err := os.WriteFile(path, drawn.Bytes(), 0o644); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}

// chart is the smoothed loss over the logarithm of the rate, with a dashed line at each suggestion.
func chart(title string, c *train.RateCurve) chartdraw.Chart {
	least, most := bounds(c)
	if most <= least { // a flat curve needs an axis all the same
		most = least + 1
	}
	const left = chartdraw.YAxisSecondary
	loss := chartdraw.ContinuousSeries{YAxis: left, Style: chartdraw.Style{StrokeColor: drawing.ColorBlue, StrokeWidth: 2}}
	for _, p := range c.Points {
		loss.XValues = append(loss.XValues, math.Log10(p.Rate))
		loss.YValues = append(loss.YValues, min(p.Smoothed, most))
	}
	first, last := loss.XValues[0], loss.XValues[len(loss.XValues)-1]
	if last <= first {
		last = first + 1
	}
	series := []chartdraw.Series{loss}
	grey := chartdraw.Style{StrokeColor: drawing.ColorBlack.WithAlpha(150), StrokeWidth: 1, StrokeDashArray: []float64{4, 3}}
	for i, s := range suggestions(c) {
		x := math.Log10(s.rate)
		if x < first || x > last {
			continue
		}
		height := most - float64(i)*0.12*(most-least) // labels of neighbours do not cover each other
		series = append(series,
			chartdraw.ContinuousSeries{YAxis: left, Style: grey, XValues: []float64{x, x}, YValues: []float64{least, most}},
			chartdraw.AnnotationSeries{YAxis: left, Annotations: []chartdraw.Value2{{XValue: x, YValue: height, Label: fmt.Sprintf("%s %.1e", s.name, s.rate)}}})
	}
	return chartdraw.Chart{
		Title: title, Width: 960, Height: 540,
		Background: chartdraw.Style{Padding: chartdraw.Box{Top: 60, Left: 20, Right: 20, Bottom: 20}},
		XAxis:      chartdraw.XAxis{Name: "learning rate", Ticks: decades(first, last), Range: &chartdraw.ContinuousRange{Min: first, Max: last}},
		YAxis:      chartdraw.YAxis{Style: chartdraw.Hidden(), Range: &chartdraw.ContinuousRange{Max: 1}},
		YAxisSecondary: chartdraw.YAxis{Name: "loss", Range: &chartdraw.ContinuousRange{Min: least, Max: most},
			ValueFormatter: func(v any) string { return strconv.FormatFloat(v.(float64), 'g', 3, 64) }},
		Series: series,
	}
}

// decades marks the powers of ten between two logarithms, and where the axis begins and ends.
func decades(first, last float64) []chartdraw.Tick {
	ticks := []chartdraw.Tick{{Value: first}}
	for x := math.Ceil(first); x <= last; x++ {
		ticks = append(ticks, chartdraw.Tick{Value: x, Label: fmt.Sprintf("1e%+03.0f", x)})
	}
	return append(ticks, chartdraw.Tick{Value: last})
}
