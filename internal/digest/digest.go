package digest

import (
	"crypto/md5" // some publishers tell nothing else
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// Expected is what is known of a file's content beforehand; the zero value is nothing. Digests are
// lower-case hexadecimal.
type Expected struct {
	SHA256 string // or its first digits
	MD5    string
}

// MismatchError says that a content is not the one expected.
type MismatchError struct {
	Algorithm string
	Got, Want string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("its %s is %s, not %s", e.Algorithm, e.Got, e.Want)
}

// Check reads a content to its end and returns its SHA-256. A content that is not the one expected is
// a *[MismatchError].
func (p Expected) Check(r io.Reader) (sum string, err error) {
	sha := sha256.New()
	all, old := io.Writer(sha), hash.Hash(nil)
	if p.MD5 != "" {
		old = md5.New()
		all = io.MultiWriter(sha, old)
	}
	if _, err := io.Copy(all, r); err != nil {
		return "", err
	}
	sum = hex.EncodeToString(sha.Sum(nil))
	if !strings.HasPrefix(sum, p.SHA256) {
		return sum, &MismatchError{"SHA-256", sum[:len(p.SHA256)], p.SHA256}
	}
	if old != nil {
		if got := hex.EncodeToString(old.Sum(nil)); got != p.MD5 {
			return sum, &MismatchError{"MD5", got, p.MD5}
		}
	}
	return sum, nil
}

// CheckFile is Check of a file.
func (p Expected) CheckFile(path string) (sum string, err error) {
	f, err := budget.Open(path, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum, err = p.Check(f)
	if mismatch := new(MismatchError); err != nil && !errors.As(err, &mismatch) {
		err = fmt.Errorf("read %s: %w", path, err)
	}
	return sum, err
}

// File returns the SHA-256 of a file's content.
func File(path string) (string, error) { return Expected{}.CheckFile(path) }

// IsSHA256 tells whether text is a whole SHA-256 in lower-case hexadecimal.
func IsSHA256(text string) bool {
	return len(text) == 2*sha256.Size && strings.Trim(text, "0123456789abcdef") == ""
}
