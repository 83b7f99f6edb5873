package emit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// Options say how.
type Options struct {
	Float16 bool // variables of float16, which Keras makes float32 as it loads them
	Version string
}

// Model makes the file of a model.
func Model(m *deploy.Model, o Options) (*kerasfile.Model, error) {
	if m.Tokens != nil {
		return nil, errors.New("files of Keras that tlpipe writes take no texts: export the model as onnx")
	}
	net, err := m.Trained.Network.Cut(m.Trained.Network.Output().Name)
	if err == nil {
		err = net.Fixed()
	}
	if err != nil {
		return nil, fmt.Errorf("write a model of Keras: %w", err)
	}
	e := &emission{net: net, weights: m.Trained.Weights, pixels: m.Pixels, names: map[string]string{}, shapes: map[string]nn.Shape{}}
	for _, l := range net.Layers() {
		if err := e.layer(l); err != nil {
			return nil, fmt.Errorf("write a model of Keras: layer %q (%s): %w", l.Name, l.Op.Kind(), err)
		}
	}
	e.output(m.OutputName())
	metadata, err := metadataOf(m, o)
	if err != nil {
		return nil, fmt.Errorf("write a model of Keras: %w", err)
	}
	file := &kerasfile.Model{Name: "tlpipe", Layers: e.layers, Type: stored.F32, Metadata: metadata}
	if o.Float16 {
		file.Type = stored.F16
	}
	return file, nil
}

// emission is a model in the making.
type emission struct {
	net     *nn.Network
	weights nn.Weights
	pixels  *deploy.Pixels

	layers []kerasfile.Layer
	shapes map[string]nn.Shape // of what layers of Keras put out
	names  map[string]string   // of the layer of Keras that puts out what a layer of the network does
}

// config is that of a layer of Keras.
type config = map[string]any

// add appends a layer of Keras and returns its name.
func (e *emission) add(class, name string, c config, inputs ...string) string {
	return e.with(kerasfile.Layer{Class: class, Name: name, Config: c, Inputs: inputs})
}

// with is add for a layer that has variables, whose inputs are a list, or that puts out another shape than its input and than the
// layer of the network that has its name. The name may be changed, so that no two are alike.
func (e *emission) with(l kerasfile.Layer) string {
	if l.Shape == nil {
		if l.Shape = e.net.Shape(l.Name); l.Shape == nil {
			l.Shape = e.shapes[l.Inputs[0]]
		}
	}
	l.Name = strings.ReplaceAll(l.Name, ".", "_") // the PyTorch backend of Keras takes no dots
	name := l.Name
	for i := 1; e.shapes[l.Name] != nil; i++ {
		l.Name = fmt.Sprintf("%s_%d", name, i)
	}
	e.shapes[l.Name] = l.Shape
	e.layers = append(e.layers, l)
	return l.Name
}

// in is the name of an input of a layer, in Keras.
func (e *emission) in(l nn.Layer, i int) string { return e.names[l.Inputs[i]] }

func (e *emission) ins(l nn.Layer) []string {
	var out []string
	for i := range l.Inputs {
		out = append(out, e.in(l, i))
	}
	return out
}

func (e *emission) data(l nn.Layer, role nn.Role) nn.Tensor {
	return e.weights[nn.Parameter{Layer: l.Name, Role: role}.Name()]
}

// output gives the last layer the name of what it puts out, and makes sure that it is the last.
func (e *emission) output(name string) {
	last := e.names[e.net.Output().Name]
	if e.layers[len(e.layers)-1].Name != last || len(e.layers) == 1 {
		last = e.add("Activation", last+".output", config{"activation": "linear"}, last)
	}
	if e.shapes[name] == nil {
		e.layers[len(e.layers)-1].Name = name
	}
}

// metadataOf names classes and tells what else there is to know.
func metadataOf(m *deploy.Model, o Options) (map[string]any, error) {
	described, err := m.Description.Encode()
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"classes": m.Head.Names(), "task": m.Head.Task, "description": json.RawMessage(described), "producer": strings.TrimSpace("tlpipe " + o.Version),
	}
	if licences := m.Description.LicencesInWords(); licences != "" {
		out["licences"] = licences
	}
	return out, nil
}
