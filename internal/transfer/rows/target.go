package rows

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Task is what is learned of a row.
func (d *Data) Task() record.Task {
	if d.Several != nil {
		return SeveralTasks
	}
	return d.Target.Task
}

// Outputs is how many numbers a network is to give for a row.
func (d *Data) Outputs() int {
	n := len(d.Target.Names())
	for _, aim := range d.Several {
		n += len(aim.Head.Names())
	}
	return n
}

// checkTruth refuses rows of several classes, or of numbers, that nothing can be learned from.
func (r *reader) checkTruth() error {
	if r.task == record.MultiLabel {
		if !slices.ContainsFunc(r.training.classes, func(classes []string) bool { return len(classes) > 0 }) {
			return fmt.Errorf("no class applies to any of the %d training rows", len(r.training.classes))
		}
		return nil
	}
	for i, name := range r.names {
		known, first, several := 0, 0.0, false
		for _, numbers := range r.training.numbers {
			x := numbers[i]
			if math.IsNaN(x) {
				continue
			}
			if known++; known == 1 {
				first = x
			}
			several = several || x != first
		}
		if known == 0 {
			return fmt.Errorf("%s is unknown for all %d training rows", name, len(r.training.numbers))
		}
		if !several {
			return fmt.Errorf("%s is %v in all %d training rows where it is known", name, first, known)
		}
	}
	return nil
}

// truth makes examples of rows of several classes, or of numbers. Classes are those of the training rows,
// sorted by name.
func (r *reader) truth(d *Data) {
	d.Target = record.RegressionHead(r.name, r.names)
	number := map[string]int{}
	if r.task == record.MultiLabel {
		d.Target = record.MultiLabelHead(r.name, classesOf(r.training.classes))
		for i, class := range d.Target.Classes {
			number[class] = i
		}
	}
	unknown := map[string]int{}
	for _, set := range r.sets(d) {
		for row := range set.rows.copies {
			set.use(row)
			if r.task == record.Regression {
				for _, x := range set.rows.numbers[row] {
					set.of.Truth = append(set.of.Truth, float32(x))
				}
				continue
			}
			applies := make([]float32, len(d.Target.Classes))
			for _, class := range set.rows.classes[row] {
				if i, ok := number[class]; ok {
					applies[i] = 1
				} else {
					unknown[class]++
				}
			}
			set.of.Truth = append(set.of.Truth, applies...)
		}
	}
	if r.training.unlabelled+r.validation.unlabelled > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("rows without a known target are ignored: %d for training, %d for validation", r.training.unlabelled, r.validation.unlabelled))
	}
	if len(unknown) > 0 {
		d.Notes = append(d.Notes, "classes of validation rows that apply to no training row are passed over: "+inWords(unknown))
	}
}

func classesOf(rows [][]string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(rows...))))
}

// targets are those of examples in memory, but for a class.
func (e *Examples) targets(task record.Task) nn.Batch {
	switch task {
	case SeveralTasks:
		return e.Several
	case record.MultiLabel:
		return nn.Batch{objective.Classes: {Float32: e.Truth}}
	case record.Regression:
		return nn.Batch{objective.Numbers: {Float32: e.Truth}}
	}
	return nil
}

// Moments are those of each number over the training rows: its mean and its standard deviation, both of the rows of
// which it is known.
func (d *Data) Moments() (mean, deviation []float64) { return moments(d.Training.Truth, d.Outputs()) }

func moments(truth []float32, width int) (mean, deviation []float64) {
	mean, deviation = make([]float64, width), make([]float64, width)
	known := make([]float64, width)
	each := func(do func(i int, x float64)) {
		for at, x := range truth {
			if x == x {
				do(at%width, float64(x))
			}
		}
	}
	each(func(i int, x float64) { mean[i] += x; known[i]++ })
	for i := range mean {
		mean[i] /= known[i]
	}
	each(func(i int, x float64) { deviation[i] += (x - mean[i]) * (x - mean[i]) })
	for i := range deviation {
		deviation[i] = math.Sqrt(deviation[i] / known[i])
	}
	return mean, deviation
}

// Renumber puts what the rows are of into the order of a model's outputs.
func (d *Data) Renumber(model record.Head) error {
	if model.Task != d.Task() {
		return fmt.Errorf("its task (%s) differs from that of the data (%s)", words(model.Task), words(d.Task()))
	}
	names, kind := model.Names(), "class"
	if d.Task() == record.Regression {
		kind = "number"
		if len(names) != d.Outputs() {
			return fmt.Errorf("it predicts %d numbers (%s), and the data has %d", len(names), strings.Join(names, ", "), d.Outputs())
		}
	}
	number := make([]int, d.Outputs())
	for i, name := range d.Target.Names() {
		if number[i] = slices.Index(names, name); number[i] < 0 {
			return fmt.Errorf("it has no %s %q; it has: %s", kind, name, strings.Join(names, ", "))
		}
	}
	for _, e := range []*Examples{&d.Training, &d.Validation} {
		for i, class := range e.Classes {
			if class != objective.Unknown {
				e.Classes[i] = number[class]
			}
		}
		e.renumber(d.Task(), number, len(names))
	}
	model.Name = d.Target.Name
	d.Target, d.Classes = model, nil
	if d.Task() == record.SingleLabel {
		d.Classes = model.Classes
	}
	return nil
}

// renumber puts truths into other places, of so many. Of what the data do not have, nothing is known.
func (e *Examples) renumber(task record.Task, number []int, width int) {
	if task == record.SingleLabel {
		return
	}
	out := slices.Repeat([]float32{float32(math.NaN())}, e.Rows()*width)
	for i, y := range e.Truth {
		out[i/len(number)*width+number[i%len(number)]] = y
	}
	e.Truth = out
	if table, ok := e.Examples.(*train.Table); ok {
		table.Targets = e.targets(task)
	}
}

// words tells a task to people.
func words(task record.Task) string {
	switch task {
	case record.MultiLabel:
		return "any of several classes"
	case record.Regression:
		return "numbers"
	case SeveralTasks:
		return "several tasks"
	}
	return "one of several classes"
}
