package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// span is a piece of a sentence.
type span struct {
	Text   string
	Strong bool
}

func plain(format string, args ...any) span { return span{Text: fmt.Sprintf(format, args...)} }
func strong(text string) span               { return span{Text: text, Strong: true} }

// headline says in a sentence or two what an evaluation found: the best model's accuracy, and beside it the other models and
// the best baseline. One is said to be ahead of another only where the paired test shows it.
func (e *evaluation) headline() []span {
	trained := e.trained()
	if len(trained) == 0 {
		return []span{plain("No model was measured.")}
	}
	if !e.ofOneClass() {
		return e.targetHeadline()
	}
	best := trained[0]
	accuracy := best.accuracy()
	rows := plural(accuracy.Rows, e.about.Split+" row")
	if c := best.coverage; c.Scored < c.Labelled {
		rows += fmt.Sprintf(" (of %s with a label)", count(c.Labelled))
	}
	out := []span{strong(best.short), plain(" gets "), strong(percent(accuracy.Value)), plain(" of %s right", rows)}
	if n := best.seeds(); n > 0 {
		out = append(out, plain(" in the mean of %s", plural(int64(n), "seed")))
	}
	shown := trained[1:min(len(trained), 3)]
	if len(trained) > 3 {
		shown = shown[:1] // the runner-up speaks for the rest
	}
	for i, other := range shown {
		joint := " — "
		if i > 0 {
			joint = " and "
		}
		out = append(out, plain("%s", joint+e.ahead(best, other)))
	}
	out = append(out, plain("."))
	if bounds := e.ranked(func(m model) bool { return m.bound }); len(bounds) > 0 {
		out = append(out, plain(" As an upper bound, %s gets %s: %s.", bounds[0].short, percent(bounds[0].accuracy().Value), e.beside(bounds[0], best)))
	}
	if baselines := e.ranked(func(m model) bool { return m.baseline && !m.bound }); len(baselines) > 0 {
		out = append(out, plain(" The best baseline, %s, gets %s: %s.", baselines[0].short, percent(baselines[0].accuracy().Value), e.beside(baselines[0], best)))
	}
	return out
}

// ahead says how far the best model is ahead of another one.
func (e *evaluation) ahead(best, other model) string {
	switch c, tested := e.comparison(best, other); {
	case tested && c.decided():
		return pointsInWords(c.Difference) + " more than " + other.short
	case tested:
		return fmt.Sprintf("no difference shown from %s (%s)", other.short, percent(other.accuracy().Value))
	default:
		return fmt.Sprintf("%s gets %s, not tested against it", other.short, percent(other.accuracy().Value))
	}
}

// beside says where a baseline is beside the best model.
func (e *evaluation) beside(baseline, best model) string {
	switch c, tested := e.comparison(best, baseline); {
	case !tested:
		return "the two were not compared by a significance test"
	case !c.decided():
		return fmt.Sprintf("no difference shown from %s", best.short)
	case c.Difference > 0:
		return pointsInWords(c.Difference) + " less"
	default:
		return pointsInWords(-c.Difference) + " more"
	}
}

// comparison finds the test of one model against another; tested is false if there was none.
func (e *evaluation) comparison(a, b model) (c comparison, tested bool) {
	for _, c := range e.comparisons {
		if c = c.turned(a.name); c.A == a.name && c.B == b.name {
			return c, true
		}
	}
	return comparison{}, false
}

// pointsInWords writes how far ahead: "31 points", "1 point", "0.4 points".
func pointsInWords(difference float64) string {
	x := 100 * difference
	decimals := 0
	if math.Abs(x) < 10 {
		decimals = 1
	}
	text := strings.TrimSuffix(signed(x, decimals), ".0")
	if text == "1" {
		return "1 point"
	}
	return text + " points"
}

// lead follows the headline: how sure the number is.
func (e *evaluation) lead() string {
	trained := e.trained()
	if len(trained) == 0 {
		return ""
	}
	if !e.ofOneClass() {
		return e.targetLead(trained[0])
	}
	accuracy := trained[0].accuracy()
	interval := percentRange(accuracy.Low, accuracy.High)
	if n := trained[0].seeds(); n > 0 {
		return fmt.Sprintf("95%% interval %s over the %d seeds, by Student's t: the uncertainty from the choice of seeds. The uncertainty from the choice of rows is in the intervals of the single instances.", interval, n)
	}
	if interval == "" {
		return "Accuracy on split " + e.about.Split + "; there are no intervals, because the bootstrap was off."
	}
	text := fmt.Sprintf("95%% interval %s, from %s resamples", interval, count(int64(e.about.Resamples)))
	if e.about.Cluster != "" {
		text += fmt.Sprintf(" that draw all rows of one %s together", e.about.Cluster)
	}
	return text + "."
}

// verdict is what a paired comparison says.
type verdict struct {
	Decided bool
	Winner  string
	Loser   string
	Text    string // all about it

	Other, OtherFull string // the model that the best is held against
	Role             string // of the other, if it is no trained model
	Difference       string // of the best less the other: "+29.2 points"
	Interval         string
	Chance           string  // the p-value that decides
	At, Low, High    float64 // places of the difference and its interval, percentages
	HasInterval      bool
}

// forest is the best model against every other, drawn on one axis.
type forest struct {
	Best      string
	Of        string // what is compared: " of accuracy"
	Rows      []verdict
	Zero      float64 // its place
	Ticks     []tick
	Among     int // comparisons made at once
	MeanSeeds bool
}

// forest draws the verdicts; nil without any.
func (e *evaluation) forest() *forest {
	rows := e.verdicts()
	trained := e.trained()
	if len(rows) == 0 {
		return nil
	}
	f := &forest{Best: trained[0].short, Of: " of accuracy"}
	s := scale{0, 0}
	var compared []comparison
	for _, c := range e.comparisons {
		if c = c.turned(trained[0].name); c.A == trained[0].name {
			compared = append(compared, c)
			s = s.widen(c.Difference).widen(c.Low).widen(c.High)
			f.Among, f.MeanSeeds = max(f.Among, c.among), f.MeanSeeds || c.pairs > 1
		}
	}
	s, f.Ticks = scale{100 * s.low, 100 * s.high}.round(5)
	for i := range f.Ticks {
		if !strings.HasPrefix(f.Ticks[i].Text, "−") && f.Ticks[i].Text != "0" {
			f.Ticks[i].Text = "+" + f.Ticks[i].Text
		}
	}
	f.Zero = s.at(0)
	for i, c := range compared {
		v := rows[i]
		v.Other, v.OtherFull, v.Difference = e.short(c.B), c.B, points(c.Difference)
		v.At = s.at(100 * c.Difference)
		if !math.IsNaN(c.Low) {
			v.HasInterval, v.Low, v.High = true, s.at(100*c.Low), s.at(100*c.High)
			v.Interval = points(c.Low) + " to " + points(c.High)
		}
		if !math.IsNaN(c.PAdjusted) {
			v.Chance = chance(c.PAdjusted)
		}
		if m, ok := e.model(c.B); ok {
			v.Role = m.role()
		}
		f.Rows = append(f.Rows, v)
	}
	slices.SortStableFunc(f.Rows, func(a, b verdict) int { return cmp.Compare(a.At, b.At) }) // the nearest rivals first
	return f
}

// Width of the interval, for the style sheet.
func (v verdict) Width() float64 { return v.High - v.Low }

// verdicts holds the best model against every other, in words.
func (e *evaluation) verdicts() []verdict {
	trained := e.trained()
	if len(trained) == 0 {
		return nil
	}
	var out []verdict
	for _, c := range e.comparisons {
		c = c.turned(trained[0].name)
		if c.A == trained[0].name {
			out = append(out, e.verdict(c))
		}
	}
	return out
}

func (e *evaluation) verdict(c comparison) verdict {
	if c.Difference < 0 {
		c = c.turned(c.B)
	}
	v := verdict{Decided: c.decided(), Winner: e.short(c.A), Loser: e.short(c.B)}
	if c.pairs > 1 {
		v.Text = c.meanInWords() + "."
		return v
	}
	evidence := points(c.Difference) + " points"
	if !math.IsNaN(c.Low) {
		evidence += fmt.Sprintf(" (95%% interval %s to %s)", points(c.Low), points(c.High))
	}
	v.Text = fmt.Sprintf("%s. Right only in the first: %s; only in the second: %s; %s.", evidence, plural(c.OnlyA, "row"), count(c.OnlyB), c.chances())
	return v
}

// chances writes the p-value of the comparison, and what adjusting it for the others made of it:
// that is what decides.
func (c comparison) chances() string {
	if c.among < 2 {
		return chance(c.P)
	}
	return fmt.Sprintf("%s by itself, adjusted for %s made at once (Holm): %s", chance(c.P), plural(int64(c.among), "comparison"), chance(c.PAdjusted))
}

// meanInWords writes the mean difference over seeds and both of its intervals.
func (c comparison) meanInWords() string {
	text := fmt.Sprintf("%s points, mean of %s (95%% interval over seeds %s to %s", points(c.Difference), plural(int64(c.pairs), "seed"), points(c.seedsLow), points(c.seedsHigh))
	if !math.IsNaN(c.rowsLow) {
		text += fmt.Sprintf("; over rows, mean of the seeds, %s to %s", points(c.rowsLow), points(c.rowsHigh))
	}
	return text + ")"
}
