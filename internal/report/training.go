package report

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// training is what a training left behind besides its model. What a node does
// not have is nil.
type training struct {
	node        *Node
	epochs      []record.TrainingEpoch
	phases      []phase
	diagnostics []record.Diagnostic

	onFeatures bool // of a head alone, whose features an earlier stage made
}

// phase is a phase of a training: what it did with each group of layers, from
// the input up.
type phase []record.PhaseLayers

// readTraining reads the training among a node's outputs; nil if there is
// none.
func (r Run) readTraining(ctx context.Context, n *Node) (*training, error) {
	t := &training{node: n}
	for _, link := range n.Inputs {
		if from := r.node(link.From); from != nil && outputWith(ctx, from, record.Feature) != nil {
			t.onFeatures = true
		}
	}
	var err error
	if t.epochs, _, err = readTable[record.TrainingEpoch](ctx, n); err != nil {
		return nil, err
	}
	layers, _, err := readTable[record.PhaseLayers](ctx, n)
	if err != nil {
		return nil, err
	}
	for i, rows := range record.ByPhase(layers) {
		t.phases = append(t.phases, rows)
		if len(rows) != len(t.phases[0]) {
			return nil, fmt.Errorf("read the phases of %s: %d groups of layers in phase 1, %d in phase %d", n.Name, len(t.phases[0]), len(rows), i+1)
		}
	}
	if t.diagnostics, _, err = readTable[record.Diagnostic](ctx, n); err != nil {
		return nil, err
	}
	if len(t.epochs) == 0 && len(t.phases) == 0 {
		return nil, nil
	}
	return t, nil
}

// trainedParameters counts the numbers that any of the phases trained, and all
// there are.
func (t *training) trainedParameters() (trained, all int64) {
	for i := range t.phases[0] {
		most := int64(0)
		for _, p := range t.phases {
			most = max(most, p[i].Trained)
		}
		trained += most
		all += t.phases[0][i].Parameters
	}
	return trained, all
}

// headOnly tells whether no phase trained anything below the head.
func (t *training) headOnly() bool {
	if t.onFeatures {
		return true
	}
	for _, p := range t.phases {
		for _, row := range p[:len(p)-1] {
			if row.Trained > 0 {
				return false
			}
		}
	}
	return len(t.phases) > 0
}

// strategy is a way of training, by the trainings that differ by their seed
// alone.
type strategy struct {
	name, short string
	trainings   []*training
}

// strategiesOf gathers the trainings of one strategy, in the order of the run.
func strategiesOf(trainings []*training) []strategy {
	var out []strategy
	var names []string
	for _, t := range trainings {
		name, _ := withoutSeed(t.node.Name)
		i := slices.Index(names, name)
		if i < 0 {
			i = len(names)
			names = append(names, name)
			out = append(out, strategy{name: name})
		}
		out[i].trainings = append(out[i].trainings, t)
	}
	short := shortNames(names, false)
	for i := range out {
		out[i].short = short[out[i].name]
	}
	return out
}

// seedsInWords names the seeds of a strategy, "seeds 1, 2 and 3"; "" if it has
// none.
func (s strategy) seedsInWords() string {
	var seeds []string
	for _, t := range s.trainings {
		if _, seed := withoutSeed(t.node.Name); seed != "" {
			seeds = append(seeds, seed)
		}
	}
	switch len(seeds) {
	case 0:
		return ""
	case 1:
		return "seed " + seeds[0]
	default:
		return "seeds " + inWords(seeds)
	}
}

// eachInWords writes a number of each training, once if all are alike: "5", or
// "5, 4 and 5".
func eachInWords[T comparable](trainings []*training, value func(*training) (T, bool)) string {
	var texts []string
	alike := true
	for _, t := range trainings {
		if v, ok := value(t); ok {
			texts = append(texts, fmt.Sprint(v))
			alike = alike && texts[0] == texts[len(texts)-1]
		}
	}
	if alike && len(texts) > 0 {
		return texts[0]
	}
	return inWords(texts)
}

// learningRate writes a rate as it is spoken of: "1e-3", "2.5e-4", "0.1".
func learningRate(rate float64) string {
	text := fmt.Sprintf("%.2g", rate)
	if rate < 0.1 {
		text = fmt.Sprintf("%.1e", rate)
	}
	mantissa, exponent, ok := strings.Cut(text, "e")
	if !ok {
		return text
	}
	sign := exponent[:1]
	return strings.TrimSuffix(mantissa, ".0") + "e" + strings.TrimPrefix(sign, "+") + strings.TrimLeft(exponent[1:], "0")
}
