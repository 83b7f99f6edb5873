package transfer

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Learning says how a training learns, whatever it is that learns.
type Learning struct {
	BatchSize      int           `yaml:"batch_size" min:"1" doc:"rows computed at once"`
	Accumulate     int           `yaml:"accumulate" min:"1" doc:"batches whose gradients make one step of the optimiser"`
	Optimiser      string        `yaml:"optimiser" enum:"adam,adamw,sgd,rmsprop" doc:"how gradients become steps, with the settings PyTorch has by default"`
	Momentum       *float64      `yaml:"momentum" min:"0" max:"0.9999" doc:"of sgd (0.9 if not given) and rmsprop (0)"`
	Nesterov       bool          `yaml:"nesterov" doc:"sgd looks ahead along its momentum"`
	L2             float64       `yaml:"l2" min:"0" doc:"adds l2 · Σ w² over the weights of dense layers and convolutions to what is minimised; biases and norms are left out, and so is the loss in the history"`
	WeightDecay    *float64      `yaml:"weight_decay" min:"0" doc:"of adamw, apart from the gradient; 0.01 if not given"`
	ClipNorm       float64       `yaml:"clip_norm" min:"0" doc:"scales gradients down to this norm, all together; 0: never"`
	Schedule       Schedule      `yaml:"schedule" doc:"of the learning rate: constant, step, cosine, one_cycle, plateau, or a mapping"`
	WarmUp         int           `yaml:"warm_up" min:"0" doc:"epochs over which the learning rate rises from 0"`
	EarlyStopping  EarlyStopping `yaml:"early_stopping" doc:"none, or a mapping: ends training, or a phase of it, when validation no longer improves"`
	ClassWeights   ClassWeights  `yaml:"class_weights" doc:"none, balanced (each class weighs the same in total), or a factor for some classes by name"`
	Sampling       string        `yaml:"sampling" enum:"all,balanced" doc:"all: each row once an epoch; balanced: as many rows, of each class equally many"`
	LabelSmoothing float64       `yaml:"label_smoothing" min:"0" max:"0.99" doc:"share of each training label that is spread evenly over all classes"`
	MixUp          float64       `yaml:"mixup" min:"0" doc:"α of mixup: blends each row of a batch, and its label, with another (Zhang et al. 2018), usually 0.2 to 0.4; with a cached prefix it blends activations; 0: none"`
	CutMix         float64       `yaml:"cutmix" min:"0" doc:"α of cutmix: puts a rectangle of another picture into each (Yun et al. 2019), usually 1; pictures and maps only; 0: none"`
	MixProbability float64       `yaml:"mix_probability" above:"0" max:"1" doc:"share of the batches that mixup or cutmix change; with both, each takes half of these"`
	Average        float64       `yaml:"average" min:"0" max:"0.99999" doc:"decay of a running mean of the weights, usually 0.99 to 0.9999, which is what is validated and kept; 0: none"`
	Precision      string        `yaml:"precision" enum:"fp32,bf16" doc:"arithmetic of convolutions and dense layers in training; weights, norms and loss are in fp32 in both"`
	Restore        string        `yaml:"restore" enum:"best,last" doc:"the weights that a phase hands on, and the output model has; the output last always has the last"`
}

// Names of the optimisers.
const (
	adam    = "adam"
	adamw   = "adamw"
	sgd     = "sgd"
	rmsprop = "rmsprop"
)

// Values of Learning.Restore and Learning.Sampling.
const (
	restoreBest      = "best"
	balancedSampling = "balanced"
)

func defaultLearning() Learning {
	return Learning{
		BatchSize:      32,
		Accumulate:     1,
		Optimiser:      adam,
		Schedule:       Schedule{Kind: constant},
		EarlyStopping:  EarlyStopping{Monitor: string(train.ValidationLoss)},
		ClassWeights:   ClassWeights{Rule: none},
		Sampling:       "all",
		MixProbability: 1,
		Precision:      "fp32",
		Restore:        restoreBest,
	}
}

// check refuses what contradicts itself, for a training of so many epochs. path is what the
// parameters' paths begin with.
func (l Learning) check(path string, epochs int) (errs []error) {
	refuse := func(wrong bool, name, hint, format string, args ...any) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path+name, hint, format, args...))
		}
	}
	refuse(l.Momentum != nil && l.Optimiser != sgd && l.Optimiser != rmsprop, "momentum", "leave it out, or use sgd or rmsprop", "%s has no momentum", l.Optimiser)
	refuse(l.Nesterov && l.Optimiser != sgd, "nesterov", "", "%s has no Nesterov variant", l.Optimiser)
	refuse(l.Nesterov && l.Momentum != nil && *l.Momentum == 0, "nesterov", "", "needs a momentum above 0")
	refuse(l.WeightDecay != nil && l.Optimiser != adamw, "weight_decay", "use l2, or adamw", "only adamw decays weights apart from the gradient")
	refuse(l.L2 > 0 && l.Optimiser == adamw, "l2", "use weight_decay", "adamw decays weights apart from the gradient")
	refuse(l.WarmUp >= epochs, "warm_up", "", "must be shorter than the training of %d epochs", epochs)
	return errs
}

// options are those of a training with these weights of the classes.
func (l Learning) options(epochs int, rate float64, classWeights []float64) train.Options {
	monitor := train.Monitor(l.EarlyStopping.Monitor)
	o := train.Options{
		Epochs: epochs, BatchSize: l.BatchSize, Accumulate: l.Accumulate, Precision: l.precision(),
		Rule: l.rule(), Rate: rate, Decay: 2 * l.L2, ClipNorm: l.ClipNorm,
		Schedule: l.Schedule.make(l.WarmUp, monitor.Direction()), Monitor: monitor,
		ClassWeights: classWeights, LabelSmoothing: l.LabelSmoothing,
		Mix:     train.Mixing{MixUp: l.MixUp, CutMix: l.CutMix, Probability: l.MixProbability},
		Average: l.Average,
	}
	if l.Optimiser == adamw {
		o.Decay = orElse(l.WeightDecay, 0.01)
	}
	if l.EarlyStopping.Patience > 0 {
		o.Stopping = schedule.NewStopping(l.EarlyStopping.Patience, l.EarlyStopping.MinDelta, monitor.Direction())
	}
	return o
}

func (l Learning) precision() frozen.Precision {
	if l.Precision == "bf16" {
		return frozen.BFloat16
	}
	return frozen.Float32
}

func (l Learning) rule() optimizer.Rule {
	switch l.Optimiser {
	case adamw:
		return optimizer.DefaultAdamW()
	case sgd:
		return optimizer.SGD{Momentum: orElse(l.Momentum, 0.9), Nesterov: l.Nesterov}
	case rmsprop:
		rule := optimizer.DefaultRMSProp()
		rule.Momentum = orElse(l.Momentum, 0)
		return rule
	}
	return optimizer.DefaultAdam()
}

// needsValidation names the parameter that cannot do without validation rows,
// "" if none is set.
func (l Learning) needsValidation() string {
	switch {
	case l.EarlyStopping.Patience > 0:
		return "early_stopping"
	case l.Schedule.Kind == plateau:
		return "schedule"
	}
	return ""
}

// none is the word for leaving something out.
const none = "none"

// Schedule is how the learning rate changes. YAML spells it as a word or as a
// mapping.
type Schedule struct {
	Kind     string  `yaml:"kind" enum:"constant,step,cosine,one_cycle,plateau" required:"true" doc:"how the rate changes"`
	Factor   float64 `yaml:"factor" above:"0" max:"0.9999" doc:"of step (0.1 if not given) and plateau (0.5): what the rate is multiplied by"`
	Every    int     `yaml:"every" min:"1" doc:"of step: epochs between two such falls; 10 if not given"`
	Rise     float64 `yaml:"rise" above:"0" max:"0.9999" doc:"of one_cycle: share of the epochs in which the rate rises; 0.25 if not given"`
	Start    float64 `yaml:"start" above:"0" max:"1" doc:"of one_cycle: share of the rate that it starts with; 0.04 if not given"`
	Patience int     `yaml:"patience" min:"1" doc:"of plateau: epochs without improvement before the rate falls; 3 if not given"`
	MinDelta float64 `yaml:"min_delta" min:"0" doc:"of plateau: what counts as improvement"`
	Floor    float64 `yaml:"floor" min:"0" max:"1" doc:"of cosine and plateau: the least rate, as a share of the first"`
}

// Words for schedules.
const (
	constant = "constant"
	stepwise = "step"
	cosine   = "cosine"
	oneCycle = "one_cycle"
	plateau  = "plateau"
)

// DecodeParam implements params.Decoder.
func (s *Schedule) DecodeParam(d *params.Decoding, node *yaml.Node) {
	kinds := []string{constant, stepwise, cosine, oneCycle, plateau}
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
	unused("rise", s.Rise != 0 && s.Kind != oneCycle)
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
	case oneCycle:
		cycle := schedule.DefaultCycle()
		s.Rise, s.Start = cmp.Or(s.Rise, cycle.Rise), cmp.Or(s.Start, cycle.Start)
	}
	return s
}

// ParamSchema implements params.Schemer.
func (Schedule) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{constant, stepwise, cosine, oneCycle, plateau}}, inner}}
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
				"no training row is of class %q", class)
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	weights := make([]float64, len(classes))
	for i, class := range classes {
		weights[i] = 1
		if c.Rule == balanced && counts[i] > 0 { // a model that is gone on with may know more classes
			weights[i] = float64(total) / float64(len(classes)*counts[i])
		} else if factor, ok := c.Factors[class]; ok {
			weights[i] = factor
		}
	}
	return weights, nil
}

func orElse(x *float64, otherwise float64) float64 {
	if x == nil {
		return otherwise
	}
	return *x
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
