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
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/pipeline"
)

const childDir = "TLPIPE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(runChild(dir))
	}
	os.Exit(m.Run())
}

// slowWorld takes a while, so that there is something to kill.
func slowWorld() *world {
	w := newWorld(3000)
	w.beforeMap = func(context.Context) error {
		time.Sleep(2 * time.Millisecond)
		return nil
	}
	return w
}

func runChild(dir string) int {
	t := &testing.T{} // only its zero value's methods that cannot fail are used
	b := &bench{t: t, w: slowWorld(), dir: dir}
	r := b.runner()
	result, err := r.Run(context.Background(), b.load(simple))
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
	random := rand.New(rand.NewPCG(1, 2))
	killed := 0
	for killed < 20 {
		child := exec.Command(os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), childDir+"="+dir)
		var stderr bytes.Buffer
		child.Stderr = &stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(5+random.IntN(120))*time.Millisecond, func() { _ = child.Process.Kill() })
		err := child.Wait()
		timer.Stop()
		if err == nil {
			break // it came to its end
		}
		if code := child.ProcessState.ExitCode(); code >= 0 {
			t.Fatalf("the child failed by itself, with %d: %s", code, stderr.String())
		}
		killed++
	}
	if killed < 3 {
		t.Fatalf("only %d kills hit a run at work", killed)
	}
	b := &bench{t: t, w: newWorld(3000), dir: dir}
	last := b.run(simple)
	want(t, last.Err, nil)
	for i, n := range peaceful.Nodes {
		want(t, last.Nodes[i].Ended.Digest, n.Ended.Digest)
	}
	last.Journal.Close()
	computed := map[string]bool{}
	journals, err := filepath.Glob(filepath.Join(dir, "runs", "*", "journal.jsonl"))
	// The journal of a run that was killed as it started may be missing.
	if err != nil || len(journals) < 3 {
		t.Fatalf("%d journals of %d runs: %v", len(journals), killed, err)
	}
	for _, path := range journals {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			var e pipeline.ChunkDone
			if json.Unmarshal(line, &e) != nil || e.Event != "chunk" || e.Cached {
				continue // the last line may be cut short
			}
			if computed[e.Key] {
				t.Errorf("chunk %d of %s was computed twice", e.Chunk, e.Stage)
			}
			computed[e.Key] = true
		}
	}
}
