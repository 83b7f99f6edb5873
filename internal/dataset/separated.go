package dataset

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// separated is a table of values with separators, in memory.
type separated struct {
	names   []string
	columns [][]string // values as they stand, by column
	note    string     // on its encoding; "" if there is nothing to tell
}

// readSeparated reads a table whose first line names the columns. Rows of another number of values than there are columns are an
// error: the rows after them cannot be trusted. With lazy, quotes within values are characters. check is asked about the names
// before the rows are read; nil: nobody is.
func readSeparated(ctx context.Context, f *os.File, comma rune, lazy bool, limits Limits, b *budget.Budget, check func(names []string) error) (*separated, error) {
	enc, err := encodingOf(withContext(ctx, f))
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	recordOf := &recordReader{in: enc.reader(withContext(ctx, f)), left: maxRecord}
	in := csv.NewReader(recordOf)
	in.Comma = comma
	in.FieldsPerRecord = -1
	in.LazyQuotes = lazy
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty; the first line must name the columns")
	}
	if err != nil {
		return nil, err
	}
	recordOf.next()
	if err := limits.checkColumns(len(header)); err != nil {
		return nil, err
	}
	out := &separated{note: enc.note, columns: make([][]string, len(header))}
	for _, name := range header {
		out.names = append(out.names, text(strings.TrimSpace(name)))
	}
	if check != nil {
		if err := check(out.names); err != nil {
			return nil, err
		}
	}
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		if len(fields) != len(out.names) {
			return nil, fmt.Errorf("line %d has %d values for %d columns", line, len(fields), len(out.names))
		}
		if err := takeRow(b, int(recordOf.next())+20*len(fields)); err != nil {
			return nil, err
		}
		for i, field := range fields {
			out.columns[i] = append(out.columns[i], field)
		}
	}
}
