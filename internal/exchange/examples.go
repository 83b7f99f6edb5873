package exchange

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/npy"
)

// write writes the pixels, uint8 [n, height, width, 3], and the answers, float32 [n, classes], into a folder.
func (e *examples) write(dir string, p *deploy.Pixels) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	n := len(e.pixels)
	images, answers := slices.Concat(e.pixels...), slices.Concat(e.answers...)
	if err := writeFile(filepath.Join(dir, "images.npy"), func(w io.Writer) error {
		return npy.WriteUint8(w, []int{n, p.Height, p.Width, 3}, images)
	}); err != nil {
		return fmt.Errorf("write examples: %w", err)
	}
	if err := writeFile(filepath.Join(dir, "outputs.npy"), func(w io.Writer) error {
		return npy.Write(w, npy.Array{Shape: []int{n, len(answers) / n}, Data: answers})
	}); err != nil {
		return fmt.Errorf("write examples: %w", err)
	}
	return nil
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
