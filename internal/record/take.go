package record

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Take returns the elements of a column at these places, in this order. The caller releases it.
func Take(column arrow.Array, at []int) (arrow.Array, error) {
	runs := []arrow.Array{array.NewSlice(column, 0, 0)}
	defer func() {
		for _, run := range runs {
			run.Release()
		}
	}()
	for from := 0; from < len(at); {
		to := from + 1
		for to < len(at) && at[to] == at[to-1]+1 {
			to++
		}
		runs = append(runs, array.NewSlice(column, int64(at[from]), int64(at[to-1]+1)))
		from = to
	}
	return array.Concatenate(runs, memory.DefaultAllocator)
}

// TakeRows returns the rows of a record at these places, in this order; the record itself if they are all of
// it. The caller releases it.
func TakeRows(rec arrow.Record, at []int) (arrow.Record, error) {
	if len(at) > 0 && at[len(at)-1]-at[0] == len(at)-1 {
		together := true
		for i := range at {
			together = together && at[i] == at[0]+i
		}
		if together {
			return rec.NewSlice(int64(at[0]), int64(at[0]+len(at))), nil
		}
	}
	columns := make([]arrow.Array, 0, rec.NumCols())
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for _, column := range rec.Columns() {
		taken, err := Take(column, at)
		if err != nil {
			return nil, err
		}
		columns = append(columns, taken)
	}
	return array.NewRecord(rec.Schema(), columns, int64(len(at))), nil
}
