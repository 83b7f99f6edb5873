package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// meter counts what the stages of a test take at the same time.
type meter struct {
	mu                     sync.Mutex
	threads, running       int
	memory                 int64
	mostThreads, mostChunk int // threads; rows that were mapped at once
	mostMemory             int64
	granted                []int // threads of each whole-table stage
	beside                 bool  // a stage that needs more than the budget ran beside another
	budget                 int64
}

func (m *meter) take(threads int, memory int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.threads += threads
	m.memory += memory
	if threads > 0 {
		m.running++
	} else if threads < 0 {
		m.running--
	}
	m.mostThreads = max(m.mostThreads, m.threads)
	if m.running > 1 {
		m.mostMemory = max(m.mostMemory, m.memory)
	}
	if m.budget > 0 && m.running > 1 && m.memory > m.budget {
		m.beside = true
	}
}

// takes are the parameters of stages that say what they take.
type takes struct {
	Memory    int64 `yaml:"memory" recipe:"-" doc:"of the stage"`
	PerThread int64 `yaml:"per_thread" recipe:"-" doc:"of a row-wise stage"`
	PerRow    int64 `yaml:"per_row" doc:"of a row-wise stage"`
	Threads   int   `yaml:"threads" recipe:"-" doc:"of a whole-table stage"`
	Number    int   `yaml:"number" doc:"tells stages apart"`
}

// heavy is a whole-table stage.
type heavy struct {
	m *meter
	p takes
}

func (heavy) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) { return nil, nil }

func (s heavy) Estimate(inputs map[string][]pipeline.Input) (pipeline.Resources, error) {
	if s.p.Memory < 0 {
		return pipeline.Resources{}, errors.New("no estimate")
	}
	return pipeline.Resources{Memory: s.p.Memory, Threads: s.p.Threads}, nil
}

func (s heavy) Run(ctx context.Context, task *pipeline.Task) error {
	s.m.mu.Lock()
	s.m.granted = append(s.m.granted, task.Threads)
	s.m.mu.Unlock()
	s.m.take(task.Threads, s.p.Memory)
	time.Sleep(time.Millisecond)
	s.m.take(-task.Threads, -s.p.Memory)
	// A part may have more threads, for so long.
	part := pipeline.Part{Name: "half", Recipe: struct{}{}, Inputs: map[string]pipeline.Input{"numbers": task.Input("numbers")}}
	result, err := task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		s.m.take(task.Threads, s.p.Memory)
		defer s.m.take(-task.Threads, -s.p.Memory)
		var total int64
		for rec, err := range task.Input("numbers").Batches(ctx) {
			if err != nil {
				return err
			}
			for _, n := range values(rec) {
				total += n
			}
		}
		return put(task, "sum", total)
	})
	if err != nil {
		return err
	}
	total, err := only(ctx, result["sum"])
	if err != nil {
		return err
	}
	return put(task, "sum", total+int64(s.p.Number))
}

// loaded is a row-wise stage that holds memory while it is open.
type loaded struct {
	m *meter
	p takes
}

func (loaded) Check(in map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return map[string]pipeline.Traits{"numbers": in["numbers"][0]}, nil
}

func (loaded) Columns(in *arrow.Schema) (pipeline.Columns, error) { return pipeline.ReadsAll(in), nil }

func (s loaded) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	return pipeline.Resources{Memory: s.p.Memory, PerThread: s.p.PerThread, PerRow: s.p.PerRow}, nil
}

func (s loaded) Open(_ context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	s.m.take(0, s.p.Memory)
	return &loadedMapper{s, env.Threads}, nil
}

type loadedMapper struct {
	loaded
	threads int
}

func (m *loadedMapper) Map(_ context.Context, in arrow.Record) (pipeline.Mapped, error) {
	m.m.mu.Lock()
	m.m.mostChunk = max(m.m.mostChunk, int(in.NumRows()))
	m.m.mu.Unlock()
	memory := m.p.PerThread*int64(m.threads) + m.p.PerRow*in.NumRows()
	m.m.take(m.threads, memory)
	defer m.m.take(-m.threads, -memory)
	time.Sleep(100 * time.Microsecond)
	var out []int64
	for _, n := range values(in) {
		out = append(out, n+int64(m.p.Number))
	}
	return pipeline.Mapped{Rows: numberTable(out...)}, nil
}

func (m *loadedMapper) Close() error {
	m.m.take(0, -m.p.Memory)
	return nil
}

func (m *meter) kinds(w *world) []pipeline.Kind {
	port := []pipeline.Port{{Name: "numbers", Kind: pipeline.Features}}
	return append(w.kinds(),
		pipeline.Define(pipeline.Kind{Name: "loaded", Version: 1, Inputs: port, Outputs: port}, takes{},
			func(p takes) (pipeline.Stage, error) { return loaded{m, p}, nil }),
		pipeline.Define(pipeline.Kind{Name: "heavy", Version: 1, Inputs: port, Outputs: []pipeline.Port{{Name: "sum", Kind: pipeline.Metrics}}}, takes{},
			func(p takes) (pipeline.Stage, error) { return heavy{m, p}, nil }),
	)
}

// runMetered runs a pipeline in a cache of its own and returns the digests of all results.
func runMetered(t testing.TB, m *meter, text string, rows, jobs int, memory int64) string {
	t.Helper()
	g, err := pipeline.Load("metered.yaml", []byte(text), m.kinds(newWorld(rows)))
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open(context.Background(), t.TempDir(), cache.OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m.budget = memory
	result, err := (&pipeline.Runner{Store: store, Jobs: jobs, Memory: memory}).Run(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	defer result.Journal.Close()
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	var digests []string
	for _, n := range result.Nodes {
		digests = append(digests, n.Ended.Digest)
	}
	if m.threads != 0 || m.memory != 0 {
		t.Errorf("%d threads and %d bytes are still taken", m.threads, m.memory)
	}
	return strings.Join(digests, " ")
}

func listOf(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return strings.Join(out, ", ")
}

// Sixteen trainings on sixteen processors get one each, and no more memory together than is granted.
func TestMatrixStaysWithinJobsAndMemory(t *testing.T) {
	text := `
name: matrix
stages:
  rows: {uses: source}
  total: {uses: heavy, from: rows, matrix: {n: [` + listOf(16) + `]}, with: {number: $(n), memory: 100}}
`
	m := &meter{}
	first := runMetered(t, m, text, 10, 16, 0)
	if len(m.granted) != 16 {
		t.Fatalf("%d stages ran", len(m.granted))
	}
	for _, threads := range m.granted {
		if threads != 1 {
			t.Errorf("granted %v threads, want one each", m.granted)
			break
		}
	}
	if m.mostThreads > 16 {
		t.Errorf("%d threads at once", m.mostThreads)
	}
	m = &meter{}
	if got := runMetered(t, m, text, 10, 16, 350); got != first {
		t.Error("results depend on the memory that is granted")
	}
	if m.mostMemory > 350 {
		t.Errorf("%d bytes at once of 350", m.mostMemory)
	}
	m = &meter{}
	if got := runMetered(t, m, text, 10, 3, 50); got != first {
		t.Error("results depend on the jobs")
	}
	if m.beside || m.mostThreads > 3 {
		t.Errorf("beside %v, %d threads at once of 3", m.beside, m.mostThreads)
	}
}

// A stage alone has all threads, and no more than it can use.
func TestOneStageHasAllThreads(t *testing.T) {
	for _, c := range []struct{ threads, want int }{{0, 8}, {3, 3}} {
		m := &meter{}
		runMetered(t, m, fmt.Sprintf(`
name: one
stages:
  rows: {uses: source}
  total: {uses: heavy, from: rows, with: {threads: %d}}
`, c.threads), 10, 8, 0)
		want(t, m.granted, []int{c.want})
	}
}

// Rows that are large are mapped by fewer at a time, whatever the budget.
func TestLargeRowsAreMappedByFew(t *testing.T) {
	for _, c := range []struct {
		size int64
		want int
	}{{0, 32}, {8 << 20, 32}, {64 << 20, 4}, {1 << 30, 1}} {
		m := &meter{}
		runMetered(t, m, fmt.Sprintf(`
name: large
stages:
  rows: {uses: source}
  more: {uses: loaded, from: rows, with: {per_row: %d}}
`, c.size), 400, 2, 2<<30)
		want(t, m.mostChunk, c.want)
	}
}

// Whatever stages take, all of them run, within the budget, with the same results.
func TestStagesOfAnySizeRun(t *testing.T) {
	type run struct {
		text       string
		rows, jobs int
		memory     int64
	}
	runs := rapid.Custom(func(rt *rapid.T) run {
		size := func(name string) int64 { return rapid.Int64Range(0, 150).Draw(rt, name) }
		text := fmt.Sprintf(`
name: any
stages:
  rows: {uses: source}
  one: {uses: loaded, from: rows, with: {memory: %d, per_thread: %d, per_row: %d, number: 1}}
  two: {uses: loaded, from: one, with: {memory: %d, per_thread: %d, number: 2}}
  three: {uses: loaded, from: rows, with: {memory: %d, number: 3}}
  a: {uses: heavy, from: one, matrix: {n: [1, 2, 3]}, with: {memory: %d, number: $(n)}}
  b: {uses: heavy, from: two, matrix: {k: [1, 1000]}, with: {memory: %d, threads: %d, number: $(k)}}
  c: {uses: heavy, from: three, with: {memory: %d}}
`, size("one"), size("one thread"), size("one row")/20, size("two"), size("two thread"), size("three"), size("a"), size("b"), rapid.IntRange(0, 5).Draw(rt, "threads"), size("c"))
		return run{text, rapid.IntRange(1, 300).Draw(rt, "rows"), rapid.IntRange(1, 6).Draw(rt, "jobs"), rapid.Int64Range(8, 300).Draw(rt, "memory")}
	})
	examples := 6
	if os.Getenv("TLPIPE_HEAVY") != "" {
		examples = 40
	}
	for i := range examples {
		r := runs.Example(i)
		first := runMetered(t, &meter{}, r.text, r.rows, 1, 0)
		m := &meter{}
		if got := runMetered(t, m, r.text, r.rows, r.jobs, r.memory); got != first {
			t.Errorf("%+v: results depend on what is granted", r)
		}
		if m.mostThreads > r.jobs {
			t.Errorf("%+v: %d threads at once", r, m.mostThreads)
		}
	}
}

// What does not fit the machine is refused before anything runs, with the line and the numbers; what a stage
// learns from its inputs, before it runs.
func TestWhatDoesNotFitIsRefused(t *testing.T) {
	m := &meter{}
	load := func(memory int64) *pipeline.Graph {
		g, err := pipeline.Load("refused.yaml", []byte(fmt.Sprintf(`
name: refused
stages:
  rows: {uses: source}
  total:
    uses: heavy
    from: rows
    with: {memory: %d}
`, memory)), m.kinds(newWorld(10)))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	if err := (&pipeline.Runner{Machine: 1000}).Fits(load(1000)); err != nil {
		t.Errorf("just fits: %v", err)
	}
	if err := (&pipeline.Runner{Machine: 0}).Fits(load(1e15)); err != nil {
		t.Errorf("not known what there is: %v", err)
	}
	err := (&pipeline.Runner{Machine: 8e9}).Fits(load(26e9))
	var problems pipeline.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Line != 6 ||
		!strings.Contains(err.Error(), "stage total: it needs about 26 GB of memory, and the machine has 8 GB") {
		t.Errorf("refused with %v", err)
	}
	store, err := cache.Open(context.Background(), t.TempDir(), cache.OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := (&pipeline.Runner{Store: store, Machine: 8e9}).Run(context.Background(), load(26e9)); !errors.As(err, &problems) {
		t.Errorf("run: %v", err)
	}
	if err := (&pipeline.Runner{Machine: 8e9}).Fits(load(-1)); err == nil || !strings.Contains(err.Error(), "no estimate") {
		t.Errorf("an estimate that fails: %v", err)
	}
	if len(m.granted) > 0 {
		t.Error("it ran")
	}
}
