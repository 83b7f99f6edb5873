package frozen

import (
	"fmt"
	"time"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Program is a compiled network.
type Program struct {
	inputs  []Port
	ids     []int // by input: those of int32 count from 0 to this, exclusive
	outputs []output
	steps   []step
	layers  []string // of the steps
	rows    []bool   // by step: what it puts out is a row a token, of tokens that vary
	single  int      // steps that compute one example after the other
	batch   sizes    // of the arena of a batch, for one example
	thread  sizes    // of the arena of a thread, for the single steps

	packed bool // an axis varies: see [Session.RunSequences]
	most   int  // tokens that there are positions for; 0: any number
}

// sizes counts the elements of an arena, by type.
type sizes [3]int

func (s sizes) bytes() int {
	n := 0
	for e, count := range s {
		n += count * element(e).size()
	}
	return n
}

// Port is an input or output of a program.
type Port struct {
	Name    string // of the layer
	Shape   nn.Shape
	Element nn.Element
}

// output is a value that leaves the program.
type output struct {
	Port
	from view
}

// Inputs lists the inputs, in the order of the network.
func (p *Program) Inputs() []Port { return p.inputs }

// InputShape returns the shape of an example for the first input, of most programs the only one.
func (p *Program) InputShape() nn.Shape { return p.inputs[0].Shape }

// OutputShape returns the shape of output i, in the order given to [Compile].
func (p *Program) OutputShape(i int) nn.Shape { return p.outputs[i].Shape }

// oneInput returns an error unless the program takes one input, of float32.
func (p *Program) oneInput() error {
	if len(p.inputs) != 1 || p.inputs[0].Element != nn.Float32 {
		return fmt.Errorf("it has inputs %v, want one of float32", p.inputs)
	}
	return nil
}

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
func (p *Program) ArenaBytes() int { return p.batch.bytes() }

// AtOnce is how many examples to compute at once, at most so many: fewer where
// maps are large.
func (p *Program) AtOnce(most int) int {
	const memory = 256 << 20
	return min(max(memory/max(p.ArenaBytes(), 1), 1), most)
}

// Session is the memory to run a program; one goroutine uses it at a time.
type Session struct {
	program *Program
	batch   int
	arena   arena
	took    []time.Duration // of the steps, when they are measured

	// Kept here so that a run allocates nothing.
	frames  []*frame // by thread
	threads int
	one     [1]nn.Values              // the only input, whole
	source  []nn.Values               // by input
	alone   func(thread, example int) // computes the single steps

	lengths   []int             // of the examples, if they are padded to the axis' length
	sequences []kernel.Sequence // of the examples, if tokens vary
}

// arena is memory for values.
type arena struct {
	floats    []float32
	bfloat16s []kernel.BFloat16
	uint8s    []uint8
}

func newArena(n int, s sizes) arena {
	return arena{kernel.Memory(n * s[floats]), make([]kernel.BFloat16, n*s[bfloat16s]), make([]uint8, n*s[uint8s])}
}

// NewSession makes a session that computes up to batch examples at once; larger batches are
// computed in parts, with the same result.
func (p *Program) NewSession(batch int) *Session {
	batch = max(batch, 1)
	s := &Session{program: p, batch: batch, arena: newArena(batch, p.batch), source: make([]nn.Values, len(p.inputs))}
	s.alone = func(thread, example int) {
		f := s.frames[thread]
		f.pool, f.n, f.example = nil, 1, example
		f.run(0, p.single)
	}
	return s
}

// Bytes returns the memory the session holds now: its arenas and what the kernels' workspaces have
// grown to, without the program's weights.
func (s *Session) Bytes() int {
	n := s.batch * s.program.batch.bytes()
	for _, f := range s.frames {
		n += s.program.thread.bytes() + f.workspace.Bytes()
	}
	return n
}

// Run computes n examples of a program with one input, of float32: src is [n][input shape], dst[i] is
// [n][shape of output i]. Every output must be given. pool may be nil, for the calling goroutine alone. A
// slice of the wrong length is an error.
func (s *Session) Run(pool *kernel.Pool, src []float32, n int, dst ...[]float32) error {
	if err := s.program.oneInput(); err != nil {
		return fmt.Errorf("run a network: %w", err)
	}
	s.one[0] = nn.Values{Float32: src}
	defer clear(s.one[:])
	return s.run(pool, n, nil, s.one[:], dst)
}

// RunBatch computes n examples of inputs by name, [n][shape], and writes the outputs by name, [n][shape].
// Every input and output must be given; others are ignored. It is otherwise as [Session.Run].
func (s *Session) RunBatch(pool *kernel.Pool, n int, inputs, outputs nn.Batch) error {
	return s.runBatch(pool, n, nil, inputs, outputs)
}

// runBatch finds inputs and outputs by name.
func (s *Session) runBatch(pool *kernel.Pool, n int, lengths []int, inputs, outputs nn.Batch) error {
	p := s.program
	in, dst := make([]nn.Values, len(p.inputs)), make([][]float32, len(p.outputs))
	for i, port := range p.inputs {
		values, ok := inputs[port.Name]
		if !ok {
			return fmt.Errorf("run a network: input %q is not given", port.Name)
		}
		in[i] = values
	}
	for i, o := range p.outputs {
		values, ok := outputs[o.Name]
		if !ok {
			return fmt.Errorf("run a network: there is no place for output %q", o.Name)
		}
		dst[i] = values.Float32
	}
	return s.run(pool, n, lengths, in, dst)
}

func (s *Session) run(pool *kernel.Pool, n int, lengths []int, in []nn.Values, dst [][]float32) error {
	p := s.program
	if err := p.checkLengths(n, lengths); err != nil {
		return fmt.Errorf("run a network: %w", err)
	}
	if p.packed {
		return s.runPacked(pool, lengths, in, dst)
	}
	for i, port := range p.inputs {
		if got, want := in[i].Len(port.Element), n*port.Shape.Size(); got != want {
			return fmt.Errorf("run a network: input %q has %d numbers of %v, %d examples of %v need %d", port.Name, got, port.Element, n, port.Shape, want)
		}
	}
	if err := p.checkIDs(in); err != nil {
		return fmt.Errorf("run a network: %w", err)
	}
	if len(dst) != len(p.outputs) {
		return fmt.Errorf("run a network: %d outputs given, want %d", len(dst), len(p.outputs))
	}
	for i, o := range p.outputs {
		if want := n * o.Shape.Size(); len(dst[i]) != want {
			return fmt.Errorf("run a network: output %q has %d numbers, %d examples of %v need %d", o.Name, len(dst[i]), n, o.Shape, want)
		}
	}
	defer clear(s.source) // keep no tensor alive
	for done := 0; done < n; done += s.batch {
		m := min(s.batch, n-done)
		for i, port := range p.inputs {
			size := port.Shape.Size()
			s.source[i] = in[i].Part(port.Element, done*size, (done+m)*size)
		}
		if lengths != nil {
			s.lengths = lengths[done : done+m]
		}
		f := s.compute(pool, m)
		s.lengths = nil
		for i, o := range p.outputs {
			size := o.Shape.Size()
			f.gather(dst[i][done*size:][:m*size], o.from)
		}
	}
	return nil
}

// checkIDs sees to it that ids are rows of the tables that they are looked up in.
func (p *Program) checkIDs(in []nn.Values) error {
	for i, port := range p.inputs {
		if port.Element != nn.Int32 {
			continue
		}
		for at, id := range in[i].Int32 {
			if id < 0 || int(id) >= p.ids[i] {
				if p.packed {
					return fmt.Errorf("input %q: token %d has the id %d, of %d there are", port.Name, at, id, p.ids[i])
				}
				return fmt.Errorf("input %q: example %d has the id %d, of %d there are", port.Name, at/port.Shape.Size(), id, p.ids[i])
			}
		}
	}
	return nil
}

// compute runs all steps for n examples. While there are as many examples as threads, each thread
// takes one through the single steps; all threads together take the rest, and then the batch through
// the other steps.
func (s *Session) compute(pool *kernel.Pool, n int) *frame {
	threads, p := pool.Threads(), s.program
	s.threads = threads
	for len(s.frames) < threads {
		s.frames = append(s.frames, &frame{session: s, arena: newArena(1, p.thread)})
	}
	f := s.frames[0]
	if p.single > 0 {
		alone := 0
		if threads > 1 {
			alone = n / threads * threads
			pool.Each(alone, s.alone)
		}
		for i := alone; i < n; i++ {
			f.pool, f.n, f.example = pool, 1, i
			f.run(0, p.single)
		}
	}
	f.pool, f.n, f.example = pool, n, 0
	f.run(p.single, len(p.steps))
	f.pool = nil
	return f
}

// frame is a run in progress on one thread, or on all.
type frame struct {
	places    []kernel.Sequence
	rows      int // tokens, if they vary
	session   *Session
	workspace kernel.Workspace
	recurrent kernel.RecurrentTrace // of one layer after the other
	arena     arena                 // of the thread
	pool      *kernel.Pool
	n         int // examples
	example   int // the first of them
	took      []time.Duration
}

// run computes steps from … to-1.
func (f *frame) run(from, to int) {
	if f.session.took != nil {
		f.timed(from, to)
		return
	}
	for i, step := range f.session.program.steps[from:to] {
		f.enter(from + i)
		step.run(f)
	}
}

// enter counts what a step computes: examples, or tokens.
func (f *frame) enter(step int) {
	if p := f.session.program; p.packed {
		f.n = len(f.session.sequences)
		if p.rows[step] {
			f.n = f.rows
		}
	}
}

// view says where a value lies: in an input of the network or in a buffer, whole or as a band of
// channels.
type view struct {
	input    bool
	source   int // number of the input
	element  element
	single   bool // in the arena of the thread
	offset   int  // of the buffer in the arena, in elements an example
	channel  int  // first channel of the band
	pitch    int  // channels of the buffer
	channels int  // of the value
	pixels   int  // of an example, or of a token where those vary
	varies   bool // it is a row a token, of tokens that vary
}

// dense tells whether the value's channels fill the buffer's.
func (v view) dense() bool { return v.pitch == v.channels }

// slice returns the memory of a value of float32, from its first channel on.
func (f *frame) slice(v view) []float32 {
	if v.input {
		size := v.pixels * v.pitch
		return f.session.source[v.source].Float32[f.example*size:][:f.n*size]
	}
	return part(f, v, f.arena.floats, f.session.arena.floats)
}

// ids returns those of an input.
func (f *frame) ids(v view) []int32 {
	size := v.pixels * v.pitch
	return f.session.source[v.source].Int32[f.example*size:][:f.n*size]
}

// bfloat16s is slice for a value of bfloat16.
func (f *frame) bfloat16s(v view) []kernel.BFloat16 {
	return part(f, v, f.arena.bfloat16s, f.session.arena.bfloat16s)
}

// uint8s is slice for a value of bytes.
func (f *frame) uint8s(v view) []uint8 { return part(f, v, f.arena.uint8s, f.session.arena.uint8s) }

// part returns a value's memory in the arena of the thread or in that of the batch.
func part[E any](f *frame, v view, thread, batch []E) []E {
	size := v.pixels * v.pitch
	if v.single {
		return thread[v.offset:][:size][v.channel:]
	}
	return batch[f.session.batch*v.offset+f.example*size:][:f.n*size][v.channel:]
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
