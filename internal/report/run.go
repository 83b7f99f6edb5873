package report

import (
	"time"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Run is a pipeline and what became of it.
type Run struct {
	Pipeline string // name
	File     string // the pipeline's YAML; may be empty
	ID       string
	Status   string // ok, failed or interrupted
	Started  time.Time
	Seconds  float64
	Seed     uint64
	Version  string // of tlpipe; may be empty
	Nodes    []Node // each after those it takes from
}

// Node is a stage, or one instance of it in the matrix.
type Node struct {
	Name        string // unique: "features[weights=random]"
	Stage       string // as declared: "features"
	Uses        string // the kind
	Coordinates pipeline.Coordinates

	State          State
	Error          string // of a failed node
	Chunks         int    // 0 if it is not cut into chunks
	ChunksComputed int
	Rows           int64         // of the first output
	Rejected       int64         // number of rows that could not be used
	Seconds        float64       // of this run
	Cost           float64       // seconds that computing its outputs took, whenever that was; 0 if not known
	Shares         []cache.Share // what shares of that took, such as candidates
	Recipe         string        // digest of all that decides the outputs but the inputs; may be empty
	Digest         string        // of the content of the first output; empty if there is none

	Notes    []string           // what the stage would have a user know
	Overview *pipeline.Overview // what a source found; nil for other stages
	Params   []params.Value
	Inputs   []Link

	// Outputs by port, and the table of rejected rows; absent for nodes that
	// did not end well.
	Outputs map[string]pipeline.Input
	Rejects pipeline.Input
}

// Link says where an input port takes from.
type Link struct {
	Port     string
	From     string // the name of a node
	FromPort string
}

// State is what became of a node.
type State string

// The states of a node, as the events of a run spell them.
const (
	Hit         State = "hit"     // everything was in the cache
	Partial     State = "partial" // some chunks were
	Computed    State = "miss"    // nothing was
	Failed      State = "failed"
	Skipped     State = "skipped" // something that it takes from failed
	Interrupted State = "interrupted"
	Unknown     State = "" // it has not run
)

// words says a state in words.
func (s State) words() string {
	switch s {
	case Hit:
		return "cached"
	case Partial:
		return "partly cached"
	case Computed:
		return "computed"
	case Unknown:
		return ""
	default:
		return string(s)
	}
}

// class is the state's name in style sheets.
func (s State) class() string {
	switch s {
	case Hit, Partial, Failed, Skipped, Interrupted:
		return string(s)
	case Computed:
		return "computed"
	default:
		return "unknown"
	}
}

func (r Run) node(name string) *Node {
	for i := range r.Nodes {
		if r.Nodes[i].Name == name {
			return &r.Nodes[i]
		}
	}
	return nil
}
