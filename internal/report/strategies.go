package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// strategyView shows what each phase of a strategy froze and trained.
type strategyView struct {
	Name, Full string
	Seeds      string
	Phases     []phaseView
	Reasons    []string // how the cached prefixes were chosen
}

type phaseView struct {
	Name    string
	Facts   []string
	Drawing stackView
}

// newStrategyViews draws the strategies whose phases are on record, but heads
// trained by themselves: there is no network to draw.
func newStrategyViews(strategies []strategy) []strategyView {
	var out []strategyView
	for _, s := range strategies {
		first := s.trainings[0]
		if len(first.phases) == 0 || first.onFeatures {
			continue
		}
		view := strategyView{Name: s.short, Full: s.name, Seeds: s.seedsInWords()}
		for k, drawing := range drawStacks(first.phases) {
			p := first.phases[k]
			view.Phases = append(view.Phases, phaseView{
				Name: fmt.Sprintf("%d · %s", p[0].Number, p[0].Phase), Facts: s.phaseFacts(k), Drawing: drawing,
			})
			if p[0].Why != "" {
				view.Reasons = append(view.Reasons, fmt.Sprintf("Phase %d, %s: %s.", p[0].Number, p[0].Phase, strings.TrimSuffix(p[0].Why, ".")))
			}
		}
		out = append(out, view)
	}
	return out
}

// phaseFacts sums up a phase; what differs between the seeds is listed.
func (s strategy) phaseFacts(k int) []string {
	p := s.trainings[0].phases[k]
	facts := []string{s.epochsInWords(k)}
	least, most := p.rates()
	switch {
	case math.IsNaN(least):
	case least == most:
		facts = append(facts, "rate "+learningRate(most))
	default:
		facts = append(facts, "rates "+learningRate(least)+" to "+learningRate(most))
	}
	trained, all := p.parameters()
	part := "trains all " + magnitude(float64(all), "") + " parameters"
	if trained < all {
		part = fmt.Sprintf("trains %s of %s parameters (%s)", magnitude(float64(trained), ""), magnitude(float64(all), ""), smallPercent(float64(trained)/float64(all)))
		if s.adapts() {
			part += ", in adapters and head"
		}
	}
	facts = append(facts, part)
	if slices.ContainsFunc(p, func(row record.PhaseLayers) bool { return row.Trained > 0 && row.BatchNorm == "train" }) {
		facts = append(facts, "norms in training mode")
	}
	if p[0].Prefix == "" {
		return append(facts, "every epoch from the pixels")
	}
	return append(facts, fmt.Sprintf("%s cached after %s: %s of %s", plural(p[0].PrefixRows, "row"), p[0].Prefix, magnitude(float64(p[0].PrefixSize), "B"), p[0].PrefixType))
}

// epochsInWords writes how long a phase was: "5 epochs, kept the 4th".
func (s strategy) epochsInWords(k int) string {
	at := func(t *training) (phase, bool) {
		if k < len(t.phases) {
			return t.phases[k], true
		}
		return nil, false
	}
	epochs := eachInWords(s.trainings, func(t *training) (int32, bool) {
		p, ok := at(t)
		if !ok {
			return 0, false
		}
		return p[0].Epochs, true
	})
	kept := eachInWords(s.trainings, func(t *training) (int32, bool) {
		p, ok := at(t)
		if !ok || p[0].KeptEpoch == 0 {
			return 0, false
		}
		return p[0].KeptEpoch, true
	})
	text := epochs + " epochs"
	if epochs == "1" {
		text = "1 epoch"
	}
	stopped := 0
	for _, t := range s.trainings {
		if p, ok := at(t); ok && p[0].Stopped {
			stopped++
		}
	}
	switch {
	case stopped > 0 && stopped == len(s.trainings):
		text += ", stopped early"
	case stopped > 0:
		text += fmt.Sprintf(", %d of %d stopped early", stopped, len(s.trainings))
	}
	if kept != "" && kept != epochs {
		text += "; kept epoch " + kept
	}
	return text
}

// adapts tells whether a strategy trains adapters, which its parameters say.
func (s strategy) adapts() bool {
	for _, p := range s.trainings[0].node.Params {
		if p.Path == "strategy" || p.Path == "strategy.kind" {
			return p.Text == `"adapters"`
		}
	}
	return false
}
