package finetune

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// data is what the head learns from.
type data struct {
	shape      nn.Shape // of a row's features
	classes    []string
	training   *train.Table
	validation *train.Table // may be empty
	metadata   map[string]string
}

// counts are the training rows of each class.
func (d *data) counts() []int {
	counts := make([]int, len(d.classes))
	for _, class := range d.training.Classes {
		counts[class]++
	}
	return counts
}

// read reads the rows to train and to validate on, refuses what cannot be
// learned from, and tells what was left out.
func (s stage) read(ctx context.Context, task *pipeline.Task) (*data, error) {
	in := task.Input("data")
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, fmt.Errorf("features %s have no rows", in.Name())
	}
	reader := &reader{target: s.Target, splits: map[string]int{}}
	if err := reader.open(schema); err != nil {
		return nil, fmt.Errorf("features %s: %w", in.Name(), err)
	}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		if err := reader.take(rec); err != nil {
			return nil, fmt.Errorf("features %s: %w", in.Name(), err)
		}
	}
	if err := reader.check(); err != nil {
		return nil, fmt.Errorf("features %s: %w", in.Name(), err)
	}
	d := reader.data()
	d.metadata = map[string]string{}
	for _, key := range carried() {
		if value, ok := schema.Metadata().GetValue(key); ok {
			d.metadata[key] = value
		}
	}
	if d.validation.Len() == 0 {
		if param := s.needsValidation(); param != "" {
			return nil, pipeline.ParamErrorHint(param, "give some rows the split val, or leave this out",
				"features %s have no row of split %s to validate on", in.Name(), record.Validation)
		}
		task.Log("no row of split %s to validate on: all %d epochs are trained, and the last weights kept", record.Validation, s.Epochs)
	}
	for _, note := range reader.notes {
		task.Log("%s", note)
	}
	task.Log("%d rows to train on, %d to validate on, %d features, %d classes", d.training.Len(), d.validation.Len(), d.shape.Size(), len(d.classes))
	return d, nil
}

// reader collects rows of features.
type reader struct {
	target string

	shape      nn.Shape
	training   rows
	validation rows
	splits     map[string]int // rows by split, whether used or not
	notes      []string
}

// rows are rows in use.
type rows struct {
	values     []float32
	labels     []string
	unlabelled int
	infinite   int
	firstBad   string // id of the first row that is not finite
}

// open checks the columns.
func (r *reader) open(schema *arrow.Schema) error {
	_, field, err := record.Column(schema, record.Feature)
	if err != nil {
		return err
	}
	shape, _, err := record.TensorShape(field)
	if err != nil {
		return err
	}
	r.shape = shape
	if r.shape.Size() == 0 {
		return fmt.Errorf("column %q has tensors of shape %v, without a number in them", record.Feature, shape)
	}
	_, field, err = record.Column(schema, r.target)
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

// take adds the rows of a batch that are in use.
func (r *reader) take(rec arrow.Record) error {
	tensors, err := record.TensorColumn(rec, record.Feature)
	if err != nil {
		return err
	}
	if !slices.Equal(tensors.Shape, r.shape) {
		return fmt.Errorf("features have shape %v in one batch and %v in another", r.shape, tensors.Shape)
	}
	ids, err := textColumn(rec, record.ID)
	if err != nil {
		return err
	}
	splits, err := textColumn(rec, record.Split)
	if err != nil {
		return err
	}
	var copies *array.Int32
	if at := rec.Schema().FieldIndices(record.Copy); len(at) == 1 {
		copies, _ = rec.Column(at[0]).(*array.Int32)
	}
	at, _, err := record.Column(rec.Schema(), r.target)
	if err != nil {
		return err
	}
	labels := rec.Column(at)
	for i := range int(rec.NumRows()) {
		split := splits.Value(i)
		r.splits[strings.Clone(split)]++
		into := &r.training
		switch {
		case split == record.Train:
		case split == record.Validation && (copies == nil || copies.Value(i) == 0):
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
		if tensors.IsNull(i) {
			return fmt.Errorf("row %q has no features", ids.Value(i))
		}
		before := len(into.values)
		into.values = tensors.AppendFloats(into.values, i)
		if !finite(into.values[before:]) {
			if into.infinite++; into.infinite == 1 {
				into.firstBad = strings.Clone(ids.Value(i))
			}
		}
		into.labels = append(into.labels, label)
	}
	return nil
}

// check refuses what cannot be learned from.
func (r *reader) check() error {
	for _, rows := range []rows{r.training, r.validation} {
		if rows.infinite > 0 {
			return fmt.Errorf("%d rows have a feature that is not a finite number; the first is %q", rows.infinite, rows.firstBad)
		}
	}
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

// data numbers the classes, and leaves out validation rows of classes that no
// training row has.
func (r *reader) data() *data {
	classes := slices.Sorted(maps.Keys(counted(r.training.labels)))
	numbers := map[string]int{}
	for i, class := range classes {
		numbers[class] = i
	}
	d := &data{
		shape: r.shape, classes: classes,
		training:   &train.Table{Width: r.shape.Size(), Values: r.training.values},
		validation: &train.Table{Width: r.shape.Size()},
	}
	for _, label := range r.training.labels {
		d.training.Classes = append(d.training.Classes, numbers[label])
	}
	unknown := map[string]int{}
	width := r.shape.Size()
	for i, label := range r.validation.labels {
		class, ok := numbers[label]
		if !ok {
			unknown[label]++
			continue
		}
		d.validation.Values = append(d.validation.Values, r.validation.values[i*width:(i+1)*width]...)
		d.validation.Classes = append(d.validation.Classes, class)
	}
	if r.training.unlabelled+r.validation.unlabelled > 0 {
		r.notes = append(r.notes, fmt.Sprintf("rows without a label are left out: %d for training, %d for validation", r.training.unlabelled, r.validation.unlabelled))
	}
	if len(unknown) > 0 {
		r.notes = append(r.notes, "validation rows of classes that no training row has are left out: "+inWords(unknown))
	}
	return d
}

// standardise brings each feature to mean 0 and variance 1 over the training
// rows, in place, and sets the weights of the network's layer that does the
// same. A feature that never varies is only shifted.
func (d *data) standardise(net *nn.Network, weights nn.Weights) {
	width, n := d.shape.Size(), float64(d.training.Len())
	mean, variance := make([]float64, width), make([]float64, width)
	for i, x := range d.training.Values {
		mean[i%width] += float64(x)
	}
	for i := range mean {
		mean[i] /= n
	}
	for i, x := range d.training.Values {
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
	scale, shift := make([]float32, width), make([]float32, width)
	for i := range width {
		s := 1 / math.Sqrt(float64(role(nn.Variance)[i])+standardiseEpsilon)
		scale[i], shift[i] = float32(s), float32(-float64(role(nn.Mean)[i])*s)
	}
	for _, table := range []*train.Table{d.training, d.validation} {
		for i := range table.Values {
			table.Values[i] = table.Values[i]*scale[i%width] + shift[i%width]
		}
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
