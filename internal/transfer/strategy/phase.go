package strategy

import (
	"cmp"
	"fmt"
)

// Phase is a part of a training in which the same layers learn. The head learns in every phase;
// what else does is the union of Unfreeze, Top and Rates, without Freeze.
type Phase struct {
	Name         string             `yaml:"name" doc:"for people, none twice; its number if not given"`
	Epochs       int                `yaml:"epochs" min:"1" doc:"passes over the training rows, at most; 10 if not given"`
	LearningRate float64            `yaml:"learning_rate" above:"0" doc:"of the first step, before schedule and warm-up; 1e-3 if not given"`
	Unfreeze     []string           `yaml:"unfreeze" doc:"layers of the backbone that learn: names of layers or blocks, patterns such as layer4.*, or all"`
	Top          int                `yaml:"top" min:"0" doc:"the last so many layers of the backbone that have weights learn: a convolution and its norm are two"`
	Freeze       []string           `yaml:"freeze" doc:"layers that do not learn, though named above; as in unfreeze. Alone: all others learn"`
	Rates        map[string]float64 `yaml:"rates" above:"0" doc:"learning rates of layers by name or pattern, which learn: the longest pattern that fits counts"`
	Spread       float64            `yaml:"spread" min:"1" doc:"the lowest layers learn at the rate divided by this, the head at the rate, those between evenly in powers by the depth of their block; 1: all alike"`
	Decay        float64            `yaml:"decay" above:"0" max:"1" doc:"each block learns at this share of the rate of the block above it; 1: all alike"`
	BatchNorm    string             `yaml:"batch_norm" enum:"frozen,train" doc:"of norms of the backbone that learn: frozen, their means and variances stay and only scale and shift learn; train, they follow the batches; frozen if not given. Those of frozen layers never change"`

	// What else differs from the stage's parameters.
	Optimiser     *string        `yaml:"optimiser" enum:"adam,adamw,sgd,rmsprop" doc:"the stage's if not given"`
	Schedule      *Schedule      `yaml:"schedule" doc:"the stage's if not given"`
	WarmUp        *int           `yaml:"warm_up" min:"0" doc:"the stage's if not given"`
	EarlyStopping *EarlyStopping `yaml:"early_stopping" doc:"the stage's if not given"`
}

// Words of phases.
const (
	all           = "all"
	FrozenNorms   = "frozen"
	TrainingNorms = "train"
)

// Complete fills in what was left out of phase number i, from 0.
func (p Phase) Complete(i int) Phase {
	p.Name = cmp.Or(p.Name, fmt.Sprint(i+1))
	p.Epochs = cmp.Or(p.Epochs, 10)
	p.LearningRate = cmp.Or(p.LearningRate, 1e-3)
	p.Spread, p.Decay = cmp.Or(p.Spread, 1), cmp.Or(p.Decay, 1)
	p.BatchNorm = cmp.Or(p.BatchNorm, FrozenNorms)
	return p
}

// Learning is the stage's with what the phase says otherwise.
func (p Phase) Learning(l Learning) Learning {
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
