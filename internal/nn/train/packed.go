package train

import (
	"context"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// sequences computes, with a program whose axis of tokens varies, batches that are padded to one length: on the real tokens alone,
// which it lays one after the other.
type sequences struct {
	net     *nn.Network // of which the axis varies
	session *frozen.Session
	outputs []string
	inputs  map[string]*packing
	results map[string]*packing
}

// packing is memory for the real tokens of a batch.
type packing struct {
	floats []float32
	ids    []int32
}

func newSequences(net *nn.Network, program *frozen.Program, outputs []string) *sequences {
	return &sequences{net: net, session: program.NewSession(tokensAtOnce), outputs: outputs, inputs: map[string]*packing{}, results: map[string]*packing{}}
}

// tokensAtOnce is how many tokens are computed together.
const tokensAtOnce = 2048

// run computes examples that are padded to so many tokens. Outputs with an axis of tokens are padded with zeros.
func (s *sequences) run(pool *kernel.Pool, lengths []int, padded int, inputs, outputs nn.Batch) error {
	in, out := nn.Batch{}, nn.Batch{}
	for _, l := range s.net.Inputs() {
		given := inputs[l.Name]
		if s.net.Shape(l.Name).Fixed() {
			in[l.Name] = given
			continue
		}
		p := packingOf(s.inputs, l.Name)
		p.floats, p.ids = pack(p.floats, given.Float32, lengths, padded), pack(p.ids, given.Int32, lengths, padded)
		in[l.Name] = nn.Values{Float32: p.floats, Int32: p.ids}
	}
	tokens := 0
	for _, length := range lengths {
		tokens += length
	}
	for _, name := range s.outputs {
		to := outputs[name].Float32
		if s.net.Shape(name).Fixed() {
			out[name] = nn.Values{Float32: to}
			continue
		}
		p := packingOf(s.results, name)
		if n := len(to) / (len(lengths) * padded) * tokens; cap(p.floats) < n {
			p.floats = make([]float32, n)
		} else {
			p.floats = p.floats[:n]
		}
		out[name] = nn.Values{Float32: p.floats}
	}
	if err := s.session.RunSequences(pool, lengths, in, out); err != nil {
		return err
	}
	for name, p := range s.results {
		unpack(outputs[name].Float32, p.floats, lengths, padded)
	}
	return nil
}

func packingOf(all map[string]*packing, name string) *packing {
	if all[name] == nil {
		all[name] = &packing{}
	}
	return all[name]
}

// pack appends the real tokens of examples of so many tokens to dst, which it empties first.
func pack[T any](dst, src []T, lengths []int, padded int) []T {
	dst = dst[:0]
	width := len(src) / (len(lengths) * padded)
	for i, length := range lengths {
		dst = append(dst, src[i*padded*width:][:length*width]...)
	}
	return dst
}

// unpack is the inverse of pack, with zeros for the padding.
func unpack(dst, src []float32, lengths []int, padded int) {
	width := len(dst) / (len(lengths) * padded)
	for i, length := range lengths {
		row := dst[i*padded*width : (i+1)*padded*width]
		clear(row[copy(row, src[:length*width]):])
		src = src[length*width:]
	}
}

// ComputeSequences runs a network of which the axis of the tokens varies on the examples at some positions and returns layers of a fixed
// shape, one row an example each.
func ComputeSequences(ctx context.Context, threads int, net *nn.Network, weights nn.Weights, examples Examples, positions []int, layers ...string) ([][]float32, error) {
	program, err := frozen.Compile(net, weights, layers...)
	if err != nil {
		return nil, err
	}
	pool := kernel.NewPool(max(threads, 1))
	defer pool.Close()
	s, widths, out := newSequences(net, program, layers), make([]int, len(layers)), make([][]float32, len(layers))
	for i, layer := range layers {
		widths[i] = net.Shape(layer).Size()
		out[i] = make([]float32, len(positions)*widths[i])
	}
	done := 0
	for run := range slices.Chunk(positions, sequencesAtOnce) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lengths := lengthsOf(net, examples, run)
		bound, err := net.Bind(lengths...)
		if err != nil {
			return nil, err
		}
		batch := Batch{Inputs: nn.Batch{}, Lengths: make([]int, len(run))}
		batch.fillLengths(lengths)
		for _, l := range bound.Inputs() {
			batch.Inputs[l.Name] = nn.NewValues(bound.Element(l.Name), len(run)*bound.Shape(l.Name).Size())
		}
		if err := examples.Read(run, batch); err != nil {
			return nil, err
		}
		parts := nn.Batch{}
		for i, layer := range layers {
			parts[layer] = nn.Values{Float32: out[i][done*widths[i] : (done+len(run))*widths[i]]}
		}
		if err := s.run(pool, batch.Lengths, lengths[0], batch.Inputs, parts); err != nil {
			return nil, err
		}
		done += len(run)
	}
	return out, nil
}
