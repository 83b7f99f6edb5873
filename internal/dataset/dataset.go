package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sourcegraph/conc/pool"
	"golang.org/x/text/unicode/norm"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Source is one place where rows come from.
type Source interface {
	// List enumerates the rows, in an order that does not change while the
	// source does not. Rows that are whole files have no digest yet.
	List(ctx context.Context, files pipeline.Files) (Rows, error)
	// Open prepares reading. It must be quick: files are opened when they are
	// first read.
	Open() (Reader, error)
}

// Reader reads pictures by their location. It may be used from several
// goroutines at once.
type Reader interface {
	Read(ctx context.Context, at Location) ([]byte, error)
	Close() error
}

// Row is one picture before it is read. Empty texts mean unknown.
type Row struct {
	ID     string   // unique in the data set
	Digest string   // hexadecimal SHA-256 of the picture's bytes
	Label  string   // the class
	Split  string   // one of record's values of split
	Domain string   // where it comes from: a style, a camera, a site
	Extra  []string // further columns, in the order of Rows.Extra
	Form   string   // if not empty: how the bytes are read, where that decides what is made of them
	At     Location
}

// Location is where a picture is found.
type Location struct {
	Path   string // the file: the picture itself, or an archive
	Offset int64  // in an archive: where it starts (Parquet: the row); WholeFile else
	Size   int64  // bytes, in an archive
}

// WholeFile is the offset of a picture that is a file.
const WholeFile = -1

// Rows is what a source lists.
type Rows struct {
	Extra   []string // names of further columns
	All     []Row
	Rejects []pipeline.Reject
	Notes   []string // lines for people: what was passed over and why

	EmptyClasses []string // classes that the source has and no row is of
}

func (r *Rows) reject(id, format string, args ...any) {
	r.Rejects = append(r.Rejects, pipeline.Reject{ID: id, Reason: fmt.Sprintf(format, args...)})
}

// Part is a source and what the pipeline says of it.
type Part struct {
	Source Source
	Domain string              // if not empty: the domain of all its rows, and a prefix of their ids
	Label  string              // if not empty: the label of all its rows
	Split  string              // if not empty: the split of all its rows
	Only   map[string][]string // column → the values of the rows to keep
	Limit  int                 // if above 0: so many rows, drawn by a hash of the id
	Look   string              // if not empty: what is done to the pixels of its pictures, as far as it decides them
}

// Table is the rows of all parts.
type Table struct {
	Rows
	Content  Content // what the rows are
	Prepared string  // if not empty: what is known of all rows together and decides what is made of each

	part   []int32   // of each row
	looks  []string  // of each part
	target *targeted // nil: the label is
}

// Content is what a row is.
type Content int

// The contents there are.
const (
	Pictures Content = iota
	Texts
	Sounds
)

// one and Many name rows for people.
func (c Content) one() string { return strings.TrimSuffix(c.Many(), "s") }

// Many is the plural of what a row is.
func (c Content) Many() string {
	switch c {
	case Texts:
		return "texts"
	case Sounds:
		return "sounds"
	}
	return "pictures"
}

// Part tells which part a row is of.
func (t *Table) Part(row int) int { return int(t.part[row]) }

// List lists the rows of all parts, one part after another, with digests.
// Ids must be unique over all parts. threads is how many files are digested
// at once.
func List(ctx context.Context, files pipeline.Files, threads int, parts []Part) (*Table, error) {
	table := &Table{}
	for i, part := range parts {
		rows, err := part.list(ctx, files, threads)
		if err != nil {
			return nil, err
		}
		table.append(i, rows)
		table.looks = append(table.looks, part.Look)
	}
	return table, table.checkIDs(parts)
}

// list lists one part: enumerated, narrowed, then digested, so that nothing
// is read in vain.
func (p Part) list(ctx context.Context, files pipeline.Files, threads int) (Rows, error) {
	rows, err := p.Source.List(ctx, files)
	if err != nil {
		return rows, err
	}
	for i := range rows.All {
		row := &rows.All[i]
		if p.Domain != "" {
			row.ID, row.Domain = p.Domain+"/"+row.ID, p.Domain
		}
		if p.Label != "" {
			row.Label = p.Label
		}
		if p.Split != "" {
			row.Split = p.Split
		}
	}
	rows.normaliseLabels()
	if p.Domain != "" {
		for i := range rows.Rejects {
			rows.Rejects[i].ID = p.Domain + "/" + rows.Rejects[i].ID
		}
	}
	for _, column := range slices.Sorted(maps.Keys(p.Only)) {
		if err := rows.keep(column, p.Only[column]); err != nil {
			return rows, err
		}
	}
	rows.limit(p.Limit)
	return rows, rows.digest(ctx, files, threads)
}

// normaliseLabels spells labels in Unicode's normal form C, so that the two ways to write "é", which look alike, are one
// class.
func (r *Rows) normaliseLabels() {
	spellings := map[string]string{} // of the normal form
	noted := map[string]bool{}
	for i := range r.All {
		row := &r.All[i]
		label := norm.NFC.String(row.Label)
		if before, ok := spellings[label]; !ok {
			spellings[label] = row.Label
		} else if before != row.Label && !noted[label] {
			noted[label] = true
			r.Notes = append(r.Notes, fmt.Sprintf("the label %q is spelled with different Unicode characters in several rows: one class", label))
		}
		row.Label = label
	}
}

// keep drops the rows whose value of a column is not one of values.
func (r *Rows) keep(column string, values []string) error {
	of, err := r.column(column)
	if err != nil {
		return err
	}
	found := map[string]bool{}
	for _, row := range r.All {
		found[of(row)] = true
	}
	known := slices.Sorted(maps.Keys(found))
	for _, value := range values {
		if !found[value] && len(r.All) > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("only: no row has %s %q; the source has %s", column, value, someOf(known)))
		}
	}
	r.All = slices.DeleteFunc(r.All, func(row Row) bool { return !slices.Contains(values, of(row)) })
	return nil
}

// someOf lists the first few values of a column.
func someOf(values []string) string {
	const most = 8
	if len(values) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(values[:most], ", "), len(values)-most)
	}
	return strings.Join(values, ", ")
}

// column returns a function that gives the value of a named column.
func (r *Rows) column(name string) (func(Row) string, error) {
	switch name {
	case record.ID:
		return func(row Row) string { return row.ID }, nil
	case record.Label:
		return func(row Row) string { return row.Label }, nil
	case record.Split:
		return func(row Row) string { return row.Split }, nil
	case record.Domain:
		return func(row Row) string { return row.Domain }, nil
	case Digest:
		return func(row Row) string { return row.Digest }, nil
	}
	if at := slices.Index(r.Extra, name); at >= 0 {
		return func(row Row) string { return row.Extra[at] }, nil
	}
	known := append([]string{record.ID, record.Label, record.Split, record.Domain}, r.Extra...)
	return nil, fmt.Errorf("there is no column %q; columns: %s", name, strings.Join(known, ", "))
}

// Column returns a function that gives the value of a named column of a row:
// id, label, split, domain, digest or one of Extra.
func (t *Table) Column(name string) (func(Row) string, error) { return t.column(name) }

// limit keeps n rows: those whose ids hash lowest, so that a few rows more in
// the source change a few in the draw. They stay in order.
func (r *Rows) limit(n int) {
	if n <= 0 || n >= len(r.All) {
		return
	}
	draws := make([]float64, len(r.All))
	for i, row := range r.All {
		draws[i] = Uniform("limit", row.ID)
	}
	sorted := slices.Clone(draws)
	slices.Sort(sorted)
	last, kept := sorted[n-1], 0
	all := r.All[:0]
	for i, row := range r.All {
		if draws[i] <= last && kept < n {
			all = append(all, row)
			kept++
		}
	}
	clear(r.All[len(all):])
	r.All = all
}

// Uniform draws a number in [0, 1) that depends on salt and text alone.
func Uniform(salt, text string) float64 {
	hash := sha256.New()
	var frame []byte
	for _, s := range []string{salt, text} {
		frame = binary.AppendUvarint(frame[:0], uint64(len(s)))
		hash.Write(frame)
		hash.Write([]byte(s))
	}
	var sum [sha256.Size]byte
	return float64(binary.BigEndian.Uint64(hash.Sum(sum[:0]))>>11) / (1 << 53)
}

// digest fills in the digests of rows that are whole files. Files that cannot
// be read become rejects.
func (r *Rows) digest(ctx context.Context, files pipeline.Files, threads int) error {
	reasons := make([]string, len(r.All))
	work := pool.New().WithMaxGoroutines(max(1, threads)).WithContext(ctx).WithCancelOnError().WithFirstError()
	var next atomic.Int64
	for range max(1, threads) {
		work.Go(func(ctx context.Context) error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(r.All) {
					return nil
				}
				row := &r.All[i]
				if row.Digest != "" {
					continue
				}
				digest, err := files.Digest(ctx, row.At.Path)
				var onPath *fs.PathError
				switch {
				case err == nil && digest == emptyDigest:
					reasons[i] = "the file is empty"
				case err == nil:
					row.Digest = digest
				case errors.As(err, &onPath) && !ofProcess(err) && ctx.Err() == nil:
					reasons[i] = "the file cannot be read: " + onPath.Err.Error()
				default:
					return err
				}
			}
			return ctx.Err()
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	all := r.All[:0]
	for i, row := range r.All {
		if reasons[i] != "" {
			r.reject(row.ID, "%s", reasons[i])
			continue
		}
		all = append(all, row)
	}
	clear(r.All[len(all):])
	r.All = all
	return nil
}

// emptyDigest is the SHA-256 of nothing.
const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// append adds the rows of a part, and its further columns to those there are.
func (t *Table) append(part int, rows Rows) {
	place := make([]int, len(rows.Extra))
	known := make(map[string]int, len(t.Extra))
	for i, name := range t.Extra {
		known[name] = i
	}
	for i, name := range rows.Extra {
		at, ok := known[name]
		if !ok {
			at = len(t.Extra)
			t.Extra, known[name] = append(t.Extra, name), at
		}
		place[i] = at
	}
	same := true
	for i, p := range place {
		same = same && i == p
	}
	if !same {
		for j := range rows.All {
			extra := make([]string, len(t.Extra))
			for i, v := range rows.All[j].Extra {
				extra[place[i]] = v
			}
			rows.All[j].Extra = extra
		}
	}
	if len(t.All) == 0 {
		t.All = rows.All // the first part is often the only one, and large
	} else {
		t.All = append(t.All, rows.All...)
	}
	t.part = append(t.part, slices.Repeat([]int32{int32(part)}, len(rows.All))...)
	// Rows of earlier parts lack the columns that came later.
	for i := range t.All {
		if missing := len(t.Extra) - len(t.All[i].Extra); missing > 0 {
			t.All[i].Extra = append(slices.Clip(t.All[i].Extra), make([]string, missing)...)
		}
	}
	t.Rejects = append(t.Rejects, rows.Rejects...)
	t.Notes = append(t.Notes, rows.Notes...)
	t.EmptyClasses = append(t.EmptyClasses, rows.EmptyClasses...)
}

// checkIDs refuses ids that occur in two parts. Within one, sources see to it.
func (t *Table) checkIDs(parts []Part) error {
	if len(parts) < 2 {
		return nil
	}
	seen := make(map[string]int32, len(t.All))
	for i, row := range t.All {
		if first, ok := seen[row.ID]; ok && first != t.part[i] {
			return fmt.Errorf("the id %q occurs in sources %d and %d; give each a domain, which becomes part of its ids", row.ID, first+1, t.part[i]+1)
		}
		seen[row.ID] = t.part[i]
	}
	return nil
}

const notUnique = "another row has the same id"

// unique rejects rows that are there a second time. Two different rows with one id are an error.
func (r *Rows) unique() error {
	seen := make(map[string]int, len(r.All))
	kept := r.All[:0]
	for _, row := range r.All {
		at, again := seen[row.ID]
		switch {
		case !again:
			seen[row.ID] = len(kept)
			kept = append(kept, row)
		case kept[at].Digest == row.Digest && kept[at].Label == row.Label && kept[at].Split == row.Split:
			r.reject(row.ID, notUnique)
		default:
			return fmt.Errorf("two different rows have the id %q", row.ID)
		}
	}
	clear(r.All[len(kept):])
	r.All = kept
	return nil
}

// sortByID sorts the rows, and rejects those whose id was there before.
func (r *Rows) sortByID() {
	slices.SortStableFunc(r.All, func(a, b Row) int { return cmp.Compare(a.ID, b.ID) })
	first := true
	before := ""
	r.All = slices.DeleteFunc(r.All, func(row Row) bool {
		again := !first && row.ID == before
		first, before = false, row.ID
		if again {
			r.reject(row.ID, notUnique)
		}
		return again
	})
}

// splits maps the names that people give to splits.
func splitNamed(name string) (split string, ok bool) {
	switch strings.ToLower(name) {
	case "train", "training":
		return record.Train, true
	case "val", "valid", "validation", "dev":
		return record.Validation, true
	case "test", "testing":
		return record.Test, true
	}
	return "", false
}

// extraName is the name under which a further column is kept. One that a
// table of images has, with another meaning, is kept with a "_" behind.
func (r *Rows) extraName(name string, all []string) string {
	kept := name
	for reserved(kept) || kept != name && slices.Contains(all, kept) {
		kept += "_"
	}
	if kept != name {
		r.Notes = append(r.Notes, fmt.Sprintf("the column %q is kept as %q", name, kept))
	}
	return kept
}

// reserved tells whether tables of images, features or predictions have a
// column of that name.
func reserved(name string) bool {
	switch name {
	case record.ID, record.Image, record.Feature, record.Label, record.Split, record.Domain, record.Copy, record.Likeness, record.PictureWidth, record.PictureHeight,
		record.Predicted, record.Probabilities, record.Reason, Digest:
		return true
	}
	return false
}

// Digest is the name by which Column knows the digests.
const Digest = "digest"

// maxPicture bounds the size of one picture's file: more is no picture, or
// not one that fits into memory.
const maxPicture = math.MaxInt32 / 4
