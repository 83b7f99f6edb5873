package transfer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Foresee implements pipeline.Foreseeing: it refuses columns that are not there, and such that nothing can be learned of, as far as
// the source's listing shows it.
func (s *Setup) Foresee(inputs map[string]pipeline.Foreseen) error {
	data, ok := inputs[DataPort]
	if !ok || data.Overview == nil {
		return nil
	}
	tasks, several := s.Target.Several()
	if !several {
		return foreseeColumn(data.Overview, "target", rows.Task{Column: string(s.Target)}, s.guidance != nil)
	}
	var errs []error
	for _, task := range tasks.options() {
		errs = append(errs, foreseeColumn(data.Overview, "target."+task.Name, task, s.guidance != nil))
	}
	return errors.Join(errs...)
}

// ForeseeTarget refuses a column with the classes of rows, the parameter target of a stage that trains nothing, as far as the source's
// listing shows that it is not there or says nothing.
func ForeseeTarget(o *pipeline.Overview, column string) error {
	return foreseeColumn(o, "target", rows.Task{Column: column}, false)
}

// foreseeColumn refuses the column of a task, which stands at a path among the parameters. Of unlabelled rows something else is learned.
func foreseeColumn(o *pipeline.Overview, path string, task rows.Task, unlabelled bool) error {
	known := append([]string{record.Label, record.Split, record.Domain}, o.Columns...)
	if o.Task != "" {
		known = append(known, record.Target)
	}
	made := []string{record.ID, record.Copy, record.Likeness, record.PictureWidth, record.PictureHeight, record.Text, record.TokenCount, record.UnknownTokens} // by stages
	switch {
	case slices.Contains(o.Learned, task.Column):
		return pipeline.ParamErrorHint(path, "learn target in its place, or leave the column out of the target of the stage that lists the rows",
			"there is no column %q any more: it became part of the column target", task.Column)
	case !slices.Contains(known, task.Column) && !slices.Contains(made, task.Column):
		return pipeline.ParamErrorHint(path, params.DidYouMean(task.Column, known), "there is no column %q; columns: %s", task.Column, strings.Join(known, ", "))
	}
	of, counted := o.Texts[task.Column]
	rows, _, _ := o.Split(record.Train)
	switch {
	case !counted || rows == 0 || unlabelled:
		return nil
	case of.Known == 0:
		return pipeline.ParamErrorHint(path, "take another column", "column %q is empty in all %d training rows", task.Column, rows)
	case task.Numbers && of.NoNumber != nil:
		return pipeline.ParamErrorHint(path, "correct it, or leave it empty: then it is not known", "column %q: row %q has %q, which is not a number", task.Column, of.NoNumber.Row, of.NoNumber.Text)
	case !of.Varies:
		return pipeline.ParamErrorHint(path, "take another column", "column %q has %q in all %s; at least two values are needed", task.Column, of.First, trainingRows(of.Known, rows))
	}
	return nil
}

// trainingRows are the rows in which something is known, for people.
func trainingRows(known, all int64) string {
	if known == all {
		return fmt.Sprintf("%d training rows", all)
	}
	return fmt.Sprintf("%d training rows in which it is known", known)
}
