package npy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/npy"
)

// file is a file as numpy.save writes it.
func file(version byte, header string, data ...byte) []byte {
	b := append([]byte("\x93NUMPY"), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	}
	return append(append(b, header...), data...)
}

func numbers(order binary.AppendByteOrder, x ...float32) (raw []byte) {
	for _, v := range x {
		raw = order.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

func head(descr string, fortran, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }       \n", descr, fortran, shape)
}

// NumPy's own files: testdata/make.py.
func TestFilesOfNumPy(t *testing.T) {
	for name, c := range map[string]struct {
		shape []int
		want  string // of the error; "" if the file is 0, 0.5, 1 …
	}{
		"plain.npy":      {[]int{2, 3, 4}, ""},
		"big_endian.npy": {[]int{2, 3, 4}, ""},
		"vector.npy":     {[]int{24}, ""},
		"version2.npy":   {[]int{2, 3, 4}, ""},
		"float64.npy":    {nil, "holds <f8, not float32: write x.astype(numpy.float32)"},
		"fortran.npy":    {nil, "numpy.ascontiguousarray"},
		"structured.npy": {nil, "holds [("},
	} {
		a, err := npy.ReadFile(filepath.Join("testdata", name))
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: error %v, want one with %q", name, err, c.want)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(a.Shape, c.shape) || len(a.Data) != 24 {
			t.Errorf("%s: shape %v, %d numbers, error %v", name, a.Shape, len(a.Data), err)
			continue
		}
		for i, v := range a.Data {
			if v != float32(i)/2 {
				t.Errorf("%s: number %d is %v", name, i, v)
			}
		}
	}
}

func TestScalar(t *testing.T) {
	raw := file(1, head("<f4", "False", "()"), numbers(binary.LittleEndian, 1.5)...)
	a, err := npy.Read(bytes.NewReader(raw), int64(len(raw)))
	if err != nil || len(a.Shape) != 0 || len(a.Data) != 1 || a.Data[0] != 1.5 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	four := numbers(binary.LittleEndian, 1, 2, 3, 4)
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"empty":           {nil, "no NumPy file"},
		"something else":  {[]byte("PK\x03\x04 an archive"), "no NumPy file"},
		"version 9":       {file(9, ""), "version 9"},
		"no length":       {file(2, "")[:9], "the length of the header"},
		"header cut off":  {file(1, head("<f4", "False", "(4,)"))[:30], "truncated"},
		"no header":       {file(1, ""), "does not tell descr"},
		"no shape":        {file(1, "{'descr': '<f4', 'fortran_order': False}"), "does not tell shape"},
		"negative":        {file(1, head("<f4", "False", "(-4,)"), four...), "does not tell shape"},
		"too long":        {file(1, head("<f4", "False", "(99999999999999999999,)"), four...), "shape"},
		"of 2^60 numbers": {file(1, head("<f4", "False", "(1073741824, 1073741824)"), four...), "truncated"},
		"that overflows":  {file(1, head("<f4", "False", "(4611686018427387904, 4, 4)"), four...), "truncated"},
		"truncated":       {file(1, head("<f4", "False", "(4,)"), four[:15]...), "takes 16 bytes after the header, the file has 15: truncated"},
		"too much":        {file(1, head("<f4", "False", "(3,)"), four...), "takes 12 bytes after the header, the file has 16: damaged"},
		"no numbers":      {file(1, head("<f4", "False", "(0, 4)")), "empty"},
	} {
		if _, err := npy.Read(bytes.NewReader(c.raw), int64(len(c.raw))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := npy.ReadFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := npy.ReadFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	seeds := [][]byte{
		file(1, head("<f4", "False", "(2, 2)"), numbers(binary.LittleEndian, 1, 2, 3, 4)...),
		file(2, head(">f4", "True", "(4,)"), 0, 0, 0, 0),
		file(3, "{'shape': (,), 'descr': [('a', '<f4')], 'fortran_order': False}"),
	}
	if entries, err := os.ReadDir("testdata"); err == nil {
		for _, e := range entries {
			if raw, err := os.ReadFile(filepath.Join("testdata", e.Name())); err == nil {
				seeds = append(seeds, raw)
			}
		}
	}
	budgettest.Seeds(f, 1000, seeds...)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a npy.Array
		var err error
		budgettest.Within(t, len(raw), func() { a, err = npy.Read(bytes.NewReader(raw), int64(len(raw))) })
		if err != nil {
			return
		}
		n := 1
		for _, d := range a.Shape {
			n *= d
		}
		if n != len(a.Data) || 4*n > len(raw) {
			t.Errorf("shape %v of %d numbers in %d bytes", a.Shape, len(a.Data), len(raw))
		}
	})
}
