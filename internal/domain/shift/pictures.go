package shift

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Look is what is simple to measure of a picture, of values 0 … 1.
type Look struct {
	Brightness float64 // mean luma (ITU-R BT.601)
	Contrast   float64 // standard deviation of luma
	Sharpness  float64 // mean absolute difference of luma from the mean of its four neighbours
	Saturation float64 // mean of (max − min)/max of the channels
	Warmth     float64 // mean red less mean blue, −1 … 1
}

// LookOf measures a picture of [height][width][3] bytes in RGB.
func LookOf(pixels []byte, height, width int) (Look, error) {
	n := height * width
	if n == 0 || len(pixels) != 3*n {
		return Look{}, fmt.Errorf("%d bytes for a picture of %d×%d", len(pixels), height, width)
	}
	luma := make([]float64, n)
	var l Look
	for i := range luma {
		r, g, b := float64(pixels[3*i]), float64(pixels[3*i+1]), float64(pixels[3*i+2])
		luma[i] = (0.299*r + 0.587*g + 0.114*b) / 255
		l.Brightness += luma[i]
		l.Warmth += (r - b) / 255
		if high := max(r, g, b); high > 0 {
			l.Saturation += (high - min(r, g, b)) / high
		}
	}
	l.Brightness /= float64(n)
	l.Warmth /= float64(n)
	l.Saturation /= float64(n)
	for y := range height {
		for x := range width {
			at := y*width + x
			l.Contrast += (luma[at] - l.Brightness) * (luma[at] - l.Brightness)
			around := luma[max(y-1, 0)*width+x] + luma[min(y+1, height-1)*width+x] + luma[y*width+max(x-1, 0)] + luma[y*width+min(x+1, width-1)]
			l.Sharpness += math.Abs(luma[at] - around/4)
		}
	}
	l.Contrast = math.Sqrt(l.Contrast / float64(n))
	l.Sharpness /= float64(n)
	return l, nil
}

// Cause is a property of pictures in both domains.
type Cause struct {
	Name           string
	Source, Target float64 // means
	// Effect is the difference of the means in units of the pooled standard deviation (Cohen's d): 0.2 is small, 0.8 large.
	Effect float64
}

// Causes compares the looks of pictures of both domains, the largest effect first. Each has at least two.
func Causes(source, target []Look) ([]Cause, error) {
	if len(source) < 2 || len(target) < 2 {
		return nil, fmt.Errorf("%d pictures of the source and %d of the target; at least 2 of each", len(source), len(target))
	}
	var out []Cause
	for _, property := range []struct {
		name string
		of   func(Look) float64
	}{
		{"brightness", func(l Look) float64 { return l.Brightness }}, {"contrast", func(l Look) float64 { return l.Contrast }},
		{"sharpness", func(l Look) float64 { return l.Sharpness }}, {"saturation", func(l Look) float64 { return l.Saturation }},
		{"warmth", func(l Look) float64 { return l.Warmth }},
	} {
		c, err := CauseOf(property.name, valuesOf(source, property.of), valuesOf(target, property.of))
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Cause) int { return cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)) })
	return out, nil
}

// CauseOf compares a property of pictures of both domains. Each has at least two.
func CauseOf(name string, source, target []float64) (Cause, error) {
	if len(source) < 2 || len(target) < 2 {
		return Cause{}, fmt.Errorf("%d pictures of the source and %d of the target; at least 2 of each", len(source), len(target))
	}
	a, va := momentsOf(source)
	b, vb := momentsOf(target)
	n, m := float64(len(source)), float64(len(target))
	pooled := math.Sqrt(((n-1)*va + (m-1)*vb) / (n + m - 2))
	c := Cause{Name: name, Source: a, Target: b}
	if d := b - a; math.Abs(d) > 1e-9 {
		c.Effect = d / max(pooled, 1e-6)
	}
	return c, nil
}

func valuesOf(looks []Look, of func(Look) float64) (out []float64) {
	for _, l := range looks {
		out = append(out, of(l))
	}
	return out
}

func momentsOf(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, variance
}
