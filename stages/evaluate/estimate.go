package evaluate

import (
	"context"
	"slices"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// What the estimate is made of, in bytes.
const (
	otherMemory = 64 << 20
	rowMemory   = 512      // what is known of a row: id, label, slices, answers
	modelCopies = 3        // of its weights: as read, as described, as the kernels take them
	widest      = 4 * 2048 // features of a picture, by most backbones
)

// Estimate implements pipeline.Estimator: the models, what is known of each row, and the features that logistic regression
// is fitted to, which are all in memory, with room to grow and those of the split that its penalty is chosen on a second time.
func (s stage) Estimate(inputs map[string][]pipeline.Input) (pipeline.Resources, error) {
	memory := int64(otherMemory)
	for _, model := range inputs["model"] {
		if sized, ok := model.(interface{ Bytes() int64 }); ok {
			memory += modelCopies * sized.Bytes()
		}
	}
	for _, data := range inputs["data"] {
		schema, err := data.Schema(context.Background()) // of its first chunk: no rows are read
		if err != nil || schema == nil {
			continue // told when it runs
		}
		t := &table{input: data, schema: schema}
		if s.checkColumns(t) != nil {
			continue
		}
		row := int64(rowMemory)
		if slices.Contains(s.Baselines, Logistic) {
			width := int64(4 * t.dimension)
			if t.pictures {
				width = widest
			}
			row += 9 * width / 4
		}
		memory += data.Rows() * row
		if record.OnPictures(schema) {
			memory += 2 * batchRows * 4 * int64(t.dimension)
		}
	}
	return pipeline.Resources{Memory: memory}, nil
}
