package rows

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/handle"
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
	Tokens     bool        // of texts
	Ids        int         // of tokens: one more than the highest
	Shape      nn.Shape    // of what the network takes of a row
	Target     record.Head // what is learned of a row: the task, and what its outputs are named
	Several    []Aim       // what is learned where that is more than one thing; Target and Classes then say nothing
	Classes    []string    // of rows of one class
	Training   Examples
	Validation Examples // may be empty
	Metadata   map[string]string
	Transforms record.Transforms // that made the rows of picture files, as far as that is known
	Chunks     []*Chunk          // of pictures or texts
	Notes      []string          // what was left out

	options Options
	ctx     context.Context // of the training, for chunks that are opened again
	open    handle.Set[int, *openedChunk]
}

// Examples are rows in use, by position.
type Examples struct {
	train.Examples
	Classes []int     // of rows of one class
	Truth   []float32 // of others, [rows][outputs]: whether each class applies, 0 or 1; numbers, not a number if unknown
	Several nn.Batch  // of rows that several things are learned of: the targets by the name of the task
	Copies  []int     // 0 for the picture itself
	Of      []uint64  // stands for the picture that a row is, or is a copy of
	Domains []int32   // objective.SourceDomain, objective.TargetDomain or another of [Domains]; nil: there is but one
	IDs     []string  // of rows of [Domains]
	Names   []string  // of their domains, as the column domain has them; "" if there is none
	Oracle  []int32   // classes that nothing is learned or chosen by, by position; nil: there are none
	Places  []Place   // of pictures
	Sizes   []float64 // of rows of [Domains] that come from pictures: √(width·height) in pixels as they were read; not a number if unknown
}

// Rows is how many there are.
func (e *Examples) Rows() int { return len(e.Copies) }

// ReadTargets fetches the targets of the examples at the given positions.
func (e *Examples) ReadTargets(positions []int, into nn.Batch) error {
	for name, to := range into {
		switch {
		case name == objective.Domain && e.Domains != nil:
			for i, p := range positions {
				to.Int32[i] = e.Domains[p]
			}
		case name == OracleTarget && e.Oracle != nil:
			for i, p := range positions {
				to.Int32[i] = e.Oracle[p]
			}
		case name == objective.Class && e.Classes != nil:
			for i, p := range positions {
				to.Int32[i] = int32(e.Classes[p])
			}
		case e.Several != nil:
			train.CopyRows(to, e.Several[name], positions, e.Rows())
		case name != objective.Class && e.Truth != nil:
			train.CopyRows(to, nn.Values{Float32: e.Truth}, positions, e.Rows())
		default:
			return fmt.Errorf("the rows have no target %q", name)
		}
	}
	return nil
}

// Spread chooses n positions, or all, evenly.
func (e *Examples) Spread(n int) []int {
	all := e.Rows()
	out := make([]int, 0, min(n, all))
	for i := range min(n, all) {
		out = append(out, i*all/min(n, all))
	}
	return out
}

// Pictures numbers the pictures that the rows at these positions are of, in the order in which they come up among all rows.
// Copies may stand anywhere: augment puts them behind the pictures of a chunk.
func (e *Examples) Pictures(positions []int) []int {
	numbers := make(map[uint64]int, len(e.Of))
	for _, of := range e.Of {
		if _, ok := numbers[of]; !ok {
			numbers[of] = len(numbers)
		}
	}
	out := make([]int, len(positions))
	for i, p := range positions {
		out[i] = numbers[e.Of[p]]
	}
	return out
}

// pictureOf stands for the picture of an id in a domain: FNV-1a, which takes less room than the id.
func pictureOf(domain int, id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{byte(domain)})
	_, _ = io.WriteString(h, id)
	return h.Sum64()
}

// Close frees what the data was read from.
func (d *Data) Close() error {
	return d.open.Close()
}

// Counts are the training rows of each class, or that it applies to.
func (d *Data) Counts() []int {
	counts := make([]int, len(d.Target.Classes))
	if d.Target.Task == record.MultiLabel {
		for i, y := range d.Training.Truth {
			counts[i%len(counts)] += int(y)
		}
	}
	for _, class := range d.Training.Classes {
		if class != objective.Unknown {
			counts[class]++
		}
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

// Carried are the keys of the facts about data that the models trained on it keep.
func Carried() []string {
	return []string{record.PreprocessingKey, record.ExtractionKey, record.TransformsKey}
}

// Options say what else is read.
type Options struct {
	// Unlabelled takes training rows too whose class is not known: they have the class [objective.Unknown].
	Unlabelled bool
	// Tasks are several things to learn, in the place of one: rows are used of which any is known.
	Tasks []Task
}

// Read reads the rows to train and to validate on, whose classes stand in the column target, and
// refuses what cannot be learned from.
func Read(ctx context.Context, in pipeline.Input, schema *arrow.Schema, target string, o Options) (_ *Data, err error) {
	d := &Data{Pictures: record.OnPictures(schema), Tokens: record.OnTokens(schema), Metadata: map[string]string{}, options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.Pictures {
		err = d.readPictures(ctx, in, schema, target)
	} else if d.Tokens {
		err = d.readTokens(ctx, in, schema, target)
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
	if d.Transforms, err = record.TransformsOf(d.Metadata); err != nil {
		return nil, fmt.Errorf("%s %s: %w", d.What(), in.Name(), err)
	}
	return d, nil
}

// What is what the rows are, for people.
func (d *Data) What() string {
	if d.Pictures {
		return "pictures"
	}
	if d.Tokens {
		return "texts"
	}
	return "features"
}

// readFeatures reads rows of features into memory.
func (d *Data) readFeatures(ctx context.Context, in pipeline.Input, schema *arrow.Schema, target string) error {
	r, err := d.newReader(schema, target)
	if err != nil {
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
		return fmt.Errorf("column %q has empty tensors of shape %v", record.Feature, d.Shape)
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
	for _, set := range r.sets(d) {
		width := d.Shape.Size()
		table := &train.Table{Width: width, Classes: set.of.Classes, Targets: set.of.targets(d.Task())}
		if len(set.rows.used) == len(set.rows.copies) {
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

// reader collects which rows are in use, and what is to be learned of them.
type reader struct {
	target  string // column
	name    string // by which it was asked for
	task    record.Task
	names   []string  // of numbers
	several []*reader // of each of several things to learn, which then stand in the place of this one

	unlabelled bool // training rows without a class are used too

	training   rows
	validation rows
	splits     map[string]int // rows by split, whether used or not
}

// newReader refuses a column whose values can be neither classes nor numbers.
func (d *Data) newReader(schema *arrow.Schema, target string) (*reader, error) {
	if len(d.options.Tasks) > 0 {
		return d.newReaders(schema)
	}
	r := &reader{target: record.TargetOf(schema, target), name: target, splits: map[string]int{}}
	_, field, err := record.Column(schema, r.target)
	if err != nil {
		return nil, pipeline.ParamError("target", "%v", err)
	}
	if r.task, err = record.TargetTask(field); err != nil {
		return nil, pipeline.ParamErrorHint("target", "texts, whole numbers and booleans do as classes, lists of texts as several, float64 as numbers", "%v", err)
	}
	r.unlabelled = d.options.Unlabelled && r.task == record.SingleLabel
	return r, nil
}

// rows are rows whose target is known, and others that are used.
type rows struct {
	labels     []string    // of rows of one class; "" if it is not known
	without    []bool      // whether what is to be learned is not known
	classes    [][]string  // of several
	numbers    [][]float64 // of numbers
	copies     []int
	of         []uint64  // see pictureOf
	values     []float32 // of features
	places     []Place   // of pictures and texts
	tokens     [][]int32 // of texts
	used       []int     // those of them whose class is known
	unlabelled int
}

// take adds the rows of a batch that are in use and whose target is known; keep takes what else is needed of
// one.
func (r *reader) take(rec arrow.Record, keep func(into *rows, row int, id string) error) error {
	roles, err := record.NewRoles(rec)
	if err != nil {
		return err
	}
	targets, err := r.targets(rec)
	if err != nil {
		return err
	}
	for i := range int(rec.NumRows()) {
		split, copied := roles.Split(i), roles.Copy(i)
		r.splits[strings.Clone(split)]++
		into := &r.training
		switch {
		case split == record.Train:
		case split == record.Validation && copied == 0:
			into = &r.validation
		default:
			continue
		}
		known := slices.ContainsFunc(targets, func(t *record.TargetColumn) bool { return t.Known(i) })
		if !known {
			into.unlabelled++
			if !r.unlabelled || into != &r.training {
				continue
			}
		}
		if err := keep(into, i, roles.ID(i)); err != nil {
			return err
		}
		r.keep(targets, i, into == &r.validation)
		into.copies, into.of = append(into.copies, copied), append(into.of, pictureOf(0, roles.ID(i)))
	}
	return nil
}

// targets are the columns of a record with what is to be learned: one, or that of each of several things.
func (r *reader) targets(rec arrow.Record) (columns []*record.TargetColumn, err error) {
	for _, own := range r.each() {
		column, err := record.NewTargetColumnAs(rec, own.target, own.task)
		if err != nil {
			return nil, err
		}
		own.names, columns = column.Names, append(columns, column)
	}
	return columns, nil
}

// keep takes what is to be learned of a row.
func (r *reader) keep(targets []*record.TargetColumn, row int, validation bool) {
	for i, own := range r.each() {
		into, target := &own.training, targets[i]
		if validation {
			into = &own.validation
		}
		known := target.Known(row)
		into.without = append(into.without, !known)
		switch own.task {
		case record.MultiLabel:
			var classes []string
			if known {
				classes = target.Classes(row)
			}
			into.classes = append(into.classes, classes)
		case record.Regression:
			numbers := slices.Repeat([]float64{math.NaN()}, len(target.Names))
			if known {
				copy(numbers, target.Numbers(row))
			}
			into.numbers = append(into.numbers, numbers)
		default:
			label := ""
			if known {
				label = target.Class(row)
			}
			into.labels = append(into.labels, label)
		}
	}
}

// each are the readers of what is to be learned: this one, or several.
func (r *reader) each() []*reader {
	if r.several != nil {
		return r.several
	}
	return []*reader{r}
}

// check refuses what cannot be learned from.
func (r *reader) check() error {
	n := len(r.training.copies)
	if r.unlabelled {
		n -= r.training.unlabelled
	}
	if n == 0 && r.training.unlabelled > 0 {
		return fmt.Errorf("none of the %d rows of split %s has a label in column %q", r.training.unlabelled, record.Train, r.target)
	}
	if n == 0 {
		return fmt.Errorf("there is no row of split %s to train on; rows by split: %s", record.Train, inWords(r.splits))
	}
	if r.several != nil {
		return r.checkSeveral()
	}
	if r.task != record.SingleLabel {
		return r.checkTruth()
	}
	if labels := r.training.labelled(); len(labels) == 1 {
		return fmt.Errorf("all %d training rows are of class %q; a classifier needs at least two classes", n, labels[0])
	}
	return nil
}

// labelled are the classes that are known, sorted.
func (r *rows) labelled() []string {
	var known []string
	for i, label := range r.labels {
		if !r.without[i] {
			known = append(known, label)
		}
	}
	return slices.Sorted(maps.Keys(counted(known)))
}

func counted(labels []string) map[string]int {
	out := map[string]int{}
	for _, label := range labels {
		out[label]++
	}
	return out
}

// set is rows that were read, and the examples that are made of them.
type set struct {
	rows *rows
	of   *Examples
}

func (r *reader) sets(d *Data) []set {
	return []set{{&r.training, &d.Training}, {&r.validation, &d.Validation}}
}

// use makes an example of a row.
func (s set) use(row int) {
	s.rows.used = append(s.rows.used, row)
	s.of.Copies, s.of.Of = append(s.of.Copies, s.rows.copies[row]), append(s.of.Of, s.rows.of[row])
	if s.rows.places != nil {
		s.of.Places = append(s.of.Places, s.rows.places[row])
	}
}

// number numbers the classes, and leaves out validation rows of classes that
// no training row has.
func (r *reader) number(d *Data) {
	if r.several != nil {
		r.numberSeveral(d)
		return
	}
	if r.task != record.SingleLabel {
		r.truth(d)
		return
	}
	d.Classes = r.training.labelled()
	d.Target = record.SingleLabelHead(r.name, d.Classes)
	numbers := map[string]int{}
	for i, class := range d.Classes {
		numbers[class] = i
	}
	unknown := map[string]int{}
	for _, set := range r.sets(d) {
		for row, label := range set.rows.labels {
			if set.rows.without[row] {
				set.of.Classes = append(set.of.Classes, objective.Unknown)
				set.use(row)
				continue
			}
			class, ok := numbers[label]
			if !ok {
				unknown[label]++
				continue
			}
			set.of.Classes = append(set.of.Classes, class)
			set.use(row)
		}
	}
	switch {
	case r.unlabelled && r.training.unlabelled > 0:
		d.Notes = append(d.Notes, fmt.Sprintf("of %d training rows without a label the teacher alone is learned", r.training.unlabelled))
	case r.training.unlabelled+r.validation.unlabelled > 0:
		d.Notes = append(d.Notes, fmt.Sprintf("rows without a label are ignored: %d for training, %d for validation", r.training.unlabelled, r.validation.unlabelled))
	}
	if len(unknown) > 0 {
		d.Notes = append(d.Notes, "validation rows of classes that no training row has are left out: "+inWords(unknown))
	}
}

// Standardise sets the weights of the layer that brings each feature to mean 0 and variance 1 over
// the training rows, of two domains over the source's. A feature that never varies is only shifted.
func (d *Data) Standardise(net *nn.Network, weights nn.Weights) {
	width, rows := d.Shape.Size(), d.Training.Len()
	if at := slices.Index(d.Training.Domains, objective.TargetDomain); at >= 0 {
		rows = at
	}
	values, n := d.Training.Examples.(*train.Table).Values[:rows*width], float64(rows)
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
