package kerasfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/hdf5"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// variables is the group that holds a layer's own variables.
const variables = "vars"

// optimizer is the group at the root that holds no weights.
const optimizer = "optimizer"

// maxDepth is how deep models may lie in models, in groups.
const maxDepth = 64

// byGroup reads the variables of all layers, each of which has a group, in the order of the configuration or, if it is not known,
// class by class.
func byGroup(root *hdf5.Object, known layerNames) ([]stored.Tensor, error) {
	w := walk{known: known, own: map[string]string{}, seen: map[uint64]bool{}}
	if err := w.group(root, ""); err != nil {
		return nil, err
	}
	return w.tensors, nil
}

type walk struct {
	known   layerNames
	own     map[string]string // names of layers with a cell, by the paths of their groups
	seen    map[uint64]bool   // addresses of groups
	tensors []stored.Tensor
}

// group reads a layer and the layers in it.
func (w *walk) group(o *hdf5.Object, path string) error {
	if w.seen[o.Address()] || strings.Count(path, "/") > maxDepth {
		return nil
	}
	w.seen[o.Address()] = true
	links, err := o.Links()
	if err != nil {
		return fmt.Errorf("%.100q: %w", path, err)
	}
	within := func(name string) string { return strings.TrimPrefix(path+"/"+name, "/") }
	slices.SortFunc(links, func(a, b hdf5.Link) int { // as the model has them, class by class
		first, known := w.known.order[within(a.Name)]
		second, both := w.known.order[within(b.Name)]
		if known && both {
			return cmp.Compare(first, second)
		}
		x, i := cutNumber(a.Name)
		y, j := cutNumber(b.Name)
		return cmp.Or(byDirection(x, y), cmp.Compare(x, y), cmp.Compare(i, j))
	})
	named := func(name string) (at int) {
		return slices.IndexFunc(links, func(l hdf5.Link) bool { return l.Name == name })
	}
	if at := named(variables); at >= 0 && named(cell) >= 0 {
		child, err := o.Open(links[at])
		if err == nil {
			w.own[path], err = w.called(child, path)
		}
		if err != nil {
			return fmt.Errorf("%.100q in %.100q: %w", variables, path, err)
		}
	}
	for _, l := range links {
		child, err := o.Open(l)
		if err != nil {
			return fmt.Errorf("%.100q in %.100q: %w", l.Name, path, err)
		}
		switch {
		case path == "" && l.Name == optimizer:
		case l.Name == variables:
			err = w.variables(child, path)
		default:
			err = w.group(child, within(l.Name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cell is the group within that of a recurrent layer that holds its variables: they are called by the layer.
const cell = "cell"

// byDirection puts the forward layer of a bidirectional one first.
func byDirection(a, b string) int {
	const forward, backward = "forward_layer", "backward_layer"
	switch {
	case a == forward && b == backward:
		return -1
	case a == backward && b == forward:
		return 1
	}
	return 0
}

// variables reads a layer's own variables.
func (w *walk) variables(o *hdf5.Object, path string) error {
	links, err := o.Links()
	if err != nil || len(links) == 0 {
		return err
	}
	layer, err := w.called(o, path)
	if err != nil {
		return err
	}
	if outer, ok := strings.CutSuffix(path, "/"+cell); ok {
		layer = cmp.Or(w.own[outer], w.known.names[outer], strings.ReplaceAll(outer, "/", "."))
	}
	called := variableNames(class(path), len(links))
	for _, l := range links {
		child, err := o.Open(l)
		if err != nil {
			return fmt.Errorf("%.100q: %w", path, err)
		}
		variable := l.Name
		if i, err := strconv.Atoi(variable); err == nil && i >= 0 && i < len(called) {
			variable = called[i]
		}
		t, is, err := child.Dataset(layer + "/" + variable)
		if err != nil {
			return err
		}
		if is {
			w.tensors = append(w.tensors, t)
		}
	}
	return nil
}

// called is the name of the layer whose variables, or whose group of them, lie at a path.
func (w *walk) called(o *hdf5.Object, path string) (string, error) {
	name, there, err := o.Texts("name")
	switch {
	case err != nil:
		return "", fmt.Errorf("%.100q: %w", path, err)
	case there && len(name) == 1:
		return name[0], nil
	}
	return cmp.Or(w.known.names[path], strings.ReplaceAll(path, "/", ".")), nil
}

// class returns the class of the layer whose group is at a path, as Keras writes it there: conv2d for
// layers/conv2d_3.
func class(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	base, _ := cutNumber(name)
	return base
}

// variableNames returns what the variables of a layer of a class are called that has so many, in
// order; nil if it is not known.
func variableNames(class string, n int) []string {
	switch class {
	case "dense", "conv1d", "conv2d", "conv3d", "depthwise_conv1d", "depthwise_conv2d":
		return []string{"kernel", "bias"}
	case "separable_conv1d", "separable_conv2d":
		return []string{"depthwise_kernel", "pointwise_kernel", "bias"}
	case "batch_normalization":
		all := []string{"gamma", "beta", "moving_mean", "moving_variance"}
		return all[max(0, len(all)-n):] // what is left out is gamma first: scale=False
	case "normalization":
		return []string{"mean", "variance", "count"}
	case "layer_normalization":
		return []string{"gamma", "beta"}
	case "embedding":
		return []string{"embeddings"}
	case cell:
		return []string{"kernel", "recurrent_kernel", "bias"}
	}
	return nil
}
