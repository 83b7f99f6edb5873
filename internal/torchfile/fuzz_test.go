package torchfile_test

import (
	"archive/zip"
	"bytes"
	"io"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// readAll reads all tensors that are not large.
func readAll(t *testing.T, tensors []stored.Tensor) {
	for _, x := range tensors {
		if !x.Type.Real() || x.Elements() > 1<<20 {
			continue
		}
		data, err := x.Float32()
		if err == nil && len(data) != x.Elements() {
			t.Errorf("tensor %q of shape %v has %d numbers", x.Name, x.Shape, len(data))
		}
	}
}

// FuzzParseStream reads files of the old format.
func FuzzParseStream(f *testing.F) {
	var seeds [][]byte
	for _, name := range []string{"state_legacy.pth", "protocol4_legacy.pth", "views_legacy.pth", "types_legacy.pth", "hostile_legacy.pth", "module_legacy.pth", "plain.pkl"} {
		seeds = append(seeds, content(f, name))
	}
	budgettest.Seeds(f, 500, seeds...)
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Within(t, len(data), func() {
			if tensors, err := parse(append([]byte{0x80}, data[min(1, len(data)):]...)); err == nil {
				readAll(t, tensors)
			}
		})
	})
}

// FuzzPickle reads archives that hold a pickle and a storage of 64 bytes.
func FuzzPickle(f *testing.F) {
	var seeds [][]byte
	for _, name := range []string{"state.pth", "protocol3.pth", "protocol5.pth", "views.pth", "types.pth", "checkpoint.pth", "ema.pth", "hostile.pth"} {
		seeds = append(seeds, pickleOf(f, content(f, name)))
	}
	budgettest.Seeds(f, 500, seeds...)
	f.Fuzz(func(t *testing.T, pickle []byte) {
		budgettest.Within(t, len(pickle), func() {
			tensors, err := parse(archiveOf(t, pickle))
			if err == nil {
				readAll(t, tensors)
			}
		})
	})
}

func pickleOf(t testing.TB, archive []byte) []byte {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range r.File {
		if len(file.Name) > 9 && file.Name[len(file.Name)-9:] == "/data.pkl" {
			in, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			pickle, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			return pickle
		}
	}
	t.Fatal("no pickle")
	return nil
}

func archiveOf(t testing.TB, pickle []byte) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, entry := range []struct {
		name    string
		content []byte
	}{{"data.pkl", pickle}, {"data/0", make([]byte, 64)}, {"data/1", make([]byte, 64)}, {"byteorder", []byte("little")}} {
		in, err := w.CreateHeader(&zip.FileHeader{Name: "archive/" + entry.name, Method: zip.Store})
		if err == nil {
			_, err = in.Write(entry.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
