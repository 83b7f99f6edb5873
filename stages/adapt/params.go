package adapt

import (
	"slices"
	"strings"
	"time"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/domain/validator"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Params are the parameters of the stage.
type Params struct {
	Method       []method.Method      `yaml:"method" required:"true" doc:"one method or a list of them, each a word or a mapping with its settings; direct is always trained as well"`
	Domains      *Domains             `yaml:"domains" doc:"which rows belong to the source and which to the target, by the column domain; needed if one table has both"`
	TargetLabels int                  `yaml:"target_labels" min:"0" doc:"of fine_tune: how many labelled rows of each class of the target to train on; 0: all"`
	Label        string               `yaml:"label" doc:"column to predict, with one class per row"`
	Select       Select               `yaml:"select" doc:"how the model is chosen, without labels of the target"`
	PriorShift   string               `yaml:"prior_shift" enum:"none,em,bbse" doc:"corrects the chosen model for the target's class frequencies, estimated by em or bbse as in the method prior_shift"`
	Head         head.Head            `yaml:"head" doc:"of the methods in closed form, and of direct if there is no other method: the classifier on the aligned features, one that is fitted without epochs"`
	Network      *method.Network      `yaml:"network" doc:"of the methods that learn by gradient descent; what is not given is, on features, layers of 128, 64 and 50, a task head of 32 and a discriminator of 32 (dropout 0.3, batch-norm), and on images a bottleneck of 256 and a discriminator of 256 (dropout 0.5, batch-norm)"`
	Standardise  bool                 `yaml:"standardise" doc:"on features, of the methods that learn by gradient descent: scale each to mean 0 and variance 1 over the source's training rows; becomes a layer of the model"`
	Backbone     zoo.Name             `yaml:"backbone" doc:"on images: the pre-trained network, a name from 'tlpipe models list'"`
	Weights      zoo.WeightsReference `yaml:"weights" recipe:"-" doc:"weights of the backbone, as for the stage extract"`
	RandomSeed   uint64               `yaml:"random_seed" doc:"seed of random weights of the backbone; affects nothing else"`
	Strategy     strategy.Strategy    `yaml:"strategy" doc:"on images: which layers learn, as for the stage finetune; feature_extraction if not given"`
	Epochs       *int                 `yaml:"epochs" min:"1" doc:"passes over the source's training rows, each of at least least_steps steps; if not given, 30 on features, and as the strategy says on images"`
	LeastSteps   int                  `yaml:"least_steps" min:"0" doc:"minimum number of steps per epoch; if not given, 50 on features, 0 on images"`
	LearningRate []float64            `yaml:"learning_rate" above:"0" doc:"one rate, or several to choose from; if not given, 1e-3 on features, as the strategy says on images"`
	strategy.Learning
	PrefixCache     prefix.Size   `yaml:"prefix_cache" doc:"maximum size of the cached activations below the lowest trained layer; 0 to compute them in every epoch"`
	PrefixPrecision string        `yaml:"prefix_precision" enum:"bfloat16,float32" doc:"type in which cached activations are stored"`
	CheckpointEvery time.Duration `yaml:"checkpoint_every" recipe:"-" doc:"maximum amount of work lost if the process dies"`

	given map[string]bool // keys that the YAML has, so that those without effect can be refused
}

// Defaults are the parameters where a user gives none.
func Defaults() Params { return defaultsOn(false) }

func defaultsOn(pictures bool) Params {
	p := Params{
		Label: record.Label, Select: Select{By: none}, PriorShift: none, Head: head.Fitted("logistic"), Standardise: !pictures,
		Weights: zoo.DefaultWeights, Learning: strategy.LearningIn(strategy.Default, pictures),
		PrefixCache: 20e9, PrefixPrecision: prefix.BFloat16, CheckpointEvery: 5 * time.Minute,
	}
	p.Schedule = strategy.Annealed()
	if !pictures {
		p.LeastSteps = 50
	}
	return p
}

// none is the word for leaving something out, bbse that for estimating class frequencies by the confusion on validation rows.
const (
	none = "none"
	bbse = "bbse"
)

// DecodeParam implements params.Decoder: on images other values stand for what is not given.
func (p *Params) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain Params
	pictures := params.Locate(node, "backbone") != node || params.Locate(node, "strategy") != node
	*p = defaultsOn(pictures)
	d.Into(node, (*plain)(p))
	p.given = keysOf(node)
	if p.Network != nil {
		usual := method.OnFeatures()
		if p.given["backbone"] {
			usual = method.OnBackbone()
		}
		p.Network.Complete(usual, keysOf(params.Locate(node, "network")))
	}
	made, err := p.Strategy.In(strategy.Default)
	if err != nil { // decoding it has told
		return
	}
	if p.Strategy.Kind != "" && params.Locate(node, "batch_size") != node {
		made = made.WithBatches()
	}
	p.Strategy = made
}

// keysOf are the keys of a mapping.
func keysOf(node *yaml.Node) map[string]bool {
	keys := map[string]bool{}
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			keys[node.Content[i].Value] = true
		}
	}
	return keys
}

// Domains are the values of the column domain that source and target have.
type Domains struct {
	Source []string `yaml:"source" doc:"values of the column domain; all rows of the input if not given"`
	Target []string `yaml:"target" doc:"likewise"`
}

// Select says how the model is chosen. YAML spells it none, the word of a validator, or a mapping.
type Select struct {
	By   string   `yaml:"by" enum:"none,source_accuracy,im,bnm,snd,dev,ensemble" doc:"the validator: source_accuracy, on the source's validation rows; im, information maximisation; bnm, batch nuclear-norm; snd, soft neighbourhood density; dev, deep embedded validation; ensemble, the mean of their ranks, which always takes the last epoch; none: the first method at its last epoch"`
	Over []string `yaml:"over" enum:"method,learning_rate,epoch" doc:"what it chooses; all three if not given"`

	given, empty bool // whether the YAML says over, and whether it says nothing there
}

// chooses tells whether it chooses one of these.
func (s Select) chooses(what string) bool { return s.By != none && slices.Contains(s.Over, what) }

// What may be chosen.
const (
	overMethod = "method"
	overRate   = "learning_rate"
	overEpoch  = "epoch"
	ensemble   = validator.ByEnsemble
)

// DecodeParam implements params.Decoder.
func (s *Select) DecodeParam(d *params.Decoding, node *yaml.Node) {
	words := []string{none, "source_accuracy", "im", "bnm", "snd", "dev", ensemble}
	*s = Select{By: none}
	if node.Kind == yaml.ScalarNode {
		if s.By = node.Value; !slices.Contains(words, s.By) {
			hint := params.DidYouMean(node.Value, words)
			if hint == "" {
				hint = "known: " + strings.Join(words, ", ")
			}
			d.Errorf(node, hint, "%q is not a validator", node.Value)
		}
	} else {
		type plain Select
		p := plain{By: "im"}
		d.Into(node, &p)
		*s = Select(p)
		if keysOf(node)["over"] {
			s.given, s.empty = true, len(s.Over) == 0
		}
	}
	if s.By != none && len(s.Over) == 0 {
		s.Over = []string{overMethod, overRate, overEpoch}
	}
}

// ParamSchema implements params.Schemer.
func (Select) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{none, "source_accuracy", "im", "bnm", "snd", "dev", ensemble}}, inner}}
}
