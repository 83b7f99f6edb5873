package digest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/digest"
)

// As `printf abc | sha256sum` and md5sum tell.
const (
	abcSHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	abcMD5    = "900150983cd24fb0d6963f7d28e17f72"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		expected digest.Expected
		want     string // of the error; "" if the content is as expected
	}{
		{digest.Expected{}, ""},
		{digest.Expected{SHA256: abcSHA256}, ""},
		{digest.Expected{SHA256: abcSHA256[:8]}, ""},
		{digest.Expected{MD5: abcMD5}, ""},
		{digest.Expected{SHA256: abcSHA256, MD5: abcMD5}, ""},
		{digest.Expected{SHA256: "ba7816be"}, "its SHA-256 is ba7816bf, not ba7816be"},
		{digest.Expected{SHA256: abcSHA256, MD5: "00"}, "its MD5 is " + abcMD5 + ", not 00"},
	} {
		sum, err := c.expected.Check(strings.NewReader("abc"))
		var mismatch *digest.MismatchError
		switch {
		case sum != abcSHA256:
			t.Errorf("%+v: SHA-256 %s", c.expected, sum)
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c.expected, err)
		case c.want != "" && (!errors.As(err, &mismatch) || err.Error() != c.want):
			t.Errorf("%+v: error %v, want %s", c.expected, err, c.want)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "abc")
	if _, err := digest.File(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := digest.File(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "open "+filepath.Dir(path)) {
		t.Errorf("a folder: %v", err)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	if sum, err := digest.File(path); sum != abcSHA256 || err != nil {
		t.Errorf("%s, %v", sum, err)
	}
}

func TestIsSHA256(t *testing.T) {
	for text, want := range map[string]bool{abcSHA256: true, abcSHA256[1:]: false, strings.ToUpper(abcSHA256): false, "": false, abcMD5: false} {
		if digest.IsSHA256(text) != want {
			t.Errorf("%q", text)
		}
	}
}
