package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// Registry is a folder of models.
type Registry struct{ dir string }

// At is the registry in a folder, which need not exist yet.
func At(dir string) *Registry { return &Registry{dir} }

// RequestError is a name, version or tag that there is not, or that cannot be.
type RequestError struct{ Message string }

func (e *RequestError) Error() string { return e.Message }

func requestf(format string, args ...any) error {
	return &RequestError{fmt.Sprintf(format, args...)}
}

// word is what names and tags are: they are names of files, and stand in references.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,99}$`)

func checkName(name string) error {
	if !word.MatchString(name) || strings.HasSuffix(name, ".") {
		return requestf("the name %q: want a letter, then up to 99 letters, digits, and any of _ . -", name)
	}
	return nil
}

func checkTag(tag string) error {
	if !word.MatchString(tag) {
		return requestf("the tag %q: want a letter, then up to 99 letters, digits, and any of _ . -", tag)
	}
	return nil
}

// Names are those that have versions, in order.
func (r *Registry) Names() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the models: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && word.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// measuredSince records what evaluations said of a version after it was added.
func (r *Registry) measuredSince(v *Facts, now Facts) error {
	if len(now.Measured) == 0 || reflect.DeepEqual(v.Measured, now.Measured) {
		return nil
	}
	v.Measured = now.Measured
	if err := writeJSON(r.factsFile(v.Name, v.Number), *v); err != nil {
		return fmt.Errorf("record what was measured of version %d of %s: %w", v.Number, v.Name, err)
	}
	return nil
}

// Add makes a version of a model that write writes. If the name has a version with the same file already, that one is returned, and
// is not new.
func (r *Registry) Add(facts Facts, write func(io.Writer) error) (_ Facts, isNew bool, err error) {
	if err := checkName(facts.Name); err != nil {
		return facts, false, err
	}
	unlock, err := r.lock(facts.Name)
	if err != nil {
		return facts, false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	versions, err := r.History(facts.Name)
	if err != nil {
		return facts, false, err
	}
	dir := filepath.Join(r.dir, facts.Name)
	temp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return facts, false, fmt.Errorf("add a version of %s: %w", facts.Name, err)
	}
	defer func() {
		if temp != nil {
			err = errors.Join(err, temp.Close(), os.Remove(temp.Name()))
		}
	}()
	hash := sha256.New()
	counted := &counter{out: io.MultiWriter(temp, hash)}
	if err := write(counted); err != nil {
		return facts, false, fmt.Errorf("add a version of %s: %w", facts.Name, err)
	}
	facts.SHA256, facts.Bytes = hex.EncodeToString(hash.Sum(nil)), counted.n
	facts.Number = 1
	for _, v := range versions {
		if v.SHA256 == facts.SHA256 {
			return v, false, r.measuredSince(&v, facts)
		}
		facts.Number = max(facts.Number, v.Number+1)
	}
	facts.File = strconv.Itoa(facts.Number) + ".safetensors"
	if facts.Added.IsZero() {
		facts.Added = time.Now().UTC().Truncate(time.Second)
	}
	name := temp.Name()
	err = errors.Join(temp.Chmod(0o644), temp.Sync(), temp.Close())
	temp = nil
	if err == nil {
		err = os.Rename(name, filepath.Join(dir, facts.File))
	}
	if err == nil {
		// The facts come last: a version without them is not there.
		err = writeJSON(r.factsFile(facts.Name, facts.Number), facts)
	}
	if err != nil {
		return facts, false, errors.Join(fmt.Errorf("add version %d of %s: %w", facts.Number, facts.Name, err), removed(name))
	}
	return facts, true, nil
}

func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

type counter struct {
	out io.Writer
	n   int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	c.n += int64(n)
	return n, err
}

func (r *Registry) factsFile(name string, number int) string {
	return filepath.Join(r.dir, name, strconv.Itoa(number)+".json")
}

// Path is where the file of a version is.
func (r *Registry) Path(f Facts) string { return filepath.Join(r.dir, f.Name, f.File) }

// History is the versions of a name, the first one first. A name that there is not has none.
func (r *Registry) History(name string) ([]Facts, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(r.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the versions of %s: %w", name, err)
	}
	var out []Facts
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), ".json")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 {
			continue
		}
		f, err := r.read(name, n)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Facts) int { return a.Number - b.Number })
	return out, nil
}

// maxFacts bounds the files of facts and tags, in bytes.
const maxFacts = 64 << 20

func (r *Registry) read(name string, number int) (Facts, error) {
	var f Facts
	path := r.factsFile(name, number)
	if err := readJSON(path, &f); err != nil {
		return f, fmt.Errorf("read version %d of %s: %w", number, name, err)
	}
	if f.Name != name || f.Number != number || f.File != strconv.Itoa(number)+".safetensors" {
		return f, fmt.Errorf("read version %d of %s: %s tells of another version", number, name, path)
	}
	return f, nil
}

// Find finds the version that a reference means: NAME, NAME@3 or NAME@TAG.
func (r *Registry) Find(reference string) (Facts, error) {
	name, which, chosen := strings.Cut(reference, "@")
	versions, err := r.History(name)
	if err != nil {
		return Facts{}, err
	}
	if len(versions) == 0 {
		names, err := r.Names()
		if err != nil {
			return Facts{}, err
		}
		hint := "there are none"
		if len(names) > 0 {
			hint = "there are " + strings.Join(names, ", ")
		}
		return Facts{}, requestf("there is no model %s in %s (%s)", name, r.dir, hint)
	}
	if !chosen {
		return versions[len(versions)-1], nil
	}
	number, err := strconv.Atoi(which)
	if err != nil {
		tags, err := r.Tags(name)
		if err != nil {
			return Facts{}, err
		}
		at := slices.IndexFunc(tags, func(t Tag) bool { return t.Name == which })
		if at < 0 {
			return Facts{}, requestf("%s has no tag %s%s", name, which, tagHint(tags))
		}
		number = tags[at].Version()
	}
	for _, v := range versions {
		if v.Number == number {
			return v, nil
		}
	}
	return Facts{}, requestf("%s has no version %d: the latest is %d", name, number, versions[len(versions)-1].Number)
}

// Verify tells whether the file of a version is still what was added.
func (r *Registry) Verify(v Facts) (err error) {
	f, err := budget.Open(r.Path(v), 0)
	if err != nil {
		return fmt.Errorf("version %d of %s: %w", v.Number, v.Name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return fmt.Errorf("version %d of %s: %w", v.Number, v.Name, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != v.SHA256 {
		return fmt.Errorf("version %d of %s: %s has SHA-256 %s, and had %s when it was added", v.Number, v.Name, r.Path(v), got, v.SHA256)
	}
	return nil
}

// lock waits until no other process writes versions or tags of a name.
func (r *Registry) lock(name string) (unlock func() error, err error) {
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", name, err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if err := lock.Lock(); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return lock.Unlock, nil
}

func readJSON(path string, into any) (err error) {
	f, err := budget.Open(path, maxFacts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.LimitReader(f, maxFacts+1))
	if err != nil {
		return err
	}
	if len(text) > maxFacts {
		return fmt.Errorf("%s has more than %d bytes", path, maxFacts)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON writes a file that is there whole or not at all.
func writeJSON(path string, value any) (err error) {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, removed(f.Name()))
	}
	return nil
}
