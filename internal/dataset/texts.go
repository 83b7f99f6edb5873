package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/handle"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// TextTable is tables with a text a row. The ending tells the format of each:
//
//   - .csv, .tsv, .tab: with a header, as [CSV] reads them.
//   - .jsonl, .ndjson: an object a line; .json: a list of objects.
//   - .parquet, .arrow, .feather: as Hugging Face's datasets and pyarrow write them.
//
// The text is the column named text, or the only one of some usual names. Columns id, label, split and domain mean what they
// do everywhere, others are kept. The id is the file's name and the row's number, unless there is a column for it. What a row is
// read as, and digested by, is its text in UTF-8.
type TextTable struct {
	Patterns  []string          // files, or patterns as of a shell
	Columns   map[string]string // id, text, label, split or domain → the name of the column, "" for none
	Classes   []string          // names of numeric labels that the file does not name
	Separator rune              // of .csv and .tsv; 0: a tab for .tsv and .tab, else a comma
	Limits    Limits
}

// TextEndings are those of the files that [TextTable] reads.
func TextEndings() []string {
	return []string{".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".feather"}
}

// texts are the columns of a table, as texts.
type texts struct {
	names   []string
	columns [][]string
	rows    int
	notes   []string

	described map[string]feature // how the file's metadata describe columns
}

// List implements Source.
func (t TextTable) List(ctx context.Context, files pipeline.Files) (Rows, error) {
	paths, err := expand(t.Patterns)
	if err != nil {
		return Rows{}, err
	}
	name := fmt.Sprintf("rows of texts, 2: %q %q", t.Columns, t.Separator)
	rows, err := indexed(ctx, files, paths, name, func(path string) (Rows, error) { return t.index(ctx, path) })
	if err != nil {
		return rows, err
	}
	if len(paths) == 1 && len(rows.All) == 0 && len(rows.Rejects) == 1 && !strings.Contains(rows.Rejects[0].ID, "/") {
		return rows, fmt.Errorf("read %s: %s", paths[0], rows.Rejects[0].Reason)
	}
	rows.nameClasses(t.Classes)
	return rows, nil
}

// index lists the rows of one file.
func (t TextTable) index(ctx context.Context, path string) (rows Rows, err error) {
	table, err := t.load(ctx, path)
	if err != nil {
		return rows, err
	}
	at, notes, err := t.find(path, table.names)
	if err != nil {
		return rows, malformed{err}
	}
	rows.Notes = append(table.notes, notes...)
	var extra []int
	for i, name := range table.names {
		if name != "" && !at.takes(i) {
			if name == record.Text || name == record.Tokens || name == record.TokenCount || name == record.UnknownTokens {
				name += "_"
			}
			rows.Extra = append(rows.Extra, rows.extraName(name, table.names))
			extra = append(extra, i)
		}
	}
	var named namedClasses
	if at.label >= 0 {
		named = classesNamed(table.described, table.names[at.label])
	}
	value := func(column, row int) string {
		if column < 0 {
			return ""
		}
		return strings.TrimSpace(table.columns[column][row])
	}
	for i := range table.rows {
		said := table.columns[at.path][i]
		row := Row{
			ID: fmt.Sprintf("%0*d", len(fmt.Sprint(table.rows-1)), i), Label: value(at.label, i), Domain: value(at.domain, i),
			At: Location{Offset: int64(i), Size: int64(len(said))},
		}
		if id := value(at.id, i); id != "" {
			row.ID = id
		}
		if split := value(at.split, i); split != "" {
			var known bool
			if row.Split, known = splitNamed(split); !known {
				rows.reject(row.ID, "split %q is not train, val or test", split)
				continue
			}
		}
		if strings.TrimSpace(said) == "" {
			rows.reject(row.ID, "there is no text")
			continue
		}
		if wrong := named.reject(row.Label); wrong != "" {
			rows.reject(row.ID, "%s", wrong)
			continue
		}
		sum := sha256.Sum256([]byte(said))
		row.Digest = hex.EncodeToString(sum[:])
		for _, column := range extra {
			row.Extra = append(row.Extra, value(column, i))
		}
		rows.All = append(rows.All, row)
	}
	return rows, nil
}

// find maps the columns; that of the text takes the place of the path.
func (t TextTable) find(path string, names []string) (at csvColumns, notes []string, err error) {
	columns := map[string]string{}
	for meaning, name := range t.Columns {
		if meaning == record.Text {
			meaning = pathColumn
		}
		columns[meaning] = name
	}
	if _, asked := columns[pathColumn]; !asked {
		usual := []string{record.Text, "sentence", "body", "message", "content", "review", "document", "mail", "email", "tweet", "question"}
		found := slices.IndexFunc(usual, func(name string) bool {
			return slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(other, name) })
		})
		if found < 0 {
			err := fmt.Errorf("no column is named text; say which holds it: columns: {text: NAME}; columns: %s", some(names))
			if separator := otherSeparator(names); separator != "" {
				err = fmt.Errorf("%w (if they are separated by %q, say so with separator)", err, separator)
			}
			return at, nil, err
		}
		columns[pathColumn] = names[slices.IndexFunc(names, func(other string) bool { return strings.EqualFold(other, usual[found]) })]
		if found > 0 {
			notes = append(notes, fmt.Sprintf("%s: the column %q is taken for the text", path, columns[pathColumn]))
		}
	}
	at, more, err := CSV{Path: path, Columns: columns}.find(names)
	return at, append(notes, more...), err
}

// load reads a file. Panics of the readers beneath, and whatever is wrong with the content, are malformed.
func (t TextTable) load(ctx context.Context, path string) (out *texts, err error) {
	defer blameContent(ctx, &err)
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := t.Limits.budget(info.Size())
	switch ending := strings.ToLower(filepath.Ext(path)); ending {
	case ".csv", ".tsv", ".tab":
		out, err = t.separated(ctx, f, b)
	case ".jsonl", ".ndjson", ".json":
		out, err = t.json(ctx, f, b)
	case ".parquet":
		out, err = t.parquet(ctx, path, b)
	case ".arrow", ".feather":
		out, err = t.arrow(ctx, f, info.Size(), b)
	default:
		return nil, fmt.Errorf("texts are read from %s, not from %q", strings.Join(TextEndings(), ", "), ending)
	}
	if err != nil {
		return nil, err
	}
	if out.rows == 0 {
		return nil, errors.New("it has no rows")
	}
	return out, t.Limits.checkColumns(len(out.names))
}

// separated reads a table of values with separators.
func (t TextTable) separated(ctx context.Context, f *os.File, b *budget.Budget) (*texts, error) {
	comma := CSV{Path: f.Name(), Separator: t.Separator}.separator()
	lazy := comma == '\t' // in such tables quotes are mostly characters
	table, err := readSeparated(ctx, f, comma, lazy, t.Limits, b, nil)
	if err != nil {
		return nil, err
	}
	out := &texts{names: table.names, columns: table.columns}
	if table.note != "" {
		out.notes = append(out.notes, fmt.Sprintf("%s: %s", f.Name(), table.note))
	}
	for _, column := range out.columns {
		out.rows = len(column)
		for i, value := range column {
			column[i] = text(value)
		}
	}
	return out, nil
}

// parquet reads the columns of plain values.
func (t TextTable) parquet(ctx context.Context, path string, b *budget.Budget) (_ *texts, err error) {
	f, err := openParquet(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	f.image = -1
	reads := f.textColumns()
	if err := t.Limits.checkColumns(len(reads)); err != nil {
		return nil, err
	}
	if err := f.checkPages(ctx, t.Limits.budget(f.size), reads); err != nil {
		return nil, err
	}
	names, columns, err := f.texts(ctx, reads, b)
	if err != nil {
		return nil, err
	}
	return &texts{names: names, columns: columns, rows: int(f.pq.NumRows()), described: features(f.pq)}, b.Take(budget.Items, f.pq.NumRows())
}

// Open implements Source.
func (t TextTable) Open() (Reader, error) {
	return &textReader{source: t, files: handle.Set[string, textColumn]{Most: 2}}, nil
}

// textColumn is the texts of a file.
type textColumn []string

func (textColumn) Close() error { return nil }

// textReader holds the texts of some files in memory while rows are read.
type textReader struct {
	source TextTable
	files  handle.Set[string, textColumn]
}

func (r *textReader) Close() error { return r.files.Close() }

func (r *textReader) Read(ctx context.Context, at Location) ([]byte, error) {
	column, done, err := r.files.Use(at.Path, func() (textColumn, error) {
		table, err := r.source.load(ctx, at.Path)
		if err != nil {
			return nil, err
		}
		columns, _, err := r.source.find(at.Path, table.names)
		if err != nil {
			return nil, err
		}
		return table.columns[columns.path], nil
	})
	if err != nil {
		return nil, err
	}
	defer done()
	if at.Offset < 0 || at.Offset >= int64(len(column)) {
		return nil, io.ErrUnexpectedEOF
	}
	return []byte(column[at.Offset]), nil
}
