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
