package dataset

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// CSV is a table with a header, one row a picture: columns path, label, split,
// domain, id as far as there are any, and any further ones. Only path is
// needed. The id is the path as written, unless there is a column for it; two
// different rows with one id are an error. Further columns keep their names,
// but those that every table of images has get a "_" behind.
//
// Tables in UTF-8, UTF-16 and Windows-1252 are read, with lines that end in
// LF, CR LF or CR. What is not plain UTF-8 is noted; what is UTF-8 for the most
// part and not in all of it is an error.
type CSV struct {
	Path      string            // the table
	Root      string            // where relative paths start; "" is the table's folder
	Separator rune              // 0: a tab for .tsv and .tab, else a comma
	Columns   map[string]string // id, path, label, split or domain → the header of the column, "" for none
	Limits    Limits
}

// maxRecord bounds one row of a table, in bytes: one whose quote is never closed goes on to the end of the file.
const maxRecord = 16 << 20

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
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the table %s: %w", c.Path, err)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return rows, err
	}
	enc, err := encodingOf(withContext(ctx, f))
	if err != nil {
		return rows, err
	}
	for _, lazy := range []bool{false, true} {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return rows, err
		}
		rows, err = c.read(ctx, enc.reader(withContext(ctx, f)), lazy, c.Limits.budget(info.Size()))
		var syntax *csv.ParseError
		if !errors.As(err, &syntax) || lazy {
			break
		}
		defer func(line int) {
			if err == nil {
				rows.Notes = append(rows.Notes, fmt.Sprintf("%s: the quotes in line %d are not a table's: quotes inside values are kept as they are", c.Path, line))
			}
		}(syntax.Line)
	}
	if err == nil && enc.note != "" {
		rows.Notes = append(rows.Notes, fmt.Sprintf("%s: %s", c.Path, enc.note))
	}
	return rows, err
}

// read reads a table in UTF-8. If lazy, quotes may stand inside values.
func (c CSV) read(ctx context.Context, from io.Reader, lazy bool, b *budget.Budget) (Rows, error) {
	recordOf := &recordReader{in: from, left: maxRecord}
	table := csv.NewReader(recordOf)
	table.Comma = c.separator()
	table.FieldsPerRecord = -1 // reported by us, a row at a time
	table.ReuseRecord = true
	table.LazyQuotes = lazy
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return Rows{}, errors.New("it is empty; the first line must name the columns")
	}
	if err != nil {
		return Rows{}, err
	}
	recordOf.next()
	if err := c.Limits.checkColumns(len(header)); err != nil {
		return Rows{}, err
	}
	header = slices.Clone(header)
	trim := slices.ContainsFunc(header, func(name string) bool { return name != strings.TrimSpace(name) })
	for i := range header {
		header[i] = text(strings.TrimSpace(header[i]))
	}
	at, notes, err := c.find(header)
	if err != nil {
		return Rows{}, err
	}
	rows := Rows{Notes: notes}
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
	lines := map[string]int{} // of each id
	listed := map[string]int{}
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
		if err := takeRow(b, int(recordOf.next())+16*len(extra)); err != nil {
			return rows, err
		}
		line, _ := table.FieldPos(0)
		if end, _ := table.FieldPos(len(fields) - 1); lazy && (end != line || slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(f, "\n") })) {
			return rows, fmt.Errorf("line %d: a quote is opened and not closed in its line", line)
		}
		value := func(column int) string {
			if column < 0 {
				return ""
			}
			if trim {
				return text(strings.TrimSpace(fields[column]))
			}
			return text(fields[column])
		}
		if len(fields) != len(header) {
			rows.reject(fmt.Sprintf("line %d", line), "%d values for %d columns", len(fields), len(header))
			continue
		}
		path := fields[at.path]
		if trim {
			path = strings.TrimSpace(path)
		}
		row := Row{ID: text(path), Label: value(at.label), Domain: value(at.domain)}
		id := value(at.id)
		if id != "" {
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
		if before, again := lines[row.ID]; again {
			if !sameRow(rows.All[listed[row.ID]], row) {
				return rows, fmt.Errorf("lines %d and %d have the same id, %q, and are different rows: %s", before, line, row.ID, difference(rows.All[listed[row.ID]], row))
			}
			rows.reject(row.ID, "listed again in line %d", line)
			continue
		}
		lines[row.ID], listed[row.ID] = line, len(rows.All)
		rows.All = append(rows.All, row)
	}
	rows.withoutNaN(c.Path)
	rows.sortByID()
	return rows, nil
}

// recordReader refuses a record of more than maxRecord bytes before it is held.
type recordReader struct {
	in         io.Reader
	left, read int64
}

func (r *recordReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, fmt.Errorf("a row of more than %d MB: is there a quote that is not closed?", maxRecord>>20)
	}
	n, err := r.in.Read(p)
	r.left -= int64(n)
	r.read += int64(n)
	return n, err
}

// next begins the next record, and returns how many bytes were read for the one before. What is read ahead counts for
// the record before it.
func (r *recordReader) next() (read int64) {
	read = r.read
	r.left, r.read = maxRecord, 0
	return read
}

// sameRow tells whether two rows say the same of the same picture.
func sameRow(a, b Row) bool {
	return a.At == b.At && a.Label == b.Label && a.Split == b.Split && a.Domain == b.Domain && slices.Equal(a.Extra, b.Extra)
}

// difference tells people in what two rows of one id differ.
func difference(a, b Row) string {
	for _, field := range []struct{ name, a, b string }{
		{"path", a.At.Path, b.At.Path}, {record.Label, a.Label, b.Label}, {record.Split, a.Split, b.Split}, {record.Domain, a.Domain, b.Domain},
	} {
		if field.a != field.b {
			return fmt.Sprintf("%s %q and %q", field.name, field.a, field.b)
		}
	}
	return "further columns differ"
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

// find maps the header. A column that was asked for by name must be there; the others are found without regard to case
// if none is spelled as it should be, which is noted.
func (c CSV) find(header []string) (at csvColumns, notes []string, err error) {
	seen := make(map[string]bool, len(header))
	for _, name := range header {
		if name != "" && seen[name] {
			return at, nil, fmt.Errorf("two columns are named %q", name)
		}
		seen[name] = true
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
		if *meaning.at < 0 && !asked {
			*meaning.at = slices.IndexFunc(header, func(other string) bool { return strings.EqualFold(other, name) })
			if *meaning.at >= 0 {
				notes = append(notes, fmt.Sprintf("%s: the column %q is taken for %s", c.Path, header[*meaning.at], name))
			}
		}
		if *meaning.at < 0 && (asked && name != "" || meaning.needed) {
			err := fmt.Errorf("there is no column %q for the %s; columns: %s", name, meaning.name, strings.Join(header, ", "))
			if separator := otherSeparator(header); separator != "" {
				err = fmt.Errorf("%w (if they are separated by %q, say so with separator)", err, separator)
			} else if other := likely(header, pathWords()...); other != "" && meaning.needed && !asked {
				err = fmt.Errorf("%w; if %q holds the paths, say columns: {path: %s}", err, other, other)
			}
			return at, nil, err
		}
	}
	if at.label < 0 && !slices.Contains(slices.Collect(maps.Keys(c.Columns)), record.Label) {
		if other := likely(header, "class", "target", "category", "y", "labels", "class_name"); other != "" {
			notes = append(notes, fmt.Sprintf("%s: no column is named label, so the rows have no labels; if %q holds them, say columns: {label: %s}", c.Path, other, other))
		}
	}
	return at, notes, nil
}

// likely is the first column that has one of the names, but for case; "" if none has.
func likely(header []string, names ...string) string {
	for _, name := range names {
		if i := slices.IndexFunc(header, func(other string) bool { return strings.EqualFold(other, name) }); i >= 0 {
			return header[i]
		}
	}
	return ""
}

// pathWords are what people call the column of paths.
func pathWords() []string {
	return []string{"file", "filename", "file_name", "file_path", "filepath", "image_path", "image", "image_file", "img_path", "img", "picture"}
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
