package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Latest is what the newest run of a pipeline used, node by node. Plans say
// what changed since, and garbage collection keeps what it names.
type Latest struct {
	Pipeline string       `json:"pipeline"` // the pipeline's name
	File     string       `json:"file"`     // its YAML file, absolute
	Run      string       `json:"run"`
	Time     time.Time    `json:"time"`
	Nodes    []LatestNode `json:"nodes"`

	// Unfinished holds what there is of nodes that did not end well, by name,
	// recipe and keys alone: a later run goes on from it.
	Unfinished []LatestNode `json:"unfinished,omitempty"`
}

// LatestNode is one node of the newest run.
type LatestNode struct {
	Name    string             `json:"name"`
	Stage   string             `json:"stage"`  // the kind
	Recipe  string             `json:"recipe"` // digest; the store has the pre-image
	Inputs  []InputRef         `json:"inputs"`
	Keys    []string           `json:"keys"` // of its entries: one, or one a chunk
	Outputs map[string][]Chunk `json:"outputs"`
}

// Node returns the node of that name.
func (l Latest) Node(name string) (LatestNode, bool) { return named(l.Nodes, name) }

// UnfinishedNode returns what there is of the node of that name.
func (l Latest) UnfinishedNode(name string) (LatestNode, bool) { return named(l.Unfinished, name) }

func named(nodes []LatestNode, name string) (LatestNode, bool) {
	for _, n := range nodes {
		if n.Name == name {
			return n, true
		}
	}
	return LatestNode{}, false
}

// PipelineID names a pipeline in the cache: by its name and where its file is.
func PipelineID(name, file string) string {
	return Preimage{{"pipeline", name}, {"file", file}}.Digest()
}

// Latest reads the record of a pipeline; ErrMissing if it never ran, or if
// the record cannot be read.
func (s *Store) Latest(id string) (Latest, error) {
	l, err := s.latest(id)
	if err != nil {
		return Latest{}, ErrMissing
	}
	return l, nil
}

// latest is Latest that tells a damaged record from none.
func (s *Store) latest(id string) (l Latest, err error) {
	raw, err := s.readFile(filepath.Join(s.dir, "latest", id))
	switch {
	case isMissing(err):
		return l, ErrMissing
	case err == nil && unseal(raw, &l) != nil:
		err = ErrCorrupt
	}
	if err != nil {
		return Latest{}, fmt.Errorf("the record latest/%s of a pipeline's newest run cannot be read: %w", short(id), err)
	}
	return l, nil
}

// SaveLatest replaces the record of a pipeline.
func (s *Store) SaveLatest(id string, l Latest) error {
	raw, err := seal(l)
	if err != nil {
		return fmt.Errorf("record the run of %s: %w", l.Pipeline, err)
	}
	if err := s.writeFile(filepath.Join(s.dir, "latest", id), true, raw); err != nil {
		return fmt.Errorf("record the run of %s: %w", l.Pipeline, err)
	}
	return nil
}

// Checkpoint is the resumable state of the work on one key.
type Checkpoint struct {
	store *Store
	path  string
}

// Checkpoint returns the place for the state of the work on a key.
func (s *Store) Checkpoint(key string) *Checkpoint {
	return &Checkpoint{store: s, path: filepath.Join(s.dir, "checkpoints", key)}
}

// Load returns the newest saved state. A damaged one counts as none.
func (c *Checkpoint) Load() ([]byte, bool, error) {
	raw, err := c.store.readFile(c.path)
	if isMissing(err) || errors.Is(err, ErrCorrupt) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read a checkpoint: %w", err)
	}
	const digest = 64
	if len(raw) < digest || sum(raw[digest:]) != string(raw[:digest]) {
		return nil, false, nil
	}
	return raw[digest:], true, nil
}

// Save replaces the state, atomically.
func (c *Checkpoint) Save(state []byte) error {
	if err := c.store.writeFile(c.path, true, []byte(sum(state)), state); err != nil {
		return fmt.Errorf("save a checkpoint: %w", err)
	}
	return nil
}

// Remove drops the state, when the work is done.
func (c *Checkpoint) Remove() { _ = c.store.fs.Remove(c.path) }

// RunDir makes and returns the folder of a run: its journal and report.
func (s *Store) RunDir(run string) (string, error) {
	dir := filepath.Join(s.dir, "runs", run)
	if err := s.makeDir(dir); err != nil {
		return "", fmt.Errorf("make the run's folder: %w", err)
	}
	return dir, nil
}

// Runs lists the runs on record, oldest first.
func (s *Store) Runs() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "runs"))
	if err != nil && !isMissing(err) {
		return nil, fmt.Errorf("list the runs: %w", err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, nil
}
