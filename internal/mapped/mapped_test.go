package mapped_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/mapped"
)

func TestFile(t *testing.T) {
	for _, content := range []string{"", "some bytes", strings.Repeat("x", 1<<16)} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := mapped.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Bytes()) != content {
			t.Errorf("%d bytes, want %d", len(f.Bytes()), len(content))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "nothing"), os.DevNull} {
		if f, err := mapped.Open(path); err == nil {
			t.Errorf("opened %s: %d bytes", path, len(f.Bytes()))
		}
	}
}

func TestGuard(t *testing.T) {
	want := errors.New("an error")
	if err := mapped.Guard(func() error { return want }); err != want {
		t.Errorf("error %v", err)
	}
	defer func() {
		if cause := recover(); cause != "not a fault" {
			t.Errorf("recovered %v", cause)
		}
	}()
	_ = mapped.Guard(func() error { panic("not a fault") })
	t.Error("a panic that is no fault was swallowed")
}

// archive makes a zip archive of one file.
func archive(t *testing.T, method uint16, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	in, err := w.CreateHeader(&zip.FileHeader{Name: "folder/file", Method: method})
	if err == nil {
		_, err = in.Write([]byte(content))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestZip(t *testing.T) {
	data := archive(t, zip.Store, "some content")
	read := func(data []byte) (string, error) {
		entries, err := mapped.Zip(data)
		if err != nil {
			return "", err
		}
		e := entries["folder/file"]
		if e == nil || len(entries) != 1 {
			t.Fatalf("entries %v", entries)
		}
		content, err := e.Bytes()
		return string(content), err
	}
	if got, err := read(data); err != nil || got != "some content" {
		t.Errorf("%q, error %v", got, err)
	}

	damaged := bytes.Replace(data, []byte("some content"), []byte("same content"), 1)
	if _, err := read(damaged); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("other content than was written: error %v", err)
	}
	if _, err := read(archive(t, zip.Deflate, strings.Repeat("a", 100))); err == nil || !strings.Contains(err.Error(), "compressed") {
		t.Errorf("compressed: error %v", err)
	}
	twice := append(bytes.Clone(data), data...)
	if _, err := mapped.Zip(bytes.Replace(twice, []byte("PK\x05\x06"), []byte("PK\x00\x00"), 2)); err == nil {
		t.Error("an archive without a directory was read")
	}
	for n := range data {
		if got, err := read(data[:n]); err == nil {
			t.Errorf("the first %d bytes were read: %q", n, got)
		}
	}
}

// TestZipTwice refuses an archive in which two files have one name.
func TestZipTwice(t *testing.T) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for range 2 {
		if _, err := w.CreateHeader(&zip.FileHeader{Name: "file"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := mapped.Zip(out.Bytes()); err == nil || !strings.Contains(err.Error(), `"file" stands there twice`) {
		t.Errorf("error %v", err)
	}
}

// FuzzZip reads archives whose directory is damaged.
func FuzzZip(f *testing.F) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		in, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint("file ", method), Method: method})
		if err == nil {
			_, err = in.Write([]byte("content"))
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	budgettest.Seeds(f, 1000, out.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Within(t, len(data), func() {
			entries, err := mapped.Zip(data)
			if err != nil {
				return
			}
			for _, e := range entries {
				content, err := e.Bytes()
				if size, _ := e.Size(); err == nil && size != len(content) {
					t.Errorf("%d bytes of %d", len(content), size)
				}
			}
		})
	})
}
