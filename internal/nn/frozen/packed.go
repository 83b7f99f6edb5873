package frozen

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// RunSequences computes examples with so many tokens each, of a network of which the axis of the tokens varies. Inputs and
// outputs with that axis have the tokens of all examples one after the other, [Σ lengths][shape of a token]; the others are
// [examples][shape]. There is no padding: layers that look at one token at a time compute all tokens together, attention and
// pooling take one example after the other. A session of that many tokens or more computes all at once.
//
// Of a program that is compiled for one length, examples are padded to it, and lengths say how many tokens are real.
func (s *Session) RunSequences(pool *kernel.Pool, lengths []int, inputs, outputs nn.Batch) error {
	return s.runBatch(pool, len(lengths), lengths, inputs, outputs)
}

// checkLengths refuses examples without tokens, or with more than there may be.
func (p *Program) checkLengths(n int, lengths []int) error {
	if p.packed && len(lengths) != n {
		return fmt.Errorf("%d lengths of %d examples: the network takes sequences", len(lengths), n)
	}
	most := p.most
	if !p.packed && len(p.inputs) > 0 {
		if tokens := p.inputs[0].Shape[0]; most == 0 || tokens < most {
			most = tokens
		}
	}
	for i, length := range lengths {
		if length < 1 || most > 0 && length > most {
			return fmt.Errorf("example %d has %d tokens: must be from 1 to %d", i, length, most)
		}
	}
	return nil
}

// runPacked is run where tokens vary.
func (s *Session) runPacked(pool *kernel.Pool, lengths []int, in []nn.Values, dst [][]float32) error {
	p := s.program
	tokens := 0
	for _, length := range lengths {
		tokens += length
	}
	count := func(shape nn.Shape, examples, tokens int) int {
		if shape.Fixed() {
			return examples * sizeOf(shape)
		}
		return tokens * sizeOf(shape)
	}
	for i, port := range p.inputs {
		if got, want := in[i].Len(port.Element), count(port.Shape, len(lengths), tokens); got != want {
			return fmt.Errorf("run a network: input %q has %d numbers of %v, %d examples of %d tokens need %d", port.Name, got, port.Element, len(lengths), tokens, want)
		}
	}
	if err := p.checkIDs(in); err != nil {
		return fmt.Errorf("run a network: %w", err)
	}
	if len(dst) != len(p.outputs) {
		return fmt.Errorf("run a network: %d outputs given, want %d", len(dst), len(p.outputs))
	}
	for i, o := range p.outputs {
		if want := count(o.Shape, len(lengths), tokens); len(dst[i]) != want {
			return fmt.Errorf("run a network: output %q has %d numbers, %d examples of %d tokens need %d", o.Name, len(dst[i]), len(lengths), tokens, want)
		}
	}
	defer clear(s.source) // keep no tensor alive
	for done, from := 0, 0; done < len(lengths); {
		examples, rows := s.fitting(lengths[done:])
		for i, port := range p.inputs {
			s.source[i] = in[i].Part(port.Element, count(port.Shape, done, from), count(port.Shape, done+examples, from+rows))
		}
		s.place(lengths[done : done+examples])
		f := s.computePacked(pool, rows)
		for i, o := range p.outputs {
			f.n = examples
			if o.from.varies {
				f.n = rows
			}
			f.gather(dst[i][count(o.Shape, done, from):][:f.n*sizeOf(o.Shape)], o.from)
		}
		done, from = done+examples, from+rows
	}
	return nil
}

// fitting is how many examples, and tokens, the session computes at once: one at least, for which it grows.
func (s *Session) fitting(lengths []int) (examples, tokens int) {
	for _, length := range lengths {
		if examples > 0 && tokens+length > s.batch {
			break
		}
		examples, tokens = examples+1, tokens+length
	}
	if tokens > s.batch {
		s.batch = tokens
		s.arena = newArena(tokens, s.program.batch)
	}
	return examples, tokens
}

// place lays examples one after the other.
func (s *Session) place(lengths []int) {
	s.sequences = s.sequences[:0]
	first := 0
	for _, length := range lengths {
		s.sequences = append(s.sequences, kernel.Sequence{First: first, Length: length, Rows: length})
		first += length
	}
}

// computePacked runs all steps for the examples that are placed.
func (s *Session) computePacked(pool *kernel.Pool, rows int) *frame {
	s.threads = pool.Threads()
	if len(s.frames) == 0 {
		s.frames = append(s.frames, &frame{session: s, arena: newArena(1, s.program.thread)})
	}
	f := s.frames[0]
	f.pool, f.example, f.rows = pool, 0, rows
	f.run(0, len(s.program.steps))
	f.pool = nil
	return f
}
