package tflite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/mapped"
)

// Limits is what reading one file may use: tensors, operators and entries of lists.
func Limits() *budget.Budget {
	return budget.New(budget.Limit{Resource: budget.Items, Most: 1 << 22, Raise: "no model has so many"})
}

// Open maps a file and reads it. Constants lie in the mapping: they are gone after close.
func Open(path string, b *budget.Budget) (_ *Model, close func() error, err error) {
	return mapped.Parse(path, func(data []byte) (*Model, error) { return Parse(data, b) })
}

// Parse reads a model from memory, which constants refer to. Offsets that lead out of the file are an error, and so are
// numbers of tensors that there are not.
func Parse(data []byte, limits *budget.Budget) (m *Model, err error) {
	defer func() {
		if fault := recover(); fault != nil { // the library follows offsets without a check
			m, err = nil, fmt.Errorf("read a TensorFlow Lite model: damaged: %v", fault)
		}
	}()
	if len(data) < 8 || string(data[4:8]) != identifier {
		return nil, errors.New("read a TensorFlow Lite model: it is none")
	}
	d := &decoder{budget: limits}
	root := table{flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}}
	if m, err = d.model(root); err != nil {
		return nil, fmt.Errorf("read a TensorFlow Lite model: %w", err)
	}
	return m, nil
}

type decoder struct{ budget *budget.Budget }

// table is one of a file; its fields are known by number.
type table struct{ flatbuffers.Table }

func (t table) at(slot int) flatbuffers.UOffsetT {
	o := t.Offset(flatbuffers.VOffsetT(4 + 2*slot))
	if o == 0 {
		return 0
	}
	return flatbuffers.UOffsetT(o) + t.Pos
}

func (t table) int(slot, size, otherwise int) int {
	at := t.at(slot)
	switch {
	case at == 0:
		return otherwise
	case size == 1:
		return int(t.GetInt8(at))
	}
	return int(t.GetInt32(at))
}

// vector returns where a list lies, and its length.
func (d *decoder) vector(t table, slot, size int) (at flatbuffers.UOffsetT, n int, err error) {
	field := t.at(slot)
	if field == 0 {
		return 0, 0, nil
	}
	o := field - t.Pos
	at, n = t.Vector(o), t.VectorLen(o)
	if n < 0 || int64(at)+int64(n)*int64(size) > int64(len(t.Bytes)) {
		return 0, 0, errors.New("a list leads out of the file")
	}
	items := n
	if size == 1 {
		items = 1 // bytes of a buffer
	}
	return at, n, d.budget.Take(budget.Items, int64(items))
}

func (d *decoder) ints(t table, slot int) ([]int, error) {
	at, n, err := d.vector(t, slot, 4)
	var out []int
	for i := range n {
		out = append(out, int(t.GetInt32(at+flatbuffers.UOffsetT(4*i))))
	}
	return out, err
}

func (d *decoder) tables(t table, slot int) ([]table, error) {
	at, n, err := d.vector(t, slot, 4)
	var out []table
	for i := range n {
		out = append(out, table{flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(4*i))}})
	}
	return out, err
}

func (t table) text(slot int) string {
	if at := t.at(slot); at != 0 {
		return string(t.ByteVector(at))
	}
	return ""
}

func (d *decoder) model(root table) (*Model, error) {
	if v := root.int(0, 4, 0); v != version {
		return nil, fmt.Errorf("version %d of the format is not known", v)
	}
	m := &Model{Description: root.text(3)}
	buffers, err := d.buffers(root)
	if err != nil {
		return nil, err
	}
	buffer := func(i int) ([]byte, error) {
		if i < 0 || i >= len(buffers) {
			return nil, fmt.Errorf("there is no buffer %d", i)
		}
		return buffers[i], nil
	}
	kinds, err := d.tables(root, 1)
	if err != nil {
		return nil, err
	}
	graphs, err := d.tables(root, 2)
	if err != nil {
		return nil, err
	}
	if len(graphs) != 1 {
		return nil, fmt.Errorf("it has %d graphs, want one", len(graphs))
	}
	metadata, err := d.tables(root, 6)
	if err != nil {
		return nil, err
	}
	for _, t := range metadata {
		data, err := buffer(t.int(1, 4, 0))
		if err != nil {
			return nil, err
		}
		m.Metadata = append(m.Metadata, Entry{t.text(0), data})
	}
	g := graphs[0]
	tensors, err := d.tables(g, 0)
	if err != nil {
		return nil, err
	}
	for _, t := range tensors {
		tensor, err := d.tensor(t, buffer)
		if err != nil {
			return nil, err
		}
		m.Tensors = append(m.Tensors, tensor)
	}
	list, err := d.tables(g, 3)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		o, err := d.operator(t, kinds)
		if err != nil {
			return nil, err
		}
		m.Operators = append(m.Operators, o)
	}
	if m.Inputs, err = d.ints(g, 1); err != nil {
		return nil, err
	}
	if m.Outputs, err = d.ints(g, 2); err != nil {
		return nil, err
	}
	return m, m.check()
}

func (d *decoder) buffers(root table) ([][]byte, error) {
	tables, err := d.tables(root, 4)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(tables))
	for i, t := range tables {
		at, n, err := d.vector(t, 0, 1)
		if err != nil {
			return nil, err
		}
		if at != 0 {
			out[i] = t.Bytes[at : int(at)+n]
		}
	}
	return out, nil
}

func (d *decoder) tensor(t table, buffer func(int) ([]byte, error)) (out Tensor, err error) {
	out = Tensor{Name: t.text(3), Type: Type(t.int(1, 1, 0))}
	if out.Shape, err = d.ints(t, 0); err != nil {
		return out, err
	}
	if n := t.int(2, 4, 0); n != 0 {
		if out.Data, err = buffer(n); err != nil {
			return out, err
		}
	}
	at := t.at(4)
	if at == 0 {
		return out, nil
	}
	q := table{flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)}}
	s := &Steps{Axis: q.int(6, 4, 0)}
	from, n, err := d.vector(q, 2, 4)
	if err != nil {
		return out, err
	}
	for i := range n {
		s.Sizes = append(s.Sizes, math.Float32frombits(binary.LittleEndian.Uint32(q.Bytes[int(from)+4*i:])))
	}
	from, n, err = d.vector(q, 3, 8)
	if err != nil {
		return out, err
	}
	for i := range n {
		s.Zeros = append(s.Zeros, int64(binary.LittleEndian.Uint64(q.Bytes[int(from)+8*i:])))
	}
	if len(s.Sizes) > 0 {
		out.Steps = s
	}
	return out, nil
}

func (d *decoder) operator(t table, kinds []table) (o Operator, err error) {
	i := t.int(0, 4, 0)
	if i < 0 || i >= len(kinds) {
		return o, fmt.Errorf("there is no kind %d of operators", i)
	}
	o.Code = Code(max(kinds[i].int(0, 1, 0), kinds[i].int(3, 4, 0)))
	o.Version = kinds[i].int(2, 4, 1)
	if o.Inputs, err = d.ints(t, 1); err != nil {
		return o, err
	}
	if o.Outputs, err = d.ints(t, 2); err != nil {
		return o, err
	}
	at := t.at(4)
	known, ok := operators()[o.Code]
	if at == 0 || !ok {
		return o, nil
	}
	options := table{flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)}}
	for _, s := range known.fields {
		if v := options.int(s.at, s.size, s.least); s.field != beta && v != 0 {
			if o.Options == nil {
				o.Options = Options{}
			}
			o.Options[s.field] = v
		}
	}
	return o, nil
}

// check refuses what refers to tensors that there are not, and constants of another size than their shape.
func (m *Model) check() error {
	there := func(list []int, least int) error {
		for _, i := range list {
			if i < least || i >= len(m.Tensors) {
				return fmt.Errorf("there is no tensor %d", i)
			}
		}
		return nil
	}
	err := errors.Join(there(m.Inputs, 0), there(m.Outputs, 0))
	for _, o := range m.Operators {
		err = errors.Join(err, there(o.Inputs, -1), there(o.Outputs, 0))
	}
	if err != nil {
		return err
	}
	for i := range m.Tensors {
		t := &m.Tensors[i]
		n := 1
		for _, d := range t.Shape {
			if d < 0 || d > 0 && n > math.MaxInt32/d {
				return fmt.Errorf("tensor %q: %v is no shape", t.Name, t.Shape)
			}
			n *= d
		}
		if t.Data != nil && t.Type.Size() > 0 && len(t.Data) != n*t.Type.Size() {
			return fmt.Errorf("tensor %q of shape %v has %d bytes", t.Name, t.Shape, len(t.Data))
		}
		if s := t.Steps; s != nil {
			if len(s.Zeros) != len(s.Sizes) || s.Axis < 0 || len(s.Sizes) > 1 && (s.Axis >= len(t.Shape) || t.Shape[s.Axis] != len(s.Sizes)) {
				return fmt.Errorf("tensor %q of shape %v has %d sizes of steps, %d zeros along axis %d", t.Name, t.Shape, len(s.Sizes), len(s.Zeros), s.Axis)
			}
		}
	}
	return nil
}
