package retrieval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/retrieval"
	"github.com/tlpipe/tlpipe/pipeline"
)

// table is the rows of the split that have a value of the column that tells what belongs together, in the order of their ids.
type table struct {
	width          int
	values         []float32
	ids, by, apart []string // rows with the same value of apart are not looked for
}

// read reads the rows of a table.
func (s stage) read(ctx context.Context, in pipeline.Input) (*table, error) {
	t := &table{}
	var values []float32
	type row struct {
		id, by, apart string
		at            int
	}
	var rows []row
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		roles, err := record.NewRoles(rec)
		if err != nil {
			return nil, err
		}
		features, err := record.TensorColumn(rec, record.Feature)
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", in.Name(), err)
		}
		by, err := plainColumn(rec, "by", s.By)
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", in.Name(), err)
		}
		without, err := plainColumn(rec, "without", s.Without)
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", in.Name(), err)
		}
		t.width = features.Size()
		for i := range int(rec.NumRows()) {
			if roles.Copy(i) != 0 || roles.Split(i) != s.Split || features.IsNull(i) || by.IsNull(i) {
				continue
			}
			r := row{id: strings.Clone(roles.ID(i)), by: strings.Clone(by.ValueStr(i)), at: len(rows)}
			if without != nil && without.IsValid(i) {
				r.apart = "value " + without.ValueStr(i)
			} else {
				r.apart = "row " + r.id
			}
			rows = append(rows, r)
			values = features.AppendFloats(values, i)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("data %s has no row of split %s with a value in column %s", in.Name(), s.Split, s.By)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.id, b.id) })
	for _, r := range rows {
		t.ids, t.by, t.apart = append(t.ids, r.id), append(t.by, r.by), append(t.apart, r.apart)
		t.values = append(t.values, values[r.at*t.width:(r.at+1)*t.width]...)
	}
	return t, nil
}

// plainColumn is a column whose values can be compared; nil for no name.
func plainColumn(rec arrow.Record, param, name string) (arrow.Array, error) {
	if name == "" {
		return nil, nil
	}
	at, field, err := record.Column(rec.Schema(), name)
	if err != nil {
		return nil, pipeline.ParamError(param, "%v", err)
	}
	if _, nested := field.Type.(arrow.NestedType); nested {
		return nil, pipeline.ParamError(param, "column %q is %s, not a plain value", name, field.Type)
	}
	return rec.Column(at), nil
}

// rows are the table as queries or gallery. keys numbers the values that tell what belongs together. Within a table, rows are apart
// from themselves.
func (t *table) rows(keys map[string]int, within bool) retrieval.Rows {
	r := retrieval.Rows{Values: t.values}
	apart := map[string]int{}
	for i, by := range t.by {
		r.Keys = append(r.Keys, numberOf(keys, by))
		if within {
			r.Apart = append(r.Apart, numberOf(apart, t.apart[i]))
		} else {
			r.Apart = append(r.Apart, -1)
		}
	}
	return r
}

func numberOf(numbers map[string]int, name string) int {
	n, ok := numbers[name]
	if !ok {
		n = len(numbers)
		numbers[name] = n
	}
	return n
}
