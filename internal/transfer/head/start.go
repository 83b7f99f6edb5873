package head

import (
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Start is what the last layer of a head upon a backbone begins with. YAML spells it zero, random, logistic, or as a mapping.
type Start struct {
	Kind        string    `yaml:"kind" enum:"zero,random,logistic" doc:"zero, random, or logistic: the logistic regression on the frozen backbone's features of the training rows"`
	Penalties   []float64 `yaml:"penalties" above:"0" doc:"of logistic: the candidates for λ, as in head; 1e4 to 1e-4 if not given"`
	Standardise bool      `yaml:"standardise" doc:"of logistic: apply the penalty to features standardised to mean 0 and variance 1; the layer itself still takes unstandardised features"`
}

const (
	zero     = "zero"
	random   = "random"
	logistic = "logistic"
)

// StartAtZero is what a head begins with where nothing is said.
func StartAtZero() Start { return Start{Kind: zero} }

// StartAtRandom is what the head of a network begins with whose other weights are all random too: from 0, the layers below would
// have no gradient at first, and such a network loses points in short trainings.
func StartAtRandom() Start { return Start{Kind: random} }

// Drawn tells whether the last layer begins with random numbers.
func (s Start) Drawn() bool { return s.Kind == random }

// Converged tells whether the head begins with a classifier that was fitted to its end.
func (s Start) Converged() bool { return s.Kind == logistic }

// DecodeParam implements params.Decoder.
func (s *Start) DecodeParam(d *params.Decoding, node *yaml.Node) {
	words := []string{zero, random, logistic}
	if node.Kind == yaml.ScalarNode {
		switch node.Value {
		case zero, random, logistic:
			*s = Start{Kind: node.Value}
		default:
			d.Errorf(node, params.DidYouMean(node.Value, words), "%q is nothing to start from", node.Value)
		}
		return
	}
	type plain Start
	p := plain{Kind: logistic}
	d.Into(node, &p)
	if p.Kind != logistic && (len(p.Penalties) > 0 || p.Standardise) {
		d.Errorf(node, "kind: logistic has penalties and standardise", "to start from %s, nothing else is to be said", p.Kind)
	}
	*s = Start(p)
}

// ParamSchema implements params.Schemer.
func (Start) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{zero, random, logistic}}, inner}}
}
