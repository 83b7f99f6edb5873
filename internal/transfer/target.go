package transfer

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Target is what is learned of a row. YAML spells it as the name of a column; as a mapping of tasks, each a column or
// {regression: column}; or as {tasks: …} with how they are balanced. Here it is the name of the column, or the [Tasks] as JSON:
// equal targets are equal recipes.
type Target string

// Tasks are several things that one network learns, with a head for each.
type Tasks struct {
	Tasks   map[string]Task    `yaml:"tasks" json:"tasks" doc:"by name: the column of the task, or {regression: column}"`
	Balance string             `yaml:"balance" json:"balance,omitempty" enum:"fixed,uncertainty,gradient_norm" doc:"how the losses of the tasks are weighted: fixed (the default), uncertainty (Kendall et al. 2018), gradient_norm (GradNorm, Chen et al. 2018)"`
	Weights map[string]float64 `yaml:"weights" json:"weights,omitempty" above:"0" doc:"of fixed: weights of the losses, 1 if not given"`
	Alpha   *float64           `yaml:"alpha" json:"alpha,omitempty" min:"0" max:"10" doc:"of gradient_norm: how strongly tasks that learn more slowly are favoured; 1.5 if not given"`
	Twins   *bool              `yaml:"twins" json:"twins,omitempty" doc:"also train each task by itself, with the same settings, as the output twins; true if not given"`
}

// Task is one of several tasks.
type Task struct {
	Column  string `json:"column"`
	Numbers bool   `json:"numbers,omitempty"` // values are learned as a number
}

// Ways to balance tasks.
const (
	balanceFixed        = "fixed"
	balanceUncertainty  = "uncertainty"
	balanceGradientNorm = "gradient_norm"
)

// TargetColumn is the target that is one column.
func TargetColumn(name string) Target { return Target(name) }

// Several are the tasks of the target; ok is false if it is one column.
func (t Target) Several() (tasks Tasks, ok bool) {
	if !strings.HasPrefix(string(t), "{") {
		return Tasks{}, false
	}
	return tasks, json.Unmarshal([]byte(t), &tasks) == nil
}

// Names lists the tasks.
func (t Tasks) Names() []string { return slices.Sorted(maps.Keys(t.Tasks)) }

// twins tells whether each task is trained by itself too.
func (t Tasks) twins() bool { return t.Twins == nil || *t.Twins }

// weight is that of a task whose weight is fixed, or that it starts with.
func (t Tasks) weight(name string) float64 {
	if w, ok := t.Weights[name]; ok {
		return w
	}
	return 1
}

// options are what the rows are read for.
func (t Tasks) options() (out []rows.Task) {
	for _, name := range t.Names() {
		out = append(out, rows.Task{Name: name, Column: t.Tasks[name].Column, Numbers: t.Tasks[name].Numbers})
	}
	return out
}

// taskName is what a task can be named: it is a part of the names of layers.
var taskName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// DecodeParam implements params.Decoder.
func (t *Target) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		*t = Target(node.Value)
		if strings.HasPrefix(node.Value, "{") {
			d.Errorf(node, "", "%q is no name of a column", node.Value)
		}
		return
	}
	if node.Kind != yaml.MappingNode {
		d.Errorf(node, "such as {kind: label, age: {regression: age}}", "expected a column or a mapping of tasks")
		return
	}
	if key, value := misplaced(node); key != "" {
		d.Errorf(value, "target: {tasks: {…}, "+key+": "+value.Value+"}", "%s stands beside tasks, which names the tasks", key)
		return
	}
	several, before := Tasks{}, d.Errors()
	if given(node, "tasks") != nil {
		d.Into(node, &several)
	} else {
		d.Into(node, &several.Tasks)
	}
	if d.Errors() > before {
		return
	}
	tasks := given(node, "tasks")
	if tasks == nil {
		tasks = node
	}
	if len(several.Tasks) < 2 {
		d.Errorf(tasks, "for one task, say its column: target: COLUMN", "several tasks are at least two, found %d", len(several.Tasks))
		return
	}
	for _, name := range several.Names() {
		if !taskName.MatchString(name) {
			d.Errorf(tasks, "", "task %q: a name is letters, digits, _ and -", name)
		}
	}
	for name := range several.Weights {
		if _, ok := several.Tasks[name]; !ok {
			d.Errorf(given(node, "weights"), params.DidYouMean(name, several.Names()), "there is no task %q", name)
		}
	}
	if several.Balance == balanceFixed {
		several.Balance = ""
	}
	if len(several.Weights) > 0 && several.Balance != "" {
		d.Errorf(given(node, "weights"), "take balance: fixed, or leave the weights out", "with balance: %s the weights are learned", several.Balance)
	}
	if several.Alpha != nil && several.Balance != balanceGradientNorm {
		d.Errorf(given(node, "alpha"), "leave it out", "alpha is for balance: gradient_norm")
	}
	if several.Twins != nil && *several.Twins {
		several.Twins = nil
	}
	if d.Errors() > before {
		return
	}
	*t = several.target()
}

// misplaced finds a setting that stands among the tasks; "" if there is none.
func misplaced(node *yaml.Node) (key string, value *yaml.Node) {
	if given(node, "tasks") != nil {
		return "", nil
	}
	if v := given(node, "twins"); v != nil && v.Tag == "!!bool" {
		return "twins", v
	}
	if v := given(node, "alpha"); v != nil && (v.Tag == "!!float" || v.Tag == "!!int") {
		return "alpha", v
	}
	if v := given(node, "balance"); v != nil && slices.Contains([]string{balanceFixed, balanceUncertainty, balanceGradientNorm}, v.Value) {
		return "balance", v
	}
	return "", nil
}

// target are the tasks as a target.
func (t Tasks) target() Target {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // names and numbers always marshal
	}
	return Target(text)
}

// alone is one of the tasks by itself.
func (t Tasks) alone(name string) Target {
	no := false
	return Tasks{Tasks: map[string]Task{name: t.Tasks[name]}, Twins: &no}.target()
}

// ParamSchema implements params.Schemer.
func (Target) ParamSchema(map[string]any) map[string]any {
	task := map[string]any{"anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "object", "required": []string{"regression"}, "additionalProperties": false,
			"properties": map[string]any{"regression": map[string]any{"type": "string"}}},
	}}
	tasks := map[string]any{"type": "object", "minProperties": 2, "additionalProperties": task}
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "object", "required": []string{"tasks"}, "additionalProperties": false, "properties": map[string]any{
			"tasks":   tasks,
			"balance": map[string]any{"enum": []string{balanceFixed, balanceUncertainty, balanceGradientNorm}},
			"weights": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "number", "exclusiveMinimum": 0}},
			"alpha":   map[string]any{"type": "number", "minimum": 0, "maximum": 10},
			"twins":   map[string]any{"type": "boolean"},
		}},
		tasks,
	}}
}

// DecodeParam implements params.Decoder: a column, or {regression: column}.
func (t *Task) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		*t = Task{Column: node.Value}
	} else {
		var number struct {
			Regression string `yaml:"regression" required:"true" doc:"the column, whose values are learned as a number"`
		}
		d.Into(node, &number)
		*t = Task{Column: number.Regression, Numbers: true}
	}
	if t.Column == "" {
		d.Errorf(node, "the column of the task, or {regression: COLUMN}", "a task needs a column")
	}
}

// One refuses several tasks where but one can be learned.
func (t Target) One(what string) error {
	if _, several := t.Several(); several {
		return pipeline.ParamErrorHint("target", "name one column", "%s learns one task", what)
	}
	return nil
}

// alpha is how strongly gradient norms favour tasks that learn slowly.
func (t Tasks) alpha() float64 {
	if t.Alpha == nil {
		return 1.5
	}
	return *t.Alpha
}
