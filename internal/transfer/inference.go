package transfer

import (
	"context"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
)

// Inference runs a network on rows. After a training with a frozen prefix it starts from the activations that are cached, so
// that nothing below them is computed again.
type Inference struct {
	Net     *nn.Network
	Weights nn.Weights
	Threads int

	// Source, if not nil, runs on rows of the source in its place: an alignment maps these in another way. It has layers of the
	// same names.
	Source *Inference

	cut         string // the layer that activations are of; "" without any
	activations *prefix.Activations
}

// inference is that of the network as it is before, or after, phase i, which has changed nothing below its prefix. Close it.
func (t *training) inference(ctx context.Context, i int) (*Inference, error) {
	f := &Inference{Net: t.net, Weights: t.weights, Threads: t.task.Threads}
	if i < 0 { // there is no phase: the network is as it came
		return f, nil
	}
	// Activations in half the precision are good enough to learn from: answers are computed in full.
	if p := t.prefixes[i]; p.Cut == "" || p.Precision == prefix.BFloat16 || t.data.Tokens {
		return f, nil
	}
	a, err := prefix.NewActivator(t.task, t.data, t.net, t.weights, t.Copies, t.prefixes[i:i+1])
	if err != nil {
		return nil, err
	}
	defer a.Close()
	f.cut = t.prefixes[i].Cut
	f.activations, err = a.Fetch(ctx)
	return f, err
}

// Close frees the activations.
func (f *Inference) Close() error {
	if f.activations == nil {
		return nil
	}
	return f.activations.Close()
}

// Of is the inference of another network, which has the same layers up to the activations with the same weights. It ends with
// the one that it comes from.
func (f *Inference) Of(net *nn.Network, weights nn.Weights) *Inference {
	out := *f
	out.Net, out.Weights = net, weights
	return &out
}

// Compute gives the values of layers, or of the network's first output if none are named, for rows at these positions: for each layer
// one row after the other.
func (f *Inference) Compute(ctx context.Context, from *rows.Examples, positions []int, layers ...string) ([][]float32, error) {
	if len(layers) == 0 {
		layers = []string{f.Net.Output().Name}
	}
	if f.Source != nil {
		return f.computeApart(ctx, from, positions, layers)
	}
	net, examples := f.Net, train.Examples(from)
	if f.activations != nil {
		above, err := net.Above(f.cut)
		if err != nil {
			return nil, err
		}
		held := func(layer string) bool { _, ok := above.Find(layer); return ok }
		if !slices.ContainsFunc(layers, func(l string) bool { return !held(l) }) {
			net, examples = above, f.activations.Of(from)
		}
	}
	net, err := net.Cut(layers...)
	if err != nil {
		return nil, err
	}
	return computeLayers(ctx, f.Threads, net, f.Weights.Select(net), examples, positions, layers)
}

// computeApart computes rows of the source and others by networks of their own.
func (f *Inference) computeApart(ctx context.Context, from *rows.Examples, positions []int, layers []string) ([][]float32, error) {
	other := *f
	other.Source = nil
	var sides [2][]int // places among the positions
	for i, p := range positions {
		side := 1
		if of := from.Domains[p]; of == objective.SourceDomain || of == rows.Sampled {
			side = 0
		}
		sides[side] = append(sides[side], i)
	}
	out := make([][]float32, len(layers))
	for side, by := range []*Inference{f.Source, &other} {
		own := make([]int, len(sides[side]))
		for i, at := range sides[side] {
			own[i] = positions[at]
		}
		values, err := by.Compute(ctx, from, own, layers...)
		if err != nil {
			return nil, err
		}
		for l := range layers {
			if len(own) == 0 {
				continue
			}
			width := len(values[l]) / len(own)
			if out[l] == nil {
				out[l] = make([]float32, width*len(positions))
			}
			for i, at := range sides[side] {
				copy(out[l][at*width:(at+1)*width], values[l][i*width:(i+1)*width])
			}
		}
	}
	return out, nil
}

// compute runs a network, or the lower part of one, on rows.
func compute(ctx context.Context, threads int, net *nn.Network, weights nn.Weights, from *rows.Examples, positions []int) ([]float32, error) {
	out, err := computeLayers(ctx, threads, net, weights, from, positions, []string{net.Output().Name})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// computeLayers gives the values of layers, in one pass where rows are of one length.
func computeLayers(ctx context.Context, threads int, net *nn.Network, weights nn.Weights, from train.Examples, positions []int, layers []string) ([][]float32, error) {
	if !net.Shape(net.Inputs()[0].Name).Fixed() {
		if of, ok := from.(*rows.Examples); ok {
			from = of.Examples
		}
		return train.ComputeSequences(ctx, threads, net, weights, from, positions, layers...)
	}
	program, err := frozen.Compile(net, weights, layers...)
	if err != nil {
		return nil, err
	}
	pool := kernel.NewPool(max(threads, 1))
	defer pool.Close()
	atOnce := prefix.RowsAtOnce(program)
	session := program.NewSession(atOnce)
	size, input := program.InputShape().Size(), net.Inputs()[0].Name
	inputs := make([]float32, atOnce*size)
	out, widths := make([][]float32, len(layers)), make([]int, len(layers))
	for i := range layers {
		widths[i] = program.OutputShape(i).Size()
		out[i] = make([]float32, len(positions)*widths[i])
	}
	done := 0
	for run := range slices.Chunk(positions, atOnce) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := len(run)
		if err := from.Read(run, train.Batch{Inputs: nn.Batch{input: {Float32: inputs[:n*size]}}}); err != nil {
			return nil, err
		}
		parts := make([][]float32, len(layers))
		for i, w := range widths {
			parts[i] = out[i][done*w : (done+n)*w]
		}
		if err := session.Run(pool, inputs[:n*size], n, parts...); err != nil {
			return nil, err
		}
		done += n
	}
	return out, nil
}
