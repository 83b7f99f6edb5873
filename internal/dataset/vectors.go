package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/handle"
	"github.com/tlpipe/tlpipe/internal/matfile"
	"github.com/tlpipe/tlpipe/internal/npy"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Vectors are rows of numbers, ready to be features, in one file. Its ending tells the format:
//
//   - .csv, .tsv: a table with a header. Features are the columns that are named, or else all columns of numbers but those with a
//     meaning (id, label, split, domain), [Vectors.Labels] and [Vectors.Others].
//   - .parquet: one column of lists, or fixed-size lists, of half, float or double; of whole numbers, if its name is usual or there is
//     nothing else; or columns of numbers, as of a CSV.
//   - .npy: an array [rows][...] of numbers; labels are another array, of numbers or texts, or a file of text with one label a line.
//   - .mat: a matrix [rows][features] of version 5, and one of labels.
//
// The id is the file's name and the row's number, unless there is a column for it. A row that is not all finite numbers is a reject.
// What a row is read as, and digested by, is its numbers in float32, little-endian.
type Vectors struct {
	Path      string
	Features  []string          // the columns, the column of lists, or the matrix; nil: found by themselves
	Labels    string            // .npy: a file; .mat: a matrix; else a column. "": label, labels and the like
	Columns   map[string]string // id, label, split or domain → the name of the column, "" for none
	Others    []string          // of a table: columns that are no features even if they hold numbers, unless Features names them
	Classes   []string          // names of numeric labels, counted from 0; nil: the numbers are the names
	Separator rune              // of a table; 0: a tab for .tsv, else a comma
	Limits    Limits
}

// vectorTable is a file that was read.
type vectorTable struct {
	width  int
	values []float32 // [rows][width]
	rows   int
	texts  map[string][]string // id, label, split, domain and further columns
	extra  []string            // names of the further columns
	notes  []string
	named  namedClasses
}

func (t *vectorTable) Close() error { return nil }

// List implements Source.
func (v Vectors) List(ctx context.Context, files pipeline.Files) (Rows, error) {
	if _, err := os.Stat(v.Path); err != nil {
		return Rows{}, err
	}
	name := fmt.Sprintf("rows of vectors, 3: %q %q %q %q %q", v.Features, v.Labels, v.Columns, v.Separator, v.separateLabels())
	if len(v.Others) > 0 {
		name += fmt.Sprintf(" %q", v.Others)
	}
	if v.separateLabels() != "" {
		digest, err := files.Digest(ctx, v.separateLabels())
		if err != nil {
			return Rows{}, fmt.Errorf("read the labels: %w", err)
		}
		name += " " + digest
	}
	rows, err := indexed(ctx, files, []string{v.Path}, name, func(string) (Rows, error) { return v.index(ctx) })
	if err != nil {
		return rows, err
	}
	if len(rows.All) == 0 && len(rows.Rejects) == 1 {
		return rows, fmt.Errorf("read %s: %s", v.Path, rows.Rejects[0].Reason)
	}
	rows.nameClasses(v.Classes)
	return rows, nil
}

// separateLabels is the file of the labels, where that is another than the features'.
func (v Vectors) separateLabels() string {
	if v.ending() == ".npy" {
		return v.Labels
	}
	return ""
}

func (v Vectors) ending() string { return strings.ToLower(filepath.Ext(v.Path)) }

func (v Vectors) index(ctx context.Context) (rows Rows, err error) {
	t, err := v.load(ctx)
	if err != nil {
		return rows, err
	}
	rows.Notes = t.notes
	rows.Extra = make([]string, len(t.extra))
	for i, name := range t.extra {
		rows.Extra[i] = rows.extraName(name, t.extra)
	}
	at := func(column string, i int) string {
		if values := t.texts[column]; i < len(values) {
			return text(values[i])
		}
		return ""
	}
	for i := range t.rows {
		row := Row{
			ID: fmt.Sprintf("%0*d", len(fmt.Sprint(t.rows-1)), i), Label: at(record.Label, i), Domain: at(record.Domain, i),
			At: Location{Offset: int64(i), Size: int64(4 * t.width)},
		}
		if id := at(record.ID, i); id != "" {
			row.ID = id
		}
		if split := at(record.Split, i); split != "" {
			var known bool
			if row.Split, known = splitNamed(split); !known {
				rows.reject(row.ID, "split %q is not train, val or test", split)
				continue
			}
		}
		if wrong := t.named.reject(row.Label); wrong != "" {
			rows.reject(row.ID, "%s", wrong)
			continue
		}
		raw := t.bytes(i)
		if raw == nil {
			rows.reject(row.ID, "a feature is missing, or no finite number in float32")
			continue
		}
		sum := sha256.Sum256(raw)
		row.Digest = hex.EncodeToString(sum[:])
		for _, name := range t.extra {
			row.Extra = append(row.Extra, at(name, i))
		}
		rows.All = append(rows.All, row)
	}
	return rows, nil
}

// bytes of a row; nil if a number is not finite.
func (t *vectorTable) bytes(row int) []byte {
	raw := make([]byte, 0, 4*t.width)
	for _, x := range t.values[row*t.width : (row+1)*t.width] {
		if x-x != 0 {
			return nil
		}
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}

// Open implements Source.
func (v Vectors) Open() (Reader, error) {
	return &vectorReader{source: v, files: handle.Set[string, *vectorTable]{Most: 1}}, nil
}

// vectorReader holds the file in memory while rows are read.
type vectorReader struct {
	source Vectors
	files  handle.Set[string, *vectorTable]
}

func (r *vectorReader) Close() error { return r.files.Close() }

func (r *vectorReader) Read(ctx context.Context, at Location) ([]byte, error) {
	t, done, err := r.files.Use(at.Path, func() (*vectorTable, error) { return r.source.load(ctx) })
	if err != nil {
		return nil, err
	}
	defer done()
	if at.Offset < 0 || at.Offset >= int64(t.rows) {
		return nil, io.ErrUnexpectedEOF
	}
	return t.bytes(int(at.Offset)), nil
}

// load reads the file. Panics of the Parquet reader, and whatever is wrong with the content, are malformed.
func (v Vectors) load(ctx context.Context) (t *vectorTable, err error) {
	defer blameContent(ctx, &err)
	f, err := openFile(v.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := v.Limits.budget(info.Size())
	switch v.ending() {
	case ".csv", ".tsv", ".tab":
		t, err = v.table(ctx, f, b)
	case ".parquet":
		t, err = v.parquet(ctx, b)
	case ".arrow", ".feather", ".ipc":
		t, err = v.arrow(ctx, f, info.Size(), b)
	case ".npy":
		t, err = v.array(ctx, f, info.Size(), b)
	case ".mat":
		t, err = v.matrix(ctx, f, b)
	default:
		return nil, fmt.Errorf("vectors are read from .csv, .tsv, .parquet, .arrow, .npy and .mat, not from %q", filepath.Ext(v.Path))
	}
	if err != nil {
		return nil, err
	}
	if t.width < 1 || t.rows < 1 {
		return nil, fmt.Errorf("%d rows of %d features", t.rows, t.width)
	}
	return t, b.Take(budget.Items, int64(t.rows))
}

// meaning tells what a column of a table is: id, label, split or domain; "" for none.
func (v Vectors) meaning(column string) string {
	for _, meaning := range []string{record.ID, record.Label, record.Split, record.Domain} {
		name, asked := v.Columns[meaning]
		if meaning == record.Label && !asked && v.Labels != "" {
			name, asked = v.Labels, true
		}
		if asked && name == column || !asked && strings.EqualFold(column, meaning) {
			return meaning
		}
	}
	return ""
}

// checkNames refuses columns that are asked for and not among those of the table.
func (v Vectors) checkNames(names []string) error {
	for _, asked := range append(slices.Clone(v.Features), v.Labels) {
		if asked != "" && !slices.Contains(names, asked) {
			return fmt.Errorf("there is no column %q; columns: %s", asked, some(names))
		}
	}
	for _, meaning := range slices.Sorted(maps.Keys(v.Columns)) {
		if asked := v.Columns[meaning]; asked != "" && !slices.Contains(names, asked) {
			return fmt.Errorf("there is no column %q for the %s; columns: %s", asked, meaning, some(names))
		}
	}
	return nil
}

// sort divides the named columns of a table into features and texts, which are those with a meaning and those that are not numbers.
func (v Vectors) sort(names []string, columns [][]string) (*vectorTable, error) {
	if err := v.checkNames(names); err != nil {
		return nil, err
	}
	t := &vectorTable{texts: map[string][]string{}}
	var features [][]float32
	var texts []string // that could have been features
	for i, name := range names {
		if len(columns[i]) > 0 {
			t.rows = max(t.rows, len(columns[i]))
		}
		meaning := v.meaning(name)
		wanted := slices.Contains(v.Features, name)
		if meaning != "" && !wanted {
			t.texts[meaning] = columns[i]
			continue
		}
		numbers, numeric := floats(columns[i])
		other := slices.Contains(v.Others, name)
		if wanted || v.Features == nil && numeric && !other {
			features = append(features, numbers)
			continue
		}
		t.texts[name] = columns[i]
		t.extra = append(t.extra, name)
		if !other {
			texts = append(texts, name)
		}
	}
	if len(texts) > 0 && v.Features == nil {
		t.notes = append(t.notes, fmt.Sprintf("%s: %d columns of numbers are features; not all numbers, and kept as texts: %s", filepath.Base(v.Path), len(features), some(texts)))
	}
	t.width = len(features)
	if t.width == 0 {
		return nil, fmt.Errorf("no column has numbers; columns: %s", some(names))
	}
	t.values = make([]float32, t.rows*t.width)
	for j, column := range features {
		for i, x := range column {
			t.values[i*t.width+j] = x
		}
	}
	return t, nil
}

// floats reads texts as numbers; those that are none are NaN. numeric tells whether all that are not empty are numbers, and some are.
func floats(texts []string) (out []float32, numeric bool) {
	out = make([]float32, len(texts))
	known := 0
	numeric = true
	for i, s := range texts {
		x, err := number(strings.TrimSpace(s))
		if errors.Is(err, strconv.ErrRange) {
			err, x = nil, math.NaN() // a number, and not a finite one
		}
		if err != nil {
			numeric, x = false, math.NaN()
		}
		if !math.IsNaN(x) {
			known++
		}
		out[i] = float32(x)
	}
	return out, numeric && known > 0
}

// table reads a CSV.
func (v Vectors) table(ctx context.Context, f *os.File, b *budget.Budget) (*vectorTable, error) {
	comma := CSV{Path: v.Path, Separator: v.Separator}.separator()
	table, err := readSeparated(ctx, f, comma, false, v.Limits, b, func(names []string) error {
		for _, name := range names {
			if _, err := strconv.ParseFloat(name, 64); err != nil {
				return nil
			}
		}
		return errors.New("the first line has numbers where the names of the columns should be")
	})
	if err != nil {
		return nil, err
	}
	return v.sort(table.names, table.columns)
}

// array reads an array of NumPy.
func (v Vectors) array(ctx context.Context, f io.Reader, size int64, b *budget.Budget) (*vectorTable, error) {
	shape, data, err := npy.Numbers(withContext(ctx, f), size, b.Left(budget.Memory)/16)
	if err != nil {
		return nil, err
	}
	if len(shape) < 2 {
		return nil, notRows(shape)
	}
	t := &vectorTable{rows: shape[0], width: len(data) / shape[0], values: narrow(data), texts: map[string][]string{}}
	if v.Labels == "" {
		return t, nil
	}
	labels, err := v.labelFile(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the labels %s: %w", v.Labels, err)
	}
	if len(labels) != t.rows {
		return nil, fmt.Errorf("%d labels in %s for %d rows", len(labels), v.Labels, t.rows)
	}
	t.texts[record.Label] = labels
	return t, nil
}

// labelFile reads one label a row: an array of numbers or texts, or lines of text.
func (v Vectors) labelFile(ctx context.Context) (labels []string, err error) {
	f, err := openFile(v.Labels)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := v.Limits.budget(info.Size())
	if strings.EqualFold(filepath.Ext(v.Labels), ".npy") {
		texts, ok, err := npy.Texts(withContext(ctx, f), info.Size(), b.Left(budget.Memory)/4)
		if ok || err != nil {
			for i := range texts {
				texts[i] = text(strings.TrimSpace(texts[i]))
			}
			return texts, err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		_, data, err := npy.Numbers(withContext(ctx, f), info.Size(), b.Left(budget.Memory)/16)
		return classesOf(data), err
	}
	raw, err := io.ReadAll(b.Reader(budget.Memory, withContext(ctx, f)))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n"), "\n")
	for i := range lines {
		lines[i] = text(strings.TrimSpace(lines[i]))
	}
	return lines, nil
}

// matrix reads a MAT-file.
func (v Vectors) matrix(ctx context.Context, f *os.File, b *budget.Budget) (*vectorTable, error) {
	shapes, err := matfile.Read(withContext(ctx, f), func(string) bool { return false }, b)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var names []string
	for _, m := range shapes {
		name := fmt.Sprintf("%s %d×%d", text(m.Name), m.Rows, m.Columns)
		if m.Why != "" {
			name += " (" + m.Why + ")"
		}
		names = append(names, name)
	}
	// pick finds the matrix that is named, or the first of some usual names, or the only one of a shape.
	pick := func(what string, asked string, usual []string, fits func(matfile.Variable) bool) (matfile.Variable, error) {
		var fitting, unread []matfile.Variable // unread have a usual name
		for _, m := range shapes {
			if m.Name == asked {
				if m.Why != "" {
					return m, fmt.Errorf("%s: %s", asked, m.Why)
				}
				return m, nil
			}
			if m.Why == "" && fits(m) {
				fitting = append(fitting, m)
			}
			if m.Why != "" && slices.ContainsFunc(usual, func(name string) bool { return strings.EqualFold(m.Name, name) }) {
				unread = append(unread, m)
			}
		}
		if asked != "" {
			return matfile.Variable{}, fmt.Errorf("there is no matrix %q; the file has %s", asked, some(names))
		}
		for _, name := range usual {
			for _, m := range fitting {
				if strings.EqualFold(m.Name, name) {
					return m, nil
				}
			}
		}
		if len(unread) > 0 { // what is meant, so that no other is taken for it
			return matfile.Variable{}, &unreadError{unread[0], what}
		}
		if len(fitting) == 1 {
			return fitting[0], nil
		}
		return matfile.Variable{}, fmt.Errorf("it is not said which matrix has the %s; there are %s: name it under %s", what, some(names), what)
	}
	asked := ""
	if len(v.Features) > 0 {
		asked = v.Features[0]
	}
	features, err := pick("features", asked, []string{"fts", "feas", "features", "fea", "X"}, func(m matfile.Variable) bool { return m.Rows > 1 && m.Columns > 1 })
	if err != nil {
		return nil, err
	}
	labels, err := pick("labels", v.Labels, []string{"labels", "label", "gnd", "Y"}, func(m matfile.Variable) bool {
		return min(m.Rows, m.Columns) == 1 && max(m.Rows, m.Columns) == features.Rows
	})
	if err != nil && v.Labels != "" {
		return nil, err
	}
	var notes []string
	if unread := (*unreadError)(nil); errors.As(err, &unread) {
		notes = append(notes, fmt.Sprintf("%s: there are no labels: %v", filepath.Base(v.Path), unread))
	}
	read, err := matfile.Read(withContext(ctx, f), func(name string) bool { return name == features.Name || name == labels.Name }, b)
	if err != nil {
		return nil, err
	}
	t := &vectorTable{texts: map[string][]string{}, notes: notes}
	for _, m := range read {
		switch m.Name {
		case features.Name:
			t.rows, t.width = m.Rows, m.Columns
			if err := b.Take(budget.Memory, int64(4*len(m.Data))); err != nil {
				return nil, err
			}
			t.values = make([]float32, 0, len(m.Data))
			for row := range m.Rows {
				for column := range m.Columns {
					t.values = append(t.values, float32(m.At(row, column)))
				}
			}
		case labels.Name:
			t.texts[record.Label] = classesOf(m.Data)
		}
	}
	if got := len(t.texts[record.Label]); labels.Name != "" && got != t.rows {
		return nil, fmt.Errorf("%d labels in %s for %d rows", got, labels.Name, t.rows)
	}
	return t, nil
}

// unreadError tells of a matrix whose name says what it has, and which cannot be read.
type unreadError struct {
	matrix matfile.Variable
	what   string // features or labels
}

func (e *unreadError) Error() string {
	hint := "name another matrix of numbers under " + e.what
	switch {
	case e.what == "labels":
		hint = "number the classes from 0 in a matrix of a row or a column, or " + hint
	case e.matrix.Sparse():
		hint = "store it as a full matrix, in Python x.toarray(), or " + hint
	}
	return fmt.Sprintf("%s is not read: %s; %s", text(e.matrix.Name), e.matrix.Why, hint)
}

// classesOf names numeric labels; not a number is no label.
func classesOf(data []float64) []string {
	out := make([]string, len(data))
	for i, x := range data {
		if !math.IsNaN(x) {
			out[i] = strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	return out
}

func narrow(data []float64) []float32 {
	out := make([]float32, len(data))
	for i, x := range data {
		out[i] = float32(x)
	}
	return out
}

// parquet reads columns of lists or of numbers.
func (v Vectors) parquet(ctx context.Context, b *budget.Budget) (t *vectorTable, err error) {
	f, err := openParquet(v.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	f.image = -1
	columnsOf := f.pq.MetaData().Schema
	var columns listColumns
	var others []string // of lists that are no numbers
	for i := range columnsOf.NumColumns() {
		leaf := columnsOf.Column(i)
		name := leaf.ColumnPath()[0]
		if leaf.MaxRepetitionLevel() != 1 {
			if leaf.MaxRepetitionLevel() == 0 {
				columns.alone = columns.alone || v.couldBeFeature(name) && isNumber(leaf) && len(leaf.ColumnPath()) == 1
			}
			continue
		}
		if !isNumber(leaf) {
			others = append(others, name)
			continue
		}
		columns.add(i, name, leaf.PhysicalType() == parquet.Types.Int32 || leaf.PhysicalType() == parquet.Types.Int64)
	}
	list := columns.choose(v)
	lists := columns.names
	reads := f.textColumns()
	if err := v.Limits.checkColumns(len(reads)); err != nil {
		return nil, err
	}
	if list >= 0 {
		reads = append(reads, list)
	}
	if err := f.checkPages(ctx, v.Limits.budget(f.size), reads); err != nil {
		return nil, err
	}
	names, values, err := f.texts(ctx, f.textColumns(), b)
	if err != nil {
		return nil, err
	}
	if list < 0 {
		if len(lists) > 0 && len(v.Features) == 1 && !slices.Contains(names, v.Features[0]) {
			return nil, fmt.Errorf("there is no column %q; columns of lists: %s", v.Features[0], some(lists))
		}
		t, err = v.sort(names, values)
		err = withLists(err, others)
	} else {
		width, numbers, wrong := f.lists(ctx, list, b)
		if wrong != nil {
			return nil, fmt.Errorf("column %s: %w", columnsOf.Column(list).ColumnPath()[0], wrong)
		}
		t, err = v.besideLists(width, numbers, int(f.pq.NumRows()), names, values)
	}
	if err != nil {
		return nil, err
	}
	if at := slices.IndexFunc(names, func(name string) bool { return v.meaning(name) == record.Label }); at >= 0 {
		t.named = classesNamed(features(f.pq), names[at])
	}
	return t, nil
}

// listColumns are the columns of lists of numbers of a table.
type listColumns struct {
	names  []string
	places []int
	whole  []bool // of whole numbers, which may be anything: tags, tokens
	alone  bool   // there are columns of single numbers that could be features
}

func (l *listColumns) add(place int, name string, whole bool) {
	l.names, l.places, l.whole = append(l.names, name), append(l.places, place), append(l.whole, whole)
}

// choose is the place of the column of features: that which is named, the last with a usual name, the first of numbers with fractions, or
// of whole ones where nothing else could be meant; −1 for none.
func (l *listColumns) choose(v Vectors) int {
	if v.Features != nil {
		if at := slices.Index(l.names, v.Features[0]); len(v.Features) == 1 && at >= 0 {
			return l.places[at]
		}
		return -1
	}
	usual := []string{record.Feature, "features", "embedding", "embeddings", "vector"}
	for i, name := range slices.Backward(l.names) {
		if slices.Contains(usual, name) {
			return l.places[i]
		}
	}
	if at := slices.Index(l.whole, false); at >= 0 {
		return l.places[at]
	}
	if len(l.places) == 1 && !l.alone {
		return l.places[0]
	}
	return -1
}

// withLists adds to an error that no column has numbers those of lists, which are not among the columns that it names.
func withLists(err error, others []string) error {
	if err == nil || len(others) == 0 {
		return err
	}
	return fmt.Errorf("%w; columns of lists that are not numbers: %s", err, some(others))
}

// couldBeFeature tells whether a column of numbers has no other meaning.
func (v Vectors) couldBeFeature(name string) bool {
	return v.meaning(name) == "" && !slices.Contains(v.Others, name)
}

// isNumber tells whether a column of Parquet, or its lists, are of numbers.
func isNumber(leaf *schema.Column) bool {
	switch leaf.PhysicalType() {
	case parquet.Types.Float, parquet.Types.Double, parquet.Types.Int32, parquet.Types.Int64:
		switch leaf.LogicalType().(type) {
		case schema.DateLogicalType, schema.TimeLogicalType, schema.TimestampLogicalType, schema.DecimalLogicalType, *schema.DateLogicalType, *schema.TimeLogicalType, *schema.TimestampLogicalType, *schema.DecimalLogicalType:
			return false
		}
		return true
	case parquet.Types.FixedLenByteArray:
		return isHalf(leaf)
	}
	return false
}

// isHalf tells whether the values are of 16 bits.
func isHalf(leaf *schema.Column) bool {
	return leaf.PhysicalType() == parquet.Types.FixedLenByteArray && leaf.LogicalType().Equals(schema.Float16LogicalType{})
}

// isUnsigned tells whether whole numbers have no sign.
func isUnsigned(leaf *schema.Column) bool {
	switch t := leaf.LogicalType().(type) {
	case schema.IntLogicalType:
		return !t.IsSigned()
	case *schema.IntLogicalType:
		return !t.IsSigned()
	}
	return false
}

// besideLists is a table whose features are in a column of lists, with the named columns beside it.
func (v Vectors) besideLists(width int, values []float32, rows int, names []string, columns [][]string) (*vectorTable, error) {
	t := &vectorTable{width: width, values: values, rows: rows, texts: map[string][]string{}}
	for i, name := range names {
		if meaning := v.meaning(name); meaning != "" {
			t.texts[meaning] = columns[i]
		} else {
			t.texts[name] = columns[i]
			t.extra = append(t.extra, name)
		}
	}
	if v.Labels != "" && t.texts[record.Label] == nil {
		return nil, fmt.Errorf("there is no column %q; columns: %s", v.Labels, some(names))
	}
	return t, nil
}

// lists reads a column of lists of numbers, which must all have the same length; rows without a list are not numbers.
func (f *parquetFile) lists(ctx context.Context, at int, b *budget.Budget) (width int, values []float32, err error) {
	rows := int64(0)
	next := func(level int16, full bool, x float32) error {
		if level == 0 {
			rows++
			if rows == 2 {
				width = len(values)
			}
			if rows > 1 && int64(len(values)) != (rows-1)*int64(width) {
				return fmt.Errorf("row %d has another number of features, %d, than those before, %d; rows are counted from 0", rows-2, int64(len(values))-(rows-2)*int64(width), width)
			}
		}
		if !full {
			if level == 0 && width > 0 { // an empty list, or none
				for range width {
					values = append(values, float32(math.NaN()))
				}
				return nil
			}
			x = float32(math.NaN())
		}
		values = append(values, x)
		return nil
	}
	for group := range f.pq.NumRowGroups() {
		column, err := f.pq.RowGroup(group).Column(at)
		if err != nil {
			return 0, nil, err
		}
		most := column.Descriptor().MaxDefinitionLevel()
		half, unsigned := isHalf(column.Descriptor()), isUnsigned(column.Descriptor())
		const batch = 4096
		defs, reps := make([]int16, batch), make([]int16, batch)
		for column.HasNext() {
			if err := ctx.Err(); err != nil {
				return 0, nil, err
			}
			var levels int64
			var get func(i int) float32
			switch column := column.(type) {
			case *file.Float32ColumnChunkReader:
				out := make([]float32, batch)
				levels, _, err = column.ReadBatch(batch, out, defs, reps)
				get = func(i int) float32 { return out[i] }
			case *file.Float64ColumnChunkReader:
				out := make([]float64, batch)
				levels, _, err = column.ReadBatch(batch, out, defs, reps)
				get = func(i int) float32 { return float32(out[i]) }
			case *file.Int32ColumnChunkReader:
				out := make([]int32, batch)
				levels, _, err = column.ReadBatch(batch, out, defs, reps)
				get = func(i int) float32 {
					if unsigned {
						return float32(uint32(out[i]))
					}
					return float32(out[i])
				}
			case *file.Int64ColumnChunkReader:
				out := make([]int64, batch)
				levels, _, err = column.ReadBatch(batch, out, defs, reps)
				get = func(i int) float32 {
					if unsigned {
						return float32(uint64(out[i]))
					}
					return float32(out[i])
				}
			case *file.FixedLenByteArrayColumnChunkReader:
				if !half {
					return 0, nil, errors.New("it is not of numbers")
				}
				out := make([]parquet.FixedLenByteArray, batch)
				levels, _, err = column.ReadBatch(batch, out, defs, reps)
				get = func(i int) float32 { return float16.FromLEBytes(out[i]).Float32() }
			default:
				return 0, nil, errors.New("it is not of numbers")
			}
			if err != nil {
				return 0, nil, err
			}
			if levels == 0 {
				break
			}
			if err := b.Take(budget.Memory, 4*levels); err != nil {
				return 0, nil, err
			}
			read := 0
			for i := range levels {
				full, x := defs[i] == most, float32(0)
				if full {
					x = get(read)
					read++
				}
				if err := next(reps[i], full, x); err != nil {
					return 0, nil, err
				}
			}
		}
	}
	if rows == 1 {
		width = len(values)
	}
	if rows != f.pq.NumRows() || int64(len(values)) != rows*int64(width) {
		return 0, nil, fmt.Errorf("%d numbers for %d rows, the first of %d features: another number of features in some row", len(values), f.pq.NumRows(), width)
	}
	return width, values, nil
}
