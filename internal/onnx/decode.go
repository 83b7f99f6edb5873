package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/mapped"
)

// Limits is what reading one file may use: entries of lists, of which each numbers as one. The raw data of tensors stays
// where it lies, and needs no memory.
func Limits() *budget.Budget {
	return budget.New(budget.Limit{Resource: budget.Items, Most: 1 << 24, Raise: "no model has so many"})
}

// Open maps a file and reads it. The raw data of tensors lies in the mapping: it is gone after close.
func Open(path string, b *budget.Budget) (_ *Model, close func() error, err error) {
	return mapped.Parse(path, func(data []byte) (*Model, error) { return Parse(data, b) })
}

// Parse reads a model from memory, which it refers to: raw data is not copied. The budget is for the entries of
// lists; nil has no limits. What is read is well formed as protocol buffers, no more: names may be missing, shapes may
// not fit data.
func Parse(data []byte, b *budget.Budget) (*Model, error) {
	m := &Model{}
	d := &decoder{b}
	if err := d.model(data, m); err != nil {
		return nil, fmt.Errorf("read an ONNX model: %w", err)
	}
	if m.IRVersion == 0 || len(m.Opsets) == 0 {
		return nil, fmt.Errorf("read an ONNX model: %w: it tells of no version", errWire)
	}
	return m, nil
}

type decoder struct{ budget *budget.Budget }

// field is one of a message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64 // of numbers
	bytes  []byte
}

// fields calls take with each field of a message.
func (d *decoder) fields(data []byte, take func(field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errWire
		}
		data = data[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			return errWire
		}
		if n < 0 {
			return errWire
		}
		data = data[n:]
		if err := d.budget.Take(budget.Items, 1); err != nil {
			return err
		}
		if err := take(f); err != nil {
			return err
		}
	}
	return nil
}

// text is the field as a text.
func (f field) text() string { return string(f.bytes) }

// list appends the field's numbers, packed or one alone.
func list[N any](d *decoder, f field, kind protowire.Type, out []N, number func(uint64) N) ([]N, error) {
	if f.kind == kind {
		return append(out, number(f.value)), nil
	}
	if f.kind != protowire.BytesType {
		return out, errWire
	}
	for data := f.bytes; len(data) > 0; {
		var v uint64
		var n int
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v32 uint32
			v32, n = protowire.ConsumeFixed32(data)
			v = uint64(v32)
		default:
			v, n = protowire.ConsumeFixed64(data)
		}
		if n < 0 {
			return out, errWire
		}
		if err := d.budget.Take(budget.Items, 1); err != nil {
			return out, err
		}
		data = data[n:]
		out = append(out, number(v))
	}
	return out, nil
}

func (d *decoder) ints(f field, out []int64) ([]int64, error) {
	return list(d, f, protowire.VarintType, out, func(v uint64) int64 { return int64(v) })
}

func (d *decoder) floats(f field, out []float32) ([]float32, error) {
	return list(d, f, protowire.Fixed32Type, out, func(v uint64) float32 { return math.Float32frombits(uint32(v)) })
}

func (d *decoder) model(data []byte, m *Model) error {
	return d.fields(data, func(f field) (err error) {
		switch f.number {
		case 1:
			m.IRVersion = int64(f.value)
		case 2:
			m.Producer = f.text()
		case 3:
			m.ProducerVersion = f.text()
		case 6:
			m.Doc = f.text()
		case 7:
			return d.graph(f.bytes, &m.Graph)
		case 8:
			var o Opset
			err = d.fields(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					o.Domain = f.text()
				case 2:
					o.Version = int64(f.value)
				}
				return nil
			})
			m.Opsets = append(m.Opsets, o)
		case 14:
			var e Entry
			err = d.fields(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					e.Key = f.text()
				case 2:
					e.Value = f.text()
				}
				return nil
			})
			m.Metadata = append(m.Metadata, e)
		case 25:
			m.Functions++
		}
		return err
	})
}

func (d *decoder) graph(data []byte, g *Graph) error {
	return d.fields(data, func(f field) error {
		switch f.number {
		case 1:
			g.Nodes = append(g.Nodes, Node{})
			return d.node(f.bytes, &g.Nodes[len(g.Nodes)-1])
		case 2:
			g.Name = f.text()
		case 5:
			g.Initializers = append(g.Initializers, Tensor{})
			return d.tensor(f.bytes, &g.Initializers[len(g.Initializers)-1])
		case 11:
			return d.value(f.bytes, &g.Inputs)
		case 12:
			return d.value(f.bytes, &g.Outputs)
		case 13:
			return d.value(f.bytes, &g.Values)
		case 15:
			g.Sparse++
		}
		return nil
	})
}

func (d *decoder) node(data []byte, n *Node) error {
	return d.fields(data, func(f field) error {
		switch f.number {
		case 1:
			n.Inputs = append(n.Inputs, f.text())
		case 2:
			n.Outputs = append(n.Outputs, f.text())
		case 3:
			n.Name = f.text()
		case 4:
			n.Operator = f.text()
		case 5:
			n.Attributes = append(n.Attributes, Attribute{})
			return d.attribute(f.bytes, &n.Attributes[len(n.Attributes)-1])
		case 7:
			n.Domain = f.text()
		}
		return nil
	})
}

func (d *decoder) attribute(data []byte, a *Attribute) error {
	told := false
	is := func(t AttributeType) {
		if !told {
			a.Type = t // files of the first versions do not tell
		}
	}
	return d.fields(data, func(f field) (err error) {
		switch f.number {
		case 1:
			a.Name = f.text()
		case 2:
			is(FloatAttribute)
			a.Float = math.Float32frombits(uint32(f.value))
		case 3:
			is(IntAttribute)
			a.Int = int64(f.value)
		case 4:
			is(StringAttribute)
			a.Bytes = f.bytes
		case 5:
			is(TensorAttribute)
			a.Tensor = &Tensor{}
			err = d.tensor(f.bytes, a.Tensor)
		case 6:
			is(GraphAttribute)
		case 7:
			is(FloatsAttribute)
			a.Floats, err = d.floats(f, a.Floats)
		case 8:
			is(IntsAttribute)
			a.Ints, err = d.ints(f, a.Ints)
		case 9:
			is(StringsAttribute)
			a.Strings = append(a.Strings, f.bytes)
		case 20:
			told = true
			a.Type = AttributeType(f.value)
		case 21:
			a.Refers = f.text()
		}
		return err
	})
}

func (d *decoder) tensor(data []byte, t *Tensor) error {
	return d.fields(data, func(f field) (err error) {
		switch f.number {
		case 1:
			t.Shape, err = d.ints(f, t.Shape)
		case 2:
			t.Type = DataType(f.value)
		case 4:
			t.Floats, err = d.floats(f, t.Floats)
		case 5:
			t.Int32s, err = list(d, f, protowire.VarintType, t.Int32s, func(v uint64) int32 { return int32(v) })
		case 7:
			t.Int64s, err = d.ints(f, t.Int64s)
		case 8:
			t.Name = f.text()
		case 9:
			t.Raw = f.bytes
		case 10:
			t.Doubles, err = list(d, f, protowire.Fixed64Type, t.Doubles, math.Float64frombits)
		case 11:
			t.Uint64s, err = list(d, f, protowire.VarintType, t.Uint64s, func(v uint64) uint64 { return v })
		case 13:
			t.External = true
		case 14:
			t.External = t.External || f.value == 1
		}
		return err
	})
}

func (d *decoder) value(data []byte, out *[]ValueInfo) error {
	var v ValueInfo
	err := d.fields(data, func(f field) error {
		switch f.number {
		case 1:
			v.Name = f.text()
		case 2:
			return d.fields(f.bytes, func(f field) error {
				if f.number != 1 { // of a sequence, a map, an optional value
					return nil
				}
				return d.tensorType(f.bytes, &v)
			})
		}
		return nil
	})
	*out = append(*out, v)
	return err
}

func (d *decoder) tensorType(data []byte, v *ValueInfo) error {
	return d.fields(data, func(f field) error {
		switch f.number {
		case 1:
			v.Type = DataType(f.value)
		case 2:
			v.Known = true
			return d.fields(f.bytes, func(f field) error {
				if f.number != 1 {
					return nil
				}
				var axis Dimension
				err := d.fields(f.bytes, func(f field) error {
					switch f.number {
					case 1:
						axis.Length = int64(f.value)
					case 2:
						axis.Name = f.text()
					}
					return nil
				})
				v.Shape = append(v.Shape, axis)
				return err
			})
		}
		return nil
	})
}
