package strategy

import (
	"maps"
	"slices"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// ClassWeights say what an example of each class weighs in the loss. YAML
// spells them none, balanced, or as a mapping from class to factor.
type ClassWeights struct {
	Rule    string             `yaml:"rule"` // none, balanced, or given
	Factors map[string]float64 `yaml:"factors"`
}

// Words for class weights.
const (
	balanced = "balanced"
	given    = "given"
)

// DecodeParam implements params.Decoder.
func (c *ClassWeights) DecodeParam(d *params.Decoding, node *yaml.Node) {
	*c = ClassWeights{Rule: node.Value}
	if node.Kind != yaml.ScalarNode {
		c.Rule = given
		d.Into(node, &c.Factors)
		for class, factor := range c.Factors {
			if !(factor > 0) {
				d.At(class, func() { d.Errorf(params.Locate(node, class), "", "a weight must be above 0, found %v", factor) })
			}
		}
	} else if words := []string{none, balanced}; !slices.Contains(words, node.Value) {
		d.Errorf(node, params.DidYouMean(node.Value, words), "%q is neither a rule nor a mapping of classes", node.Value)
	}
}

// ParamSchema implements params.Schemer.
func (ClassWeights) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": []string{none, balanced}},
		map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "number", "exclusiveMinimum": 0}},
	}}
}

// Given tells whether there are any.
func (c ClassWeights) Given() bool { return c.Rule != none }

// Positive returns what rows weigh, where any of the classes may apply, in the loss of each class that
// applies to them, nil for none. counts are the training rows that each class applies to, of all rows.
// Balanced weights are the rows that it does not apply to, for each that it does.
func (c ClassWeights) Positive(classes []string, counts []int, rows int) ([]float64, error) {
	weights, err := c.Of(classes, counts)
	if c.Rule != balanced {
		return weights, err
	}
	for i, n := range counts {
		weights[i] = 1
		if n > 0 && n < rows {
			weights[i] = float64(rows-n) / float64(n)
		}
	}
	return weights, nil
}

// Of returns the weights of the classes, nil for none. counts are their
// training rows. Balanced weights are rows / (classes · rows of the class).
func (c ClassWeights) Of(classes []string, counts []int) ([]float64, error) {
	if c.Rule == none {
		return nil, nil
	}
	for _, class := range slices.Sorted(maps.Keys(c.Factors)) {
		if !slices.Contains(classes, class) {
			return nil, pipeline.ParamErrorHint("class_weights."+class, params.DidYouMean(class, classes),
				"no training row is of class %q", class)
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	weights := make([]float64, len(classes))
	for i, class := range classes {
		weights[i] = 1
		if c.Rule == balanced && counts[i] > 0 { // a model that is gone on with may know more classes
			weights[i] = float64(total) / float64(len(classes)*counts[i])
		} else if factor, ok := c.Factors[class]; ok {
			weights[i] = factor
		}
	}
	return weights, nil
}
