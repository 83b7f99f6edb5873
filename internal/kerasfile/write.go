package kerasfile

import (
	"archive/zip"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/tlpipe/tlpipe/internal/hdf5"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// Model is a model of Keras's functional kind, of one input and one output, that is to be written as a .keras archive.
type Model struct {
	Name     string
	Layers   []Layer        // each after its inputs: the first is the InputLayer, the last gives the output
	Type     stored.Type    // of the variables: F32 or F16, of which Keras makes float32 as it loads them
	Metadata map[string]any // more of metadata.json, which Keras does not look at
}

// Layer is one of Keras's own layers, of the module keras.layers.
type Layer struct {
	Class     string // Conv2D
	Name      string
	Config    map[string]any // the arguments of its constructor, beside the name
	Inputs    []string       // names of layers
	Together  bool           // the inputs are one argument, a list
	Shape     []int          // of the output, without the batch
	Variables []Variable     // in the order in which the layer makes them
}

// Variable is a tensor of a layer.
type Variable struct {
	Shape []int
	Data  []float32
}

// Version is that of Keras whose files are written.
const Version = "3.15.1"

// Write writes the archive: metadata.json, config.json and model.weights.h5, not packed, as Keras does. Equal models give equal
// bytes.
func (m *Model) Write(w io.Writer) error {
	ordered, err := m.ordered()
	if err != nil {
		return fmt.Errorf("write a model of Keras: %w", err)
	}
	metadata := map[string]any{"keras_version": Version}
	for key, value := range m.Metadata {
		metadata[key] = value
	}
	archive := zip.NewWriter(w)
	file := func(name string, write func(io.Writer) error) error {
		f, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			err = write(f)
		}
		if err != nil {
			return fmt.Errorf("write a model of Keras: %s: %w", name, err)
		}
		return nil
	}
	text := func(value any) func(io.Writer) error {
		return func(w io.Writer) error { return json.NewEncoder(w).Encode(value) }
	}
	if err := file(metadataFile, text(metadata)); err != nil {
		return err
	}
	if err := file(configFile, text(m.config(ordered))); err != nil {
		return err
	}
	if err := file(weightsFile, func(w io.Writer) error { return hdf5.Write(w, m.weights(ordered)) }); err != nil {
		return err
	}
	return archive.Close()
}

const metadataFile = "metadata.json"

// ordered lists the layers as Keras does once it has loaded them, which decides where it looks for their variables: by the number
// of layers on the longest way to the output, the farthest first; those as far as each other in the order in which a walk from the
// output to the inputs comes to them first (keras.src.ops.function.map_graph).
func (m *Model) ordered() ([]Layer, error) {
	at := map[string]int{}
	for i, l := range m.Layers {
		if _, there := at[l.Name]; there {
			return nil, fmt.Errorf("two layers are called %q", l.Name)
		}
		at[l.Name] = i
		for _, name := range l.Inputs {
			if from, there := at[name]; !there || from == i {
				return nil, fmt.Errorf("layer %q: its input %q is no earlier layer", l.Name, name)
			}
		}
	}
	met := map[int]int{}
	var walk func(i int)
	walk = func(i int) {
		if _, done := met[i]; done {
			return
		}
		met[i] = len(met)
		for _, name := range m.Layers[i].Inputs {
			walk(at[name])
		}
	}
	walk(len(m.Layers) - 1)
	distance := make([]int, len(m.Layers))
	var order []int
	for i, l := range slices.Backward(m.Layers) {
		if _, needed := met[i]; !needed {
			return nil, fmt.Errorf("layer %q does not lead to the output", l.Name)
		}
		order = append(order, i)
		for _, name := range l.Inputs {
			distance[at[name]] = max(distance[at[name]], distance[i]+1)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(distance[b], distance[a]), cmp.Compare(met[a], met[b]))
	})
	out := make([]Layer, len(order))
	for i, from := range order {
		out[i] = m.Layers[from]
	}
	return out, nil
}

// config is what config.json has.
func (m *Model) config(ordered []Layer) any {
	type object map[string]any
	shapes, types := map[string][]any{}, map[string]any{}
	for _, l := range ordered {
		shapes[l.Name], types[l.Name] = []any{nil}, "float32"
		for _, d := range l.Shape {
			shapes[l.Name] = append(shapes[l.Name], d)
		}
		if kind, ok := l.Config["dtype"]; ok {
			types[l.Name] = kind
		}
	}
	var layers []object
	for _, l := range ordered {
		config := object{"name": l.Name}
		for key, value := range l.Config {
			config[key] = value
		}
		var given []any
		for _, name := range l.Inputs {
			given = append(given, object{"class_name": "__keras_tensor__", "config": object{
				"shape": shapes[name], "dtype": types[name], "keras_history": []any{name, 0, 0},
			}})
		}
		nodes := []object{}
		switch {
		case l.Together:
			nodes = append(nodes, object{"args": []any{given}, "kwargs": object{}})
		case given != nil:
			nodes = append(nodes, object{"args": given, "kwargs": object{}})
		}
		layers = append(layers, object{
			"module": "keras.layers", "class_name": l.Class, "registered_name": nil, "name": l.Name, "config": config, "inbound_nodes": nodes,
		})
	}
	return object{
		"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
		"config": object{
			"name": m.Name, "trainable": true, "layers": layers,
			"input_layers": []any{m.Layers[0].Name, 0, 0}, "output_layers": []any{m.Layers[len(m.Layers)-1].Name, 0, 0},
		},
	}
}

// weights is what model.weights.h5 has.
func (m *Model) weights(ordered []Layer) hdf5.Group {
	layers := hdf5.Group{Name: "layers"}
	used := map[string]int{}
	for _, l := range ordered {
		name := groupName(l.Class)
		n := used[name]
		used[name]++
		if n > 0 {
			name = fmt.Sprint(name, "_", n)
		}
		own := hdf5.Group{Name: variables, Texts: []hdf5.Text{{Name: "name", Value: l.Name}}}
		for i, v := range l.Variables {
			own.Datasets = append(own.Datasets, hdf5.Dataset{Name: strconv.Itoa(i), Shape: v.Shape, Type: m.Type, Data: v.Data})
		}
		layers.Groups = append(layers.Groups, hdf5.Group{Name: name, Groups: []hdf5.Group{own}})
	}
	return hdf5.Group{Groups: []hdf5.Group{layers, {Name: variables, Texts: []hdf5.Text{{Name: "name", Value: m.Name}}}}}
}
