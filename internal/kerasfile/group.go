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

// byGroup reads the variables of all layers, each of which has a group.
func byGroup(root *hdf5.Object, names map[string]string) ([]stored.Tensor, error) {
	w := walk{names: names, seen: map[uint64]bool{}}
	if err := w.group(root, ""); err != nil {
		return nil, err
	}
	return w.tensors, nil
}

type walk struct {
	names   map[string]string // of layers, by the paths of their groups
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
	slices.SortFunc(links, func(a, b hdf5.Link) int { // as the model has them, class by class
		x, i := cutNumber(a.Name)
		y, j := cutNumber(b.Name)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(i, j))
	})
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
			err = w.group(child, strings.TrimPrefix(path+"/"+l.Name, "/"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// variables reads a layer's own variables.
func (w *walk) variables(o *hdf5.Object, path string) error {
	links, err := o.Links()
	if err != nil || len(links) == 0 {
		return err
	}
	name, there, err := o.Texts("name")
	if err != nil {
		return fmt.Errorf("%.100q: %w", path, err)
	}
	layer := w.names[path]
	if there && len(name) == 1 {
		layer = name[0]
	}
	if layer == "" {
		layer = strings.ReplaceAll(path, "/", ".")
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
	}
	return nil
}
