package torchfile_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/torchfile"
)

// parse reads either format.
func parse(data []byte) ([]stored.Tensor, error) {
	if !strings.HasPrefix(string(data), "PK") {
		return torchfile.ParseStream(data)
	}
	entries, err := mapped.Zip(data)
	if err != nil {
		return nil, err
	}
	return torchfile.ParseZip(entries)
}

// read parses a file that testdata/make.py made.
func read(t *testing.T, name string) map[string]stored.Tensor {
	t.Helper()
	tensors, err := parse(content(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	out := map[string]stored.Tensor{}
	for _, x := range tensors {
		out[x.Name] = x
	}
	if len(out) != len(tensors) {
		t.Fatalf("%s: a name stands there twice", name)
	}
	return out
}

func content(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// check holds a tensor against its shape and numbers.
func check(t *testing.T, file string, x stored.Tensor, shape []int, want []float32) {
	t.Helper()
	data, err := x.Float32()
	if err != nil || !slices.Equal(x.Shape, shape) || !slices.Equal(data, want) {
		t.Errorf("%s: %s: %v %v %v, want %v %v", file, x.Name, x.Shape, data, err, shape, want)
	}
}

// count returns n numbers from first on.
func count(first float32, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = first + float32(i)
	}
	return out
}

func TestStateDicts(t *testing.T) {
	for _, name := range []string{
		"state.pth", "state_legacy.pth", "protocol3.pth", "protocol4.pth", "protocol5.pth", "protocol4_legacy.pth",
		"checkpoint.pth", "ema.pth", "model_state_legacy.pth",
	} {
		got := read(t, name)
		if len(got) != 7 {
			t.Errorf("%s: %d tensors", name, len(got))
		}
		check(t, name, got["conv.weight"], []int{3, 2, 2, 2}, count(0, 24))
		for i, rest := range []string{"conv.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"} {
			check(t, name, got[rest], []int{3}, count(float32(100*(i+1)), 3))
		}
		if x := got["bn.num_batches_tracked"]; x.Type != stored.I64 || len(x.Shape) != 0 {
			t.Errorf("%s: num_batches_tracked is %v", name, x)
		}
	}
}

func TestViews(t *testing.T) {
	for _, name := range []string{"views.pth", "views_legacy.pth"} {
		got := read(t, name)
		var turned, channelsLast []float32
		for column := range 6 {
			for row := range 4 {
				turned = append(turned, float32(6*row+column))
			}
		}
		check(t, name, got["all"], []int{4, 6}, count(0, 24))
		check(t, name, got["turned"], []int{6, 4}, turned)
		check(t, name, got["part"], []int{2, 3}, []float32{8, 9, 10, 14, 15, 16})
		check(t, name, got["every second"], []int{12}, []float32{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23})
		check(t, name, got["channels last"], []int{1, 2, 3, 4}, append(channelsLast, count(0, 24)...))
		check(t, name, got["row"], []int{6}, count(12, 6))
		check(t, name, got["scalar"], []int{}, []float32{7})
		check(t, name, got["empty"], []int{0, 3}, []float32{})
		check(t, name, got["parameter"], []int{3}, count(0, 3))
	}
}

func TestTypes(t *testing.T) {
	want := []float32{0, 1, -2.5, 0.0625, 240, -0.15625}
	for _, name := range []string{"types.pth", "types_legacy.pth", "big.pth"} {
		real := 0
		for _, x := range read(t, name) {
			if string(x.Type) != x.Name {
				t.Errorf("%s: %s has type %s", name, x.Name, x.Type)
			}
			if x.Type.Real() {
				real++
				check(t, name, x, []int{2, 3}, want)
			} else if _, err := x.Float32(); err == nil || !strings.Contains(err.Error(), x.Name) {
				t.Errorf("%s: %s: error %v", name, x.Name, err)
			}
		}
		if want := map[string]int{"big.pth": 2, "types.pth": 4, "types_legacy.pth": 4}[name]; real != want {
			t.Errorf("%s: %d types are real, want %d", name, real, want)
		}
	}
}

func TestWhatIsNotAStateDictIsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"module.pth":         "save model.state_dict() in its place",
		"module_legacy.pth":  "Save model.state_dict() in its place",
		"tensor.pth":         "it holds a tensor, not a dict",
		"nothing.pth":        "epoch, optimizer",
		"hostile.pth":        "posix.system to be called, which has no place among weights; nothing was run",
		"hostile_legacy.pth": "posix.system to be called, which has no place among weights; nothing was run",
		"script.pt":          "TorchScript",
		"plain.pkl":          "none that torch.save wrote",
		"quantised.pth":      "it holds no state dict",
		"sparse.pth":         "it holds no state dict",
	} {
		if _, err := parse(content(t, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// TestNoTruncatedFileIsRead cuts files at every byte.
func TestNoTruncatedFileIsRead(t *testing.T) {
	for _, name := range []string{"state.pth", "state_legacy.pth", "views_legacy.pth"} {
		data := content(t, name)
		for n := range data {
			if _, err := parse(data[:n]); err == nil {
				t.Errorf("%s: its first %d of %d bytes were read", name, n, len(data))
			}
		}
	}
}

// TestDamagedNumbersAreNoticed flips a bit in the numbers of an archive, which has checksums.
func TestDamagedNumbersAreNoticed(t *testing.T) {
	data := content(t, "state.pth")
	at := strings.Index(string(data), string([]byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40})) // 1, 2
	if at < 0 {
		t.Fatal("the numbers are not there")
	}
	data[at] ^= 1
	tensors, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tensors[0].Float32(); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error %v", err)
	}
}

func TestSharedStorage(t *testing.T) {
	got := read(t, "views.pth")
	if !reflect.DeepEqual(got["all"].Content, got["part"].Content) {
		t.Error("tensors that share a storage have one each")
	}
}

// What is written is read back, in float32 and rounded to float16; the count of steps is a note beside the weights.
func TestWrite(t *testing.T) {
	data := []float32{1, -2.5, 3e-3, 4, 5, 6}
	var file bytes.Buffer
	err := torchfile.Write(&file, []torchfile.Entry{
		{Name: "conv.weight", Shape: []int{1, 2, 3}, Type: stored.F32, Data: data},
		{Name: "bn.num_batches_tracked", Type: stored.I64, Count: 7},
		{Name: "half", Shape: []int{6}, Type: stored.F16, Data: data},
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := mapped.Zip(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := torchfile.ParseZip(entries)
	if err != nil {
		t.Fatal(err)
	}
	if len(tensors) != 3 || tensors[0].Name != "conv.weight" || !slices.Equal(tensors[0].Shape, []int{1, 2, 3}) || tensors[1].Type != stored.I64 || tensors[2].Type != stored.F16 {
		t.Fatalf("read back: %v", tensors)
	}
	if got, err := tensors[0].Float32(); err != nil || !slices.Equal(got, data) {
		t.Errorf("float32: %v, %v", got, err)
	}
	got, err := tensors[2].Float32()
	for i, v := range data {
		if err != nil || math.Abs(float64(got[i]-v)) > 1e-3*math.Abs(float64(v)) {
			t.Errorf("float16: %v, %v", got, err)
		}
	}
	if err := torchfile.Write(&file, []torchfile.Entry{{Name: "short", Shape: []int{3}, Type: stored.F32, Data: data}}); err == nil {
		t.Error("a tensor with another number of numbers than its shape has is written")
	}
}
