package encoder

import (
	"fmt"
	"sync"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// Embedder is an encoder compiled up to a layer. It may be used by several goroutines. The vector of a text depends neither on
// the texts beside it nor on the threads.
type Embedder struct {
	program *frozen.Program
	output  string
	width   int
	words   int
	most    int

	mu   sync.Mutex
	idle []*worker
	all  []*worker
}

// tokensAtOnce is how many tokens a worker computes together: enough for the kernels, and few enough that what a block makes of
// them stays in the caches.
const tokensAtOnce = 512

// NewEmbedder loads the weights and compiles the encoder up to one of [Encoder.Layers].
func NewEmbedder(e *Encoder, layer string) (*Embedder, error) {
	net, err := e.Network(layer)
	if err != nil {
		return nil, err
	}
	w, err := e.Load(net)
	if err != nil {
		return nil, err
	}
	program, err := frozen.Compile(net, w)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	return &Embedder{program: program, output: net.Output().Name, width: e.Sizes.Width, words: e.Sizes.Words, most: e.Sizes.MostTokens()}, nil
}

// Width is the length of a vector.
func (e *Embedder) Width() int { return e.width }

// WeightBytes is the memory that the weights take.
func (e *Embedder) WeightBytes() int { return e.program.WeightBytes() }

// Check tells why a text of these tokens cannot be embedded, or "".
func (e *Embedder) Check(ids []int32) string {
	switch {
	case len(ids) == 0:
		return "there are no tokens"
	case len(ids) > e.most:
		return fmt.Sprintf("%d tokens are more than the %d that the encoder has positions for", len(ids), e.most)
	}
	for _, id := range ids {
		if id < 0 || int(id) >= e.words {
			return fmt.Sprintf("the encoder has no token %d, of %d there are: the text was cut by another tokenizer", id, e.words)
		}
	}
	return ""
}

// Embed computes the vectors of texts, [len(lengths)][Width], whose tokens lie one after the other, on so many threads.
func (e *Embedder) Embed(threads int, lengths []int, ids []int32, vectors []float32) error {
	w := e.take(threads)
	defer e.giveBack(w)
	return w.session.RunSequences(w.pool, lengths, nn.Batch{Input: {Int32: ids}}, nn.Batch{e.output: {Float32: vectors}})
}

// Close frees the threads; none may be at work.
func (e *Embedder) Close() {
	for _, w := range e.all {
		w.pool.Close()
	}
}

// worker is what a goroutine computes with.
type worker struct {
	threads int
	pool    *kernel.Pool // nil for one thread
	session *frozen.Session
}

func (e *Embedder) take(threads int) *worker {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, w := range e.idle {
		if w.threads == threads {
			e.idle = append(e.idle[:i], e.idle[i+1:]...)
			return w
		}
	}
	w := &worker{threads: threads, session: e.program.NewSession(tokensAtOnce)}
	if threads > 1 {
		w.pool = kernel.NewPool(threads)
	}
	e.all = append(e.all, w)
	return w
}

func (e *Embedder) giveBack(w *worker) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, w)
}
