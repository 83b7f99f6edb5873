package record

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Head is an output of a model and what its numbers mean.
type Head struct {
	Name   string `json:"name"`             // what it answers, such as "label"
	Column string `json:"column,omitempty"` // that training took the truth from; "": the one of that name
	Output string `json:"output,omitempty"` // the layer of the network that it reads; "" for the network's only output
	Task   Task   `json:"task"`

	// Classes name the numbers of a classification, in order; Targets those of a regression.
	Classes []string `json:"classes,omitempty"`
	Targets []string `json:"targets,omitempty"`

	// Activation is the function that the network's output layer applies: what comes out are
	// probabilities, or the targets themselves.
	Activation Activation `json:"activation"`
}

// Task is a sort of question that a head answers.
type Task string

// The tasks.
const (
	SingleLabel Task = "single_label" // one of the classes: probabilities that sum to 1
	MultiLabel  Task = "multi_label"  // any of the classes: a probability for each
	Regression  Task = "regression"   // numbers
)

// Activation is the function of an output layer.
type Activation string

// The activations of heads.
const (
	SoftmaxActivation  Activation = "softmax"
	SigmoidActivation  Activation = "sigmoid"
	IdentityActivation Activation = "identity"
)

// SingleLabelHead is a head that tells one of the classes.
func SingleLabelHead(name string, classes []string) Head {
	return Head{Name: name, Task: SingleLabel, Classes: classes, Activation: SoftmaxActivation}
}

// MultiLabelHead is a head that tells which of the classes apply.
func MultiLabelHead(name string, classes []string) Head {
	return Head{Name: name, Task: MultiLabel, Classes: classes, Activation: SigmoidActivation}
}

// RegressionHead is a head that tells numbers.
func RegressionHead(name string, targets []string) Head {
	return Head{Name: name, Task: Regression, Targets: targets, Activation: IdentityActivation}
}

// Truth is the column of tables that has what the head should answer.
func (h Head) Truth() string {
	if h.Column != "" {
		return h.Column
	}
	return h.Name
}

// Encode gives the text that stands in metadata under [HeadKey].
func (h Head) Encode() (string, error) {
	if err := h.Check(); err != nil {
		return "", err
	}
	text, err := json.Marshal(h)
	return string(text), err
}

// ParseHead reads what Encode wrote.
func ParseHead(text string) (h Head, err error) {
	if err = json.Unmarshal([]byte(text), &h); err == nil {
		err = h.Check()
	}
	if err != nil {
		return h, fmt.Errorf("read what a model's outputs tell: %w", err)
	}
	return h, nil
}

// Names are those of the head's numbers, in order: classes, or targets.
func (h Head) Names() []string {
	if h.Task == Regression {
		return h.Targets
	}
	return h.Classes
}

// Check tells what is wrong with a head.
func (h Head) Check() error {
	want, named := IdentityActivation, "targets"
	switch h.Task {
	case SingleLabel:
		want, named = SoftmaxActivation, "classes"
	case MultiLabel:
		want, named = SigmoidActivation, "classes"
	case Regression:
	default:
		return fmt.Errorf("head %q has the task %q, which is not one of %s, %s, %s", h.Name, h.Task, SingleLabel, MultiLabel, Regression)
	}
	names := h.Names()
	switch {
	case h.Name == "":
		return fmt.Errorf("a head has no name")
	case h.Activation != want:
		return fmt.Errorf("head %q of task %s ends in %q, want %s", h.Name, h.Task, h.Activation, want)
	case len(names) == 0:
		return fmt.Errorf("head %q of task %s has no %s", h.Name, h.Task, named)
	case len(h.Classes)+len(h.Targets) != len(names):
		return fmt.Errorf("head %q of task %s has classes and targets", h.Name, h.Task)
	}
	sorted := slices.Sorted(slices.Values(names))
	for i, name := range sorted {
		if i > 0 && name == sorted[i-1] {
			return fmt.Errorf("head %q: %s: %q is named twice", h.Name, named, name)
		}
	}
	return nil
}
