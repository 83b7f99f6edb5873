package onnx

import (
	"fmt"
	"math"
	"slices"
)

// Model is a file.
type Model struct {
	IRVersion       int64
	Opsets          []Opset
	Producer        string
	ProducerVersion string
	Doc             string
	Graph           Graph
	Metadata        []Entry
	Functions       int // how many the file defines; they are not read
}

// Opset is a set of operators in a version. The domain "" is that of the standard.
type Opset struct {
	Domain  string
	Version int64
}

// Entry is a piece of metadata.
type Entry struct{ Key, Value string }

// Opset is the version of the operators of a domain; 0 if the model uses none of it. "ai.onnx" is "".
func (m *Model) Opset(domain string) int64 {
	for _, o := range m.Opsets {
		if o.Domain == domain || domain == "" && o.Domain == "ai.onnx" {
			return o.Version
		}
	}
	return 0
}

// Graph is what a model computes.
type Graph struct {
	Name         string
	Nodes        []Node
	Initializers []Tensor
	Inputs       []ValueInfo // initializers may be among them: then they are defaults
	Outputs      []ValueInfo
	Values       []ValueInfo // of those in between, as far as they are told
	Sparse       int         // how many sparse initializers there are; they are not read
}

// Node applies an operator. An input or output "" is left out.
type Node struct {
	Name       string
	Operator   string
	Domain     string
	Inputs     []string
	Outputs    []string
	Attributes []Attribute
}

// Attribute returns that of a name; nil if the node has none.
func (n *Node) Attribute(name string) *Attribute {
	if i := slices.IndexFunc(n.Attributes, func(a Attribute) bool { return a.Name == name }); i >= 0 {
		return &n.Attributes[i]
	}
	return nil
}

// String names the node for people: by its name, or by what it makes.
func (n *Node) String() string {
	switch {
	case n.Name != "":
		return fmt.Sprintf("node %q (%s)", n.Name, n.Operator)
	case len(n.Outputs) > 0:
		return fmt.Sprintf("the node that makes %q (%s)", n.Outputs[0], n.Operator)
	}
	return "a node " + n.Operator
}

// Attribute is a constant of a node, in the field of its type.
type Attribute struct {
	Name    string
	Type    AttributeType
	Float   float32
	Int     int64
	Bytes   []byte // of a string
	Tensor  *Tensor
	Floats  []float32
	Ints    []int64
	Strings [][]byte
	Refers  string // to an attribute of the function that the node stands in
}

// AttributeType tells which field of an attribute is set.
type AttributeType int

// The types of attributes, numbered as in onnx.proto. Graphs and the like are not read.
const (
	FloatAttribute   AttributeType = 1
	IntAttribute     AttributeType = 2
	StringAttribute  AttributeType = 3
	TensorAttribute  AttributeType = 4
	GraphAttribute   AttributeType = 5
	FloatsAttribute  AttributeType = 6
	IntsAttribute    AttributeType = 7
	StringsAttribute AttributeType = 8
)

// Float makes an attribute of a number.
func Float(name string, x float32) Attribute {
	return Attribute{Name: name, Type: FloatAttribute, Float: x}
}

// Int makes an attribute of a whole number.
func Int(name string, x int) Attribute {
	return Attribute{Name: name, Type: IntAttribute, Int: int64(x)}
}

// Ints makes an attribute of whole numbers.
func Ints(name string, x ...int) Attribute {
	a := Attribute{Name: name, Type: IntsAttribute}
	for _, v := range x {
		a.Ints = append(a.Ints, int64(v))
	}
	return a
}

// String makes an attribute of a text.
func String(name, text string) Attribute {
	return Attribute{Name: name, Type: StringAttribute, Bytes: []byte(text)}
}

// Strings makes an attribute of texts.
func Strings(name string, texts ...string) Attribute {
	a := Attribute{Name: name, Type: StringsAttribute}
	for _, text := range texts {
		a.Strings = append(a.Strings, []byte(text))
	}
	return a
}

// DataType is the type of a tensor's elements.
type DataType int32

// The types of elements, numbered as in onnx.proto.
const (
	Float32  DataType = 1
	Uint8    DataType = 2
	Int8     DataType = 3
	Uint16   DataType = 4
	Int16    DataType = 5
	Int32    DataType = 6
	Int64    DataType = 7
	Text     DataType = 8
	Bool     DataType = 9
	Float16  DataType = 10
	Float64  DataType = 11
	Uint32   DataType = 12
	Uint64   DataType = 13
	BFloat16 DataType = 16
)

// String names a type as ONNX does, in lower case.
func (t DataType) String() string {
	names := map[DataType]string{
		Float32: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16", Int32: "int32", Int64: "int64", Text: "string",
		Bool: "bool", Float16: "float16", Float64: "float64", Uint32: "uint32", Uint64: "uint64", BFloat16: "bfloat16",
	}
	if name, ok := names[t]; ok {
		return name
	}
	return fmt.Sprintf("of the unknown type %d", int(t))
}

// Size is the bytes of an element in raw data; 0 for types that have none, or are not known.
func (t DataType) Size() int {
	switch t {
	case Uint8, Int8, Bool:
		return 1
	case Uint16, Int16, Float16, BFloat16:
		return 2
	case Float32, Int32, Uint32:
		return 4
	case Int64, Float64, Uint64:
		return 8
	}
	return 0
}

// Tensor is an array of numbers, row-major: in Raw, little-endian, or in the field of its type.
type Tensor struct {
	Name     string
	Type     DataType
	Shape    []int64
	Raw      []byte
	Floats   []float32
	Int32s   []int32 // also of smaller types
	Int64s   []int64
	Doubles  []float64
	Uint64s  []uint64
	External bool // the numbers lie in another file
}

// Elements is how many numbers the shape has; false if it is none, or overflows.
func (t *Tensor) Elements() (int, bool) {
	n := int64(1)
	for _, d := range t.Shape {
		if d < 0 || d > 0 && n > math.MaxInt32/d {
			return 0, false
		}
		n *= d
	}
	return int(n), true
}

// ValueInfo tells of a value.
type ValueInfo struct {
	Name  string
	Type  DataType // 0 if it is no tensor, or not told
	Shape []Dimension
	Known bool // there is a shape; else its rank is not known
}

// Dimension is the length of an axis: a number, or a name for what varies.
type Dimension struct {
	Length int64
	Name   string // "" where Length counts; with Length 0, nothing is known
}
