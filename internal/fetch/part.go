package fetch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// part is a file that is not whole yet.
type part struct {
	file      *os.File
	size      int64
	validator string // of the content that it is a part of; "" if that cannot be gone on with
}

// openPart opens the part at path, or begins one. What is there without a validator is worth nothing.
func openPart(path string) (_ *part, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, &finalError{err}
	}
	p := &part{file: f}
	defer func() {
		if err != nil {
			err = &finalError{errors.Join(err, f.Close())}
		}
	}()
	if p.size, err = f.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	}
	mark, err := budget.ReadFile(p.validatorPath(), 64<<10)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p.validator = string(mark)
	if p.size > 0 && p.validator == "" {
		return p, p.restart("")
	}
	return p, nil
}

func (p *part) validatorPath() string { return p.file.Name() + ".etag" }

// restart empties the part; what is written next is of the content that validator marks.
func (p *part) restart(validator string) error {
	if p.size > 0 {
		if err := p.file.Truncate(0); err != nil {
			return &finalError{err}
		}
		if _, err := p.file.Seek(0, io.SeekStart); err != nil {
			return &finalError{err}
		}
		p.size = 0
	}
	p.validator = validator
	if validator == "" {
		return p.complete()
	}
	if err := os.WriteFile(p.validatorPath(), []byte(validator), 0o666); err != nil {
		return &finalError{err}
	}
	return nil
}

func (p *part) write(b []byte) error {
	n, err := p.file.Write(b)
	p.size += int64(n)
	if err != nil {
		return &finalError{fmt.Errorf("after %d bytes: %w", p.size, err)}
	}
	return nil
}

func (p *part) sync() error {
	if err := p.file.Sync(); err != nil {
		return &finalError{err}
	}
	return nil
}

// complete says that there is nothing to go on with.
func (p *part) complete() error {
	if err := os.Remove(p.validatorPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &finalError{err}
	}
	return nil
}

func (p *part) close() error { return p.file.Close() }
