package strategy

import (
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Learning says how a training learns, whatever it is that learns.
type Learning struct {
	BatchSize      int           `yaml:"batch_size" min:"1" doc:"rows per batch; 16 on images and of text encoders if not given"`
	Accumulate     int           `yaml:"accumulate" min:"1" doc:"batches whose gradients are accumulated for each optimiser step"`
	Optimiser      string        `yaml:"optimiser" enum:"adam,adamw,sgd,rmsprop" doc:"optimiser, with PyTorch's default settings; adamw on images and of text encoders if not given"`
	Momentum       *float64      `yaml:"momentum" min:"0" max:"0.9999" doc:"of sgd (0.9 if not given) and rmsprop (0)"`
	Nesterov       bool          `yaml:"nesterov" doc:"Nesterov momentum for sgd"`
	L2             float64       `yaml:"l2" min:"0" doc:"adds l2 · Σ w² over the weights of dense layers and convolutions to the objective; biases and norms are excluded, and the loss in the history does not include it"`
	WeightDecay    *float64      `yaml:"weight_decay" min:"0" doc:"of adamw, decoupled from the gradient; 0.01 if not given"`
	ClipNorm       float64       `yaml:"clip_norm" min:"0" doc:"clips the global norm of the gradients to this; 0: no clipping"`
	Schedule       Schedule      `yaml:"schedule" doc:"of the learning rate: constant, step, cosine, one_cycle, linear (warm-up and linear decay), plateau, annealed ((1+10p)^−0.75 over the share p of the training that is over), or a mapping; if not given, on images one_cycle with rise 0.1, of text encoders linear"`
	WarmUp         int           `yaml:"warm_up" min:"0" doc:"epochs over which the learning rate rises from 0"`
	EarlyStopping  EarlyStopping `yaml:"early_stopping" doc:"none, or a mapping: ends training, or the phase, when validation stops improving"`
	ClassWeights   ClassWeights  `yaml:"class_weights" doc:"none, balanced (each class has the same total weight; for multi-label, positive and negative rows of each class do), or a factor for some classes by name"`
	Sampling       string        `yaml:"sampling" enum:"all,balanced" doc:"all: each row once per epoch; balanced: the same number of rows, drawn equally from each class"`
	LabelSmoothing float64       `yaml:"label_smoothing" min:"0" max:"0.99" doc:"of rows with one class: fraction of each training label distributed evenly over all classes; 0.1 on images if not given, 0 of text encoders"`
	MixUp          float64       `yaml:"mixup" min:"0" doc:"α of mixup: blends each row of a batch, and its label, with another (Zhang et al. 2018), usually 0.2 to 0.4; with a cached prefix it blends activations; 0: none"`
	CutMix         float64       `yaml:"cutmix" min:"0" doc:"α of cutmix: pastes a rectangle of another image into each (Yun et al. 2019), usually 1; images and maps only; 0: none"`
	MixProbability float64       `yaml:"mix_probability" above:"0" max:"1" doc:"fraction of the batches to which mixup or cutmix is applied; with both, half of these each"`
	Average        float64       `yaml:"average" min:"0" max:"0.99999" doc:"decay of an exponential moving average of the weights, usually 0.99 to 0.9999, which is then validated and kept; it warms up: after n steps the decay is at most (1+n)/(10+n), so that the first weights are soon forgotten; 0: none"`
	Precision      string        `yaml:"precision" enum:"fp32,bf16" doc:"arithmetic of convolutions and dense layers in training; weights, norms and loss are always in fp32"`
	Restore        string        `yaml:"restore" enum:"best,last" doc:"the weights that a phase hands on and that the output model has: of the best or of the last epoch; the output last always has the last"`
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
	RestoreBest      = "best"
	BalancedSampling = "balanced"
)

// Check refuses what contradicts itself, for a training of so many epochs, 0 if that is not yet known. path is what the
// parameters' paths begin with.
func (l Learning) Check(path string, epochs int) (errs []error) {
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
	refuse(epochs > 0 && l.WarmUp >= epochs, "warm_up", "", "must be shorter than the training of %d epochs", epochs)
	return errs
}

// Options are those of a training with this objective.
func (l Learning) Options(epochs int, rate float64, o objective.Objective) train.Options {
	monitor := train.Monitor(l.EarlyStopping.Monitor)
	better, _ := monitor.Direction(o)
	out := train.Options{
		Epochs: epochs, BatchSize: l.BatchSize, Accumulate: l.Accumulate, Precision: l.Arithmetic(),
		Rule: l.rule(), Rate: rate, Decay: 2 * l.L2, ClipNorm: l.ClipNorm,
		Schedule: l.Schedule.make(l.WarmUp, better), Monitor: monitor,
		Objective: o,
		Mix:       train.Mixing{MixUp: l.MixUp, CutMix: l.CutMix, Probability: l.MixProbability},
		Average:   l.Average,
	}
	if l.Optimiser == adamw {
		out.Decay = orElse(l.WeightDecay, 0.01)
	}
	if l.EarlyStopping.Patience > 0 {
		out.Stopping = schedule.NewStopping(l.EarlyStopping.Patience, l.EarlyStopping.MinDelta, better)
	}
	return out
}

func (l Learning) Arithmetic() frozen.Precision {
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

// NeedsValidation names the parameter that cannot do without validation rows,
// "" if none is set.
func (l Learning) NeedsValidation() string {
	switch {
	case l.EarlyStopping.Patience > 0:
		return "early_stopping"
	case l.Schedule.Kind == plateau:
		return "schedule"
	}
	return ""
}

func orElse(x *float64, otherwise float64) float64 {
	if x == nil {
		return otherwise
	}
	return *x
}
