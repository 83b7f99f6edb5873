package weightfile

import (
	"fmt"
	"path/filepath"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// File is an open file of named tensors. Different tensors may be read from several goroutines.
type File struct {
	Tensors []stored.Tensor // no two of the same name

	close func() error
}

// Open finds out what a file is and lists its tensors. Their numbers are read when they are asked for. The index of weights
// in several files (shards), which lie beside it, stands for all of them.
func Open(path string) (*File, error) {
	switch index, err := openIndex(path); {
	case err != nil:
		return nil, err
	case index != nil:
		file, err := index.open(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return file, nil
	}
	file, closing, err := mapped.Parse(path, Parse)
	if err != nil {
		return nil, err
	}
	file.close = closing
	return file, nil
}

// MaxTensors is more than any network has with the state of its optimizer: names are held against those of every network
// that is known, several times.
const MaxTensors = 1 << 15

// Budget is what reading one file may use. Memory needs no limit here: what is announced lies in the file.
func Budget() *budget.Budget {
	return budget.New(budget.Limit{Resource: budget.Items, Most: MaxTensors, Raise: "no network has so many tensors"})
}

// Parse does as [Open] with a single file held in memory.
func Parse(data []byte) (*File, error) {
	read, err := recognise(data)
	if err != nil {
		return nil, err
	}
	tensors, err := read(data)
	if err == nil {
		err = Budget().Take(budget.Items, int64(len(tensors)))
	}
	if err != nil {
		return nil, err
	}
	return &File{Tensors: tensors, close: func() error { return nil }}, nil
}

// Close closes the file that [Open] opened. Its tensors cannot be read any more.
func (f *File) Close() error { return f.close() }
