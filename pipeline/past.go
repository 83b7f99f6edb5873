package pipeline

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// RunStarted says which pipeline a run is of, and what decides its results. It is the first line of a journal.
type RunStarted struct {
	Event    string        `json:"event"`    // "pipeline"
	Pipeline string        `json:"pipeline"` // its name
	File     string        `json:"file"`     // absolute
	Nodes    []StartedNode `json:"nodes"`
}

// StartedNode is a node of the graph that is run.
type StartedNode struct {
	Stage  string         `json:"stage"`
	Uses   string         `json:"uses"`
	From   []string       `json:"from,omitempty"` // the nodes that it takes from
	Recipe cache.Preimage `json:"recipe"`
}

func (RunStarted) event() {}

// started describes the nodes of a graph.
func (g *Graph) started() RunStarted {
	out := RunStarted{Event: "pipeline", Pipeline: g.Name, File: g.File}
	if abs, err := filepath.Abs(g.File); err == nil {
		out.File = abs
	}
	for _, n := range g.Nodes {
		node := StartedNode{Stage: n.Name, Uses: n.Kind.Name, Recipe: n.Recipe}
		for _, e := range n.Inputs {
			node.From = append(node.From, e.From.Name)
		}
		out.Nodes = append(out.Nodes, node)
	}
	return out
}

// PastRun is a run as its journal tells of it.
type PastRun struct {
	RunStarted
	Run    string
	Time   time.Time
	Stages map[string]StageEnded // by node, of those that ended
	Ended  *RunEnded             // nil if it was killed, or is still at work
}

// Node returns the node of that name.
func (r PastRun) Node(name string) (StartedNode, bool) {
	for _, n := range r.Nodes {
		if n.Stage == name {
			return n, true
		}
	}
	return StartedNode{}, false
}

// mostLine is the length of the longest line of a journal that is read.
const mostLine = 64 << 20

// ReadRun reads the journal of a run. ok is false if there is none that says which pipeline it is of: earlier versions wrote no
// such line. which tells from its beginning whether the rest is wanted.
func ReadRun(store *cache.Store, run string, which func(RunStarted) bool) (r PastRun, ok bool, err error) {
	f, err := cache.OS{}.Open(filepath.Join(store.Dir(), "runs", run, "journal.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r.Run, r.Stages = run, map[string]StageEnded{}
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), mostLine)
	for first := true; lines.Scan(); first = false {
		var head struct {
			Time  time.Time `json:"time"`
			Event string    `json:"event"`
		}
		if json.Unmarshal(lines.Bytes(), &head) != nil {
			continue // the last line may be cut short
		}
		switch {
		case first:
			r.Time = head.Time
			if head.Event != "pipeline" || json.Unmarshal(lines.Bytes(), &r.RunStarted) != nil || !which(r.RunStarted) {
				return r, false, nil
			}
		case head.Event == "stage":
			var e StageEnded
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				r.Stages[e.Stage] = e
			}
		case head.Event == "run":
			r.Ended = new(RunEnded)
			if json.Unmarshal(lines.Bytes(), r.Ended) != nil {
				r.Ended = nil
			}
		}
	}
	return r, true, lines.Err()
}

// Differences tells, node by node, in what the recipes and the data of r are others than those of the run before.
func (r PastRun) Differences(before PastRun) map[string][]string {
	out := map[string][]string{}
	for _, n := range r.Nodes {
		old, had := before.Node(n.Stage)
		if !had {
			out[n.Stage] = []string{"it is new"}
			continue
		}
		out[n.Stage] = n.Recipe.Difference(old.Recipe)
		now, then := r.Stages[n.Stage], before.Stages[n.Stage]
		if len(n.From) == 0 && len(out[n.Stage]) == 0 && now.Digest != "" && then.Digest != "" && now.Digest != then.Digest {
			out[n.Stage] = []string{"the data changed" + rowsChanged(then.Rows, now.Rows)}
		}
		if len(out[n.Stage]) == 0 {
			delete(out, n.Stage)
		}
	}
	for _, n := range before.Nodes {
		if _, has := r.Node(n.Stage); !has {
			out[n.Stage] = []string{"it is gone"}
		}
	}
	return out
}

func rowsChanged(then, now int64) string {
	if then == now {
		return ""
	}
	return fmt.Sprintf(": %d → %d rows", then, now)
}
