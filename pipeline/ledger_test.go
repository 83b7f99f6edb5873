package pipeline

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// A part that was at hand counts as what it cost, once, less what getting it
// took; one that was computed is in the work's own time already.
func TestLedger(t *testing.T) {
	var l ledger
	l.note(cache.Entry{Key: "computed", Parts: []string{"within"}, Cost: 100}, true, 100*time.Second)
	l.note(cache.Entry{Key: "within", Cost: 40}, false, time.Second)
	l.note(cache.Entry{Key: "at hand", Parts: []string{"its own"}, Cost: 10}, false, 2*time.Second)
	l.note(cache.Entry{Key: "at hand", Parts: []string{"its own"}, Cost: 10}, false, time.Second)
	l.note(cache.Entry{Key: "its own", Cost: 5}, false, time.Second)
	l.note(cache.Entry{Key: "waited for", Cost: 3}, false, 4*time.Second)
	e := cache.Entry{}
	l.close(&e)
	if math.Abs(e.Cost-8) > 1e-9 {
		t.Errorf("%v seconds were spared, not 8", e.Cost)
	}
	if want := []string{"at hand", "computed", "its own", "waited for", "within"}; !slices.Equal(e.Parts, want) {
		t.Errorf("parts %q, want %q", e.Parts, want)
	}
}
