package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tensors []Tensor
		names := rapid.SliceOfNDistinct(rapid.String().Filter(func(s string) bool { return s != "__metadata__" }), 0, 5, rapid.ID).Draw(t, "names")
		for _, name := range names {
			x := Tensor{Name: strings.ToValidUTF8(name, "?"), Shape: rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")}
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			x.Data = rapid.SliceOfN(rapid.Float32(), n, n).Draw(t, "data")
			tensors = append(tensors, x)
		}
		metadata := rapid.MapOfN(rapid.StringMatching(`[a-z]+`), rapid.StringMatching(`[a-z]*`), 0, 3).Draw(t, "metadata")
		var b bytes.Buffer
		if err := Write(&b, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		f, err := Parse(b.Bytes(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Tensors()) != len(tensors) || len(metadata)+len(f.Metadata()) > 0 && !reflect.DeepEqual(f.Metadata(), metadata) {
			t.Fatalf("%d tensors, metadata %v", len(f.Tensors()), f.Metadata())
		}
		for _, x := range tensors {
			shape, data, err := f.Float32(x.Name)
			if err != nil {
				t.Fatal(err)
			}
			if len(shape) != len(x.Shape) || len(shape) > 0 && !reflect.DeepEqual(shape, x.Shape) {
				t.Fatalf("shape %v, want %v", shape, x.Shape)
			}
			for i := range data {
				if math.Float32bits(data[i]) != math.Float32bits(x.Data[i]) {
					t.Fatalf("%q[%d] = %v, want %v", x.Name, i, data[i], x.Data[i])
				}
			}
		}
	})
}

// TestTypes reads testdata/types.safetensors, which Hugging Face's own library wrote
// (testdata/make.py): the same numbers in each type.
func TestTypes(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "types.safetensors"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []float32{0, 1, -2.5, 0.0625, 240, -0.15625}
	for _, name := range []string{"F64", "F32", "F16", "BF16"} {
		shape, data, err := f.Float32(name)
		if err != nil || !reflect.DeepEqual(shape, []int{2, 3}) || !reflect.DeepEqual(data, want) {
			t.Errorf("%s: %v %v %v, want %v", name, shape, data, err, want)
		}
	}
	if shape, data, err := f.Float32("scalar"); err != nil || len(shape) != 0 || len(data) != 1 || data[0] != 3 {
		t.Errorf("scalar: %v %v %v", shape, data, err)
	}
	if shape, data, err := f.Float32("empty"); err != nil || !reflect.DeepEqual(shape, []int{0, 4}) || len(data) != 0 {
		t.Errorf("empty: %v %v %v", shape, data, err)
	}
	if _, _, err := f.Float32("I64"); err == nil || !strings.Contains(err.Error(), "I64") {
		t.Errorf("a tensor of whole numbers: error %v", err)
	}
	if f.Metadata()["made by"] != "make.py" {
		t.Errorf("metadata %v", f.Metadata())
	}
}

// file builds a file of a header and so many bytes.
func file(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

func TestDamagedFilesAreRefused(t *testing.T) {
	huge := binary.LittleEndian.AppendUint64(nil, 1<<60)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":            {nil, "too few"},
		"huge header":      {append(huge, '{'), "longer than the format allows"},
		"short":            {file(`{}`, 0)[:9], "truncated"},
		"no JSON":          {file(`hello`, 0), "no JSON object"},
		"no header":        {file(``, 0), "no JSON object"},
		"more":             {file(`{}{}`, 0), "more after"},
		"unknown type":     {file(`{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}`, 1), "unknown type"},
		"no offsets":       {file(`{"a":{"dtype":"F32","shape":[1]}}`, 4), "two numbers"},
		"past the end":     {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 4), "outside the file"},
		"backwards":        {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "outside the file"},
		"negative":         {file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "does not fit"},
		"too many":         {file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}`, 4), "does not fit"},
		"overflow":         {file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "does not fit"},
		"empty, negative":  {file(`{"a":{"dtype":"F32","shape":[0,-1],"data_offsets":[0,0]}}`, 0), "does not fit"},
		"odd bytes":        {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}}`, 5), "does not fit"},
		"overlap":          {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "ends at"},
		"gap":              {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "ends at"},
		"trailing bytes":   {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8), "truncated or damaged"},
		"twice":            {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "twice"},
		"truncated header": {file(`{"a":{"dtype":"F32"`, 0), "header"},
	} {
		if _, err := Parse(c.data, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := Open(t.TempDir(), nil); err == nil {
		t.Error("opened a folder")
	}
}

func TestWriteRefusesWhatCannotBeRead(t *testing.T) {
	for _, tensors := range [][]Tensor{
		{{Name: "a", Shape: []int{2}, Data: []float32{1}}},
		{{Name: "a", Data: []float32{1}}, {Name: "a", Data: []float32{1}}},
		{{Name: "__metadata__", Data: []float32{1}}},
	} {
		if err := Write(&bytes.Buffer{}, tensors, nil); err == nil {
			t.Errorf("wrote %v", tensors)
		}
	}
}

func FuzzParse(f *testing.F) {
	types, err := os.ReadFile(filepath.Join("testdata", "types.safetensors"))
	if err != nil {
		f.Fatal(err)
	}
	budgettest.Seeds(f, 1000, types, file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		file(`{"__metadata__":{"a":"b"},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}`, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		budgettest.Within(t, len(data), func() { file, err = Parse(data, nil) })
		if err != nil {
			return
		}
		for _, info := range file.Tensors() {
			shape, values, err := file.Float32(info.Name)
			if err != nil {
				continue
			}
			n := 1
			for _, d := range shape {
				n *= d
			}
			if n != len(values) || info.Elements() != n {
				t.Errorf("tensor %q of shape %v has %d values", info.Name, shape, len(values))
			}
		}
	})
}
