package preprocess

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Target says what is to be learned of a row, where that is not the source's label. YAML spells it as the
// name of a column with a class, or as a mapping.
type Target struct {
	Class     string   `yaml:"class" recipe:"-" doc:"a column with one class per row; target: COLUMN means the same"`
	Classes   Names    `yaml:"classes" recipe:"-" doc:"several classes per row: a column with their names, or a list of columns, one per class, with 0 or 1 (or false or true, no or yes)"`
	Separator string   `yaml:"separator" recipe:"-" doc:"of a column with names: their separator, such as \";\"; if not given, each text is one name, or a JSON list of names"`
	Empty     string   `yaml:"empty" recipe:"-" enum:"unknown,none" doc:"what an empty field means: that the classes are unknown, and the row is not trained on (the default), or that none applies"`
	Numbers   []string `yaml:"numbers" recipe:"-" doc:"columns with a number each, for regression; an empty field, NaN and NA mean unknown"`
}

// DecodeParam implements params.Decoder.
func (t *Target) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		*t = Target{Class: node.Value}
		return
	}
	type plain Target
	d.Into(node, (*plain)(t))
}

// ParamSchema implements params.Schemer.
func (Target) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, inner}}
}

// Names are one column, or several.
type Names struct {
	One     string   `yaml:"one" doc:"a column with names; classes: COLUMN means the same"`
	Several []string `yaml:"several" doc:"columns of 0 and 1; classes: [COLUMN, …] means the same"`
}

// DecodeParam implements params.Decoder.
func (n *Names) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		n.One = node.Value
		return
	}
	d.Into(node, &n.Several)
}

// ParamSchema implements params.Schemer.
func (Names) ParamSchema(map[string]any) map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{"anyOf": []any{text, map[string]any{"type": "array", "items": text, "minItems": 1}}}
}

// check refuses what contradicts itself.
func (t *Target) check() error {
	if t == nil {
		return nil
	}
	given := 0
	for _, set := range []bool{t.Class != "", t.Classes.One != "", len(t.Classes.Several) > 0, len(t.Numbers) > 0} {
		if set {
			given++
		}
	}
	columns := slices.Sorted(slices.Values(append(slices.Clone(t.Classes.Several), t.Numbers...)))
	switch {
	case given != 1:
		return pipeline.ParamErrorHint("target", "such as {classes: tags, separator: \";\"}, or {numbers: [age]}", "is to name the columns of one class, of classes or of numbers")
	case t.Separator != "" && t.Classes.One == "":
		return pipeline.ParamErrorHint("target.separator", "leave it out", "is for a column with the names of several classes")
	case t.Empty != "" && t.Classes.One == "" && len(t.Classes.Several) == 0:
		return pipeline.ParamErrorHint("target.empty", "leave it out", "is for several classes")
	case slices.Contains(columns, "") || len(slices.Compact(slices.Clone(columns))) < len(columns):
		return pipeline.ParamErrorHint("target", "each once", "names a column twice, or one without a name")
	}
	return nil
}

// task is what is to be learned of a row.
func (t *Target) task() record.Task {
	switch {
	case t != nil && (t.Classes.One != "" || len(t.Classes.Several) > 0):
		return record.MultiLabel
	case t != nil && len(t.Numbers) > 0:
		return record.Regression
	}
	return record.SingleLabel
}

// columns are the names of the columns that it is read from.
func (t *Target) columns() []string {
	if t == nil {
		return nil
	}
	return t.of().Columns()
}

// place is where a column's name stands among the parameters.
func (t *Target) place(column string) string {
	switch {
	case t.Classes.One != "":
		return "target.classes"
	case len(t.Classes.Several) > 0:
		return fmt.Sprintf("target.classes[%d]", slices.Index(t.Classes.Several, column))
	case len(t.Numbers) > 0:
		return fmt.Sprintf("target.numbers[%d]", slices.Index(t.Numbers, column))
	}
	return "target"
}

// of is the target as package dataset has it.
func (t *Target) of() dataset.Target {
	return dataset.Target{
		Class: t.Class, Classes: t.Classes.One, Separator: t.Separator, Flags: t.Classes.Several, Numbers: t.Numbers,
		EmptyIsNone: t.Empty == "none",
	}
}
