package dataset

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// CSV is a table with a header, one row a picture: columns path, label, split,
// domain, id as far as there are any, and any further ones. Only path is
// needed. The id is the path as written, unless there is a column for it.
// Further columns keep their names, but those that every table of images has
// get a "_" behind.
type CSV struct {
	Path      string            // the table
	Root      string            // where relative paths start; "" is the table's folder
	Separator rune              // 0: a tab for .tsv and .tab, else a comma
	Columns   map[string]string // id, path, label, split or domain → the header of the column, "" for none
}

// pathColumn is the name of the column that says where the picture is.
const pathColumn = "path"

// Open implements Source.
func (CSV) Open() (Reader, error) { return wholeFiles{}, nil }

// List implements Source.
func (c CSV) List(ctx context.Context, _ pipeline.Files) (rows Rows, err error) {
	f, err := openFile(c.Path)
	if err != nil {
		return rows, fmt.Errorf("read the table: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if rows, err = c.read(ctx, f); err != nil {
		return rows, fmt.Errorf("read the table %s: %w", c.Path, err)
	}
	return rows, nil
}

func (c CSV) read(ctx context.Context, from io.Reader) (Rows, error) {
	in := bufio.NewReader(from)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\xEF\xBB\xBF" {
		if _, err := in.Discard(3); err != nil {
			return Rows{}, err
		}
	}
	table := csv.NewReader(in)
	table.Comma = c.separator()
	table.FieldsPerRecord = -1 // reported by us, a row at a time
	table.ReuseRecord = true
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return Rows{}, errors.New("it is empty; the first line must name the columns")
	}
	if err != nil {
		return Rows{}, err
	}
	header = slices.Clone(header)
	at, err := c.find(header)
	if err != nil {
		return Rows{}, err
	}
	rows := Rows{}
	var extra []int
	for i, name := range header {
		if !at.takes(i) && name != "" {
			rows.Extra = append(rows.Extra, rows.extraName(name, header))
			extra = append(extra, i)
		}
	}
	root := c.Root
	if root == "" {
		root = filepath.Dir(c.Path)
	}
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return rows, ctx.Err()
		}
		fields, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rows, err // quoting is broken: where rows end is not known any more
		}
		line, _ := table.FieldPos(0)
		value := func(column int) string {
			if column < 0 {
				return ""
			}
			return text(fields[column])
		}
		if len(fields) != len(header) {
			rows.reject(fmt.Sprintf("line %d", line), "%d values for %d columns", len(fields), len(header))
			continue
		}
		path := fields[at.path]
		row := Row{ID: text(path), Label: value(at.label), Domain: value(at.domain)}
		if id := value(at.id); id != "" {
			row.ID = id
		}
		if row.ID == "" {
			row.ID = fmt.Sprintf("line %d", line)
		}
		if split := value(at.split); split != "" {
			var known bool
			if row.Split, known = splitNamed(split); !known {
				rows.reject(row.ID, "split %q in line %d is not train, val or test", split, line)
				continue
			}
		}
		if path == "" {
			rows.reject(row.ID, "there is no path in line %d", line)
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, filepath.FromSlash(path))
		}
		row.At = Location{Path: path, Offset: WholeFile}
		for _, i := range extra {
			row.Extra = append(row.Extra, value(i))
		}
		rows.All = append(rows.All, row)
	}
	rows.sortByID()
	return rows, nil
}

func (c CSV) separator() rune {
	switch ending := strings.ToLower(filepath.Ext(c.Path)); {
	case c.Separator != 0:
		return c.Separator
	case ending == ".tsv", ending == ".tab":
		return '\t'
	}
	return ','
}

// csvColumns are the indices of the columns with a meaning, −1 for none.
type csvColumns struct{ id, path, label, split, domain int }

func (c csvColumns) takes(i int) bool {
	return i == c.id || i == c.path || i == c.label || i == c.split || i == c.domain
}

// find maps the header. A column that was asked for by name must be there.
func (c CSV) find(header []string) (at csvColumns, err error) {
	for i, name := range header {
		if name != "" && slices.Contains(header[:i], name) {
			return at, fmt.Errorf("two columns are named %q", name)
		}
	}
	for _, meaning := range []struct {
		name   string
		at     *int
		needed bool
	}{
		{record.ID, &at.id, false}, {pathColumn, &at.path, true}, {record.Label, &at.label, false},
		{record.Split, &at.split, false}, {record.Domain, &at.domain, false},
	} {
		name, asked := c.Columns[meaning.name]
		if !asked {
			name = meaning.name
		}
		*meaning.at = slices.Index(header, name)
		if *meaning.at < 0 && (asked && name != "" || meaning.needed) {
			err := fmt.Errorf("there is no column %q for the %s; columns: %s", name, meaning.name, strings.Join(header, ", "))
			if separator := otherSeparator(header); separator != "" {
				err = fmt.Errorf("%w (if they are separated by %q, say so with separator)", err, separator)
			}
			return at, err
		}
	}
	return at, nil
}

// otherSeparator guesses what separates the columns of a header that was read
// as one.
func otherSeparator(header []string) string {
	for _, separator := range []string{";", "\t", "|", ","} {
		if len(header) == 1 && strings.Contains(header[0], separator) {
			return separator
		}
	}
	return ""
}
