package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(pipeline.JSONSchema(kinds()))
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
	return schema
}

// What a kind says of itself is whole, and its example is right.
func TestKindsAreDocumented(t *testing.T) {
	schema := compiledSchema(t)
	for _, k := range kinds() {
		if k.Summary == "" || k.Doc == "" || k.Version < 1 {
			t.Errorf("%s: summary %q, doc %q, version %d", k.Name, k.Summary, k.Doc, k.Version)
		}
		for _, port := range append(append([]pipeline.Port{}, k.Inputs...), k.Outputs...) {
			if port.Doc == "" {
				t.Errorf("%s: port %s has no doc", k.Name, port.Name)
			}
		}
		for _, f := range params.Fields(reflect.TypeOf(k.Params)) {
			if f.Doc == "" {
				t.Errorf("%s: parameter %s has no doc", k.Name, f.Name)
			}
		}
		var stages map[string]struct {
			Uses string
			With yaml.Node
		}
		if err := yaml.Unmarshal([]byte(k.Example), &stages); err != nil || len(stages) == 0 {
			t.Errorf("%s: example: %v", k.Name, err)
		}
		for name, st := range stages {
			if st.Uses != k.Name {
				t.Errorf("%s: the example's stage %s uses %s", k.Name, name, st.Uses)
			}
			target := reflect.New(reflect.TypeOf(k.Params))
			target.Elem().Set(reflect.ValueOf(k.Params))
			if errs := params.Decode(&st.With, target.Interface()); len(errs) > 0 {
				t.Errorf("%s: example: %v", k.Name, errs)
			}
		}
		var example any
		if err := yaml.Unmarshal([]byte(k.Example), &example); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(map[string]any{"stages": example}); err != nil {
			t.Errorf("%s: the JSON Schema refuses the example: %v", k.Name, err)
		}
	}
}

// The pipelines that ship are valid, for tlpipe and for editors.
func TestShippedPipelines(t *testing.T) {
	files, err := filepath.Glob("../../pipelines/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schema := compiledSchema(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pipeline.Load(file, text, kinds()); err != nil {
			t.Errorf("%v", err)
		}
		var value any
		if err := yaml.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: the JSON Schema refuses it: %v", file, err)
		}
	}
}
