package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// trainingView shows the trainings of one strategy, epoch by epoch.
type trainingView struct {
	Name, Full string
	Summary    []string
	Panels     []panel
}

// Phased tells whether borders of phases are drawn.
func (v trainingView) Phased() bool { return len(v.Panels[0].Spans) > 0 }

// quantity is what a panel shows over the epochs.
type quantity struct {
	name              string
	write             func(float64) string
	train, validation func(record.TrainingEpoch) float64
}

var (
	lossQuantity = quantity{
		"Loss", score,
		func(e record.TrainingEpoch) float64 { return e.Loss },
		func(e record.TrainingEpoch) float64 { return e.ValidationLoss },
	}
	accuracyQuantity = quantity{
		"Accuracy", percent,
		func(e record.TrainingEpoch) float64 { return e.Accuracy },
		func(e record.TrainingEpoch) float64 { return e.ValidationAccuracy },
	}
)

// overlaidCurves draws the trainings of all strategies above one another, and their learning rates; nil if nothing is to compare but
// one training's rate is not on record either.
func overlaidCurves(strategies []strategy) []block {
	var shown []strategy
	var names []string
	for _, s := range strategies {
		s.trainings = slices.DeleteFunc(slices.Clone(s.trainings), func(t *training) bool { return len(t.epochs) == 0 })
		if len(s.trainings) > 0 && len(shown) < maxCurves {
			shown, names = append(shown, s), append(names, s.short)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	entries := legend(names, "")
	var out []chart
	for _, q := range []struct {
		title, unit string
		share       bool
		of          func(record.TrainingEpoch) float64
	}{
		{"Validation loss", "loss on validation rows", false, func(e record.TrainingEpoch) float64 { return e.ValidationLoss }},
		{"Validation accuracy", "accuracy on validation rows", true, func(e record.TrainingEpoch) float64 { return e.ValidationAccuracy }},
		{"Learning rate", "learning rate of the fastest layers", false, func(e record.TrainingEpoch) float64 { return e.LearningRate }},
	} {
		if len(shown) == 1 && q.title != "Learning rate" {
			continue // it stands below, beside that on the training rows
		}
		y, epochs, known := scale{0, 0}, scale{1, 2}, false
		for _, s := range shown {
			for _, t := range s.trainings {
				epochs = epochs.widen(float64(len(t.epochs)))
				for _, e := range t.epochs {
					y = y.widen(q.of(e))
					known = known || !math.IsNaN(q.of(e)) && q.of(e) != 0
				}
			}
		}
		if !known {
			continue
		}
		y, ticks := y.round(4)
		if q.share {
			y = scale{0, 1}
			ticks = percentTicks(y, 0.25)
		}
		p := panel{XName: "epoch, over all phases", YName: q.unit, XTicks: epochTicks(epochs), YTicks: ticks}
		var words []string
		for i, s := range shown {
			class := fmt.Sprintf("ln k%d", entries[i].Colour)
			if len(s.trainings) > 1 {
				class += " thin"
			}
			for _, t := range s.trainings {
				var xs, ys []float64
				for k, e := range t.epochs {
					xs, ys = append(xs, float64(k+1)), append(ys, q.of(e))
				}
				p.Lines = append(p.Lines, curve(xs, ys, epochs, y, class))
				words = append(words, fmt.Sprintf("%s: from %s to %s", t.node.Name, score(ys[0]), score(ys[len(ys)-1])))
			}
		}
		p.Label = q.title + " over the epochs. " + strings.Join(words, "; ") + "."
		out = append(out, chart{Name: q.title, Panel: p})
	}
	if len(out) == 0 {
		return nil
	}
	var keys []key
	for _, entry := range entries {
		keys = append(keys, key{Colour: entry.Colour, Line: true, Name: entry.Name})
	}
	if len(shown) == 1 {
		return []block{charts(out...)}
	}
	return []block{paragraph(plain("All trainings over one another, then each by itself.")), keysOf(keys...), charts(out...)}
}

// newTrainingViews draws all histories with the same scales, so that they can
// be compared.
func newTrainingViews(strategies []strategy) []trainingView {
	var timelines []timeline
	var shown []strategy
	epochs, losses := emptyScale(), scale{0, 0}
	for _, s := range strategies {
		s.trainings = slices.DeleteFunc(slices.Clone(s.trainings), func(t *training) bool { return len(t.epochs) == 0 })
		if len(s.trainings) == 0 {
			continue
		}
		line := newTimeline(s.trainings)
		shown, timelines = append(shown, s), append(timelines, line)
		epochs = epochs.widen(1).widen(float64(line.length()))
		for _, t := range s.trainings {
			for _, e := range t.epochs {
				losses = losses.widen(e.Loss).widen(e.ValidationLoss)
			}
		}
	}
	lossScale, lossTicks := losses.round(4)
	shares := scale{0, 1}
	var out []trainingView
	for i, s := range shown {
		view := trainingView{
			Name: s.short, Full: s.name, Summary: s.historyInWords(timelines[i]),
			Panels: []panel{s.panel(timelines[i], lossQuantity, epochs, lossScale, lossTicks)},
		}
		if s.hasAccuracy() {
			view.Panels = append(view.Panels, s.panel(timelines[i], accuracyQuantity, epochs, shares, percentTicks(shares, 0.25)))
		}
		out = append(out, view)
	}
	return out
}

// hasAccuracy tells whether any epoch has one: trainings on numbers have none.
func (s strategy) hasAccuracy() bool {
	return slices.ContainsFunc(s.trainings, func(t *training) bool {
		return slices.ContainsFunc(t.epochs, func(e record.TrainingEpoch) bool {
			return !math.IsNaN(e.Accuracy) || !math.IsNaN(e.ValidationAccuracy)
		})
	})
}

// timeline lays the phases of several trainings end to end. Each phase has the
// room of the longest of them, so that all begin it at one place.
type timeline []timelinePhase

type timelinePhase struct {
	name          string
	start, length int // epochs
}

func newTimeline(trainings []*training) timeline {
	var out timeline
	for _, t := range trainings {
		for i, p := range t.epochsByPhase() {
			if i == len(out) {
				out = append(out, timelinePhase{name: p[0].Phase})
			}
			out[i].length = max(out[i].length, len(p))
		}
	}
	start := 0
	for i := range out {
		out[i].start = start
		start += out[i].length
	}
	return out
}

func (l timeline) length() int {
	last := l[len(l)-1]
	return last.start + last.length
}

// epochsByPhase cuts the history where the phase changes.
func (t *training) epochsByPhase() [][]record.TrainingEpoch {
	var out [][]record.TrainingEpoch
	for i, e := range t.epochs {
		if i == 0 || e.Phase != t.epochs[i-1].Phase {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], e)
	}
	return out
}

// leastNamedShare is how much of a panel's width a phase takes for its name to
// be written there; narrower ones have their number.
const leastNamedShare = 0.22

func (s strategy) panel(l timeline, q quantity, x, y scale, ticks []tick) panel {
	p := panel{
		Title: q.name, XName: "epoch", XTicks: epochTicks(x), YTicks: ticks, Label: s.curvesInWords(q),
	}
	if len(l) > 1 {
		for i, phase := range l {
			// A phase begins half an epoch before its first.
			from, to := x.at(float64(phase.start)+0.5), x.at(float64(phase.start+phase.length)+0.5)
			if i == 0 {
				from = 0
			} else {
				p.Rules = append(p.Rules, rule{from, 0, from, 100, "border"})
			}
			text := fmt.Sprint(i + 1)
			if to-from >= 100*leastNamedShare {
				text += " " + phase.name
			}
			p.Spans = append(p.Spans, stretch{from, min(to, 100) - from, text})
		}
	}
	several := len(s.trainings) > 1
	for _, t := range s.trainings {
		p.drawTraining(t, l, q, x, y, several)
	}
	return p
}

// drawTraining adds the curves of one training: thin ones among several.
func (p *panel) drawTraining(t *training, l timeline, q quantity, x, y scale, thin bool) {
	class := func(name string) string {
		if thin {
			return name + " thin"
		}
		return name
	}
	var numbers, train, validation []float64
	for i, epochs := range t.epochsByPhase() {
		if i > 0 && len(numbers) < l[i].start {
			// The room of an epoch that this one did not need: no line across.
			numbers, train, validation = append(numbers, float64(l[i].start)), append(train, math.NaN()), append(validation, math.NaN())
		}
		for k, e := range epochs {
			number := float64(l[i].start + k + 1)
			numbers, train, validation = append(numbers, number), append(train, q.train(e)), append(validation, q.validation(e))
			if e.Kept && !thin {
				p.Rules = append(p.Rules, rule{x.at(number), 0, x.at(number), 100, "best"})
			}
		}
	}
	p.draw(numbers, train, x, y, class("train"), class("train"), 0, q.write)
	p.draw(numbers, validation, x, y, class("validation"), class("validation"), 1, q.write)
}

// draw adds a line with a mark at its end. The classes are those of the style sheet: strokes and marks of one colour have different ones.
func (p *panel) draw(xs, ys []float64, x, y scale, line, class string, symbol int, write func(float64) string) {
	p.Lines = append(p.Lines, curve(xs, ys, x, y, line))
	for i, value := range slices.Backward(ys) {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			p.Marks = append(p.Marks, mark{X: x.at(xs[i]), Y: y.at(value), Symbol: symbol, Class: class, Title: write(value)})
			return
		}
	}
}

// kept is the index of the epoch whose weights the model has; −1 if that is
// not on record.
func (t *training) kept() int {
	for i, e := range slices.Backward(t.epochs) {
		if e.Kept {
			return i
		}
	}
	return -1
}

// historyInWords sums up the trainings of a strategy.
func (s strategy) historyInWords(l timeline) []string {
	var out []string
	if len(l) > 1 {
		var phases []string
		for i, p := range l {
			phases = append(phases, fmt.Sprintf("%d %s", i+1, p.name))
		}
		out = append(out, "Phases: "+strings.Join(phases, " · ")+".")
	}
	if len(s.trainings) == 1 {
		return append(out, s.trainings[0].historyInWords())
	}
	for _, t := range s.trainings {
		_, seed := withoutSeed(t.node.Name)
		text := fmt.Sprintf("Seed %s: %s", seed, plural(int64(len(t.epochs)), "epoch"))
		if kept := t.kept(); kept >= 0 {
			e := t.epochs[kept]
			text += fmt.Sprintf(", kept %d", e.Epoch)
			if !math.IsNaN(e.ValidationLoss) {
				text += ": validation loss " + score(e.ValidationLoss)
				if !math.IsNaN(e.ValidationAccuracy) {
					text += ", accuracy " + percent(e.ValidationAccuracy)
				}
			}
		}
		out = append(out, text+".")
	}
	return out
}

func (t *training) historyInWords() string {
	text := plural(int64(len(t.epochs)), "epoch")
	if kept := t.kept(); kept >= 0 {
		e := t.epochs[kept]
		text += fmt.Sprintf("; kept the weights of epoch %d", e.Epoch)
		if !math.IsNaN(e.ValidationLoss) {
			text += ", with a validation loss of " + score(e.ValidationLoss)
			if !math.IsNaN(e.ValidationAccuracy) {
				text += " and an accuracy of " + percent(e.ValidationAccuracy)
			}
		}
	}
	return text + "."
}

func (s strategy) curvesInWords(q quantity) string {
	var parts []string
	for _, t := range s.trainings {
		parts = append(parts, fmt.Sprintf("%s of %s over the epochs: %s.", q.name, t.node.Name, t.ends(q)))
	}
	return strings.Join(parts, " ")
}

func (t *training) ends(q quantity) string {
	first, last := t.epochs[0], t.epochs[len(t.epochs)-1]
	parts := []string{fmt.Sprintf("training from %s to %s", q.write(q.train(first)), q.write(q.train(last)))}
	if !math.IsNaN(q.validation(last)) {
		parts = append(parts, fmt.Sprintf("validation from %s to %s", q.write(q.validation(first)), q.write(q.validation(last))))
	}
	return strings.Join(parts, ", ")
}

// epochTicks marks the first epoch and whole steps.
func epochTicks(s scale) []tick {
	step := math.Max(1, niceStep((s.high-s.low)/5))
	if step == 2 && s.high-s.low > 8 {
		step = 5
	}
	ticks := []tick{{s.at(s.low), signed(s.low, 0)}}
	for k := step; k <= s.high; k += step {
		if k-s.low >= step/2 {
			ticks = append(ticks, tick{s.at(k), signed(k, 0)})
		}
	}
	return ticks
}

func percentTicks(s scale, step float64) []tick {
	ticks := s.ticks(step)
	for i := range ticks {
		ticks[i].Text = signed(100*(s.low+float64(i)*step), 0) + "%"
	}
	return ticks
}
