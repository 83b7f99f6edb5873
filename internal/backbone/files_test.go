package backbone

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/safetensors"
)

// TestFilesOfFrameworks reads whole files of weights that the frameworks wrote, in every format, and
// holds features and logits against theirs. testdata/make_files.py makes them.
func TestFilesOfFrameworks(t *testing.T) {
	dir := os.Getenv("TLPIPE_FILES")
	if dir == "" || !heavy() {
		t.Skip("needs TLPIPE_HEAVY=1, and TLPIPE_FILES for the folder that testdata/make_files.py filled")
	}
	expected, err := safetensors.Open(filepath.Join(dir, "expected.safetensors"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer expected.Close()
	for _, file := range slices.Sorted(maps.Keys(expected.Metadata())) {
		t.Run(file, func(t *testing.T) {
			b, err := Find(expected.Metadata()[file])
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, file)
			if b, err = b.ForFile(path); err != nil {
				t.Fatal(err)
			}
			shape, image, err := expected.Float32(file + "/image")
			if err != nil {
				t.Fatal(err)
			}
			net, err := b.Network(shape[1], shape[2])
			if err != nil {
				t.Fatal(err)
			}
			w, err := b.LoadFile(path, net)
			if err != nil {
				t.Fatal(err)
			}
			layers := map[string]string{"pooled": b.Pooled, "logits": b.Logits}
			for what, layer := range layers {
				_, want, err := expected.Float32(file + "/" + what)
				if err != nil {
					t.Fatal(err)
				}
				program, err := frozen.Compile(net, w, layer)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]float32, program.OutputShape(0).Size())
				pool := kernel.NewPool(2)
				defer pool.Close()
				if err := program.NewSession(1).Run(pool, image, 1, got); err != nil {
					t.Fatal(err)
				}
				agree(t, what, got, want)
			}
		})
	}
}
