package record

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Target is the column with what is to be learned of a row, where that is not its label: a list of the
// classes that apply, or numbers. It is null where nothing is known.
const Target = "target"

// targetsKey is the metadata of a column of numbers: their names, a JSON list.
const targetsKey = "tlpipe.targets"

// ClassesField declares a column with the names of any number of classes.
func ClassesField(name string) arrow.Field {
	return arrow.Field{Name: name, Type: arrow.ListOfNonNullable(arrow.BinaryTypes.String), Nullable: true}
}

// NumbersField declares a column with these numbers; what is not a number is not known.
func NumbersField(name string, numbers []string) arrow.Field {
	described, err := json.Marshal(numbers)
	if err != nil {
		panic(err) // a list of texts always marshals
	}
	return arrow.Field{
		Name: name, Type: arrow.FixedSizeListOfNonNullable(int32(len(numbers)), arrow.PrimitiveTypes.Float64), Nullable: true,
		Metadata: arrow.NewMetadata([]string{targetsKey}, []string{string(described)}),
	}
}

// TargetColumn is a column to learn, of any type that can be.
type TargetColumn struct {
	Task  Task
	Names []string // of numbers

	texts   arrow.Array // of a class
	classes *array.List
	names   *array.String // elements of classes
	numbers *array.Float64
	lists   arrow.Array // of numbers, nil if they stand by themselves
}

// TargetTask tells what the values of a column are to be learned as: texts, whole numbers and booleans as one
// class, lists of texts as several, floating-point numbers as numbers.
func TargetTask(f arrow.Field) (Task, error) {
	switch t := f.Type.(type) {
	case *arrow.ListType:
		if t.Elem().ID() == arrow.STRING {
			return MultiLabel, nil
		}
	case *arrow.FixedSizeListType:
		if t.Elem().ID() == arrow.FLOAT64 {
			return Regression, nil
		}
	}
	switch f.Type.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.BOOL, arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64,
		arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
		return SingleLabel, nil
	case arrow.FLOAT64:
		return Regression, nil
	}
	return "", fmt.Errorf("column %q is %s: its values can be neither classes nor numbers to learn", f.Name, f.Type)
}

// NewTargetColumn finds the column of a record.
func NewTargetColumn(rec arrow.Record, name string) (*TargetColumn, error) {
	at, field, err := Column(rec.Schema(), name)
	if err != nil {
		return nil, err
	}
	c := &TargetColumn{}
	if c.Task, err = TargetTask(field); err != nil {
		return nil, err
	}
	switch column := rec.Column(at).(type) {
	case *array.List:
		c.classes, c.names = column, column.ListValues().(*array.String)
	case *array.FixedSizeList:
		c.lists, c.numbers = column, column.ListValues().(*array.Float64)
		if c.Names, err = numberNames(field); err != nil {
			return nil, err
		}
	case *array.Float64:
		c.numbers, c.Names = column, []string{name}
	default:
		c.texts = column
	}
	return c, nil
}

// NewTargetColumnAs finds the column of a record and reads it as what a task takes: as [NewTargetColumn] does or, for
// [Regression], plain values that are numbers or texts of numbers.
func NewTargetColumnAs(rec arrow.Record, name string, task Task) (*TargetColumn, error) {
	at, field, err := Column(rec.Schema(), name)
	if err != nil {
		return nil, err
	}
	if err := TargetTaskAs(field, task); err != nil {
		return nil, err
	}
	if own, err := TargetTask(field); err == nil && own == task {
		return NewTargetColumn(rec, name)
	}
	numbers, err := parseNumbers(rec, at)
	if err != nil {
		return nil, fmt.Errorf("column %q: %w", name, err)
	}
	return &TargetColumn{Task: Regression, Names: []string{name}, numbers: numbers}, nil
}

// TargetTaskAs tells why the values of a column cannot be read as what a task takes.
func TargetTaskAs(f arrow.Field, task Task) error {
	own, err := TargetTask(f)
	_, nested := f.Type.(arrow.NestedType)
	switch {
	case err == nil && own == task, task == Regression && !nested:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("column %q is %s: its values are of the task %s, not %s", f.Name, f.Type, own, task)
}

// parseNumbers reads plain values as numbers; what is null or empty is not a number.
func parseNumbers(rec arrow.Record, at int) (*array.Float64, error) {
	column := rec.Column(at)
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range column.Len() {
		text := ""
		if !column.IsNull(i) {
			text = column.ValueStr(i)
		}
		x, err := ParseNumber(text)
		if err != nil {
			return nil, fmt.Errorf("row %s: %w", rowName(rec, i), err)
		}
		b.Append(x)
	}
	return b.NewFloat64Array(), nil
}

// ParseNumber reads a text as a finite number; an empty one, and NaN, is not a number: it is not known.
func ParseNumber(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return math.NaN(), nil
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(x, 0) {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return x, nil
}

// rowName is the id of a row, or its number in the record where there is none.
func rowName(rec arrow.Record, row int) string {
	if ids, err := ColumnAs[*array.String](rec, ID); err == nil {
		return strconv.Quote(ids.Value(row))
	}
	return strconv.Itoa(row)
}

// NumberNames are the names of the numbers of a column that [NumbersField] declared; nil for other columns.
func NumberNames(f arrow.Field) []string {
	if _, named := f.Metadata.GetValue(targetsKey); !named {
		return nil
	}
	if list, ok := f.Type.(*arrow.FixedSizeListType); ok && list.Elem().ID() == arrow.FLOAT64 {
		if names, err := numberNames(f); err == nil {
			return names
		}
	}
	return nil
}

// JoinClasses is a list of texts as one text, with semicolons between.
func JoinClasses(lists *array.List, row int) string {
	names, ok := lists.ListValues().(*array.String)
	if !ok {
		return lists.ValueStr(row)
	}
	from, to := lists.ValueOffsets(row)
	var parts []string
	for i := from; i < to; i++ {
		parts = append(parts, names.Value(int(i)))
	}
	return strings.Join(parts, ";")
}

// numberNames are the names that a column of numbers has in its metadata, or makes up.
func numberNames(f arrow.Field) (names []string, err error) {
	n := int(f.Type.(*arrow.FixedSizeListType).Len())
	text, ok := f.Metadata.GetValue(targetsKey)
	if !ok {
		for i := range n {
			names = append(names, fmt.Sprintf("%s[%d]", f.Name, i))
		}
		return names, nil
	}
	if err := json.Unmarshal([]byte(text), &names); err != nil || len(names) != n {
		return nil, fmt.Errorf("column %q has %d numbers, and as their names %s", f.Name, n, text)
	}
	return names, nil
}

// Known tells whether anything is known of a row.
func (c *TargetColumn) Known(row int) bool {
	switch c.Task {
	case MultiLabel:
		return !c.classes.IsNull(row)
	case Regression:
		if c.lists != nil && c.lists.IsNull(row) || c.lists == nil && c.numbers.IsNull(row) {
			return false
		}
		for _, x := range c.Numbers(row) {
			if !math.IsNaN(x) {
				return true
			}
		}
		return false
	}
	return !c.texts.IsNull(row) && c.texts.ValueStr(row) != ""
}

// Class is that of a row with one class that is known.
func (c *TargetColumn) Class(row int) string { return strings.Clone(c.texts.ValueStr(row)) }

// Classes are those that apply to a row that is known.
func (c *TargetColumn) Classes(row int) []string {
	from, to := c.classes.ValueOffsets(row)
	out := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, strings.Clone(c.names.Value(int(i))))
	}
	return out
}

// Numbers are those of a row, which must not be written; what is not a number is not known.
func (c *TargetColumn) Numbers(row int) []float64 {
	n := len(c.Names)
	from := row * n
	if list, ok := c.lists.(*array.FixedSizeList); ok {
		at, _ := list.ValueOffsets(row)
		from = int(at)
	}
	return c.numbers.Float64Values()[from : from+n]
}

// TargetOf is the column that a target means in a table: the label means the column [Target] where that is
// one of classes or numbers.
func TargetOf(s *arrow.Schema, name string) string {
	if name != Label {
		return name
	}
	if _, field, err := Column(s, Target); err == nil {
		if task, err := TargetTask(field); err == nil && task != SingleLabel {
			return Target
		}
	}
	return name
}
