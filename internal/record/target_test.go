package record

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// targetRecord has a column for each way to say what is to be learned. It goes through a file, and is cut.
func targetRecord(t *testing.T) arrow.Record {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: Label, Type: arrow.BinaryTypes.String, Nullable: true}, ClassesField(Target), NumbersField("sizes", []string{"height", "width"}),
		{Name: "age", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "count", Type: arrow.PrimitiveTypes.Int64},
		{Name: "half", Type: arrow.FixedWidthTypes.Float16},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	lists, names := b.Field(1).(*array.ListBuilder), b.Field(1).(*array.ListBuilder).ValueBuilder().(*array.StringBuilder)
	sizes := b.Field(2).(*array.FixedSizeListBuilder)
	for i, classes := range [][]string{{"x"}, {"sea", "sun"}, {}, nil} {
		b.Field(0).(*array.StringBuilder).Append([]string{"a", "b", "", "c"}[i])
		if lists.Append(classes != nil); classes != nil {
			names.AppendValues(classes, nil)
		}
		sizes.Append(i != 3)
		x := []float64{float64(i), math.NaN()}
		if i == 2 {
			x[0] = x[1]
		}
		sizes.ValueBuilder().(*array.Float64Builder).AppendValues(x, nil)
		b.Field(3).(*array.Float64Builder).Append(float64(10 * i))
		b.Field(4).(*array.Int64Builder).Append(int64(i))
		b.Field(5).AppendEmptyValue()
	}
	rec := b.NewRecord()
	defer rec.Release()
	data, err := Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	read, err := View(data)
	if err != nil {
		t.Fatal(err)
	}
	return read[0].NewSlice(1, 4)
}

func TestTargetColumns(t *testing.T) {
	rec := targetRecord(t)
	column := func(name string, task Task) *TargetColumn {
		t.Helper()
		c, err := NewTargetColumn(rec, name)
		if err != nil || c.Task != task {
			t.Fatalf("column %s: %+v, %v", name, c, err)
		}
		return c
	}
	known := func(c *TargetColumn) (out [3]bool) {
		for i := range out {
			out[i] = c.Known(i)
		}
		return out
	}
	c := column(Label, SingleLabel)
	if known(c) != [3]bool{true, false, true} || c.Class(0) != "b" || c.Class(2) != "c" {
		t.Errorf("labels known %v", known(c))
	}
	c = column(TargetOf(rec.Schema(), Label), MultiLabel)
	if known(c) != [3]bool{true, true, false} || !slices.Equal(c.Classes(0), []string{"sea", "sun"}) || len(c.Classes(1)) != 0 {
		t.Errorf("classes known %v: %v, %v", known(c), c.Classes(0), c.Classes(1))
	}
	c = column("sizes", Regression)
	if known(c) != [3]bool{true, false, false} || c.Numbers(0)[0] != 1 || !math.IsNaN(c.Numbers(0)[1]) || !slices.Equal(c.Names, []string{"height", "width"}) {
		t.Errorf("numbers known %v: %v of %v", known(c), c.Numbers(0), c.Names)
	}
	c = column("age", Regression)
	if known(c) != [3]bool{true, true, true} || c.Numbers(1)[0] != 20 || !slices.Equal(c.Names, []string{"age"}) {
		t.Errorf("number known %v: %v of %v", known(c), c.Numbers(1), c.Names)
	}
	if c = column("count", SingleLabel); c.Class(2) != "3" {
		t.Errorf("whole number as class %q", c.Class(2))
	}
	for name, want := range map[string]string{"half": "neither classes nor numbers", "none": "there is no column"} {
		if _, err := NewTargetColumn(rec, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("column %s: error %v, want one with %q", name, err, want)
		}
	}
	if got := TargetOf(rec.Schema(), "count"); got != "count" {
		t.Errorf("count means %q", got)
	}
	plain := arrow.NewSchema([]arrow.Field{{Name: Label, Type: arrow.BinaryTypes.String}, {Name: Target, Type: arrow.BinaryTypes.String}}, nil)
	if got := TargetOf(plain, Label); got != Label {
		t.Errorf("label means %q where target is a text", got)
	}
}
