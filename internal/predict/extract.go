package predict

import (
	"fmt"
	"runtime"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/calibration"
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
	choice, err := b.Recall(made, file)
	if err != nil {
		return nil, err
	}
	net, err := choice.Network(prepared.Height, prepared.Width)
	if err == nil {
		net, err = net.Cut(made.Layer)
	}
	if err != nil {
		return nil, err
	}
	weights, err := choice.Load(net, made.Seed)
	if err != nil {
		return nil, err
	}
	options, err := calibration.Options(precision, net, weights, prepared, runtime.NumCPU())
	if err != nil {
		return nil, err
	}
	program, err := options.Compile(net, weights)
	if err != nil {
		return nil, err
	}
	return &extractor{program: program, made: made, height: prepared.Height, width: prepared.Width}, nil
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
