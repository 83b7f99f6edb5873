package budgettest

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

var sink []byte

func TestWithin(t *testing.T) {
	var r recorder
	Within(&r, 1000, func() { sink = make([]byte, 1<<20) })
	if r.failed {
		t.Error("a megabyte is too much")
	}
	Within(&r, 1000, func() { sink = make([]byte, 200<<20) })
	if !r.failed {
		t.Error("200 MB for 1000 bytes are not too much")
	}
	sink = nil
}

func TestTime(t *testing.T) {
	if processorTime() == 0 {
		t.Skip("processor time is not known")
	}
	busy := func() {
		for begin := processorTime(); processorTime()-begin < 5*time.Millisecond; {
			continue
		}
	}
	var r recorder
	Cost{Memory: 1 << 30, Time: time.Minute}.Bounds(&r, busy)
	if r.failed {
		t.Error("some milliseconds are too much for a minute")
	}
	Cost{Memory: 1 << 30, Time: time.Millisecond}.Bounds(&r, busy)
	if !r.failed {
		t.Error("five milliseconds are not too much for one")
	}
}

func TestDamaged(t *testing.T) {
	seed := bytes.Repeat([]byte("seed"), 100)
	random := rand.New(rand.NewPCG(1, 1))
	changed := 0
	for range 100 {
		if !bytes.Equal(damaged(random, seed, [][]byte{seed}), seed) {
			changed++
		}
	}
	if changed < 90 || string(seed[:8]) != "seedseed" {
		t.Errorf("%d of 100 are changed", changed)
	}
}
