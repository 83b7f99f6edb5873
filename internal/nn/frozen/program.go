package frozen

import (
	"fmt"
	"time"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Program is a compiled network.
type Program struct {
	input   nn.Shape
	outputs []output
	steps   []step
	layers  []string // of the steps
	arena   int      // floats an example
	halves  int      // bfloat16 numbers an example
}

// output is a value that leaves the program.
type output struct {
	shape nn.Shape
	from  view
}

// InputShape returns the shape of an example.
func (p *Program) InputShape() nn.Shape { return p.input }

// OutputShape returns the shape of output i, in the order given to [Compile].
func (p *Program) OutputShape(i int) nn.Shape { return p.outputs[i].shape }

// Outputs returns the number of outputs.
func (p *Program) Outputs() int { return len(p.outputs) }

// WeightBytes returns the memory of the packed weights.
func (p *Program) WeightBytes() int {
	n := 0
	for _, s := range p.steps {
		n += s.bytes()
	}
	return n
}

// ArenaBytes returns the memory that a session needs for each example it computes at once, the
// kernels' workspace apart.
func (p *Program) ArenaBytes() int { return 4*p.arena + 2*p.halves }

// Session is the memory to run a program; one goroutine uses it at a time.
type Session struct {
	program   *Program
	batch     int
	arena     []float32
	halves    []kernel.BFloat16
	workspace kernel.Workspace
	frame     frame           // kept here so that a run allocates nothing
	took      []time.Duration // of the steps, when they are measured
}

// NewSession makes a session that computes up to batch examples at once; larger batches are
// computed in parts, with the same result.
func (p *Program) NewSession(batch int) *Session {
	batch = max(batch, 1)
	return &Session{
		program: p, batch: batch,
		arena: make([]float32, batch*p.arena), halves: make([]kernel.BFloat16, batch*p.halves),
	}
}

// Run computes n examples: src is [n][input shape], dst[i] is [n][shape of output i]. Every output
// must be given. pool may be nil, for the calling goroutine alone. A slice of the wrong length is
// an error.
func (s *Session) Run(pool *kernel.Pool, src []float32, n int, dst ...[]float32) error {
	p := s.program
	if want := n * p.input.Size(); len(src) != want {
		return fmt.Errorf("run a network: input has %d numbers, %d examples of %v need %d", len(src), n, p.input, want)
	}
	if len(dst) != len(p.outputs) {
		return fmt.Errorf("run a network: %d outputs given, want %d", len(dst), len(p.outputs))
	}
	for i, o := range p.outputs {
		if want := n * o.shape.Size(); len(dst[i]) != want {
			return fmt.Errorf("run a network: output %d has %d numbers, %d examples of %v need %d", i, len(dst[i]), n, o.shape, want)
		}
	}
	for done := 0; done < n; done += s.batch {
		m := min(s.batch, n-done)
		f := &s.frame
		*f = frame{session: s, pool: pool, n: m, src: src[done*p.input.Size():][:m*p.input.Size()]}
		if s.took != nil {
			f.timed(s.took)
		} else {
			for _, step := range p.steps {
				step.run(f)
			}
		}
		for i, o := range p.outputs {
			size := o.shape.Size()
			f.gather(dst[i][done*size:][:m*size], o.from)
		}
	}
	s.frame = frame{} // keep no tensor alive
	return nil
}

// frame is a run in progress.
type frame struct {
	session *Session
	pool    *kernel.Pool
	n       int // examples
	src     []float32
}

// view says where a value lies: in the network's input or in a buffer, whole or as a band of
// channels.
type view struct {
	input    bool
	half     bool // in the arena of bfloat16
	offset   int  // of the buffer in the arena, in elements an example
	channel  int  // first channel of the band
	pitch    int  // channels of the buffer
	channels int  // of the value
	pixels   int  // of an example
}

// dense tells whether the value's channels fill the buffer's.
func (v view) dense() bool { return v.pitch == v.channels }

// slice returns the value's memory, from its first channel on.
func (f *frame) slice(v view) []float32 {
	if v.input {
		return f.src
	}
	size := f.n * v.pixels * v.pitch
	return f.session.arena[f.session.batch*v.offset:][:size][v.channel:]
}

// halves is slice for a value of bfloat16, which is dense.
func (f *frame) halves(v view) []kernel.BFloat16 {
	return f.session.halves[f.session.batch*v.offset:][:f.n*v.pixels*v.channels]
}

// gather copies a value into a dense tensor.
func (f *frame) gather(dst []float32, v view) {
	src := f.slice(v)
	if v.dense() {
		copy(dst, src[:len(dst)])
		return
	}
	for i := range f.n * v.pixels {
		copy(dst[i*v.channels:(i+1)*v.channels], src[i*v.pitch:])
	}
}
