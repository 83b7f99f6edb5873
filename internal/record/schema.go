package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// Names of the columns that mean the same in every table.
const (
	ID            = "id"            // utf8, unique in a table but for Copy
	Image         = "image"         // tensor [height, width, 3]
	Feature       = "feature"       // tensor, usually [dimension]
	Label         = "label"         // utf8, null when unknown: the class
	Split         = "split"         // utf8: one of the Split values
	Domain        = "domain"        // utf8, null when there is but one
	Copy          = "copy"          // int32: 0 the picture itself, 1… augmented copies of it
	Likeness      = "likeness"      // utf8, null for pictures that show next to nothing: what package picture/likeness tells like ones by
	PictureWidth  = "image_width"   // int32: pixels of a picture as it was read, turned as it is to be seen
	PictureHeight = "image_height"  // int32
	Text          = "text"          // utf8: what a row of texts says
	Tokens        = "tokens"        // list<int32>: the ids of a text's tokens, as its encoder takes them
	TokenCount    = "token_count"   // int32: tokens of a text before it is cut off, special ones among them
	UnknownTokens = "unknown_count" // int32: those of them that the vocabulary does not have
	Caption       = "caption"       // utf8: a text that goes with the picture
	Predicted     = "predicted"     // utf8: the most probable class
	Probabilities = "probabilities" // fixed-size list<float32>, in the order of Classes
	Confidence    = "confidence"    // float32: the probability of Predicted
	Reason        = "reason"        // utf8: why a row was rejected
)

// Values of the split column.
const (
	Train      = "train"
	Validation = "val"
	Test       = "test"
)

// Keys of schema metadata.
const (
	DescriptionKey   = "tlpipe.description"   // models: a Description as JSON
	PreprocessingKey = "tlpipe.preprocessing" // images and features: a Preprocessing as JSON
	ClassesKey       = "tlpipe.classes"       // predictions, and models of form 1: class names, a JSON list
	ArchitectureKey  = "tlpipe.architecture"  // models: JSON, of the package that made it
	TokensKey        = "tlpipe.tokens"        // texts: a Tokens as JSON, how they were cut into tokens
	VocabularyKey    = "tlpipe.vocabulary"    // texts: the words of a vocabulary, as package words encodes them
	ExtractionKey    = "tlpipe.extraction"    // features: JSON, how a backbone made them
	FormatsKey       = "tlpipe.formats"       // texts: the formats of training files that are not plain text: html, mail, with commas
	TransformsKey    = "tlpipe.transforms"    // features of texts: Transforms as JSON, all steps that made them
	HeadKey          = "tlpipe.head"          // predictions of several classes or of numbers: a Head as JSON
	ModelKey         = "tlpipe.model"         // predictions: the name of the model

	TasksKey = "tlpipe.tasks" // a trait of models, not in their schema: the names of their tasks, a JSON list
	TaskKey  = "tlpipe.task"  // a trait of images and features, and of models on them, not in their schema: the [Task] that their target sets

	NetworkKey = "tlpipe.network" // a trait of models, not in their schema: the network as JSON, with a head for two classes whatever they have

	QuantisationKey = "tlpipe.quantisation" // a trait of models, not in their schema: the [TensorType] of quantised weights
)

// TensorField declares a tensor column of the given element type and shape,
// row-major.
func TensorField(name string, element arrow.DataType, shape ...int) arrow.Field {
	size := 1
	for _, n := range shape {
		size *= n
	}
	described, err := json.Marshal(map[string][]int{"shape": shape})
	if err != nil {
		panic(err) // a list of ints always marshals
	}
	return arrow.Field{
		Name: name,
		Type: arrow.FixedSizeListOfField(int32(size), arrow.Field{Name: "item", Type: element}),
		Metadata: arrow.NewMetadata(
			[]string{"ARROW:extension:name", "ARROW:extension:metadata"},
			[]string{"arrow.fixed_shape_tensor", string(described)}),
	}
}

// TensorShape returns the shape and element type of a tensor column. Other
// fixed-size lists count as tensors of one dimension.
func TensorShape(f arrow.Field) (shape []int, element arrow.DataType, err error) {
	list, ok := f.Type.(*arrow.FixedSizeListType)
	if !ok {
		return nil, nil, fmt.Errorf("column %q is %s, not a tensor", f.Name, f.Type)
	}
	text, ok := f.Metadata.GetValue("ARROW:extension:metadata")
	if !ok {
		return []int{int(list.Len())}, list.Elem(), nil
	}
	var described struct {
		Shape []int `json:"shape"`
	}
	if err := json.Unmarshal([]byte(text), &described); err != nil {
		return nil, nil, fmt.Errorf("column %q: shape of the tensor: %w", f.Name, err)
	}
	size := 1
	for _, n := range described.Shape {
		size *= n
	}
	if size != int(list.Len()) {
		return nil, nil, fmt.Errorf("column %q: shape %v does not hold %d values", f.Name, described.Shape, list.Len())
	}
	return described.Shape, list.Elem(), nil
}

// Column returns the index and field of a named column.
func Column(s *arrow.Schema, name string) (int, arrow.Field, error) {
	at := s.FieldIndices(name)
	if len(at) != 1 {
		return 0, arrow.Field{}, fmt.Errorf("there is no column %q; columns: %s", name, strings.Join(ColumnNames(s), ", "))
	}
	return at[0], s.Field(at[0]), nil
}

// OnPictures tells whether a table holds pictures, and not features.
func OnPictures(schema *arrow.Schema) bool {
	return len(schema.FieldIndices(Image)) > 0 && len(schema.FieldIndices(Feature)) == 0
}

// ColumnNames lists the columns of a schema in order.
func ColumnNames(s *arrow.Schema) []string {
	names := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		names[i] = f.Name
	}
	return names
}

// Replace returns the schema with the named column replaced by field, the
// others and the metadata as they were. It fails if there is no such column.
func Replace(s *arrow.Schema, name string, field arrow.Field) (*arrow.Schema, error) {
	at, _, err := Column(s, name)
	if err != nil {
		return nil, err
	}
	fields := slices.Clone(s.Fields())
	fields[at] = field
	meta := s.Metadata()
	return arrow.NewSchema(fields, &meta), nil
}

// Evaluated is [FromRows] of what an evaluation gave, with its description, an encoded [Evaluation], in the metadata.
func Evaluated[T any](rows []T, about string) arrow.Record {
	plain := FromRows(rows)
	defer plain.Release()
	return array.NewRecord(WithMetadata(plain.Schema(), EvaluationKey, about), plain.Columns(), plain.NumRows())
}

// WithMetadata returns the schema with one metadata entry set. Keys stay
// sorted, so that equal metadata gives equal bytes.
func WithMetadata(s *arrow.Schema, key, value string) *arrow.Schema {
	entries := s.Metadata().ToMap()
	entries[key] = value
	meta := arrow.MetadataFrom(entries)
	return arrow.NewSchema(s.Fields(), &meta)
}
