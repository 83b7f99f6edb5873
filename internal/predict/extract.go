package predict

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
)

// extractor makes features of prepared pictures, as an extraction tells.
type extractor struct {
	program *frozen.Program
	made    record.Extraction
	height  int
	width   int
}

func newExtractor(made record.Extraction, prepared record.Preprocessing, file string) (*extractor, error) {
	precision, err := frozen.ParsePrecision(made.Precision)
	if err != nil {
		return nil, fmt.Errorf("make features: %w", err)
	}
	b, err := backbone.Find(made.Backbone)
	if err != nil {
		return nil, err
	}
	net, err := b.Network(prepared.Height, prepared.Width)
	if err == nil {
		net, err = net.Cut(made.Layer)
	}
	if err != nil {
		return nil, err
	}
	weights, err := weightsOf(b, net, made, file)
	if err != nil {
		return nil, err
	}
	program, err := frozen.Options{Precision: precision}.Compile(net, weights)
	if err != nil {
		return nil, err
	}
	return &extractor{program: program, made: made, height: prepared.Height, width: prepared.Width}, nil
}

// weightsOf finds the weights that the features were made with, and refuses
// others.
func weightsOf(b backbone.Backbone, net *nn.Network, made record.Extraction, file string) (nn.Weights, error) {
	switch made.Weights {
	case "":
		return nn.Weights{}, nil
	case "random":
		return b.Random(net, made.Seed), nil
	case "file":
		if file == "" {
			return nil, fmt.Errorf("its backbone has weights from a file, which the model does not hold: name it with --weights")
		}
		digest, err := digestOf(file)
		if err != nil {
			return nil, err
		}
		if digest != made.Digest {
			return nil, fmt.Errorf("%s is not the file of weights that the model was trained with: its SHA-256 is %s, not %s", file, digest, made.Digest)
		}
		return b.LoadFile(file, net)
	}
	set, err := b.Set(made.Weights)
	if err != nil {
		return nil, err
	}
	if set.Digest != made.Digest {
		return nil, fmt.Errorf("the weights %q of %s are no longer those that the model was trained with: their SHA-256 is %s, not %s", set.Name, b.Name, set.Digest, made.Digest)
	}
	return b.LoadSet(set, net)
}

func digestOf(path string) (_ string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// run makes the features of the worker's input. The input may be changed.
func (e *extractor) run(w *worker) error {
	if err := w.backbone.Run(nil, w.input, 1, w.features); err != nil {
		return err
	}
	if !e.made.Flip {
		return nil
	}
	mirror(w.input, e.height, e.width, 3)
	if err := w.backbone.Run(nil, w.input, 1, w.mirrored); err != nil {
		return err
	}
	if shape := e.program.OutputShape(0); len(shape) == 3 {
		mirror(w.mirrored, shape[0], shape[1], shape[2]) // so that places correspond
	}
	for i, v := range w.mirrored {
		w.features[i] = (w.features[i] + v) / 2
	}
	return nil
}

// mirror exchanges left and right in a map [height, width, channels].
func mirror(x []float32, height, width, channels int) {
	for y := range height {
		line := x[y*width*channels : (y+1)*width*channels]
		for left, right := 0, width-1; left < right; left, right = left+1, right-1 {
			for c := range channels {
				a, b := left*channels+c, right*channels+c
				line[a], line[b] = line[b], line[a]
			}
		}
	}
}
