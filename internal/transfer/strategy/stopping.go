package strategy

import (
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// none is the word for leaving something out.
const none = "none"

// EarlyStopping ends training early. YAML spells it none or as a mapping.
type EarlyStopping struct {
	Patience int     `yaml:"patience" min:"1" doc:"epochs without improvement before training ends; 5 if not given"`
	MinDelta float64 `yaml:"min_delta" min:"0" doc:"minimum change that counts as improvement"`
	Monitor  string  `yaml:"monitor" enum:"val_loss,val_accuracy" doc:"the quantity to monitor; also decides which weights are best, and when plateau reduces the rate"`
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
