package teacher

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Teacher is a stored classifier of pictures.
type Teacher struct {
	Name    string
	Network *nn.Network
	Weights nn.Weights
	Head    record.Head
	Logits  string // the layer that gives them
	Origins []record.Origin

	Quantised *record.Quantisation // nil: its weights rest in float32
	input     record.ModelInput
}

// Read reads a teacher, and refuses what cannot be one.
func Read(ctx context.Context, in pipeline.Input) (*Teacher, error) {
	c, err := classifier.Read(ctx, in)
	if err != nil {
		return nil, err
	}
	t := &Teacher{Name: in.Name(), Head: c.Head(), Origins: c.Description.Origins, Quantised: c.Description.Quantisation, input: c.Input()}
	if t.Network, t.Weights, err = adapter.Merge(c.Network, c.Weights); err != nil {
		return nil, err
	}
	_, features := t.input.Transforms.Extraction()
	output := t.Network.Output()
	_, softmax := output.Op.(nn.Softmax)
	switch {
	case t.Head.Task != record.SingleLabel:
		return nil, fmt.Errorf("teacher %s does not tell one of several classes", t.Name)
	case features || len(c.InputShape()) != 3:
		return nil, fmt.Errorf("teacher %s takes features, not pictures: train a whole network on pictures", t.Name)
	case !softmax:
		return nil, fmt.Errorf("teacher %s ends in layer %q (%s) and not in a softmax: it has no logits", t.Name, output.Name, output.Op.Kind())
	}
	t.Logits = output.Inputs[0]
	return t, nil
}

// LastMap is the last layer that gives a map.
func LastMap(net *nn.Network) (string, error) {
	for _, l := range slices.Backward(net.Layers()) {
		if _, input := l.Op.(nn.Input); !input && len(net.Shape(l.Name)) == 3 {
			return l.Name, nil
		}
	}
	return "", errors.New("there is no layer that gives a map")
}

// Order tells at which of the teacher's logits each of the classes is.
func (t *Teacher) Order(classes []string) ([]int, error) {
	order := make([]int, len(classes))
	for i, class := range classes {
		if order[i] = slices.Index(t.Head.Classes, class); order[i] < 0 {
			return nil, fmt.Errorf("teacher %s does not know the class %q", t.Name, class)
		}
	}
	return order, nil
}

// view is how the teacher sees pictures that were prepared in some way; nil if they are what it takes.
func (t *Teacher) view(d *rows.Data) (*View, error) {
	to := t.Network.Shape(t.Network.Inputs()[0].Name)
	its, told := normalisation(t.input.Transforms)
	own, known := normalisation(d.Transforms)
	if !told || !known {
		if slices.Equal(to, d.Shape) {
			return nil, nil
		}
		return nil, fmt.Errorf("teacher %s takes pictures of %d×%d pixels, the data has %d×%d, and how they were prepared is not told", t.Name, to[1], to[0], d.Shape[1], d.Shape[0])
	}
	return NewView(own, its, d.Shape[0], d.Shape[1], to[0], to[1]), nil
}

// Sees tells in words how the teacher sees the rows; "" if it sees them as they are.
func (t *Teacher) Sees(d *rows.Data) (string, error) {
	v, err := t.view(d)
	switch {
	case err != nil || v == nil:
		return "", err
	case v.rows != nil:
		return fmt.Sprintf("teacher %s sees the pictures of %d×%d pixels resampled to %d×%d, normalised as it was trained", t.Name, v.inW, v.inH, v.outW, v.outH), nil
	}
	return fmt.Sprintf("teacher %s sees the pictures normalised as it was trained", t.Name), nil
}

func normalisation(steps record.Transforms) (record.NormaliseStep, bool) {
	for _, step := range steps {
		if n, ok := step.(record.NormaliseStep); ok {
			return n, true
		}
	}
	return record.NormaliseStep{}, false
}

// Lesson is what a layer of a teacher gives for the rows of a training.
type Lesson struct {
	*prefix.Activations
	Size int
}

// Read writes what the layer gives for the examples at the positions, of the training or the validation rows.
func (l *Lesson) Read(of *rows.Examples, positions []int, dst []float32) error {
	return l.Of(of).Read(positions, train.Batch{Inputs: nn.Batch{"": {Float32: dst}}})
}

// Lessons fetches what layers of the teacher give for the rows in use, from the cache as far as it is there. Those that are missing of
// the first layer's chunks are computed in one pass with those of the others. The logits have float32; other layers the precision
// given. Close each when done.
func (t *Teacher) Lessons(ctx context.Context, task *pipeline.Task, d *rows.Data, copies int, precision string, layers ...string) (_ map[string]*Lesson, err error) {
	view, err := t.view(d)
	if err != nil {
		return nil, err
	}
	cuts := make([]prefix.Prefix, len(layers))
	for i, layer := range layers {
		shape := t.Network.Shape(layer)
		if shape == nil {
			return nil, fmt.Errorf("teacher %s has no layer %q", t.Name, layer)
		}
		cuts[i] = prefix.Prefix{Cut: layer, Precision: precision, Size: shape.Size()}
		if layer == t.Logits {
			cuts[i].Precision = prefix.Float32
		}
	}
	out := map[string]*Lesson{}
	defer func() {
		if err != nil {
			err = errors.Join(err, CloseAll(out))
		}
	}()
	for i, layer := range layers {
		if out[layer] != nil {
			continue
		}
		a, err := prefix.NewActivator(task, d, t.Network, t.Weights, copies, cuts[i:])
		if err != nil {
			return nil, err
		}
		if view != nil {
			a.Through(view)
		}
		fetched, err := a.Fetch(ctx)
		a.Close()
		if err != nil {
			return nil, fmt.Errorf("teacher %s: %w", t.Name, err)
		}
		out[layer] = &Lesson{fetched, cuts[i].Size}
	}
	return out, nil
}

// CloseAll closes lessons.
func CloseAll(lessons map[string]*Lesson) (err error) {
	for _, l := range lessons {
		err = errors.Join(err, l.Close())
	}
	return err
}
