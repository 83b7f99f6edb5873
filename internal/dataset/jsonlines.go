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
// so are lists and objects.
func (t TextTable) json(ctx context.Context, f *os.File, b *budget.Budget) (*texts, error) {
	in := &recordReader{in: withContext(ctx, f), left: maxRecord}
	decoder := json.NewDecoder(skipMark(in))
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
			return table.texts, err
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
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
