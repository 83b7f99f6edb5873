package console

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"
)

// Counter shows on a terminal how far one long piece of work has come;
// elsewhere it shows nothing.
type Counter struct {
	f     *os.File
	thing string
	last  time.Time
	shown bool
}

// NewCounter counts things on f.
func NewCounter(f *os.File, thing string) *Counter {
	return &Counter{f: f, thing: thing}
}

// Show says that done of total things are done.
func (c *Counter) Show(done, total int) {
	if !term.IsTerminal(int(c.f.Fd())) || time.Since(c.last) < 100*time.Millisecond {
		return
	}
	c.last, c.shown = time.Now(), true
	fmt.Fprintf(c.f, "\r%d of %s ", done, Of(int64(total), c.thing))
}

// Close takes the count off the screen.
func (c *Counter) Close() {
	if c.shown {
		fmt.Fprint(c.f, "\r\x1b[K")
	}
}
