package console

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"golang.org/x/term"
)

// Transfer shows how far a file has come: a live bar where there is a
// terminal, elsewhere a line every half minute. Its methods may be called from
// several goroutines.
type Transfer struct {
	name string
	out  io.Writer
	bars *mpb.Progress // nil where there is no terminal
	bar  *mpb.Bar
	now  func() time.Time

	mu          sync.Mutex
	mark              // now
	total       int64 // -1 if it is not known
	since, next mark  // rates are measured since the one, and then since the other
	told        time.Time
}

// mark is how far a transfer was at some time.
type mark struct {
	at   time.Time
	done int64
}

// rateOver is how long rates are measured over, at least and at most twice that: so that a pause is
// soon forgotten.
const rateOver = 10 * time.Second

// NewTransfer shows the transfer of the named file on f.
func NewTransfer(f *os.File, name string) *Transfer {
	t := newTransfer(f, name)
	if term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		t.bars = mpb.New(mpb.WithOutput(f), mpb.WithRefreshRate(100*time.Millisecond))
		t.out = t.bars
	}
	return t
}

func newTransfer(out io.Writer, name string) *Transfer {
	return &Transfer{name: Line(name), out: out, now: time.Now}
}

// Show says that done of total bytes are there; total is -1 if it is not known.
// What is there at the first call was there before.
func (t *Transfer) Show(done, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	before := t.mark
	t.mark, t.total = mark{now, done}, total
	switch {
	case before.at.IsZero() || done < before.done: // it starts, or starts over
		t.since, t.next, t.told = t.mark, t.mark, now
	case now.Sub(t.next.at) >= rateOver:
		t.since, t.next = t.next, t.mark
	}
	if t.bars == nil {
		if now.Sub(t.told) >= lineEvery {
			t.told = now
			fmt.Fprintln(t.out, t.name+": "+t.text(now))
		}
		return
	}
	if t.bar == nil {
		t.bar = newBar(t.bars, 0, t.name, func() string {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.text(t.now())
		})
	}
	if total > 0 {
		t.bar.SetTotal(total, false)
	}
	t.bar.SetCurrent(done)
}

// Say prints a line.
func (t *Transfer) Say(format string, args ...any) {
	text := Line(t.name + ": " + fmt.Sprintf(format, args...))
	if t.bars != nil {
		text = "\r" + text // the terminal may have written ^C there
	}
	fmt.Fprintln(t.out, text)
}

// Close takes the bar off the screen.
func (t *Transfer) Close() {
	if t.bars == nil {
		return
	}
	if t.bar != nil {
		t.bar.Abort(true)
	}
	t.bars.Wait()
}

// text says how far it is: "12 MB of 98 MB, 5.1 MB/s, 17s left".
func (t *Transfer) text(now time.Time) string {
	text := Bytes(t.done)
	if t.total > 0 {
		text += " of " + Bytes(t.total)
	}
	elapsed, came := now.Sub(t.since.at).Seconds(), float64(t.done-t.since.done)
	if elapsed <= 0 || came <= 0 {
		return text
	}
	text += ", " + Bytes(int64(came/elapsed)) + "/s"
	if t.total > t.done {
		text += ", " + Seconds(float64(t.total-t.done)/came*elapsed) + " left"
	}
	return text
}
