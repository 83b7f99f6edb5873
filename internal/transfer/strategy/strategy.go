package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Strategy is how a network is fine-tuned: one phase after the other. YAML spells it as a word, as a
// mapping that says some things of the word otherwise, or as the list of phases itself.
type Strategy struct {
	spelling
	Adapters *Adapters `yaml:"adapters" doc:"what the word adapters stands for"`
	Phases   []Phase   `yaml:"phases" doc:"what every word stands for; a list of them may stand in the place of the mapping"`
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
	Kind         string    `yaml:"kind" recipe:"-" enum:"feature_extraction,partial,full,progressive,fine_tune,layerwise,adapters,linear_then_full" doc:"the word for the strategy"`
	Epochs       []int     `yaml:"epochs" recipe:"-" min:"1" doc:"of each phase"`
	LearningRate []float64 `yaml:"learning_rate" recipe:"-" above:"0" doc:"of each phase"`
	Top          int       `yaml:"top" recipe:"-" min:"1" doc:"of partial and progressive: how many layers with weights learn, from the top of the backbone; 20 if not given"`
	Unfreeze     []string  `yaml:"unfreeze" recipe:"-" doc:"of partial: the layers or blocks that learn, in the place of top"`
	Decay        float64   `yaml:"decay" recipe:"-" above:"0" max:"1" doc:"of layerwise: each block's share of the rate of the block above it; 0.75 if not given"`
	Spread       float64   `yaml:"spread" recipe:"-" min:"1" doc:"of fine_tune: by how much more slowly the lowest layers learn; 100 if not given"`
	BatchNorm    string    `yaml:"batch_norm" recipe:"-" enum:"frozen,train" doc:"of the norms that learn, as in phases"`
	Adapter      string    `yaml:"adapter" recipe:"-" enum:"bottleneck,lora" doc:"of adapters: small layers after the blocks, or beside the convolutions; bottleneck if not given"`
	Reduction    int       `yaml:"reduction" recipe:"-" min:"1" doc:"of bottleneck adapters: the channels of the block for each of theirs; 8 if not given"`
	Rank         int       `yaml:"rank" recipe:"-" min:"1" doc:"of lora adapters; 4 if not given"`
}

func (p spelling) top() int {
	if p.Top == 0 {
		return 20
	}
	return p.Top
}

func strategyWords() []string {
	return []string{FeatureExtraction, Partial, Full, Progressive, FineTune, Layerwise, Adapted, LinearThenFull}
}

// Default is the strategy of those who name none.
func Default() Strategy {
	s, _ := spelling{Kind: FeatureExtraction}.expand()
	return s
}

// expand makes the phases of a strategy.
//
//   - feature_extraction: the head alone.
//   - partial: the head and the top of the backbone.
//   - full: everything.
//   - progressive: those three one after the other, each at a tenth of the rate before: gradual
//     unfreezing (Howard and Ruder 2018, arXiv:1801.06146).
//   - fine_tune: fastai's Learner.fine_tune: the head for an epoch, then everything at half the rate
//     spread over the depth, both one-cycle.
//   - layerwise: everything, each block more slowly than the one above.
//   - adapters: the head and small layers that are put into the backbone (Houlsby et al. 2019,
//     arXiv:1902.00751; Hu et al. 2021, arXiv:2106.09685).
//   - linear_then_full: the head to its end, then everything (Kumar et al. 2022, arXiv:2202.10054,
//     whose head is linear).
func (p spelling) expand() (Strategy, error) {
	head := Phase{Name: "head", Epochs: 10, LearningRate: 1e-3}
	everything := Phase{Name: all, Epochs: 10, LearningRate: 1e-5, Unfreeze: []string{all}}
	s := Strategy{spelling: p}
	switch p.Kind {
	case FeatureExtraction:
		s.Phases = []Phase{head}
	case Partial:
		phase := Phase{Name: "top", Epochs: 10, LearningRate: 1e-4, Top: p.top()}
		if len(p.Unfreeze) > 0 {
			phase.Top, phase.Unfreeze = p.Top, p.Unfreeze
		}
		s.Phases = []Phase{phase}
	case Full:
		s.Phases = []Phase{everything}
	case Progressive:
		head.Epochs, everything.Epochs = 5, 2
		s.Phases = []Phase{head, {Name: "top", Epochs: 5, LearningRate: 1e-4, Top: p.top()}, everything}
	case FineTune:
		// Its numbers are those of Learner.fine_tune and fit_one_cycle.
		rise := Schedule{Kind: oneCycle, Rise: 0.99, Start: 1.0 / 25}
		turn := Schedule{Kind: oneCycle, Rise: 0.3, Start: 1.0 / 5}
		head.Epochs, head.LearningRate, head.Schedule = 1, 2e-3, &rise
		everything.Epochs, everything.LearningRate, everything.Schedule = 4, 1e-3, &turn
		everything.Spread = 100
		if p.Spread > 0 {
			everything.Spread = p.Spread
		}
		s.Phases = []Phase{head, everything}
	case Layerwise:
		everything.LearningRate, everything.Decay = 1e-4, 0.75
		if p.Decay > 0 {
			everything.Decay = p.Decay
		}
		s.Phases = []Phase{everything}
	case Adapted:
		s.Adapters = &Adapters{Kind: "bottleneck", Reduction: 8, Rank: 4}
		if p.Adapter != "" {
			s.Adapters.Kind = p.Adapter
		}
		if p.Reduction > 0 {
			s.Adapters.Reduction = p.Reduction
		}
		if p.Rank > 0 {
			s.Adapters.Rank = p.Rank
		}
		s.Phases = []Phase{{Name: Adapted, Epochs: 10, LearningRate: 1e-3}}
	case LinearThenFull:
		s.Phases = []Phase{head, everything}
	}
	if len(p.Epochs) > 0 && len(p.Epochs) != len(s.Phases) {
		return s, fmt.Errorf("epochs: %d given, but %s has %d phases", len(p.Epochs), p.Kind, len(s.Phases))
	}
	if len(p.LearningRate) > 0 && len(p.LearningRate) != len(s.Phases) {
		return s, fmt.Errorf("learning_rate: %d given, but %s has %d phases", len(p.LearningRate), p.Kind, len(s.Phases))
	}
	for i := range s.Phases {
		if len(p.Epochs) > 0 {
			s.Phases[i].Epochs = p.Epochs[i]
		}
		if len(p.LearningRate) > 0 {
			s.Phases[i].LearningRate = p.LearningRate[i]
		}
		if p.BatchNorm != "" {
			s.Phases[i].BatchNorm = p.BatchNorm
		}
		s.Phases[i] = s.Phases[i].Complete(i)
	}
	return s, nil
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
		{"reduction", p.Reduction > 0 && p.Adapter != "lora", []string{Adapted}},
		{"reduction", p.Reduction > 0 && p.Adapter == "lora", nil},
		{"rank", p.Rank > 0 && p.Adapter == "lora", []string{Adapted}},
		{"rank", p.Rank > 0 && p.Adapter != "lora", nil},
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
	made, err := s.expand()
	if err != nil {
		d.Errorf(node, "", "%v", err)
		return
	}
	*s = made
}

// list completes a strategy that is spelled as its phases.
func (s *Strategy) list(d *params.Decoding, node *yaml.Node) {
	if len(s.Phases) == 0 {
		d.Errorf(node, "", "there is no phase")
	}
	named := map[string]bool{}
	for i := range s.Phases {
		s.Phases[i] = s.Phases[i].Complete(i)
		name := s.Phases[i].Name
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

// Adapters are small layers that learn in a backbone that does not.
type Adapters struct {
	Kind      string `yaml:"kind" enum:"bottleneck,lora" doc:"see adapter"`
	Reduction int    `yaml:"reduction" doc:"of bottleneck"`
	Rank      int    `yaml:"rank" doc:"of lora"`
}

// Apply puts the adapters into the backbone. Until they have learned something they change nothing.
func (a Adapters) Apply(trunk *nn.Network, weights nn.Weights, seed uint64) (*nn.Network, nn.Weights, error) {
	if a.Kind == "lora" {
		return adapter.LowRank{Rank: a.Rank}.Apply(trunk, weights, adapter.Projections(trunk), seed)
	}
	return adapter.Bottleneck{Reduction: a.Reduction}.Apply(trunk, weights, adapter.Blocks(trunk), seed)
}
