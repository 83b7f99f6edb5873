package classifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Classifier is a network whose output is a probability for each class, or numbers.
type Classifier struct {
	// Network ends in an [nn.Softmax] or an [nn.Neighbours], for classes that each apply to rows in an
	// [nn.Activation], a sigmoid, and for numbers in any layer.
	Network *nn.Network
	Weights nn.Weights
	Classes []string // in the order of the outputs
	// Target is what the outputs tell of a row, if it is not one of Classes; nil if it is.
	Target *record.Head
	// Metadata is further metadata of the artifact, such as record.PreprocessingKey and
	// record.ExtractionKey: how the features that the network takes are made.
	Metadata map[string]string
}

// Model returns the classifier as a model table: the network's JSON is the architecture, the
// tensors come in the order of the network's parameters.
func (c *Classifier) Model() (record.Model, error) {
	if err := c.check(); err != nil {
		return record.Model{}, fmt.Errorf("store a classifier: %w", err)
	}
	architecture, err := json.Marshal(c.Network)
	if err != nil {
		return record.Model{}, fmt.Errorf("store a classifier: %w", err)
	}
	m := record.Model{Architecture: architecture, Classes: c.Classes, Metadata: c.Metadata}
	if c.Target != nil {
		text, err := c.Target.Encode()
		if err != nil {
			return record.Model{}, fmt.Errorf("store a classifier: %w", err)
		}
		m.Metadata = maps.Clone(c.Metadata)
		if m.Metadata == nil {
			m.Metadata = map[string]string{}
		}
		m.Metadata[record.HeadKey] = text
	}
	for _, p := range c.Network.Parameters() {
		t := c.Weights[p.Name()]
		m.Tensors = append(m.Tensors, record.Tensor{Name: p.Name(), Shape: t.Shape, Data: t.Data})
	}
	return m, nil
}

// Parse makes a classifier of a model table, and checks that network, tensors and classes fit.
func Parse(m record.Model) (*Classifier, error) {
	c := &Classifier{Network: new(nn.Network), Weights: nn.Weights{}, Classes: m.Classes, Metadata: m.Metadata}
	if text, ok := m.Metadata[record.HeadKey]; ok {
		h, err := record.ParseHead(text)
		if err != nil {
			return nil, fmt.Errorf("load a classifier: %w", err)
		}
		c.Target = &h
	}
	if err := json.Unmarshal(m.Architecture, c.Network); err != nil {
		return nil, fmt.Errorf("load a classifier: %w", err)
	}
	for _, t := range m.Tensors {
		if _, twice := c.Weights[t.Name]; twice {
			return nil, fmt.Errorf("load a classifier: two tensors are named %q", t.Name)
		}
		c.Weights[t.Name] = nn.Tensor{Shape: t.Shape, Data: t.Data}
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("load a classifier: %w", err)
	}
	return c, nil
}

// Read makes a classifier of a model artifact.
func Read(ctx context.Context, in pipeline.Input) (*Classifier, error) {
	var c *Classifier
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, fmt.Errorf("read model %s: %w", in.Name(), err)
		}
		if c != nil {
			return nil, fmt.Errorf("read model %s: it has more than one batch of tensors", in.Name())
		}
		m, err := record.ParseModel(rec)
		if err != nil {
			return nil, fmt.Errorf("read model %s: %w", in.Name(), err)
		}
		if c, err = Parse(m); err != nil {
			return nil, fmt.Errorf("read model %s: %w", in.Name(), err)
		}
	}
	if c == nil {
		return nil, fmt.Errorf("read model %s: it is empty", in.Name())
	}
	return c, nil
}

// Head is what the outputs tell.
func (c *Classifier) Head() record.Head {
	if c.Target != nil {
		return *c.Target
	}
	return record.SingleLabelHead(record.Label, c.Classes)
}

// InputShape is the shape of the example that the network takes: [features], or [height, width,
// channels].
func (c *Classifier) InputShape() nn.Shape {
	return c.Network.Shape(c.Network.Inputs()[0].Name)
}

// Compile returns the program that computes probabilities, [len(Classes)] for each example. It may
// be shared; each goroutine runs it in a session of its own.
func (c *Classifier) Compile() (*frozen.Program, error) {
	return frozen.Compile(c.Network, c.Weights)
}

func (c *Classifier) check() error {
	if len(c.Network.Layers()) == 0 {
		return errors.New("the network has no layer")
	}
	if n := len(c.Network.Inputs()); n != 1 {
		return fmt.Errorf("the network has %d inputs, want one", n)
	}
	h, output := c.Head(), c.Network.Output()
	if c.Target != nil {
		if err := h.Check(); err != nil {
			return err
		}
	}
	if h.Task != record.Regression && !slices.Equal(h.Classes, c.Classes) {
		return fmt.Errorf("the head tells %d classes, the model has %d", len(h.Classes), len(c.Classes))
	}
	switch op := output.Op.(type) {
	case nn.Softmax, nn.Neighbours:
		if h.Task == record.MultiLabel {
			return fmt.Errorf("the network ends in layer %q (%s), and any of its classes may apply", output.Name, op.Kind())
		}
	default:
		sigmoid := output.Op == nn.Op(nn.Activation{Function: kernel.Sigmoid})
		if h.Task == record.SingleLabel || h.Task == record.MultiLabel && !sigmoid {
			return fmt.Errorf("the network ends in layer %q (%s), not in a softmax or a vote", output.Name, output.Op.Kind())
		}
	}
	if n, names := c.Network.Shape(output.Name).Size(), len(h.Names()); n != names {
		return fmt.Errorf("the network has %d outputs for %d classes", n, names)
	}
	return c.Network.Check(c.Weights)
}
