package backbone

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/onnx"
	"github.com/tlpipe/tlpipe/internal/onnx/network"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// ONNX is the name of the backbone that is whatever network the file of its weights holds.
const ONNX = "onnx"

// imported is the backbone before its file is known.
func imported() Backbone {
	mean, std, channels, _ := record.Normalisation("none")
	return Backbone{
		Name: ONNX, Title: "The network of an ONNX file", Paper: "whatever the file was exported from",
		Pooled: network.Features, LastMap: network.Map, MinSize: 1, Imported: true,
		preparation: record.Preprocessing{
			Height: 224, Width: 224, Resize: record.ResizeSquash, Filter: record.FilterBilinear,
			Channels: channels, Mean: mean, Std: std, Normalise: "none",
		},
		variants: []variant{{}},
	}
}

// resolveImported is Resolve of an imported network: its weights are the path of a file.
func (b Backbone) resolveImported(reference WeightsReference) (*ResolvedWeights, error) {
	if reference.isURL() || reference.otherScheme() != "" || !strings.ContainsAny(string(reference), `./\`) {
		return nil, wrongWeights("weights: model.onnx", "the network %s is read from a file: its path is missing (%q is not one)", b.Name, reference.ShowParam())
	}
	c := &ResolvedWeights{Name: FileWeights, path: string(reference), said: true}
	c.backbone = sync.OnceValues(func() (Backbone, error) { return b.of(c.path) })
	c.digest = sync.OnceValues(func() (string, error) { return weightfile.FileDigest(c.path) })
	return c, nil
}

// of is the imported network of a file.
func (b Backbone) of(path string) (_ Backbone, err error) {
	m, closing, err := onnx.Open(path, onnx.Limits())
	if err != nil {
		return Backbone{}, fmt.Errorf("the network of %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, closing()) }()
	in, err := network.InputOf(m)
	if err != nil {
		return Backbone{}, fmt.Errorf("the network of %s: %w", path, err)
	}
	if in.Height > 0 && in.Width > 0 {
		b.preparation.Height, b.preparation.Width = in.Height, in.Width
	}
	b.file = path
	return b, nil
}

// importedNetwork builds the network of the file.
func (b Backbone) importedNetwork(height, width int) (*nn.Network, error) {
	net, _, err := b.read(height, width)
	return net, err
}

// read reads the file, for pictures of a size.
func (b Backbone) read(height, width int) (net *nn.Network, weights nn.Weights, err error) {
	if b.file == "" {
		return nil, nil, fmt.Errorf("the network %s is read from a file: weights names it", b.Name)
	}
	m, closing, err := onnx.Open(b.file, onnx.Limits())
	if err != nil {
		return nil, nil, fmt.Errorf("the network of %s: %w", b.file, err)
	}
	defer func() { err = errors.Join(err, closing()) }()
	if net, weights, err = network.New(m, height, width); err != nil {
		return nil, nil, fmt.Errorf("the network of %s for pictures of %d×%d pixels: %w", b.file, width, height, err)
	}
	return net, weights, nil
}

// loadImported reads the weights of net, which is the network of the file or a part of it.
func (b Backbone) loadImported(net *nn.Network) (nn.Weights, error) {
	height, width := b.preparation.Height, b.preparation.Width
	if shape := net.Shape(network.Image); len(shape) == 3 {
		height, width = shape[0], shape[1]
	}
	_, weights, err := b.read(height, width)
	if err != nil {
		return nil, err
	}
	return weights.Select(net), nil
}
