package nn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
)

// The JSON of a network is
//
//	{"layers": [
//	  {"name": "input", "op": "input", "with": {"shape": [224, 224, 3]}},
//	  {"name": "stem.conv", "op": "conv", "inputs": ["input"], "with": {"out": 32, "kernel": [3, 3]}}],
//	 "outputs": ["stem.conv"]}
//
// where outputs are left out if they are the last layer alone.
type jsonNetwork struct {
	Layers  []jsonLayer `json:"layers"`
	Outputs []string    `json:"outputs,omitempty"`
}

type jsonLayer struct {
	Name   string          `json:"name"`
	Op     string          `json:"op"`
	Inputs []string        `json:"inputs,omitempty"`
	With   json.RawMessage `json:"with,omitempty"`
}

// MarshalJSON implements json.Marshaler. Equal networks give equal bytes.
func (n *Network) MarshalJSON() ([]byte, error) {
	out := jsonNetwork{Layers: make([]jsonLayer, len(n.layers))}
	for i, l := range n.layers {
		with, err := json.Marshal(l.Op)
		if err != nil {
			return nil, fmt.Errorf("layer %q: %w", l.Name, err)
		}
		if string(with) == "{}" {
			with = nil
		}
		out.Layers[i] = jsonLayer{Name: l.Name, Op: l.Op.Kind(), Inputs: l.Inputs, With: with}
	}
	if !n.implied() {
		out.Outputs = n.outputs
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler. Unknown keys, unknown ops and inconsistent networks
// are errors; n is left as it was.
func (n *Network) UnmarshalJSON(data []byte) error {
	var in jsonNetwork
	if err := strictly(data, &in); err != nil {
		return fmt.Errorf("read a network: %w", err)
	}
	layers := make([]Layer, len(in.Layers))
	for i, l := range in.Layers {
		op, err := parseOp(l.Op, l.With)
		if err != nil {
			return fmt.Errorf("read a network: layer %q: %w", l.Name, err)
		}
		layers[i] = Layer{Name: l.Name, Op: op, Inputs: l.Inputs}
	}
	read, err := New(layers, in.Outputs...)
	if err != nil {
		return fmt.Errorf("read a network: %w", err)
	}
	*n = *read
	return nil
}

func parseOp(kind string, with []byte) (Op, error) {
	for _, op := range Ops() {
		if op.Kind() != kind {
			continue
		}
		if len(with) == 0 {
			return op, nil
		}
		target := reflect.New(reflect.TypeOf(op))
		if err := strictly(with, target.Interface()); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		return target.Elem().Interface().(Op), nil
	}
	return nil, fmt.Errorf("unknown op %q", kind)
}

func strictly(data []byte, target any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(target); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is more after the value")
	}
	return nil
}
