package pipeline

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// A share has the heap's peak and the time of its parts, also of those that were at hand.
func TestMeasuredShares(t *testing.T) {
	var l ledger
	const size = 64 << 20
	wrong := errors.New("wrong")
	if err := l.measured("large", func() error {
		block := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			block[i] = 1
		}
		time.Sleep(30 * time.Millisecond)
		runtime.KeepAlive(block)
		return wrong
	}); err != wrong {
		t.Errorf("%v", err)
	}
	if err := l.measured("small", func() error { return nil }); err != nil {
		t.Error(err)
	}
	if err := l.measured("at hand", func() error {
		l.note(cache.Entry{Key: "a", Cost: 100, Peak: 1 << 40}, false, 0)
		return nil
	}); err != nil {
		t.Error(err)
	}
	e := cache.Entry{}
	l.close(&e)
	if len(e.Shares) != 3 || e.Shares[0].Name != "large" || e.Shares[0].Seconds < 0.03 {
		t.Fatalf("shares %+v", e.Shares)
	}
	if e.Shares[0].Peak < e.Shares[1].Peak+size/2 {
		t.Errorf("peaks %d and %d, of which one has %d more", e.Shares[0].Peak, e.Shares[1].Peak, size)
	}
	if s := e.Shares[2]; s.Peak != 1<<40 || s.Seconds < 100 || s.Seconds > 150 {
		t.Errorf("of a part at hand: %+v", s)
	}
	var task Task
	if err := task.Measured("anything", func() error { return wrong }); err != wrong {
		t.Errorf("a task without a runner: %v", err)
	}
}
