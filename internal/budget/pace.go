package budget

import (
	"sync"
	"time"
)

// Pace is the least progress that must be made: Least units in each Window.
type Pace struct {
	Window time.Duration
	Least  int64
}

// Watch calls stop once when too little progress was made in a window. progress tells it of some; end ends the watch.
func (p Pace) Watch(stop func()) (progress func(n int64), end func()) {
	var (
		mu    sync.Mutex
		since int64
		ended bool
		timer *time.Timer
	)
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ended:
		case since < max(p.Least, 1):
			ended = true
			stop()
		default:
			since = 0
			timer.Reset(p.Window)
		}
	}
	mu.Lock()
	timer = time.AfterFunc(p.Window, look)
	mu.Unlock()
	progress = func(n int64) {
		mu.Lock()
		since += n
		mu.Unlock()
	}
	end = func() {
		mu.Lock()
		ended = true
		timer.Stop()
		mu.Unlock()
	}
	return progress, end
}
