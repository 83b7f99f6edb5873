package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/handle"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Parquet is pictures as Hugging Face datasets store them: a column of
// struct<bytes, path>, or of plain bytes, and a label that is a text, or a
// number whose names are in the file's metadata. Other columns of plain values
// are kept as text. The id is the file's name and the row's number, unless
// there is a column for it. A row without bytes is the file that its path
// names, from the folder of the Parquet file.
//
// The footer and the headers of all pages are looked at before the reader
// beneath, which believes them, allocates what they say. It does not survive
// every damage to a file's inside: it may loop where others give an error.
type Parquet struct {
	Patterns []string          // files, or patterns as of a shell
	Columns  map[string]string // id, image, label, split or domain → the name of the column, "" for none
	Classes  []string          // names of numeric labels that the file does not name
	Limits   Limits
}

// Open implements Source.
func (p Parquet) Open() (Reader, error) {
	return &parquetReader{source: p, files: handle.Set[string, *parquetFile]{Most: mostOpen}}, nil
}

// List implements Source.
func (p Parquet) List(ctx context.Context, files pipeline.Files) (Rows, error) {
	paths, err := expand(p.Patterns)
	if err != nil {
		return Rows{}, err
	}
	name := "rows of a Parquet file, 3"
	for _, meaning := range slices.Sorted(maps.Keys(p.Columns)) {
		name += fmt.Sprintf(", %q is %q", meaning, p.Columns[meaning])
	}
	rows, err := indexed(ctx, files, paths, name, func(path string) (Rows, error) { return p.index(ctx, path) })
	if err != nil {
		return rows, err
	}
	rows.All = slices.DeleteFunc(rows.All, func(row Row) bool {
		if row.At.Offset != WholeFile {
			return false
		}
		_, err := os.Stat(row.At.Path)
		if err != nil {
			rows.reject(row.ID, "there are no bytes of a picture in the row, and the file %s that it names cannot be read: %s", text(row.At.Path), reason(err))
		}
		return err != nil
	})
	rows.nameClasses(p.Classes)
	return rows, nil
}

// parquetFile is an opened file and which of its columns mean what.
type parquetFile struct {
	file  *os.File
	pq    *file.Reader
	image int // the leaf column of the bytes
	size  int64
	first []int64 // row of each row group, and the number of all rows

	mu   sync.Mutex
	idle []*cursor
}

// openParquet opens a file and looks at its footer.
func openParquet(path string) (out *parquetFile, err error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = malformed{fmt.Errorf("not a Parquet file: %v", r)}
		}
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFooter(f, info.Size()); err != nil {
		return nil, malformed{fmt.Errorf("not a Parquet file: %w", err)}
	}
	lz4Known()
	properties := parquet.NewReaderProperties(memory.DefaultAllocator)
	properties.BufferedStreamEnabled = true // pages, not whole row groups
	pq, err := file.NewParquetReader(f, file.WithReadProps(properties))
	if err != nil {
		return nil, malformed{fmt.Errorf("not a Parquet file: %w", err)}
	}
	out = &parquetFile{file: f, pq: pq, size: info.Size(), first: []int64{0}}
	for i, group := range pq.MetaData().RowGroups {
		if group.NumRows < 0 || group.NumRows > info.Size() {
			return nil, malformed{fmt.Errorf("damaged: it says that %d rows are in %d bytes", group.NumRows, info.Size())}
		}
		out.first = append(out.first, out.first[i]+group.NumRows)
	}
	if all := out.first[len(out.first)-1]; all != pq.NumRows() || all > info.Size() {
		return nil, malformed{fmt.Errorf("damaged: it says that %d rows are in %d bytes, and %d in its groups", pq.NumRows(), info.Size(), all)}
	}
	return out, nil
}

// open opens a file and finds the column of the pictures.
func (p Parquet) open(path string) (out *parquetFile, err error) {
	out, err = openParquet(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = malformed{fmt.Errorf("not a Parquet file: %v", r)}
		}
		if err != nil {
			err = errors.Join(err, out.Close())
			out = nil
		}
	}()
	pq := out.pq
	name, asked := p.Columns[record.Image]
	if !asked {
		name = imageColumn(pq)
	}
	columns := pq.MetaData().Schema
	out.image = columns.ColumnIndexByName(name + ".bytes")
	if out.image < 0 {
		out.image = columns.ColumnIndexByName(name)
	}
	if name == "" || out.image < 0 {
		return out, malformed{fmt.Errorf("there is no column of pictures; columns: %s", strings.Join(leaves(pq), ", "))}
	}
	if leaf := columns.Column(out.image); leaf.PhysicalType() != parquet.Types.ByteArray || leaf.MaxRepetitionLevel() > 0 {
		return out, malformed{fmt.Errorf("the column %s does not hold one picture a row", leaf.Path())}
	}
	return out, nil
}

func leaves(pq *file.Reader) []string {
	columns := pq.MetaData().Schema
	var out []string
	for i := range columns.NumColumns() {
		out = append(out, columns.Column(i).Path())
	}
	return out
}

// imageColumn guesses the column of the pictures: the first that Hugging
// Face's metadata call an image, that is a struct of bytes and path, or that
// is named so.
func imageColumn(pq *file.Reader) string {
	names := leaves(pq)
	for _, leaf := range names {
		column := strings.Split(leaf, ".")[0]
		if features(pq)[column].Type == "Image" {
			return column
		}
	}
	for _, leaf := range names {
		if column, found := strings.CutSuffix(leaf, ".bytes"); found && slices.Contains(names, column+".path") {
			return column
		}
	}
	for _, name := range []string{"image", "img", "picture", "jpg", "png"} {
		if slices.Contains(names, name) {
			return name
		}
	}
	return ""
}

// feature is how Hugging Face's metadata describe a column.
type feature struct {
	Type  string   `json:"_type"`
	Names []string `json:"names"`
}

// features reads the metadata; columns that are described in another way are
// left out.
func features(pq *file.Reader) map[string]feature {
	text := pq.MetaData().KeyValueMetadata().FindValue(featuresKey)
	if text == nil {
		return nil
	}
	return parseFeatures(*text)
}

// featuresKey is the key of the metadata in which Hugging Face describes columns.
const featuresKey = "huggingface"

func parseFeatures(text string) map[string]feature {
	var described struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if err := json.Unmarshal([]byte(text), &described); err != nil {
		return nil
	}
	out := map[string]feature{}
	for name, raw := range described.Info.Features {
		var f feature
		if json.Unmarshal(raw, &f) == nil {
			out[name] = f
		}
	}
	return out
}

// index lists the rows of one file.
func (p Parquet) index(ctx context.Context, path string) (rows Rows, err error) {
	f, err := p.open(path)
	if err != nil {
		return rows, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = malformed{fmt.Errorf("damaged: %v", r)}
		}
		err = errors.Join(err, f.Close())
	}()
	texts := f.textColumns()
	if err := p.Limits.checkColumns(len(texts)); err != nil {
		return rows, malformed{err}
	}
	reads := append(slices.Clone(texts), f.image)
	if at := f.pathColumn(); at >= 0 {
		reads = append(reads, at)
	}
	if err := f.checkPages(ctx, p.Limits.budget(f.size), reads); err != nil {
		return rows, f.malformed(ctx, err)
	}
	b := p.Limits.budget(f.size)
	names, columns, err := f.texts(ctx, texts, b)
	if err != nil {
		return rows, f.malformed(ctx, err)
	}
	var named namedClasses
	if at := p.find(names, record.Label); at >= 0 {
		named = classesNamed(features(f.pq), names[at])
	}
	take := func(meaning string) []string {
		at := p.find(names, meaning)
		if at < 0 {
			return nil
		}
		values := columns[at]
		names, columns = slices.Delete(names, at, at+1), slices.Delete(columns, at, at+1)
		return values
	}
	for _, meaning := range []string{record.ID, record.Label, record.Split, record.Domain} {
		if name := p.Columns[meaning]; name != "" && !slices.Contains(names, name) {
			return rows, malformed{fmt.Errorf("there is no column %q for the %s; columns: %s", name, meaning, strings.Join(names, ", "))}
		}
	}
	ids, labels := take(record.ID), take(record.Label)
	splits, domains := take(record.Split), take(record.Domain)
	for _, name := range names {
		rows.Extra = append(rows.Extra, rows.extraName(name, names))
	}
	paths, err := f.paths(ctx, b)
	if err != nil {
		return rows, f.malformed(ctx, err)
	}
	total := f.pq.NumRows()
	for i := range total {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		at := func(values []string) string {
			if int(i) < len(values) {
				return values[i]
			}
			return ""
		}
		row := Row{ID: fmt.Sprintf("%0*d", len(fmt.Sprint(total-1)), i), Label: at(labels), Domain: at(domains), At: Location{Offset: i}}
		if id := at(ids); id != "" {
			row.ID = id
		}
		picture, err := f.read(i)
		if err == nil {
			err = errors.Join(takeRow(b, 16*len(columns)), b.Take(budget.Unpacked, int64(len(picture))))
		}
		if err != nil {
			return rows, malformed{fmt.Errorf("row %d: %w", i, err)}
		}
		split, known := splitNamed(at(splits))
		row.Split = split
		switch {
		case picture == nil && at(paths) == "":
			rows.reject(row.ID, "there are no bytes of a picture in the row")
			continue
		case picture != nil && len(picture) == 0:
			rows.reject(row.ID, "the picture is empty")
			continue
		case at(splits) != "" && !known:
			rows.reject(row.ID, "split %q is not train, val or test", at(splits))
			continue
		case named.reject(row.Label) != "":
			rows.reject(row.ID, "%s", named.reject(row.Label))
			continue
		}
		if picture == nil {
			row.At = Location{Path: at(paths), Offset: WholeFile} // its digest is that of the file
		} else {
			sum := sha256.Sum256(picture)
			row.Digest = hex.EncodeToString(sum[:])
			row.At.Size = int64(len(picture))
		}
		for _, values := range columns {
			row.Extra = append(row.Extra, at(values))
		}
		rows.All = append(rows.All, row)
	}
	return rows, nil
}

// find is the place of the column with a meaning among names; −1 if there is none.
func (p Parquet) find(names []string, meaning string) int {
	if name, asked := p.Columns[meaning]; asked {
		return slices.Index(names, name)
	}
	at := slices.Index(names, meaning)
	if at < 0 && meaning == record.Label {
		at = slices.Index(names, "labels")
	}
	return at
}

// malformed says that the file is damaged, unless the work was given up.
func (f *parquetFile) malformed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return malformed{err}
}

// textColumns are the columns of plain values but the pictures.
func (f *parquetFile) textColumns() (out []int) {
	leaves := f.pq.MetaData().Schema
	for i := range leaves.NumColumns() {
		leaf := leaves.Column(i)
		if i != f.image && len(leaf.ColumnPath()) == 1 && leaf.MaxRepetitionLevel() == 0 && isPlain(leaf.PhysicalType()) {
			out = append(out, i)
		}
	}
	return out
}

// texts reads columns as text. Numbers that the metadata name become names.
func (f *parquetFile) texts(ctx context.Context, which []int, b *budget.Budget) (names []string, columns [][]string, err error) {
	described := features(f.pq)
	for _, i := range which {
		path := f.pq.MetaData().Schema.Column(i).ColumnPath()
		if err := b.Take(budget.Memory, 16*f.pq.NumRows()); err != nil {
			return nil, nil, err
		}
		values := make([]string, 0, f.pq.NumRows())
		for group := range f.pq.NumRowGroups() {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			column, err := f.pq.RowGroup(group).Column(i)
			if err != nil {
				return nil, nil, err
			}
			if values, err = appendTexts(values, column, b); err != nil {
				return nil, nil, err
			}
		}
		if classes := described[path[0]].Names; len(classes) > 0 {
			for j, v := range values {
				values[j] = className(classes, v)
			}
		}
		names, columns = append(names, path[0]), append(columns, values)
	}
	return names, columns, nil
}

// pathColumn is the column of the paths that stand beside the bytes of the pictures; −1 if there is none.
func (f *parquetFile) pathColumn() int {
	leaves := f.pq.MetaData().Schema
	column, found := strings.CutSuffix(leaves.Column(f.image).Path(), ".bytes")
	at := leaves.ColumnIndexByName(column + ".path")
	if !found || at < 0 || leaves.Column(at).PhysicalType() != parquet.Types.ByteArray || leaves.Column(at).MaxRepetitionLevel() > 0 {
		return -1
	}
	return at
}

// paths reads the paths that stand beside the bytes of the pictures; nil if there are none.
func (f *parquetFile) paths(ctx context.Context, b *budget.Budget) (paths []string, err error) {
	at := f.pathColumn()
	if at < 0 {
		return nil, nil
	}
	if err := b.Take(budget.Memory, 16*f.pq.NumRows()); err != nil {
		return nil, err
	}
	for group := range f.pq.NumRowGroups() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		column, err := f.pq.RowGroup(group).Column(at)
		if err != nil {
			return nil, err
		}
		if paths, err = appendTexts(paths, column, b); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func isPlain(t parquet.Type) bool {
	return t != parquet.Types.Int96 && t != parquet.Types.FixedLenByteArray
}

// appendTexts reads the rest of a column of a row group.
func appendTexts(to []string, column file.ColumnChunkReader, b *budget.Budget) ([]string, error) {
	logical := column.Descriptor().LogicalType()
	switch column := column.(type) {
	case *file.ByteArrayColumnChunkReader:
		var over error
		to, err := appendBatches(to, column.Descriptor(), column.ReadBatch, func(v parquet.ByteArray) string {
			if over == nil {
				over = b.Take(budget.Memory, int64(len(v)))
			}
			if over != nil {
				return ""
			}
			return text(string(v))
		})
		return to, errors.Join(over, err)
	case *file.Int64ColumnChunkReader:
		return appendBatches(to, column.Descriptor(), column.ReadBatch, func(v int64) string { return wholeText(v, logical) })
	case *file.Int32ColumnChunkReader:
		return appendBatches(to, column.Descriptor(), column.ReadBatch, func(v int32) string { return wholeText(int64(v), logical) })
	case *file.BooleanColumnChunkReader:
		return appendBatches(to, column.Descriptor(), column.ReadBatch, func(v bool) string { return strconv.FormatBool(v) })
	case *file.Float32ColumnChunkReader:
		return appendBatches(to, column.Descriptor(), column.ReadBatch, func(v float32) string { return strconv.FormatFloat(float64(v), 'g', -1, 32) })
	case *file.Float64ColumnChunkReader:
		return appendBatches(to, column.Descriptor(), column.ReadBatch, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
	}
	return nil, fmt.Errorf("column %s: values of type %s are not supported", column.Descriptor().Path(), column.Type())
}

// appendBatches reads a column through its typed ReadBatch; nulls are "".
func appendBatches[T any](to []string, column *schema.Column, read func(int64, []T, []int16, []int16) (int64, int, error), format func(T) string) ([]string, error) {
	var values [256]T
	var levels [256]int16
	for {
		n, _, err := read(int64(len(values)), values[:], levels[:], nil)
		if err != nil || n == 0 {
			return to, err
		}
		at := 0
		for i := range n {
			v := ""
			if column.MaxDefinitionLevel() == 0 || levels[i] == column.MaxDefinitionLevel() {
				v = format(values[at])
				at++
			}
			to = append(to, v)
		}
	}
}

// wholeText writes a whole number, or the date or time that it stands for.
func wholeText(v int64, logical schema.LogicalType) string {
	switch logical := logical.(type) {
	case schema.DateLogicalType:
		return time.Unix(86400*v, 0).UTC().Format(time.DateOnly)
	case schema.TimestampLogicalType:
		at := time.UnixMilli(v)
		switch logical.TimeUnit() {
		case schema.TimeUnitMicros:
			at = time.UnixMicro(v)
		case schema.TimeUnitNanos:
			at = time.Unix(0, v)
		}
		return at.UTC().Format(time.RFC3339Nano)
	case schema.IntLogicalType:
		if !logical.IsSigned() {
			if logical.BitWidth() == 64 {
				return strconv.FormatUint(uint64(v), 10)
			}
			return strconv.FormatUint(uint64(v)&(1<<logical.BitWidth()-1), 10)
		}
	}
	return strconv.FormatInt(v, 10)
}

// className names a number; −1 is Hugging Face's "no label".
func className(classes []string, number string) string {
	if number == "" || number == "-1" {
		return ""
	}
	if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(classes) && strconv.Itoa(i) == number {
		return classes[i]
	}
	return number
}

// cursor reads the pictures of one row group from front to back.
type cursor struct {
	group  int
	column *file.ByteArrayColumnChunkReader
	next   int64 // row of the group
}

// maxIdle is how many cursors are kept: one for each chunk that is being
// mapped, and some to spare.
const maxIdle = 16

// read returns the bytes of a row, nil if it has none. Rows asked for in
// order are read in order, whoever asks; steps back start the row group anew.
func (f *parquetFile) read(row int64) (picture []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	if row < 0 || row >= f.first[len(f.first)-1] {
		return nil, io.ErrUnexpectedEOF
	}
	group, _ := slices.BinarySearch(f.first, row+1) // the first that begins behind it
	group--
	row -= f.first[group]
	c, err := f.take(group, row)
	if err != nil {
		return nil, err
	}
	var value [1]parquet.ByteArray
	var level [1]int16
	for c.next <= row {
		levels, values, err := c.column.ReadBatch(1, value[:], level[:], nil)
		if err != nil {
			return nil, err
		}
		if levels == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		picture = nil
		if values == 1 && c.next == row {
			picture = append([]byte{}, value[0]...)
		}
		c.next++
	}
	f.put(c)
	return picture, nil
}

// take returns the idle cursor that is nearest before a row, or a new one.
func (f *parquetFile) take(group int, row int64) (*cursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	best := -1
	for i, c := range f.idle {
		if c.group == group && c.next <= row && (best < 0 || c.next > f.idle[best].next) {
			best = i
		}
	}
	if best >= 0 {
		c := f.idle[best]
		f.idle = slices.Delete(f.idle, best, best+1)
		return c, nil
	}
	column, err := f.pq.RowGroup(group).Column(f.image)
	if err != nil {
		return nil, err
	}
	texts, ok := column.(*file.ByteArrayColumnChunkReader)
	if !ok {
		return nil, errors.New("the pictures are not bytes")
	}
	return &cursor{group: group, column: texts}, nil
}

func (f *parquetFile) put(c *cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, c)
	if len(f.idle) > maxIdle {
		f.idle = slices.Delete(f.idle, 0, 1)
	}
}

func (f *parquetFile) Close() error { return f.file.Close() }

// parquetReader reads pictures from any of the files.
type parquetReader struct {
	source Parquet
	files  handle.Set[string, *parquetFile]
}

func (r *parquetReader) Close() error { return r.files.Close() }

func (r *parquetReader) Read(ctx context.Context, at Location) ([]byte, error) {
	if at.Offset == WholeFile {
		return wholeFiles{}.Read(ctx, at)
	}
	if at.Size > maxPicture {
		return nil, ErrTooLarge
	}
	f, done, err := r.files.Use(at.Path, func() (*parquetFile, error) { return r.source.open(at.Path) })
	if err != nil {
		return nil, err
	}
	defer done()
	return f.read(at.Offset)
}
