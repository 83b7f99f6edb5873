package pipeline_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline"
)

func TestJSONSchema(t *testing.T) {
	text, err := json.Marshal(pipeline.JSONSchema(newWorld(1).kinds()))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("pipeline.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("pipeline.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		yaml  string
		valid bool
	}{
		{simple, true},
		{"stages: {rows: {uses: source, with: {bad: [3, 4], scale: 2}}}", true},
		{"stages: {rows: {uses: source, with: {bad: 3}, max_rejects: 1%, on_error: fail}}", true},
		{"vars: {n: 3}\nstages: {rows: {uses: source, with: {scale: $(n), bad: [$(n)]}}}", true},
		{"stages: {rows: {uses: source, matrix: {n: [1, 2]}, with: {scale: $(n)}}, all: {uses: sum, from: [rows, 'rows[n=1]']}}", true},
		{"stages: {rows: {uses: source, matrix: {n: {one: 1, two: {x: 3}}}}, all: {uses: sum, from: {numbers: rows.numbers}}}", true},
		{"stages: {rows: {uses: source, matrix: {p: {one: {scale: 1}}}, with: $(p)}}", true},
		{"stages: {}", false},
		{"stages: {rows: {uses: source, with: 3}}", false},
		{"name: x", false},
		{"stages: {rows: {uses: sauce}}", false},
		{"stages: {rows: {uses: source, with: {by: 3}}}", false}, // a parameter of another kind
		{"stages: {rows: {uses: source, with: {scale: two}}}", false},
		{"stages: {small: {uses: modulo, with: {by: 0}}}", false},
		{"stages: {rows: {uses: source, on_error: explode}}", false},
		{"stages: {3rows: {uses: source}}", false},
		{"stages: {rows: {uses: source}}\nstage: x", false},
	} {
		var value any
		if err := yaml.Unmarshal([]byte(c.yaml), &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != c.valid {
			t.Errorf("%s\nvalid should be %v: %v", c.yaml, c.valid, err)
		}
	}
}
