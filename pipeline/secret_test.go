package pipeline_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
)

type guardedParams struct {
	Token string `yaml:"token" secret:"true" doc:"who asks"`
	By    int    `yaml:"by" doc:"a number"`
}

// guarded is a stage that cannot keep a secret.
type guarded struct{ p guardedParams }

func (guarded) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

func (g guarded) Notes() []string { return []string{"the token is " + g.p.Token} }

func (g guarded) Run(_ context.Context, task *pipeline.Task) error {
	task.Env.Log("the token is %s", g.p.Token)
	if g.p.By == 0 {
		return fmt.Errorf("https://user:%s@example.org/a?%s does not take %s", g.p.Token, g.p.Token, g.p.Token)
	}
	return put(task, "out", int64(g.p.By))
}

func (b *bench) loadGuarded(text string) (*pipeline.Graph, error) {
	kinds := append(b.w.kinds(), pipeline.Define(pipeline.Kind{Name: "guarded", Version: 1,
		Outputs: []pipeline.Port{{Name: "out", Kind: pipeline.Metrics}}}, guardedParams{},
		func(p guardedParams) (pipeline.Stage, error) { return guarded{p}, nil }))
	return pipeline.Load("guarded.yaml", []byte(text), kinds)
}

// What is secret is in nothing that a run writes or tells, whether it ends
// well or not, and decides no key.
func TestSecretsStayWithTheRun(t *testing.T) {
	t.Setenv("TLPIPE_TEST_TOKEN", "SECRET-1")
	b := newBench(t, newWorld(1))
	var told strings.Builder
	b.cfg = func(r *pipeline.Runner) {
		r.Observe = func(e pipeline.Event) { fmt.Fprintf(&told, "%+v\n", e) }
	}
	run := func(text string) *pipeline.Result {
		t.Helper()
		g, err := b.loadGuarded(text)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := b.runner().Plan(context.Background(), g)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&told, "%+v %+v", plan.Nodes[0].Because, plan.Nodes[0].Notes)
		result, err := b.runner().Run(context.Background(), g)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { result.Close() })
		fmt.Fprintf(&told, "%v %v %+v\n", result.Err, result.Nodes[0].Err, result.Nodes[0].Ended)
		fmt.Fprint(&told, result.Nodes[0].Node.ShownParams(), result.Nodes[0].Node.Notes(), result.Nodes[0].Node.Recipe)
		if err := result.Journal.Close(); err != nil {
			t.Fatal(err)
		}
		return result
	}
	const literal = "stages:\n  s: {uses: guarded, with: {token: SECRET-2, by: %d}}\n"
	const environment = "vars: {t: $(env:TLPIPE_TEST_TOKEN)}\nstages:\n  s: {uses: guarded, with: {token: \"x$(t)\", by: %d}}\n"
	for _, text := range []string{literal, environment} {
		want(t, run(fmt.Sprintf(text, 0)).Status, "failed")
	}
	want(t, run(fmt.Sprintf(literal, 1)).Nodes[0].Ended.Cache, "miss")
	want(t, run(fmt.Sprintf(environment, 1)).Nodes[0].Ended.Cache, "hit")
	if strings.Contains(told.String(), "SECRET") || !strings.Contains(told.String(), "https://example.org/a?… does not take (secret)") {
		t.Error(told.String())
	}
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), "SECRET") {
			t.Errorf("%s: %s", path, raw)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestValuesFromTheEnvironment(t *testing.T) {
	t.Setenv("TLPIPE_TEST_TOKEN", "SECRET")
	t.Setenv("TLPIPE_TEST_EMPTY", "")
	b := newBench(t, newWorld(1))
	for name, c := range map[string]struct{ text, want string }{
		"not set":       {"stages:\n  s: {uses: guarded, with: {token: $(env:TLPIPE_TEST_NONE)}}\n", `guarded.yaml:2:36: the environment has no variable "TLPIPE_TEST_NONE", or it is empty`},
		"empty":         {"stages:\n  s: {uses: guarded, with: {token: $(env:TLPIPE_TEST_EMPTY)}}\n", `no variable "TLPIPE_TEST_EMPTY", or it is empty`},
		"not secret":    {"stages:\n  s: {uses: guarded, with: {by: $(env:TLPIPE_TEST_TOKEN)}}\n", "guarded.yaml:2:33: by: a value from the environment is taken for a secret"},
		"in a variable": {"vars: {a: {b: [$(env:TLPIPE_TEST_TOKEN)]}}\nstages:\n  s: {uses: guarded, with: $(a)}\n", "b[0]: a value from the environment is taken for a secret"},
		"within a text": {"vars: {a: $(env:TLPIPE_TEST_TOKEN)}\nstages:\n  s: {uses: guarded, with: {by: \"1$(a)\"}}\n", "by: a value from the environment is taken for a secret"},
		"a seed":        {"stages:\n  s: {uses: guarded, seed: $(env:TLPIPE_TEST_TOKEN)}\n", "a seed is stored and shown"},
		"an axis":       {"stages:\n  s: {uses: guarded, matrix: {a: [1, $(env:TLPIPE_TEST_TOKEN)]}, with: {token: $(a)}}\n", "cannot label an axis value"},
		"wrong type":    {"stages:\n  s: {uses: guarded, with: {token: [SECRET]}}\n", "token"},
	} {
		_, err := b.loadGuarded(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.loadGuarded("stages:\n  s: {uses: guarded, matrix: {a: {one: $(env:TLPIPE_TEST_TOKEN), two: none}}, with: {token: $(a)}}\n"); err != nil {
		t.Error(err)
	}
}

// A line of YAML is shown without its secrets, and the mark stands where it
// belongs.
func TestProblemsHideSecretsOfTheLine(t *testing.T) {
	b := newBench(t, newWorld(1))
	_, err := b.loadGuarded("stages:\n  s: {uses: guarded, from: \"http://u:SECRET@h/a?SECRET\", with: {by: x}}\n")
	lines := strings.Split(fmt.Sprint(err), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "guarded.yaml") && strings.Contains(line, "by:") {
			if mark := []rune(lines[i+2]); string([]rune(lines[i+1])[len(mark)-1:]) != "x}}" {
				t.Errorf("%s\n%s", lines[i+1], lines[i+2])
			}
		}
	}
	if strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), "by: x}}") {
		t.Error(err)
	}
}
