package mapped

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
)

// Entry is a file in a zip archive. Only one that is stored as it is can be read: none of the writers
// of weights compresses them.
type Entry struct {
	data    []byte
	refused error        // why it cannot be read
	intact  func() error // holds it against its checksum once
}

// Bytes returns the content, which has the checksum that it was written with.
func (e *Entry) Bytes() ([]byte, error) {
	if e.refused != nil {
		return nil, e.refused
	}
	return e.data, e.intact()
}

// Size returns the number of bytes.
func (e *Entry) Size() (int, error) { return len(e.data), e.refused }

// Zip lists what is in a zip archive by name, as slices of data. Two entries of one name are refused.
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
		entries[f.Name] = entry(data, f)
	}
	return entries, nil
}

func entry(data []byte, f *zip.File) *Entry {
	content, err := slice(data, f)
	if err != nil {
		return &Entry{refused: fmt.Errorf("%q in the zip archive: %w", f.Name, err)}
	}
	return &Entry{data: content, intact: sync.OnceValue(func() error {
		if crc32.ChecksumIEEE(content) != f.CRC32 {
			return fmt.Errorf("%q in the zip archive does not have the checksum that it was written with: damaged", f.Name)
		}
		return nil
	})}
}

// slice returns the part of data that is the content of a file.
func slice(data []byte, f *zip.File) ([]byte, error) {
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
	return data[begin : uint64(begin)+size], nil
}
