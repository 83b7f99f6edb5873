package dataset

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Tar is a WebDataset: tar archives, plain or gzipped, in which consecutive
// files of one name up to the first dot are one sample: 000123.jpg with
// 000123.cls (the label), 000123.txt (the caption) and 000123.json (label,
// split, domain, caption and any further values). A picture whose ending is
// exact (.jpg) goes before one with a longer ending (.depth.png), which is not
// used. Where no file of a name has an exact ending, the ending begins at the
// last dot: 1.2.840.7.jpg and 1.2.840.7.cls are the sample 1.2.840.7. Two
// files of one name are an error. The id is the archive's name and the
// sample's. In archives without any label, folders are classes.
//
// A gzipped archive is unpacked to a temporary file while pictures are read.
type Tar struct {
	Patterns []string // files, or patterns as of a shell
	Classes  []string // names of numeric labels, counted from 0; nil: the numbers are the names
	Limits   Limits
}

// Open implements Source.
func (t Tar) Open() (Reader, error) { return &tarReader{newArchives(t.Limits)}, nil }

type tarReader struct{ *archives }

func (t *tarReader) Read(ctx context.Context, at Location) ([]byte, error) { return t.read(ctx, at) }

// List implements Source.
func (t Tar) List(ctx context.Context, files pipeline.Files) (Rows, error) {
	paths, err := expand(t.Patterns)
	if err != nil {
		return Rows{}, err
	}
	rows, err := indexed(ctx, files, paths, "rows of a tar archive, 4", func(path string) (Rows, error) {
		f, err := openUnpacked(path, t.Limits)
		if err != nil {
			return Rows{}, err
		}
		rows, err := readTar(ctx, path, f, f.budget)
		return rows, errors.Join(err, f.Close())
	})
	if err == nil {
		rows.labelByFolder()
		rows.nameClasses(t.Classes)
	}
	return rows, err
}

// nameClasses gives labels that are numbers their names.
func (r *Rows) nameClasses(classes []string) {
	if len(classes) == 0 {
		return
	}
	names := make(map[string]string, len(classes))
	for i, name := range classes {
		names[fmt.Sprint(i)] = name
	}
	r.All = slices.DeleteFunc(r.All, func(row Row) bool {
		if row.Label == "" {
			return false
		}
		if _, ok := names[row.Label]; !ok {
			r.reject(row.ID, "label %s, but %d classes are named", row.Label, len(classes))
			return true
		}
		return false
	})
	for i := range r.All {
		r.All[i].Label = names[r.All[i].Label]
	}
}

// maxSidecar bounds files beside a picture: labels, captions, JSON.
const maxSidecar = 16 << 20

// readTar makes the index of an archive, whose path is for people.
func readTar(ctx context.Context, archive string, from io.Reader, b *budget.Budget) (Rows, error) {
	counted := &counter{r: bufio.NewReaderSize(withContext(ctx, from), 1<<16)}
	in := tar.NewReader(counted)
	index := tarIndex{name: archive, unused: map[string]int{}, budget: b}
	contentEnd := int64(0) // of the file before, with its padding
	for {
		if err := ctx.Err(); err != nil {
			return index.rows, err
		}
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			if counted.n < contentEnd+blockSize { // not even one of the two blocks of zeros that end an archive
				index.damaged("the archive has no end mark, so it may have been cut: its last sample is left out")
			}
			break
		}
		if ctx.Err() != nil {
			return index.rows, ctx.Err()
		}
		if budget.Exceeded(err) {
			return index.rows, malformed{err}
		}
		if err != nil {
			if len(index.rows.All) == 0 && len(index.group) == 0 {
				return index.rows, malformed{fmt.Errorf("not a tar archive: %w", err)}
			}
			index.damaged(fmt.Sprintf("the archive is damaged after %d samples: %v", len(index.rows.All), err))
			break
		}
		contentEnd = counted.n + (head.Size+blockSize-1)/blockSize*blockSize
		if head.Typeflag != tar.TypeReg && head.Typeflag != tar.TypeGNUSparse {
			continue
		}
		name := path.Clean(head.Name)
		dir, base := path.Split(name)
		if hidden(base) || strings.HasPrefix(dir, "__MACOSX/") {
			continue
		}
		if sparse(head) {
			index.rows.reject(text(name), "a sparse file, whose holes are not read")
			continue
		}
		stem, ending, _ := strings.Cut(base, ".")
		if err := index.enter(text(dir + stem)); err != nil {
			return index.rows, err
		}
		m, err := readMember(in, name, ending, head.Size, counted.n)
		if err == nil {
			err = b.Take(budget.Memory, int64(len(m.name)+len(m.data))+rowCost)
		}
		if ctx.Err() != nil {
			return index.rows, ctx.Err()
		}
		if budget.Exceeded(err) {
			return index.rows, malformed{err}
		}
		if err != nil {
			index.damaged(fmt.Sprintf("the archive is damaged after %d samples: %v", len(index.rows.All), err))
			break
		}
		index.group = append(index.group, m)
	}
	if err := index.finish(); err != nil {
		return index.rows, err
	}
	index.rows.spread(index.extras)
	return index.rows, nil
}

// sparse tells whether a member is stored without its holes, so that its size is not that of its bytes in the archive.
func sparse(head *tar.Header) bool {
	if head.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for name := range head.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// blockSize is the unit of a tar archive, in bytes.
const blockSize = 512

// member is a file of an archive that a sample may use.
type member struct {
	name   string // as in the archive
	ending string // what follows the first dot of its base name, in lower case: "jpg", "depth.png"
	at     Location
	digest string // of a picture
	data   []byte // of a sidecar
	wrong  string // why it cannot be used
}

// last is the part of the ending behind its last dot.
func (m member) last() string { return m.ending[strings.LastIndexByte(m.ending, '.')+1:] }

// exact tells whether the ending is of one word.
func (m member) exact() bool { return !strings.Contains(m.ending, ".") }

func (m member) isPicture() bool { return NamedAsPicture("x." + m.last()) }

func (m member) isSidecar() bool {
	return m.last() == "cls" || m.last() == "txt" || m.last() == "json"
}

// readMember reads what is needed of a file: the digest of a picture, the content of a sidecar. An error is one
// of the archive.
func readMember(in io.Reader, name, ending string, size, offset int64) (member, error) {
	m := member{name: name, ending: strings.ToLower(ending), at: Location{Offset: offset, Size: size}}
	switch {
	case m.isPicture() && size > maxPicture:
		m.wrong = ErrTooLarge.Error()
	case m.isPicture():
		hash := sha256.New()
		if _, err := io.Copy(hash, in); err != nil {
			return m, err
		}
		if m.digest = hex.EncodeToString(hash.Sum(nil)); m.digest == emptyDigest {
			m.wrong = "the file is empty"
		}
	case m.isSidecar() && size > maxSidecar:
		m.wrong = fmt.Sprintf("its .%s file has %d bytes", m.ending, size)
	case m.isSidecar():
		var err error
		if m.data, err = io.ReadAll(in); err != nil {
			return m, err
		}
	}
	return m, nil
}

// tarIndex makes samples of the files of an archive.
type tarIndex struct {
	name   string // of the archive, for people
	rows   Rows
	budget *budget.Budget
	extras []map[string]string // of each row, from JSON and text
	key    string              // of the group of files that is being read: their common name up to the first dot
	group  []member
	unused map[string]int // pictures beside a sample's own, by their ending
}

// maxGroup is how many files of one name up to the first dot are held at once.
const maxGroup = 10000

// enter begins another group, unless the key is that of the group under way.
func (x *tarIndex) enter(key string) error {
	if key != x.key {
		if err := x.close(); err != nil {
			return err
		}
		x.key = key
	}
	if len(x.group) >= maxGroup { // names such as 1.2.840.113619.7.jpg
		return x.close()
	}
	return nil
}

// damaged leaves out the group under way, of which files may be missing.
func (x *tarIndex) damaged(reason string) {
	x.group = nil
	x.rows.reject(cmp.Or(x.key, "…"), "%s", reason)
	x.rows.Notes = append(x.rows.Notes, fmt.Sprintf("%s is cut or damaged: %d samples were read before that, and what follows is missing; get the archive again", x.name, len(x.rows.All)))
}

// finish ends the index.
func (x *tarIndex) finish() error {
	if err := x.close(); err != nil {
		return err
	}
	for _, ending := range slices.Sorted(maps.Keys(x.unused)) {
		x.rows.Notes = append(x.rows.Notes, fmt.Sprintf("%d .%s files beside the pictures of their samples are not used", x.unused[ending], ending))
	}
	return nil
}

// close makes samples of the group. As WebDataset has it, its files are one sample if some of them have nothing but a
// known ending behind the first dot. If none has, the names have dots of their own, and the ending begins at the last.
func (x *tarIndex) close() error {
	group := x.group
	x.group = nil
	known := func(m member) bool { return m.isPicture() || m.isSidecar() }
	if slices.ContainsFunc(group, func(m member) bool { return m.exact() && known(m) }) {
		return x.sample(x.key, group)
	}
	var order []string
	samples := map[string][]member{}
	for _, m := range group {
		if !known(m) {
			continue
		}
		key := x.key
		if dot := strings.LastIndexByte(m.ending, '.'); dot >= 0 {
			key = text(strings.TrimSuffix(m.name, m.name[len(m.name)-len(m.last())-1:]))
		}
		if samples[key] == nil {
			order = append(order, key)
		}
		m.ending = m.last()
		samples[key] = append(samples[key], m)
	}
	for _, key := range order {
		if err := x.sample(key, samples[key]); err != nil {
			return err
		}
	}
	return nil
}

// sample makes a row of the files of one sample.
func (x *tarIndex) sample(key string, files []member) error {
	seen := map[string]bool{}
	var picture *member
	for i, m := range files {
		if seen[m.ending] && (m.isPicture() || m.isSidecar()) {
			return fmt.Errorf("two files of the archive are named %s: which belongs to which sample cannot be told", m.name)
		}
		seen[m.ending] = true
		if m.isPicture() && m.exact() && picture == nil {
			picture = &files[i]
		}
	}
	if picture == nil {
		var names []string
		for i, m := range files {
			if m.isPicture() {
				picture = &files[i]
				names = append(names, path.Base(m.name))
			}
		}
		switch {
		case len(names) > 1:
			x.rows.reject(key, "which of its pictures is meant cannot be told: %s", strings.Join(names, ", "))
			return nil
		case picture == nil:
			x.rows.reject(key, "there is no picture in the sample")
			return nil
		}
	}
	row := Row{ID: key, Digest: picture.digest, At: picture.at}
	wrong := picture.wrong
	values := map[string]string{}
	for _, m := range files {
		switch {
		case m.isPicture() && m.name != picture.name:
			x.unused[m.ending]++
		case m.isSidecar() && m.exact() && wrong == "":
			if wrong = m.wrong; wrong == "" {
				wrong = m.read(&row, values)
			}
		}
	}
	if wrong != "" {
		x.rows.reject(key, "%s", wrong)
		return nil
	}
	for name, to := range map[string]*string{record.Label: &row.Label, record.Split: &row.Split, record.Domain: &row.Domain} {
		if v, ok := values[name]; ok && *to == "" {
			*to = v
		}
		delete(values, name)
	}
	if split := row.Split; split != "" {
		var known bool
		if row.Split, known = splitNamed(split); !known {
			x.rows.reject(key, "split %q is not train, val or test", split)
			return nil
		}
	}
	if err := takeRow(x.budget, 0); err != nil {
		return malformed{err}
	}
	x.rows.All = append(x.rows.All, row)
	x.extras = append(x.extras, values)
	return nil
}

// read takes what a sidecar says of its sample, and returns what is wrong with it.
func (m member) read(row *Row, values map[string]string) string {
	switch m.ending {
	case "cls":
		row.Label = text(strings.TrimSpace(string(m.data)))
	case "txt":
		values[record.Caption] = text(strings.TrimSpace(string(m.data)))
	case "json":
		found, err := scalars(m.data)
		if err != nil {
			return "its .json file is malformed: " + err.Error()
		}
		for name, v := range found {
			if _, have := values[name]; !have || name != record.Caption {
				values[name] = v
			}
		}
	}
	return ""
}

// labelByFolder gives rows of archives without labels those of their folders, as of a folder of pictures: cat/1.jpg, or
// train/cat/1.jpg. Folders that all rows lie in are no classes.
func (r *Rows) labelByFolder() {
	if slices.ContainsFunc(r.All, func(row Row) bool { return row.Label != "" }) {
		return
	}
	folders := make([][]string, len(r.All))
	for i, row := range r.All {
		if parts := strings.Split(row.ID, "/"); len(parts) > 2 { // the archive's name, folders, the sample's name
			folders[i] = parts[1 : len(parts)-1]
		}
	}
	common := func() bool {
		for _, f := range folders {
			if len(f) < 2 || f[0] != folders[0][0] {
				return false
			}
		}
		return len(folders) > 0
	}
	for common() {
		for i := range folders {
			folders[i] = folders[i][1:]
		}
	}
	splits := len(folders) > 0
	for _, f := range folders {
		_, named := splitNamed(first(f))
		splits = splits && named && len(f) > 1
	}
	labels := map[string]bool{}
	for i, f := range folders {
		if splits && r.All[i].Split == "" {
			r.All[i].Split, _ = splitNamed(f[0])
		}
		if splits {
			folders[i] = f[1:]
		}
		labels[first(folders[i])] = true
	}
	if len(labels) < 2 {
		return
	}
	for i := range r.All {
		r.All[i].Label = first(folders[i])
	}
	r.Notes = append(r.Notes, fmt.Sprintf("the archives hold no labels: the %d folders in them are taken as classes", len(labels)))
}

func first(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return parts[0]
}

// scalars reads the texts, numbers and truth values of a JSON object.
func scalars(data []byte) (map[string]string, error) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, v := range object {
		switch v := v.(type) {
		case string:
			out[text(name)] = text(v)
		case json.Number:
			out[text(name)] = v.String()
		case bool:
			out[text(name)] = fmt.Sprint(v)
		}
	}
	return out, nil
}

// maxExtra bounds the further columns that free-form JSON can give.
const maxExtra = 100

// spread makes columns of the further values of each row.
func (r *Rows) spread(values []map[string]string) {
	all := map[string]bool{}
	for _, v := range values {
		for name := range v {
			all[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(all))
	if len(names) > maxExtra {
		r.Notes = append(r.Notes, fmt.Sprintf("of %d further columns, %d are kept", len(names), maxExtra))
		names = names[:maxExtra]
	}
	for _, name := range names {
		r.Extra = append(r.Extra, r.extraName(name, names))
	}
	for i := range r.All {
		r.All[i].Extra = make([]string, len(names))
		for j, name := range names {
			r.All[i].Extra[j] = values[i][name]
		}
	}
}

// counter counts the bytes read, so that the offset of a file in an archive
// is known.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
