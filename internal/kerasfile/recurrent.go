package kerasfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/hdf5"
	"github.com/tlpipe/tlpipe/internal/mapped"
)

// RecurrentModel is what the configuration of a model says of its recurrent layers, beyond their weights.
type RecurrentModel struct {
	Layers []RecurrentLayer // in the model's order; those of both directions one after the other

	// Unmasked tells that padding is taken like other tokens: no embedding masks it.
	Unmasked bool
}

// RecurrentLayer is an LSTM or GRU.
type RecurrentLayer struct {
	Cell       string // lstm, gru
	Activation string // of the candidate, and of an LSTM's output
	Gates      string // their activation. HardSigmoid and HardSigmoid3 are different functions of one name
}

// The activations of gates that are called hard_sigmoid: clamp(x/5 + 1/2) before Keras 3, clamp(x/6 + 1/2) since.
const (
	HardSigmoid  = "hard_sigmoid"
	HardSigmoid3 = "hard_sigmoid of Keras 3"
)

// ReadRecurrent reads the configuration in a file: a .keras archive or the .h5 of a whole model. Other files, such as those of
// weights alone, say nothing: ok is false.
func ReadRecurrent(path string) (m RecurrentModel, ok bool, err error) {
	type found struct {
		RecurrentModel
		ok bool
	}
	f, closing, err := mapped.Parse(path, func(data []byte) (f found, err error) {
		config, version, err := configuration(data)
		if err != nil || config == nil {
			return f, err
		}
		masked := false
		f.add(config, strings.HasPrefix(version, "3"), &masked, 0)
		f.Unmasked, f.ok = !masked, true
		return f, nil
	})
	if err != nil {
		return m, false, err
	}
	return f.RecurrentModel, f.ok, closing()
}

// configuration returns that of the model in a file, and the version of Keras that wrote it; nil if there is none.
func configuration(data []byte) (config []byte, version string, err error) {
	if hdf5.Is(data) {
		root, err := hdf5.Parse(data)
		if err != nil {
			return nil, "", err
		}
		model, _, err := root.Texts("model_config")
		versions, _, wrong := root.Texts("keras_version")
		if err = errors.Join(err, wrong); err != nil || len(model) == 0 || len(versions) == 0 {
			return nil, "", err
		}
		return []byte(model[0]), versions[0], nil
	}
	entries, err := mapped.Zip(data)
	if err != nil || !IsArchive(entries) {
		return nil, "", nil // of another format
	}
	var metadata struct {
		Version string `json:"keras_version"`
	}
	if at := entries["metadata.json"]; at != nil {
		text, err := at.Bytes()
		if err == nil {
			err = json.Unmarshal(text, &metadata)
		}
		if err != nil {
			return nil, "", fmt.Errorf("metadata.json: %w", err)
		}
	}
	config, err = entries[configFile].Bytes()
	return config, metadata.Version, err
}

// add adds the layers of a configuration. What is no layer's tells nothing, and no more do layers too deep.
func (m *RecurrentModel) add(text []byte, three bool, masked *bool, depth int) {
	var l struct {
		Class  string          `json:"class_name"`
		Config json.RawMessage `json:"config"`
	}
	if depth > deepest || json.Unmarshal(text, &l) != nil {
		return
	}
	var config struct {
		Activation json.RawMessage   `json:"activation"`
		Gates      json.RawMessage   `json:"recurrent_activation"`
		Inner      json.RawMessage   `json:"inner_activation"` // of Keras 1
		Masked     bool              `json:"mask_zero"`
		Layer      json.RawMessage   `json:"layer"`          // of a wrapper
		Backward   json.RawMessage   `json:"backward_layer"` // of Bidirectional, if it differs
		Layers     []json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(l.Config, &config); err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return
	}
	switch l.Class {
	case "LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU":
		cell := strings.ToLower(strings.TrimPrefix(l.Class, "CuDNN"))
		gates := functionName(config.Gates, functionName(config.Inner, "sigmoid"))
		if three && gates == HardSigmoid {
			gates = HardSigmoid3
		}
		m.Layers = append(m.Layers, RecurrentLayer{Cell: cell, Activation: functionName(config.Activation, "tanh"), Gates: gates})
	case "Embedding", "Masking":
		*masked = *masked || config.Masked || l.Class == "Masking"
	case "Bidirectional":
		m.add(config.Layer, three, masked, depth+1)
		if len(config.Backward) == 0 || string(config.Backward) == "null" {
			config.Backward = config.Layer
		}
		m.add(config.Backward, three, masked, depth+1)
	default:
		for _, inner := range append(config.Layers, config.Layer) {
			m.add(inner, three, masked, depth+1)
		}
	}
}

// functionName is the name of an activation, or what it is if nothing is said.
func functionName(text json.RawMessage, otherwise string) string {
	var name string
	if len(text) == 0 || json.Unmarshal(text, &name) == nil && name == "" {
		return otherwise
	}
	if name == "" {
		return "a function of its own"
	}
	return name
}
