package evaluate

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// maxSliceValues bounds how many values a column may have to be sliced by:
// with more, slices are too small to say anything, and too many to read.
const maxSliceValues = 200

// table is a data input and what is known of its rows to be measured.
type table struct {
	input     pipeline.Input
	rows      pipeline.Input // the input without what only the search for duplicates reads, and which lies with the pixels
	schema    *arrow.Schema
	pictures  bool   // its rows are pictures, and not features
	tokens    bool   // its rows are texts that were cut into tokens
	dimension int    // numbers of a row
	truth     string // the column with the class of a row
	both      bool   // rows of the source of an adaptation may be among its rows

	// Of the rows to be measured, in their order:
	ids      []string
	labels   []string // "" for none
	labelled []bool
	slices   [][]string // by Params.Slices: the row's value
	clusters []int      // nil without Params.Cluster
}

// readTable reads all about the rows to be measured but their features.
func (s stage) readTable(ctx context.Context, in pipeline.Input, truth string) (*table, error) {
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, fmt.Errorf("data %s has no rows", in.Name())
	}
	t := &table{input: in, rows: in.Select(columnsBut(schema, record.Likeness, record.PictureWidth, record.PictureHeight)...), schema: schema, truth: record.Label, slices: make([][]string, len(s.Slices))}
	if _, field, err := record.Column(schema, truth); err == nil && isScalar(field.Type) {
		t.truth = truth
	}
	if err := s.checkColumns(t); err != nil {
		return nil, fmt.Errorf("data %s: %w", in.Name(), err)
	}
	clusters := map[string]int{}
	splits := map[string]int{}
	seen := map[string]bool{}
	for rec, err := range t.rows.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		rows, err := t.viewRows(rec)
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", in.Name(), err)
		}
		for i := range rows.count {
			if rows.copied(i) {
				continue
			}
			splits[rows.Split(i)]++
			if rows.Split(i) != s.Split {
				continue
			}
			id := string([]byte(rows.ID(i)))
			if seen[id] {
				return nil, fmt.Errorf("data %s: two rows have the id %q", in.Name(), id)
			}
			seen[id] = true
			t.ids = append(t.ids, id)
			label := rows.labelOf(i)
			t.labels = append(t.labels, label)
			t.labelled = append(t.labelled, label != "")
			for k, column := range s.Slices {
				t.slices[k] = append(t.slices[k], valueOf(rec, column, i))
			}
			if s.Cluster != "" {
				t.clusters = append(t.clusters, clusterOf(rec, s.Cluster, i, clusters))
			}
		}
	}
	if len(t.ids) == 0 {
		return nil, fmt.Errorf("data %s has no row of split %s to evaluate on; its splits: %s", in.Name(), s.Split, countsInWords(splits))
	}
	for k, column := range s.Slices {
		if n := len(distinct(t.slices[k])); n > maxSliceValues {
			return nil, pipeline.ParamError(fmt.Sprintf("slices[%d]", k), "column %q of %s has %d values; at most %d can be slices", column, in.Name(), n, maxSliceValues)
		}
	}
	return t, nil
}

// columnsBut are the names of all columns but one.
func columnsBut(schema *arrow.Schema, names ...string) (columns []string) {
	for _, f := range schema.Fields() {
		if !slices.Contains(names, f.Name) {
			columns = append(columns, f.Name)
		}
	}
	return columns
}

func (s stage) checkColumns(t *table) error {
	if record.OnTokens(t.schema) {
		made, err := record.ParseTokenisation(t.schema.Metadata().ToMap()[record.TokensKey])
		if err != nil {
			return err
		}
		t.tokens, t.dimension = true, inference.TokenNumbers(made.Length)
		return s.checkOthers(t)
	}
	column := record.Feature
	if record.OnPictures(t.schema) {
		t.pictures, column = true, record.Image
	}
	_, field, err := record.Column(t.schema, column)
	if err != nil {
		return err
	}
	shape, _, err := record.TensorShape(field)
	if err != nil {
		return err
	}
	t.dimension = 1
	for _, n := range shape {
		t.dimension *= n
	}
	return s.checkOthers(t)
}

// hasFeatures tells whether its rows are features, which classifiers can be fitted to as they are.
func (t *table) hasFeatures() bool { return !t.pictures && !t.tokens }

// checkOthers looks for the columns that the parameters name.
func (s stage) checkOthers(t *table) error {
	for i, column := range s.Slices {
		if err := checkScalar(t.schema, column); err != nil {
			return pipeline.ParamError(fmt.Sprintf("slices[%d]", i), "%v", err)
		}
	}
	if s.Cluster != "" {
		if err := checkScalar(t.schema, s.Cluster); err != nil {
			return pipeline.ParamError("cluster", "%v", err)
		}
	}
	return nil
}

func checkScalar(schema *arrow.Schema, column string) error {
	_, field, err := record.Column(schema, column)
	if err == nil && !isScalar(field.Type) {
		err = fmt.Errorf("column %q is %s, not a plain value", column, field.Type)
	}
	return err
}

// isScalar tells whether values of the type are single: no lists, no structs.
func isScalar(t arrow.DataType) bool {
	_, nested := t.(arrow.NestedType)
	return !nested
}

// batchRows is how many pictures are in memory as numbers at once.
const batchRows = 32

// examples iterates over the rows of a split that pass, in batches: their
// features or pixels, [rows, dimension], reused from batch to batch.
func (t *table) examples(ctx context.Context, passes func(r rowView, i int) bool) iter.Seq2[examples, error] {
	return func(yield func(examples, error) bool) {
		var features []float32
		for rec, err := range t.rows.Batches(ctx) {
			if err != nil {
				yield(examples{}, err)
				return
			}
			rows, err := t.viewRows(rec)
			var read func(dst []float32, row int) []float32
			if err == nil {
				read, err = t.reader(rec)
			}
			if err != nil {
				yield(examples{}, fmt.Errorf("data %s: %w", t.input.Name(), err))
				return
			}
			var at []int
			for i := range rows.count {
				if passes(rows, i) {
					at = append(at, i)
				}
			}
			most := len(at)
			if t.pictures {
				most = batchRows
			}
			for at := range slices.Chunk(at, max(most, 1)) {
				e := examples{rows: rows, at: at, features: features[:0]}
				for _, i := range at {
					e.features = read(e.features, i)
				}
				features = e.features
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// reader returns what appends the numbers of a row of a record: features, or normalised pixels.
func (t *table) reader(rec arrow.Record) (func(dst []float32, row int) []float32, error) {
	size, read := 0, (func(dst []float32, row int) []float32)(nil)
	if t.tokens {
		column, err := record.NewTokenColumn(rec)
		if err != nil {
			return nil, err
		}
		return func(dst []float32, row int) []float32 {
			return inference.AppendTokens(dst, column.Row(row), t.dimension)
		}, nil
	}
	if t.pictures {
		column, err := picture.NewColumn(rec)
		if err != nil {
			return nil, err
		}
		size = column.Size()
		read = func(dst []float32, row int) []float32 {
			from := len(dst)
			dst = slices.Grow(dst, size)[:from+size]
			column.Read(dst[from:], row)
			return dst
		}
	} else {
		tensors, err := record.TensorColumn(rec, record.Feature)
		if err != nil {
			return nil, err
		}
		size, read = tensors.Size(), tensors.AppendFloats
	}
	if size != t.dimension {
		return nil, fmt.Errorf("rows have %d numbers in one batch and %d in another", t.dimension, size)
	}
	return read, nil
}

// examples are some rows of a batch.
type examples struct {
	rows     rowView
	at       []int // rows of the batch
	features []float32
}

// rowView gives the columns that decide which rows are used, and how.
type rowView struct {
	record.Roles
	rec   arrow.Record
	count int
	label labels
}

// labels are the classes of rows as text.
type labels struct{ arrow.Array }

// IsNull tells whether a row has no class.
func (l labels) IsNull(row int) bool { return l.Array.IsNull(row) || l.ValueStr(row) == "" }

// Value is the class of a row that has one.
func (l labels) Value(row int) string { return l.ValueStr(row) }

func (t *table) viewRows(rec arrow.Record) (r rowView, err error) {
	r = rowView{rec: rec, count: int(rec.NumRows())}
	if r.Roles, err = record.NewRoles(rec); err != nil {
		return r, err
	}
	at, _, err := record.Column(rec.Schema(), t.truth)
	if err != nil {
		return r, err
	}
	r.label = labels{rec.Column(at)}
	return r, nil
}

func (r rowView) copied(i int) bool { return r.Copy(i) != 0 }

// labelOf is "" for a row without a label. It outlives the batch.
func (r rowView) labelOf(i int) string {
	if r.label.IsNull(i) {
		return ""
	}
	return string([]byte(r.label.Value(i)))
}

// valueOf is the value of a plain column as text.
func valueOf(rec arrow.Record, name string, row int) string {
	c := rec.Column(rec.Schema().FieldIndices(name)[0])
	if c.IsNull(row) {
		return "(none)"
	}
	return string([]byte(c.ValueStr(row)))
}

// clusterOf numbers the values of a column; a row without one is alone.
func clusterOf(rec arrow.Record, name string, row int, numbers map[string]int) int {
	c := rec.Column(rec.Schema().FieldIndices(name)[0])
	value := fmt.Sprintf("no value %d", len(numbers))
	if !c.IsNull(row) {
		value = "value " + c.ValueStr(row)
	}
	number, ok := numbers[value]
	if !ok {
		number = len(numbers)
		numbers[value] = number
	}
	return number
}

func distinct(values []string) []string {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}
