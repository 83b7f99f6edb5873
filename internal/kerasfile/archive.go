package kerasfile

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// Archive is a .keras archive of a functional model with one output.
type Archive struct {
	Layers  []ArchivedLayer // in the order in which they stand there
	Output  string          // a layer
	Tensors []stored.Tensor // layer/variable
}

// ArchivedLayer is a layer that is called once.
type ArchivedLayer struct {
	Class, Name string
	Config      json.RawMessage
	Inputs      []string // names of layers
}

// Open maps a .keras archive and reads it. The numbers of its tensors lie in the mapping: they are gone after close.
func Open(path string) (_ *Archive, closing func() error, err error) {
	return mapped.Parse(path, func(data []byte) (*Archive, error) {
		entries, err := mapped.Zip(data)
		if err != nil {
			return nil, err
		}
		if !IsArchive(entries) {
			return nil, errors.New("read a model of Keras: it is none")
		}
		a, err := readArchive(entries)
		if err != nil {
			return nil, fmt.Errorf("read a model of Keras: %w", err)
		}
		return a, nil
	})
}

func readArchive(entries map[string]*mapped.Entry) (*Archive, error) {
	text, tensors, err := parseArchive(entries)
	if err != nil {
		return nil, err
	}
	if err := refuseRepeated(tensors); err != nil {
		return nil, err
	}
	var model struct {
		Class  string `json:"class_name"`
		Config struct {
			Layers []struct {
				Class  string          `json:"class_name"`
				Name   string          `json:"name"`
				Config json.RawMessage `json:"config"`
				Nodes  []struct {
					Arguments []json.RawMessage `json:"args"`
				} `json:"inbound_nodes"`
			} `json:"layers"`
			Outputs []any `json:"output_layers"`
		} `json:"config"`
	}
	if err := json.Unmarshal(text, &model); err != nil {
		return nil, err
	}
	a := &Archive{Tensors: tensors}
	if len(model.Config.Outputs) > 0 {
		a.Output, _ = model.Config.Outputs[0].(string)
	}
	if model.Class != "Functional" || a.Output == "" {
		return nil, errors.New("it is no functional model of one output")
	}
	for _, l := range model.Config.Layers {
		if len(l.Nodes) > 1 {
			return nil, fmt.Errorf("layer %q is called %d times", l.Name, len(l.Nodes))
		}
		layer := ArchivedLayer{Class: l.Class, Name: l.Name, Config: l.Config}
		for _, n := range l.Nodes {
			if layer.Inputs, err = callers(n.Arguments); err != nil {
				return nil, fmt.Errorf("layer %q: %w", l.Name, err)
			}
		}
		a.Layers = append(a.Layers, layer)
	}
	return a, nil
}

// callers are the layers whose outputs are the arguments of a call, one by one or in lists.
func callers(arguments []json.RawMessage) ([]string, error) {
	var out []string
	for _, argument := range arguments {
		var list []json.RawMessage
		if json.Unmarshal(argument, &list) == nil {
			more, err := callers(list)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
			continue
		}
		var tensor struct {
			Config struct {
				History []any `json:"keras_history"`
			} `json:"config"`
		}
		if err := json.Unmarshal(argument, &tensor); err != nil {
			return nil, err
		}
		history := tensor.Config.History
		if len(history) != 3 {
			return nil, errors.New("an argument is no layer's output")
		}
		name, ok := history[0].(string)
		if !ok {
			return nil, errors.New("an argument is no layer's output")
		}
		out = append(out, name)
	}
	return out, nil
}
