package predict

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// ReadFile reads a model from a safetensors file as `tlpipe show --export`
// writes it: with architecture, classes and preparation in the metadata.
func ReadFile(path string) (_ *classifier.Classifier, err error) {
	f, err := safetensors.Open(path, weightfile.Budget())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m := record.Model{Metadata: maps.Clone(f.Metadata())}
	architecture, ok := m.Metadata[record.ArchitectureKey]
	if !ok {
		return nil, fmt.Errorf("%s: not a model of tlpipe: there is no %s in its metadata", path, record.ArchitectureKey)
	}
	m.Architecture = json.RawMessage(architecture)
	if err := json.Unmarshal([]byte(m.Metadata[record.ClassesKey]), &m.Classes); err != nil {
		return nil, fmt.Errorf("%s: class names: %w", path, err)
	}
	delete(m.Metadata, record.ArchitectureKey)
	delete(m.Metadata, record.ClassesKey)
	for _, info := range f.Tensors() {
		shape, data, err := f.Float32(info.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		m.Tensors = append(m.Tensors, record.Tensor{Name: info.Name, Shape: shape, Data: data})
	}
	c, err := classifier.Parse(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
