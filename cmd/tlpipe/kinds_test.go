package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/starter"
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

// The pipelines that ship, and the sets of the comparisons, are valid for tlpipe and for editors.
func TestShippedPipelines(t *testing.T) {
	var files []string
	for _, folder := range []string{"../../pipelines", "../../docs/compare/sets"} {
		in, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		if err != nil || len(in) == 0 {
			t.Fatalf("%s: %d pipelines, %v", folder, len(in), err)
		}
		files = append(files, in...)
	}
	schema := compiledSchema(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// An encoder that users have at home decides what its pipeline's stages are: here it is a tiny one.
		if real := []byte("../models/all-MiniLM-L6-v2"); bytes.Contains(text, real) {
			text = bytes.ReplaceAll(text, real, []byte("../internal/encoder/testdata/bert"))
			text = bytes.ReplaceAll(text, []byte("length: 64"), []byte("length: 24"))
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

// What `init --data` writes is valid, whatever the data is.
func TestFittingPipelines(t *testing.T) {
	schema := compiledSchema(t)
	for _, rows := range []int{20, 1000, 10_000, 1_000_000} {
		for _, splits := range []map[string]int{nil, {"train": rows}, {"train": rows, "val": 9}, {"train": rows, "test": 9}, {"train": rows, "val": 9, "test": 9}} {
			for _, domains := range [][]string{nil, {"day", "n: \"ight\""}} {
				text, err := starter.Pipeline("a: \"b\"", starter.Facts{
					Folder: "/some # where", Rows: rows, Splits: splits, Domains: domains, Classes: map[string]int{"a\nb: c": rows, "d": 2}, ShortSide: rows / 1000, Aspect: 1 + float64(rows)/1e4, Broken: 1, Sampled: 3,
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := pipeline.Load("pipeline.yaml", []byte(text), kinds()); err != nil {
					t.Errorf("%v\n%s", err, text)
				}
				var value any
				if err := yaml.Unmarshal([]byte(text), &value); err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(value); err != nil {
					t.Errorf("the JSON Schema refuses %s: %v", text, err)
				}
			}
		}
	}
}

// Every pipeline that ships runs, and computes nothing when it runs again.
func TestShippedPipelinesRun(t *testing.T) {
	if os.Getenv("TLPIPE_HEAVY") == "" {
		t.Skip("takes minutes: set TLPIPE_HEAVY=1")
	}
	files, err := filepath.Glob("../../pipelines/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Those whose data is not part of tlpipe, and how they are made shorter.
	needs := map[string]string{"fashion_mnist.yaml": "/usr/share/datasets/fashion-mnist", "distill_cnn.yaml": "/usr/share/datasets/fashion-mnist", "stamps.yaml": "/usr/share/tuxpaint/stamps", "office_caltech.yaml": "../../office_caltech", "mail_bert.yaml": "../../models/all-MiniLM-L6-v2"}
	shorter := map[string][]string{"fashion_mnist.yaml": {"--set", "vars.rows=600", "--set", "vars.size=64"}, "distill_cnn.yaml": {"--set", "vars.rows=600", "--set", "vars.epochs=1"}, "stamps.yaml": {"--set", "varied.copies=1"}, "adapt.yaml": {"--set", "vars.size=64", "--set", "adapted.epochs=2"}}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			if data := needs[name]; data != "" {
				if _, err := os.Stat(data); err != nil {
					t.Skipf("its data is not here: %v", err)
				}
			}
			cache := t.TempDir()
			for _, computed := range []bool{true, false} {
				for _, line := range runJSON(t, file, append([]string{"--cache", cache}, shorter[name]...)...) {
					stage, _ := line["stage"].(string)
					shared := name == "few_shot.yaml" && !strings.HasPrefix(stage, "few_") || name == "text.yaml" && strings.HasPrefix(stage, "mails") ||
						name == "multi_domain.yaml" && slices.Contains([]string{"site_b", "target", "few", "few_features"}, stage)
					if computed && shared {
						continue // two stages share their rows: each is computed once, by whichever comes first
					}
					if line["event"] == "stage" && (line["cache"] == "miss") != computed {
						t.Errorf("stage %v: %v", line["stage"], line["cache"])
					}
				}
			}
		})
	}
}

// runJSON runs a pipeline and returns what it printed.
func runJSON(t *testing.T, file string, args ...string) (lines []map[string]any) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	quiet, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	p := &program{kinds: kinds(), out: console.NewOutput(out), err: console.NewOutput(quiet)}
	if code := p.run(append([]string{"run", file, "--json"}, args...)); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if n := len(lines); n == 0 || lines[n-1]["event"] != "run" || lines[n-1]["status"] != "ok" {
		t.Errorf("the run ended with %v", lines)
	}
	return lines
}
