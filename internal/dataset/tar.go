package dataset

import (
	"archive/tar"
	"bufio"
	"bytes"
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

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Tar is a WebDataset: tar archives, plain or gzipped, in which consecutive
// files of one name and different endings are one sample: 000123.jpg with
// 000123.cls (the label), 000123.txt (the caption) and 000123.json (label,
// split, domain, caption and any further values). The id is the archive's
// name and the sample's.
//
// A gzipped archive is unpacked to a temporary file while pictures are read.
type Tar struct {
	Patterns []string // files, or patterns as of a shell
	Classes  []string // names of numeric labels, counted from 0; nil: the numbers are the names
}

// Open implements Source.
func (Tar) Open() (Reader, error) { return &tarReader{}, nil }

type tarReader struct{ archives }

func (t *tarReader) Read(ctx context.Context, at Location) ([]byte, error) { return t.read(ctx, at) }

// List implements Source.
func (t Tar) List(ctx context.Context, files pipeline.Files) (Rows, error) {
	paths, err := expand(t.Patterns)
	if err != nil {
		return Rows{}, err
	}
	rows, err := indexed(ctx, files, paths, "rows of a tar archive, 1", func(path string) (Rows, error) {
		f, err := openUnpacked(path)
		if err != nil {
			return Rows{}, err
		}
		rows, err := readTar(ctx, f)
		return rows, errors.Join(err, f.Close())
	})
	if err == nil {
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

// sample is one sample of a WebDataset, as far as it was read.
type sample struct {
	key    string
	row    Row
	values map[string]string // from JSON and text
	wrong  string            // why it is to be rejected
}

// maxSidecar bounds files beside a picture: labels, captions, JSON.
const maxSidecar = 16 << 20

// readTar makes the index of an archive.
func readTar(ctx context.Context, from io.Reader) (Rows, error) {
	var (
		rows    Rows
		extras  []map[string]string
		current *sample
	)
	finish := func() {
		if current == nil {
			return
		}
		switch {
		case current.wrong != "":
			rows.reject(current.key, "%s", current.wrong)
		case current.row.Digest == "":
			rows.reject(current.key, "there is no picture in the sample")
		default:
			for name, to := range map[string]*string{record.Label: &current.row.Label, record.Split: &current.row.Split, record.Domain: &current.row.Domain} {
				if v, ok := current.values[name]; ok && *to == "" {
					*to = v
				}
				delete(current.values, name)
			}
			if split := current.row.Split; split != "" {
				var known bool
				if current.row.Split, known = splitNamed(split); !known {
					rows.reject(current.key, "split %q is not train, val or test", split)
					break
				}
			}
			rows.All = append(rows.All, current.row)
			extras = append(extras, current.values)
		}
		current = nil
	}
	counted := &counter{r: bufio.NewReaderSize(from, 1<<16)}
	in := tar.NewReader(counted)
	for {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if len(rows.All) == 0 && current == nil {
				return rows, malformed{fmt.Errorf("not a tar archive: %w", err)}
			}
			current = nil
			rows.reject("…", "the archive is damaged after %d samples: %v", len(rows.All), err)
			break
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		dir, base := path.Split(path.Clean(head.Name))
		if hidden(base) || strings.HasPrefix(dir, "__MACOSX/") {
			continue
		}
		name, ending, _ := strings.Cut(base, ".")
		key := text(dir + name)
		if current == nil || current.key != key {
			finish()
			current = &sample{key: key, row: Row{ID: key}, values: map[string]string{}}
		}
		if err := current.file(in, strings.ToLower(ending), head.Size, counted.n); err != nil {
			key := current.key
			current = nil
			rows.reject(key, "the archive is damaged: %v", err)
			break
		}
	}
	finish()
	rows.spread(extras)
	return rows, nil
}

// file takes one file of the sample.
func (s *sample) file(in io.Reader, ending string, size, offset int64) error {
	// 0001.left.png is a picture of the sample too, but not the picture.
	if isPicture("x." + ending) {
		if s.row.Digest != "" {
			return nil // the first one counts
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, in); err != nil {
			return err
		}
		s.row.Digest = hex.EncodeToString(hash.Sum(nil))
		s.row.At = Location{Offset: offset, Size: size}
		switch {
		case s.row.Digest == emptyDigest:
			s.wrong = "the file is empty"
		case size > maxPicture:
			s.wrong = ErrTooLarge.Error()
		}
		return nil
	}
	if ending != "cls" && ending != "txt" && ending != "json" {
		return nil
	}
	if size > maxSidecar {
		s.wrong = fmt.Sprintf("its .%s file has %d bytes", ending, size)
		return nil
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	switch ending {
	case "cls":
		s.row.Label = text(strings.TrimSpace(string(data)))
	case "txt":
		s.values[record.Caption] = text(strings.TrimSpace(string(data)))
	case "json":
		values, err := scalars(data)
		if err != nil {
			s.wrong = "its .json file is malformed: " + err.Error()
			return nil
		}
		for name, v := range values {
			if _, have := s.values[name]; !have || name != record.Caption {
				s.values[name] = v
			}
		}
	}
	return nil
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
