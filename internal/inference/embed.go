package inference

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Embedding is a model whose answer to a picture are its features, as many as width, made as the transforms tell: those of a table of
// features.
func Embedding(transforms record.Transforms, width int) (*Model, error) {
	if _, extracted := transforms.Extraction(); !extracted {
		return nil, errors.New("the features do not tell by which backbone they were made of pictures")
	}
	b := nn.NewBuilder()
	same := nn.Affine{Scale: make([]float32, width), Shift: make([]float32, width)}
	names := make([]string, width)
	for i := range width {
		same.Scale[i], names[i] = 1, strconv.Itoa(i)
	}
	b.Layer("same", same, b.Input("features", width))
	net, err := b.Network()
	if err != nil {
		return nil, fmt.Errorf("features of a picture: %w", err)
	}
	return New(classifier.New(net, nn.Weights{}, record.RegressionHead(record.Feature, names), transforms))
}
