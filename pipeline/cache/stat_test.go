package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestStatIndex(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, t.TempDir(), OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(t.TempDir(), "a.txt")
	write := func(content string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	digest := func(x *StatIndex) string {
		t.Helper()
		d, err := x.Digest(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	known := func(x *StatIndex) bool {
		return len(x.folder(filepath.Dir(path)+string(filepath.Separator)).files) > 0
	}

	// A time stamp of an hour ago is not enough: the file was changed just now.
	write("one", time.Hour)
	fresh := s.StatIndex()
	digest(fresh)
	if known(fresh) {
		t.Error("a file that was changed a moment ago was entered")
	}

	later := func() *StatIndex {
		x := s.StatIndex()
		x.now = func() time.Time { return time.Now().Add(time.Minute) }
		return x
	}
	x := later()
	one := digest(x)
	if one != sum([]byte("one")) {
		t.Errorf("digest is %s", one)
	}
	if err := x.Save(); err != nil {
		t.Fatal(err)
	}
	x = s.StatIndex()
	if !known(x) || digest(x) != one {
		t.Error("the index was not kept")
	}

	// The same path, inode and times on another device is another file.
	files := x.folder(filepath.Dir(path) + string(filepath.Separator)).files
	elsewhere := files[filepath.Base(path)]
	if info, err := os.Stat(path); err != nil || !elsewhere.sameFile(describe(info)) {
		t.Errorf("the index has %+v, %v", elsewhere, err)
	}
	elsewhere.device++
	elsewhere.digest[0]++
	files[filepath.Base(path)] = elsewhere
	if got := digest(x); got != one {
		t.Errorf("the digest of a file on another device was taken: %s", got)
	}

	// The same length and time, other content: the change time tells.
	time.Sleep(20 * time.Millisecond)
	write("two", time.Hour)
	if got := digest(x); got != sum([]byte("two")) {
		t.Errorf("digest after an edit is %s", got)
	}

	// A file written a moment ago may be written again without its time moving.
	write("new", 0)
	fresh = s.StatIndex()
	digest(fresh)
	if f := fresh.folder(filepath.Dir(path) + string(filepath.Separator)); f.dirty {
		t.Error("a file of this moment was entered")
	}

	// A damaged index is learnt anew.
	if err := os.WriteFile(x.path(filepath.Dir(path)+string(filepath.Separator)), []byte("nonsense"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := digest(s.StatIndex()); got != sum([]byte("new")) {
		t.Errorf("digest with a damaged index is %s", got)
	}
}

// A table may name anything: what is not a file is a fault of that path, as a
// missing file is, and not of the run.
func TestStatIndexTellsWhatIsNoFile(t *testing.T) {
	s, err := Open(context.Background(), t.TempDir(), OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, path := range []string{t.TempDir(), os.DevNull, filepath.Join(t.TempDir(), "none")} {
		var onPath *fs.PathError
		if _, err := s.StatIndex().Digest(context.Background(), path); !errors.As(err, &onPath) {
			t.Errorf("%s: error is %v", path, err)
		}
	}
}

func TestDerived(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, t.TempDir(), OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(path, []byte("members"), 0o666); err != nil {
		t.Fatal(err)
	}
	computed := 0
	derive := func(name string) string {
		t.Helper()
		raw, err := s.StatIndex().Derived(ctx, path, name, func() ([]byte, error) {
			computed++
			return []byte("index of " + name), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for range 2 {
		if got := derive("tar 1"); got != "index of tar 1" {
			t.Error(got)
		}
	}
	if computed != 1 {
		t.Errorf("computed %d times", computed)
	}
	derive("tar 2")
	if err := os.WriteFile(path, []byte("others"), 0o666); err != nil {
		t.Fatal(err)
	}
	derive("tar 1")
	if computed != 3 {
		t.Errorf("computed %d times", computed)
	}
	_, err = s.StatIndex().Derived(ctx, path, "tar 3", func() ([]byte, error) {
		return nil, os.WriteFile(path, []byte("changed meanwhile"), 0o666)
	})
	if !errors.Is(err, ErrFileChanged) {
		t.Errorf("error is %v", err)
	}
}

// full is a file system without room.
type full struct{ OS }

func (full) Create(string) (File, error) { return nil, syscall.ENOSPC }

func TestStatIndexOnAFullDisk(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, t.TempDir(), full{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(path, []byte("one"), 0o666); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	x := s.StatIndex()
	raw, err := x.Derived(ctx, path, "length", func() ([]byte, error) { return []byte("3"), nil })
	if err != nil || string(raw) != "3" {
		t.Errorf("derived %q, %v", raw, err)
	}
	if err := x.Save(); err != nil {
		t.Error(err)
	}
}
