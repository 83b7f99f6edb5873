package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// json reads objects: one a line, or a list of them. Values are texts; numbers and booleans are written as JSON writes them, and
// so are lists and objects. NaN, which Python's json writes though JSON has none, is a missing value.
func (t TextTable) json(ctx context.Context, f *os.File, b *budget.Budget) (*texts, error) {
	in := &recordReader{in: withContext(ctx, f), left: maxRecord}
	numbers := &nanReader{in: bufio.NewReader(skipMark(in))}
	decoder := json.NewDecoder(numbers)
	decoder.UseNumber()
	table := &objects{texts: &texts{}, at: map[string]int{}}
	list := false
	for row := 0; ; row++ {
		if row == 0 {
			first, err := firstToken(f)
			if err != nil {
				return nil, err
			}
			if list = first == '['; list {
				if _, err := decoder.Token(); err != nil {
					return nil, fmt.Errorf("it is no JSON: %w", err)
				}
			}
		}
		if list && !decoder.More() {
			_, err := decoder.Token()
			table.noteNaN(f.Name(), numbers.found)
			return table.texts, err
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			table.noteNaN(f.Name(), numbers.found)
			return table.texts, nil
		} else if err != nil {
			return nil, fmt.Errorf("row %d: %w", row+1, err)
		}
		in.next()
		if err := takeRow(b, len(raw)+16*len(table.names)); err != nil {
			return nil, err
		}
		if err := table.add(raw, t.Limits); err != nil {
			return nil, fmt.Errorf("row %d: %w", row+1, err)
		}
	}
}

// firstToken is the first byte of a file that is no space. The file is read again from its start.
func firstToken(f *os.File) (byte, error) {
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(head[:n], []byte("\ufeff")))
	if len(trimmed) == 0 {
		return 0, errors.New("it is empty")
	}
	return trimmed[0], nil
}

// skipMark passes over a byte order mark.
func skipMark(in io.Reader) io.Reader {
	buffered := bufio.NewReader(in)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	return buffered
}

// nanReader reads JSON with null in the place of each NaN outside of texts.
type nanReader struct {
	in      *bufio.Reader
	quoted  bool   // within a text
	escaped bool   // behind a backslash in one
	pending string // what is still to be read
	found   int
}

func (r *nanReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.pending != "" {
			copied := copy(p[n:], r.pending)
			r.pending, n = r.pending[copied:], n+copied
			continue
		}
		if n > 0 && r.in.Buffered() == 0 {
			break // what is there now, rather than waiting for more
		}
		c, err := r.in.ReadByte()
		if err != nil {
			return n, err
		}
		switch {
		case r.escaped:
			r.escaped = false
		case r.quoted && c == '\\':
			r.escaped = true
		case c == '"':
			r.quoted = !r.quoted
		case c == 'N' && !r.quoted:
			if next, _ := r.in.Peek(2); string(next) == "aN" {
				_, _ = r.in.Discard(2)
				r.pending = "null"
				r.found++
				continue
			}
		}
		p[n] = c
		n++
	}
	return n, nil
}

// noteNaN tells how many values were NaN.
func (t *texts) noteNaN(from string, count int) {
	if count > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s: %d values are NaN, which counts as a missing value", from, count))
	}
}

// objects collects the fields of objects as columns.
type objects struct {
	*texts
	at map[string]int // of each name
}

func (o *objects) add(raw json.RawMessage, limits Limits) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return errors.New("expected an object with the columns of a row")
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		column, known := o.at[name.(string)] // names in an object are strings
		if !known {
			column = len(o.names)
			if err := limits.checkColumns(column + 1); err != nil {
				return err
			}
			o.at[name.(string)] = column
			o.names, o.columns = append(o.names, text(name.(string))), append(o.columns, nil)
		}
		for len(o.columns[column]) <= o.rows {
			o.columns[column] = append(o.columns[column], "")
		}
		o.columns[column][o.rows] = jsonText(value)
	}
	o.rows++
	for i := range o.columns {
		for len(o.columns[i]) < o.rows {
			o.columns[i] = append(o.columns[i], "")
		}
	}
	return nil
}

// jsonText is a value as a text.
func jsonText(raw json.RawMessage) string {
	var said string
	if err := json.Unmarshal(raw, &said); err == nil {
		return said
	}
	if plain := strings.TrimSpace(string(raw)); plain != "null" {
		return plain
	}
	return ""
}
