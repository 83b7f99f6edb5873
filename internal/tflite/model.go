package tflite

// Model is a file of one graph.
type Model struct {
	Description string
	Metadata    []Entry
	Tensors     []Tensor
	Operators   []Operator
	Inputs      []int // tensors
	Outputs     []int // tensors
}

// Entry is a piece of metadata.
type Entry struct {
	Name string
	Data []byte
}

// Type is that of a tensor's elements, numbered as in the schema.
type Type int8

// The types that are known.
const (
	Float32 Type = 0
	Float16 Type = 1
	Int32   Type = 2
	Uint8   Type = 3
	Int64   Type = 4
	Int8    Type = 9
)

// Size is the bytes of an element; 0 for types that are not known.
func (t Type) Size() int {
	switch t {
	case Uint8, Int8:
		return 1
	case Float16:
		return 2
	case Float32, Int32:
		return 4
	case Int64:
		return 8
	}
	return 0
}

// Tensor is an array.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int
	Data  []byte // of a constant, little-endian; nil for others
	Steps *Steps // nil: it is not quantised
}

// Elements is how many numbers the tensor has.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Steps are what the elements of a quantised tensor stand for: Sizes·(element − Zeros).
type Steps struct {
	Sizes []float32 // one, or one for each part along Axis
	Zeros []int64   // as many
	Axis  int
}

// Operator computes tensors of others. An input of −1 is left out.
type Operator struct {
	Code    Code
	Version int
	Inputs  []int
	Outputs []int
	Options Options
}

// Options are the settings of an operator. Those that are left out are 0.
type Options map[Field]int
