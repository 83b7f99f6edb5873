package cache

import (
	"context"
	"errors"
	"os"
	"testing"
)

// A blob that was verified is not verified again, unless its file was touched.
func TestViewsAreVerifiedOnce(t *testing.T) {
	s, err := Open(context.Background(), t.TempDir(), OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.PutBlob([]byte("content"), 1)
	if err != nil {
		t.Fatal(err)
	}
	look := func() error {
		_, unmap, err := s.ViewBlob(c.Digest)
		if err == nil {
			err = unmap()
		}
		return err
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	if _, known := s.verified.Load(c.Digest); known {
		t.Error("the time stamps of a file that was written just now were trusted")
	}
	path := s.path("blobs", c.Digest)
	if err := os.WriteFile(path, []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s.verified.Store(c.Digest, describe(info)) // as if this had been verified
	if err := look(); err != nil {
		t.Errorf("it was verified again: %v", err)
	}
	if err := os.WriteFile(path, []byte("touched by somebody"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := look(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a file that was touched was trusted: %v", err)
	}
}
