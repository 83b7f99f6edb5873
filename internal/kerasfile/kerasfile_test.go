package kerasfile_test

import (
	"archive/zip"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
)

func content(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parse reads either kind of file.
func parse(data []byte) ([]stored.Tensor, error) {
	if !strings.HasPrefix(string(data), "PK") {
		return kerasfile.ParseHDF5(data)
	}
	entries, err := mapped.Zip(data)
	if err != nil {
		return nil, err
	}
	return kerasfile.ParseArchive(entries)
}

// network is the tensors of testdata/make.py's network.
func network() map[string][]int {
	return map[string][]int{
		"stem/kernel": {3, 3, 2, 3}, "stem/bias": {3},
		"stem_bn/gamma": {3}, "stem_bn/beta": {3}, "stem_bn/moving_mean": {3}, "stem_bn/moving_variance": {3},
		"batch_normalization/beta": {3}, "batch_normalization/moving_mean": {3}, "batch_normalization/moving_variance": {3},
		"dw/kernel":            {3, 3, 3, 1},
		"sep/depthwise_kernel": {3, 3, 3, 1}, "sep/pointwise_kernel": {1, 1, 3, 4}, "sep/bias": {4},
		"conv2d/kernel": {1, 1, 4, 2}, "conv2d/bias": {2},
		"conv2d_1/kernel": {1, 1, 2, 2}, "conv2d_1/bias": {2},
	}
}

func TestNamesAndNumbers(t *testing.T) {
	names := slices.Sorted(maps.Keys(network()))
	for _, file := range []string{
		"whole.h5", "list.h5", "keras2.h5", "groups.weights.h5", "archive.keras", "nameless.keras",
		"nested.h5", "nested.weights.h5",
	} {
		tensors, err := parse(content(t, file))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var got []string
		for _, x := range tensors {
			got = append(got, x.Name)
			want := make([]float32, x.Elements())
			for i := range want {
				want[i] = float32(100*slices.Index(names, x.Name) + i)
			}
			if data, err := x.Float32(); err != nil || !slices.Equal(data, want) || !slices.Equal(x.Shape, network()[x.Name]) {
				t.Errorf("%s: %s: %v %v, error %v", file, x.Name, x.Shape, data, err)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Errorf("%s: tensors %q, want %q", file, got, names)
		}
	}
}

func TestHalfPrecision(t *testing.T) {
	for file, kind := range map[string]stored.Type{
		"float16.h5": stored.F16, "float16.weights.h5": stored.F16,
		"bfloat16.h5": stored.BF16, "bfloat16.weights.h5": stored.BF16,
	} {
		tensors, err := parse(content(t, file))
		if err != nil || len(tensors) != 2 {
			t.Fatalf("%s: %v, error %v", file, tensors, err)
		}
		for _, x := range tensors {
			want := map[string][]float32{"d/kernel": {100, 101, 102, 103, 104, 105}, "d/bias": {0, 1}}[x.Name]
			if data, err := x.Float32(); err != nil || x.Type != kind || !slices.Equal(data, want) {
				t.Errorf("%s: %s: %s %v, error %v, want %v", file, x.Name, x.Type, data, err, want)
			}
		}
	}
}

func TestOlderNames(t *testing.T) {
	for file, want := range map[string][]string{
		"keras1.h5":  {"block1_conv1/kernel", "block1_conv1/bias", "bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance"},
		"slashes.h5": {"conv1_conv/kernel", "conv1_bn/beta", "bn/beta"},
		"nameless.weights.h5": {
			"layers.batch_normalization/gamma", "layers.batch_normalization/beta",
			"layers.batch_normalization/moving_mean", "layers.batch_normalization/moving_variance",
			"layers.batch_normalization_1/beta",
			"layers.batch_normalization_1/moving_mean", "layers.batch_normalization_1/moving_variance",
			"layers.conv2d/kernel", "layers.conv2d/bias",
			"layers.conv2d_1/kernel", "layers.conv2d_1/bias",
			"layers.conv2d_2/kernel", "layers.conv2d_2/bias",
			"layers.depthwise_conv2d/kernel",
			"layers.separable_conv2d/depthwise_kernel", "layers.separable_conv2d/pointwise_kernel", "layers.separable_conv2d/bias",
		},
	} {
		tensors, err := parse(content(t, file))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var got []string
		for _, x := range tensors {
			got = append(got, x.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for file, want := range map[string]string{
		"refused_packed.keras": "pack it anew without compression",
		"refused_other.h5":     "without weights of Keras",
		"refused_missing.h5":   "is listed and is not there",
		"refused_arrays.keras": "arrays of NumPy",
	} {
		if _, err := parse(content(t, file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", file, err, want)
		}
	}
}

func TestNoTruncatedFileIsRead(t *testing.T) {
	for _, file := range []string{"list.h5", "groups.weights.h5", "archive.keras"} {
		data := content(t, file)
		for n := 0; n < len(data); n += 61 {
			if _, err := parse(data[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes were read", file, n, len(data))
			}
		}
	}
}

func FuzzParseHDF5(f *testing.F) {
	var seeds [][]byte
	for _, file := range []string{"keras1.h5", "bfloat16.weights.h5", "refused_missing.h5"} {
		seeds = append(seeds, content(f, file))
	}
	budgettest.Seeds(f, 1000, seeds...)
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Within(t, len(data), func() {
			tensors, err := kerasfile.ParseHDF5(data)
			if err != nil {
				return
			}
			for _, x := range tensors {
				if x.Elements() < 1<<20 {
					_, _ = x.Float32()
				}
			}
		})
	})
}

// FuzzParseArchive reads archives with any configuration beside good weights.
func FuzzParseArchive(f *testing.F) {
	entries, err := mapped.Zip(content(f, "archive.keras"))
	if err != nil {
		f.Fatal(err)
	}
	config, err := entries["config.json"].Bytes()
	if err != nil {
		f.Fatal(err)
	}
	weights, err := entries["model.weights.h5"].Bytes()
	if err != nil {
		f.Fatal(err)
	}
	deep := strings.Repeat(`{"config":{"layers":[`, 3000) + strings.Repeat(" ", 1<<18) + strings.Repeat("]}}", 3000)
	budgettest.Seeds(f, 300, config, []byte(deep), []byte(`{"config":{"name":"a","layers":{}}}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		budgettest.Within(t, len(config)+len(weights), func() {
			entries, err := mapped.Zip(archive(t, map[string][]byte{"config.json": config, "model.weights.h5": weights}))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = kerasfile.ParseArchive(entries)
		})
	})
}

func archive(t *testing.T, files map[string][]byte) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		in, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = in.Write(files[name])
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
