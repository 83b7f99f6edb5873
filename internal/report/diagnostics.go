package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// A diagnostic looks for one way in which a transfer can go wrong.
type diagnostic struct {
	Name     string
	About    string
	Findings []finding
	Nothing  string // why nothing was seen
}

// finding is what a diagnostic says of one strategy.
type finding struct {
	Level      level
	Name, Full string
	Number     string
	Interval   string
	Text       string
}

// level is how bad it is.
type level int

// The levels, from good to bad.
const (
	fine level = iota
	suspect
	bad
)

// Word says a level.
func (l level) Word() string { return [...]string{"fine", "check", "bad"}[l] }

// Class is the level's name in the style sheet.
func (l level) Class() string { return [...]string{"fine", "suspect", "bad"}[l] }

// newDiagnostics asks all diagnostics; none if no training has its phases or diagnostics
// on record.
func newDiagnostics(run Run, strategies []strategy, summaries []*evaluation) []diagnostic {
	strategies = slices.DeleteFunc(slices.Clone(strategies), func(s strategy) bool {
		return len(s.trainings[0].phases) == 0 && len(s.trainings[0].diagnostics) == 0
	})
	if len(strategies) == 0 {
		return nil
	}
	return []diagnostic{
		watchTransfer(run, strategies, summaries),
		watchLogistic(run, strategies, summaries),
		watchForgetting(run, strategies),
		watchOverfitting(strategies),
		watchFrozen(strategies),
	}
}

// watchTransfer holds models with pre-trained weights against the most alike
// one of the same backbone whose weights were random.
func watchTransfer(run Run, strategies []strategy, summaries []*evaluation) diagnostic {
	w := diagnostic{
		Name:    "Negative transfer",
		About:   "Pre-trained weights should beat the same network trained from random weights.",
		Nothing: "Not measured: no model in this pipeline was trained from random weights.",
	}
	random := map[string]string{} // backbones of the strategies on random weights
	for _, s := range strategies {
		if run.backboneParam(s.trainings[0], "weights") == randomWeights {
			random[s.name] = run.backboneParam(s.trainings[0], "backbone")
		}
	}
	for _, e := range summaries {
		for _, s := range strategies {
			m, measured := e.model(s.trainings[0].node.Name)
			if _, scratch := random[s.name]; scratch || !measured {
				continue
			}
			backbone := run.backboneParam(s.trainings[0], "backbone")
			candidates := e.ranked(func(m model) bool {
				name, _ := withoutSeed(m.name)
				other, scratch := random[name]
				return scratch && other == backbone && !m.baseline
			})
			if len(candidates) == 0 {
				continue
			}
			candidate := mostAlike(m.name, candidates)
			if c, ok := e.between(m.name, candidate.name); ok {
				w.Findings = append(w.Findings, transferFinding(s, candidate, c))
			}
		}
	}
	return w
}

func transferFinding(s strategy, candidate model, c comparison) finding {
	out := finding{Name: s.short, Full: s.name, Number: points(c.Difference) + " points", Interval: pointsRange(c.Low, c.High)}
	switch {
	case c.Low > 0:
		out.Text = fmt.Sprintf("better than %s, which started from random weights", candidate.short)
	case c.High < 0:
		out.Level = bad
		out.Text = fmt.Sprintf("worse than %s, which started from random weights: pre-training hurts here", candidate.short)
	default:
		out.Level = suspect
		out.Text = fmt.Sprintf("not shown to be better than %s, which started from random weights", candidate.short)
	}
	return out
}

// watchLogistic holds models against the logistic regression on their features, or, of networks, on those of the backbone that
// they started from.
func watchLogistic(run Run, strategies []strategy, summaries []*evaluation) diagnostic {
	w := diagnostic{
		Name:    "Logistic regression",
		About:   "A head or a strategy should beat logistic regression on the features of the frozen backbone, which has no rate and no epochs.",
		Nothing: "Not measured in this pipeline.",
	}
	for _, e := range summaries {
		candidates := e.ranked(func(m model) bool { return m.baseline && strings.HasPrefix(m.name, record.LogisticRegression) })
		for _, s := range strategies {
			m, measured := e.model(s.trainings[0].node.Name)
			if !measured || len(candidates) == 0 {
				continue
			}
			baseline := mostAlike(m.name, candidates)
			weights := "weights=" + strings.Trim(run.backboneParam(s.trainings[0], "weights"), `"`)
			if at := slices.IndexFunc(candidates, func(c model) bool { return strings.Contains(c.name, weights) }); at >= 0 && !s.trainings[0].onFeatures {
				baseline = candidates[at]
			}
			if c, ok := e.between(m.name, baseline.name); ok {
				w.Findings = append(w.Findings, logisticFinding(s, baseline, c))
			}
		}
	}
	return w
}

func logisticFinding(s strategy, baseline model, c comparison) finding {
	out := finding{Name: s.short, Full: s.name, Number: points(c.Difference) + " points", Interval: pointsRange(c.Low, c.High)}
	switch {
	case c.decided() && c.Difference > 0:
		out.Text = "better than " + baseline.short
	case c.decided():
		out.Level = bad
		out.Text = "worse than " + baseline.short + ": the training lost what its features tell"
	default:
		out.Level = suspect
		out.Text = "not shown to be better than " + baseline.short
	}
	if !math.IsNaN(c.PAdjusted) {
		out.Text += fmt.Sprintf(" (paired test, p = %.2g)", c.PAdjusted)
	}
	return out
}

// mostAlike is the model whose name differs in the fewest places; among such,
// the first, which is the most accurate.
func mostAlike(name string, among []model) model {
	best, least := among[0], math.MaxInt
	for _, m := range among {
		if n := differences(parseName(name), parseName(m.name)); n < least {
			best, least = m, n
		}
	}
	return best
}

func differences(a, b nodeName) int {
	n := 0
	if a.base != b.base {
		n++
	}
	for axis, value := range a.values {
		if other, ok := b.values[axis]; ok && axis != seedAxis && other != value {
			n++
		}
	}
	return n
}

// between finds the comparison of two models, the first less the second.
func (e *evaluation) between(a, b string) (comparison, bool) {
	for _, c := range e.comparisons {
		if c.A == a && c.B == b || c.A == b && c.B == a {
			return c.turned(a), true
		}
	}
	return comparison{}, false
}

// randomWeights is the parameter weights of a backbone that was not trained
// before.
const randomWeights = `"random"`

// backboneParam is a parameter of the backbone of a training: of its own stage,
// or, on features, of the nearest stage before it; "" if none has it.
func (r Run) backboneParam(t *training, name string) string {
	for i, ancestor := range r.ancestors(t.node) {
		if i == 0 && t.onFeatures {
			continue
		}
		for _, p := range ancestor.Params {
			if p.Path == name {
				return p.Text
			}
		}
	}
	return ""
}

// Limits of the diagnostics. They are judgements, not theorems: a number that the
// interval puts above the first deserves a look, above the second it spoils the
// model.
var (
	forgettingLimits = limits{suspect: 0.02, bad: 0.10} // of accuracy on the source task
	driftLimits      = limits{suspect: 0.25, bad: math.Inf(1), meaning: [...]string{
		"the features are close to those before training",
		"the features have changed a lot: lower rates or fewer trained layers preserve more of them", "",
	}}
	overfittingLimits = limits{suspect: 0.05, bad: 0.15, meaning: [...]string{
		"new images are classified about as well",
		"new images are classified less well: more data, augmentation or fewer trained layers may help",
		"the training images are memorised: more data, augmentation or fewer trained layers may help",
	}} // of accuracy
)

type limits struct {
	suspect, bad float64
	meaning      [bad + 1]string // by level
}

// judge goes by the lower end of the interval, or by the value without one.
func (l limits) judge(value, low float64) level {
	if !math.IsNaN(low) {
		value = low
	}
	switch {
	case value > l.bad:
		return bad
	case value > l.suspect:
		return suspect
	default:
		return fine
	}
}

func watchForgetting(run Run, strategies []strategy) diagnostic {
	w := diagnostic{
		Name:    "Forgetting",
		About:   "Fine-tuning should preserve what the network knew: measured by its accuracy on the source task or, without images of that task, by how far its features have drifted (1 − CKA: 0 is unchanged, 1 is entirely different).",
		Nothing: "Not measured in this pipeline.",
	}
	for _, s := range strategies {
		if run.backboneParam(s.trainings[0], "weights") == randomWeights {
			continue // there was nothing to forget
		}
		if m, ok := s.diagnostic(record.Forgetting); ok {
			out := m.finding(s, forgettingLimits)
			before, _ := s.diagnostic(record.SourceAccuracyBefore)
			after, _ := s.diagnostic(record.SourceAccuracyAfter)
			out.Number, out.Interval = points(-m.value)+" points", pointsRange(-m.high, -m.low)
			out.Text = fmt.Sprintf("on the source task: %s before, %s after", percent(before.value), percent(after.value))
			w.Findings = append(w.Findings, out)
			continue
		}
		if m, ok := s.diagnostic(record.FeatureDrift); ok {
			out := m.finding(s, driftLimits)
			out.Number, out.Interval = "drift "+signed(m.value, 2), ""
			if !math.IsNaN(m.low) {
				out.Interval = signed(m.low, 2) + dash + signed(m.high, 2)
			}
			w.Findings = append(w.Findings, out)
			continue
		}
		if t := s.trainings[0]; !t.onFeatures && t.headOnly() {
			w.Findings = append(w.Findings, finding{Name: s.short, Full: s.name, Number: "drift 0", Text: "the backbone was frozen in all phases"})
		}
	}
	return w
}

func watchOverfitting(strategies []strategy) diagnostic {
	w := diagnostic{
		Name:    "Overfitting",
		About:   "Accuracy on training and validation images should be close; a gap is a sign of memorisation.",
		Nothing: "Not measured in this pipeline.",
	}
	for _, s := range strategies {
		if m, ok := s.diagnostic(record.OverfittingGap); ok {
			out := m.finding(s, overfittingLimits)
			out.Number, out.Interval = "gap "+points(m.value)+" points", pointsRange(m.low, m.high)
			w.Findings = append(w.Findings, out)
		}
	}
	return w
}

// watchFrozen compares the digests of frozen layers before and after.
func watchFrozen(strategies []strategy) diagnostic {
	w := diagnostic{
		Name:    "Frozen layers",
		About:   "A frozen layer must be bit-for-bit identical before and after a phase.",
		Nothing: "No layer was frozen.",
	}
	for _, s := range strategies {
		if s.trainings[0].onFeatures {
			continue // there the frozen part is the feature scaling, not a layer
		}
		checked, phases := 0, map[int32]bool{}
		var changed []string
		for _, t := range s.trainings {
			for _, p := range t.phases {
				for _, row := range p {
					if row.Trained > 0 {
						continue
					}
					checked++
					phases[row.Number] = true
					if row.Before != row.After {
						changed = append(changed, fmt.Sprintf("%s in phase %d of %s", row.Layers, row.Number, t.node.Name))
					}
				}
			}
		}
		if checked == 0 {
			continue
		}
		out := finding{
			Name: s.short, Full: s.name, Number: fmt.Sprintf("%s of %s changed", count(int64(len(changed))), count(int64(checked))),
			Text: fmt.Sprintf("equal digests before and after, in %s", plural(int64(len(phases)), "phase")),
		}
		if n := len(s.trainings); n > 1 {
			out.Text += fmt.Sprintf(" of %d trainings", n)
		}
		if len(changed) > 0 {
			out.Level = bad
			out.Text = "changed though frozen: " + inWords(changed[:min(len(changed), 4)]) + ". This must not happen; please report it"
		}
		w.Findings = append(w.Findings, out)
	}
	return w
}

// measured is a diagnostic of a strategy: of its one training, or the mean over its
// seeds with Student's interval.
type measured struct {
	value, low, high float64
	alarms           int
	text             string
	seeds            int
}

// diagnostic finds a diagnostic of the whole training, or that of its last phase.
func (s strategy) diagnostic(name string) (measured, bool) {
	var all []record.Diagnostic
	for _, t := range s.trainings {
		var found *record.Diagnostic
		for i := range t.diagnostics {
			if diagnostic := &t.diagnostics[i]; diagnostic.Name == name && !math.IsNaN(diagnostic.Value) && (found == nil || found.Phase != "") {
				found = diagnostic
			}
		}
		if found != nil {
			all = append(all, *found)
		}
	}
	if len(all) == 0 {
		return measured{value: math.NaN()}, false
	}
	m := measured{value: all[0].Value, low: all[0].Low, high: all[0].High, text: all[0].Text, seeds: len(all)}
	values := make([]float64, len(all))
	for i, diagnostic := range all {
		values[i] = diagnostic.Value
		if diagnostic.Alarm {
			m.alarms++
		}
	}
	if len(all) == 1 {
		return m, true
	}
	var interval metrics.Interval
	m.value, interval = metrics.Mean(values)
	m.low, m.high = interval.Low, interval.High
	return m, true
}

// finding judges a diagnostic; one that the training itself raised an alarm for is
// looked at whatever the limits.
func (m measured) finding(s strategy, l limits) finding {
	out := finding{Level: l.judge(m.value, m.low), Name: s.short, Full: s.name, Text: m.text}
	if m.alarms > 0 {
		out.Level = max(out.Level, suspect)
	}
	if m.seeds > 1 { // what a training says of itself has its own numbers
		out.Text = fmt.Sprintf("mean of %d seeds: %s", m.seeds, l.meaning[out.Level])
		if m.alarms > 0 {
			out.Text += fmt.Sprintf("; an alarm in %d of them", m.alarms)
		}
	}
	return out
}

// pointsRange writes an interval of differences: "+0.4 to +5.8"; "" if not
// known.
func pointsRange(low, high float64) string {
	if math.IsNaN(low) || math.IsNaN(high) {
		return ""
	}
	return points(low) + " to " + points(high)
}
