package strategy

import (
	"cmp"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Schedule is how the learning rate changes. YAML spells it as a word or as a
// mapping.
type Schedule struct {
	Kind     string  `yaml:"kind" enum:"constant,step,cosine,one_cycle,linear,plateau,annealed" required:"true" doc:"how the learning rate changes"`
	Factor   float64 `yaml:"factor" above:"0" max:"0.9999" doc:"of step (0.1 if not given) and plateau (0.5): factor by which the rate is multiplied"`
	Every    int     `yaml:"every" min:"1" doc:"of step: epochs between reductions; 10 if not given"`
	Rise     float64 `yaml:"rise" above:"0" max:"0.9999" doc:"of one_cycle and linear: fraction of the steps in which the rate rises; 0.25 if not given, of linear 0.1"`
	Start    float64 `yaml:"start" above:"0" max:"1" doc:"of one_cycle: initial rate as a fraction of the full rate; 0.04 if not given"`
	Patience int     `yaml:"patience" min:"1" doc:"of plateau: epochs without improvement before the rate is reduced; 3 if not given"`
	MinDelta float64 `yaml:"min_delta" min:"0" doc:"of plateau: minimum change that counts as improvement"`
	Floor    float64 `yaml:"floor" min:"0" max:"1" doc:"of cosine and plateau: the minimum rate, as a fraction of the initial rate"`
}

// Words for schedules.
const (
	constant = "constant"
	stepwise = "step"
	cosine   = "cosine"
	oneCycle = "one_cycle"
	linear   = "linear"
	plateau  = "plateau"
	annealed = "annealed"
)

// Annealed is the schedule of adversarial adaptation.
func Annealed() Schedule { return Schedule{Kind: annealed} }

// DecodeParam implements params.Decoder.
func (s *Schedule) DecodeParam(d *params.Decoding, node *yaml.Node) {
	kinds := []string{constant, stepwise, cosine, oneCycle, linear, plateau, annealed}
	*s = Schedule{}
	if node.Kind == yaml.ScalarNode {
		if s.Kind = node.Value; !slices.Contains(kinds, s.Kind) {
			d.Errorf(node, params.DidYouMean(s.Kind, kinds), "%q is no schedule", s.Kind)
		}
	} else {
		type plain Schedule
		d.Into(node, (*plain)(s))
	}
	unused := func(key string, given bool) {
		if given {
			d.At(key, func() { d.Errorf(params.Locate(node, key), "", "schedule %s has none", s.Kind) })
		}
	}
	unused("factor", s.Factor != 0 && s.Kind != plateau && s.Kind != stepwise)
	unused("every", s.Every != 0 && s.Kind != stepwise)
	unused("rise", s.Rise != 0 && s.Kind != oneCycle && s.Kind != linear)
	unused("start", s.Start != 0 && s.Kind != oneCycle)
	unused("patience", s.Patience != 0 && s.Kind != plateau)
	unused("min_delta", s.MinDelta != 0 && s.Kind != plateau)
	unused("floor", s.Floor != 0 && s.Kind != cosine && s.Kind != plateau)
	*s = s.complete()
}

// complete fills in what was left out.
func (s Schedule) complete() Schedule {
	switch s.Kind {
	case plateau:
		s.Factor, s.Patience = cmp.Or(s.Factor, 0.5), cmp.Or(s.Patience, 3)
	case stepwise:
		s.Factor, s.Every = cmp.Or(s.Factor, 0.1), cmp.Or(s.Every, 10)
	case linear:
		s.Rise = cmp.Or(s.Rise, 0.1)
	case oneCycle:
		cycle := schedule.DefaultCycle()
		s.Rise, s.Start = cmp.Or(s.Rise, cycle.Rise), cmp.Or(s.Start, cycle.Start)
	}
	return s
}

// ParamSchema implements params.Schemer.
func (Schedule) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{constant, stepwise, cosine, oneCycle, linear, plateau, annealed}}, inner}}
}

func (s Schedule) make(warmUp int, d schedule.Direction) schedule.Schedule {
	made := schedule.Constant()
	switch s.Kind {
	case stepwise:
		made = schedule.Step(s.Every, s.Factor)
	case cosine:
		made = schedule.Cosine(s.Floor)
	case oneCycle:
		cycle := schedule.DefaultCycle()
		cycle.Rise, cycle.Start = s.Rise, s.Start
		made = schedule.OneCycle(cycle)
	case linear:
		made = schedule.Linear(s.Rise)
	case annealed:
		made = schedule.Annealed()
	case plateau:
		made = schedule.Plateau(s.Factor, s.Patience, s.MinDelta, s.Floor, d)
	}
	if warmUp > 0 {
		made = schedule.WarmUp(warmUp, made)
	}
	return made
}
