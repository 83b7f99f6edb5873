package pipeline

import (
	"errors"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
)

// Table is an artifact whose rows can be read in any order. Its records are
// views of the chunks' files, which were verified when it was opened: a row
// takes memory of the page cache while it is looked at, and none before. It
// may be used by several goroutines.
type Table struct {
	records []arrow.Record
	ends    []int // of each record, in rows of the table
	closers []func() error
}

// NewTable makes a table of records, which it retains until it is closed.
func NewTable(records ...arrow.Record) *Table {
	t := &Table{}
	for _, rec := range records {
		rec.Retain()
		t.append(rec)
	}
	return t
}

// append takes over the caller's reference to rec.
func (t *Table) append(rec arrow.Record) {
	t.records = append(t.records, rec)
	t.ends = append(t.ends, t.Len()+int(rec.NumRows()))
}

func (t *Table) onClose(f func() error) { t.closers = append(t.closers, f) }

// Len is the number of rows.
func (t *Table) Len() int {
	if len(t.ends) == 0 {
		return 0
	}
	return t.ends[len(t.ends)-1]
}

// Records are the table's batches in order. They live until Close.
func (t *Table) Records() []arrow.Record { return t.records }

// Find returns which of the records holds a row, and at which place of it.
func (t *Table) Find(row int) (record, place int) {
	record = sort.SearchInts(t.ends, row+1)
	if record > 0 {
		row -= t.ends[record-1]
	}
	return record, row
}

// Close frees the table. Its records must not be used any more.
func (t *Table) Close() error {
	for _, rec := range t.records {
		rec.Release()
	}
	var errs []error
	for _, f := range t.closers {
		errs = append(errs, f())
	}
	*t = Table{}
	return errors.Join(errs...)
}
