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
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Domains are rows of a source, which are labelled, and of a target.
type Domains struct {
	// Data has as training rows those of the source and then those of the target, all of split train. Its validation rows
	// are all that is looked at after an epoch, told apart by their domain: the source's of split val; rows of the target
	// of split train, without copies; the test rows; and a sample of the source's training rows. Only the first have a
	// class. Its classes are the source's. Rows of the target have no class, whatever the table says: [Domains.Reveal]
	// tells some, and [Examples.Oracle] has those of the test rows.
	*Data
	SourceRows     int // of the training rows
	ValidationRows int // of the source, of the validation rows
	Test           Examples
	TestLabelled   int            // test rows that have a label, of any class
	TestSplits     string         // rows by split, for people, of the table that the test rows are from
	Reserve        Examples       // rows of the target of split val, which nothing is learned or chosen by, without their classes
	hidden         []int          // class of each training row of the target, objective.Unknown if it has none
	OnlySource     map[string]int // classes that no labelled row of the target has, and the source's rows of them; nil if the target has no label
	OnlyTarget     map[string]int // the target's rows of classes that the source does not have
	TargetLabelled int            // training rows of the target that have a label
	TargetKnown    int            // rows of the target of any split that have a label, without copies
	TargetAll      int            // rows of the target of any split, without copies
}

// Further domains of validation rows.
const (
	HeldOut = 2 // test rows of the target
	Sampled = 3 // training rows of the source
)

// OracleTarget is the target with the classes of [Examples.Oracle].
const OracleTarget = "oracle"

// MostEvidence is how many training rows of each domain are looked at after an epoch, at most.
const MostEvidence = 2048

// From says where the rows of a domain are.
type From struct {
	Input   pipeline.Input
	Domains []string // values of the column domain; nil: all rows
	Port    string
}

// use of the rows of a table.
const (
	training = iota
	validation
	test
	uses
)

// ReadDomains reads rows of a source, of a target and, if test is an input, rows to test on. The test rows otherwise are
// the target's of split test. classes are those of a model to start from, which may have more than the source; nil: the source's.
func ReadDomains(ctx context.Context, source, target From, tested *From, label string, classes []string) (_ *Domains, err error) {
	d := &Domains{Data: &Data{Metadata: map[string]string{}, ctx: ctx}}
	d.open.Most = TablesOpen
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	var from, to, held gathered
	for _, side := range []struct {
		From
		*gathered
		labelled bool
	}{{source, &from, true}, {target, &to, false}} {
		side.gathered.labelled = side.labelled
		if err := d.gather(ctx, side.From, label, side.gathered); err != nil {
			return nil, side.From.wrap(side.Port, err)
		}
	}
	held = to
	if tested != nil {
		held = gathered{}
		if err := d.gather(ctx, *tested, label, &held); err != nil {
			return nil, tested.wrap("test", err)
		}
	}
	if err := from.checkSource(source, label); err != nil {
		return nil, err
	}
	if n := to.rows[training].len(); n == 0 {
		return nil, pipeline.ParamErrorHint("", "rows of the target by split: "+inWords(to.splits), "target %s: there is no row of split %s%s to adapt to", target.Input.Name(), record.Train, target.ofDomains())
	}
	d.number(label, classes, &from, &to, &held)
	return d, nil
}

// wrap says which input an error is of, in the error's own message where it is one of parameters, which alone is told.
func (f From) wrap(port string, err error) error {
	where := port
	if name := f.Input.Name(); name != port {
		where += " " + name
	}
	var param *params.Error
	if errors.As(err, &param) {
		own := *param
		own.Message = where + ": " + own.Message
		return &own
	}
	return fmt.Errorf("%s: %w", where, err)
}

// ofDomains tells which domains are asked for, for people.
func (f From) ofDomains() string {
	if f.Domains == nil {
		return ""
	}
	return " in domain " + strings.Join(f.Domains, " or ")
}

// gathered are rows of one domain.
type gathered struct {
	rows     [uses]domainRows
	splits   map[string]int
	domains  map[string]int // all that the table has, by value
	labelled bool           // rows without a label are left out
	left     int            // so many
}

// domainRows are rows for one use.
type domainRows struct {
	ids, labels, domains []string
	known                []bool
	copies               []int
	values               []float32
	places               []Place
	sizes                []float64
}

func (r *domainRows) len() int { return len(r.ids) }

// gather reads the rows of a table that are of a domain.
func (d *Domains) gather(ctx context.Context, from From, label string, into *gathered) error {
	into.splits, into.domains = map[string]int{}, map[string]int{}
	schema, err := from.Input.Schema(ctx)
	if err != nil {
		return err
	}
	if schema == nil {
		return pipeline.ParamErrorHint("", "", "there are no rows")
	}
	for _, key := range Carried() {
		value, ok := schema.Metadata().GetValue(key)
		if before, has := d.Metadata[key]; has && ok && !record.SameOfText(before, value) {
			if key == record.TransformsKey {
				return pipeline.ParamErrorHint("", "compute both in one stage", "its features were computed from texts in another way than the source's")
			}
			return pipeline.ParamErrorHint("", "prepare both domains in one stage, or with the same parameters", "its rows were made in another way than the source's: %s, not %s", value, before)
		}
		if ok && d.Metadata[key] == "" {
			d.Metadata[key] = value
		}
	}
	if d.Transforms, err = record.TransformsOf(d.Metadata); err != nil {
		return err
	}
	pictures := record.OnPictures(schema)
	if d.Shape != nil && pictures != d.Pictures {
		return pipeline.ParamErrorHint("", "give both in one form", "one domain has pictures and the other features")
	}
	d.Pictures = pictures
	bad := infinite{}
	if !pictures {
		for rec, err := range from.Input.Batches(ctx) {
			if err != nil {
				return err
			}
			tensors, err := record.TensorColumn(rec, record.Feature)
			if err != nil {
				return err
			}
			if err := d.takeShape("features", tensors.Shape); err != nil {
				return err
			}
			err = into.take(rec, schema, from, label, func(r *domainRows, i int, id string) error {
				if tensors.IsNull(i) {
					return fmt.Errorf("row %q has no features", id)
				}
				before := len(r.values)
				r.values = tensors.AppendFloats(r.values, i)
				if !finite(r.values[before:]) {
					bad.add(id)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if bad.count > 0 {
			return pipeline.ParamErrorHint("", "mend them where the features are made, or leave the rows out there", "%d rows have a feature that is not a finite number; the first is %q", bad.count, bad.first)
		}
		return from.check(into)
	}
	for _, input := range from.Input.Chunks() {
		c := &Chunk{Input: input, index: len(d.Chunks), data: d.Data}
		d.Chunks = append(d.Chunks, c)
		if err := d.list(c, schema, from, label, into); err != nil {
			return err
		}
	}
	return from.check(into)
}

// list finds the rows of a chunk of pictures that are of a domain.
func (d *Domains) list(c *Chunk, schema *arrow.Schema, from From, label string, into *gathered) error {
	chunk, done, err := c.use()
	if err != nil {
		return err
	}
	defer done()
	first := 0
	c.only = map[int]bool{}
	for at, rec := range chunk.Records() {
		var column *picture.Column = chunk.columns[at]
		if err := d.takeShape("images", nn.Shape{column.Height, column.Width, 3}); err != nil {
			return err
		}
		err = into.take(rec, schema, from, label, func(r *domainRows, row int, id string) error {
			if column.IsNull(row) {
				return fmt.Errorf("row %q has no picture", id)
			}
			r.places = append(r.places, Place{c.index, first + row})
			c.only[first+row] = true
			return nil
		})
		if err != nil {
			return err
		}
		first += int(rec.NumRows())
	}
	return nil
}

// takeShape holds the shape of a row against that of those before.
func (d *Domains) takeShape(what string, shape nn.Shape) error {
	if d.Shape == nil {
		d.Shape = slices.Clone(shape)
	}
	if !slices.Equal(shape, d.Shape) {
		return pipeline.ParamErrorHint("", "prepare, or extract, both domains in the same way", "%s have shape %v here and %v in what was read before", what, shape, d.Shape)
	}
	if shape.Size() == 0 {
		return fmt.Errorf("%s have the empty shape %v", what, shape)
	}
	return nil
}

// check refuses domains that the table does not have.
func (f From) check(into *gathered) error {
	for i, name := range f.Domains {
		if into.domains[name] == 0 {
			return pipeline.ParamErrorHint(fmt.Sprintf("domains.%s[%d]", f.Port, i), "the column domain has: "+inWords(into.domains), "there is no row of domain %q", name)
		}
	}
	return nil
}

// take adds the rows of a batch that are of the domain and in use.
func (g *gathered) take(rec arrow.Record, schema *arrow.Schema, from From, label string, keep func(r *domainRows, row int, id string) error) error {
	roles, err := record.NewRoles(rec)
	if err != nil {
		return err
	}
	var target *record.TargetColumn
	column := record.TargetOf(schema, label)
	if _, field, err := record.Column(schema, column); err == nil {
		if learned, err := record.TargetTask(field); err != nil || learned != record.SingleLabel {
			return pipeline.ParamErrorHint("target_column", "adaptation is for rows of one class each", "column %q does not hold one class a row", column)
		}
		if target, err = record.NewTargetColumn(rec, column); err != nil {
			return err
		}
	} else if g.labelled {
		return err
	}
	var domains *array.String
	if len(schema.FieldIndices(record.Domain)) > 0 {
		if domains, err = record.ColumnAs[*array.String](rec, record.Domain); err != nil {
			return err
		}
	} else if from.Domains != nil {
		return pipeline.ParamErrorHint("domains", "columns: "+strings.Join(record.ColumnNames(schema), ", "), "there is no column %q to tell the domains by", record.Domain)
	}
	size := pictureSizes(rec)
	for i := range int(rec.NumRows()) {
		domain := ""
		if domains != nil && !domains.IsNull(i) {
			domain = strings.Clone(domains.Value(i))
		}
		g.domains[domain]++
		if from.Domains != nil && !slices.Contains(from.Domains, domain) {
			continue
		}
		split, copied := roles.Split(i), roles.Copy(i)
		g.splits[strings.Clone(split)]++
		use := slices.Index([]string{record.Train, record.Validation, record.Test}, split)
		if use < 0 || use != training && copied > 0 {
			continue
		}
		known := target != nil && target.Known(i)
		if g.labelled && !known {
			g.left++
			continue
		}
		r := &g.rows[use]
		if err := keep(r, i, roles.ID(i)); err != nil {
			return err
		}
		class := ""
		if known {
			class = target.Class(i)
		}
		r.ids, r.labels, r.known = append(r.ids, strings.Clone(roles.ID(i))), append(r.labels, class), append(r.known, known)
		r.domains, r.copies, r.sizes = append(r.domains, domain), append(r.copies, copied), append(r.sizes, size(i))
	}
	return nil
}

// pictureSizes gives, for each row, the side of a square as large as the picture that the row comes from, before it was resized; not a
// number if that is not known.
func pictureSizes(rec arrow.Record) func(row int) float64 {
	var sides []*array.Int32
	for _, name := range []string{record.PictureWidth, record.PictureHeight} {
		if column, err := record.ColumnAs[*array.Int32](rec, name); err == nil {
			sides = append(sides, column)
		}
	}
	return func(row int) float64 {
		if len(sides) < 2 || sides[0].IsNull(row) || sides[1].IsNull(row) {
			return math.NaN()
		}
		return math.Sqrt(float64(sides[0].Value(row)) * float64(sides[1].Value(row)))
	}
}

// checkSource refuses a source that nothing can be learned from.
func (g *gathered) checkSource(from From, label string) error {
	rows := &g.rows[training]
	switch classes := counted(rows.labels); {
	case len(classes) == 0 && g.left > 0:
		return pipeline.ParamErrorHint("", "", "source %s: none of the %d rows%s has a label in column %q", from.Input.Name(), g.left, from.ofDomains(), label)
	case len(classes) == 0:
		return pipeline.ParamErrorHint("", "rows of the source by split: "+inWords(g.splits), "source %s: there is no row of split %s%s to train on", from.Input.Name(), record.Train, from.ofDomains())
	case len(classes) == 1:
		return pipeline.ParamErrorHint("", "a classifier needs at least two classes", "source %s: all %d training rows are of class %q", from.Input.Name(), rows.len(), rows.labels[0])
	}
	return nil
}

// number makes examples of what was gathered, and numbers their classes.
func (d *Domains) number(label string, classes []string, source, target, held *gathered) {
	d.Classes = slices.Sorted(maps.Keys(counted(source.rows[training].labels)))
	if !slices.ContainsFunc(d.Classes, func(class string) bool { return !slices.Contains(classes, class) }) {
		d.Classes = slices.Clone(classes) // or else the model is refused
	}
	d.Target = record.SingleLabelHead(label, d.Classes)
	numbers := map[string]int{}
	for i, class := range d.Classes {
		numbers[class] = i
	}
	numberOf := func(r *domainRows, i int) int {
		if class, ok := numbers[r.labels[i]]; ok && r.known[i] {
			return class
		}
		return objective.Unknown
	}
	unknown := map[string]int{}
	add := func(into *Examples, r *domainRows, domain int, tell bool, which []int) {
		table, _ := into.Examples.(*train.Table)
		if table == nil && !d.Pictures {
			table = &train.Table{Width: d.Shape.Size()}
			into.Examples = table
		}
		for _, i := range which {
			oracle, class := int32(objective.Unknown), numberOf(r, i)
			if domain == HeldOut || domain == Sampled {
				oracle = int32(class)
			}
			if !tell {
				class = objective.Unknown
			}
			into.Oracle, into.IDs, into.Names = append(into.Oracle, oracle), append(into.IDs, r.ids[i]), append(into.Names, r.domains[i])
			into.Of, into.Sizes = append(into.Of, pictureOf(int(domain), r.ids[i])), append(into.Sizes, r.sizes[i])
			into.Classes, into.Copies, into.Domains = append(into.Classes, class), append(into.Copies, r.copies[i]), append(into.Domains, int32(domain))
			if d.Pictures {
				into.Places = append(into.Places, r.places[i])
				continue
			}
			table.Values = append(table.Values, r.values[i*table.Width:(i+1)*table.Width]...)
		}
	}
	all := func(r *domainRows, use func(i int) bool) (out []int) {
		for i := range r.len() {
			if use == nil || use(i) {
				out = append(out, i)
			}
		}
		return out
	}
	own := func(i int) bool { // a validation row of a class that no training row has says nothing
		label := source.rows[validation].labels[i]
		if _, ok := numbers[label]; !ok {
			unknown[label]++
			return false
		}
		return true
	}
	uncopied := func(r *domainRows) []int { return all(r, func(i int) bool { return r.copies[i] == 0 }) }
	from, to := &source.rows[training], &target.rows[training]
	add(&d.Training, from, objective.SourceDomain, true, all(from, nil))
	d.SourceRows = d.Training.Rows()
	add(&d.Training, to, objective.TargetDomain, false, all(to, nil))
	add(&d.Validation, &source.rows[validation], objective.SourceDomain, true, all(&source.rows[validation], own))
	d.ValidationRows = d.Validation.Rows()
	add(&d.Validation, to, objective.TargetDomain, false, spread(uncopied(to), MostEvidence))
	add(&d.Validation, &held.rows[test], HeldOut, false, all(&held.rows[test], nil))
	add(&d.Validation, from, Sampled, false, spread(uncopied(from), MostEvidence))
	add(&d.Test, &held.rows[test], HeldOut, true, all(&held.rows[test], nil))
	add(&d.Reserve, &target.rows[validation], objective.TargetDomain, false, all(&target.rows[validation], nil))
	for _, e := range []*Examples{&d.Training, &d.Validation, &d.Test, &d.Reserve} {
		if d.Pictures {
			e.Examples = pixels{d.Data, e}
		} else if table, ok := e.Examples.(*train.Table); ok {
			table.Classes, table.Targets = e.Classes, nn.Batch{objective.Domain: {Int32: e.Domains}, OracleTarget: {Int32: e.Oracle}}
		} else {
			e.Examples = &train.Table{Width: d.Shape.Size()}
		}
	}
	for i := range to.len() {
		d.hidden = append(d.hidden, numberOf(to, i))
	}
	d.TestSplits = inWords(held.splits)
	for _, known := range held.rows[test].known {
		if known {
			d.TestLabelled++
		}
	}
	d.compareClasses(source, target)
	if source.left > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d rows of the source have no label and are ignored", source.left))
	}
	if len(unknown) > 0 {
		d.Notes = append(d.Notes, "validation rows of classes that no training row of the source has are left out: "+inWords(unknown))
	}
}

// spread chooses n of the positions, or all, evenly.
func spread(positions []int, n int) []int {
	if len(positions) <= n {
		return positions
	}
	out := make([]int, n)
	for i := range out {
		out[i] = positions[i*len(positions)/n]
	}
	return out
}

// Renumber puts the classes of all rows into the order of a model's outputs.
func (d *Domains) Renumber(model record.Head) error {
	before := d.Classes
	if err := d.Data.Renumber(model); err != nil {
		return err
	}
	number := make([]int, len(before))
	for i, name := range before {
		number[i] = slices.Index(d.Classes, name)
	}
	for i, class := range d.hidden {
		if class != objective.Unknown {
			d.hidden[i] = number[class]
		}
	}
	for i, class := range d.Test.Classes {
		if class != objective.Unknown {
			d.Test.Classes[i] = number[class]
		}
	}
	for _, e := range []*Examples{&d.Training, &d.Validation, &d.Test} {
		for i, class := range e.Oracle {
			if class != objective.Unknown {
				e.Oracle[i] = int32(number[class])
			}
		}
	}
	return nil
}

// compareClasses finds the classes that one domain alone has, as far as the target's labels are known. Nothing is learned
// or chosen by it.
func (d *Domains) compareClasses(source, target *gathered) {
	seen := map[string]int{}
	for use := range target.rows {
		r := &target.rows[use]
		for i, known := range r.known {
			if r.copies[i] == 0 {
				d.TargetAll++
			}
			if known && r.copies[i] == 0 {
				seen[r.labels[i]]++
				d.TargetKnown++
			}
			if known && use == training {
				d.TargetLabelled++
			}
		}
	}
	if len(seen) == 0 {
		return
	}
	d.OnlySource, d.OnlyTarget = map[string]int{}, map[string]int{}
	for class, n := range counted(source.rows[training].labels) {
		if seen[class] == 0 {
			d.OnlySource[class] = n
		}
	}
	for class, n := range seen {
		if !slices.Contains(d.Classes, class) {
			d.OnlyTarget[class] = n
		}
	}
}

// Reveal tells the classes of some training rows of the target to those who may know: of each class so many pictures, the
// first in the order of a shuffle that the seed decides, with their copies; all if each is below 1. It returns the
// positions of these rows among the training rows, in order, and their classes.
func (d *Domains) Reveal(each int, shuffled func(n int) []int) (positions, classes []int) {
	pictures := d.Training.Pictures(d.Training.Spread(d.Training.Rows()))
	taken := map[int]bool{} // pictures
	counts := make([]int, len(d.Classes))
	for _, i := range shuffled(len(d.hidden)) {
		class, number := d.hidden[i], pictures[d.SourceRows+i]
		if class == objective.Unknown || d.Training.Copies[d.SourceRows+i] != 0 || taken[number] || each > 0 && counts[class] >= each {
			continue
		}
		taken[number] = true
		counts[class]++
	}
	for i, class := range d.hidden {
		if at := d.SourceRows + i; taken[pictures[at]] && class != objective.Unknown {
			positions, classes = append(positions, at), append(classes, class)
		}
	}
	return positions, classes
}
