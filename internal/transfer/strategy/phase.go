package strategy

import (
	"cmp"
	"fmt"
	"strconv"
)

// Phase is a part of a training in which the same layers learn. The head learns in every phase;
// what else does is the union of Unfreeze, Top and Rates, without Freeze.
type Phase struct {
	Name         string             `yaml:"name" doc:"name in logs and reports, unique; its number if not given"`
	Epochs       int                `yaml:"epochs" min:"1" doc:"maximum number of passes over the training rows; if not given, fewer for more training rows; 10 in the preset tutorial"`
	LearningRate float64            `yaml:"learning_rate" above:"0" doc:"before schedule and warm-up; if not given, 3e-3 for the head alone, else 3e-4 (5e-5 of a text encoder) with head_rate 3e-3; 1e-3 in the preset tutorial"`
	HeadRate     float64            `yaml:"head_rate" above:"0" doc:"learning rate of the head; that of the phase if not given"`
	Unfreeze     []string           `yaml:"unfreeze" doc:"layers of the backbone to train: names of layers or blocks, patterns such as layer4.*, all, or biases: of all layers, norms among them, the biases alone (BitFit)"`
	Top          int                `yaml:"top" min:"0" doc:"train the last N layers of the backbone that have weights: a convolution and its batch-norm are two; of transformers (BERT, ViT), the last N blocks"`
	Freeze       []string           `yaml:"freeze" doc:"layers to keep frozen even if unfreeze or top includes them, named as in unfreeze. Alone: all others are trained"`
	Rates        map[string]float64 `yaml:"rates" above:"0" doc:"learning rates of layers by name or pattern, which are trained; the longest matching pattern applies"`
	Spread       float64            `yaml:"spread" min:"1" doc:"the lowest layers are trained at the rate divided by this, the head at the rate, layers between at geometrically interpolated rates by the depth of their block; 1: one rate for all"`
	Decay        float64            `yaml:"decay" above:"0" max:"1" doc:"each block is trained at this fraction of the rate of the block above it; 1: one rate for all"`
	BatchNorm    string             `yaml:"batch_norm" enum:"frozen,train" doc:"of trained batch-norms of the backbone: frozen, their running means and variances are fixed and only scale and shift are trained; train, they use and track batch statistics; frozen if not given. Those of frozen layers never change"`

	// What else differs from the stage's parameters.
	BatchSize     *Batch         `yaml:"batch_size" doc:"rows per batch; the stage's if not given; by_rows: 64 from 500 training rows on"`
	Optimiser     *string        `yaml:"optimiser" enum:"adam,adamw,sgd,rmsprop" doc:"the stage's if not given"`
	Schedule      *Schedule      `yaml:"schedule" doc:"the stage's if not given"`
	WarmUp        *int           `yaml:"warm_up" min:"0" doc:"the stage's if not given"`
	EarlyStopping *EarlyStopping `yaml:"early_stopping" doc:"the stage's if not given"`

	adapted bool // layers learn that were put into the backbone
	usual   bool // Top was left to the preset, which says layers: of transformers it means a number of blocks
}

// Words of phases.
const (
	all           = "all"
	biases        = "biases" // of all layers
	FrozenNorms   = "frozen"
	TrainingNorms = "train"
)

// Complete fills in what was left out of phase number i, from 0. In the preset Default, 0 epochs
// stay: the rows decide.
func (p Phase) Complete(i int, preset Preset) Phase {
	p.Name = cmp.Or(p.Name, fmt.Sprint(i+1))
	switch {
	case preset == Tutorial:
		p.Epochs = cmp.Or(p.Epochs, 10)
		p.LearningRate = cmp.Or(p.LearningRate, 1e-3)
	case p.LearningRate > 0:
	case p.onlyHead():
		p.LearningRate = preset.rates().head
	default:
		p.LearningRate, p.HeadRate = preset.rates().backbone, cmp.Or(p.HeadRate, preset.rates().head)
	}
	if p.HeadRate == p.LearningRate {
		p.HeadRate = 0
	}
	p.Spread, p.Decay = cmp.Or(p.Spread, 1), cmp.Or(p.Decay, 1)
	p.BatchNorm = cmp.Or(p.BatchNorm, FrozenNorms)
	return p
}

// Learning is the stage's with what the phase says otherwise.
func (p Phase) Learning(l Learning) Learning {
	if p.BatchSize != nil && !p.BatchSize.ByRows {
		l.BatchSize = p.BatchSize.Rows
	}
	if p.Optimiser != nil {
		l.Optimiser = *p.Optimiser
		if l.Optimiser != sgd && l.Optimiser != rmsprop {
			l.Momentum, l.Nesterov = nil, false
		}
	}
	if p.Schedule != nil {
		l.Schedule = *p.Schedule
	}
	if p.WarmUp != nil {
		l.WarmUp = *p.WarmUp
	}
	if p.EarlyStopping != nil {
		l.EarlyStopping = *p.EarlyStopping
	}
	return l
}

// At is the phase at another rate, from which that of the head keeps its distance.
func (p Phase) At(rate float64) Phase {
	const digits = 12 // so that 0.1 of a rate is written as people would
	p.HeadRate, _ = strconv.ParseFloat(strconv.FormatFloat(p.HeadRate/p.LearningRate*rate, 'g', digits, 64), 64)
	p.LearningRate = rate
	return p
}

// onlyHead tells whether nothing of the backbone is to learn.
func (p Phase) onlyHead() bool {
	return len(p.Unfreeze) == 0 && p.Top == 0 && len(p.Freeze) == 0 && len(p.Rates) == 0 && !p.adapted
}
