package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Columns of a listing that tables of images do not have.
const (
	contentColumn  = "content.sha256"
	sourceColumn   = "location.source"
	fileColumn     = "location.path"
	offsetColumn   = "location.offset"
	sizeColumn     = "location.size"
	leadingColumns = 5 // id, content, label, split, domain
	placeColumns   = 4
)

// Record returns the table as the listing of a source stage: what decides the
// content of each row, then the further columns, then where it is found.
func (t *Table) Record() arrow.Record {
	where := arrow.NewMetadata([]string{pipeline.LocationColumn}, []string{"true"})
	fields := []arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		{Name: contentColumn, Type: arrow.BinaryTypes.String},
		textField(record.Label), textField(record.Split), textField(record.Domain),
	}
	places, names := t.listed()
	for _, name := range names {
		fields = append(fields, textField(name))
	}
	if t.target != nil {
		fields = append(fields, t.target.field())
	}
	looks := t.Prepared != "" || slices.ContainsFunc(t.looks, func(look string) bool { return look != "" }) ||
		slices.ContainsFunc(t.All, func(row Row) bool { return row.Form != "" })
	if looks {
		fields = append(fields, textField(LookColumn))
	}
	fields = append(fields,
		arrow.Field{Name: sourceColumn, Type: arrow.PrimitiveTypes.Int32, Metadata: where},
		arrow.Field{Name: fileColumn, Type: arrow.BinaryTypes.String, Metadata: where},
		arrow.Field{Name: offsetColumn, Type: arrow.PrimitiveTypes.Int64, Metadata: where},
		arrow.Field{Name: sizeColumn, Type: arrow.PrimitiveTypes.Int64, Metadata: where},
	)
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	b.Reserve(len(t.All))
	place := len(fields) - placeColumns
	for i, row := range t.All {
		b.Field(0).(*array.StringBuilder).Append(row.ID)
		b.Field(1).(*array.StringBuilder).Append(row.Digest)
		appendText(b.Field(2), row.Label)
		appendText(b.Field(3), row.Split)
		appendText(b.Field(4), row.Domain)
		for j, p := range places {
			appendText(b.Field(leadingColumns+j), row.Extra[p])
		}
		at := leadingColumns + len(places)
		if t.target != nil {
			t.target.append(b.Field(at), i)
			at++
		}
		if looks {
			appendText(b.Field(at), strings.Join(slices.DeleteFunc([]string{row.Form, t.Prepared, t.looks[t.part[i]]}, func(s string) bool { return s == "" }), " "))
		}
		b.Field(place).(*array.Int32Builder).Append(t.part[i])
		b.Field(place + 1).(*array.StringBuilder).Append(row.At.Path)
		b.Field(place + 2).(*array.Int64Builder).Append(row.At.Offset)
		b.Field(place + 3).(*array.Int64Builder).Append(row.At.Size)
	}
	return b.NewRecord()
}

// ContentColumn is the column of a listing that says what a row's bytes are known by: their SHA-256.
const ContentColumn = contentColumn

// LookColumn is the column of a listing that says what decides, beside its bytes, what is made of a row: how they are read
// (Row.Form), what is known of all rows (Table.Prepared), what is done to pixels (Part.Look), with spaces between. A listing
// has it if that is anything for some row.
const LookColumn = "content.look"

// Listed tells where the rows of a listing are read from.
type Listed struct {
	content      *array.String
	source       *array.Int32
	path         *array.String
	offset, size *array.Int64
}

// ParseListing reads the columns of what Record made, or of a slice of it, that tell what the rows are and
// where they are found; others need not be there. It is a view of the record.
func ParseListing(rec arrow.Record) (*Listed, error) {
	l := &Listed{}
	for _, err := range []error{
		listingColumn(rec, contentColumn, &l.content), listingColumn(rec, sourceColumn, &l.source),
		listingColumn(rec, fileColumn, &l.path), listingColumn(rec, offsetColumn, &l.offset), listingColumn(rec, sizeColumn, &l.size),
	} {
		if err != nil {
			return nil, fmt.Errorf("not a listing: %w", err)
		}
	}
	return l, nil
}

func listingColumn[A arrow.Array](rec arrow.Record, name string, to *A) error {
	at, _, err := record.Column(rec.Schema(), name)
	if err != nil {
		return err
	}
	column, ok := rec.Column(at).(A)
	if !ok {
		return fmt.Errorf("column %q is %s", name, rec.Column(at).DataType())
	}
	*to = column
	return nil
}

// Len is the number of rows.
func (l *Listed) Len() int { return l.content.Len() }

// Source returns where row i is read from, for Set.Read.
func (l *Listed) Source(i int) (part int, at Location, digest string) {
	return int(l.source.Value(i)),
		Location{Path: l.path.Value(i), Offset: l.offset.Value(i), Size: l.size.Value(i)},
		l.content.Value(i)
}
