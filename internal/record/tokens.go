package record

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// OnTokens tells whether a table holds texts that were cut into tokens, and neither pictures nor features.
func OnTokens(schema *arrow.Schema) bool {
	return len(schema.FieldIndices(Tokens)) > 0 && len(schema.FieldIndices(Feature)) == 0 && len(schema.FieldIndices(Image)) == 0
}

// TokenColumn is the column of the tokens of a record.
type TokenColumn struct {
	lists *array.List
	ids   *array.Int32
}

// NewTokenColumn reads the column tokens. It is a view of the record.
func NewTokenColumn(rec arrow.Record) (TokenColumn, error) {
	lists, err := ColumnAs[*array.List](rec, Tokens)
	if err != nil {
		return TokenColumn{}, err
	}
	ids, ok := lists.ListValues().(*array.Int32)
	if !ok {
		return TokenColumn{}, fmt.Errorf("column %q is %s, not lists of int32", Tokens, lists.DataType())
	}
	return TokenColumn{lists, ids}, nil
}

// Row is the tokens of a row; nil if it has none.
func (c TokenColumn) Row(i int) []int32 {
	if c.lists.IsNull(i) {
		return nil
	}
	from, to := c.lists.ValueOffsets(i)
	return c.ids.Int32Values()[from:to]
}
