package network

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// call is a node at work.
type call struct {
	builder *builder
	node    *onnx.Node
	in      []*value // nil where an input is left out
}

func (c *call) allFixed() bool {
	return !slices.ContainsFunc(c.in, func(v *value) bool { return v != nil && !v.fixed() })
}

// input is an input that may be left out.
func (c *call) input(i int) *value {
	if i < len(c.in) {
		return c.in[i]
	}
	return nil
}

// numbers is an input that has to be a constant of numbers.
func (c *call) numbers(i int, what string) (*value, error) {
	v := c.input(i)
	if v == nil || !v.fixed() || v.floats == nil {
		return nil, fmt.Errorf("its %s is not a constant", what)
	}
	return v, nil
}

// wholes is an input that has to be a constant of whole numbers, or an attribute in older versions; nil if it is left out.
func (c *call) wholes(i int, attribute string) ([]int64, error) {
	if a := c.node.Attribute(attribute); a != nil {
		return a.Ints, nil
	}
	v := c.input(i)
	if v == nil {
		return nil, nil
	}
	if !v.fixed() || v.whole == nil && v.size() > 0 {
		return nil, fmt.Errorf("its %s are not constants", attribute)
	}
	return v.whole, nil
}

func (c *call) int(name string, otherwise int) int {
	if a := c.node.Attribute(name); a != nil {
		return int(a.Int)
	}
	return otherwise
}

func (c *call) float(name string, otherwise float32) float32 {
	if a := c.node.Attribute(name); a != nil {
		return a.Float
	}
	return otherwise
}

func (c *call) text(name string) string {
	if a := c.node.Attribute(name); a != nil {
		return string(a.Bytes)
	}
	return ""
}

// pair is an attribute of two numbers, of height and width.
func (c *call) pair(name string) (nn.Pair, error) {
	a := c.node.Attribute(name)
	if a == nil {
		return nn.Pair{1, 1}, nil
	}
	if len(a.Ints) != 2 || slices.Min(a.Ints) < 1 || slices.Max(a.Ints) > 1<<16 {
		return nn.Pair{}, fmt.Errorf("its %s %v are not two numbers, for height and width", name, a.Ints)
	}
	return nn.Pair{int(a.Ints[0]), int(a.Ints[1])}, nil
}

// layer adds a layer that is named after the node.
func (c *call) layer(op nn.Op, inputs ...nn.Value) nn.Value {
	word := c.node.Name
	if word == "" {
		word = c.node.Outputs[0]
	}
	out := c.builder.network.Layer(c.builder.name(word), op, inputs...)
	l := nn.Layer{Name: out.Name, Op: op}
	for _, v := range inputs {
		l.Inputs = append(l.Inputs, v.Name)
	}
	c.builder.producers[out.Name] = l
	return out
}

func (c *call) set(layer nn.Value, role nn.Role, shape nn.Shape, data []float32) {
	c.builder.weights[nn.Parameter{Layer: layer.Name, Role: role}.Name()] = nn.Tensor{Shape: shape, Data: data}
}

// like is a value of the same axes as another, of a layer that keeps the shape.
func like(v *value, layer nn.Value) *value {
	return &value{shape: v.shape, layer: layer, order: v.order, flattened: v.flattened}
}

// mapped is a value of a map, in the order of another.
func mapped(order []int, layer nn.Value) *value {
	sizes := []int{1, layer.Shape[0], layer.Shape[1], layer.Shape[2]}
	shape := make([]int, 4)
	for i, axis := range order {
		shape[i] = sizes[axis]
	}
	return &value{shape: shape, layer: layer, order: order}
}

// aMap is the first input, which has to be a map with channels before height and width.
func (c *call) aMap() (*value, error) {
	v := c.in[0]
	if v.fixed() || len(v.shape) != 4 || !slices.Equal(v.order, channelsFirst) {
		return nil, fmt.Errorf("its input of shape %v is not a feature map (channels, height, width)", v.shape)
	}
	if len(v.layer.Shape) == 3 {
		return v, nil
	}
	map_ := c.builder.network.Layer(c.builder.name(v.layer.Name+".map"), nn.Reshape{Shape: nn.Shape{1, 1, v.layer.Shape[0]}}, v.layer)
	return &value{shape: v.shape, layer: map_, order: v.order}, nil
}

// vector is a value as a layer of one axis.
func (c *call) vector(v *value) (nn.Value, error) {
	switch {
	case v.fixed():
		return nn.Value{}, errors.New("its input is a constant, which is not supported")
	case len(v.layer.Shape) == 1:
		return v.layer, nil
	}
	return c.builder.network.Layer(c.builder.name(v.layer.Name+".flatten"), nn.Flatten{}, v.layer), nil
}
