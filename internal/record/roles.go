package record

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// Roles tells what the rows of a batch are for: which row is which, in which
// split, and whether it is a copy.
type Roles struct {
	ids, splits *array.String
	copies      *array.Int32 // nil: there are no copies
}

// NewRoles reads the columns id and split, and copy if there is one.
func NewRoles(rec arrow.Record) (r Roles, err error) {
	if r.ids, err = ColumnAs[*array.String](rec, ID); err != nil {
		return r, err
	}
	if r.splits, err = ColumnAs[*array.String](rec, Split); err != nil {
		return r, err
	}
	if len(rec.Schema().FieldIndices(Copy)) > 0 {
		r.copies, err = ColumnAs[*array.Int32](rec, Copy)
	}
	return r, err
}

// ID and Split are texts of the batch: they live as long as it does.
func (r Roles) ID(row int) string { return r.ids.Value(row) }

// Split is the row's split.
func (r Roles) Split(row int) string { return r.splits.Value(row) }

// Copy is 0 for a picture itself, and the number of the copy for one.
func (r Roles) Copy(row int) int {
	if r.copies == nil {
		return 0
	}
	return int(r.copies.Value(row))
}

// ColumnAs returns a column that must be an array of type A.
func ColumnAs[A arrow.Array](rec arrow.Record, name string) (A, error) {
	var none A
	at, field, err := Column(rec.Schema(), name)
	if err != nil {
		return none, err
	}
	c, ok := rec.Column(at).(A)
	if !ok {
		return none, fmt.Errorf("column %q is %s", name, field.Type)
	}
	return c, nil
}
