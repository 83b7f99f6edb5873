package kerasfile

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/hdf5"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// Files in a .keras archive.
const (
	configFile  = "config.json"
	weightsFile = "model.weights.h5"
)

// IsArchive tells whether an archive is one of Keras.
func IsArchive(entries map[string]*mapped.Entry) bool {
	return entries[configFile] != nil && (entries[weightsFile] != nil || entries["model.weights.npz"] != nil)
}

// ParseArchive reads a .keras archive.
func ParseArchive(entries map[string]*mapped.Entry) ([]stored.Tensor, error) {
	if entries[weightsFile] == nil {
		return nil, errors.New("its weights are arrays of NumPy (.npz), which are not read: save it again with h5py installed")
	}
	text, err := entries[configFile].Bytes()
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, fmt.Errorf("%s is no JSON", configFile)
	}
	config := readConfig(text, 0)
	data, err := entries[weightsFile].Bytes()
	if err != nil {
		return nil, err
	}
	tensors, err := parse(data, config.names())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", weightsFile, err)
	}
	return tensors, nil
}

// ParseHDF5 reads a .h5 file of any kind.
func ParseHDF5(data []byte) ([]stored.Tensor, error) { return parse(data, nil) }

// parse reads a .h5 file. Names of layers that are not in it are taken from those given, by the path of
// the layer's group.
func parse(data []byte, names map[string]string) ([]stored.Tensor, error) {
	root, err := hdf5.Parse(data)
	if err != nil {
		return nil, err
	}
	tree := newTree(root)
	var tensors []stored.Tensor
	if group, err := listed(tree); err != nil {
		return nil, err
	} else if group != nil {
		tensors, err = byList(group)
		if err != nil {
			return nil, err
		}
	} else if tensors, err = byGroup(root, names); err != nil {
		return nil, err
	}
	if len(tensors) == 0 {
		return nil, errors.New("an HDF5 file without weights of Keras")
	}
	for i := range tensors {
		if tensors[i].Type == "V2" { // all that NumPy can say of a bfloat16
			tensors[i].Type = stored.BF16
		}
	}
	tidy(tensors)
	if name := repeated(tensors); name != "" {
		return nil, fmt.Errorf("two of its tensors are called %q", name)
	}
	return tensors, nil
}

// repeated returns a name that two tensors have; "" if there is none.
func repeated(tensors []stored.Tensor) string {
	seen := map[string]bool{}
	for _, t := range tensors {
		if seen[t.Name] {
			return t.Name
		}
		seen[t.Name] = true
	}
	return ""
}
