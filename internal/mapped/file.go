package mapped

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// File is a file as memory.
type File struct {
	data  []byte
	unmap func() error
}

// Open maps a regular file. Its bytes must not be written to.
func Open(path string) (_ *File, err error) {
	f, err := budget.Open(path, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > math.MaxInt:
		return nil, fmt.Errorf("%d bytes are more than this machine can address", info.Size())
	case info.Size() == 0:
		return &File{unmap: func() error { return nil }}, nil
	}
	data, unmap, err := open(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("map %d bytes into memory: %w", info.Size(), err)
	}
	return &File{data: data, unmap: unmap}, nil
}

// Bytes returns the file's content, until Close.
func (f *File) Bytes() []byte { return f.data }

// Close gives the memory back. Nothing that [File.Bytes] returned may be looked at any more.
func (f *File) Close() error {
	f.data = nil
	return f.unmap()
}

// Guard runs a function that looks at the bytes of a mapped file. Bytes that cannot be had, since the
// file was shortened or its disk failed, become an error.
func Guard(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // a fault
			err = errors.New("the file was shortened, or its disk failed, while it was being read")
		default:
			panic(cause)
		}
	}()
	return read()
}
