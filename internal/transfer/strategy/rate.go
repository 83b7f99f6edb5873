package strategy

import (
	"math"
	"strconv"

	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Rate is a learning rate. YAML spells it as a number, or auto: then a range test chooses it.
type Rate struct {
	Auto  bool    `yaml:"auto"`
	Value float64 `yaml:"value"`
}

// DecodeParam implements params.Decoder.
func (r *Rate) DecodeParam(d *params.Decoding, node *yaml.Node) {
	*r = Rate{}
	if node.Kind == yaml.ScalarNode && node.Value == "auto" {
		r.Auto = true
		return
	}
	value, err := strconv.ParseFloat(node.Value, 64)
	switch {
	case node.Kind != yaml.ScalarNode || err != nil:
		d.Errorf(node, "a number such as 1e-3, or auto", "expected a learning rate, found %q", node.Value)
	case !(value > 0) || value > math.MaxFloat32:
		d.Errorf(node, "", "must be above 0 and finite, found %s", node.Value)
	}
	r.Value = value
}

// ParamSchema implements params.Schemer.
func (Rate) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"const": "auto"},
		map[string]any{"type": "number", "exclusiveMinimum": 0},
	}}
}
