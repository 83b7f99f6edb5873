package classifier

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// TasksTrait is the value of the trait [record.TasksKey] of a model that will have these tasks.
func TasksTrait(names []string) string {
	text, err := json.Marshal(names)
	if err != nil {
		panic(err) // a list of texts always marshals
	}
	return string(text)
}

// TasksOf are the tasks of a model that is yet to be made; nil if they are not known.
func TasksOf(model pipeline.Traits) (names []string) {
	if json.Unmarshal([]byte(model[record.TasksKey]), &names) != nil {
		return nil
	}
	return names
}

// CheckOne refuses models that will have several tasks, for a stage that takes models with one.
func CheckOne(stage string, models []pipeline.Traits) error {
	for _, model := range models {
		if tasks := TasksOf(model); len(tasks) > 1 {
			return pipeline.ParamErrorHint("", "train a model of one task for it: target: COLUMN",
				"%s takes models with one task, and the input model has several: %s", stage, strings.Join(tasks, ", "))
		}
	}
	return nil
}

// CheckFloat32 refuses models that will be quantised, for a stage that goes on from their weights in float32.
func CheckFloat32(stage string, models []pipeline.Traits) error {
	for _, model := range models {
		if weights, quantised := model[record.QuantisationKey]; quantised {
			return pipeline.ParamErrorHint("", "quantise last: take the model from the stage before it",
				"%s takes models in float32, and the input model is quantised (%s)", stage, weights)
		}
	}
	return nil
}

// CheckTask refuses models that will not have the task, an error of the parameter task; "" stands for the task of models with one.
func CheckTask(task string, models []pipeline.Traits) error {
	for _, model := range models {
		tasks := TasksOf(model)
		switch {
		case task == "" && len(tasks) > 1:
			return pipeline.ParamErrorHint("task", "one stage for each: matrix: {task: ["+strings.Join(tasks, ", ")+"]}, with: {task: $(task)}",
				"the input model has several tasks, of which one has to be named: %s", strings.Join(tasks, ", "))
		case task != "" && tasks != nil && !slices.Contains(tasks, task):
			hint := ""
			if near := params.Nearest(task, tasks); near != "" {
				hint = params.DidYouMean(task, tasks)
			}
			return pipeline.ParamErrorHint("task", hint, "the input model has no task %q; it has: %s", task, strings.Join(tasks, ", "))
		}
	}
	return nil
}
