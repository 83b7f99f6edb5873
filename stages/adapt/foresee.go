package adapt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Foresee implements pipeline.Foreseeing: it refuses rows that nothing can be adapted with, as far as the sources' listings
// show it. What [stage.check] refuses besides takes the rows themselves.
func (s *stage) Foresee(inputs map[string]pipeline.Foreseen) error {
	source, ok := inputs[SourcePort]
	target, twoTables := inputs[TargetPort]
	if !twoTables && s.Domains != nil && s.Domains.Target != nil {
		target = source
	}
	var from, to []string
	if s.Domains != nil {
		from, to = s.Domains.Source, s.Domains.Target
	}
	var errs []error
	if ok {
		errs = append(errs, missing(source.Overview, SourcePort, from))
	}
	if target.Overview != nil {
		errs = append(errs, missing(target.Overview, TargetPort, to))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	f := foresight{stage: s}
	if ok {
		f.source = side{SourcePort, source.Overview.Of(from), source.Exact, from}
		errs = append(errs, f.source.rows("which the model learns from"), f.column(), f.learnable(), f.validated())
		if _, continues := inputs[ModelPort]; !continues {
			errs = append(errs, f.weighted())
		}
	}
	if target.Overview != nil {
		f.target = side{TargetPort, target.Overview.Of(to), target.Exact, to}
		errs = append(errs, f.target.rows("which the model is adapted to"))
	}
	if test, connected := inputs[TestPort]; connected {
		n, labelled, _ := test.Overview.Of(to).Split(record.Test)
		if f.Label != record.Label || test.Task != "" {
			labelled = n
		}
		if n == 0 || labelled == 0 {
			errs = append(errs, untested(n, test.Overview.Of(to).SplitsInWords()))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return errors.Join(f.widths(), f.batch(), f.fitted(), f.labels(), f.copies())
}

// untested refuses an input test without labelled rows of split test: it is there for nothing else.
func untested(rows int64, splits string) error {
	const hint = "give labelled rows of the target the split test, or leave the input test out"
	if rows == 0 {
		return pipeline.ParamErrorHint("", hint, "the input test has no rows of split test; rows by split: %s", splits)
	}
	return pipeline.ParamErrorHint("", hint, "none of the %d rows of split test of the input test has a label", rows)
}

// missing refuses domains that a source does not have.
func missing(o *pipeline.Overview, port string, domains []string) error {
	var errs []error
	var known []string
	for _, d := range o.Domains {
		rows := int64(0)
		for _, c := range d.Classes {
			rows += c.Total()
		}
		known = append(known, fmt.Sprintf("%s %d", d.Name, rows))
	}
	for i, name := range domains {
		if !slices.ContainsFunc(o.Domains, func(d pipeline.DomainRows) bool { return d.Name == name }) {
			hint := "the column domain has: " + strings.Join(known, ", ")
			switch len(known) {
			case 0:
				hint = "no row has a domain: set a domain for each part of the source, or connect the input target"
			case 1:
				hint += "; adaptation takes two domains"
			}
			errs = append(errs, pipeline.ParamErrorHint(fmt.Sprintf("domains.%s[%d]", port, i), hint, "there is no row of domain %q", name))
		}
	}
	return errors.Join(errs...)
}

// foresight is what is known of both sides.
type foresight struct {
	*stage
	source, target side
}

// side is what is known of the rows of a domain.
type side struct {
	port    string
	found   *pipeline.Overview // nil: nothing yet
	exact   bool
	domains []string
}

// where is the parameter that decides which rows are of the side.
func (s side) where() string {
	if s.domains != nil {
		return "domains." + s.port
	}
	return ""
}

// rows refuses a side without training rows.
func (s side) rows(why string) error {
	n, _, _ := s.found.Split(record.Train)
	if n > 0 {
		return nil
	}
	return pipeline.ParamErrorHint(s.where(), "see split in the stage that lists the rows", "the %s has no rows of split train, %s; rows by split: %s", s.port, why, s.found.SplitsInWords())
}

// column refuses a column to predict that the source does not have.
func (f foresight) column() error {
	known := append([]string{record.Label, record.Split, record.Domain}, f.source.found.Columns...)
	if f.source.found.Task != "" || slices.Contains(known, f.Label) {
		return nil
	}
	return pipeline.ParamErrorHint("label", "columns of the source: "+strings.Join(known, ", "), "the source has no column %q", f.Label)
}

// validated refuses what needs validation rows of the source where there are none, or none of some class.
func (f foresight) validated() error {
	n, _, classes := f.source.found.Split(record.Validation)
	if n == 0 {
		if err := f.stage.validates(); err != nil {
			return err
		}
	}
	var absent []string
	if _, labelled, trained := f.source.found.Split(record.Train); f.Label == record.Label && f.source.found.Task == "" && labelled > 0 {
		absent = slices.DeleteFunc(trained, func(class string) bool { return slices.Contains(classes, class) })
	}
	lacks := func(at, instead string) error {
		switch {
		case n == 0:
			return noValidation(at, bbse, instead)
		case len(absent) > 0:
			return pipeline.ParamErrorHint(at, "give rows of each class of the source the split val, or write "+instead,
				"bbse needs validation rows of each class of the source; there are none of class %s", some(absent))
		}
		return nil
	}
	for i, m := range f.Method {
		if m.Kind == method.PriorShift && m.Estimate == bbse {
			if err := lacks(f.methodAt(i), "estimate: em"); err != nil {
				return err
			}
		}
	}
	if f.PriorShift == bbse {
		return lacks("prior_shift", "prior_shift: em")
	}
	return nil
}

// weighted refuses weights of classes that the source does not have.
func (f foresight) weighted() error {
	if f.Label != record.Label || f.source.found.Task != "" {
		return nil
	}
	_, labelled, classes := f.source.found.Split(record.Train)
	if labelled == 0 {
		return nil
	}
	_, err := f.ClassWeights.Of(classes, make([]int, len(classes)))
	return err
}

// validates refuses a validator that needs validation rows of the source, where there are none.
func (s *stage) validates() error {
	if s.Select.By == "source_accuracy" {
		return noValidation("select", s.Select.By, "select: im")
	}
	return nil
}

func noValidation(at, what, instead string) error {
	return pipeline.ParamErrorHint(at, "give some rows of the source the split val, or write "+instead, "%s needs validation rows of the source, and there are none", what)
}

// learnable refuses a source without labels of two classes.
func (f foresight) learnable() error {
	if f.Label != record.Label || f.source.found.Task != "" { // an overview counts labels
		return nil
	}
	rows, labelled, classes := f.source.found.Split(record.Train)
	switch {
	case rows > 0 && labelled == 0:
		return pipeline.ParamErrorHint(f.source.where(), "only the target may be without labels", "none of the %d training rows of the source has a label", rows)
	case len(classes) == 1:
		return pipeline.ParamErrorHint(f.source.where(), "", "all %d training rows of the source are of class %q; a classifier needs at least two classes", labelled, classes[0])
	}
	return nil
}

// widths refuses rows of numbers of other lengths.
func (f foresight) widths() error {
	if f.source.found == nil || f.target.found == nil {
		return nil
	}
	if a, b := f.source.found.Width, f.target.found.Width; a > 0 && b > 0 && a != b {
		return pipeline.ParamErrorHint("", "compute the features of both domains in the same way", "rows of the source have %d features, but those of the target have %d", a, b)
	}
	return nil
}

// batch refuses sides that do not fill a batch.
func (f foresight) batch() error {
	if f.closed() || f.source.found == nil || f.target.found == nil || !f.source.exact || !f.target.exact {
		return nil
	}
	of := [2]int64{}
	rows, labelled, _ := f.source.found.Split(record.Train)
	if of[0] = labelled; f.Label != record.Label || f.source.found.Task != "" {
		of[0] = rows
	}
	of[1], _, _ = f.target.found.Split(record.Train)
	return f.fills(of[0], of[1])
}

// fills refuses fewer rows than a batch takes of each domain.
func (s *stage) fills(source, target int64) error {
	if batch := int64(s.BatchSize); source < batch || target < batch {
		return pipeline.ParamErrorHint("batch_size", fmt.Sprintf("at most %d", min(source, target)),
			"a batch has %d rows of each domain, but there are %d training rows of the source and %d of the target", batch, source, target)
	}
	return nil
}

// fitted refuses domains that are too small for second moments.
func (f foresight) fitted() error {
	if !f.closed() || f.target.found == nil || !f.target.exact {
		return nil
	}
	n, _, _ := f.target.found.Split(record.Train)
	return f.aligns(n)
}

// aligns refuses a target whose rows have no spread, for methods in closed form.
func (s *stage) aligns(target int64) error {
	const least = 2
	at := slices.IndexFunc(s.Method, func(m method.Method) bool { return m.Is().Closed })
	if at < 0 || target >= least {
		return nil
	}
	return pipeline.ParamErrorHint(s.methodAt(at), "give the target more rows of split train",
		"%s needs at least %d training rows of the target, found %d", s.Method[at].Kind, least, target)
}

// labels refuses methods that learn from labels of the target where it has none of a class of the source.
func (f foresight) labels() error {
	if f.Label != record.Label || f.source.found == nil || f.target.found == nil || f.source.found.Task != "" {
		return nil
	}
	_, _, classes := f.source.found.Split(record.Train)
	rows, labelled, own := f.target.found.Split(record.Train)
	shared := slices.ContainsFunc(own, func(c string) bool { return slices.Contains(classes, c) })
	if shared {
		return nil
	}
	for i, m := range f.Method {
		if m.Is().Labels {
			return f.noLabels(i, rows)
		}
	}
	if labelled > 0 {
		return pipeline.ParamErrorHint(f.target.where(), "the source has: "+some(classes),
			"source and target have no class in common; the target has: %s", some(own))
	}
	return nil
}

// copies refuses methods that learn from copies where nothing makes any.
func (f foresight) copies() error {
	for i, m := range f.Method {
		if m.Is().Copies && f.target.found != nil && f.target.exact {
			return f.noCopies(i)
		}
	}
	return nil
}

// noCopies refuses a method that learns from copies of the target's rows.
func (s *stage) noCopies(method int) error {
	return pipeline.ParamErrorHint(s.methodAt(method), "put a stage of kind augment before it, such as with: {copies: 4, rand_augment: {n: 2, m: 10}}",
		"%s learns from copies of the target's rows, but there are none", s.Method[method].Kind)
}

// noLabels refuses a method that learns from labels of the target.
func (s *stage) noLabels(method int, rows int64) error {
	return pipeline.ParamErrorHint(s.methodAt(method), "give some rows of split train of the target a label, or use a method that needs none, such as dann",
		"%s learns from labels of the target, but none of its %d training rows is labelled with a class of the source", s.Method[method].Kind, rows)
}

// methodAt is where a method stands among the parameters.
func (p Params) methodAt(i int) string {
	if len(p.Method) == 1 {
		return "method"
	}
	return fmt.Sprintf("method[%d]", i)
}

// some lists the first few names.
func some(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
