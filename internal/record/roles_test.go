package record_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
)

func TestRoles(t *testing.T) {
	text := arrow.BinaryTypes.String
	table := func(fields ...arrow.Field) arrow.Record {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
		defer b.Release()
		for i, f := range fields {
			switch b := b.Field(i).(type) {
			case *array.StringBuilder:
				b.AppendValues([]string{f.Name + " 0", f.Name + " 1"}, nil)
			case *array.Int32Builder:
				b.AppendValues([]int32{0, 3}, nil)
			}
		}
		rec := b.NewRecord()
		t.Cleanup(rec.Release)
		return rec
	}
	id, split := arrow.Field{Name: record.ID, Type: text}, arrow.Field{Name: record.Split, Type: text}
	number := arrow.Field{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32}
	r, err := record.NewRoles(table(number, split, id))
	if err != nil || r.ID(1) != "id 1" || r.Split(0) != "split 0" || r.Copy(0) != 0 || r.Copy(1) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := record.NewRoles(table(id, split)); err != nil || r.Copy(1) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for want, rec := range map[string]arrow.Record{
		`"split"`:               table(id),
		`column "copy" is utf8`: table(id, split, arrow.Field{Name: record.Copy, Type: text}),
	} {
		if _, err := record.NewRoles(rec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
