package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// readModels reads the models and, of those with several tasks, the part that answers the task to be measured.
func (s stage) readModels(ctx context.Context, pairs []pair) ([]*classifier.Classifier, error) {
	models := make([]*classifier.Classifier, len(pairs))
	for i, p := range pairs {
		c, err := classifier.ReadTasks(ctx, p.model)
		if err != nil {
			return nil, err
		}
		models[i], err = c.Task(s.Task)
		if several := new(classifier.SeveralTasksError); errors.As(err, &several) {
			return nil, pipeline.ParamErrorHint("task", fmt.Sprintf("one stage for each: matrix: {task: [%s]}, with: {task: $(task)}", strings.Join(several.Tasks, ", ")),
				"model %s has several tasks: %s", p.model.Name(), strings.Join(several.Tasks, ", "))
		}
		if err != nil {
			return nil, pipeline.ParamError("task", "model %s: %v", p.model.Name(), err)
		}
	}
	return models, nil
}

// tellTwins logs models of several tasks without their twins: nothing is then said of what learning together gained.
func (s stage) tellTwins(task *pipeline.Task, pairs []pair, models []*classifier.Classifier) {
	if s.Task == "" {
		return
	}
	var names []string
	for _, p := range pairs {
		names = append(names, p.model.Name())
	}
	for i, name := range names {
		if models[i].Head().Output != "" && !strings.HasSuffix(name, record.TwinsSuffix) && !slices.Contains(names, name+record.TwinsSuffix) {
			task.Log("%s learned task %s together with others; add %s%s to from.model to measure what that gained or cost", name, s.Task, name, record.TwinsSuffix)
		}
	}
}

// truthRecipe is the recipe of a part that reads the classes of another column than the label.
type truthRecipe[R any] struct {
	Of    R      `yaml:"of"`
	Truth string `yaml:"truth"`
}

// partOf is the recipe of a part that reads the classes of the rows.
func partOf[R any](t *table, recipe R) any {
	if t.truth == record.Label {
		return recipe
	}
	return truthRecipe[R]{recipe, t.truth}
}

// tellTransfer logs what learning several tasks together gained or cost.
func (e *evaluation) tellTransfer(comparisons []record.Comparison) {
	for _, c := range comparisons {
		c, ok := c.Together()
		if !ok {
			continue
		}
		difference, unit := fmt.Sprintf("%+.1f points", 100*c.Difference), 100.0
		if c.Metric == record.MeanAbsoluteError {
			difference, unit = fmt.Sprintf("%+.4g", c.Difference), 1
		}
		interval := ""
		if !math.IsNaN(c.Low) {
			interval = fmt.Sprintf(", 95 %% interval %+.4g to %+.4g", unit*c.Low, unit*c.High)
		}
		transfer := c.Transfer()
		if c.Decided() {
			transfer += " transfer"
		}
		e.task.Log("task %s: %s together less alone %s%s (%s, paired on %d rows): %s", e.Task, strings.ReplaceAll(c.Metric, "_", " "), difference, interval, c.A, c.Rows, transfer)
	}
}
