package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Columns tells what a row-wise stage does with the columns of its input. What
// it reads decides what it makes of a row, and so a row is computed again when
// that changes and not otherwise. All other columns are passed on by reference:
// they are neither read nor copied.
type Columns struct {
	// Reads names the columns that Map is given, beside those of a listing that
	// have LocationColumn.
	Reads []string
	// Drops names the columns that the result has not. Columns that Map makes
	// replace those of the same name, or else stand in the place of the first
	// dropped one, or at the end.
	Drops []string
	// Where narrows the rows that Map is given; the others are passed on as
	// they are. nil: all rows.
	Where *Where
	// Keeps says that every row stays as it is, and that what Map makes of some
	// stands behind the rows of the chunk as further ones.
	Keeps bool
	// Adds are the columns that Map makes and the input has not, if Keeps: they
	// are 0 in the rows that stay.
	Adds []arrow.Field
}

// Where is a condition on rows: the text in a column is one of some values. A
// table without that column meets it nowhere.
type Where struct {
	Column string
	Values []string
}

// ReadsAll is for a stage of which nothing more is known: it reads every
// column and passes none on.
func ReadsAll(in *arrow.Schema) Columns {
	var c Columns
	for _, f := range in.Fields() {
		if !isLocation(f) {
			c.Reads = append(c.Reads, f.Name)
		}
	}
	c.Drops = c.Reads
	return c
}

func isLocation(f arrow.Field) bool {
	where, _ := f.Metadata.GetValue(LocationColumn)
	return where == "true"
}

// layout is Columns resolved against the schema of an input.
type layout struct {
	Columns
	in        *arrow.Schema
	given     []string        // what Map is given, in the input's order
	passes    map[string]bool // what is passed on, unless Map makes it
	narrowing bool            // Where is to be looked at
}

func resolve(stage RowWise, in *arrow.Schema) (*layout, error) {
	columns, err := stage.Columns(in)
	if err != nil {
		return nil, err
	}
	l := &layout{Columns: columns, in: in, passes: map[string]bool{}}
	for _, name := range slices.Concat(l.Reads, l.Drops) {
		if _, _, err := record.Column(in, name); err != nil {
			return nil, err
		}
	}
	for _, f := range in.Fields() {
		if isLocation(f) || slices.Contains(l.Reads, f.Name) {
			l.given = append(l.given, f.Name)
		}
		l.passes[f.Name] = !isLocation(f) && !slices.Contains(l.Drops, f.Name)
	}
	if l.Where != nil {
		_, _, err := record.Column(in, l.Where.Column)
		l.narrowing = err == nil
		if err != nil {
			l.Where.Values = nil
		}
	}
	return l, nil
}

// passing lists the columns of the input that the result has, too, given those
// that are made.
func (l *layout) passing(made *arrow.Schema) []string {
	var names []string
	for _, f := range l.in.Fields() {
		if l.passes[f.Name] && (l.Keeps || made == nil || !made.HasField(f.Name)) {
			names = append(names, f.Name)
		}
	}
	return names
}

// schema is that of the result. made is nil if nothing was made.
func (l *layout) schema(made *arrow.Schema) (*arrow.Schema, error) {
	fields, taken := []arrow.Field{}, map[string]bool{}
	metadata := l.in.Metadata().ToMap()
	var fresh []arrow.Field // that replace no column
	if made != nil {
		for _, f := range made.Fields() {
			if !l.passes[f.Name] {
				fresh = append(fresh, f)
			}
		}
		maps.Copy(metadata, made.Metadata().ToMap())
		maps.DeleteFunc(metadata, func(_, value string) bool { return value == "" }) // of what was made otherwise
	} else {
		fresh = l.Adds
	}
	add := func(some ...arrow.Field) error {
		for _, f := range some {
			if taken[f.Name] {
				return fmt.Errorf("there are two columns %q", f.Name)
			}
			taken[f.Name] = true
			fields = append(fields, f)
		}
		return nil
	}
	for _, f := range l.in.Fields() {
		var err error
		switch {
		case isLocation(f):
		case !l.passes[f.Name]:
			err = add(fresh...)
			fresh = nil
		case made != nil && made.HasField(f.Name):
			i := made.FieldIndices(f.Name)[0]
			err = add(made.Field(i))
		default:
			err = add(f)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := add(fresh...); err != nil {
		return nil, err
	}
	md := arrow.MetadataFrom(metadata)
	return arrow.NewSchema(fields, &md), nil
}
