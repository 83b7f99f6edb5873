package adapt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Run implements pipeline.WholeTable.
func (s *stage) Run(ctx context.Context, task *pipeline.Task) (err error) {
	d, err := s.read(ctx, task)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r := &run{stage: s, task: task, rows: d}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.tryAll(ctx); err != nil {
		return err
	}
	if err := r.choose(ctx); err != nil {
		return err
	}
	return r.write(ctx)
}

// run is a run of the stage in progress.
type run struct {
	*stage
	task   *pipeline.Task
	rows   *rows.Domains
	trials []*candidate // direct first
	chosen *candidate
	// baseline is what is compared with: direct, at the rate that the validator prefers if there are several.
	baseline *candidate

	selection   []record.AdaptationTrial
	diagnostics []record.Diagnostic
}

// close frees what the candidates hold.
func (r *run) close() (err error) {
	for _, c := range r.trials {
		if c.inference != nil {
			err = errors.Join(err, c.inference.Close())
		}
	}
	return err
}

// read reads the rows of both domains, refuses what cannot be adapted with, and tells what was left out.
func (s *stage) read(ctx context.Context, task *pipeline.Task) (*rows.Domains, error) {
	source := rows.From{Input: task.Input(SourcePort), Port: SourcePort}
	target := rows.From{Input: task.Input(TargetPort), Port: TargetPort}
	if target.Input == nil {
		target.Input = source.Input
	}
	if s.Domains != nil {
		source.Domains, target.Domains = s.Domains.Source, s.Domains.Target
	}
	if same := task.Input(TargetPort); same != nil && same.Digest() == source.Input.Digest() && meet(source.Domains, target.Domains) {
		return nil, pipeline.ParamErrorHint("", "connect other rows to target, or divide the rows with domains",
			"source and target have the same rows: the inputs %s and %s have the same content", SourcePort, TargetPort)
	}
	var test *rows.From
	if in := task.Input(TestPort); in != nil {
		test = &rows.From{Input: in, Port: TargetPort, Domains: target.Domains}
	}
	var classes []string
	if in := task.Input(ModelPort); in != nil {
		model, err := classifier.Read(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", in.Name(), err)
		}
		classes = model.Head().Classes
	}
	d, err := rows.ReadDomains(ctx, source, target, test, s.Label, classes)
	if err != nil {
		return nil, err
	}
	err = s.check(d)
	if test != nil {
		err = errors.Join(err, tested(d))
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	for _, note := range d.Notes {
		task.Log("%s", note)
	}
	task.Log("%d training rows of the source, %d of the target; %d classes; %d validation rows of the source, %d test rows of the target",
		d.SourceRows, d.Training.Rows()-d.SourceRows, len(d.Classes), d.ValidationRows, d.Test.Rows())
	return d, nil
}

// check refuses rows that a method cannot do with.
func (s *stage) check(d *rows.Domains) error {
	var errs []error
	target := d.Training.Rows() - d.SourceRows
	for i, m := range s.Method {
		if m.Is().Labels {
			if positions, _ := d.Reveal(s.TargetLabels, identity); len(positions) == 0 {
				errs = append(errs, s.noLabels(i, int64(target)))
			}
		}
	}
	for i, m := range s.Method {
		if plain, _ := method.VariedRows(d); m.Is().Copies && len(plain) == 0 {
			errs = append(errs, s.noCopies(i))
		}
	}
	if s.closed() {
		errs = append(errs, s.aligns(int64(target)))
	} else {
		errs = append(errs, s.fills(int64(d.SourceRows), int64(target)))
	}
	if len(errs) == 0 && len(d.OnlySource) == len(d.Classes) {
		errs = append(errs, pipeline.ParamErrorHint("", "the source has: "+some(d.Classes), "source and target have no class in common; the target has: %s", some(slices.Sorted(maps.Keys(d.OnlyTarget)))))
	}
	if d.ValidationRows == 0 {
		errs = append(errs, s.validates())
	}
	return errors.Join(errs...)
}

// meet tells whether a row can be of both of these domains; nil: of any.
func meet(a, b []string) bool {
	return a == nil || b == nil || slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}

// tested refuses an input test without rows that the model can be tested on.
func tested(d *rows.Domains) error {
	n := int64(d.Test.Rows())
	switch {
	case n == 0 || d.TestLabelled == 0:
		return untested(n, d.TestSplits)
	case !slices.ContainsFunc(d.Test.Classes, func(class int) bool { return class != objective.Unknown }):
		return pipeline.ParamErrorHint("", "the source has: "+some(d.Classes), "no row of split test of the input test has a class of the source")
	}
	return nil
}

func identity(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// loneClasses tells of classes that one domain alone has.
func (r *run) loneClasses() {
	d := r.rows
	tell := func(name string, lone map[string]int, alarm bool, text string) {
		if len(lone) == 0 {
			return
		}
		n := 0
		var names []string
		for _, class := range slices.Sorted(maps.Keys(lone)) {
			n += lone[class]
			names = append(names, class)
		}
		r.note(record.Diagnostic{Name: name, Value: float64(len(lone)), Rows: int64(n), Alarm: alarm, Text: fmt.Sprintf(text, strings.Join(names, ", "), n)})
	}
	if 2*d.TargetKnown > d.TargetAll {
		tell(record.SourceOnlyClasses, d.OnlySource, true, "classes that no labelled row of the target has: %s (%d training rows of the source): methods that align the whole of both domains, such as dann, may do harm")
	} else { // too few to tell
		tell(record.SourceOnlyClasses, d.OnlySource, false, fmt.Sprintf("%d of the target's %d rows have a label, none of these of classes %%s (%%d training rows of the source)", d.TargetKnown, d.TargetAll))
	}
	tell(record.TargetOnlyClasses, d.OnlyTarget, true, "classes that the model does not have: %s (%d labelled rows of the target): it will take them for others, and they are left out of the accuracy")
}

// note takes a diagnostic into account, and tells alarms.
func (r *run) note(d record.Diagnostic) {
	if d.Low == 0 && d.High == 0 {
		d.Low, d.High = nan, nan
	}
	r.diagnostics = append(r.diagnostics, d)
	if d.Alarm {
		r.task.Log("%s", d.Text)
	}
}

// testRows are the positions of the test rows whose class the source has.
func (r *run) testRows() (positions []int) {
	for i, class := range r.rows.Test.Classes {
		if class != objective.Unknown {
			positions = append(positions, i)
		}
	}
	return positions
}
