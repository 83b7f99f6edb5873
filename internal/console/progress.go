package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/tlpipe/tlpipe/pipeline"
)

// Progress shows a run to people. Observe is called with one event at a time.
type Progress interface {
	Observe(pipeline.Event)
	// Say prints a line; it may be called at any time.
	Say(text string)
	// Close takes what is live off the screen.
	Close()
}

// NewProgress shows a run of the named stages on f: with live bars if it is a
// terminal.
func NewProgress(f *os.File, stages []string) Progress {
	if term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return newBars(f, stages)
	}
	return NewLines(f)
}

// Lines is the Progress of logs and pipes: a line when a stage ends, and for
// long stages one every half minute.
type Lines struct {
	out    io.Writer
	every  time.Duration
	stages map[string]*tally
	now    func() time.Time
	listed overviews
}

// lineEvery is how often a line tells of what takes long.
const lineEvery = 30 * time.Second

// NewLines writes to out.
func NewLines(out io.Writer) *Lines {
	return &Lines{out: out, every: lineEvery, stages: map[string]*tally{}, now: time.Now, listed: overviews{}}
}

// Observe implements Progress.
func (l *Lines) Observe(event pipeline.Event) {
	switch e := event.(type) {
	case pipeline.LogLine:
		l.Say(logText(e))
	case pipeline.SourceListed:
		for _, line := range l.listed.lines(e) {
			l.Say(line)
		}
	case pipeline.StageEnded:
		l.Say(endText(e))
		delete(l.stages, e.Stage)
	default:
		stage, ok := stageOf(event)
		if !ok {
			return
		}
		t, known := l.stages[stage]
		if !known {
			t = &tally{told: l.now()}
			l.stages[stage] = t
		}
		t.count(event, l.now())
		if l.now().Sub(t.told) >= l.every {
			t.told = l.now()
			l.Say(stage + ": " + t.text(l.now()))
		}
	}
}

// Say implements Progress.
func (l *Lines) Say(text string) { fmt.Fprintln(l.out, Line(text)) }

// Close implements Progress.
func (l *Lines) Close() {}

// stageOf names the stage that an event says has come further.
func stageOf(event pipeline.Event) (string, bool) {
	switch e := event.(type) {
	case pipeline.ChunkDone:
		return e.Stage, true
	case pipeline.StageProgress:
		return e.Stage, true
	}
	return "", false
}

// tally counts what a stage has done, and how fast.
type tally struct {
	told time.Time // when people were last told

	done, total int64  // chunks, or units of the stage's choice; total 0 if unknown
	part, parts int64  // of the unit at work; parts 0 if it does not tell
	partUnit    string // of those
	unit        string // "" for chunks
	rows        int64  // computed, not cached

	started time.Time // of the work that rates are measured on
	before  float64   // progress when it started
	last    time.Time // when something was done last
}

func (t *tally) count(event pipeline.Event, now time.Time) {
	t.last = now
	switch e := event.(type) {
	case pipeline.ChunkDone:
		if t.unit != "" {
			return // the stage tells more of itself
		}
		t.done++
		t.total = int64(max(e.Chunks, 0))
		if e.Cached {
			return
		}
		if t.started.IsZero() {
			// The chunk was begun as long ago as it took.
			t.started = now.Add(-time.Duration(e.Seconds * float64(time.Second)))
			t.before = float64(t.done - 1)
		}
		t.rows += e.Rows + e.Rejects
	case pipeline.StageProgress:
		anew := t.started.IsZero() || t.unit != e.Unit
		t.done, t.total, t.unit = e.Done, e.Total, e.Unit
		t.part, t.parts, t.partUnit = e.Part, e.Parts, e.PartUnit
		if anew {
			t.started, t.before = now, t.progress()
		}
	}
}

// progress is how many units are done, with the share of the one at work.
func (t *tally) progress() float64 {
	if t.parts <= 0 {
		return float64(t.done)
	}
	return float64(t.done) + min(float64(t.part)/float64(t.parts), 1)
}

// text says how far it is: "12 of 40 chunks, 310 rows/s, 1m02s left".
func (t *tally) text(now time.Time) string {
	unit := t.unit
	if unit == "" {
		unit = "chunk"
	}
	var parts []string
	switch {
	case t.done == 0 && t.total == 0 && t.parts == 0:
		return ""
	case t.total > 0 && t.unit == "":
		parts = append(parts, fmt.Sprintf("%d of %s", t.done, Of(t.total, unit)))
	case t.parts > 0 && t.total > 0:
		parts = append(parts, fmt.Sprintf("%s %d of %d, %s %s of %s", unit, t.done+1, t.total, t.partUnit, Count(t.part), Count(t.parts)))
	case t.total > 0:
		parts = append(parts, fmt.Sprintf("%s %d of %d", unit, t.done, t.total))
	default:
		parts = append(parts, Of(t.done, unit))
	}
	// Up to what was done last: while a piece is at work, the time left becomes less, not more.
	elapsed, since := t.last.Sub(t.started).Seconds(), now.Sub(t.last).Seconds()
	if t.started.IsZero() || elapsed <= 0 {
		return parts[0]
	}
	if t.rows > 0 {
		parts = append(parts, rate(float64(t.rows)/elapsed)+" rows/s")
	}
	if worked, left := t.progress()-t.before, float64(t.total)-t.progress(); worked > 0 && left > 0 {
		each := elapsed / worked
		if t.unit != "" && t.parts == 0 {
			parts = append(parts, Seconds(each)+" each")
		}
		parts = append(parts, Seconds(each*left-min(since, each*min(left, 1)))+" left")
	}
	return strings.Join(parts, ", ")
}

func rate(x float64) string {
	if x < 10 {
		return fmt.Sprintf("%.1f", x)
	}
	return Count(int64(x + 0.5))
}

func logText(e pipeline.LogLine) string {
	if e.Stage == "" {
		return e.Text
	}
	return e.Stage + ": " + e.Text
}

// endText says how a stage ended, in one line.
func endText(e pipeline.StageEnded) string {
	var parts []string
	switch e.Cache {
	case "hit":
		parts = append(parts, "cached")
	case "partial", "miss":
		if e.Chunks > 1 {
			parts = append(parts, fmt.Sprintf("%s of %s computed", Count(int64(e.ChunksComputed)), Of(int64(e.Chunks), "chunk")))
		} else {
			parts = append(parts, "computed")
		}
	case "failed":
		return e.Stage + ": failed: " + firstLine(e.Error)
	case "skipped":
		return e.Stage + ": not run"
	default:
		if e.Chunks == 0 {
			return e.Stage + ": " + e.Cache
		}
		return fmt.Sprintf("%s: %s, %s of %s computed", e.Stage, e.Cache, Count(int64(e.ChunksComputed)), Of(int64(e.Chunks), "chunk"))
	}
	parts = append(parts, Of(e.Rows, "row"))
	if e.Rejects > 0 {
		parts = append(parts, Count(e.Rejects)+" rejected")
	}
	if e.Parts > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s computed", Count(int64(e.PartsComputed)), Of(int64(e.Parts), "part")))
	}
	if e.Cache != "hit" {
		parts = append(parts, Seconds(e.Seconds))
	}
	return e.Stage + ": " + strings.Join(parts, ", ")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
