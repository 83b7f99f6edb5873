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

// ParseArchive reads the tensors of a .keras archive.
func ParseArchive(entries map[string]*mapped.Entry) ([]stored.Tensor, error) {
	_, tensors, err := parseArchive(entries)
	if err != nil {
		return nil, err
	}
	return tidied(tensors)
}

// parseArchive reads the configuration of a .keras archive, and its tensors under the names that it gives to layers.
func parseArchive(entries map[string]*mapped.Entry) (config []byte, tensors []stored.Tensor, err error) {
	if entries[weightsFile] == nil {
		return nil, nil, errors.New("its weights are arrays of NumPy (.npz), which are not read: save it again with h5py installed")
	}
	if config, err = entries[configFile].Bytes(); err != nil {
		return nil, nil, err
	}
	if !json.Valid(config) {
		return nil, nil, fmt.Errorf("%s is no JSON", configFile)
	}
	data, err := entries[weightsFile].Bytes()
	if err != nil {
		return nil, nil, err
	}
	if tensors, err = parse(data, readConfig(config, 0).names()); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", weightsFile, err)
	}
	return config, tensors, nil
}

// ParseHDF5 reads a .h5 file of any kind.
func ParseHDF5(data []byte) ([]stored.Tensor, error) {
	tensors, err := parse(data, layerNames{})
	if err != nil {
		return nil, err
	}
	return tidied(tensors)
}

// tidied are the tensors of a file of weights, under the names of today.
func tidied(tensors []stored.Tensor) ([]stored.Tensor, error) {
	if len(tensors) == 0 {
		return nil, errors.New("an HDF5 file without weights of Keras")
	}
	tidy(tensors)
	return tensors, refuseRepeated(tensors)
}

// parse reads a .h5 file. Names and order of layers that are not in it are taken from what is known.
func parse(data []byte, known layerNames) ([]stored.Tensor, error) {
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
	} else if tensors, err = byGroup(root, known); err != nil {
		return nil, err
	}
	for i := range tensors {
		if tensors[i].Type == "V2" { // all that NumPy can say of a bfloat16
			tensors[i].Type = stored.BF16
		}
	}
	return tensors, nil
}

// refuseRepeated is an error if two tensors have one name.
func refuseRepeated(tensors []stored.Tensor) error {
	seen := map[string]bool{}
	for _, t := range tensors {
		if seen[t.Name] {
			return fmt.Errorf("two of its tensors are called %q", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}
