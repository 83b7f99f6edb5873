package classifier

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
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

// NetworkTrait is the trait [record.NetworkKey] of a network.
func NetworkTrait(net *nn.Network) string {
	text, err := json.Marshal(net)
	if err != nil {
		panic(err) // a network that was built always marshals
	}
	return string(text)
}

// NetworkOf is the network that a model will have, with a head for two classes whatever its own are; nil if that is not known yet.
func NetworkOf(model pipeline.Traits) *nn.Network {
	net := &nn.Network{}
	if text := model[record.NetworkKey]; text == "" || json.Unmarshal([]byte(text), net) != nil {
		return nil
	}
	return net
}

// CheckSingleLabel refuses models, and data, that will tell anything else than one class of a row, for a stage that compares accuracies.
func CheckSingleLabel(stage, port string, all []pipeline.Traits) error {
	for _, traits := range all {
		what := "any of several classes"
		switch record.Task(traits[record.TaskKey]) {
		case "", record.SingleLabel:
			continue
		case record.Regression:
			what = "numbers"
		}
		return pipeline.ParamErrorHint("", "leave out target of the stage that reads the pictures: then their label is learned",
			"%s is for one class a row, and the input %s has %s", stage, port, what)
	}
	return nil
}
