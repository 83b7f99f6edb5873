package weightfile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// TestFormats opens a file of each format under a name that says nothing.
func TestFormats(t *testing.T) {
	for _, path := range []string{
		"../safetensors/testdata/types.safetensors",
		"../torchfile/testdata/state.pth",
		"../torchfile/testdata/state_legacy.pth",
		"../kerasfile/testdata/list.h5",
		"../kerasfile/testdata/groups.weights.h5",
		"../kerasfile/testdata/archive.keras",
	} {
		data, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		unnamed := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(unnamed, data, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := weightfile.Open(unnamed)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		read := 0
		for _, x := range f.Tensors {
			if x.Type.Real() {
				read++
				if _, err := x.Float32(); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
		if read < 4 {
			t.Errorf("%s: %d tensors were read", path, read)
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestWhatIsNoFileOfWeights(t *testing.T) {
	tar := make([]byte, 512)
	copy(tar[257:], "ustar")
	for name, c := range map[string]struct{ data, want string }{
		"empty":         {"", "the file is empty"},
		"short":         {"abc", "not a file of weights"},
		"text":          {"hello, world, these are no weights", "not a file of weights"},
		"huge header":   {string(binary.LittleEndian.AppendUint64(nil, 1<<60)) + `{"a":`, "longer than the format allows"},
		"page":          {"\n <!DOCTYPE html><html>404</html>", "a web page"},
		"pointer":       {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "git lfs pull"},
		"gzip":          {"\x1f\x8b\x08\x00", "decompress it first"},
		"tar":           {string(tar), "tar archive"},
		"pickle":        {"\x80\x02]q\x00.", "none that torch.save wrote"},
		"broken zip":    {"PK\x03\x04 and no more", "truncated or damaged"},
		"another zip":   {"PK\x05\x06" + strings.Repeat("\x00", 18), "not a file of weights"},
		"picture":       {"\x89PNG\r\n\x1a\n", "a picture"},
		"JSON":          {`{"a": {}}`, "JSON"},
		"index":         {`{"metadata": {}, "weight_map": {}}`, "name the index that lies beside them"},
		"NumPy's array": {"\x93NUMPY\x01\x00", ".npy"},
		"ONNX":          {"\x08\x07\x12\x07pytorch\x1a\x052.8.0", "ONNX"},
	} {
		if _, err := weightfile.Parse([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := weightfile.Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: error %v", err)
	}
}

// TestAFileThatIsShortened cuts a file while it is open. Whether its numbers are still there is the
// system's choice; that the program goes on is not.
func TestAFileThatIsShortened(t *testing.T) {
	data, err := os.ReadFile(filepath.FromSlash("../safetensors/testdata/types.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	header := binary.LittleEndian.Uint64(data)
	padded := binary.LittleEndian.AppendUint64(nil, header+1<<16)
	padded = append(append(padded, data[8:8+header]...), bytes.Repeat([]byte(" "), 1<<16)...)
	padded = append(padded, data[8+header:]...)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, padded, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := weightfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 8); err != nil {
		t.Fatal(err)
	}
	for _, x := range f.Tensors {
		if !x.Type.Real() || x.Elements() == 0 {
			continue
		}
		if _, err := x.Float32(); err != nil && !strings.Contains(err.Error(), "was shortened") {
			t.Error(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// A file with more names than any network has is refused before each is held against every network.
func TestTooManyTensors(t *testing.T) {
	var header bytes.Buffer
	header.WriteString(`{`)
	for i := range weightfile.MaxTensors + 1 {
		if i > 0 {
			header.WriteByte(',')
		}
		fmt.Fprintf(&header, `"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i)
	}
	header.WriteString(`}`)
	data := append(binary.LittleEndian.AppendUint64(nil, uint64(header.Len())), header.Bytes()...)
	if _, err := weightfile.Parse(data); err == nil || !strings.Contains(err.Error(), "it has more than 32768 entries, which is the limit for it") {
		t.Error(err)
	}
}
