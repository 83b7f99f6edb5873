package weightfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/mapped"
)

// Files lists the files that the weights at a path lie in: the file itself and, if it is the index of weights in several
// files (shards), those, in the order of their names. They are not opened.
func Files(path string) ([]string, error) {
	index, err := openIndex(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	for _, shard := range index.shards() {
		files = append(files, filepath.Join(filepath.Dir(path), shard))
	}
	return files, nil
}

// Digest identifies the weights at a path by their content: the hexadecimal SHA-256 of the file or, of weights in several
// files, that of a list of their SHA-256s. of tells the SHA-256 of one file.
func Digest(path string, of func(path string) (string, error)) (string, error) {
	files, err := Files(path)
	if err != nil {
		return "", err
	}
	if len(files) == 1 {
		return of(path)
	}
	list := sha256.New()
	for i, file := range files {
		sum, err := of(file)
		if err != nil {
			return "", err
		}
		name := "index"
		if i > 0 {
			name = filepath.Base(file)
		}
		fmt.Fprintf(list, "%s  %s\n", sum, name)
	}
	return hex.EncodeToString(list.Sum(nil)), nil
}

// shard is the name of one of several files of weights.
var shard = regexp.MustCompile(`^(.+)-\d{3,}-of-\d{3,}(\.\w+)$`)

// IndexOf tells, of a file that is by its name one of several with the weights of a model, the index that stands for all of
// them: model.safetensors.index.json of model-00001-of-00002.safetensors.
func IndexOf(path string) (index string, ok bool) {
	dir, name := filepath.Split(path)
	m := shard.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return dir + m[1] + m[2] + ".index.json", true
}

// FileDigest is [Digest] of files that are read now.
func FileDigest(path string) (string, error) { return Digest(path, digest.File) }

// index tells in which file each tensor lies, as Hugging Face's libraries write it (model.safetensors.index.json):
// {"metadata": {…}, "weight_map": {"tensor": "model-00001-of-00002.safetensors", …}}. nil is that of a single file.
type index map[string]string

// isIndex tells whether a file is an index, which is JSON.
func isIndex(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data[:min(len(data), 64)], " \t\r\n"), []byte("{")) && bytes.Contains(data, []byte(`"weight_map"`))
}

// openIndex reads the index at a path; nil if there is another file.
func openIndex(path string) (index, error) {
	x, closing, err := mapped.Parse(path, func(data []byte) (index, error) {
		if !isIndex(data) {
			return nil, nil
		}
		return parseIndex(data)
	})
	if err != nil {
		return nil, err
	}
	return x, closing()
}

// parseIndex reads an index. Its files are names without a folder: an index must not make the program open other files than
// those beside it.
func parseIndex(data []byte) (index, error) {
	var file struct {
		WeightMap weightMap `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("index of weights in several files: %w", err)
	}
	if len(file.WeightMap) == 0 {
		return nil, errors.New("index of weights in several files: its weight_map names no tensors")
	}
	return index(file.WeightMap), nil
}

// weightMap is a weight_map that is read entry after entry, within limits.
type weightMap map[string]string

// UnmarshalJSON implements [json.Unmarshaler].
func (m *weightMap) UnmarshalJSON(data []byte) error {
	d, limit := json.NewDecoder(bytes.NewReader(data)), Budget()
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return errors.Join(errors.New("weight_map is no object"), err)
	}
	*m = weightMap{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		tensor := token.(string) // keys of an object are strings
		if err := limit.Take(budget.Items, 1); err != nil {
			return err
		}
		var shard string
		if err := d.Decode(&shard); err != nil {
			return fmt.Errorf("tensor %q: %w", tensor, err)
		}
		if before, seen := (*m)[tensor]; seen && before != shard {
			return fmt.Errorf("tensor %q is said to lie in two files, %q and %q", tensor, before, shard)
		}
		if !isName(shard) {
			return fmt.Errorf("tensor %q: %q is not the name of a file beside the index", tensor, shard)
		}
		(*m)[tensor] = shard
	}
	return nil
}

// isName tells whether a text is the name of a file without a folder, on every system.
func isName(text string) bool {
	return text != "" && text != "." && text != ".." && !strings.ContainsAny(text, "/\\:\x00") && filepath.IsLocal(text)
}

// shards are the files of the index, sorted.
func (x index) shards() []string {
	names := map[string]bool{}
	for _, shard := range x {
		names[shard] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// open opens the weights of an index, whose files lie in a folder.
func (x index) open(dir string) (_ *File, err error) {
	all := &File{}
	var closing []func() error
	all.close = func() (err error) {
		for _, c := range closing {
			err = errors.Join(err, c())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, all.close())
		}
	}()
	limit, lies := Budget(), map[string]string{}
	for _, shard := range x.shards() {
		path := filepath.Join(dir, shard)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the index names %s, which is not beside it: all files of the weights belong in one folder", shard)
		}
		file, unmap, err := mapped.Parse(path, Parse)
		if err != nil {
			return nil, err
		}
		closing = append(closing, unmap)
		if err := limit.Take(budget.Items, int64(len(file.Tensors))); err != nil {
			return nil, err
		}
		for _, t := range file.Tensors {
			if first, twice := lies[t.Name]; twice {
				return nil, fmt.Errorf("tensor %q is in two files, %s and %s", t.Name, first, shard)
			}
			lies[t.Name] = shard
		}
		all.Tensors = append(all.Tensors, file.Tensors...)
	}
	for _, tensor := range slices.Sorted(maps.Keys(x)) {
		if lies[tensor] != x[tensor] {
			return nil, fmt.Errorf("the index says that tensor %q is in %s, which does not hold it: index and files are not of one model", tensor, x[tensor])
		}
	}
	return all, nil
}
