package transfer

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
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
	frozenNorms   = "frozen"
	trainingNorms = "train"
)

// complete fills in what was left out of phase number i, from 0.
func (p Phase) complete(i int) Phase {
	p.Name = cmp.Or(p.Name, fmt.Sprint(i+1))
	p.Epochs = cmp.Or(p.Epochs, 10)
	p.LearningRate = cmp.Or(p.LearningRate, 1e-3)
	p.Spread, p.Decay = cmp.Or(p.Spread, 1), cmp.Or(p.Decay, 1)
	p.BatchNorm = cmp.Or(p.BatchNorm, frozenNorms)
	return p
}

// learning is the stage's with what the phase says otherwise.
func (p Phase) learning(l Learning) Learning {
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

// selection is which layers of a network a phase trains, and at which share of its rate.
type selection struct {
	rates     map[string]float64 // by layer, of those that learn
	batchNorm train.BatchNormMode
}

func (s selection) learns(layer string) bool { return s.rates[layer] > 0 }

// rate is the factor on the phase's rate.
func (s selection) rate(layer string) float64 { return s.rates[layer] }

// norms is how a batch-norm that learns normalises: those of the head as usual.
func (s selection) norms(layer string) train.BatchNormMode {
	if isHead(layer) {
		return train.BatchStatistics
	}
	return s.batchNorm
}

// selects tells which layers of the network learn in the phase. at is the path of the phase in the
// parameters; names that mean no layer are errors there.
func (p Phase) selects(net *nn.Network, at string) (selection, error) {
	named := func(key string, patterns []string) (map[string]bool, error) {
		found := map[string]bool{}
		for i, pattern := range patterns {
			if !markMatches(net, pattern, found) {
				return nil, unknownLayer(net, fmt.Sprintf("%s%s[%d]", at, key, i), pattern)
			}
		}
		return found, nil
	}
	unfrozen, err := named("unfreeze", p.Unfreeze)
	if err != nil {
		return selection{}, err
	}
	frozen, err := named("freeze", p.Freeze)
	if err != nil {
		return selection{}, err
	}
	weighted := layersWithWeights(net)
	if p.Top > len(weighted) {
		return selection{}, pipeline.ParamError(at+"top", "the backbone has %d layers with weights, not %d", len(weighted), p.Top)
	}
	for _, name := range weighted[len(weighted)-p.Top:] {
		unfrozen[name] = true
	}
	own := map[string]float64{}
	for _, pattern := range slices.SortedFunc(maps.Keys(p.Rates), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}) {
		found := map[string]bool{}
		if !markMatches(net, pattern, found) {
			return selection{}, unknownLayer(net, at+"rates."+pattern, pattern)
		}
		for name := range found {
			unfrozen[name] = true
			own[name] = p.Rates[pattern] / p.LearningRate
		}
	}
	onlyFreeze := len(p.Freeze) > 0 && len(p.Unfreeze) == 0 && p.Top == 0 && len(p.Rates) == 0
	s := selection{rates: map[string]float64{}}
	if p.BatchNorm == frozenNorms {
		s.batchNorm = train.FixedStatistics
	}
	for _, l := range net.Layers() {
		_, isInput := l.Op.(nn.Input)
		if !isInput && !frozen[l.Name] && (isHead(l.Name) || adapter.Added(l.Name) || onlyFreeze || unfrozen[l.Name]) {
			s.rates[l.Name] = 1
		}
	}
	p.slower(net, s)
	for name, rate := range own {
		if s.learns(name) {
			s.rates[name] = rate
		}
	}
	return s, nil
}

// slower lets blocks learn the more slowly the lower they lie.
func (p Phase) slower(net *nn.Network, s selection) {
	var blocks []string
	for _, l := range net.Layers() {
		if block := blockOf(l.Name); s.learns(l.Name) && len(net.LayerParameters(l)) > 0 && !slices.Contains(blocks, block) {
			blocks = append(blocks, block)
		}
	}
	for name := range s.rates {
		above := 0 // blocks above this one
		if at := slices.Index(blocks, blockOf(name)); at >= 0 {
			above = len(blocks) - 1 - at
		}
		s.rates[name] = math.Pow(p.Decay, float64(above)) *
			math.Pow(p.Spread, -float64(above)/float64(max(len(blocks)-1, 1)))
	}
}

// blockOf is the scope at the top of a layer's name.
func blockOf(layer string) string {
	block, _, _ := strings.Cut(layer, ".")
	return block
}

// layersWithWeights lists the layers of the backbone that have weights, from the input up.
func layersWithWeights(net *nn.Network) (names []string) {
	for _, l := range net.Layers() {
		if len(net.LayerParameters(l)) > 0 && !isHead(l.Name) && !adapter.Added(l.Name) {
			names = append(names, l.Name)
		}
	}
	return names
}

// markMatches marks the layers that a name, a scope or a pattern means: the word all, all of the
// backbone. It tells whether there are any. A star in a pattern stands for any characters, dots
// included.
func markMatches(net *nn.Network, pattern string, found map[string]bool) bool {
	any := false
	for _, l := range net.Layers() {
		match := nn.InScope(l.Name, pattern) || pattern == all && !isHead(l.Name)
		if !match && strings.ContainsAny(pattern, "*?[") {
			match, _ = path.Match(pattern, l.Name) // a malformed pattern matches nothing
		}
		if match {
			found[l.Name], any = true, true
		}
	}
	return any
}

// unknownLayer is the error of a name that means no layer of the network.
func unknownLayer(net *nn.Network, at, name string) error {
	known := []string{all}
	for _, scope := range net.Scopes() {
		if !slices.ContainsFunc(net.Inputs(), func(l nn.Layer) bool { return l.Name == scope }) {
			known = append(known, scope)
		}
	}
	hint := "known: " + strings.Join(known, ", ")
	if strings.Contains(name, ".") {
		for _, l := range net.Layers() {
			known = append(known, l.Name)
		}
	}
	if near := params.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return pipeline.ParamErrorHint(at, hint, "the network has no layer or block %q", name)
}
