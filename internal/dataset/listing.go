package dataset

import (
	"fmt"

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
		if t.target != nil {
			t.target.append(b.Field(place-1), i)
		}
		b.Field(place).(*array.Int32Builder).Append(t.part[i])
		b.Field(place + 1).(*array.StringBuilder).Append(row.At.Path)
		b.Field(place + 2).(*array.Int64Builder).Append(row.At.Offset)
		b.Field(place + 3).(*array.Int64Builder).Append(row.At.Size)
	}
	return b.NewRecord()
}

// Listed is a run of rows of a listing.
type Listed struct {
	ids, content *array.String
	source       *array.Int32
	path         *array.String
	offset, size *array.Int64
	texts        []arrow.Array
	fields       []arrow.Field
}

// ParseListing reads what Record made, or a slice of it. It is a view of the
// record.
func ParseListing(rec arrow.Record) (*Listed, error) {
	n := int(rec.NumCols())
	if n < leadingColumns+placeColumns || rec.ColumnName(1) != contentColumn {
		return nil, fmt.Errorf("not a listing: columns are %v", record.ColumnNames(rec.Schema()))
	}
	l := &Listed{}
	var ok [6]bool
	l.ids, ok[0] = rec.Column(0).(*array.String)
	l.content, ok[1] = rec.Column(1).(*array.String)
	l.source, ok[2] = rec.Column(n - 4).(*array.Int32)
	l.path, ok[3] = rec.Column(n - 3).(*array.String)
	l.offset, ok[4] = rec.Column(n - 2).(*array.Int64)
	l.size, ok[5] = rec.Column(n - 1).(*array.Int64)
	if ok != [6]bool{true, true, true, true, true, true} {
		return nil, fmt.Errorf("not a listing: %v", rec.Schema())
	}
	for i := 2; i < n-placeColumns; i++ {
		l.texts = append(l.texts, rec.Column(i))
		l.fields = append(l.fields, rec.Schema().Field(i))
	}
	return l, nil
}

// Len is the number of rows.
func (l *Listed) Len() int { return l.ids.Len() }

// ID returns the id of a row.
func (l *Listed) ID(i int) string { return l.ids.Value(i) }

// IDs is the column of ids.
func (l *Listed) IDs() arrow.Array { return l.ids }

// Texts are the columns that tables of images take over: label, split, domain
// and the further ones.
func (l *Listed) Texts() ([]arrow.Field, []arrow.Array) { return l.fields, l.texts }

// Source returns where row i is read from, for Set.Read.
func (l *Listed) Source(i int) (part int, at Location, digest string) {
	return int(l.source.Value(i)),
		Location{Path: l.path.Value(i), Offset: l.offset.Value(i), Size: l.size.Value(i)},
		l.content.Value(i)
}
