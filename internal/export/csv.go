package export

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
)

// csvColumn is a column of the table as one or several columns of text.
type csvColumn struct {
	at    int
	width int // of a tensor; 0 for a plain column
}

// writeCSV writes the columns that a text file can hold. Missing values are
// empty.
func writeCSV(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	var heads []string
	var columns []csvColumn
	for i, f := range t.schema.Fields() {
		list, isTensor := f.Type.(*arrow.FixedSizeListType)
		switch {
		case !isTensor && plain(f.Type):
			heads = append(heads, f.Name)
			columns = append(columns, csvColumn{at: i})
		case isTensor && oneDimensional(f) && plain(list.Elem()):
			heads = append(heads, tensorHeads(t.schema, f, int(list.Len()))...)
			columns = append(columns, csvColumn{at: i, width: int(list.Len())})
		case arrow.TypeEqual(f.Type, record.ClassesField("").Type):
			heads = append(heads, f.Name)
			columns = append(columns, csvColumn{at: i})
		default:
			notes = append(notes, fmt.Sprintf("column %q is left out: CSV cannot hold it", f.Name))
		}
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("CSV can hold none of the columns %v", record.ColumnNames(t.schema))
	}
	w := csv.NewWriter(out)
	if err := w.Write(heads); err != nil {
		return nil, err
	}
	for rec, err := range t.batches(ctx) {
		if err != nil {
			return nil, err
		}
		if err := writeRows(w, rec, columns); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return notes, w.Error()
}

func writeRows(w *csv.Writer, rec arrow.Record, columns []csvColumn) error {
	var line []string
	for row := range int(rec.NumRows()) {
		line = line[:0]
		for _, c := range columns {
			if c.width == 0 {
				line = append(line, text(rec.Column(c.at), row))
				continue
			}
			list := rec.Column(c.at).(*array.FixedSizeList)
			from, _ := list.ValueOffsets(row)
			for i := range c.width {
				cell := ""
				if !list.IsNull(row) {
					cell = text(list.ListValues(), int(from)+i)
				}
				line = append(line, cell)
			}
		}
		if err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// plain tells whether a value is one word of a text file.
func plain(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.BINARY, arrow.LARGE_BINARY, arrow.FIXED_SIZE_BINARY:
		return false
	}
	return !arrow.IsNested(t.ID())
}

func oneDimensional(f arrow.Field) bool {
	shape, _, err := record.TensorShape(f)
	return err == nil && len(shape) == 1
}

// tensorHeads names a tensor's columns: probabilities.CLASS, target.NUMBER, feature_0 ….
func tensorHeads(s *arrow.Schema, f arrow.Field, width int) []string {
	classes := record.NumberNames(f)
	if text, ok := s.Metadata().GetValue(record.ClassesKey); ok && f.Name == record.Probabilities {
		_ = json.Unmarshal([]byte(text), &classes) // without names, numbers do
	}
	heads := make([]string, width)
	for i := range heads {
		heads[i] = f.Name + "_" + strconv.Itoa(i)
		if len(classes) == width {
			heads[i] = f.Name + "." + classes[i]
		}
	}
	return heads
}

// text is a value as it reads back exactly.
func text(column arrow.Array, row int) string {
	if column.IsNull(row) {
		return ""
	}
	switch column := column.(type) {
	case *array.String:
		return column.Value(row)
	case *array.List:
		return record.JoinClasses(column, row)
	case *array.Float32:
		return strconv.FormatFloat(float64(column.Value(row)), 'g', -1, 32)
	case *array.Float64:
		return strconv.FormatFloat(column.Value(row), 'g', -1, 64)
	case *array.Float16:
		return strconv.FormatFloat(float64(column.Value(row).Float32()), 'g', -1, 32)
	default:
		return column.ValueStr(row)
	}
}
