package pipeline_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
)

// tally counts rows of a table whose columns it must know, even if there are none.
type tally struct{}

func (tally) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) { return nil, nil }

func (tally) Run(ctx context.Context, task *pipeline.Task) error {
	in := task.Input("rows")
	schema, err := in.Schema(ctx)
	if err != nil {
		return err
	}
	if schema == nil || !schema.HasField("reason") {
		return fmt.Errorf("the columns are %v", schema)
	}
	out, err := task.Output("sum", numbers)
	if err != nil {
		return err
	}
	if err := out.Write(numberTable(in.Rows())); err != nil {
		return err
	}
	return out.Close()
}

// A stage that takes the rows that a source rejected, when it listed them or later, is cached as any other.
func TestRejectsAreAnInput(t *testing.T) {
	b := newBench(t, newWorld(200))
	kinds := append(b.w.kinds(), pipeline.Define(pipeline.Kind{Name: "tally", Version: 1,
		Inputs: []pipeline.Port{{Name: "rows", Kind: pipeline.Metrics}}, Outputs: []pipeline.Port{{Name: "sum", Kind: pipeline.Metrics}}},
		struct{}{}, func(struct{}) (pipeline.Stage, error) { return tally{}, nil }))
	for _, c := range []struct {
		bad      string
		unlisted []pipeline.Reject
		want     int64
	}{
		{"[]", nil, 0},
		{"[]", []pipeline.Reject{{ID: "a", Reason: "gone"}}, 1},
		{"[3, 150]", []pipeline.Reject{{ID: "a", Reason: "gone"}}, 3},
		{"[3, 150]", nil, 2},
	} {
		b.w.unlisted = c.unlisted
		g, err := pipeline.Load("simple.yaml", []byte("stages:\n  rows: {uses: source, with: {bad: "+c.bad+"}}\n  count: {uses: tally, from: rows.rejects}\n"), kinds)
		if err != nil {
			t.Fatal(err)
		}
		plan := func() string {
			p, err := b.runner().Plan(context.Background(), g)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(p.Nodes[0].State, " ", p.Nodes[1].State, " ", strings.Join(p.Nodes[1].Because, "; "))
		}
		if before := plan(); strings.HasPrefix(before, "stale stale") && !strings.HasSuffix(before, "stage rows is to be computed") {
			t.Errorf("before: %s", before)
		}
		result, err := b.runner().Run(context.Background(), g)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { result.Journal.Close(); result.Close() })
		want(t, result.Status, "ok")
		want(t, total(t, result, "count"), c.want)
		want(t, plan(), "cached cached ")
	}
}
