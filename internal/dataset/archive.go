package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/klauspost/compress/gzip"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/handle"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// expand finds the files that patterns name, sorted. A pattern that names
// none is an error. Braces are spelled out first: {000000..000123} counts,
// {a,b} lists.
func expand(patterns []string) ([]string, error) {
	var out []string
	for _, pattern := range patterns {
		spelled, err := braces(pattern)
		if err != nil {
			return nil, fmt.Errorf("pattern %s: %w", pattern, err)
		}
		var missing []string
		for _, one := range spelled {
			paths, err := filepath.Glob(one)
			if err != nil {
				return nil, fmt.Errorf("pattern %s: %w", pattern, err)
			}
			if len(paths) == 0 {
				if _, err := os.Stat(one); err != nil {
					missing = append(missing, one)
					continue
				}
				paths = []string{one} // a name with a bracket
			}
			out = append(out, paths...)
		}
		if err := absent(pattern, spelled, missing); err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// absent tells which of the files that the braces of a pattern spell out are not there, and which are.
func absent(pattern string, spelled, missing []string) error {
	switch {
	case len(missing) == 0:
		return nil
	case len(spelled) == 1:
		return fmt.Errorf("there is no file %s", spelled[0])
	case len(missing) == len(spelled):
		return fmt.Errorf("there is no file of %s, from %s to %s", pattern, filepath.Base(spelled[0]), filepath.Base(spelled[len(spelled)-1]))
	}
	names := make([]string, len(missing))
	for i, path := range missing {
		names[i] = filepath.Base(path)
	}
	return fmt.Errorf("%d of the %d files of %s are not there: %s", len(missing), len(spelled), pattern, some(names))
}

// shard finds the number of a file among so many in names such as train-00000-of-00005.parquet.
var shard = regexp.MustCompile(`^(.*?)(\d{3,})-of-(\d{3,})(\D.*)?$`)

// incomplete notes sets of files of which, by their names, some are missing.
func incomplete(paths []string) (notes []string) {
	type set struct{ dir, before, of, after string }
	found := map[set][]string{}
	for _, path := range paths {
		dir, name := filepath.Split(path)
		if m := shard.FindStringSubmatch(name); m != nil {
			s := set{dir, m[1], m[3], m[4]}
			found[s] = append(found[s], m[2])
		}
	}
	for s, there := range found {
		of, err := strconv.Atoi(s.of)
		if err != nil || of <= len(there) || of > maxBraces {
			continue
		}
		slices.Sort(there)
		var missing []string
		for i := range of {
			number := fmt.Sprintf("%0*d", len(s.of), i)
			if _, ok := slices.BinarySearch(there, number); !ok {
				missing = append(missing, number)
			}
		}
		notes = append(notes, fmt.Sprintf("%s*-of-%s%s are %d files, of which %d are read; the others: %s", s.before, s.of, s.after, of, len(there), some(missing)))
	}
	slices.Sort(notes)
	return notes
}

// Matches tells with an error that a pattern of archives or tables names no file.
func Matches(pattern string) error {
	_, err := expand([]string{pattern})
	return err
}

// maxBraces bounds the names that the braces of one pattern stand for.
const maxBraces = 100000

// braces spells out the first pair of braces of a pattern, and those behind it. Braces with neither a range nor a
// comma stay as they are, and so does a name with braces that exists.
func braces(pattern string) ([]string, error) {
	open := strings.IndexByte(pattern, '{')
	length := strings.IndexByte(pattern[max(open, 0):], '}')
	if open < 0 || length < 0 {
		return []string{pattern}, nil
	}
	if _, err := os.Stat(pattern); err == nil {
		return []string{pattern}, nil
	}
	inside, rest := pattern[open+1:open+length], pattern[open+length+1:]
	var middle []string
	if from, to, isRange := strings.Cut(inside, ".."); isRange {
		low, err1 := strconv.ParseUint(from, 10, 32)
		high, err2 := strconv.ParseUint(to, 10, 32)
		switch {
		case err1 != nil || err2 != nil || low > high:
			return nil, fmt.Errorf("{%s} is no range of numbers such as {000000..000123}", inside)
		case high-low >= maxBraces:
			return nil, fmt.Errorf("{%s} stands for more than %d names", inside, maxBraces)
		}
		for n := low; n <= high; n++ {
			middle = append(middle, fmt.Sprintf("%0*d", len(from), n))
		}
	} else if strings.Contains(inside, ",") {
		middle = strings.Split(inside, ",")
	} else {
		middle = []string{"{" + inside + "}"}
	}
	ends, err := braces(rest)
	if err != nil {
		return nil, err
	}
	if len(middle)*len(ends) > maxBraces {
		return nil, fmt.Errorf("its braces stand for more than %d names", maxBraces)
	}
	var out []string
	for _, m := range middle {
		for _, end := range ends {
			out = append(out, pattern[:open]+m+end)
		}
	}
	return out, nil
}

// malformed is an error in the content of an archive: what became of it does
// not change until the file does.
type malformed struct{ error }

func (m malformed) Unwrap() error { return m.error }

// blameContent, deferred, makes what goes wrong while a file's content is read malformed, panics of the readers beneath among it.
func blameContent(ctx context.Context, err *error) {
	if r := recover(); r != nil {
		*err = malformed{fmt.Errorf("damaged: %v", r)}
	}
	var onPath *os.PathError
	if *err != nil && ctx.Err() == nil && !errors.As(*err, &onPath) && !errors.As(*err, new(malformed)) {
		*err = malformed{*err}
	}
}

// indexed lists the pictures of archives. The index of each is made by build,
// once for a content, and kept by files under name. Rows keep the order of the
// archive, so that reading them in order is reading it in order; their ids
// start with the archive's name, without its ending. An archive that cannot
// be read is one reject.
func indexed(ctx context.Context, files pipeline.Files, paths []string, name string, build func(path string) (Rows, error)) (Rows, error) {
	var table Table
	stems := stemsOf(paths)
	for i, path := range paths {
		if err := ctx.Err(); err != nil {
			return Rows{}, err
		}
		stem := stems[i]
		raw, err := files.Derived(ctx, path, name, func() ([]byte, error) {
			rows, err := build(path)
			if err != nil {
				return nil, err
			}
			return rows.encode()
		})
		var bad malformed
		var onPath *fs.PathError
		switch {
		case errors.As(err, &bad):
			table.reject(stem, "%v", bad.error)
			continue
		case errors.As(err, &onPath) && !ofProcess(err):
			table.reject(stem, "the file cannot be read: %v", onPath.Err)
			continue
		case err != nil:
			return Rows{}, err
		}
		rows, err := decodeRows(raw)
		if err != nil {
			return Rows{}, fmt.Errorf("index of %s: %w", path, err)
		}
		rows.withoutNaN(path)
		split := splitOfFile(stemOf(path))
		for j := range rows.All {
			row := &rows.All[j]
			row.ID = stem + "/" + row.ID
			switch {
			case row.At.Offset != WholeFile:
				row.At.Path = path
			case !filepath.IsAbs(row.At.Path):
				row.At.Path = filepath.Join(filepath.Dir(path), filepath.FromSlash(row.At.Path))
			}
			if row.Split == "" {
				row.Split = split
			}
		}
		for j := range rows.Rejects {
			rows.Rejects[j].ID = stem + "/" + rows.Rejects[j].ID
		}
		if err := rows.unique(); err != nil {
			return Rows{}, fmt.Errorf("%s: %w", path, err)
		}
		table.append(i, rows)
	}
	table.Notes = append(table.Notes, incomplete(paths)...)
	return table.Rows, nil
}

// stemsOf are the names of files that ids start with: without folders, but for those of one name in several folders, which
// have as many of their folders before them as tell them apart.
func stemsOf(paths []string) []string {
	stems, folders := make([]string, len(paths)), slices.Clone(paths)
	for i, path := range paths {
		stems[i] = stemOf(path)
	}
	for range 16 {
		count := map[string]int{}
		for _, stem := range stems {
			count[stem]++
		}
		unique := true
		for i := range paths {
			folders[i] = filepath.Dir(folders[i])
			if name := filepath.Base(folders[i]); count[stems[i]] > 1 && name != "." && name != string(filepath.Separator) {
				stems[i], unique = text(name)+"/"+stems[i], false
			}
		}
		if unique {
			break
		}
	}
	return stems
}

// stemOf is the name of a file without its endings of one word.
func stemOf(path string) string {
	base := filepath.Base(path)
	for _, ending := range []string{".gz", ".tgz", ".tar", ".parquet"} {
		base = strings.TrimSuffix(base, ending)
	}
	return text(base)
}

// splitOfFile reads the split from names such as train-00000-of-00002, as the
// Hugging Face hub does, and from MNIST's t10k.
func splitOfFile(stem string) string {
	word := strings.FieldsFunc(stem, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	if len(word) == 0 {
		return ""
	}
	if word[0] == "t10k" {
		return record.Test
	}
	split, _ := splitNamed(word[0])
	return split
}

// The keys of an index's metadata.
const (
	rejectsKey = "tlpipe.rejects"
	notesKey   = "tlpipe.notes"
)

// indexColumns is how many columns an index has before those of Rows.Extra.
const indexColumns = 8

// encode writes an index as an Arrow file: the rows, whose paths are those of files beside the archive.
func (r Rows) encode() ([]byte, error) {
	rejects, err := json.Marshal(r.Rejects)
	if err != nil {
		return nil, err
	}
	notes, err := json.Marshal(r.Notes)
	if err != nil {
		return nil, err
	}
	fields := []arrow.Field{
		textField(record.ID), textField(Digest), textField(record.Label), textField(record.Split), textField(record.Domain), textField("file"),
		{Name: "offset", Type: arrow.PrimitiveTypes.Int64}, {Name: "size", Type: arrow.PrimitiveTypes.Int64},
	}
	for _, name := range r.Extra {
		fields = append(fields, textField(name))
	}
	meta := arrow.NewMetadata([]string{notesKey, rejectsKey}, []string{string(notes), string(rejects)})
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, &meta))
	defer b.Release()
	for _, row := range r.All {
		for i, v := range []string{row.ID, row.Digest, row.Label, row.Split, row.Domain, row.At.Path} {
			appendText(b.Field(i), v)
		}
		b.Field(6).(*array.Int64Builder).Append(row.At.Offset)
		b.Field(7).(*array.Int64Builder).Append(row.At.Size)
		for i, v := range row.Extra {
			appendText(b.Field(indexColumns+i), v)
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	return record.Encode(rec)
}

func textField(name string) arrow.Field {
	return arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true}
}

// appendText appends a text, null if it is empty.
func appendText(b array.Builder, v string) {
	if v == "" {
		b.AppendNull()
		return
	}
	b.(*array.StringBuilder).Append(v)
}

// decodeRows reads what encode wrote.
func decodeRows(raw []byte) (rows Rows, err error) {
	for rec, err := range record.Decode(raw) {
		if err != nil {
			return rows, err
		}
		meta := rec.Schema().Metadata().ToMap()
		if err := json.Unmarshal([]byte(meta[rejectsKey]), &rows.Rejects); err != nil {
			return rows, err
		}
		if err := json.Unmarshal([]byte(meta[notesKey]), &rows.Notes); err != nil {
			return rows, err
		}
		for _, f := range rec.Schema().Fields()[indexColumns:] {
			rows.Extra = append(rows.Extra, f.Name)
		}
		columns := make([]*array.String, rec.NumCols())
		for i := range columns {
			columns[i], _ = rec.Column(i).(*array.String)
		}
		offsets, ok1 := rec.Column(6).(*array.Int64)
		sizes, ok2 := rec.Column(7).(*array.Int64)
		if !ok1 || !ok2 {
			return rows, errors.New("columns are of other types")
		}
		value := func(column, i int) string {
			if columns[column].IsNull(i) {
				return ""
			}
			return strings.Clone(columns[column].Value(i))
		}
		for i := range int(rec.NumRows()) {
			row := Row{
				ID: value(0, i), Digest: value(1, i), Label: value(2, i), Split: value(3, i), Domain: value(4, i),
				At: Location{Path: value(5, i), Offset: offsets.Value(i), Size: sizes.Value(i)},
			}
			for c := indexColumns; c < len(columns); c++ {
				row.Extra = append(row.Extra, value(c, i))
			}
			rows.All = append(rows.All, row)
		}
	}
	return rows, nil
}

// archives reads from files at any offset, unpacked if they are gzipped: to a
// temporary file, when they are first read. It may be used from several
// goroutines at once.
type archives struct {
	limits Limits
	open   handle.Set[string, *archive]
}

// mostOpen is how many files a reader keeps open at once: a data set may be of more files than a process
// may have open.
const mostOpen = 32

func newArchives(limits Limits) *archives {
	return &archives{limits: limits, open: handle.Set[string, *archive]{Most: mostOpen}}
}

// Close closes the files and removes the temporary ones.
func (a *archives) Close() error { return a.open.Close() }

// at returns the file, opened and unpacked; done ends its use.
func (a *archives) at(ctx context.Context, path string) (f *archive, done func(), err error) {
	return a.open.Use(path, func() (*archive, error) { return openArchive(ctx, path, a.limits) })
}

// archive is an archive that can be read at any offset.
type archive struct {
	*os.File
	temporary bool // it has a name that must be removed
}

// Close closes the file and removes it if it is a temporary one.
func (f *archive) Close() error {
	err := f.File.Close()
	if f.temporary {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

func openArchive(ctx context.Context, path string, limits Limits) (_ *archive, err error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	packed, err := isGzip(f)
	if err == nil && !packed {
		return &archive{File: f}, nil
	}
	defer f.Close() // only read
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	in := limits.budget(info.Size()).Reader(budget.Unpacked, unzipped)
	o := &archive{}
	if o.File, err = os.CreateTemp("", "tlpipe-unpacked-*"); err != nil {
		return nil, err
	}
	// Where the system can, the file has no name from here on: a process that is killed leaves nothing behind.
	o.temporary = os.Remove(o.Name()) != nil
	// An archive that is damaged behind what was listed can be read up to
	// there; what is read is held against its digest in any case.
	damaged := error(nil)
	_, err = io.Copy(o.File, readerFunc(func(p []byte) (n int, err error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if n, err = in.Read(p); err != nil && !errors.Is(err, io.EOF) && !budget.Exceeded(err) {
			damaged = err
		}
		return n, err
	}))
	if err != nil && damaged == nil {
		return nil, errors.Join(fmt.Errorf("unpack into the folder of temporary files %s: %w", filepath.Dir(o.Name()), err), o.Close())
	}
	return o, nil
}

// withContext is a reader that ends with its context.
func withContext(ctx context.Context, in io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return in.Read(p)
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// isGzip looks at the first two bytes, and rewinds.
func isGzip(f io.ReadSeeker) (bool, error) {
	var magic [2]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return n == 2 && magic == [2]byte{0x1F, 0x8B}, err
}

// read reads a part of an archive.
func (a *archives) read(ctx context.Context, at Location) ([]byte, error) {
	if at.Size < 0 || at.Size > maxPicture {
		return nil, ErrTooLarge
	}
	f, done, err := a.at(ctx, at.Path)
	if err != nil {
		return nil, err
	}
	defer done()
	data := make([]byte, at.Size)
	if _, err := f.ReadAt(data, at.Offset); err != nil {
		return nil, err
	}
	return data, nil
}

// unpacked streams a file, unpacked if it is gzipped, within a budget.
type unpacked struct {
	file   *os.File
	budget *budget.Budget
	io.Reader
}

func openUnpacked(path string, limits Limits) (*unpacked, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	packed, err := isGzip(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	u := &unpacked{file: f, Reader: f, budget: limits.budget(info.Size())}
	if packed {
		in, err := gzip.NewReader(f)
		if err != nil {
			return nil, errors.Join(malformed{err}, f.Close())
		}
		u.Reader = u.budget.Reader(budget.Unpacked, in)
	}
	return u, nil
}

func (u *unpacked) Close() error { return u.file.Close() }
