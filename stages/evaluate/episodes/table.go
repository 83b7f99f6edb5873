package episodes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/fewshot"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// table is the rows that episodes are drawn of, in the order of their ids, so that tables of the same rows give the same episodes.
type table struct {
	features         fewshot.Features
	classes, objects []int // of each row, from 0
}

// row is one on its way into the table.
type row struct {
	id, class, object string
	at                int // of its features
}

// read reads the rows of a split that have a class, and the mean of the base features.
func (s stage) read(ctx context.Context, in pipeline.Input) (*table, error) {
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, fmt.Errorf("data %s has no rows", in.Name())
	}
	var rows []row
	var values []float32
	var base []float64
	bases := map[string]bool{}
	count, width := 0, 0
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		b, err := s.view(rec)
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", in.Name(), err)
		}
		if width = b.features.Size(); base == nil {
			base = make([]float64, width)
		}
		var x []float32
		for i := range int(rec.NumRows()) {
			if b.roles.Copy(i) != 0 || b.features.IsNull(i) {
				continue
			}
			switch b.roles.Split(i) {
			case s.Split:
				if b.labels.IsValid(i) {
					rows = append(rows, row{strings.Clone(b.roles.ID(i)), strings.Clone(b.labels.Value(i)), b.objectOf(i), len(rows)})
					values = b.features.AppendFloats(values, i)
				}
			case s.Base:
				x = b.features.AppendFloats(x[:0], i)
				for j, v := range x {
					base[j] += float64(v)
				}
				count++
				if b.labels.IsValid(i) {
					bases[b.labels.Value(i)] = true
				}
			}
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("data %s has no labelled row of split %s to draw episodes of", in.Name(), s.Split)
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.id, b.id) })
	t := &table{features: fewshot.Features{Width: width}}
	classes, objects := map[string]int{}, map[string]int{}
	for _, r := range rows {
		if bases[r.class] {
			return nil, fmt.Errorf("data %s: class %q stands in split %s, which episodes are drawn of, and in split %s: its examples would not be new; "+
				"`split: {classes: {train: 0.6, val: 0.2, test: 0.2}}` in preprocess divides by class", in.Name(), r.class, s.Split, s.Base)
		}
		t.features.Values = append(t.features.Values, values[r.at*width:(r.at+1)*width]...)
		t.classes = append(t.classes, numberOf(classes, r.class))
		t.objects = append(t.objects, numberOf(objects, r.object))
	}
	if count > 0 {
		for j := range base {
			base[j] /= float64(count)
		}
		t.features.Base = base
	}
	return t, nil
}

func numberOf(numbers map[string]int, name string) int {
	n, ok := numbers[name]
	if !ok {
		n = len(numbers)
		numbers[name] = n
	}
	return n
}

// batch is a view of some rows.
type batch struct {
	roles    record.Roles
	labels   *array.String
	features record.Tensors
	objects  arrow.Array // nil: each row is an object
}

func (s stage) view(rec arrow.Record) (b batch, err error) {
	if b.roles, err = record.NewRoles(rec); err != nil {
		return b, err
	}
	if b.labels, err = record.ColumnAs[*array.String](rec, record.Label); err != nil {
		return b, err
	}
	if b.features, err = record.TensorColumn(rec, record.Feature); err != nil {
		return b, err
	}
	if s.By == "" {
		return b, nil
	}
	at, field, err := record.Column(rec.Schema(), s.By)
	if err != nil {
		return b, pipeline.ParamError("by", "%v", err)
	}
	if _, nested := field.Type.(arrow.NestedType); nested {
		return b, pipeline.ParamError("by", "column %q is %s, not a plain value", s.By, field.Type)
	}
	b.objects = rec.Column(at)
	return b, nil
}

func (b batch) objectOf(i int) string {
	if b.objects == nil || b.objects.IsNull(i) {
		return "row " + b.roles.ID(i)
	}
	return "object " + b.objects.ValueStr(i)
}
