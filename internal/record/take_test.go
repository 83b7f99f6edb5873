package record_test

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/record"
)

func TestTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.String(), 1, 20).Draw(t, "values")
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for _, v := range values {
			if v == "" {
				b.AppendNull()
			} else {
				b.Append(v)
			}
		}
		from := rapid.IntRange(0, len(values)-1).Draw(t, "from")
		column := array.NewSlice(b.NewArray(), int64(from), int64(len(values)))
		at := rapid.SliceOf(rapid.IntRange(0, column.Len()-1)).Draw(t, "at")
		got, err := record.Take(column, at)
		if err != nil {
			t.Fatal(err)
		}
		if got.Len() != len(at) {
			t.Fatalf("%d elements for %d places", got.Len(), len(at))
		}
		for i, row := range at {
			if want := values[from+row]; got.IsNull(i) != (want == "") || want != "" && got.(*array.String).Value(i) != want {
				t.Errorf("element %d is %s, want %q", i, got.ValueStr(i), want)
			}
		}
	})
}
