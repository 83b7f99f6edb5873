package exec

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Type is the type of a column as pipelines spell it: float32, utf8, list<utf8>, float32[128].
type Type string

// plainTypes are those of single values, by name.
func plainTypes() []arrow.DataType {
	p := arrow.PrimitiveTypes
	return []arrow.DataType{
		arrow.FixedWidthTypes.Boolean, p.Int8, p.Int16, p.Int32, p.Int64, p.Uint8, p.Uint16, p.Uint32, p.Uint64,
		arrow.FixedWidthTypes.Float16, p.Float32, p.Float64, arrow.BinaryTypes.String, arrow.BinaryTypes.Binary,
	}
}

func nameOf(t arrow.DataType) string {
	switch t.ID() {
	case arrow.FLOAT16:
		return "float16"
	case arrow.STRING:
		return "utf8"
	}
	return t.Name()
}

const typeHint = "one of bool, int8 … int64, uint8 … uint64, float16, float32, float64, utf8, binary; list<utf8>; or with a shape, as in float32[128]"

// Field declares a column of the type.
func (t Type) Field(name string) (arrow.Field, error) {
	text := strings.ReplaceAll(string(t), " ", "")
	if inner, ok := strings.CutPrefix(text, "list<"); ok && strings.HasSuffix(inner, ">") {
		element, err := plain(strings.TrimSuffix(inner, ">"))
		if err != nil {
			return arrow.Field{}, err
		}
		return arrow.Field{Name: name, Type: arrow.ListOf(element), Nullable: true}, nil
	}
	word, shape, tensor := strings.Cut(text, "[")
	element, err := plain(word)
	if err != nil {
		return arrow.Field{}, err
	}
	if !tensor {
		return arrow.Field{Name: name, Type: element, Nullable: true}, nil
	}
	sizes, size := []int{}, 1
	for part := range strings.SplitSeq(strings.TrimSuffix(shape, "]"), ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > maxTensor || size*n > maxTensor || !strings.HasSuffix(shape, "]") {
			return arrow.Field{}, fmt.Errorf("%q has no shape such as [224,224,3], of at most %d numbers", string(t), maxTensor)
		}
		sizes, size = append(sizes, n), size*n
	}
	if _, ok := element.(arrow.FixedWidthDataType); !ok || element.ID() == arrow.BOOL {
		return arrow.Field{}, fmt.Errorf("%q: tensors are of numbers", string(t))
	}
	f := record.TensorField(name, element, sizes...)
	f.Nullable = true
	return f, nil
}

// maxTensor is how many numbers a row of a column may have.
const maxTensor = 1 << 26

func plain(word string) (arrow.DataType, error) {
	for _, t := range plainTypes() {
		if nameOf(t) == word || word == "string" && t.ID() == arrow.STRING {
			return t, nil
		}
	}
	return nil, fmt.Errorf("there is no type %q", word)
}

// conform gives a column of a program the type that was declared; an error says in what they differ. The values are not
// copied.
func conform(column arrow.Array, f arrow.Field) (arrow.Array, error) {
	differs := func() error {
		return fmt.Errorf("column %q is %s, and was declared as %s", f.Name, column.DataType(), f.Type)
	}
	if extension, ok := column.(array.ExtensionArray); ok {
		column = extension.Storage()
	}
	want, nested := f.Type.(arrow.ListLikeType)
	if !nested {
		if !arrow.TypeEqual(column.DataType(), f.Type) {
			return nil, differs()
		}
		column.Retain()
		return column, nil
	}
	list, ok := column.(array.ListLike)
	if !ok || column.DataType().ID() != f.Type.ID() || !arrow.TypeEqual(column.DataType().(arrow.ListLikeType).Elem(), want.Elem()) {
		return nil, differs()
	}
	if fixed, ok := f.Type.(*arrow.FixedSizeListType); ok {
		if column.DataType().(*arrow.FixedSizeListType).Len() != fixed.Len() {
			return nil, differs()
		}
		if list.ListValues().NullN() > 0 {
			return nil, fmt.Errorf("column %q has nulls among the numbers of a row; a row without numbers is null as a whole", f.Name)
		}
	}
	data := column.Data()
	same := array.NewData(f.Type, data.Len(), data.Buffers(), data.Children(), data.NullN(), data.Offset())
	defer same.Release()
	return array.MakeFromData(same), nil
}

// Values are parameters of any shape, as canonical JSON.
type Values string

// DecodeParam implements params.Decoder.
func (v *Values) DecodeParam(d *params.Decoding, node *yaml.Node) {
	var any map[string]any
	if err := node.Decode(&any); err != nil {
		d.Errorf(node, "NAME: value, one a line", "parameters are a mapping")
		return
	}
	text, err := json.Marshal(any)
	if err != nil {
		d.Errorf(node, "", "this cannot be written as JSON: %v", err)
		return
	}
	*v = Values(text)
}

// ParamSchema implements params.Schemer.
func (Values) ParamSchema(map[string]any) map[string]any { return map[string]any{"type": "object"} }
