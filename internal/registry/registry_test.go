package registry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/record"
)

func add(t *testing.T, r *Registry, name, content string) (Facts, bool) {
	t.Helper()
	v, isNew, err := r.Add(facts(name), func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
	if err != nil {
		t.Fatal(err)
	}
	return v, isNew
}

func facts(name string) Facts {
	low, high := 0.7, 0.9
	return Facts{
		Name: name, Pipeline: "flowers", Stage: "head", Parameters: 10,
		Description: record.Description{
			Version: record.ModelVersion,
			Heads:   []record.Head{record.SingleLabelHead("label", []string{"a", "b|c"})},
			Origins: []record.Origin{{Backbone: "resnet18", Weights: "imagenet", Digest: "aabbccddeeff00", Licence: "BSD-3-Clause"}},
			Recipe:  &record.Recipe{Digest: "00", Fields: []record.RecipeField{{Name: "params.epochs", Value: "10"}}},
		},
		Data:   map[string]string{"data": "0123456789abcdef"},
		Splits: []Split{{"train", 3, map[string]int64{"a": 1, "b|c": 2}}, {"test", 2, map[string]int64{"a": 2}}},
		Measured: []Measurement{{Stage: "scores", Split: "test", Cluster: "object", Metrics: []Metric{
			{Name: record.Accuracy, Value: 0.8, Low: &low, High: &high, Rows: 2},
			{Name: record.Accuracy, Value: 0.5, Rows: 2, Baseline: "nearest centroid"},
			{Name: record.Recall, Class: "b|c", Value: 0.25, Rows: 4},
			{Name: record.Accuracy, Slice: "domain=x", Value: 0.6, Rows: 1},
		}}},
	}
}

func TestVersionsAndTags(t *testing.T) {
	r := At(t.TempDir())
	if names, err := r.Names(); err != nil || len(names) > 0 {
		t.Fatalf("%v, %v", names, err)
	}
	first, isNew := add(t, r, "flowers", "one")
	if !isNew || first.Number != 1 || first.Bytes != 3 || first.SHA256[:8] != "7692c3ad" {
		t.Errorf("first: new %v, %+v", isNew, first)
	}
	if again, isNew := add(t, r, "flowers", "one"); isNew || again.Number != 1 {
		t.Errorf("again: new %v, version %d", isNew, again.Number)
	}
	second, _ := add(t, r, "flowers", "two")
	if text, err := os.ReadFile(r.Path(second)); err != nil || string(text) != "two" || second.Number != 2 {
		t.Errorf("version %d: %q, %v", second.Number, text, err)
	}
	if _, before, err := r.SetTag("flowers@1", "production"); err != nil || before != 0 {
		t.Errorf("before %d, %v", before, err)
	}
	if _, before, err := r.SetTag("flowers", "production"); err != nil || before != 1 {
		t.Errorf("before %d, %v", before, err)
	}
	for reference, want := range map[string]int{"flowers": 2, "flowers@1": 1, "flowers@production": 2} {
		if v, err := r.Find(reference); err != nil || v.Number != want {
			t.Errorf("%s: version %d, %v", reference, v.Number, err)
		}
	}
	if now, left, err := r.Rollback("flowers", "production"); err != nil || now != 1 || left != 2 {
		t.Errorf("now %d, left %d, %v", now, left, err)
	}
	for _, c := range []struct {
		do   func() error
		want string
	}{
		{func() error { _, _, err := r.Rollback("flowers", "production"); return err }, "pointed to no version before version 1"},
		{func() error { _, _, err := r.Rollback("flowers", "staging"); return err }, "has no tag staging: it has production"},
		{func() error { _, err := r.Find("flowers@7"); return err }, "has no version 7: the latest is 2"},
		{func() error { _, err := r.Find("trees"); return err }, "there is no model trees"},
		{func() error { _, err := r.Find("../flowers"); return err }, "the name"},
		{func() error { _, _, err := r.SetTag("flowers", "3"); return err }, "the tag"},
		{func() error { _, _, err := r.Add(facts("a/b"), nil); return err }, "the name"},
	} {
		err := c.do()
		if wrong := new(RequestError); !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// A version whose file was changed, or whose writer failed, is not taken for one.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	r := At(dir)
	v, _ := add(t, r, "flowers", "one")
	if err := r.Verify(v); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(r.Path(v), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(v); err == nil || !strings.Contains(err.Error(), "had "+v.SHA256) {
		t.Errorf("changed: %v", err)
	}
	broken := errors.New("broken")
	if _, _, err := r.Add(facts("flowers"), func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "flowers", ".new-*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if versions, err := r.History("flowers"); err != nil || len(versions) != 1 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "flowers", "1.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Find("flowers"); err == nil || !strings.Contains(err.Error(), "read version 1 of flowers") {
		t.Errorf("error %v", err)
	}
}

// Writers at the same time get numbers of their own.
func TestManyWriters(t *testing.T) {
	r := At(t.TempDir())
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			_, _, err := r.Add(facts("flowers"), func(w io.Writer) error { _, err := fmt.Fprint(w, "model ", i); return err })
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	versions, err := r.History("flowers")
	if err != nil || len(versions) != 12 {
		t.Fatalf("%d versions, %v", len(versions), err)
	}
	for i, v := range versions {
		if v.Number != i+1 || r.Verify(v) != nil {
			t.Errorf("version %d stands at %d: %v", v.Number, i, r.Verify(v))
		}
	}
}

func TestCompare(t *testing.T) {
	a, b := facts("flowers"), facts("flowers")
	if changes := Compare(a, b); len(changes) > 0 {
		t.Errorf("%v", changes)
	}
	b.Description.Recipe = &record.Recipe{Fields: []record.RecipeField{{Name: "params.epochs", Value: "12"}}}
	b.Measured = []Measurement{{Split: "test", Metrics: []Metric{{Name: record.Accuracy, Value: 0.9, Rows: 2}}}}
	b.Splits = b.Splits[:1]
	want := []Change{{"recipe params.epochs", "10", "12"}, {"rows of test", "2", ""}, {"test accuracy", "0.8 (0.7 to 0.9)", "0.9"}}
	if got := Compare(a, b); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCard(t *testing.T) {
	f := facts("flowers")
	f.Number, f.File, f.SHA256 = 3, "3.safetensors", "abcdef"
	card, err := Card(f)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(card, "---\n", 3)
	var front map[string]any
	if err := yaml.Unmarshal([]byte(parts[1]), &front); err != nil || front["license"] != "bsd-3-clause" || front["pipeline_tag"] != "image-classification" {
		t.Errorf("front matter %v, %v", front, err)
	}
	for _, want := range []string{
		"# flowers, version 3", `| a | 1 | 2 |`, `| b\|c | 2 | 0 |`, "| rows | 3 | 2 |", "| accuracy | 0.800 | 0.700 to 0.900 | 2 |",
		"accuracy of the baseline: nearest centroid | 0.500", "25 % of the 4 rows of class b\\|c are found", "0.600 on the 1 rows where domain=x",
		"Intervals draw rows of equal object together", `| params.epochs | 10 |`,
	} {
		if !strings.Contains(card, want) {
			t.Errorf("no %q in\n%s", want, card)
		}
	}
	for _, c := range []struct{ licence, want string }{
		{"", "is not known"}, {"CC-BY-NC-4.0", "non-commercial use only (CC-BY-NC-4.0)"},
	} {
		f.Description.Origins[0].Licence = c.licence
		if card, err := Card(f); err != nil || !strings.Contains(card, c.want) {
			t.Errorf("licence %q: no %q, %v", c.licence, c.want, err)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte(`{"name":"m","version":1,"file":"1.safetensors"}`), []byte(`[{"name":"t","moves":[{"version":1}]}]`), "m@t")
	f.Fuzz(func(t *testing.T, facts, tags []byte, reference string) {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "m"), 0o700), os.WriteFile(filepath.Join(dir, "m", "1.json"), facts, 0o600), os.WriteFile(filepath.Join(dir, "m", "tags.json"), tags, 0o600)); err != nil {
			t.Fatal(err)
		}
		v, err := At(dir).Find(reference)
		if err != nil {
			return
		}
		if filepath.Dir(At(dir).Path(v)) != filepath.Join(dir, "m") {
			t.Fatalf("%q leads to %s", reference, At(dir).Path(v))
		}
		if _, err := Card(v); err != nil {
			t.Fatal(err)
		}
	})
}

// A model that is added again after it was evaluated has what was measured, under the number that it had.
func TestMeasuredAfterItWasAdded(t *testing.T) {
	r := At(t.TempDir())
	write := func(w io.Writer) error { _, err := io.WriteString(w, "model"); return err }
	early := facts("flowers")
	early.Measured = nil
	if _, isNew, err := r.Add(early, write); err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	if _, isNew, err := r.Add(facts("flowers"), write); err != nil || isNew {
		t.Fatal(isNew, err)
	}
	if _, _, err := r.Add(early, write); err != nil { // of a pipeline without evaluation
		t.Fatal(err)
	}
	v, err := r.Find("flowers@1")
	if err != nil || len(v.Measured) != 1 || v.Measured[0].Metrics[0].Value != 0.8 {
		t.Errorf("version %+v, %v", v.Measured, err)
	}
}
