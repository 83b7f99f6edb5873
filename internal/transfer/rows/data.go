package rows

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Data is what a network learns from: rows of features, or pictures.
type Data struct {
	Pictures   bool
	Shape      nn.Shape // of what the network takes of a row
	Classes    []string
	Training   Examples
	Validation Examples // may be empty
	Metadata   map[string]string
	Chunks     []*Chunk // of pictures
	Notes      []string // what was left out
}

// Examples are rows in use, by position.
type Examples struct {
	train.Examples
	Classes []int
	Copies  []int   // 0 for the picture itself
	Places  []Place // of pictures
}

// ReadTargets fetches the targets of the examples at the given positions.
func (e *Examples) ReadTargets(positions []int, into nn.Batch) error {
	for name, to := range into {
		if name != objective.Class {
			return fmt.Errorf("the rows have no target %q", name)
		}
		for i, p := range positions {
			to.Int32[i] = int32(e.Classes[p])
		}
	}
	return nil
}

// Spread chooses n positions, or all, evenly.
func (e *Examples) Spread(n int) []int {
	all := len(e.Classes)
	out := make([]int, 0, min(n, all))
	for i := range min(n, all) {
		out = append(out, i*all/min(n, all))
	}
	return out
}

// Pictures numbers the pictures that the rows at these positions are of: copies follow the picture, in order.
func (e *Examples) Pictures(positions []int) []int {
	number := make([]int, len(e.Copies))
	for i := 1; i < len(number); i++ {
		number[i] = number[i-1]
		if e.Copies[i] <= e.Copies[i-1] {
			number[i]++
		}
	}
	out := make([]int, len(positions))
	for i, p := range positions {
		out[i] = number[p]
	}
	return out
}

// Close frees what the data was read from.
func (d *Data) Close() error {
	var errs []error
	for _, c := range d.Chunks {
		errs = append(errs, c.table.Close())
	}
	return errors.Join(errs...)
}

// Counts are the training rows of each class.
func (d *Data) Counts() []int {
	counts := make([]int, len(d.Classes))
	for _, class := range d.Training.Classes {
		counts[class]++
	}
	return counts
}

// Each is how many rows an epoch takes that walks through so many copies; 0: all.
func (d *Data) Each(copies int) int {
	if sample := d.Sample(copies); sample != nil {
		return len(sample(0))
	}
	return d.Training.Len()
}

// Sample chooses the training rows of each epoch: all, or those of one copy after the other.
func (d *Data) Sample(copies int) train.Sample {
	if copies < 1 {
		return nil
	}
	sets := make([][]int, copies)
	for position, c := range d.Training.Copies {
		if c < copies {
			sets[c] = append(sets[c], position)
		}
	}
	sets = slices.DeleteFunc(sets, func(set []int) bool { return len(set) == 0 })
	return train.Turns(sets...)
}

// Renumber puts the classes into the order of a model's.
func (d *Data) Renumber(classes []string) error {
	number := make([]int, len(d.Classes))
	for i, class := range d.Classes {
		if number[i] = slices.Index(classes, class); number[i] < 0 {
			return fmt.Errorf("it has no class %q; classes: %s", class, strings.Join(classes, ", "))
		}
	}
	for _, e := range []Examples{d.Training, d.Validation} {
		for i, class := range e.Classes {
			e.Classes[i] = number[class]
		}
	}
	d.Classes = classes
	return nil
}

// OnPictures tells whether a table holds pictures, and not features.
func OnPictures(schema *arrow.Schema) bool {
	return len(schema.FieldIndices(record.Image)) > 0 && len(schema.FieldIndices(record.Feature)) == 0
}

// Carried are the keys of the facts about data that the models trained on it keep.
func Carried() []string { return []string{record.PreprocessingKey, record.ExtractionKey} }

// Read reads the rows to train and to validate on, whose classes stand in the column target, and
// refuses what cannot be learned from.
func Read(ctx context.Context, in pipeline.Input, schema *arrow.Schema, target string) (_ *Data, err error) {
	d := &Data{Pictures: OnPictures(schema), Metadata: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.Pictures {
		err = d.readPictures(ctx, in, schema, target)
	} else {
		err = d.readFeatures(ctx, in, schema, target)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", d.What(), in.Name(), err)
	}
	for _, key := range Carried() {
		if value, ok := schema.Metadata().GetValue(key); ok {
			d.Metadata[key] = value
		}
	}
	return d, nil
}

// What is what the rows are, for people.
func (d *Data) What() string {
	if d.Pictures {
		return "pictures"
	}
	return "features"
}

// readFeatures reads rows of features into memory.
func (d *Data) readFeatures(ctx context.Context, in pipeline.Input, schema *arrow.Schema, target string) error {
	r := newReader(target)
	if err := r.checkTarget(schema); err != nil {
		return err
	}
	_, field, err := record.Column(schema, record.Feature)
	if err != nil {
		return err
	}
	if d.Shape, _, err = record.TensorShape(field); err != nil {
		return err
	}
	if d.Shape.Size() == 0 {
		return fmt.Errorf("column %q has tensors of shape %v, without a number in them", record.Feature, d.Shape)
	}
	bad := infinite{}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return err
		}
		tensors, err := record.TensorColumn(rec, record.Feature)
		if err != nil {
			return err
		}
		if !slices.Equal(tensors.Shape, d.Shape) {
			return fmt.Errorf("features have shape %v in one batch and %v in another", d.Shape, tensors.Shape)
		}
		err = r.take(rec, func(into *rows, i int, id string) error {
			if tensors.IsNull(i) {
				return fmt.Errorf("row %q has no features", id)
			}
			before := len(into.values)
			into.values = tensors.AppendFloats(into.values, i)
			if !finite(into.values[before:]) {
				bad.add(id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if bad.count > 0 {
		return fmt.Errorf("%d rows have a feature that is not a finite number; the first is %q", bad.count, bad.first)
	}
	if err := r.check(); err != nil {
		return err
	}
	r.number(d)
	for _, set := range []struct {
		rows *rows
		of   *Examples
	}{{&r.training, &d.Training}, {&r.validation, &d.Validation}} {
		width := d.Shape.Size()
		table := &train.Table{Width: width, Classes: set.of.Classes}
		if len(set.rows.used) == len(set.rows.labels) {
			table.Values = set.rows.values
		} else {
			for _, row := range set.rows.used {
				table.Values = append(table.Values, set.rows.values[row*width:(row+1)*width]...)
			}
		}
		set.of.Examples = table
	}
	return nil
}

// infinite counts rows with numbers that are not finite.
type infinite struct {
	count int
	first string // id
}

func (b *infinite) add(id string) {
	if b.count++; b.count == 1 {
		b.first = strings.Clone(id)
	}
}

// reader collects which rows are in use, and their classes.
type reader struct {
	target string

	training   rows
	validation rows
	splits     map[string]int // rows by split, whether used or not
}

func newReader(target string) *reader { return &reader{target: target, splits: map[string]int{}} }

// rows are rows with a label.
type rows struct {
	labels     []string
	copies     []int
	values     []float32 // of features
	places     []Place   // of pictures
	used       []int     // those of them whose class is known
	unlabelled int
}

// checkTarget refuses a column whose values cannot be classes.
func (r *reader) checkTarget(schema *arrow.Schema) error {
	_, field, err := record.Column(schema, r.target)
	if err != nil {
		return pipeline.ParamError("target", "%v", err)
	}
	switch field.Type.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.BOOL, arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64,
		arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
	default:
		return pipeline.ParamErrorHint("target", "texts, whole numbers and booleans do", "column %q is %s: its values cannot be classes", r.target, field.Type)
	}
	return nil
}

// take adds the rows of a batch that are in use and have a label; keep takes what else is needed of
// one.
func (r *reader) take(rec arrow.Record, keep func(into *rows, row int, id string) error) error {
	ids, err := TextColumn(rec, record.ID)
	if err != nil {
		return err
	}
	uses, err := newUses(rec)
	if err != nil {
		return err
	}
	at, _, err := record.Column(rec.Schema(), r.target)
	if err != nil {
		return err
	}
	labels := rec.Column(at)
	for i := range int(rec.NumRows()) {
		split, copied := uses.of(i)
		r.splits[strings.Clone(split)]++
		into := &r.training
		switch {
		case split == record.Train:
		case split == record.Validation && copied == 0:
			into = &r.validation
		default:
			continue
		}
		label := ""
		if !labels.IsNull(i) {
			label = strings.Clone(labels.ValueStr(i))
		}
		if label == "" {
			into.unlabelled++
			continue
		}
		if err := keep(into, i, ids.Value(i)); err != nil {
			return err
		}
		into.labels = append(into.labels, label)
		into.copies = append(into.copies, copied)
	}
	return nil
}

// uses tells what the rows of a record are for.
type uses struct {
	splits *array.String
	copies *array.Int32 // nil: there are none
}

func newUses(rec arrow.Record) (u uses, err error) {
	if u.splits, err = TextColumn(rec, record.Split); err != nil {
		return u, err
	}
	if at := rec.Schema().FieldIndices(record.Copy); len(at) == 1 {
		u.copies, _ = rec.Column(at[0]).(*array.Int32)
	}
	return u, nil
}

// of returns a row's split and which copy of its picture it is.
func (u uses) of(row int) (split string, copied int) {
	if u.copies != nil {
		copied = int(u.copies.Value(row))
	}
	return u.splits.Value(row), copied
}

// check refuses what cannot be learned from.
func (r *reader) check() error {
	n := len(r.training.labels)
	if n == 0 && r.training.unlabelled > 0 {
		return fmt.Errorf("none of the %d rows of split %s has a label in column %q", r.training.unlabelled, record.Train, r.target)
	}
	if n == 0 {
		return fmt.Errorf("there is no row of split %s to learn from; rows by split: %s", record.Train, inWords(r.splits))
	}
	if first := r.training.labels[0]; !slices.ContainsFunc(r.training.labels, func(label string) bool { return label != first }) {
		return fmt.Errorf("all %d training rows are of class %q; a classifier needs two classes or more", n, first)
	}
	return nil
}

// number numbers the classes, and leaves out validation rows of classes that
// no training row has.
func (r *reader) number(d *Data) {
	d.Classes = slices.Sorted(maps.Keys(counted(r.training.labels)))
	numbers := map[string]int{}
	for i, class := range d.Classes {
		numbers[class] = i
	}
	unknown := map[string]int{}
	for _, set := range []struct {
		rows *rows
		of   *Examples
	}{{&r.training, &d.Training}, {&r.validation, &d.Validation}} {
		for row, label := range set.rows.labels {
			class, ok := numbers[label]
			if !ok {
				unknown[label]++
				continue
			}
			set.rows.used = append(set.rows.used, row)
			set.of.Classes = append(set.of.Classes, class)
			set.of.Copies = append(set.of.Copies, set.rows.copies[row])
			if set.rows.places != nil {
				set.of.Places = append(set.of.Places, set.rows.places[row])
			}
		}
	}
	if r.training.unlabelled+r.validation.unlabelled > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("rows without a label are left out: %d for training, %d for validation", r.training.unlabelled, r.validation.unlabelled))
	}
	if len(unknown) > 0 {
		d.Notes = append(d.Notes, "validation rows of classes that no training row has are left out: "+inWords(unknown))
	}
}

// Standardise sets the weights of the layer that brings each feature to mean 0 and variance 1 over
// the training rows. A feature that never varies is only shifted.
func (d *Data) Standardise(net *nn.Network, weights nn.Weights) {
	values := d.Training.Examples.(*train.Table).Values
	width, n := d.Shape.Size(), float64(d.Training.Len())
	mean, variance := make([]float64, width), make([]float64, width)
	for i, x := range values {
		mean[i%width] += float64(x)
	}
	for i := range mean {
		mean[i] /= n
	}
	for i, x := range values {
		deviation := float64(x) - mean[i%width]
		variance[i%width] += deviation * deviation
	}
	layer, _ := net.Find(head.StandardiseLayer)
	role := func(r nn.Role) []float32 { return weights[nn.Parameter{Layer: layer.Name, Role: r}.Name()].Data }
	for i := range width {
		if variance[i] /= n; variance[i] <= 1e-12*mean[i]*mean[i] { // less than float32 can tell
			variance[i] = 1
		}
		role(nn.Mean)[i], role(nn.Variance)[i] = float32(mean[i]), float32(variance[i])
	}
}

func TextColumn(rec arrow.Record, name string) (*array.String, error) {
	at, field, err := record.Column(rec.Schema(), name)
	if err != nil {
		return nil, err
	}
	column, ok := rec.Column(at).(*array.String)
	if !ok {
		return nil, fmt.Errorf("column %q is %s, not utf8", name, field.Type)
	}
	return column, nil
}

func counted(labels []string) map[string]int {
	out := map[string]int{}
	for _, label := range labels {
		out[label]++
	}
	return out
}

// inWords lists counts: "test 3, val 2".
func inWords(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// finite tells whether all numbers are.
func finite(values []float32) bool {
	for _, x := range values {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return false
		}
	}
	return true
}
