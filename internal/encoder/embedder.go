package encoder

import (
	"fmt"
	"math"
	"slices"
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
	sizes   Sizes

	normalised bool // vectors have the length 1

	mu   sync.Mutex
	idle []*worker
	all  []*worker
}

// tokensAtOnce is how many tokens a worker computes together: enough for the kernels, and few enough that what a block makes of
// them stays in the caches.
const tokensAtOnce = 512

// NewEmbedder loads the weights and compiles the encoder up to one of [Encoder.Layers].
func NewEmbedder(e *Encoder, layer string, precision frozen.Precision) (*Embedder, error) {
	net, err := e.Network(layer)
	if err != nil {
		return nil, err
	}
	w, err := e.Load(net)
	if err != nil {
		return nil, err
	}
	program, err := frozen.Options{Precision: precision}.Compile(net, w)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	return &Embedder{program: program, output: net.Output().Name, width: e.VectorWidth(layer), sizes: e.Sizes, normalised: e.pooling.Normalise}, nil
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
	case len(ids) > e.sizes.MostTokens():
		return fmt.Sprintf("%d tokens are more than the %d that the encoder has positions for", len(ids), e.sizes.MostTokens())
	}
	for _, id := range ids {
		if id < 0 || int(id) >= e.sizes.Words {
			return fmt.Sprintf("the encoder has no token %d, of %d there are: the text was cut by another tokenizer", id, e.sizes.Words)
		}
	}
	if s := e.sizes; s.tower() && s.Causal && !slices.Contains(ids, s.end(ids)) {
		return fmt.Sprintf("there is no token %d, at which a text ends: the text was cut by another tokenizer", s.End)
	}
	return ""
}

// Embed computes the vectors of texts, [len(lengths)][Width], whose tokens lie one after the other, on so many threads.
func (e *Embedder) Embed(threads int, lengths []int, ids []int32, vectors []float32) error {
	if e.sizes.tower() {
		lengths, ids = e.sequences(lengths, ids)
	}
	w := e.take(threads)
	defer e.giveBack(w)
	return w.session.RunSequences(w.pool, lengths, nn.Batch{Input: {Int32: ids}}, nn.Batch{e.output: {Float32: vectors}})
}

// EmbedWindows is Embed for texts of one or several windows of tokens each. The vector of a text of several is their mean, weighted by
// their tokens, and of length 1 if those of single windows are.
func (e *Embedder) EmbedWindows(threads int, texts [][][]int32, vectors []float32) error {
	var lengths []int
	var ids []int32
	for _, windows := range texts {
		for _, own := range windows {
			lengths, ids = append(lengths, len(own)), append(ids, own...)
		}
	}
	if len(lengths) == len(texts) {
		return e.Embed(threads, lengths, ids, vectors)
	}
	all := make([]float32, len(lengths)*e.width)
	if err := e.Embed(threads, lengths, ids, all); err != nil {
		return err
	}
	for i, windows := range texts {
		n := len(windows)
		e.pool(vectors[i*e.width:(i+1)*e.width], all[:n*e.width], lengths[:n])
		all, lengths = all[n*e.width:], lengths[n:]
	}
	return nil
}

// pool makes one vector of those of the windows of a text.
func (e *Embedder) pool(vector, windows []float32, lengths []int) {
	if len(lengths) == 1 {
		copy(vector, windows)
		return
	}
	var tokens, square float64
	sums := make([]float64, e.width)
	for w, n := range lengths {
		tokens += float64(n)
		for j, x := range windows[w*e.width : (w+1)*e.width] {
			sums[j] += float64(x) * float64(n)
		}
	}
	for j := range sums {
		sums[j] /= tokens
		square += sums[j] * sums[j]
	}
	scale := 1.0
	if e.normalised && square > 0 {
		scale = 1 / math.Sqrt(square)
	}
	for j, x := range sums {
		vector[j] = float32(x * scale)
	}
}

// sequences are the tokens of texts as the network takes them; see [Sizes.sequence].
func (e *Embedder) sequences(lengths []int, ids []int32) (taken []int, of []int32) {
	for _, n := range lengths {
		own := e.sizes.sequence(ids[:n])
		taken, of, ids = append(taken, len(own)), append(of, own...), ids[n:]
	}
	return taken, of
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
