package strategy

import (
	"strconv"

	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Batch is how many rows a batch of a phase has. YAML spells it as a number, or by_rows: the stage's where there are few training
// rows, 64 from 500 on.
type Batch struct {
	ByRows bool `yaml:"by_rows"`
	Rows   int  `yaml:"rows"`
}

const byRows = "by_rows"

// What by_rows means: at the rate of the head, the backbone is disturbed by batches of 16 if an epoch has many of them.
const (
	manyRows  = 500
	wideBatch = 64 // fastai's
)

// For is the batch in a training on so many rows, nil for the stage's.
func (b *Batch) For(rows int) *Batch {
	switch {
	case b == nil || !b.ByRows:
		return b
	case rows < manyRows:
		return nil
	}
	return &Batch{Rows: wideBatch}
}

// DecodeParam implements params.Decoder.
func (b *Batch) DecodeParam(d *params.Decoding, node *yaml.Node) {
	*b = Batch{}
	if node.Kind == yaml.ScalarNode && node.Value == byRows {
		b.ByRows = true
		return
	}
	rows, err := strconv.Atoi(node.Value)
	switch {
	case node.Kind != yaml.ScalarNode || err != nil:
		d.Errorf(node, "a number, or "+byRows, "expected a number of rows, found %q", node.Value)
	case rows < 1:
		d.Errorf(node, "", "must be at least 1, found %d", rows)
	}
	b.Rows = rows
}

// ParamSchema implements params.Schemer.
func (Batch) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"const": byRows},
		map[string]any{"type": "integer", "minimum": 1},
	}}
}
