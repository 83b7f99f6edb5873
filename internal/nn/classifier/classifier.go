package classifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Classifier is a network whose output is a probability for each class.
type Classifier struct {
	Network *nn.Network // its last layer is an [nn.Softmax] or an [nn.Neighbours]
	Weights nn.Weights
	Classes []string // in the order of the outputs
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
	for _, p := range c.Network.Parameters() {
		t := c.Weights[p.Name()]
		m.Tensors = append(m.Tensors, record.Tensor{Name: p.Name(), Shape: t.Shape, Data: t.Data})
	}
	return m, nil
}

// Parse makes a classifier of a model table, and checks that network, tensors and classes fit.
func Parse(m record.Model) (*Classifier, error) {
	c := &Classifier{Network: new(nn.Network), Weights: nn.Weights{}, Classes: m.Classes, Metadata: m.Metadata}
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
	output := c.Network.Output()
	switch output.Op.(type) {
	case nn.Softmax, nn.Neighbours:
	default:
		return fmt.Errorf("the network ends in layer %q (%s), not in a softmax or a vote", output.Name, output.Op.Kind())
	}
	if n := c.Network.Shape(output.Name).Size(); n != len(c.Classes) {
		return fmt.Errorf("the network has %d outputs for %d classes", n, len(c.Classes))
	}
	return c.Network.Check(c.Weights)
}
