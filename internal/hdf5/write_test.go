package hdf5_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/hdf5"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// written is a file with what Keras writes, many links in a group, and shapes of all ranks.
func written(t *testing.T) ([]byte, hdf5.Group) {
	t.Helper()
	root := hdf5.Group{Groups: []hdf5.Group{{
		Name: "layers", Texts: []hdf5.Text{{Name: "empty"}},
		Groups: []hdf5.Group{{Name: "conv2d", Groups: []hdf5.Group{{
			Name: "vars", Texts: []hdf5.Text{{Name: "name", Value: "stem.conv ü"}},
			Datasets: []hdf5.Dataset{{Name: "0", Shape: []int{3, 2, 1, 2}, Type: stored.F32, Data: count(12)}, {Name: "1", Shape: []int{2}, Type: stored.F16, Data: []float32{0.5, -2}}},
		}}}},
	}}}
	for i := range 300 {
		root.Groups = append(root.Groups, hdf5.Group{Name: fmt.Sprint("many", i), Datasets: []hdf5.Dataset{{Name: "scalar", Type: stored.F32, Data: []float32{float32(i)}}}})
	}
	var b bytes.Buffer
	if err := hdf5.Write(&b, root); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("TLPIPE_HDF5"); path != "" { // for h5dump and h5py
		if err := os.WriteFile(filepath.Clean(path), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes(), root
}

func TestWrittenIsRead(t *testing.T) {
	data, root := written(t)
	var check func(o *hdf5.Object, g hdf5.Group)
	check = func(o *hdf5.Object, g hdf5.Group) {
		for _, text := range g.Texts {
			if got, there, err := o.Texts(text.Name); err != nil || !there || got[0] != text.Value {
				t.Errorf("%s: attribute %s is %q (%v), want %q", g.Name, text.Name, got, err, text.Value)
			}
		}
		links, err := o.Links()
		if err != nil || len(links) != len(g.Groups)+len(g.Datasets) {
			t.Fatalf("%s: links %v, error %v", g.Name, links, err)
		}
		for i, l := range links {
			child, err := o.Open(l)
			if err != nil {
				t.Fatal(err)
			}
			if i < len(g.Groups) {
				if l.Name != g.Groups[i].Name {
					t.Errorf("link %q, want %q", l.Name, g.Groups[i].Name)
				}
				check(child, g.Groups[i])
				continue
			}
			want := g.Datasets[i-len(g.Groups)]
			got, is, err := child.Dataset(l.Name)
			if err != nil || !is || l.Name != want.Name || got.Type != want.Type || !slices.Equal(got.Shape, want.Shape) {
				t.Fatalf("dataset %v %v: %v, want %v", got, is, err, want)
			}
			if numbers, err := got.Float32(); err != nil || !slices.Equal(numbers, want.Data) {
				t.Errorf("%s: numbers %v (%v), want %v", want.Name, numbers, err, want.Data)
			}
		}
	}
	o, err := hdf5.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	check(o, root)
	again, _ := written(t)
	if !bytes.Equal(data, again) {
		t.Error("the same group gave other bytes")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, g := range map[string]hdf5.Group{
		"a name twice":      {Groups: []hdf5.Group{{Name: "a"}, {Name: "a"}}},
		"a name of a path":  {Groups: []hdf5.Group{{Name: "a/b"}}},
		"too few numbers":   {Datasets: []hdf5.Dataset{{Name: "a", Shape: []int{3}, Type: stored.F32, Data: count(2)}}},
		"an unknown type":   {Datasets: []hdf5.Dataset{{Name: "a", Shape: []int{2}, Type: stored.I64, Data: count(2)}}},
		"a name of nothing": {Groups: []hdf5.Group{{Name: "a", Groups: []hdf5.Group{{}}}}},
	} {
		if err := hdf5.Write(new(bytes.Buffer), g); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}
