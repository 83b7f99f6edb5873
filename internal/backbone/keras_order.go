package backbone

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// byPosition finds the layers of a file of Keras that has other names for them than the naming, as
// Keras itself does: the n-th layer of a kind in the file is the n-th of that kind in the network. So
// are files named that older versions of keras.applications published, and .weights.h5 files of
// before Keras 3.10. ok is false unless all tensors of all layers fit, but that classifiers at the
// network's end may be missing.
func (n naming) byPosition(tensors []stored.Tensor, whole *nn.Network) (_ naming, ok bool) {
	file := map[kind][]kerasLayer{}
	for _, l := range n.kerasLayers(tensors) {
		file[l.kind()] = append(file[l.kind()], l)
	}
	found := map[string]string{}
	for _, l := range inKerasOrder(whole) {
		if half(l, "depthwise") {
			continue // stands with the other half
		}
		k := kindOf(l)
		if len(file[k]) == 0 {
			if _, dense := l.Op.(nn.Dense); dense {
				continue
			}
			return naming{}, false
		}
		next := file[k][0]
		file[k] = file[k][1:]
		maps.Copy(found, next.as(l))
		if !n.fits(next, found, whole, l) {
			return naming{}, false
		}
	}
	for _, rest := range file {
		if len(rest) > 0 {
			return naming{}, false
		}
	}
	named := n.layer
	n.layer = func(layer string) string {
		if name, ok := found[layer]; ok {
			return name
		}
		return named(layer)
	}
	n.unused = append(slices.Clone(n.unused), unnamedNormalization)
	return n, true
}

// unnamedNormalization is how a file without names of layers calls the one that prepares pixels, which
// is done before.
const unnamedNormalization = "layers.normalization"

// kind is what a layer's variables tell of its op.
type kind int

const (
	weighted   kind = iota // a convolution or a dense layer, which are stored alike
	perChannel             // a convolution of each channel by itself
	separable              // such a one and a convolution of all channels, in one layer
	normed                 // a batch-norm
	foreign                // something else
)

// kerasLayer is a layer in a file.
type kerasLayer struct {
	name      string
	variables map[string][]int // shapes
}

// kerasLayers gathers the tensors of a file, in its order, by their layers.
func (n naming) kerasLayers(tensors []stored.Tensor) []kerasLayer {
	var out []kerasLayer
	at := map[string]int{}
	for _, t := range tensors {
		name, variable, _ := strings.Cut(t.Name, "/")
		if n.ignored(t.Name) || strings.HasPrefix(name, unnamedNormalization) {
			continue
		}
		i, there := at[name]
		if !there {
			i = len(out)
			at[name] = i
			out = append(out, kerasLayer{name, map[string][]int{}})
		}
		out[i].variables[variable] = t.Shape
	}
	return out
}

func (l kerasLayer) kind() kind {
	kernel := l.variables["kernel"]
	switch {
	case l.variables["moving_mean"] != nil:
		return normed
	case l.variables["depthwise_kernel"] != nil:
		return separable
	case len(kernel) == 4 && kernel[3] == 1 && kernel[2] > 1:
		return perChannel
	case kernel != nil:
		return weighted
	}
	return foreign
}

func kindOf(l nn.Layer) kind {
	switch op := l.Op.(type) {
	case nn.BatchNorm:
		return normed
	case nn.Conv:
		if op.Groups > 1 {
			return perChannel
		}
	}
	if half(l, "pointwise") {
		return separable
	}
	return weighted
}

// half tells whether a layer is that half of a separable convolution.
func half(l nn.Layer, which string) bool { return strings.HasSuffix(l.Name, "."+which) }

// as names a layer of the network, or both halves of one, by the file's.
func (l kerasLayer) as(layer nn.Layer) map[string]string {
	if scope, ok := strings.CutSuffix(layer.Name, ".pointwise"); ok {
		return map[string]string{scope + ".depthwise": l.name + "/depthwise", layer.Name: l.name + "/pointwise"}
	}
	return map[string]string{layer.Name: l.name}
}

// fits tells whether a layer in a file has just the variables of a layer of the network, or of both its
// halves, in shapes that can be read.
func (n naming) fits(file kerasLayer, found map[string]string, whole *nn.Network, layer nn.Layer) bool {
	n.layer = func(name string) string { return found[name] }
	want := 0
	for name := range file.as(layer) {
		l, _ := whole.Find(name)
		for _, p := range whole.LayerParameters(l) {
			want++
			_, variable, _ := strings.Cut(n.tensor(p), "/")
			shape, there := file.variables[variable]
			if !there || !n.layout(whole, l, p).fits(shape) {
				return false
			}
		}
	}
	return want == len(file.variables)
}

// inKerasOrder lists the layers that have parameters in the order of a Keras model's layers: by the
// number of layers on the longest way to the output, the farthest first; those as far as each other in
// the order in which a walk from the output to the inputs comes to them first.
func inKerasOrder(net *nn.Network) []nn.Layer {
	layers := net.Layers()
	distance := map[string]int{}
	for _, l := range slices.Backward(layers) {
		step := 1
		if half(l, "depthwise") {
			step = 0 // one layer with the other half
		}
		for _, input := range l.Inputs {
			distance[input] = max(distance[input], distance[l.Name]+step)
		}
	}
	met := map[string]int{}
	var walk func(l nn.Layer)
	walk = func(l nn.Layer) {
		if _, done := met[l.Name]; done {
			return
		}
		met[l.Name] = len(met)
		inputs := slices.SortedStableFunc(slices.Values(l.Inputs), func(a, b string) int {
			return cmp.Compare(projects(b), projects(a)) // what Keras adds first
		})
		for _, name := range inputs {
			if input, ok := net.Find(name); ok {
				walk(input)
			}
		}
	}
	walk(net.Output())
	layers = slices.DeleteFunc(slices.Clone(layers), func(l nn.Layer) bool { return len(net.LayerParameters(l)) == 0 })
	slices.SortFunc(layers, func(a, b nn.Layer) int {
		return cmp.Or(cmp.Compare(distance[b.Name], distance[a.Name]), cmp.Compare(met[a.Name], met[b.Name]))
	})
	return layers
}

// projects is 1 for a layer that projects the input of a block to its output's shape, else 0.
func projects(layer string) int {
	if strings.Contains(layer, ".shortcut.") {
		return 1
	}
	return 0
}
