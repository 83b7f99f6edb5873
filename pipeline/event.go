package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tlpipe/tlpipe/internal/untrusted"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Event is something that happened in a run. Its JSON form is a line of the
// journal.
type Event interface{ event() }

// StageStarted says that a node began.
type StageStarted struct {
	Event string `json:"event"` // "start"
	Stage string `json:"stage"`
	Uses  string `json:"uses"`
}

// SourceListed says what a source found, before any of its rows is read.
type SourceListed struct {
	Event    string    `json:"event"` // "listed"
	Stage    string    `json:"stage"`
	Overview *Overview `json:"overview"`
}

// ChunkDone says that a chunk is at hand.
type ChunkDone struct {
	Event   string  `json:"event"` // "chunk"
	Stage   string  `json:"stage"`
	Chunk   int     `json:"chunk"` // from 0
	Cached  bool    `json:"cached"`
	Rows    int64   `json:"rows"`
	Rejects int64   `json:"rejects"`
	Seconds float64 `json:"seconds"` // of computing it; 0 if cached
	Key     string  `json:"key"`
	Chunks  int     `json:"-"` // how many the node has; -1 if not known yet
}

// PartDone says that a part of a whole-table stage's work is at hand.
type PartDone struct {
	Event   string  `json:"event"` // "part"
	Stage   string  `json:"stage"`
	Part    string  `json:"part"`
	Cached  bool    `json:"cached"`
	Rows    int64   `json:"rows"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"` // of computing it; 0 if cached
	Key     string  `json:"key"`
}

// FileDerived says that what is derived from a source file, such as the index of an archive, is at hand.
type FileDerived struct {
	Event string `json:"event"` // "derived"
	Stage string `json:"stage"`
	Key   string `json:"key"`
}

// StageProgress says how far a whole-table stage has come.
type StageProgress struct {
	Event string `json:"event"` // "progress"
	Stage string `json:"stage"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // 0 if unknown
	Unit  string `json:"unit"`

	// How far the unit at work has come, if it tells.
	Part     int64  `json:"part,omitempty"`
	Parts    int64  `json:"parts,omitempty"`
	PartUnit string `json:"part_unit,omitempty"`
}

// LogLine is a line for people.
type LogLine struct {
	Event string `json:"event"` // "log"
	Stage string `json:"stage,omitempty"`
	Text  string `json:"text"`
}

// StageEnded says how a node ended. Cache is hit, partial or miss for one
// that ended well, else failed, skipped or interrupted.
type StageEnded struct {
	Event          string  `json:"event"` // "stage"
	Stage          string  `json:"stage"`
	Uses           string  `json:"uses"`
	Cache          string  `json:"cache"`
	Chunks         int     `json:"chunks"`
	ChunksComputed int     `json:"chunks_computed"`
	Parts          int     `json:"parts,omitempty"` // that a whole-table stage at work asked for
	PartsComputed  int     `json:"parts_computed,omitempty"`
	Rows           int64   `json:"rows"`
	Rejects        int64   `json:"rejects"`
	Seconds        float64 `json:"seconds"`
	Cost           float64 `json:"cost"` // seconds that all of its results took, whenever that was; 0 if not known, as of chunks that were at hand
	Digest         string  `json:"digest"`
	Error          string  `json:"error,omitempty"`

	Notes  []string      `json:"notes,omitempty"`  // of what was computed; see Noted
	Shares []cache.Share `json:"shares,omitempty"` // what shares of its work took, whenever that was; see Task.Measured
}

// RunEnded is the last event of a run.
type RunEnded struct {
	Event   string             `json:"event"`  // "run"
	Status  string             `json:"status"` // ok, failed or interrupted
	Seconds float64            `json:"seconds"`
	Run     string             `json:"run"`
	Report  string             `json:"report"`
	Metrics map[string]float64 `json:"metrics"`
	Error   string             `json:"error,omitempty"`
}

func (StageStarted) event()  {}
func (SourceListed) event()  {}
func (ChunkDone) event()     {}
func (PartDone) event()      {}
func (FileDerived) event()   {}
func (StageProgress) event() {}
func (LogLine) event()       {}
func (StageEnded) event()    {}
func (RunEnded) event()      {}

// Journal writes events as JSON lines, each with its time. A journal that can
// no longer be written stops, and tells so at Close: it never stops a run.
type Journal struct {
	mu  sync.Mutex
	out io.WriteCloser
	err error
}

// NewJournal writes to out, which it closes.
func NewJournal(out io.WriteCloser) *Journal { return &Journal{out: out} }

// Write appends an event.
func (j *Journal) Write(e Event) {
	if j == nil {
		return
	}
	raw, err := json.Marshal(e)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil || j.out == nil {
		return
	}
	if err == nil {
		// Every event is an object; the time stands first.
		stamp := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		_, err = fmt.Fprintf(untrusted.NewJSONWriter(j.out), `{"time":%q,%s`+"\n", stamp, raw[1:])
	}
	j.err = err
}

// Close ends the journal.
func (j *Journal) Close() error {
	if j == nil || j.out == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	err := errors.Join(j.err, j.out.Close())
	j.out = nil
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}
