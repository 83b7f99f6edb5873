package inference

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Vectors is a stored model whose answers are the values of one of its layers: features for other stages. layer names it; "" is the
// embedding: what the last dense layer takes, or the output of a network that ends in vectors of length 1.
func Vectors(stored *classifier.Classifier, layer string) (*Model, nn.Shape, error) {
	if layer == "" {
		var err error
		if layer, err = embeddingOf(stored.Network); err != nil {
			return nil, nil, err
		}
	}
	found, ok := stored.Network.Find(layer)
	if !ok {
		return nil, nil, fmt.Errorf("the model has no layer %q", layer)
	}
	if _, input := found.Op.(nn.Input); input {
		return nil, nil, errors.New("the classifier stands on the model's input itself: there are no features but those that it takes")
	}
	net, err := stored.Network.Cut(layer)
	if err != nil {
		return nil, nil, err
	}
	shape := net.Shape(layer)
	if !shape.Fixed() {
		return nil, nil, fmt.Errorf("layer %q has the shape %v, which differs from row to row", layer, shape)
	}
	names := make([]string, shape.Size())
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	cut := *stored
	cut.Network, cut.Weights = net, stored.Weights.Select(net)
	cut.Description.Heads = []record.Head{record.RegressionHead(record.Feature, names)}
	m, err := New(&cut)
	return m, shape, err
}

// embeddingOf is the layer with the embedding.
func embeddingOf(net *nn.Network) (string, error) {
	l := net.Output()
	if _, unit := l.Op.(nn.L2Normalise); unit {
		return l.Name, nil
	}
	below := func() error {
		if len(l.Inputs) != 1 {
			return fmt.Errorf("the way from the model's output to its features parts at layer %q: name a layer", l.Name)
		}
		l, _ = net.Find(l.Inputs[0])
		return nil
	}
	for passed := false; !passed; {
		switch l.Op.(type) {
		case nn.Dense, nn.Neighbours:
			passed = true
		case nn.Input:
			return l.Name, nil
		}
		if err := below(); err != nil {
			return "", err
		}
	}
	for {
		switch l.Op.(type) {
		case nn.Scale, nn.GradientReversal, nn.Dropout:
			if err := below(); err != nil {
				return "", err
			}
			continue
		}
		return l.Name, nil
	}
}
