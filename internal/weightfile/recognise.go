package weightfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/hdf5"
	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/torchfile"
)

// reader lists the tensors of a file of one format.
type reader func(data []byte) ([]stored.Tensor, error)

// recognise finds the format of a file by how it begins.
func recognise(data []byte) (reader, error) {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return archive, nil
	case len(data) > 2 && data[0] == 0x80 && data[1] <= 5:
		return of("PyTorch", torchfile.ParseStream), nil
	case hdf5.Is(data):
		return of("Keras", kerasfile.ParseHDF5), nil
	case len(data) > 8 && data[8] == '{' && !printable(data[:8]):
		return of("safetensors", safeTensors), nil
	}
	if what := foreign(data); what != "" {
		return nil, errors.New("these are no weights that can be read: " + what)
	}
	return nil, errors.New("not a file of weights: it begins neither as safetensors nor as PyTorch's or Keras' files do")
}

func safeTensors(data []byte) ([]stored.Tensor, error) {
	f, err := safetensors.Parse(data, Budget())
	if err != nil {
		return nil, err
	}
	return f.Tensors(), nil
}

// of puts the format's name before the errors of its reader.
func of(format string, read reader) reader {
	return func(data []byte) ([]stored.Tensor, error) {
		tensors, err := read(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", format, err)
		}
		return tensors, nil
	}
}

// archive reads a zip archive, of which there are several kinds.
func archive(data []byte) ([]stored.Tensor, error) {
	entries, err := mapped.Zip(data)
	if err != nil {
		return nil, err
	}
	format, parse := "PyTorch", torchfile.ParseZip
	if kerasfile.IsArchive(entries) {
		format, parse = "Keras", kerasfile.ParseArchive
	}
	for name := range entries {
		if strings.HasSuffix(name, ".npy") {
			return nil, errors.New("these are no weights that can be read: arrays of NumPy (.npz)")
		}
	}
	return of(format, func([]byte) ([]stored.Tensor, error) { return parse(entries) })(data)
}

// foreign tells what a file is that people have at hand in the place of weights; "" if it is not known.
func foreign(data []byte) string {
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return bytes.HasPrefix(data, []byte(p)) })
	}
	text := bytes.ToLower(bytes.TrimSpace(data[:min(len(data), 64)]))
	switch {
	case len(data) == 0:
		return "the file is empty"
	case begins("version https://git-lfs"):
		return "a pointer of Git LFS; `git lfs pull` fetches the file that it stands for"
	case bytes.HasPrefix(text, []byte("<!doctype")), bytes.HasPrefix(text, []byte("<html")), bytes.HasPrefix(text, []byte("<?xml")):
		return "a web page, perhaps in the place of a file that should have been downloaded"
	case begins("\x1f\x8b"):
		return "compressed with gzip; decompress it first"
	case begins("BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "7z\xbc\xaf"):
		return "compressed; decompress it first"
	case len(data) > 262 && string(data[257:262]) == "ustar":
		return "a tar archive, in which PyTorch before 0.1.10 kept tensors, too; unpack it, or load and save it with a newer PyTorch"
	case begins("GGUF"):
		return "GGUF"
	case len(data) > 8 && string(data[4:8]) == "TFL3":
		return "TensorFlow Lite"
	case begins("\x93NUMPY"):
		return "an array of NumPy (.npy)"
	case begins("\x08") && bytes.Contains(data[:min(len(data), 256)], []byte("onnx")), begins("\x08") && bytes.Contains(data[:min(len(data), 256)], []byte("pytorch")):
		return "ONNX; backbone: onnx takes the network of such a file, or save the weights of the model that it was made from"
	case begins("ARROW1"):
		return "an Arrow file"
	case begins("\xff\xd8\xff", "\x89PNG", "GIF8"):
		return "a picture"
	case isIndex(data):
		return "the index of weights in several files, without those: name the index that lies beside them"
	case begins("{"), begins("["):
		return "JSON"
	}
	return ""
}

// printable tells whether bytes could be text.
func printable(data []byte) bool {
	for _, b := range data {
		if b < 0x20 && b != '\n' && b != '\r' && b != '\t' {
			return false
		}
	}
	return true
}
