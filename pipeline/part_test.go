package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// phasesParams are those of a stage that works in parts, as a training does:
// it squares the rows of each chunk, adds them up, and then goes through
// phases, each of which multiplies and adds.
type phasesParams struct {
	Phases []phase `yaml:"phases" doc:"what to do, in order"`
}

type phase struct {
	Times int64 `yaml:"times" doc:"factor"`
	Plus  int64 `yaml:"plus" doc:"summand"`
}

type phases struct {
	w *world
	p phasesParams
}

func (phases) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

// PlanParts implements pipeline.PartsPlanner.
func (s phases) PlanParts(inputs map[string][]pipeline.Input, _ uint64, ask func(pipeline.Part) (map[string]pipeline.Input, bool)) (int, error) {
	state, known := ask(pipeline.Part{Name: "start", Recipe: struct{}{}, Inputs: map[string]pipeline.Input{"numbers": inputs["numbers"][0]}})
	for _, p := range s.p.Phases {
		if known {
			state, known = ask(pipeline.Part{Name: "phase", Recipe: p, Inputs: map[string]pipeline.Input{"state": state["state"]}})
		}
	}
	return 1 + len(s.p.Phases), nil
}

func (s phases) Run(ctx context.Context, task *pipeline.Task) error {
	s.w.sums.Add(1)
	state, err := task.Part(ctx, pipeline.Part{Name: "start", Recipe: struct{}{}, Inputs: map[string]pipeline.Input{"numbers": task.Input("numbers")}}, s.start)
	if err != nil {
		return err
	}
	for _, p := range s.p.Phases {
		part := pipeline.Part{Name: "phase", Recipe: p, Inputs: map[string]pipeline.Input{"state": state["state"]}}
		if state, err = task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error { return s.phase(ctx, task, p) }); err != nil {
			return err
		}
	}
	total, err := only(ctx, state["state"])
	if err != nil {
		return err
	}
	return put(task, "sum", total)
}

// start adds up what the chunks of the input become.
func (s phases) start(ctx context.Context, task *pipeline.Task) error {
	var total int64
	for _, chunk := range task.Input("numbers").Chunks() {
		part := pipeline.Part{Name: "squares", Recipe: struct{}{}, Inputs: map[string]pipeline.Input{"chunk": chunk}}
		result, err := task.Part(ctx, part, s.squares)
		if err != nil {
			return err
		}
		table, err := result["squares"].Open(ctx)
		if err != nil {
			return err
		}
		for _, rec := range table.Records() {
			for _, n := range values(rec) {
				total += n
			}
		}
		if err := table.Close(); err != nil {
			return err
		}
	}
	return put(task, "state", total)
}

func (s phases) squares(ctx context.Context, task *pipeline.Task) error {
	s.w.squares.Add(1)
	if s.w.beforeMap != nil {
		if err := s.w.beforeMap(ctx); err != nil {
			return err
		}
	}
	var out []int64
	for rec, err := range task.Input("chunk").Batches(ctx) {
		if err != nil {
			return err
		}
		for _, n := range values(rec) {
			out = append(out, n*n)
		}
	}
	return put(task, "squares", out...)
}

// phase takes two steps, with a checkpoint between them.
func (s phases) phase(ctx context.Context, task *pipeline.Task, p phase) error {
	n, err := only(ctx, task.Input("state"))
	if err != nil {
		return err
	}
	state, resumed, err := task.Checkpoint.Load()
	if err != nil {
		return err
	}
	if resumed {
		if _, err := fmt.Sscan(string(state), &n); err != nil {
			return err
		}
	} else {
		s.w.begun.Add(1)
		n *= p.Times
		if err := task.Checkpoint.Save([]byte(fmt.Sprint(n))); err != nil {
			return err
		}
	}
	if p.Plus < 0 {
		return errors.New("asked to fail")
	}
	return put(task, "state", n+p.Plus)
}

func only(ctx context.Context, in pipeline.Input) (int64, error) {
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return 0, err
		}
		return values(rec)[0], nil
	}
	return 0, errors.New("no row")
}

func put(task *pipeline.Task, port string, rows ...int64) error {
	w, err := task.Output(port, numbers)
	if err != nil {
		return err
	}
	rec := numberTable(rows...)
	defer rec.Release()
	return errors.Join(w.Write(rec), w.Close())
}

// loadPhases loads a pipeline with two stages of phases.
func (b *bench) loadPhases(one, other string) *pipeline.Graph {
	b.t.Helper()
	kinds := append(b.w.kinds(), pipeline.Define(pipeline.Kind{Name: "phases", Version: 1,
		Inputs:  []pipeline.Port{{Name: "numbers", Kind: pipeline.Features}},
		Outputs: []pipeline.Port{{Name: "sum", Kind: pipeline.Metrics}}}, phasesParams{},
		func(p phasesParams) (pipeline.Stage, error) { return phases{b.w, p}, nil }))
	text := fmt.Sprintf(`
name: phases
stages:
  rows: {uses: source}
  one: {uses: phases, from: rows, with: {phases: [%s]}}
  other: {uses: phases, from: rows, with: {phases: [%s]}}
`, one, other)
	g, err := pipeline.Load("phases.yaml", []byte(text), kinds)
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bench) runPhases(one, other string) *pipeline.Result {
	b.t.Helper()
	result, err := b.runner().Run(context.Background(), b.loadPhases(one, other))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		result.Journal.Close()
		result.Close()
	})
	return result
}

// squaresSum is what phases start from.
func squaresSum(rows []int) (total int64) {
	for _, n := range rows {
		total += int64(n) * int64(n)
	}
	return total
}

// parts tells how many parts a node computed, of how many.
func parts(r *pipeline.Result, node string) string {
	n, _ := r.Node(node)
	return fmt.Sprintf("%d/%d", n.Ended.PartsComputed, n.Ended.Parts)
}

func TestEditOfTheLastPartLeavesTheOthers(t *testing.T) {
	b := newBench(t, newWorld(500))
	b.cfg = func(r *pipeline.Runner) { r.Jobs = 1 }
	start := squaresSum(b.w.listed)
	first := b.runPhases("{times: 2}, {times: 3, plus: 1}", "{times: 2}, {times: 5}")
	want(t, first.Err, nil)
	want(t, total(t, first, "one"), 2*start*3+1)
	want(t, total(t, first, "other"), 2*start*5)
	rows, _ := first.Node("rows")
	want(t, b.w.squares.Load(), rows.Ended.Chunks) // once, for both stages
	want(t, b.w.begun.Load(), 3)                   // the phase that both begin with, and one more each

	again := b.runPhases("{times: 2}, {times: 3, plus: 2}", "{times: 2}, {times: 5}")
	want(t, total(t, again, "one"), 2*start*3+2)
	want(t, states(again), "rows=hit one=miss other=hit")
	want(t, parts(again, "one"), "1/3") // the start's own parts were not asked for
	one, _ := again.Node("one")
	want(t, one.Ended.Cost >= one.Ended.Seconds, true) // the parts at hand count
	before, _ := first.Node("other")
	after, _ := again.Node("other")
	want(t, after.Ended.Cost, before.Ended.Cost) // though it was at hand
	want(t, after.Ended.Cost > 0, true)
	want(t, parts(again, "other"), "0/0")
}

// Force means: not from an earlier run. What this run computed is not computed twice.
func TestForcedPartsAreComputedOnce(t *testing.T) {
	b := newBench(t, newWorld(500))
	want(t, b.runPhases("{times: 1}, {times: 1}", "{times: 2}").Err, nil)
	begun, squares := b.w.begun.Load(), b.w.squares.Load()
	b.cfg = func(r *pipeline.Runner) { r.Selection.Force = []string{"one"} }
	again := b.runPhases("{times: 1}, {times: 1}", "{times: 2}") // the second phase is the first, of the same state
	want(t, again.Err, nil)
	want(t, states(again), "rows=hit one=miss other=hit")
	want(t, b.w.squares.Load(), 2*squares)
	want(t, b.w.begun.Load(), begun+1)
}

func TestPlanKnowsOfParts(t *testing.T) {
	b := newBench(t, newWorld(100))
	planned := func(one string) string {
		plan, err := b.runner().Plan(context.Background(), b.loadPhases(one, "{times: 2}"))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %d/%d", plan.Nodes[1].State, plan.Nodes[1].PartsCached, plan.Nodes[1].Parts)
	}
	want(t, planned("{times: 2}, {times: 3}"), "new 0/0") // the rows are not there
	want(t, b.runPhases("{times: 2}, {times: 3}", "{times: 2}").Err, nil)
	want(t, planned("{times: 2}, {times: 3}"), "cached 0/0")
	want(t, planned("{times: 2}, {times: 4}"), "stale 2/3")
	want(t, planned("{times: 5}, {times: 3}"), "stale 1/3")
}

func TestOneRowMoreDisturbsAtMostTwoParts(t *testing.T) {
	b := newBench(t, newWorld(1000))
	b.runPhases("{times: 1}", "{times: 1}")
	before := b.w.squares.Load()
	b.w.listed = append(b.w.listed, 1001)
	again := b.runPhases("{times: 1}", "{times: 1}")
	want(t, total(t, again, "one"), squaresSum(b.w.listed))
	if n := b.w.squares.Load() - before; n < 1 || n > 2 {
		t.Errorf("%d parts computed for one row more", n)
	}
}

func TestCollectKeepsPartsOfTheNewestRun(t *testing.T) {
	b := newBench(t, newWorld(500))
	ctx := context.Background()
	run := func(one string) (parted string, state string) {
		store, err := cache.Open(ctx, b.dir, cache.OS{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		result, err := (&pipeline.Runner{Store: store, Jobs: 1}).Run(ctx, b.loadPhases(one, "{times: 7}"))
		if err != nil || result.Err != nil {
			t.Fatal(err, result.Err)
		}
		defer result.Close()
		result.Journal.Write(pipeline.RunEnded{Event: "run"})
		result.Journal.Close()
		n, _ := result.Node("one")
		return parts(result, "one"), n.Ended.Cache
	}
	run("{times: 2}, {times: 3}")
	_, state := run("{times: 2}, {times: 3}") // asks for no part
	want(t, state, "hit")
	if _, err := cache.Collect(ctx, b.dir, cache.Policy{MaxBytes: -1}, nil); err != nil {
		t.Fatal(err)
	}
	squares := b.w.squares.Load()
	parted, _ := run("{times: 2}, {times: 4}")
	want(t, parted, "1/3")
	want(t, b.w.squares.Load(), squares)

	// What no run uses any more goes: the phase {times: 3}.
	usage, err := cache.Collect(ctx, b.dir, cache.Policy{MaxBytes: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, usage.RemovedEntries, 2) // it, and what the stage made of it
	parted, _ = run("{times: 2}, {times: 3}")
	want(t, parted, "1/3")
}

func TestDamagedPartIsComputedAgain(t *testing.T) {
	b := newBench(t, newWorld(500))
	b.cfg = func(r *pipeline.Runner) { r.Jobs = 1 }
	first := b.runPhases("{times: 2}, {times: 3}", "{times: 2}")
	want(t, first.Err, nil)
	damaged := 0
	err := filepath.Walk(filepath.Join(b.dir, "blobs"), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		damaged++
		raw[len(raw)/2] ^= 1
		return os.WriteFile(path, raw, 0o666)
	})
	if err != nil || damaged == 0 {
		t.Fatal(damaged, err)
	}
	again := b.runPhases("{times: 2}, {times: 4}", "{times: 2}")
	want(t, again.Err, nil)
	want(t, total(t, again, "one"), 2*squaresSum(b.w.listed)*4)
}

func TestCheckpointOfAPart(t *testing.T) {
	b := newBench(t, newWorld(100))
	b.cfg = func(r *pipeline.Runner) { r.Jobs, r.KeepGoing = 1, true }
	failed := b.runPhases("{times: 2}", "{times: 3, plus: -1}")
	want(t, failed.Status, "failed")
	b.w.begun.Store(0)
	usage, err := b.runner().Store.Inspect()
	if err != nil {
		t.Fatal(err)
	}
	want(t, usage.Checkpoints, 1)
	again := b.runPhases("{times: 2}", "{times: 3, plus: -1}")
	want(t, again.Status, "failed")
	want(t, b.w.begun.Load(), 0) // it went on from the checkpoint
	if !strings.Contains(again.Err.Error(), "phase: asked to fail") {
		t.Error(again.Err)
	}
}

func TestPartsAreTheSameForAnyNumberOfJobs(t *testing.T) {
	var digests []string
	for _, jobs := range []int{1, 3} {
		b := newBench(t, newWorld(700))
		b.cfg = func(r *pipeline.Runner) { r.Jobs = jobs }
		result := b.runPhases("{times: 2}, {times: 3}", "{times: 2}, {plus: 9}")
		for _, n := range result.Nodes {
			digests = append(digests, n.Ended.Digest)
		}
	}
	if !slices.Equal(digests[:3], digests[3:]) {
		t.Error(digests)
	}
}

// Two runs at once, each with a store of its own as two processes have, do each part once.
func TestTwoRunsDoAPartOnce(t *testing.T) {
	w := newWorld(1500)
	w.beforeMap = func(context.Context) error {
		time.Sleep(time.Millisecond)
		return nil
	}
	dir := t.TempDir()
	results := make([]*pipeline.Result, 2)
	var group conc.WaitGroup
	for i := range results {
		b := &bench{t: t, w: w, dir: dir}
		runner, graph := b.runner(), b.loadPhases("{times: 2}, {times: 3}", "{times: 2}, {times: 5}")
		group.Go(func() {
			var err error
			if results[i], err = runner.Run(context.Background(), graph); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, r := range results {
		want(t, r.Err, nil)
		want(t, total(t, r, "one"), 2*squaresSum(w.listed)*3)
		r.Journal.Close()
		r.Close()
	}
	rows, _ := results[0].Node("rows")
	want(t, w.squares.Load(), rows.Ended.Chunks)
	want(t, w.begun.Load(), 3)
}

func TestPartMustCloseItsOutputs(t *testing.T) {
	b := newBench(t, newWorld(10))
	open := pipeline.Define(pipeline.Kind{Name: "open", Version: 1}, struct{}{}, func(struct{}) (pipeline.Stage, error) {
		return runFunc(func(ctx context.Context, task *pipeline.Task) error {
			_, err := task.Part(ctx, pipeline.Part{Name: "half", Recipe: struct{}{}}, func(_ context.Context, task *pipeline.Task) error {
				_, err := task.Output("left", numbers)
				return err
			})
			return err
		}), nil
	})
	g, err := pipeline.Load("p.yaml", []byte("stages: {it: {uses: open}}"), []pipeline.Kind{open})
	if err != nil {
		t.Fatal(err)
	}
	result, err := b.runner().Run(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	defer result.Journal.Close()
	if result.Err == nil || !strings.Contains(result.Err.Error(), `output "left" was not written to the end`) {
		t.Error(result.Err)
	}
}

type runFunc func(ctx context.Context, task *pipeline.Task) error

func (runFunc) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}
func (f runFunc) Run(ctx context.Context, task *pipeline.Task) error { return f(ctx, task) }

// Opened tables give the rows that batches do.
func TestOpenedTable(t *testing.T) {
	b := newBench(t, newWorld(700))
	result := b.run(simple)
	node, _ := result.Node("rows")
	in := node.Outputs["numbers"]
	table, err := in.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	want(t, table.Len(), in.Rows())
	row := 0
	for rec, err := range in.Batches(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range values(rec) {
			at, place := table.Find(row)
			if got := values(table.Records()[at])[place]; got != n {
				t.Fatalf("row %d is %d, want %d", row, got, n)
			}
			want(t, table.Records()[at].Column(0).ValueStr(place), rec.Column(0).ValueStr(i))
			row++
		}
	}
	var chunks int64
	for _, c := range in.Chunks() {
		chunks += c.Rows()
	}
	want(t, chunks, in.Rows())
	want(t, pipeline.NewTable().Len(), 0)
}
