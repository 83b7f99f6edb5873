package report

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestRoundScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1e6, 1e6).Draw(t, "low")
		s := scale{low, low + rapid.Float64Range(0, 1e6).Draw(t, "width")}
		rounded, ticks := s.round(4)
		if slack := 1e-6 * (1 + math.Abs(s.low) + math.Abs(s.high)); rounded.low > s.low+slack || rounded.high < s.high-slack {
			t.Fatalf("%v to %v became %v to %v", s.low, s.high, rounded.low, rounded.high)
		}
		if len(ticks) < 2 || len(ticks) > 8 {
			t.Fatalf("%d ticks from %v to %v", len(ticks), rounded.low, rounded.high)
		}
		for i, tick := range ticks {
			if tick.At < -1e-6 || tick.At > 100+1e-6 {
				t.Fatalf("a tick at %v", tick.At)
			}
			if i > 0 && tick.Text == ticks[i-1].Text {
				t.Fatalf("two ticks read %s", tick.Text)
			}
		}
	})
}

func TestScaleOfNothing(t *testing.T) {
	if s, ticks := emptyScale().round(4); s != (scale{0, 1}) || len(ticks) == 0 {
		t.Errorf("scale %v, ticks %v", s, ticks)
	}
	if s := emptyScale().widen(math.NaN()).widen(math.Inf(1)); s != emptyScale() {
		t.Errorf("what is not finite widens a scale to %v", s)
	}
}

func TestCurveBreaksWhereThereIsNoValue(t *testing.T) {
	nan := math.NaN()
	s := scale{0, 4}
	got := curve([]float64{0, 1, 2, 3, 4}, []float64{nan, 1, 2, math.Inf(1), 4}, s, s, "c")
	if want := "M25 75L50 50M100 0"; got.Path != want || got.Class != "c" {
		t.Errorf("path %q, want %q", got.Path, want)
	}
}

func TestWords(t *testing.T) {
	for _, c := range [][2]string{
		{percent(0.9371), "93.7%"}, {percent(math.NaN()), "–"}, {percent(-0.0001), "0.0%"},
		{percentRange(0.88, 0.981), "88.0–98.1%"}, {percentRange(-0.03, 0.05), "−3.0 to 5.0%"}, {percentRange(math.NaN(), 1), ""},
		{points(0.31), "+31.0"}, {points(-0.005), "−0.5"}, {points(0.0001), "0.0"},
		{score(0.5123), "0.512"}, {score(12345.6), "12346"}, {scoreRange(0.1, 0.25), "0.100–0.250"},
		{chance(0.0004), "p\u00a0<\u00a00.001"}, {chance(0.0123), "p\u00a0=\u00a00.012"}, {chance(0.5), "p\u00a0=\u00a00.50"},
		{count(1234567), "1,234,567"}, {count(-1234), "-1,234"}, {count(-123), "-123"}, {count(12), "12"},
		{plural(1, "row"), "1 row"}, {plural(10000, "row"), "10,000 rows"},
		{seconds(0.01), "< 0.1 s"}, {seconds(1.24), "1.2 s"}, {seconds(33.6), "34 s"}, {seconds(74.2), "1 min 14 s"}, {seconds(7380), "2 h 3 min"},
		{inWords(nil), ""}, {inWords([]string{"a"}), "a"}, {inWords([]string{"a", "b", "c"}), "a, b and c"},
		{pointsInWords(0.31), "31 points"}, {pointsInWords(0.004), "0.4 points"}, {pointsInWords(0.01), "1 point"}, {pointsInWords(0.0), "0 points"},
	} {
		if c[0] != c[1] {
			t.Errorf("%q, want %q", c[0], c[1])
		}
	}
}

func TestShortenedTextFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		width := rapid.Float64Range(40, 200).Draw(t, "width")
		short, fits := shortened(text, width, 12), int(width/(0.56*12))
		switch {
		case textCells(text) <= fits && short != text:
			t.Fatalf("%q, which fits, became %q", text, short)
		case textCells(short) > fits:
			t.Fatalf("%q became %q, of %d cells in room for %d", text, short, textCells(short), fits)
		}
	})
	if got := shortened("efficientnet_lite0", 60, 12); got != "effi…te0" {
		t.Errorf("the middle is not what was cut: %q", got)
	}
}

func TestShortNames(t *testing.T) {
	for _, c := range []struct {
		names     []string
		keepStage bool
		want      []string
	}{
		{[]string{"head"}, false, []string{"head"}},
		{[]string{"head[w=a]"}, false, []string{"head"}},
		{[]string{"head[w=a]", "head[w=b]"}, false, []string{"a", "b"}},
		{[]string{"head[seed=1]", "head[seed=2]"}, false, []string{"seed 1", "seed 2"}},
		{[]string{"head[b=x,seed=1,w=a]", "head[b=x,seed=2,w=b]"}, false, []string{"seed 1 · a", "seed 2 · b"}},
		{[]string{"head[w=a]", "tail[w=a]"}, false, []string{"head", "tail"}},
		{[]string{"head[w=a]", "tail[w=b]"}, false, []string{"head · a", "tail · b"}},
		{[]string{"nearest centroid[w=a]", "nearest centroid[w=b]"}, true, []string{"nearest centroid · a", "nearest centroid · b"}},
		{[]string{"nearest centroid[features]", "nearest centroid[others]"}, true, []string{"nearest centroid · features", "nearest centroid · others"}},
		{[]string{"x[a=1]", "x[b=1]"}, false, []string{"x[a=1]", "x[b=1]"}}, // they would be alike
		{[]string{"odd]name[", "[x]"}, false, []string{"odd]name[", "[x]"}},
		{nil, false, nil},
	} {
		short := shortNames(c.names, c.keepStage)
		for i, name := range c.names {
			if short[name] != c.want[i] {
				t.Errorf("among %q, %s is called %q, want %q", c.names, name, short[name], c.want[i])
			}
		}
	}
}
