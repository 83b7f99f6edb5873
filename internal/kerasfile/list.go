package kerasfile

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// listed returns the group whose attributes list the layers: the root, or model_weights in the file
// of a whole model; nil if there is none.
func listed(root *tree) (*tree, error) {
	model, err := root.find("model_weights")
	if err != nil {
		return nil, err
	}
	for _, group := range []*tree{root, model} {
		if group == nil {
			continue
		}
		if names, err := texts(group, "layer_names"); err != nil {
			return nil, err
		} else if names != nil {
			return group, nil
		}
	}
	return nil, nil
}

// byList reads the weights of the layers that a group lists.
func byList(group *tree) ([]stored.Tensor, error) {
	layers, err := texts(group, "layer_names")
	if err != nil {
		return nil, err
	}
	const topLevel = "top_level_model_weights"
	if top, err := group.find(topLevel); err != nil {
		return nil, err
	} else if top != nil {
		layers = append(layers, topLevel)
	}
	var out []stored.Tensor
	for _, layer := range layers {
		in, err := group.find(layer)
		if err != nil {
			return nil, err
		}
		if in == nil {
			return nil, fmt.Errorf("the layer %.100q is listed and is not there: damaged", layer)
		}
		weights, err := texts(in, "weight_names")
		if err != nil {
			return nil, fmt.Errorf("layer %.100q: %w", layer, err)
		}
		for _, weight := range weights {
			at, err := in.find(weight)
			if err != nil {
				return nil, fmt.Errorf("layer %.100q: %w", layer, err)
			}
			if at == nil {
				return nil, fmt.Errorf("the weight %.100q of layer %.100q is listed and is not there: damaged", weight, layer)
			}
			t, is, err := at.object.Dataset(listedName(layer, weight))
			if err != nil {
				return nil, err
			}
			if !is {
				return nil, fmt.Errorf("the weight %.100q of layer %.100q is a group: damaged", weight, layer)
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// texts returns the texts of an attribute, which Keras cuts in pieces name0, name1, … when it is long;
// nil if there is none.
func texts(group *tree, name string) ([]string, error) {
	all, there, err := group.object.Texts(name)
	if there || err != nil {
		return append([]string{}, all...), err
	}
	for i := 0; ; i++ {
		some, there, err := group.object.Texts(fmt.Sprint(name, i))
		if err != nil || !there {
			return all, err
		}
		all = append(all, some...)
	}
}

// recurrentCell tells whether a name is one that Keras gives to the cell of a recurrent layer, which holds its variables.
func recurrentCell(name string) bool {
	base, _ := cutNumber(name)
	return base == "lstm_cell" || base == "gru_cell" || base == "simple_rnn_cell"
}

// listedName returns layer/variable of a weight. Layers whose own names have a slash, as some of
// DenseNet had, have an underscore there today.
func listedName(layer, weight string) string {
	weight = strings.TrimSuffix(weight, ":0")
	own := strings.ReplaceAll(layer, "/", "_")
	if at := strings.LastIndexByte(weight, '/'); at >= 0 {
		owner, variable := weight[:at], weight[at+1:]
		if at := strings.LastIndexByte(owner, '/'); at >= 0 && recurrentCell(owner[at+1:]) { // the layer's own name stands before
			owner = owner[:at]
		}
		if owner != layer && !strings.HasSuffix(owner, "/"+layer) { // of a layer in a model in the model
			own = owner[strings.LastIndexByte(owner, '/')+1:]
		}
		return own + "/" + variable
	}
	// Keras 1: layer_W, layer_W_1.
	variable := strings.TrimPrefix(weight, layer+"_")
	variable = strings.TrimSuffix(variable, "_1")
	switch variable {
	case "W":
		variable = "kernel"
	case "b":
		variable = "bias"
	case "running_std":
		variable = "moving_variance"
	case "running_mean":
		variable = "moving_mean"
	}
	return own + "/" + variable
}
