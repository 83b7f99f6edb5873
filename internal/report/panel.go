package report

import (
	"math"
	"strconv"
	"strings"
)

// panel is one small plot. Places are percentages of its area, y upwards, so
// that it can be drawn at any size.
type panel struct {
	Title          string
	Label          string // says the plot in words
	XName, YName   string
	XTicks, YTicks []tick
	Lines          []line
	Marks          []mark
	Rules          []rule
	Bars           []bar
	Spans          []stretch // named above the area
	Square         bool
}

type tick struct {
	At   float64
	Text string
}

// line is a curve: an SVG path in a square of 100 × 100, y downwards.
type line struct{ Path, Class string }

// mark is a symbol at a point.
type mark struct {
	X, Y   float64
	Symbol int // of the symbols of the page
	Large  bool
	Class  string
	Title  string
}

// rule is a straight stroke.
type rule struct {
	X1, Y1, X2, Y2 float64
	Class          string
}

// bar stands on the x axis.
type bar struct {
	X, Width, Height float64
	Class, Title     string
}

// stretch is a part of the x axis that has a name.
type stretch struct {
	X, Width float64
	Text     string
}

// Down turns a height into SVG's direction.
func (m mark) Down() float64   { return 100 - m.Y }
func (r rule) Down1() float64  { return 100 - r.Y1 }
func (r rule) Down2() float64  { return 100 - r.Y2 }
func (t tick) Down() float64   { return 100 - t.At }
func (b bar) Down() float64    { return 100 - b.Height }
func (p panel) HasTitle() bool { return p.Title != "" }

// scale maps numbers from low to high to 0…100.
type scale struct{ low, high float64 }

func (s scale) at(x float64) float64 {
	if s.high == s.low {
		return 50
	}
	return 100 * (x - s.low) / (s.high - s.low)
}

// widen makes the scale include x.
func (s scale) widen(x float64) scale {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return s
	}
	return scale{math.Min(s.low, x), math.Max(s.high, x)}
}

// empty is the scale that widen starts from.
func emptyScale() scale { return scale{math.Inf(1), math.Inf(-1)} }

// round extends the scale to whole steps and returns about so many ticks.
func (s scale) round(about int) (scale, []tick) {
	if s.low > s.high { // nothing was shown to it
		s = scale{0, 1}
	}
	size := math.Max(math.Abs(s.low), math.Abs(s.high))
	if s.high-s.low <= 1e-9*size { // no more than noise
		pad := math.Max(size/10, 0.1)
		s = scale{s.low - pad, s.high + pad}
	}
	step := niceStep((s.high - s.low) / float64(about))
	out := scale{math.Floor(s.low/step+1e-9) * step, math.Ceil(s.high/step-1e-9) * step}
	return out, out.ticks(step)
}

func (s scale) ticks(step float64) []tick {
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	first := math.Ceil(s.low/step - 1e-9)
	var ticks []tick
	for k := range int(math.Floor(s.high/step+1e-9)-first) + 1 {
		x := (first + float64(k)) * step
		ticks = append(ticks, tick{s.at(x), signed(x, decimals)})
	}
	return ticks
}

// niceStep is the next of 1, 2, 5 times a power of ten.
func niceStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if x <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// curve draws a line through points, broken where a value is not finite.
func curve(xs, ys []float64, x, y scale, class string) line {
	var path strings.Builder
	pen := "M"
	for i := range xs {
		if math.IsNaN(ys[i]) || math.IsInf(ys[i], 0) {
			pen = "M"
			continue
		}
		path.WriteString(pen)
		path.WriteString(decimal(x.at(xs[i])))
		path.WriteByte(' ')
		path.WriteString(decimal(100 - y.at(ys[i])))
		pen = "L"
	}
	return line{path.String(), class}
}

// decimal writes a place with two decimals at most.
func decimal(x float64) string {
	return strconv.FormatFloat(math.Round(100*x)/100, 'f', -1, 64)
}
