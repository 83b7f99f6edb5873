package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// data is what a network learns from: rows of features, or pictures.
type data struct {
	pictures   bool
	shape      nn.Shape // of what the network takes of a row
	classes    []string
	training   examples
	validation examples // may be empty
	metadata   map[string]string
	chunks     []*chunk // of pictures
	notes      []string
}

// examples are rows in use, by position.
type examples struct {
	train.Examples
	classes []int
	copies  []int   // 0 for the picture itself
	places  []place // of pictures
}

// close frees what the data was read from.
func (d *data) close() error {
	var errs []error
	for _, c := range d.chunks {
		errs = append(errs, c.table.Close())
	}
	return errors.Join(errs...)
}

// counts are the training rows of each class.
func (d *data) counts() []int {
	counts := make([]int, len(d.classes))
	for _, class := range d.training.classes {
		counts[class]++
	}
	return counts
}

// sample chooses the training rows of each epoch: all, or those of one copy after the other.
func (d *data) sample(copies int) train.Sample {
	if copies < 1 {
		return nil
	}
	sets := make([][]int, copies)
	for position, c := range d.training.copies {
		if c < copies {
			sets[c] = append(sets[c], position)
		}
	}
	sets = slices.DeleteFunc(sets, func(set []int) bool { return len(set) == 0 })
	return train.Turns(sets...)
}

// renumber puts the classes into the order of a model's.
func (d *data) renumber(classes []string) error {
	number := make([]int, len(d.classes))
	for i, class := range d.classes {
		if number[i] = slices.Index(classes, class); number[i] < 0 {
			return fmt.Errorf("it has no class %q; classes: %s", class, strings.Join(classes, ", "))
		}
	}
	for _, e := range []examples{d.training, d.validation} {
		for i, class := range e.classes {
			e.classes[i] = number[class]
		}
	}
	d.classes = classes
	return nil
}

// read reads the rows to train and to validate on, refuses what cannot be
// learned from, and tells what was left out.
func (s *Setup) read(ctx context.Context, task *pipeline.Task) (_ *data, err error) {
	in := task.Input(DataPort)
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, fmt.Errorf("%s have no rows", in.Name())
	}
	d := &data{pictures: onPictures(schema), metadata: map[string]string{}}
	what := "features"
	if d.pictures {
		what = "pictures"
	}
	if !d.pictures && (s.backbone != nil || len(s.Strategy.Phases) > 0) {
		return nil, errors.New("a backbone and a strategy are for pictures: the data are features, on which there is only a head to train")
	}
	if d.pictures && s.backbone == nil && task.Input(ModelPort) == nil {
		return nil, pipeline.ParamError("backbone", "is needed to train on pictures")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.pictures {
		err = s.readPictures(ctx, in, schema, d)
	} else {
		err = s.readFeatures(ctx, in, schema, d)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, in.Name(), err)
	}
	for _, key := range carried() {
		if value, ok := schema.Metadata().GetValue(key); ok {
			d.metadata[key] = value
		}
	}
	if d.validation.Len() == 0 {
		epochs := 0
		for _, p := range s.plan(d.pictures) {
			epochs += p.Epochs
			if param := p.learning(s.Learning).needsValidation(); param != "" {
				return nil, pipeline.ParamErrorHint(param, "give some rows the split val, or leave this out",
					"%s %s have no row of split %s to validate on", what, in.Name(), record.Validation)
			}
		}
		task.Log("no row of split %s to validate on: all %d epochs are trained, and the last weights kept", record.Validation, epochs)
	}
	for _, note := range d.notes {
		task.Log("%s", note)
	}
	size := fmt.Sprintf("%d features", d.shape.Size())
	if d.pictures {
		size = fmt.Sprintf("%d×%d pixels", d.shape[1], d.shape[0])
	}
	task.Log("%d rows to train on, %d to validate on, %s, %d classes", d.training.Len(), d.validation.Len(), size, len(d.classes))
	return d, nil
}

// readFeatures reads rows of features into memory.
func (s *Setup) readFeatures(ctx context.Context, in pipeline.Input, schema *arrow.Schema, d *data) error {
	r := newReader(s.Target)
	if err := r.checkTarget(schema); err != nil {
		return err
	}
	_, field, err := record.Column(schema, record.Feature)
	if err != nil {
		return err
	}
	if d.shape, _, err = record.TensorShape(field); err != nil {
		return err
	}
	if d.shape.Size() == 0 {
		return fmt.Errorf("column %q has tensors of shape %v, without a number in them", record.Feature, d.shape)
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
		if !slices.Equal(tensors.Shape, d.shape) {
			return fmt.Errorf("features have shape %v in one batch and %v in another", d.shape, tensors.Shape)
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
		of   *examples
	}{{&r.training, &d.training}, {&r.validation, &d.validation}} {
		width := d.shape.Size()
		table := &train.Table{Width: width, Classes: set.of.classes}
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
	places     []place   // of pictures
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
	ids, err := textColumn(rec, record.ID)
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
	if u.splits, err = textColumn(rec, record.Split); err != nil {
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
func (r *reader) number(d *data) {
	d.classes = slices.Sorted(maps.Keys(counted(r.training.labels)))
	numbers := map[string]int{}
	for i, class := range d.classes {
		numbers[class] = i
	}
	unknown := map[string]int{}
	for _, set := range []struct {
		rows *rows
		of   *examples
	}{{&r.training, &d.training}, {&r.validation, &d.validation}} {
		for row, label := range set.rows.labels {
			class, ok := numbers[label]
			if !ok {
				unknown[label]++
				continue
			}
			set.rows.used = append(set.rows.used, row)
			set.of.classes = append(set.of.classes, class)
			set.of.copies = append(set.of.copies, set.rows.copies[row])
			if set.rows.places != nil {
				set.of.places = append(set.of.places, set.rows.places[row])
			}
		}
	}
	if r.training.unlabelled+r.validation.unlabelled > 0 {
		d.notes = append(d.notes, fmt.Sprintf("rows without a label are left out: %d for training, %d for validation", r.training.unlabelled, r.validation.unlabelled))
	}
	if len(unknown) > 0 {
		d.notes = append(d.notes, "validation rows of classes that no training row has are left out: "+inWords(unknown))
	}
}

// standardise sets the weights of the layer that brings each feature to mean 0 and variance 1 over
// the training rows. A feature that never varies is only shifted.
func (d *data) standardise(net *nn.Network, weights nn.Weights) {
	values := d.training.Examples.(*train.Table).Values
	width, n := d.shape.Size(), float64(d.training.Len())
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
	layer, _ := net.Find(standardiseLayer)
	role := func(r nn.Role) []float32 { return weights[nn.Parameter{Layer: layer.Name, Role: r}.Name()].Data }
	for i := range width {
		if variance[i] /= n; variance[i] <= 1e-12*mean[i]*mean[i] { // less than float32 can tell
			variance[i] = 1
		}
		role(nn.Mean)[i], role(nn.Variance)[i] = float32(mean[i]), float32(variance[i])
	}
}

func textColumn(rec arrow.Record, name string) (*array.String, error) {
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
