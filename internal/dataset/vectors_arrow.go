package dataset

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/record"
)

// arrow reads columns of lists or of numbers of an Arrow file (IPC file format, Feather version 2).
func (v Vectors) arrow(ctx context.Context, f io.Reader, size int64, b *budget.Budget) (*vectorTable, error) {
	if err := b.Take(budget.Memory, size); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(withContext(ctx, f), size))
	if err != nil {
		return nil, err
	}
	r := &arrowColumns{vectors: v, budget: b, list: -1}
	if err := record.EachForeign(raw, int(min(b.Left(budget.Memory), math.MaxInt)), func(rec arrow.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return r.take(rec)
	}); err != nil {
		return nil, err
	}
	if r.names == nil {
		return nil, fmt.Errorf("there are no rows")
	}
	return r.table()
}

// arrowColumns collects the columns of an Arrow file.
type arrowColumns struct {
	vectors Vectors
	budget  *budget.Budget

	names   []string   // of columns that are no lists
	columns [][]string // their values as texts, "" for none
	places  []int      // of these columns in the file
	lists   listColumns
	others  []string // names of columns of lists that are not numbers
	list    int      // the column of features; −1: none
	width   int      // of its lists
	values  []float32
	rows    int
}

// begin finds out what the columns are.
func (r *arrowColumns) begin(schema *arrow.Schema) error {
	if err := r.vectors.Limits.checkColumns(schema.NumFields()); err != nil {
		return err
	}
	for i, field := range schema.Fields() {
		list, isList := field.Type.(arrow.ListLikeType)
		if !isList {
			r.names, r.places = append(r.names, field.Name), append(r.places, i)
			r.lists.alone = r.lists.alone || r.vectors.couldBeFeature(field.Name) && (arrow.IsFloating(field.Type.ID()) || arrow.IsInteger(field.Type.ID()))
			continue
		}
		switch id := list.Elem().ID(); {
		case arrow.IsFloating(id), arrow.IsInteger(id):
			r.lists.add(i, field.Name, arrow.IsInteger(id))
		default:
			r.others = append(r.others, field.Name)
		}
	}
	r.list = r.lists.choose(r.vectors)
	r.columns = make([][]string, len(r.names))
	if r.names == nil {
		r.names = []string{}
	}
	return nil
}

// take adds the rows of a batch.
func (r *arrowColumns) take(rec arrow.Record) error {
	if r.names == nil {
		if err := r.begin(rec.Schema()); err != nil {
			return err
		}
	}
	n := int(rec.NumRows())
	if err := r.budget.Take(budget.Items, int64(n)); err != nil {
		return err
	}
	for at, place := range r.places {
		column := rec.Column(place)
		if column.Len() != n {
			return fmt.Errorf("column %q has %d rows of %d", r.names[at], column.Len(), n)
		}
		for i := range n {
			value := ""
			if column.IsValid(i) {
				value = textOf(column, i)
			}
			if err := r.budget.Take(budget.Memory, int64(len(value))+16); err != nil {
				return err
			}
			r.columns[at] = append(r.columns[at], value)
		}
	}
	if r.list >= 0 {
		if err := r.takeList(rec.Column(r.list), n); err != nil {
			return fmt.Errorf("column %q: %w", rec.ColumnName(r.list), err)
		}
	}
	r.rows += n
	return nil
}

// textOf is a value as text; numbers so that they read back as they are.
func textOf(column arrow.Array, i int) string {
	switch c := column.(type) {
	case *array.Float32:
		return strconv.FormatFloat(float64(c.Value(i)), 'g', -1, 32)
	case *array.Float64:
		return strconv.FormatFloat(c.Value(i), 'g', -1, 64)
	case *array.Dictionary:
		return c.Dictionary().ValueStr(c.GetValueIndex(i))
	}
	return column.ValueStr(i)
}

// takeList adds lists of numbers; a row without one has numbers that are none, so that it is rejected.
func (r *arrowColumns) takeList(column arrow.Array, n int) error {
	lists, ok := column.(array.ListLike)
	if !ok || column.Len() != n {
		return fmt.Errorf("%d lists for %d rows", column.Len(), n)
	}
	elements := lists.ListValues()
	for i := range n {
		from, to := lists.ValueOffsets(i)
		if from < 0 || to < from || to > int64(elements.Len()) {
			return fmt.Errorf("a list from %d to %d of %d numbers", from, to, elements.Len())
		}
		width := int(to - from)
		missing := column.IsNull(i) || width == 0
		if !missing && r.width == 0 {
			r.width = width
			r.values = make([]float32, 0, width*(r.rows+n))
			for range width * (r.rows + i) { // rows before that had none
				r.values = append(r.values, float32(math.NaN()))
			}
		}
		if !missing && width != r.width {
			return fmt.Errorf("row %d has another number of features, %d, than those before, %d; rows are counted from 0", r.rows+i, width, r.width)
		}
		if err := r.budget.Take(budget.Memory, 4*int64(r.width)); err != nil {
			return err
		}
		for j := range r.width {
			x := math.NaN()
			if at := int(from) + j; !missing && elements.IsValid(at) {
				switch e := elements.(type) {
				case *array.Float32:
					x = float64(e.Value(at))
				case *array.Float64:
					x = e.Value(at)
				case *array.Float16:
					x = float64(e.Value(at).Float32())
				case *array.Int8:
					x = float64(e.Value(at))
				case *array.Int16:
					x = float64(e.Value(at))
				case *array.Int32:
					x = float64(e.Value(at))
				case *array.Int64:
					x = float64(e.Value(at))
				case *array.Uint8:
					x = float64(e.Value(at))
				case *array.Uint16:
					x = float64(e.Value(at))
				case *array.Uint32:
					x = float64(e.Value(at))
				case *array.Uint64:
					x = float64(e.Value(at))
				}
			}
			r.values = append(r.values, float32(x))
		}
	}
	return nil
}

// table makes rows of the columns.
func (r *arrowColumns) table() (*vectorTable, error) {
	v := r.vectors
	if r.list < 0 {
		if len(r.lists.names) > 0 && len(v.Features) == 1 && !slices.Contains(r.names, v.Features[0]) {
			return nil, fmt.Errorf("there is no column %q; columns of lists: %s", v.Features[0], some(r.lists.names))
		}
		t, err := v.sort(r.names, r.columns)
		return t, withLists(err, r.others)
	}
	return v.besideLists(r.width, r.values, r.rows, r.names, r.columns)
}
