package strategy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Strategy is how a network is fine-tuned: one phase after the other. YAML spells it as a word, as a
// mapping that says some things of the word otherwise, or as the list of phases itself.
type Strategy struct {
	spelling
	Adapters *Adapters `yaml:"adapters" doc:"settings of the strategy adapters, written out"`
	Phases   []Phase   `yaml:"phases" doc:"explicit phases, instead of a kind; a list may also replace the whole mapping"`
}

// Words for strategies.
const (
	FeatureExtraction = "feature_extraction"
	Partial           = "partial"
	Full              = "full"
	Progressive       = "progressive"
	FineTune          = "fine_tune"
	Layerwise         = "layerwise"
	Adapted           = "adapters"
	LinearThenFull    = "linear_then_full"
)

// spelling is what a strategy says but for the phases, which are what counts: equal phases are equal
// recipes, whatever the word for them is.
type spelling struct {
	Kind         string    `yaml:"kind" recipe:"-" enum:"feature_extraction,partial,full,progressive,fine_tune,layerwise,adapters,linear_then_full" doc:"name of the strategy"`
	Epochs       []int     `yaml:"epochs" recipe:"-" min:"1" doc:"of each phase; if not given, depends on the number of training rows"`
	LearningRate []float64 `yaml:"learning_rate" recipe:"-" above:"0" doc:"of each phase"`
	Top          int       `yaml:"top" recipe:"-" min:"1" doc:"of partial and progressive: how many layers with weights to train, counted from the top of the backbone; of transformers (BERT, ViT), how many blocks; if not given, 40 layers, 20 in the preset tutorial, or 2 blocks, 1 in the preset tutorial"`
	Unfreeze     []string  `yaml:"unfreeze" recipe:"-" doc:"of partial: the layers or blocks to train, instead of top"`
	Decay        float64   `yaml:"decay" recipe:"-" above:"0" max:"1" doc:"of layerwise: each block's rate as a fraction of the rate of the block above it; 0.85 if not given, 0.75 in the preset tutorial"`
	Spread       float64   `yaml:"spread" recipe:"-" min:"1" doc:"of fine_tune: the ratio of the rate of the head to that of the lowest layers; 30 if not given, 100 in the preset tutorial"`
	BatchNorm    string    `yaml:"batch_norm" recipe:"-" enum:"frozen,train" doc:"of trained batch-norms, as in phases"`
	Adapter      string    `yaml:"adapter" recipe:"-" enum:"bottleneck,houlsby,pfeiffer,lora,bitfit" doc:"of adapters: bottleneck, layers after the blocks; houlsby, of transformers, layers behind attention and feed-forward network of each block; pfeiffer, behind the feed-forward network alone; lora, low-rank layers parallel to the projections to queries and values or, in other networks, to all convolutions and dense layers; bitfit, no layers: the biases of the backbone are trained; bottleneck if not given"`
	Reduction    int       `yaml:"reduction" recipe:"-" min:"1" doc:"of bottleneck, houlsby and pfeiffer adapters: the ratio of the channels of the layer to those of the bottleneck; 8 if not given"`
	Rank         int       `yaml:"rank" recipe:"-" min:"1" doc:"of lora adapters; 4 if not given"`
	Alpha        float64   `yaml:"alpha" recipe:"-" above:"0" doc:"of lora adapters: their output is multiplied by alpha/rank; the rank if not given"`
	On           []string  `yaml:"on" recipe:"-" doc:"of all adapters but bitfit: the layers that are adapted, in place of the usual ones, by name, by pattern such as block5.*, or by the end of their names such as query"`
}

func strategyWords() []string {
	return []string{FeatureExtraction, Partial, Full, Progressive, FineTune, Layerwise, Adapted, LinearThenFull}
}

// FeatureExtractionIn are the phases of those who name no strategy.
func FeatureExtractionIn(preset Preset) []Phase {
	s, _ := spelling{Kind: FeatureExtraction}.expand(preset)
	return s.Phases
}

// In gives the strategy its phases, and the phases their numbers, as far as they are left to a preset.
func (s Strategy) In(preset Preset) (Strategy, error) {
	if s.Kind != "" {
		return s.spelling.expand(preset)
	}
	s.Phases = slices.Clone(s.Phases)
	for i := range s.Phases {
		s.Phases[i] = s.Phases[i].Complete(i, preset)
	}
	return s, nil
}

// expand makes the phases of a strategy.
func (p spelling) expand(preset Preset) (Strategy, error) {
	s := Strategy{spelling: p}
	if p.Kind == Adapted {
		s.Adapters = p.adapters()
	}
	if s.Phases = p.phases(preset); preset == Tutorial {
		s.Phases = p.tutorial()
	}
	for key, n := range map[string]int{"epochs": len(p.Epochs), "learning_rate": len(p.LearningRate)} {
		if n > 0 && n != len(s.Phases) {
			return s, fmt.Errorf("%s: %d given, but %s has %d phases", key, n, p.Kind, len(s.Phases))
		}
	}
	for i := range s.Phases {
		phase := &s.Phases[i]
		if len(p.Epochs) > 0 {
			phase.Epochs = p.Epochs[i]
		}
		if len(p.LearningRate) > 0 {
			*phase = phase.At(p.LearningRate[i])
		}
		if p.BatchNorm != "" {
			phase.BatchNorm = p.BatchNorm
		}
		*phase = phase.Complete(i, preset)
	}
	return s, nil
}

// WithBatches is the strategy in batches that the stage sets: no phase has batches by the rows.
func (s Strategy) WithBatches() Strategy {
	s.Phases = slices.Clone(s.Phases)
	for i := range s.Phases {
		if s.Phases[i].BatchSize != nil && s.Phases[i].BatchSize.ByRows {
			s.Phases[i].BatchSize = nil
		}
	}
	return s
}

// unused names a key of the mapping that the strategy makes nothing of.
func (p spelling) unused() string {
	for _, key := range []struct {
		name  string
		given bool
		kinds []string
	}{
		{"top", p.Top > 0, []string{Partial, Progressive}},
		{"unfreeze", len(p.Unfreeze) > 0, []string{Partial}},
		{"decay", p.Decay > 0, []string{Layerwise}},
		{"spread", p.Spread > 0, []string{FineTune}},
		{"adapter", p.Adapter != "", []string{Adapted}},
		{"reduction", p.Reduction > 0 && p.Adapter != lora && p.Adapter != bitfit, []string{Adapted}},
		{"reduction", p.Reduction > 0 && (p.Adapter == lora || p.Adapter == bitfit), nil},
		{"rank", p.Rank > 0 && p.Adapter == lora, []string{Adapted}},
		{"rank", p.Rank > 0 && p.Adapter != lora, nil},
		{"alpha", p.Alpha > 0 && p.Adapter == lora, []string{Adapted}},
		{"alpha", p.Alpha > 0 && p.Adapter != lora, nil},
		{"on", len(p.On) > 0 && p.Adapter != bitfit, []string{Adapted}},
		{"on", len(p.On) > 0 && p.Adapter == bitfit, nil},
	} {
		if key.given && !slices.Contains(key.kinds, p.Kind) {
			return key.name
		}
	}
	return ""
}

// DecodeParam implements params.Decoder.
func (s *Strategy) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain Strategy
	*s = Strategy{}
	switch node.Kind {
	case yaml.SequenceNode:
		d.Into(node, &s.Phases)
		s.list(d, node)
		return
	case yaml.ScalarNode:
		if s.Kind = node.Value; !slices.Contains(strategyWords(), s.Kind) {
			d.Errorf(node, params.DidYouMean(s.Kind, strategyWords())+"; or a list of phases", "%q is no strategy", s.Kind)
			return
		}
	default:
		d.Into(node, (*plain)(s))
		if params.Locate(node, "phases") != node {
			s.list(d, node)
			return
		}
		if !slices.Contains(strategyWords(), s.Kind) {
			if params.Locate(node, "kind") == node {
				d.Errorf(node, "known: "+strings.Join(strategyWords(), ", "), `key "kind" is required`)
			}
			return
		}
		if key := s.unused(); key != "" {
			d.At(key, func() {
				d.Errorf(params.Locate(node, key), "", "strategy %s has none", s.Kind)
			})
			return
		}
		if s.Top > 0 && len(s.Unfreeze) > 0 {
			d.At("top", func() {
				d.Errorf(params.Locate(node, "top"), "leave one of the two out", "unfreeze says already which layers learn")
			})
			return
		}
	}
	if _, err := s.In(Default); err != nil {
		d.Errorf(node, "", "%v", err)
	}
}

// list checks a strategy that is spelled as its phases.
func (s *Strategy) list(d *params.Decoding, node *yaml.Node) {
	if len(s.Phases) == 0 {
		d.Errorf(node, "", "there is no phase")
	}
	named := map[string]bool{}
	for i := range s.Phases {
		name := cmp.Or(s.Phases[i].Name, fmt.Sprint(i+1))
		if named[name] {
			d.Errorf(node, "each needs a name of its own, or none", "two phases are named %q", name)
		}
		named[name] = true
	}
	s.spelling = spelling{}
}

// ParamSchema implements params.Schemer.
func (Strategy) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": strategyWords()},
		inner,
		map[string]any{"type": "array", "items": params.JSONSchema(Phase{})},
	}}
}
