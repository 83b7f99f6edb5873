package exchange

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/npy"
)

// write writes examples and answers into a folder: images.npy, uint8 [n, height, width, 3]; or ids.npy and mask.npy, int64 [n, tokens],
// the texts filled up with zeros; or vectors.npy, float32 [n, numbers]; and outputs.npy, float32 [n, classes].
func (e *examples) write(dir string, m *deploy.Model) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	n := len(e.list)
	file := func(name string, write func(io.Writer) error) error {
		if err := writeFile(filepath.Join(dir, name), write); err != nil {
			return fmt.Errorf("write examples: %w", err)
		}
		return nil
	}
	floats := func(name string, data []float32) error {
		return file(name, func(w io.Writer) error {
			return npy.Write(w, npy.Array{Shape: []int{n, len(data) / n}, Data: data})
		})
	}
	var err error
	switch {
	case m.Pixels != nil:
		var all []uint8
		for _, x := range e.list {
			all = append(all, x.pixels...)
		}
		err = file("images.npy", func(w io.Writer) error {
			return npy.WriteUint8(w, []int{n, m.Pixels.Height, m.Pixels.Width, 3}, all)
		})
	case m.Tokens != nil:
		longest := 0
		for _, x := range e.list {
			longest = max(longest, len(x.tokens))
		}
		ids, mask := make([]int64, n*longest), make([]int64, n*longest)
		for i, x := range e.list {
			for j, id := range x.tokens {
				ids[i*longest+j], mask[i*longest+j] = int64(id), 1
			}
		}
		err = errors.Join(
			file("ids.npy", func(w io.Writer) error { return npy.WriteInt64(w, []int{n, longest}, ids) }),
			file("mask.npy", func(w io.Writer) error { return npy.WriteInt64(w, []int{n, longest}, mask) }))
	default:
		var all []float32
		for _, x := range e.list {
			all = append(all, x.numbers...)
		}
		err = floats("vectors.npy", all)
	}
	return errors.Join(err, floats("outputs.npy", slices.Concat(e.answers...)))
}

func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
