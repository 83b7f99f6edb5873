package finetune

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/nn/train/solver"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// none is the word for leaving something out.
const none = "none"

// Schedule is how the learning rate changes. YAML spells it as a word or as a
// mapping.
type Schedule struct {
	Kind     string  `yaml:"kind" enum:"constant,cosine,one_cycle,plateau" required:"true" doc:"how the rate changes"`
	Factor   float64 `yaml:"factor" above:"0" max:"0.9999" doc:"of plateau: what the rate is multiplied by"`
	Patience int     `yaml:"patience" min:"1" doc:"of plateau: epochs without improvement before that"`
	MinDelta float64 `yaml:"min_delta" min:"0" doc:"of plateau: what counts as improvement"`
	Floor    float64 `yaml:"floor" min:"0" max:"1" doc:"of cosine and plateau: the least rate, as a share of the first"`
}

// Words for schedules.
const (
	constant = "constant"
	cosine   = "cosine"
	oneCycle = "one_cycle"
	plateau  = "plateau"
)

// DecodeParam implements params.Decoder.
func (s *Schedule) DecodeParam(d *params.Decoding, node *yaml.Node) {
	kinds := []string{constant, cosine, oneCycle, plateau}
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
	if s.Kind == plateau {
		if s.Factor == 0 {
			s.Factor = 0.5
		}
		if s.Patience == 0 {
			s.Patience = 3
		}
		return
	}
	unused("factor", s.Factor != 0)
	unused("patience", s.Patience != 0)
	unused("min_delta", s.MinDelta != 0)
	unused("floor", s.Floor != 0 && s.Kind != cosine)
}

// ParamSchema implements params.Schemer.
func (Schedule) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{constant, cosine, oneCycle, plateau}}, inner}}
}

func (s Schedule) make(warmUp int, d schedule.Direction) schedule.Schedule {
	made := schedule.Constant()
	switch s.Kind {
	case cosine:
		made = schedule.Cosine(s.Floor)
	case oneCycle:
		made = schedule.OneCycle(schedule.DefaultCycle())
	case plateau:
		made = schedule.Plateau(s.Factor, s.Patience, s.MinDelta, s.Floor, d)
	}
	if warmUp > 0 {
		made = schedule.WarmUp(warmUp, made)
	}
	return made
}

// EarlyStopping ends training early. YAML spells it none or as a mapping.
type EarlyStopping struct {
	Patience int     `yaml:"patience" min:"1" doc:"epochs without improvement before training ends; 5 if not given"`
	MinDelta float64 `yaml:"min_delta" min:"0" doc:"what counts as improvement"`
	Monitor  string  `yaml:"monitor" enum:"val_loss,val_accuracy" doc:"what is to improve; the best weights and a plateau are told by it too"`
}

// DecodeParam implements params.Decoder.
func (e *EarlyStopping) DecodeParam(d *params.Decoding, node *yaml.Node) {
	*e = EarlyStopping{Monitor: string(train.ValidationLoss)}
	if node.Kind == yaml.ScalarNode {
		if node.Value != none {
			d.Errorf(node, "none, or {patience: 5}", "expected a mapping, found %q", node.Value)
		}
		return
	}
	type plain EarlyStopping
	e.Patience = 5
	d.Into(node, (*plain)(e))
}

// ParamSchema implements params.Schemer.
func (EarlyStopping) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{none}}, inner}}
}

// ClassWeights say what an example of each class weighs in the loss. YAML
// spells them none, balanced, or as a mapping from class to factor.
type ClassWeights struct {
	Rule    string             `yaml:"rule"` // none, balanced, or given
	Factors map[string]float64 `yaml:"factors"`
}

// Words for class weights.
const (
	balanced = "balanced"
	given    = "given"
)

// DecodeParam implements params.Decoder.
func (c *ClassWeights) DecodeParam(d *params.Decoding, node *yaml.Node) {
	*c = ClassWeights{Rule: node.Value}
	if node.Kind != yaml.ScalarNode {
		c.Rule = given
		d.Into(node, &c.Factors)
		for class, factor := range c.Factors {
			if !(factor > 0) {
				d.At(class, func() { d.Errorf(params.Locate(node, class), "", "a weight must be above 0, found %v", factor) })
			}
		}
	} else if words := []string{none, balanced}; !slices.Contains(words, node.Value) {
		d.Errorf(node, params.DidYouMean(node.Value, words), "%q is neither a rule nor a mapping of classes", node.Value)
	}
}

// ParamSchema implements params.Schemer.
func (ClassWeights) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": []string{none, balanced}},
		map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "number", "exclusiveMinimum": 0}},
	}}
}

// of returns the weights of the classes, nil for none. counts are their
// training rows. Balanced weights are rows / (classes · rows of the class).
func (c ClassWeights) of(classes []string, counts []int) ([]float64, error) {
	if c.Rule == none {
		return nil, nil
	}
	for _, class := range slices.Sorted(maps.Keys(c.Factors)) {
		if !slices.Contains(classes, class) {
			return nil, pipeline.ParamErrorHint("class_weights."+class, params.DidYouMean(class, classes),
				"no training row is of class %q; classes: %s", class, strings.Join(classes, ", "))
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	weights := make([]float64, len(classes))
	for i, class := range classes {
		weights[i] = 1
		if c.Rule == balanced {
			weights[i] = float64(total) / float64(len(classes)*counts[i])
		} else if factor, ok := c.Factors[class]; ok {
			weights[i] = factor
		}
	}
	return weights, nil
}

// options are those of the training on the data.
func (s stage) options(task *pipeline.Task, data *data) (train.Options, error) {
	weights, err := s.ClassWeights.of(data.classes, data.counts())
	if err != nil {
		return train.Options{}, err
	}
	monitor := train.Monitor(s.EarlyStopping.Monitor)
	o := train.Options{
		Epochs: s.Epochs, BatchSize: s.BatchSize, Seed: task.Seed, Threads: task.Threads,
		Rule: s.rule(), Rate: s.LearningRate, Decay: 2 * s.L2, ClipNorm: s.ClipNorm,
		Schedule: s.Schedule.make(s.WarmUp, monitor.Direction()), Monitor: monitor,
		ClassWeights: weights, LabelSmoothing: s.LabelSmoothing,
	}
	if s.Optimiser == adamw {
		o.Decay = orElse(s.WeightDecay, 0.01)
	}
	if s.EarlyStopping.Patience > 0 {
		o.Stopping = schedule.NewStopping(s.EarlyStopping.Patience, s.EarlyStopping.MinDelta, monitor.Direction())
	}
	return o, nil
}

func (s stage) rule() solver.Rule {
	switch s.Optimiser {
	case adamw:
		return solver.DefaultAdamW()
	case sgd:
		return solver.SGD{Momentum: orElse(s.Momentum, 0.9), Nesterov: s.Nesterov}
	case rmsprop:
		rule := solver.DefaultRMSProp()
		rule.Momentum = orElse(s.Momentum, 0)
		return rule
	}
	return solver.DefaultAdam()
}

func orElse(x *float64, otherwise float64) float64 {
	if x == nil {
		return otherwise
	}
	return *x
}

// needsValidation names the parameter that cannot do without validation rows,
// "" if none is set.
func (s stage) needsValidation() string {
	switch {
	case s.EarlyStopping.Patience > 0:
		return "early_stopping"
	case s.Schedule.Kind == plateau:
		return "schedule"
	}
	return ""
}

// finite tells whether all numbers are.
func finite(values []float32) bool {
	for _, x := range values {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return false
		}
	}
	return true
}
