package params_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

type stopping struct {
	Patience int     `yaml:"patience" min:"1" doc:"epochs"`
	MinDelta float64 `yaml:"min_delta" above:"0" max:"1" doc:"smallest gain"`
}

// choice is spelled as a word or as a mapping.
type choice struct {
	Kind  string  `yaml:"kind" enum:"none,some" doc:"which"`
	Share float64 `yaml:"share" doc:"how much"`
}

func (c *choice) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		c.Kind = node.Value
		return
	}
	type plain choice
	d.Into(node, (*plain)(c))
}

func (choice) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, inner}}
}

type common struct {
	Verbose bool `yaml:"verbose" recipe:"-" doc:"say more"`
}

type sample struct {
	common   `yaml:",inline"`
	Epochs   int                `yaml:"epochs" min:"1" max:"1000" doc:"how often"`
	Rate     float64            `yaml:"rate" doc:"step"`
	Head     string             `yaml:"head" enum:"linear,tutorial" doc:"which"`
	Hidden   []int              `yaml:"hidden" doc:"widths"`
	Metrics  []string           `yaml:"metrics" enum:"loss,accuracy" doc:"which"`
	Weights  map[string]float64 `yaml:"weights" doc:"by class"`
	Stopping *stopping          `yaml:"early_stopping" doc:"when to stop"`
	Pause    time.Duration      `yaml:"pause" doc:"how long"`
	Choice   choice             `yaml:"choice" doc:"word or mapping"`
	Needed   string             `yaml:"needed" required:"true" doc:"a must"`
}

func defaults() sample {
	return sample{Epochs: 10, Rate: 1e-3, Head: "tutorial", Stopping: &stopping{Patience: 5, MinDelta: 0.01}, Choice: choice{Kind: "none", Share: 1}}
}

func decode(t *testing.T, text string) (sample, []string) {
	t.Helper()
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		t.Fatal(err)
	}
	s := defaults()
	var out []string
	for _, e := range params.Decode(&node, &s) {
		out = append(out, fmt.Sprintf("%d:%d %s", e.Line, e.Column, e))
	}
	return s, out
}

func TestDecode(t *testing.T) {
	s, errs := decode(t, `
verbose: true
epochs: 1_00
rate: 3
head: linear
hidden: [1, 2]
weights: {a.b: 1, c: 0.5}
early_stopping: {patience: 2}
pause: 90s
choice: some
needed: x
`)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if s.Epochs != 100 || s.Rate != 3 || !s.Verbose || s.Stopping.Patience != 2 || s.Stopping.MinDelta != 0.01 ||
		s.Pause != 90*time.Second || s.Choice != (choice{"some", 1}) || s.Weights["a.b"] != 1 || !slices.Equal(s.Hidden, []int{1, 2}) {
		t.Errorf("%+v", s)
	}
	if s, errs := decode(t, "{hidden: 3, early_stopping: null, needed: y, choice: {share: 2}}"); len(errs) > 0 || s.Stopping != nil || s.Hidden[0] != 3 || s.Choice.Share != 2 {
		t.Errorf("%+v %v", s, errs)
	}
}

func TestDefaultsAreNotTouched(t *testing.T) {
	d := defaults()
	s := d
	var node yaml.Node
	if err := yaml.Unmarshal([]byte("{early_stopping: {patience: 9}, needed: x}"), &node); err != nil {
		t.Fatal(err)
	}
	if errs := params.Decode(&node, &s); errs != nil || s.Stopping.Patience != 9 {
		t.Fatalf("%v %+v", errs, s.Stopping)
	}
	if d.Stopping.Patience != 5 {
		t.Error("decoding changed the defaults it started from")
	}
}

func TestErrorsHavePlaces(t *testing.T) {
	_, errs := decode(t, `epochs: 0
rate: fast
haed: linear
hidden: [1, two]
weights: [1]
early_stopping: {patience: 1.5, min_delta: 0}
pause: 90
head: tutrial
epochs: 3
choice: {kind: any}
`)
	want := []string{
		`1:1 key "needed" is required (a must)`,
		`1:9 epochs: 0 is below the smallest allowed value, 1`,
		`2:7 rate: expected a number, found "fast"`,
		`3:1 unknown key "haed" (did you mean "head"?)`,
		`4:13 hidden[1]: expected a whole number, found "two"`,
		`5:10 weights: expected a mapping, found a list`,
		`6:28 early_stopping.patience: expected a whole number, found "1.5"`,
		`6:44 early_stopping.min_delta: 0 must be above 0`,
		`7:8 pause: expected a duration, found "90" (such as "90s" or "2h")`,
		`8:7 head: "tutrial" is not one of linear, tutorial (did you mean "tutorial"?)`,
		`9:1 key "epochs" is given twice`,
		`10:16 choice.kind: "any" is not one of none, some (known: none, some)`,
	}
	if !slices.Equal(errs, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(errs, "\n"), strings.Join(want, "\n"))
	}
}

func TestKeysOfMapsOnce(t *testing.T) {
	if _, errs := decode(t, "{needed: x, weights: {b: 1, a: 2, b: 3}}"); !slices.Equal(errs, []string{`1:35 weights: key "b" is given twice`}) {
		t.Error(errs)
	}
}

func TestCanonical(t *testing.T) {
	s, errs := decode(t, "{needed: x, weights: {b: 1, a: 2}, verbose: true}")
	if errs != nil {
		t.Fatal(errs)
	}
	var got []string
	for _, v := range params.Canonical(s) {
		got = append(got, v.Path+"="+v.Text)
	}
	want := []string{
		`choice.kind="none"`, `choice.share=1`, `early_stopping.min_delta=0.01`, `early_stopping.patience=5`, `epochs=10`,
		`head="tutorial"`, `hidden=[]`, `metrics=[]`, `needed="x"`, `pause=0s`, `rate=0.001`, `weights."a"=2`, `weights."b"=1`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if all := params.Flatten(s); len(all) != len(want)+1 {
		t.Errorf("Flatten leaves something out: %v", all)
	}
}

func TestJSONSchema(t *testing.T) {
	raw, err := json.Marshal(params.JSONSchema(defaults()))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"epochs":{"default":10,"description":"how often","maximum":1000,"minimum":1,"type":"integer"}`,
		`"required":["needed"]`, `"additionalProperties":false`,
		`"enum":["linear","tutorial"]`,
		`"metrics":{"anyOf":[{"enum":["loss","accuracy"],"type":"string"},{"items":{"enum":["loss","accuracy"],"type":"string"},"type":"array"}],"description":"which"}`,
		`"min_delta":{"default":0.01,"description":"smallest gain","exclusiveMinimum":0,"maximum":1,"type":"number"}`,
		`"choice":{"anyOf":[{"type":"string"}`,
	} {
		if !strings.Contains(string(raw), part) {
			t.Errorf("no %s in\n%s", part, raw)
		}
	}
}

func TestLocate(t *testing.T) {
	var node yaml.Node
	text := "a:\n  b: [1, {c: 2}]\n"
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		t.Fatal(err)
	}
	for path, line := range map[string]string{"a.b[1].c": "2:14", "a.b[0]": "2:7", "a.x": "2:3", "": "1:1"} {
		n := params.Locate(node.Content[0], path)
		if got := fmt.Sprintf("%d:%d", n.Line, n.Column); got != line {
			t.Errorf("%q is at %s, want %s", path, got, line)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"epochs", "early_stopping", "head"}
	for word, want := range map[string]string{"epoch": "epochs", "early_stoping": "early_stopping", "haed": "head", "x": "", "zzz": ""} {
		if got := params.Nearest(word, known); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

// Names that other programs have for a parameter lead to it, if it is there.
func TestHintForKey(t *testing.T) {
	known := []string{"learning_rate", "batch_size", "epochs", "optimiser", "strategy", "head", "early_stopping", "split"}
	for key, want := range map[string]string{
		"lr": `did you mean "learning_rate"?`, "bs": `did you mean "batch_size"?`, "batch": `did you mean "batch_size"?`,
		"num_epochs": `did you mean "epochs"?`, "Optimizer": `did you mean "optimiser"?`, "freeze": `did you mean "strategy"?`,
		"dropout": "did you mean head: {dropout: …}?", "patience": "did you mean early_stopping: {patience: …}?",
		"val-split": "did you mean split: {val: …}?", "epoks": `did you mean "epochs"?`,
		"image_size": `known: learning_rate, batch_size, epochs, optimiser, strategy, head, early_stopping, split`,
	} {
		if got := params.HintForKey(key, known); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}
