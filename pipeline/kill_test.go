//go:build unix

package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// What the parent tells a child process, by the environment.
const (
	childDir   = "TLPIPE_TEST_CHILD_DIR"
	childMaps  = "TLPIPE_TEST_CHILD_MAPS"  // how many calls of Map it lives for; 0: it is killed as it starts
	childDelay = "TLPIPE_TEST_CHILD_DELAY" // and how long after that
	childParts = "TLPIPE_TEST_CHILD_PARTS" // not empty: it runs the stages that work in parts
)

const slowPhases = "{times: 2}, {times: 3, plus: 5}"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(runChild(dir))
	}
	os.Exit(m.Run())
}

// mortalWorld kills its process with SIGKILL some time after so many calls of
// Map. Moments counted in work, and not in seconds, hit a run at work on a fast
// machine too.
func mortalWorld(maps int, delay time.Duration) *world {
	w := newWorld(3000)
	die := func() {
		time.Sleep(delay)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if maps == 0 {
		go die()
	}
	var calls atomic.Int64
	w.beforeMap = func(context.Context) error {
		if calls.Add(1) == int64(maps) {
			go die()
		}
		time.Sleep(time.Millisecond)
		return nil
	}
	return w
}

func runChild(dir string) int {
	maps, err := strconv.Atoi(os.Getenv(childMaps))
	if err != nil {
		return 1
	}
	delay, err := time.ParseDuration(os.Getenv(childDelay))
	if err != nil {
		return 1
	}
	t := &testing.T{} // only its zero value's methods that cannot fail are used
	b := &bench{t: t, w: mortalWorld(maps, delay), dir: dir}
	r := b.runner()
	g := b.load(simple)
	if os.Getenv(childParts) != "" {
		g = b.loadPhases(slowPhases, slowPhases)
	}
	result, err := r.Run(context.Background(), g)
	if err != nil || result.Err != nil {
		return 1
	}
	return 0
}

// A run that is killed again and again ends with the bytes of one that is left
// in peace, and computes no finished chunk twice.
func TestKilledRunsResume(t *testing.T) {
	peaceful := newBench(t, newWorld(3000)).run(simple)

	dir := t.TempDir()
	killAgainAndAgain(t, dir)
	b := &bench{t: t, w: newWorld(3000), dir: dir}
	last := b.run(simple)
	want(t, last.Err, nil)
	for i, n := range peaceful.Nodes {
		want(t, last.Nodes[i].Ended.Digest, n.Ended.Digest)
	}
	last.Journal.Close()
	checkNothingTwice(t, dir)
}

// Parts too are computed once, however often their run is killed.
func TestKilledRunsOfPartsResume(t *testing.T) {
	peaceful := newBench(t, newWorld(3000)).runPhases(slowPhases, slowPhases)

	dir := t.TempDir()
	killAgainAndAgain(t, dir, childParts+"=1")
	b := &bench{t: t, w: newWorld(3000), dir: dir}
	last := b.runPhases(slowPhases, slowPhases)
	want(t, last.Err, nil)
	for i, n := range peaceful.Nodes {
		want(t, last.Nodes[i].Ended.Digest, n.Ended.Digest)
	}
	last.Journal.Close()
	checkNothingTwice(t, dir)
}

// killAgainAndAgain runs as a process of its own and has it killed, until it
// comes to its end or was killed often.
func killAgainAndAgain(t *testing.T, dir string, environment ...string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	killed := 0
	for killed < 20 {
		child := exec.Command(os.Args[0], "-test.run=^$")
		delay := time.Duration(random.IntN(4000)) * time.Microsecond
		child.Env = append(os.Environ(), environment...)
		child.Env = append(child.Env, childDir+"="+dir, childMaps+"="+strconv.Itoa(random.IntN(14)), childDelay+"="+delay.String())
		var stderr bytes.Buffer
		child.Stderr = &stderr
		if child.Run() == nil {
			break // it came to its end
		}
		if code := child.ProcessState.ExitCode(); code >= 0 {
			t.Fatalf("the child failed by itself, with %d: %s", code, stderr.String())
		}
		killed++
	}
	if killed < 10 { // there is work for many more, unless what was finished is not what is told
		t.Fatalf("only %d kills hit a run at work", killed)
	}
	t.Logf("%d kills", killed)
}

// checkNothingTwice looks through the journals for a key that was computed
// twice.
func checkNothingTwice(t *testing.T, dir string) {
	t.Helper()
	computed := map[string]bool{}
	journals, err := filepath.Glob(filepath.Join(dir, "runs", "*", "journal.jsonl"))
	// The journal of a run that was killed as it started may be missing.
	if err != nil || len(journals) < 3 {
		t.Fatalf("%d journals: %v", len(journals), err)
	}
	for _, path := range journals {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			var e struct {
				Event, Stage, Part, Key string
				Chunk                   int
				Cached                  bool
			}
			if json.Unmarshal(line, &e) != nil || e.Key == "" || e.Cached {
				continue // the last line may be cut short
			}
			if computed[e.Key] {
				t.Errorf("%s %s %d of %s was computed twice", e.Event, e.Part, e.Chunk, e.Stage)
			}
			computed[e.Key] = true
		}
	}
}
