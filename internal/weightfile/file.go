package weightfile

import (
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// File is an open file of named tensors. Different tensors may be read from several goroutines.
type File struct {
	Tensors []stored.Tensor // no two of the same name

	close func() error
}

// Open finds out what a file is and lists its tensors. Their numbers are read when they are asked for.
func Open(path string) (*File, error) {
	file, closing, err := mapped.Parse(path, Parse)
	if err != nil {
		return nil, err
	}
	file.close = closing
	return file, nil
}

// Parse does as [Open] with a file held in memory.
func Parse(data []byte) (*File, error) {
	read, err := recognise(data)
	if err != nil {
		return nil, err
	}
	tensors, err := read(data)
	if err != nil {
		return nil, err
	}
	return &File{Tensors: tensors, close: func() error { return nil }}, nil
}

// Close closes the file that [Open] opened. Its tensors cannot be read any more.
func (f *File) Close() error { return f.close() }
