package rows

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// SeveralTasks is the task of rows that several things are learned of. No head has it.
const SeveralTasks record.Task = "several_tasks"

// Task is one of several things to learn of a row.
type Task struct {
	Name   string
	Column string // with the truth
	// Numbers reads plain values, such as whole numbers or texts of numbers, as a number to learn.
	Numbers bool
}

// Aim is one of several things that are learned of the rows. Its targets have its head's name: the number of a class, or
// [objective.Unknown]; whether each class applies, or numbers, not a number where not known.
type Aim struct {
	Head record.Head

	Mean, Deviation []float64 // of numbers, over the training rows of which they are known
	Known           int       // training rows of which something is known
}

// newReaders makes a reader for each task.
func (d *Data) newReaders(schema *arrow.Schema) (*reader, error) {
	r := &reader{splits: map[string]int{}}
	for _, task := range d.options.Tasks {
		own := &reader{target: record.TargetOf(schema, task.Column), name: task.Name}
		path := fmt.Sprintf("target.%s", task.Name)
		_, field, err := record.Column(schema, own.target)
		if err != nil {
			return nil, pipeline.ParamError(path, "%v", err)
		}
		if own.task = record.Regression; !task.Numbers {
			if own.task, err = record.TargetTask(field); err != nil {
				return nil, pipeline.ParamError(path, "%v", err)
			}
		}
		if err := record.TargetTaskAs(field, own.task); err != nil {
			return nil, pipeline.ParamError(path, "%v", err)
		}
		r.several = append(r.several, own)
	}
	return r, nil
}

// checkSeveral refuses tasks that nothing can be learned of.
func (r *reader) checkSeveral() error {
	for _, own := range r.several {
		err := error(nil)
		if own.task != record.SingleLabel {
			err = own.checkTruth()
		} else if labels := own.training.labelled(); len(labels) < 2 {
			err = fmt.Errorf("the training rows have %d classes; a classifier needs at least two", len(labels))
		}
		if err != nil {
			return pipeline.ParamError("target."+own.name, "column %q: %v", own.target, err)
		}
	}
	return nil
}

// numberSeveral makes examples of rows of several tasks. A class of validation rows that no training row has is not known.
func (r *reader) numberSeveral(d *Data) {
	for _, set := range r.sets(d) {
		set.of.Several = nn.Batch{}
		for row := range set.rows.copies {
			set.use(row)
		}
	}
	for _, own := range r.several {
		aim := Aim{Head: own.head()}
		for _, without := range own.training.without {
			if !without {
				aim.Known++
			}
		}
		d.Training.Several[own.name] = own.training.truthAs(aim.Head)
		d.Validation.Several[own.name] = own.validation.truthAs(aim.Head)
		if own.task == record.Regression {
			aim.Mean, aim.Deviation = moments(d.Training.Several[own.name].Float32, len(own.names))
		}
		d.Several = append(d.Several, aim)
		if missing := len(own.training.without) - aim.Known; missing > 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("task %s is known for %d of the %d training rows", own.name, aim.Known, len(own.training.without)))
		}
	}
	if n := r.training.unlabelled + r.validation.unlabelled; n > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("rows of which no task is known are ignored: %d for training, %d for validation", r.training.unlabelled, r.validation.unlabelled))
	}
}

// head is what is told of a task.
func (r *reader) head() (h record.Head) {
	switch r.task {
	case record.MultiLabel:
		h = record.MultiLabelHead(r.name, classesOf(r.training.classes))
	case record.Regression:
		h = record.RegressionHead(r.name, r.names)
	default:
		h = record.SingleLabelHead(r.name, r.training.labelled())
	}
	if r.target != r.name {
		h.Column = r.target
	}
	return h
}

// truthAs is what is known of the rows, in the order of a head's names.
func (r *rows) truthAs(h record.Head) (out nn.Values) {
	place := map[string]int{}
	for i, name := range h.Names() {
		place[name] = i
	}
	unknown := float32(math.NaN())
	for row, without := range r.without {
		switch h.Task {
		case record.Regression:
			for _, x := range r.numbers[row] {
				out.Float32 = append(out.Float32, float32(x))
			}
		case record.MultiLabel:
			at := len(out.Float32)
			for range h.Classes {
				x := float32(0)
				if without {
					x = unknown
				}
				out.Float32 = append(out.Float32, x)
			}
			for _, class := range r.classes[row] {
				if i, ok := place[class]; ok {
					out.Float32[at+i] = 1
				}
			}
		default:
			class := int32(objective.Unknown)
			if i, ok := place[r.labels[row]]; ok && !without {
				class = int32(i)
			}
			out.Int32 = append(out.Int32, class)
		}
	}
	return out
}
