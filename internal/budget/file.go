package budget

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Open opens a file to read: a regular one of at most so many bytes (0: any number) that is not mostly a hole. What is no
// file, such as a pipe or a device, is an error, and is not waited for. Errors are *[fs.PathError].
func Open(path string, most int64) (*os.File, error) {
	refuse := func(err error) error { return &fs.PathError{Op: "open", Path: path, Err: err} }
	// Asked before it is opened: opening a pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, refuse(errors.New("it is a folder"))
	case !info.Mode().IsRegular():
		return nil, refuse(errors.New("it is not a file"))
	case most > 0 && info.Size() > most:
		return nil, refuse(fmt.Errorf("it has %s, the limit is %s", Bytes(info.Size()), Bytes(most)))
	}
	if err := CheckFile(info); err != nil {
		return nil, refuse(err)
	}
	return os.Open(path)
}

// ReadFile reads a file as Open opens it, whole.
func ReadFile(path string, most int64) (_ []byte, err error) {
	f, err := Open(path, most)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := io.Reader(f)
	if most > 0 {
		in = io.LimitReader(f, most+1)
	}
	text, err := io.ReadAll(in)
	if err == nil && most > 0 && int64(len(text)) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %s", Bytes(most))}
	}
	return text, err
}
