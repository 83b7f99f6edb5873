package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/fetch"
)

// files is a server of files by path that counts its requests.
type files struct {
	*httptest.Server
	requests atomic.Int32
}

func serve(t *testing.T, content map[string][]byte) *files {
	f := &files{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		file, ok := content[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}))
	t.Cleanup(f.Close)
	return f
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func get(t *testing.T, s *store.Store, source store.Source) store.File {
	t.Helper()
	f, err := s.Fetch(context.Background(), fetch.New(fetch.Hub{}), source, store.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func holds(t *testing.T, f store.File, want []byte) {
	t.Helper()
	got, err := os.ReadFile(f.Path)
	if err != nil || !bytes.Equal(got, want) || f.SHA256 != sum(want) || f.Bytes != int64(len(want)) {
		t.Errorf("%+v holds %q (%v), want %q", f, got, err, want)
	}
}

func TestFetchedOnce(t *testing.T) {
	one, two := []byte("one"), []byte("two")
	web := serve(t, map[string][]byte{"/1": one, "/again": one, "/2": two})
	s := store.Open(filepath.Join(t.TempDir(), "weights"))

	source := store.Source{URL: web.URL + "/1", Expected: digest.Expected{SHA256: sum(one)[:8]}}
	if f, ok := s.Find(source); ok {
		t.Errorf("%+v is there", f)
	}
	holds(t, get(t, s, source), one)
	holds(t, get(t, s, source), one)
	if n := web.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	f, ok := s.Find(source)
	if !ok {
		t.Fatal("it is not there")
	}
	holds(t, f, one)

	// Its digest is enough, whatever the address is.
	known := store.Source{URL: "https://elsewhere.invalid/", Expected: digest.Expected{SHA256: sum(one)}}
	holds(t, get(t, s, known), one)

	// What an address gave is of no use once something else is expected of it.
	if _, ok := s.Find(store.Source{URL: source.URL, Expected: digest.Expected{SHA256: "00"}}); ok {
		t.Error("another file than expected is found")
	}

	holds(t, get(t, s, store.Source{URL: web.URL + "/again?key=secret"}), one)
	holds(t, get(t, s, store.Source{URL: web.URL + "/2"}), two)
	all, err := s.List()
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, f := range all {
		if f.SHA256 == sum(one) && (len(f.Sources) != 2 || strings.Contains(strings.Join(f.Sources, " "), "secret")) {
			t.Errorf("sources %q", f.Sources)
		}
	}

	if err := s.Remove(f); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Find(source); ok {
		t.Error("it is still there")
	}
	if all, err := s.List(); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.Remove(f); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}

func TestDamagedIsFetchedAgain(t *testing.T) {
	one := []byte("one")
	web := serve(t, map[string][]byte{"/1": one})
	s := store.Open(t.TempDir())
	source := store.Source{URL: web.URL + "/1"}
	f := get(t, s, source)
	if err := os.WriteFile(f.Path, []byte("eno"), 0o666); err != nil {
		t.Fatal(err)
	}
	holds(t, get(t, s, source), one)
	if n := web.requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// Those who want the same file at once have it fetched once.
func TestAtOnce(t *testing.T) {
	one := bytes.Repeat([]byte("one"), 100_000)
	web := serve(t, map[string][]byte{"/1": one})
	dir := t.TempDir()
	var everybody conc.WaitGroup
	for range 8 {
		everybody.Go(func() {
			f, err := store.Open(dir).Fetch(context.Background(), fetch.New(fetch.Hub{}), store.Source{URL: web.URL + "/1"}, store.Watch{})
			if err != nil {
				t.Error(err)
				return
			}
			holds(t, f, one)
		})
	}
	everybody.Wait()
	if n := web.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "parts")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

func TestFailures(t *testing.T) {
	web := serve(t, map[string][]byte{"/1": []byte("one")})
	s := store.Open(t.TempDir())
	for name, c := range map[string]struct {
		source store.Source
		want   string
	}{
		"not there":    {store.Source{URL: web.URL + "/none"}, "404"},
		"another file": {store.Source{URL: web.URL + "/1", Expected: digest.Expected{SHA256: "00"}}, "not what was expected"},
	} {
		_, err := s.Fetch(context.Background(), fetch.New(fetch.Hub{}), c.source, store.Watch{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestImport(t *testing.T) {
	dir := t.TempDir()
	one := []byte("one")
	path := filepath.Join(dir, "one.pth")
	if err := os.WriteFile(path, one, 0o666); err != nil {
		t.Fatal(err)
	}
	s := store.Open(filepath.Join(dir, "weights"))
	source := store.Source{URL: "https://example.invalid/one.pth", Expected: digest.Expected{SHA256: sum(one)[:8]}}
	f, err := s.Import(context.Background(), path, source)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, f, one)
	if found, ok := s.Find(source); !ok || found.SHA256 != f.SHA256 {
		t.Errorf("%+v, %v", found, ok)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file itself is gone: %v", err)
	}

	source.Expected.SHA256 = "00"
	var mismatch *digest.MismatchError
	if _, err := s.Import(context.Background(), path, source); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), path) {
		t.Errorf("another file: %v", err)
	}
	if _, err := s.Import(context.Background(), dir, source); err == nil || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := s.Import(context.Background(), path+"x", source); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "weights", "parts")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// A store that cannot be written says so, and what is there is found all the same.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	web := serve(t, map[string][]byte{"/1": []byte("one"), "/2": []byte("two")})
	get(t, store.Open(dir), store.Source{URL: web.URL + "/1"})
	blocked := filepath.Join(dir, "blocked")
	if err := os.WriteFile(blocked, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(filepath.Join(blocked, "weights")).Fetch(context.Background(), fetch.New(fetch.Hub{}), store.Source{URL: web.URL + "/1"}, store.Watch{})
	if err == nil || !strings.Contains(err.Error(), "TLPIPE_WEIGHTS") {
		t.Errorf("error %v", err)
	}

	// A folder that cannot be written, also for those who may write anywhere.
	if err := os.RemoveAll(filepath.Join(dir, "parts")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "parts"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	s := store.Open(dir)
	if _, err := s.Fetch(context.Background(), fetch.New(fetch.Hub{}), store.Source{URL: web.URL + "/2"}, store.Watch{}); err == nil || !strings.Contains(err.Error(), "TLPIPE_WEIGHTS") {
		t.Errorf("error %v", err)
	}
	holds(t, get(t, s, store.Source{URL: web.URL + "/1"}), []byte("one"))
}

// A full disk is told as what it is, and not as a fault of the network.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	dir := t.TempDir()
	web := serve(t, map[string][]byte{"/1": []byte("one")})
	source := store.Source{URL: web.URL + "/1"}
	key := sum([]byte(source.URL))
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{key, key + ".import"} {
		if err := os.Symlink("/dev/full", filepath.Join(dir, "parts", name)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "one")
	if err := os.WriteFile(file, []byte("one"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, fetched := store.Open(dir).Fetch(context.Background(), fetch.New(fetch.Hub{}), source, store.Watch{})
	_, imported := store.Open(dir).Import(context.Background(), file, source)
	for _, err := range []error{fetched, imported} {
		if err == nil || !strings.Contains(err.Error(), "the store of weights "+dir) || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("error %v", err)
		}
	}
}

func TestDefault(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", "")
	t.Setenv("TLPIPE_CACHE", "")
	for _, c := range []struct{ name, value, want string }{
		{"XDG_CACHE_HOME", filepath.FromSlash("/x"), filepath.FromSlash("/x/tlpipe/weights")},
		{"TLPIPE_CACHE", "cache", filepath.Join("cache", "weights")},
		{"TLPIPE_WEIGHTS", "w", "w"},
	} {
		if c.name == "XDG_CACHE_HOME" && runtime.GOOS != "linux" {
			continue
		}
		t.Setenv(c.name, c.value)
		s, err := store.Default()
		want, _ := filepath.Abs(c.want)
		if err != nil || s.Dir() != want {
			t.Errorf("%s: %v, %v", c.name, s, err)
		}
	}
}
