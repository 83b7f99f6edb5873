package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// world counts what the stages of a test compute.
type world struct {
	listed     []int // the rows of the source
	maps, sums atomic.Int64
	mappedRows atomic.Int64
	squares    atomic.Int64 // parts of phases
	begun      atomic.Int64 // phases that had no checkpoint
	beforeMap  func(ctx context.Context) error

	unlisted []pipeline.Reject // what the source cannot list

	archive string // if there is one, the source makes an index of it
	indexed atomic.Int64
}

var numbers = arrow.NewSchema([]arrow.Field{
	{Name: "id", Type: arrow.BinaryTypes.String},
	{Name: "n", Type: arrow.PrimitiveTypes.Int64},
}, nil)

func numberTable(rows ...int64) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, numbers)
	defer b.Release()
	for _, n := range rows {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("row-%06d", n))
		b.Field(1).(*array.Int64Builder).Append(n)
	}
	return b.NewRecord()
}

func values(rec arrow.Record) []int64 { return rec.Column(1).(*array.Int64).Int64Values() }

type sourceParams struct {
	Bad   []int `yaml:"bad" doc:"rows to reject"`
	Scale int   `yaml:"scale" doc:"multiplies each number"`
}

type source struct {
	w *world
	p sourceParams
}

func (source) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return map[string]pipeline.Traits{"numbers": {"scale": "known"}}, nil
}

func (s source) List(ctx context.Context, env *pipeline.Env) (pipeline.Listing, error) {
	if s.w.archive != "" {
		_, err := env.Files.Derived(ctx, s.w.archive, "index", func() ([]byte, error) {
			s.w.indexed.Add(1)
			return []byte("index"), nil
		})
		if err != nil {
			return pipeline.Listing{}, err
		}
	}
	rows := make([]int64, len(s.w.listed))
	for i, n := range s.w.listed {
		rows[i] = int64(n)
	}
	return pipeline.Listing{Rows: numberTable(rows...), Rejects: s.w.unlisted}, nil
}

func (s source) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapFunc(func(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
		s.w.maps.Add(1)
		s.w.mappedRows.Add(in.NumRows())
		if s.w.beforeMap != nil {
			if err := s.w.beforeMap(ctx); err != nil {
				return pipeline.Mapped{}, err
			}
		}
		var out []int64
		rejects := map[int]string{}
		for i, n := range values(in) {
			if slices.Contains(s.p.Bad, int(n)) {
				rejects[i] = "bad"
				continue
			}
			out = append(out, n*int64(s.p.Scale))
		}
		return pipeline.Mapped{Rows: numberTable(out...), Rejects: rejects}, nil
	}), nil
}

func (source) Columns(in *arrow.Schema) (pipeline.Columns, error) { return pipeline.ReadsAll(in), nil }

type mapFunc func(ctx context.Context, in arrow.Record) (pipeline.Mapped, error)

func (f mapFunc) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	return f(ctx, in)
}
func (mapFunc) Close() error { return nil }

type moduloParams struct {
	By int `yaml:"by" min:"1" doc:"the divisor"`
}

// modulo is a row-wise stage that may give the same for different inputs.
type modulo struct {
	w *world
	p moduloParams
}

func (modulo) Check(in map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return map[string]pipeline.Traits{"numbers": in["numbers"][0]}, nil
}

func (modulo) Columns(in *arrow.Schema) (pipeline.Columns, error) { return pipeline.ReadsAll(in), nil }

func (m modulo) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapFunc(func(_ context.Context, in arrow.Record) (pipeline.Mapped, error) {
		m.w.maps.Add(1)
		var out []int64
		for _, n := range values(in) {
			out = append(out, n%int64(m.p.By))
		}
		return pipeline.Mapped{Rows: numberTable(out...)}, nil
	}), nil
}

type sumParams struct {
	Plus int  `yaml:"plus" doc:"added to the sum"`
	Fail bool `yaml:"fail" doc:"fail"`
}

type sum struct {
	w *world
	p sumParams
}

func (sum) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) { return nil, nil }

func (s sum) Run(ctx context.Context, task *pipeline.Task) error {
	s.w.sums.Add(1)
	if s.p.Fail {
		return errors.New("asked to fail")
	}
	total := int64(s.p.Plus)
	for _, in := range task.Inputs["numbers"] {
		for rec, err := range in.Batches(ctx) {
			if err != nil {
				return err
			}
			for _, n := range values(rec) {
				total += n
			}
		}
	}
	out, err := task.Output("sum", numbers)
	if err != nil {
		return err
	}
	if err := out.Write(numberTable(total)); err != nil {
		return err
	}
	return out.Close()
}

func (w *world) kinds() []pipeline.Kind {
	port := []pipeline.Port{{Name: "numbers", Kind: pipeline.Features, Many: false}}
	many := []pipeline.Port{{Name: "numbers", Kind: pipeline.Features, Many: true}}
	return []pipeline.Kind{
		pipeline.Define(pipeline.Kind{Name: "source", Version: 1, Outputs: port}, sourceParams{Scale: 1},
			func(p sourceParams) (pipeline.Stage, error) { return source{w, p}, nil }),
		pipeline.Define(pipeline.Kind{Name: "modulo", Version: 1, Inputs: port, Outputs: port}, moduloParams{By: 10},
			func(p moduloParams) (pipeline.Stage, error) { return modulo{w, p}, nil }),
		pipeline.Define(pipeline.Kind{Name: "sum", Version: 1, Inputs: many, Seeded: true,
			Outputs: []pipeline.Port{{Name: "sum", Kind: pipeline.Metrics}}}, sumParams{},
			func(p sumParams) (pipeline.Stage, error) { return sum{w, p}, nil }),
	}
}

const simple = `
name: simple
seed: 7
stages:
  rows: {uses: source}
  small: {uses: modulo, from: rows, with: {by: 10}}
  total: {uses: sum, from: small}
`

func newWorld(rows int) *world {
	w := &world{}
	for i := range rows {
		w.listed = append(w.listed, i)
	}
	return w
}

type bench struct {
	t   testing.TB
	w   *world
	dir string
	cfg func(*pipeline.Runner)
}

func newBench(t testing.TB, w *world) *bench {
	return &bench{t: t, w: w, dir: t.TempDir()}
}

func (b *bench) load(text string) *pipeline.Graph {
	b.t.Helper()
	g, err := pipeline.Load("simple.yaml", []byte(text), b.w.kinds())
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bench) runner() *pipeline.Runner {
	b.t.Helper()
	store, err := cache.Open(context.Background(), b.dir, cache.OS{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { store.Close() })
	r := &pipeline.Runner{Store: store, Jobs: 2}
	if b.cfg != nil {
		b.cfg(r)
	}
	return r
}

func (b *bench) run(text string) *pipeline.Result {
	b.t.Helper()
	result, err := b.runner().Run(context.Background(), b.load(text))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		result.Journal.Close()
		result.Close()
	})
	return result
}

func states(r *pipeline.Result) string {
	var out []string
	for _, n := range r.Nodes {
		out = append(out, n.Node.Name+"="+n.Ended.Cache)
	}
	return strings.Join(out, " ")
}

func total(t testing.TB, r *pipeline.Result, node string) int64 {
	t.Helper()
	n, ok := r.Node(node)
	if !ok || n.Err != nil {
		t.Fatalf("node %s: %v", node, n)
	}
	for rec, err := range n.Outputs["sum"].Batches(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		return values(rec)[0]
	}
	t.Fatal("no rows")
	return 0
}

func want(t testing.TB, got, wanted any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("got  %v\nwant %v", got, wanted)
	}
}

func TestSecondRunComputesNothing(t *testing.T) {
	b := newBench(t, newWorld(1000))
	first := b.run(simple)
	want(t, states(first), "rows=miss small=miss total=miss")
	want(t, total(t, first, "total"), 4500)
	maps, sums := b.w.maps.Load(), b.w.sums.Load()

	second := b.run("# a comment\n" + simple)
	want(t, states(second), "rows=hit small=hit total=hit")
	want(t, total(t, second, "total"), 4500)
	if b.w.maps.Load() != maps || b.w.sums.Load() != sums {
		t.Error("something was computed twice")
	}
	for i := range first.Nodes {
		want(t, second.Nodes[i].Ended.Digest, first.Nodes[i].Ended.Digest)
	}
}

func TestEditAndBack(t *testing.T) {
	b := newBench(t, newWorld(300))
	b.run(simple)
	edited := strings.Replace(simple, "by: 10", "by: 7", 1)
	want(t, states(b.run(edited)), "rows=hit small=miss total=miss")
	want(t, states(b.run(simple)), "rows=hit small=hit total=hit")
}

func TestEarlyCutOff(t *testing.T) {
	b := newBench(t, newWorld(300))
	b.run(strings.Replace(simple, "by: 10", "by: 1", 1))
	// Another scale gives other rows, but the same remainders.
	edited := strings.NewReplacer("by: 10", "by: 1", "source}", "source, with: {scale: 3}}").Replace(simple)
	want(t, states(b.run(edited)), "rows=miss small=partial total=hit")
}

func TestOneRowMoreDisturbsAtMostTwoChunks(t *testing.T) {
	for _, extra := range []int{-1, 17, 4711, 99_999} {
		w := &world{}
		for i := range 1000 {
			w.listed = append(w.listed, 100*i)
		}
		b := newBench(t, w)
		b.run(simple)
		w.listed = append(w.listed, extra)
		slices.Sort(w.listed)
		for _, n := range b.run(simple).Nodes[:2] {
			if c := n.Ended.ChunksComputed; c > 2 || c == 0 {
				t.Errorf("%s: %d chunks of %d computed for one row more", n.Node.Name, c, n.Ended.Chunks)
			}
		}
	}
}

func TestSameBytesForAnyNumberOfJobs(t *testing.T) {
	var digests []string
	for _, jobs := range []int{1, 2, 7} {
		b := newBench(t, newWorld(2000))
		b.cfg = func(r *pipeline.Runner) { r.Jobs = jobs }
		result := b.run(simple)
		var all []string
		for _, n := range result.Nodes {
			all = append(all, n.Ended.Digest)
		}
		digests = append(digests, strings.Join(all, " "))
	}
	want(t, digests[1], digests[0])
	want(t, digests[2], digests[0])
}

// Pinned: these change only when every cached result is to become unreachable.
func TestDigestsAreStable(t *testing.T) {
	b := newBench(t, newWorld(100))
	g := b.load(simple)
	want(t, g.Nodes[0].Recipe.Digest(), pinnedRecipe)
	want(t, b.run(simple).Nodes[2].Ended.Digest, pinnedSum)
}

func TestRejects(t *testing.T) {
	b := newBench(t, newWorld(200))
	bad := strings.Replace(simple, "source}", "source, with: {bad: [3, 150]}}", 1)
	result := b.run(bad)
	want(t, result.Status, "ok")
	want(t, result.Nodes[0].Ended.Rejects, 2)
	want(t, result.Nodes[0].Ended.Rows, 198)
	want(t, result.Nodes[0].Outputs[pipeline.RejectsPort].Rows(), 2)

	for with, message := range map[string]string{
		"on_error: fail":      "a row failed, and on_error is fail: row-000003: bad",
		"max_rejects: 1":      "2 rows of",
		`max_rejects: "0.5%"`: "2 rows of 200 were rejected, more than max_rejects (0.5%) allows",
	} {
		result := b.run(strings.Replace(bad, "uses: source,", "uses: source, "+with+",", 1))
		want(t, result.Status, "failed")
		if !strings.Contains(fmt.Sprint(result.Err), message) {
			t.Errorf("%s: error is %v", with, result.Err)
		}
	}
	enough := b.run(strings.Replace(bad, "uses: source,", `uses: source, max_rejects: "1%",`, 1))
	want(t, enough.Status, "ok")
}

const branches = `
seed: 7
stages:
  rows: {uses: source}
  broken: {uses: sum, from: rows, with: {fail: true}}
  fine: {uses: sum, from: rows}
`

func TestFailure(t *testing.T) {
	b := newBench(t, newWorld(200))
	b.cfg = func(r *pipeline.Runner) { r.KeepGoing = true }
	result := b.run(branches)
	want(t, states(result), "rows=miss broken=failed fine=miss")
	want(t, result.Err, "stage broken: asked to fail")
	// A failure is not remembered.
	sums := b.w.sums.Load()
	want(t, states(b.run(branches)), "rows=hit broken=failed fine=hit")
	want(t, b.w.sums.Load()-sums, 1)
}

// A source that may not be read is no fault of the cache.
func TestUnreadableSourceIsNotTheCachesFault(t *testing.T) {
	b := newBench(t, newWorld(10))
	b.w.beforeMap = func(context.Context) error {
		return &os.PathError{Op: "open", Path: "/data/secret.jpg", Err: os.ErrPermission}
	}
	result := b.run(simple)
	want(t, result.Err, "stage rows: rows row-000000 to row-000009: open /data/secret.jpg: permission denied")
	b.w.beforeMap = func(context.Context) error {
		return &os.PathError{Op: "open", Path: filepath.Join(b.dir, "tmp", "x"), Err: os.ErrPermission}
	}
	if result := b.run(simple); !strings.Contains(fmt.Sprint(result.Err), "is read-only: choose another with --cache") {
		t.Error(result.Err)
	}
}

func TestMatrix(t *testing.T) {
	b := newBench(t, newWorld(100))
	result := b.run(`
stages:
  rows: {uses: source}
  small:
    uses: modulo
    from: rows
    matrix: {by: [2, 3]}
    with: {by: $(by)}
  each:
    uses: modulo
    from: small
    with: {by: 100}
  all: {uses: sum, from: each}
  one: {uses: sum, from: "each[by=3]"}
`)
	want(t, result.Status, "ok") // rows that say the same are computed once, so some chunks may be at hand
	want(t, total(t, result, "all"), 50+99)
	want(t, total(t, result, "one"), 99)
}

func TestSelection(t *testing.T) {
	b := newBench(t, newWorld(100))
	b.cfg = func(r *pipeline.Runner) { r.Selection.Until = []string{"small"} }
	want(t, states(b.run(simple)), "rows=miss small=miss")
	b.cfg = func(r *pipeline.Runner) { r.Selection.Only = []string{"total"} }
	want(t, states(b.run(simple)), "rows=hit small=hit total=miss")
	b.cfg = func(r *pipeline.Runner) { r.Selection.Force = []string{"small"} }
	want(t, states(b.run(simple)), "rows=hit small=miss total=hit")
	b.cfg = func(r *pipeline.Runner) { r.Selection.From = []string{"total"} }
	result := b.run(strings.Replace(simple, "by: 10", "by: 3", 1))
	// The failure may come before the run has looked at the rows.
	if got := states(result); !strings.HasSuffix(got, "small=failed total=skipped") {
		t.Errorf("what is not in the cache was computed or passed over: %s", got)
	}
	for name, wrong := range map[string]pipeline.Selection{
		"unknown stage":               {Only: []string{"totl"}},
		"forced, but taken as it is":  {Only: []string{"total"}, Force: []string{"rows"}},
		"forced, but not asked about": {Until: []string{"rows"}, Force: []string{"total"}},
	} {
		b.cfg = func(r *pipeline.Runner) { r.Selection = wrong }
		_, err := b.runner().Run(context.Background(), b.load(simple))
		var usage *pipeline.UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInterruptKeepsFinishedChunks(t *testing.T) {
	b := newBench(t, newWorld(2000))
	ctx, cancel := context.WithCancel(context.Background())
	b.w.beforeMap = func(ctx context.Context) error {
		if b.w.maps.Load() >= 80 {
			cancel()
		}
		return ctx.Err()
	}
	result, err := b.runner().Run(ctx, b.load(simple))
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	want(t, result.Status, "interrupted")
	b.w.beforeMap = nil
	again := b.run(simple)
	want(t, again.Nodes[0].Ended.Cache, "partial")
	// A chunk is a few maps: by the eightieth, more than eight were finished.
	kept := 0
	for _, n := range again.Nodes[:2] {
		kept += n.Ended.Chunks - n.Ended.ChunksComputed
	}
	if kept < 8 {
		t.Errorf("%d chunks were kept", kept)
	}
}

// An index of an archive is kept as long as what was made of the archive, by
// a run that ended and by one that was killed.
func TestCollectKeepsIndexesOfArchives(t *testing.T) {
	ctx := context.Background()
	for _, ended := range []bool{true, false} {
		w := newWorld(10)
		w.archive = filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(w.archive, []byte("members"), 0o666); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, w)
		run := func() {
			t.Helper()
			store, err := cache.Open(ctx, b.dir, cache.OS{})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			result, err := (&pipeline.Runner{Store: store, Jobs: 1}).Run(ctx, b.load(simple))
			if err != nil || result.Err != nil {
				t.Fatal(err, result.Err)
			}
			if ended {
				result.Journal.Write(pipeline.RunEnded{Event: "run"})
			} else if err := os.RemoveAll(filepath.Join(b.dir, "latest")); err != nil { // a killed run leaves no record
				t.Fatal(err)
			}
			result.Journal.Close()
			result.Close()
		}
		for range 3 {
			run()
			if _, err := cache.Collect(ctx, b.dir, cache.Policy{MaxBytes: -1}, nil); err != nil {
				t.Fatal(err)
			}
		}
		want(t, w.indexed.Load(), 1)
	}
}

func TestDamageIsMended(t *testing.T) {
	damages := map[string]func(path string) error{
		"deleted":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 10) },
		"flipped": func(path string) error {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			raw[len(raw)/2] ^= 1
			return os.WriteFile(path, raw, 0o666)
		},
		"a folder": func(path string) error {
			return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "folder"), 0o777))
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newWorld(500))
			first := b.run(simple)
			damaged := map[string]bool{}
			for _, n := range first.Nodes[:2] {
				for i, c := range n.Outputs["numbers"].Blobs() {
					if i%3 != 0 {
						continue
					}
					for blob := range c.Blobs() {
						if damaged[blob.Digest] { // chunks share that of the schema
							continue
						}
						damaged[blob.Digest] = true
						if err := damage(filepath.Join(b.dir, "blobs", blob.Digest[:2], blob.Digest)); err != nil && !errors.Is(err, os.ErrNotExist) {
							t.Fatal(err)
						}
					}
				}
			}
			// Something new makes the run read what is damaged.
			result := b.run(strings.Replace(simple, "from: small}", "from: small, with: {plus: 1}}", 1))
			want(t, result.Err, nil)
			want(t, total(t, result, "total"), total(t, first, "total")+1)
			want(t, result.Nodes[1].Ended.Digest, first.Nodes[1].Ended.Digest)
		})
	}
	t.Run("entry that is not JSON", func(t *testing.T) {
		b := newBench(t, newWorld(500))
		b.run(simple)
		err := filepath.WalkDir(filepath.Join(b.dir, "entries"), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return os.WriteFile(path, []byte("{"), 0o666)
		})
		if err != nil {
			t.Fatal(err)
		}
		result := b.run(simple)
		want(t, states(result), "rows=miss small=miss total=miss")
		want(t, states(b.run(simple)), "rows=hit small=hit total=hit")
	})
}

func TestPlan(t *testing.T) {
	b := newBench(t, newWorld(1000))
	plan := func(text string) string {
		t.Helper()
		p, err := b.runner().Plan(context.Background(), b.load(text))
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, n := range p.Nodes {
			out = append(out, fmt.Sprintf("%s %s %s", n.Stage, n.State, n.Because))
		}
		return strings.Join(out, "\n")
	}
	never := "[it has not run in this pipeline before]"
	want(t, plan(simple), "rows new "+never+"\nsmall new "+never+"\ntotal new "+never)
	b.run(simple)
	want(t, plan(simple), "rows cached []\nsmall cached []\ntotal cached []")
	want(t, plan(strings.Replace(simple, "by: 10", "by: 12", 1)),
		"rows cached []\nsmall stale [params.by: 10 → 12]\ntotal stale [input numbers: stage small is to be computed]")
	want(t, plan(strings.Replace(simple, "seed: 7", "seed: 8", 1)), "rows cached []\nsmall cached []\ntotal stale [seed: 7 → 8]")
	b.w.listed = append(b.w.listed, 5000)
	got := plan(simple)
	if !strings.HasPrefix(got, "rows partial [the source changed: 1 of") {
		t.Error(got)
	}
	if maps := b.w.maps.Load(); maps == 0 || maps != b.w.maps.Load() {
		t.Error("planning computed something")
	}
}

func TestConcurrentRunsShareTheWork(t *testing.T) {
	b := newBench(t, newWorld(3000))
	results := make(chan *pipeline.Result)
	for range 3 {
		r, g := b.runner(), b.load(simple)
		told := map[string]int{}
		r.Observe = func(e pipeline.Event) {
			if line, ok := e.(pipeline.LogLine); ok {
				if told[line.Stage]++; told[line.Stage] > 1 {
					t.Errorf("stage %s: said once more: %s", line.Stage, line.Text)
				}
			}
		}
		go func() {
			result, err := r.Run(context.Background(), g)
			if err != nil {
				t.Error(err)
			}
			results <- result
		}()
	}
	var digests []string
	chunks, computed := 0, 0
	for range 3 {
		r := <-results
		digests = append(digests, r.Nodes[2].Ended.Digest)
		chunks = r.Nodes[0].Ended.Chunks
		computed += r.Nodes[0].Ended.ChunksComputed + r.Nodes[1].Ended.ChunksComputed
		r.Close()
	}
	want(t, digests[1], digests[0])
	want(t, digests[2], digests[0])
	want(t, computed, 2*chunks)
	want(t, b.w.sums.Load(), 1)
}

// On a disk without room for one folder more, what is in the cache can be used.
func TestFullDiskStillGivesWhatIsThere(t *testing.T) {
	b := newBench(t, newWorld(500))
	before := b.run(simple)
	store, err := cache.Open(context.Background(), b.dir, fullDisk{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var said []string
	r := &pipeline.Runner{Store: store, Observe: func(e pipeline.Event) {
		if line, ok := e.(pipeline.LogLine); ok {
			said = append(said, line.Text)
		}
	}}
	result, err := r.Run(context.Background(), b.load(simple))
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	want(t, states(result), "rows=hit small=hit total=hit")
	want(t, result.Nodes[2].Ended.Digest, before.Nodes[2].Ended.Digest)
	if len(said) != 1 || !strings.Contains(said[0], "is full") {
		t.Errorf("said %q", said)
	}
	result, err = r.Run(context.Background(), b.load(strings.Replace(simple, "by: 10", "by: 9", 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	want(t, result.Status, "failed")
}

type fullDisk struct{ cache.OS }

func (fullDisk) MkdirAll(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	return syscall.ENOSPC
}
func (fullDisk) Create(string) (cache.File, error) { return nil, syscall.ENOSPC }

func TestJournal(t *testing.T) {
	b := newBench(t, newWorld(100))
	result := b.run(simple)
	result.Journal.Close()
	raw, err := os.ReadFile(filepath.Join(result.Dir, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	stages := 0
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		var e struct{ Time, Event, Stage string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time == "" {
			t.Errorf("%s: %v", line, err)
		}
		if e.Event == "stage" {
			stages++
		}
	}
	want(t, stages, 3)
}

const (
	pinnedRecipe = "516aa930903641eb8be1d63972b03394b0f0d777e0aef0209252a5c87d050a35"
	pinnedSum    = "3cc4eb750c16633bffd95d5fbe7ad9f9f342e8168ce6964c539bbe4d6b9a0ee1"
)
