package dataset

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// Limits bound what listing and reading one file, or one folder, may cost. 0 stands for the default. That of bytes grows
// with the file, so that what is large by itself is read, and what is small and stands for very much is not.
type Limits struct {
	Memory   int64 // bytes that its listing may hold; default 256 MB and 64 times its size
	Unpacked int64 // bytes that it may unpack to; default 512 MB and 64 times its size
	Rows     int64 // default 20 million
	Columns  int   // of a table; default 16,384
}

// Defaults.
const (
	memoryBase   = 256_000_000
	unpackedBase = 512_000_000
	timesSize    = 64
	maxRows      = 20_000_000
	maxColumns   = 1 << 14
)

// rowCost is what a row of a listing takes in memory besides its texts, in bytes: the row itself, its share of a slice
// that grows, its id and its digest.
const rowCost = 512

// budget is for a file of a size.
func (l Limits) budget(size int64) *budget.Budget {
	limit := func(r budget.Resource, given, otherwise int64, name string) budget.Limit {
		if given > 0 {
			otherwise = given
		}
		return budget.Limit{Resource: r, Most: otherwise, Raise: "raise limits." + name + " of the source if it is meant"}
	}
	return budget.New(
		limit(budget.Memory, l.Memory, budget.Proportional(size, memoryBase, timesSize), "memory"),
		limit(budget.Unpacked, l.Unpacked, budget.Proportional(size, unpackedBase, timesSize), "unpacked"),
		limit(budget.Items, l.Rows, maxRows, "rows"),
	)
}

func (l Limits) columns() int {
	if l.Columns > 0 {
		return l.Columns
	}
	return maxColumns
}

// checkColumns refuses a table of too many columns.
func (l Limits) checkColumns(n int) error {
	if n > l.columns() {
		return fmt.Errorf("it has %d columns, the limit is %d (raise limits.columns of the source if they are meant)", n, l.columns())
	}
	return nil
}

// takeRow takes what a row with texts of so many bytes costs.
func takeRow(b *budget.Budget, texts int) error {
	return errors.Join(b.Take(budget.Items, 1), b.Take(budget.Memory, rowCost+int64(texts)))
}

// checkFile refuses a file that is mostly a hole, as an error of its path.
func checkFile(path string, info fs.FileInfo) error {
	if err := budget.CheckFile(info); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}
