package kernel

import "sync"

// span is an operation over a range of rows or elements, cut into pieces of equal length. The
// pieces depend on the shape alone, so that sums over them do not depend on the threads.
type span struct {
	count, grain int
	body         func(s *span, lo, hi int)
	bodyScratch  func(s *span, scratch []float32, lo, hi int)
	perWorker    int // floats of scratch

	set                isa
	dst                []float32
	halves             []BFloat16
	bytes, bytes2      []uint8
	table              *[256]uint8
	x, y, z, u, v      []float32
	n, h, w, columns   int
	low, high, epsilon float32
	act                Activation
	flag               bool
	conv               Conv
	pooling            Pooling
	pool               operation // of a pooling
	row                func(dst, x, y []float32)
	addRows            func(s *span, sum []float32, lo, hi int)

	partial []float32 // scratch, kept from one operation to the next
}

var spans = sync.Pool{New: func() any { return new(span) }}

func takeSpan() *span { return spans.Get().(*span) }

// giveBack lets go of the tensors and keeps the frame for the next operation.
func (s *span) giveBack() {
	*s = span{partial: s.partial}
	spans.Put(s)
}

// over runs body on [0, count) in pieces of grain.
func (s *span) over(pool *Pool, count, grain int, body func(s *span, lo, hi int)) {
	s.count, s.grain, s.body = count, max(grain, 1), body
	pool.run(ceilDiv(count, s.grain), s)
}

func (s *span) do(worker, i int) {
	lo, hi := i*s.grain, min((i+1)*s.grain, s.count)
	if s.perWorker == 0 {
		s.body(s, lo, hi)
	} else {
		s.bodyScratch(s, s.partial[worker*s.perWorker:][:s.perWorker], lo, hi)
	}
}

// overScratch is over with so many floats of scratch for each run of body.
func (s *span) overScratch(pool *Pool, count, grain, floats int, body func(s *span, scratch []float32, lo, hi int)) {
	s.perWorker = max(roundUp(floats, 16), 16)
	s.bodyScratch = body
	s.scratch(pool.Threads() * s.perWorker)
	s.over(pool, count, grain, nil)
}

// scratch returns n floats of the frame's own.
func (s *span) scratch(n int) []float32 {
	if len(s.partial) < n {
		s.partial = aligned(n)
	}
	return s.partial[:n]
}

// grainFloats is the work of a piece that is worth handing to a thread.
const grainFloats = 16 << 10

// rowGrain returns how many rows make a piece.
func rowGrain(columns int) int { return max(grainFloats/max(columns, 1), 1) }
