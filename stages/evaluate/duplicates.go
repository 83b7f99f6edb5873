package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/picture/likeness"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// duplicates finds the rows to be measured that look like a row of another split, the likest first: pictures that were learned
// from, or chosen by, and are measured on again. A table without likenesses has none.
func (e *evaluation) duplicates(ctx context.Context, in pipeline.Input) ([]record.Duplicate, error) {
	type looked struct {
		id, label, split string
		hash             likeness.Hash
	}
	var measured, others []looked
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		at := rec.Schema().FieldIndices(record.Likeness)
		if len(at) != 1 {
			return nil, nil
		}
		column, ok := rec.Column(at[0]).(*array.String)
		if !ok {
			return nil, nil
		}
		rows, err := record.NewRoles(rec)
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", in.Name(), err)
		}
		label := func(int) string { return "" } // of what is not classes
		if labels, err := record.ColumnAs[*array.String](rec, record.Label); err == nil {
			label = labels.Value
		}
		for i := range int(rec.NumRows()) {
			if rows.Copy(i) != 0 || column.IsNull(i) {
				continue
			}
			hash, ok := likeness.Parse(column.Value(i))
			if !ok {
				continue
			}
			row := looked{strings.Clone(rows.ID(i)), strings.Clone(label(i)), strings.Clone(rows.Split(i)), hash}
			if row.split == e.Split {
				measured = append(measured, row)
			} else {
				others = append(others, row)
			}
		}
	}
	hashes := make([]likeness.Hash, len(others))
	for i, o := range others {
		hashes[i] = o.hash
	}
	index := likeness.NewIndex(hashes)
	var out []record.Duplicate
	for i, m := range measured {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if at, distance := index.Nearest(m.hash); at >= 0 {
			o := others[at]
			out = append(out, record.Duplicate{ID: m.id, Label: m.label, Other: o.id, OtherLabel: o.label, OtherSplit: o.split, Distance: int64(distance), Rows: int64(len(measured))})
		}
	}
	slices.SortStableFunc(out, func(a, b record.Duplicate) int { return cmp.Compare(a.Distance, b.Distance) })
	return out, nil
}

// allDuplicates looks through every table of the pictures once: features of the same rows have the same likenesses.
func (e *evaluation) allDuplicates(ctx context.Context, tables []*table) ([]record.Duplicate, error) {
	var out []record.Duplicate
	var seen []*table
	for _, t := range tables {
		if slices.ContainsFunc(seen, func(other *table) bool { return t == other || slices.Equal(t.ids, other.ids) }) {
			continue
		}
		seen = append(seen, t)
		found, err := e.duplicates(ctx, t.input)
		if err != nil {
			return nil, fmt.Errorf("search for near-duplicate images: %w", err)
		}
		out = append(out, found...)
	}
	return out, nil
}
