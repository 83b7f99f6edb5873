package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// span is a piece of a sentence.
type span struct {
	Text   string
	Strong bool
}

func plain(format string, args ...any) span { return span{Text: fmt.Sprintf(format, args...)} }
func strong(text string) span               { return span{Text: text, Strong: true} }

// headline says in one sentence what an evaluation found: the best model's
// accuracy, and how far ahead of the other models and of guessing it is.
func (e *evaluation) headline() []span {
	trained := e.trained()
	if len(trained) == 0 {
		return []span{plain("No model was measured.")}
	}
	best := trained[0]
	accuracy := best.accuracy()
	out := []span{
		strong(best.short), plain(" gets "), strong(percent(accuracy.Value)),
		plain(" of %s right", plural(accuracy.Rows, e.about.Split+" row")),
	}
	if n := best.seeds(); n > 0 {
		out = append(out, plain(" in the mean of %s", plural(int64(n), "seed")))
	}
	ahead := func(other model) span {
		difference := accuracy.Value - other.accuracy().Value
		return plain("%s more than %s", pointsInWords(difference), other.short)
	}
	var clauses []span
	for _, other := range trained[1:min(len(trained), 3)] {
		clauses = append(clauses, ahead(other))
	}
	if len(trained) > 3 {
		clauses = clauses[:1] // the runner-up speaks for the rest
	}
	if guess, ok := e.majority(); ok && len(clauses) < 2 {
		difference := accuracy.Value - guess.accuracy().Value
		clauses = append(clauses, plain("%s more than always guessing the most frequent class", pointsInWords(difference)))
	}
	for i, clause := range clauses {
		switch {
		case i == 0:
			out = append(out, plain(" — "))
		default:
			out = append(out, plain(" and "))
		}
		out = append(out, clause)
	}
	out = append(out, plain("."))
	for _, other := range e.ranked(func(m model) bool { return m.baseline }) {
		if other.accuracy().Value >= accuracy.Value {
			return append(out, plain(" A baseline does no worse: %s, %s.", other.short, percent(other.accuracy().Value)))
		}
	}
	return out
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

func (e *evaluation) majority() (model, bool) {
	for _, m := range e.models {
		if _, measured := m.metric(record.Accuracy); measured && m.baseline && strings.HasPrefix(m.name, "majority class") {
			return m, true
		}
	}
	return model{}, false
}

// lead follows the headline: how sure the number is.
func (e *evaluation) lead() string {
	trained := e.trained()
	if len(trained) == 0 {
		return ""
	}
	accuracy := trained[0].accuracy()
	interval := percentRange(accuracy.Low, accuracy.High)
	if n := trained[0].seeds(); n > 0 {
		return fmt.Sprintf("95%% interval %s over the %d seeds, by Student's t: how far the choice of seeds moves the mean. What the choice of rows does is in the intervals of the single instances.", interval, n)
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
	Text    string
}

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
