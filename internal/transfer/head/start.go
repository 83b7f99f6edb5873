package head

import (
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Start is what the last layer of a head upon a backbone begins with. YAML spells it zero, logistic, or as a mapping.
type Start struct {
	Kind        string    `yaml:"kind" enum:"zero,logistic" doc:"zero, or logistic: the logistic regression on the frozen backbone's features of the training rows"`
	Penalties   []float64 `yaml:"penalties" above:"0" doc:"of logistic: the candidates for λ, as in head; 1e4 to 1e-4 if not given"`
	Standardise bool      `yaml:"standardise" doc:"of logistic: apply the penalty to features standardised to mean 0 and variance 1; the layer itself still takes unstandardised features"`
}

const (
	zero     = "zero"
	logistic = "logistic"
)

// StartAtZero is what a head begins with where nothing is said.
func StartAtZero() Start { return Start{Kind: zero} }

// Converged tells whether the head begins with a classifier that was fitted to its end.
func (s Start) Converged() bool { return s.Kind == logistic }

// DecodeParam implements params.Decoder.
func (s *Start) DecodeParam(d *params.Decoding, node *yaml.Node) {
	words := []string{zero, logistic}
	if node.Kind == yaml.ScalarNode {
		switch node.Value {
		case zero, logistic:
			*s = Start{Kind: node.Value}
		default:
			d.Errorf(node, params.DidYouMean(node.Value, words), "%q is nothing to start from", node.Value)
		}
		return
	}
	type plain Start
	p := plain{Kind: logistic}
	d.Into(node, &p)
	if p.Kind == zero && (len(p.Penalties) > 0 || p.Standardise) {
		d.Errorf(node, "kind: logistic has penalties and standardise", "to start from zero, nothing else is to be said")
	}
	*s = Start(p)
}

// ParamSchema implements params.Schemer.
func (Start) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{zero, logistic}}, inner}}
}
