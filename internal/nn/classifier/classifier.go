package classifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/weightfile"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Classifier is a network whose output is a probability for each class, or numbers; or several tasks have such an output each.
type Classifier struct {
	// Each output of Network is an [nn.Softmax] or an [nn.Neighbours], for classes that each apply to rows in an
	// [nn.Activation], a sigmoid, and for numbers any layer.
	Network *nn.Network
	Weights nn.Weights
	// Description tells how the network's input is made, what its output means, and where it comes from.
	Description record.Description
	Metadata    map[string]string // further metadata of the artifact
}

// New makes a classifier of a network with one input, which transforms make of a picture file; none if
// that is not known.
func New(net *nn.Network, weights nn.Weights, head record.Head, transforms record.Transforms) *Classifier {
	c := &Classifier{Network: net, Weights: weights, Description: record.Description{Version: record.ModelVersion, Heads: []record.Head{head}}}
	for _, in := range net.Inputs() {
		c.Description.Inputs = append(c.Description.Inputs, record.ModelInput{Name: in.Name, Shape: net.Shape(in.Name), Column: columnOf(net.Shape(in.Name), transforms), Transforms: transforms})
	}
	return c
}

// columnOf is the column of tables that holds inputs of a shape ready made.
func columnOf(shape nn.Shape, transforms record.Transforms) string {
	if !shape.Fixed() {
		return record.Tokens
	}
	if _, features := transforms.Extraction(); !features && len(shape) == 3 && shape[2] == 3 {
		return record.Image
	}
	return record.Feature
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
	m := record.Model{Architecture: architecture, Description: &c.Description, Metadata: c.Metadata}
	for _, p := range c.Network.Parameters() {
		t := c.Weights[p.Name()]
		m.Tensors = append(m.Tensors, record.Tensor{Name: p.Name(), Shape: t.Shape, Data: t.Data, Type: c.rests(p)})
	}
	return m, nil
}

// Record is the classifier as the one record of a model table.
func (c *Classifier) Record() (arrow.Record, error) {
	m, err := c.Model()
	if err != nil {
		return nil, err
	}
	return m.Record()
}

// Parse makes a classifier of a model table, and checks that network, tensors and description fit. Models
// of form 1, without a description, are described by their metadata.
func Parse(m record.Model) (*Classifier, error) {
	c := &Classifier{Network: new(nn.Network), Weights: nn.Weights{}, Metadata: m.Metadata}
	if err := json.Unmarshal(m.Architecture, c.Network); err != nil {
		return nil, fmt.Errorf("load a classifier: %w", err)
	}
	for _, t := range m.Tensors {
		if _, twice := c.Weights[t.Name]; twice {
			return nil, fmt.Errorf("load a classifier: two tensors are named %q", t.Name)
		}
		c.Weights[t.Name] = nn.Tensor{Shape: t.Shape, Data: t.Data}
	}
	err := c.describe(m)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("load a classifier: %w", err)
	}
	return c, nil
}

// describe takes over the description of a model, or makes one.
func (c *Classifier) describe(m record.Model) (err error) {
	if m.Description != nil {
		c.Description = *m.Description
		return nil
	}
	inputs := c.Network.Inputs()
	if len(c.Network.Layers()) == 0 || len(inputs) == 0 {
		return errors.New("the network has no layer")
	}
	c.Metadata = maps.Clone(m.Metadata)
	c.Description, err = record.DescribeFirstForm(c.Metadata, m.Classes, record.ModelInput{Name: inputs[0].Name, Shape: c.Network.Shape(inputs[0].Name)})
	if err == nil && c.Description.Inputs[0].Column == "" {
		c.Description.Inputs[0].Column = columnOf(c.InputShape(), nil)
	}
	return err
}

// Read makes a classifier of a model artifact, which must have one task.
func Read(ctx context.Context, in pipeline.Input) (*Classifier, error) {
	c, err := ReadTasks(ctx, in)
	if err != nil {
		return nil, err
	}
	if c, err = c.Task(""); err != nil {
		return nil, fmt.Errorf("model %s: %w", in.Name(), err)
	}
	return c, nil
}

// ReadTasks makes a classifier of a model artifact with any number of tasks.
func ReadTasks(ctx context.Context, in pipeline.Input) (*Classifier, error) {
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
		if rec.NumRows() == 0 {
			continue // an output that a stage had nothing for
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

// ReadFile reads a classifier with one task from a safetensors file as `tlpipe show --export` writes it: with
// architecture and description in the metadata.
func ReadFile(path string) (*Classifier, error) {
	c, err := ReadTasksFile(path)
	if err != nil {
		return nil, err
	}
	if c, err = c.Task(""); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ReadTasksFile is [ReadFile] of a model with any number of tasks.
func ReadTasksFile(path string) (_ *Classifier, err error) {
	f, err := safetensors.Open(path, weightfile.Budget())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, ok := f.Metadata()[record.ArchitectureKey]; !ok {
		return nil, fmt.Errorf("%s: not a model of tlpipe: there is no %s in its metadata; weights alone can be the weights of a backbone in a pipeline (\"tlpipe show FILE:STAGE --export model.safetensors\" writes models)", path, record.ArchitectureKey)
	}
	m, err := record.ModelOf(f.Metadata())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Tensors, err = tensorsOf(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c, err := Parse(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Head is what the output tells, of several tasks the first.
func (c *Classifier) Head() record.Head { return c.Description.Heads[0] }

// Tasks are the names of its heads.
func (c *Classifier) Tasks() (names []string) {
	for _, h := range c.Description.Heads {
		names = append(names, h.Name)
	}
	return names
}

// Task is the part of the model that answers one task: the layers that it needs, and its head. The name may be "" if there is
// but one.
func (c *Classifier) Task(name string) (*Classifier, error) {
	if len(c.Description.Heads) == 1 && (name == "" || name == c.Head().Name) {
		return c, nil
	}
	at := slices.Index(c.Tasks(), name)
	switch {
	case at < 0 && name == "":
		return nil, &SeveralTasksError{c.Tasks()}
	case at < 0:
		return nil, fmt.Errorf("the model has no task %q; it has: %s", name, strings.Join(c.Tasks(), ", "))
	}
	out := *c
	head := c.Description.Heads[at]
	var err error
	if out.Network, err = c.Network.Cut(head.Output); err != nil {
		return nil, err
	}
	out.Weights = c.Weights.Select(out.Network)
	out.Description.Heads = []record.Head{head}
	return &out, nil
}

// SeveralTasksError says that one task has to be named of those that a model has.
type SeveralTasksError struct{ Tasks []string }

func (e *SeveralTasksError) Error() string {
	return "the model has several tasks, of which one has to be named: " + strings.Join(e.Tasks, ", ")
}

// Input is what the network takes.
func (c *Classifier) Input() record.ModelInput { return c.Description.Inputs[0] }

// Transforms are the steps from the bytes of a file to the input: of networks on tokens, those that the metadata of the texts which
// they learned from tells; else the input's own.
func (c *Classifier) Transforms() (record.Transforms, error) {
	if own := c.Input().Transforms; len(own) > 0 || c.Network.Element(c.Input().Name) != nn.Int32 {
		return own, nil
	}
	return record.TokenTransforms(c.Metadata)
}

// InputShape is the shape of the example that the network takes: [features], or [height, width,
// channels].
func (c *Classifier) InputShape() nn.Shape {
	return c.Network.Shape(c.Network.Inputs()[0].Name)
}

// Compile returns the program that computes probabilities or numbers, one for each name of the head, of each example. It may
// be shared; each goroutine runs it in a session of its own.
func (c *Classifier) Compile() (*frozen.Program, error) {
	// Adapters of low rank cost nothing once they are folded into the weights.
	net, weights, err := adapter.Merge(c.Network, c.Weights)
	if err != nil {
		return nil, err
	}
	return frozen.By(c.Scheme()).Compile(net, weights)
}

func (c *Classifier) check() error {
	if len(c.Network.Layers()) == 0 {
		return errors.New("the network has no layer")
	}
	if n := len(c.Network.Inputs()); n != 1 {
		return fmt.Errorf("the network has %d inputs, want one", n)
	}
	if err := c.Description.Check(); err != nil {
		return err
	}
	if in, name := c.Input(), c.Network.Inputs()[0].Name; len(c.Description.Inputs) != 1 || in.Name != name || !slices.Equal(in.Shape, c.InputShape()) {
		return fmt.Errorf("the description tells of the input %q of shape %v, but the network takes %q of shape %v", in.Name, in.Shape, name, c.InputShape())
	}
	heads, outputs := c.Description.Heads, c.Network.Outputs()
	if len(heads) != len(outputs) || len(heads) == 0 {
		return fmt.Errorf("the model has %d heads, and its network %d outputs", len(heads), len(outputs))
	}
	for i, h := range heads {
		if err := c.checkHead(h, outputs[i], len(heads) > 1); err != nil {
			return err
		}
	}
	if scheme := c.Scheme(); scheme != nil {
		if err := scheme.Check(c.Network); err != nil {
			return err
		}
	}
	return c.Network.Check(c.Weights)
}

// checkHead tells what is wrong with a head that reads an output of the network. Of several heads, each must name its own.
func (c *Classifier) checkHead(h record.Head, output nn.Layer, named bool) error {
	if (named || h.Output != "") && h.Output != output.Name {
		return fmt.Errorf("head %q reads layer %q, but the network ends in %q", h.Name, h.Output, output.Name)
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
	return nil
}
