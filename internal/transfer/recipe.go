package transfer

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// phaseRecipe is all that decides the result of a phase but its inputs: the data and, after the first
// phase, the tensors that the phase before handed on. What a head starts from that was fitted stands for a phase before.
type phaseRecipe struct {
	Start     start             `yaml:"start"`
	Phase     strategy.Phase    `yaml:"phase"`
	Learning  strategy.Learning `yaml:"learning"`
	Target    string            `yaml:"target"`
	Copies    int               `yaml:"copies"`
	Cut       string            `yaml:"cut"`
	Precision string            `yaml:"precision"`
	KeepStart bool              `yaml:"keep_start"`
	Seed      uint64            `yaml:"seed"`
}

// start tells the network that a training starts with.
type start struct {
	Backbone    string             `yaml:"backbone"` // "" for a head alone, and for a model
	Weights     map[string]string  `yaml:"weights"`
	RandomSeed  uint64             `yaml:"random_seed"` // of random weights
	Adapters    *strategy.Adapters `yaml:"adapters"`
	Head        head.Head          `yaml:"head"`
	Standardise bool               `yaml:"standardise"`
	Seed        uint64             `yaml:"seed"` // of the head
}

// sparseRecipe is the recipe of a phase that keeps zeros.
type sparseRecipe struct {
	phaseRecipe
	KeepZeros bool `yaml:"keep_zeros"`
}

// roundingRecipe is the recipe of a phase in which a network computes with bytes.
type roundingRecipe struct {
	phaseRecipe
	Rounding string `yaml:"rounding"` // the scheme
}

// metricRecipe is the recipe of a phase of metric learning.
type metricRecipe struct {
	phaseRecipe
	Objective Objective `yaml:"objective"`
}

// phasePart describes phase i as a part of the stage's work, of the data and what the phase before
// gave, if any. turn is nil without an adaptation.
func (s *Setup) phasePart(i int, turn *Turn, p strategy.Phase, cached prefix.Prefix, inputs map[string][]pipeline.Input, before pipeline.Input, seed uint64) (pipeline.Part, error) {
	from := start{Adapters: s.Strategy.Adapters, Head: s.Head, Standardise: s.Standardise, Seed: seed}
	if s.backbone != nil {
		from.Backbone = s.backbone.Name
		if s.backbone.Spelled {
			from.Backbone = string(s.backbone.said)
		}
		var err error
		if from.Weights, err = s.weightsIdentity(); err != nil {
			return pipeline.Part{}, err
		}
		from.RandomSeed = s.backbone.seed(s.RandomSeed, seed)
		if s.Start.Drawn() {
			from.Weights = maps.Clone(from.Weights)
			from.Weights[head.Scope] = "random"
		}
	}
	of := map[string]pipeline.Input{}
	ports := []string{DataPort, ModelPort}
	if s.adaptation != nil {
		ports = s.adaptation.Ports
	}
	for _, port := range ports {
		if in := inputs[port]; len(in) > 0 {
			of[port] = in[0]
		}
	}
	if before != nil {
		of["before"] = before
	}
	learning := p.Learning(s.Learning)
	p.Optimiser, p.Schedule, p.WarmUp, p.EarlyStopping = nil, nil, nil, nil // learning has them
	p.Name = ""                                                             // what the phase gives does not tell it
	part := pipeline.Part{Name: "phase", Inputs: of, Numerics: s.Numerics()}
	recipe := phaseRecipe{
		Start: from, Phase: p, Learning: learning, Target: string(s.Target), Copies: s.Copies,
		Cut: cached.Cut, Precision: cached.Precision, KeepStart: s.keepsStart(i), Seed: phaseSeed(seed, i),
	}
	part.Recipe = recipe
	switch {
	case turn != nil:
		part.Recipe = adaptedRecipe{Phase: recipe, Turn: turn.Recipe}
	case s.zeros:
		part.Recipe = sparseRecipe{recipe, true}
	case s.scheme != nil:
		scheme, err := json.Marshal(s.scheme)
		if err != nil {
			return pipeline.Part{}, err
		}
		part.Recipe = roundingRecipe{recipe, string(scheme)}
		part.Numerics = frozen.Int8.Numerics()
	case s.Objective.metric():
		part.Recipe = metricRecipe{recipe, s.Objective}
	case s.guidance != nil && s.guidance.alone && len(inputs[ModelPort]) == 0:
		classes, err := classesOfFirst(context.Background(), inputs)
		if err != nil {
			return pipeline.Part{}, err
		}
		part.Recipe = aloneRecipe{recipe, classes}
	case s.guided():
		teacherInputs(of, inputs)
		part.Recipe = guidedRecipe{phaseRecipe: recipe, Losses: s.guidance.Losses, Weights: s.guidance.Weights}
	}
	return part, nil
}

// phaseSeed is the seed of phase i: the stage's for the first.
func phaseSeed(seed uint64, i int) uint64 {
	return seed + uint64(i)*0x9e3779b97f4a7c15 // the golden ratio's, as SplitMix64 steps
}
