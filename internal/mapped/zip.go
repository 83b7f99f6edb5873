package mapped

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
)

// Entry is a file in a zip archive that is stored as it is.
type Entry struct {
	data   []byte
	intact func() error
}

// Bytes returns the content, after it has been held against its checksum once.
func (e *Entry) Bytes() ([]byte, error) { return e.data, e.intact() }

// Size returns the number of bytes.
func (e *Entry) Size() int { return len(e.data) }

// Zip lists what is in a zip archive by name, as slices of data. Entries that are compressed or
// encrypted are refused, as are two of the same name: none of the writers of weights makes them.
func Zip(data []byte) (map[string]*Entry, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if errors.Is(err, zip.ErrInsecurePath) {
		err = nil // names are only names here
	}
	if err != nil {
		return nil, fmt.Errorf("zip archive: truncated or damaged: %w", err)
	}
	entries := map[string]*Entry{}
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if entries[f.Name] != nil {
			return nil, fmt.Errorf("zip archive: %q stands there twice", f.Name)
		}
		entry, err := stored(data, f)
		if err != nil {
			return nil, fmt.Errorf("zip archive: %q: %w", f.Name, err)
		}
		entries[f.Name] = entry
	}
	return entries, nil
}

func stored(data []byte, f *zip.File) (*Entry, error) {
	switch {
	case f.Flags&1 != 0:
		return nil, errors.New("it is encrypted")
	case f.Method != zip.Store:
		return nil, errors.New("it is compressed, which frameworks do not do: pack it anew without compression")
	case f.CompressedSize64 != f.UncompressedSize64:
		return nil, fmt.Errorf("%d bytes are said to be %d: damaged", f.CompressedSize64, f.UncompressedSize64)
	}
	begin, err := f.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("truncated or damaged: %w", err)
	}
	size, end := f.UncompressedSize64, uint64(len(data))
	if begin < 0 || uint64(begin) > end || size > end-uint64(begin) {
		return nil, fmt.Errorf("%d bytes from byte %d on lie outside the file of %d: truncated or damaged", size, begin, end)
	}
	content := data[begin : uint64(begin)+size]
	return &Entry{data: content, intact: sync.OnceValue(func() error {
		if crc32.ChecksumIEEE(content) != f.CRC32 {
			return fmt.Errorf("%q in the zip archive does not have the checksum that it was written with: damaged", f.Name)
		}
		return nil
	})}, nil
}
