package exec

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
)

// take returns the elements of a column at some places.
func take(column arrow.Array, at []int) (arrow.Array, error) { return record.Take(column, at) }

// rowsOf tells to which rows of the question those of an answer belong. Without a column for that they are numbered on from
// first.
func rowsOf(rec arrow.Record, first int) ([]int, error) {
	out := make([]int, rec.NumRows())
	switch c := column(rec, rowColumn).(type) {
	case nil:
		for i := range out {
			out[i] = first + i
		}
	case *array.Int32:
		for i := range out {
			if c.IsNull(i) {
				return nil, fmt.Errorf("gave a row with no number in the column %s", rowColumn)
			}
			out[i] = int(c.Value(i))
		}
	case *array.Int64:
		for i := range out {
			if c.IsNull(i) {
				return nil, fmt.Errorf("gave a row with no number in the column %s", rowColumn)
			}
			out[i] = int(c.Value(i))
		}
	default:
		return nil, fmt.Errorf("gave the column %s as %s, not int32 or int64", rowColumn, c.DataType())
	}
	return out, nil
}

// rejectsOf tells why rows of an answer are rejected; "" for those that are not.
func rejectsOf(rec arrow.Record) (func(i int) string, error) {
	switch c := column(rec, rejectColumn).(type) {
	case nil:
		return func(int) string { return "" }, nil
	case *array.Null:
		return func(int) string { return "" }, nil
	case *array.String:
		return func(i int) string {
			switch {
			case c.IsNull(i):
				return ""
			case c.Value(i) == "":
				return "the program rejects it, and says no reason"
			}
			return string([]byte(c.Value(i)))
		}, nil
	default:
		return nil, fmt.Errorf("gave the column %s as %s, not utf8", rejectColumn, c.DataType())
	}
}
