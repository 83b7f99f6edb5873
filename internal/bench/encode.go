package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
)

// Encode says how to measure the vectors of texts by a text encoder, from tokens.
type Encode struct {
	Folder    string   // of the encoder
	Texts     []string // that are cut by the encoder's tokenizer; none: Batch texts of random tokens
	Batch     int      // texts of random tokens, at least 1
	Tokens    int      // of each of those; of others, those beyond are cut off
	Layer     string   // as [encoder.Encoder.Network] takes it
	Precision frozen.Precision
	Threads   int     // at least 1
	WarmUp    int     // runs that do not count
	Repeat    int     // runs, at least 1
	Seconds   float64 // go on for so long if the runs take less
}

// Encoding is the measurement.
type Encoding struct {
	Encoder         string  `json:"encoder"`
	Family          string  `json:"family"`
	Layer           string  `json:"layer"`
	Precision       string  `json:"precision"`
	Texts           int     `json:"texts"`  // of a run
	Tokens          int     `json:"tokens"` // of all texts of a run, none of them padding
	Threads         int     `json:"threads"`
	Instructions    string  `json:"instructions"` // set in use
	Repeat          int     `json:"repeat"`
	TextsPerSecond  float64 `json:"texts_per_second"`  // of the best run
	TokensPerSecond float64 `json:"tokens_per_second"` // likewise
	Median          float64 `json:"median_tokens_per_second"`
	GFLOPS          float64 `json:"gflops"`                      // 10⁹ operations a second by the definition of the layers, of the best run
	Processor       float64 `json:"processor_seconds,omitempty"` // of the run that took the least of it, in all threads; 0 where it is not known
	Load            float64 `json:"load_seconds"`                // to read the weights and compile the network
	WeightBytes     int     `json:"weight_bytes"`
}

// Measure runs the encoder. A mistake in what was asked for is a *[RequestError].
func (e Encode) Measure(ctx context.Context) (*Encoding, error) {
	if e.Threads < 1 || e.Repeat < 1 || e.WarmUp < 0 || e.Tokens < 1 || len(e.Texts) == 0 && e.Batch < 1 {
		return nil, &RequestError{fmt.Errorf("batch %d, tokens %d, threads %d, repeat %d, warm-up %d: want 1, 1, 1, 1, 0 or more", e.Batch, e.Tokens, e.Threads, e.Repeat, e.WarmUp)}
	}
	began := time.Now()
	own, err := encoder.Open(e.Folder, encoder.PoolingOfFolder)
	if err != nil {
		if own, err = encoder.Open(e.Folder, "mean"); err != nil { // as quick as any
			return nil, &RequestError{err}
		}
	}
	net, err := own.Network(e.Layer)
	if err != nil {
		return nil, &RequestError{err}
	}
	m, err := encoder.NewEmbedder(own, e.Layer, e.Precision)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	out := &Encoding{Encoder: own.Name, Family: own.Sizes.Family, Layer: e.Layer, Precision: e.Precision.String(), Threads: e.Threads, WeightBytes: m.WeightBytes()}
	out.Load = time.Since(began).Seconds()
	if out.Instructions, err = kernel.InstructionSet(); err != nil {
		return nil, &RequestError{err}
	}
	lengths, ids, err := e.sequences(own)
	if err != nil {
		return nil, &RequestError{err}
	}
	out.Texts, out.Tokens = len(lengths), len(ids)
	var operations float64
	for _, n := range lengths {
		bound, err := net.Bind(n)
		if err != nil {
			return nil, err
		}
		operations += 2 * float64(bound.MultiplyAdds())
	}
	vectors := make([]float32, len(lengths)*m.Width())
	var times []float64
	var measured time.Duration
	for i := 0; i < e.WarmUp+e.Repeat || measured.Seconds() < e.Seconds; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start, spent := time.Now(), processorTime()
		if err := m.Embed(e.Threads, lengths, ids, vectors); err != nil {
			return nil, err
		}
		took := time.Since(start)
		spent = processorTime() - spent
		if i >= e.WarmUp {
			times = append(times, took.Seconds())
			measured += took
			if out.Processor == 0 || spent.Seconds() < out.Processor {
				out.Processor = spent.Seconds()
			}
		}
	}
	slices.Sort(times)
	out.Repeat = len(times)
	out.TextsPerSecond, out.TokensPerSecond = float64(len(lengths))/times[0], float64(len(ids))/times[0]
	out.Median = float64(len(ids)) / times[len(times)/2]
	out.GFLOPS = 1e-9 * operations / times[0]
	return out, nil
}

// sequences are the tokens of the texts, one text after the other.
func (e Encode) sequences(own *encoder.Encoder) (lengths []int, ids []int32, err error) {
	most := min(e.Tokens, own.Sizes.MostTokens())
	if len(e.Texts) == 0 {
		draw := rand.New(rand.NewPCG(1, 1))
		for range e.Batch {
			lengths = append(lengths, most)
			for i := range most {
				id := int32(draw.IntN(own.Sizes.Words))
				if i == most-1 && own.Sizes.End > 0 {
					id = own.Sizes.End
				}
				ids = append(ids, id)
			}
		}
		return lengths, ids, nil
	}
	tokens, err := tokenizer.Read(e.Folder)
	if err != nil {
		return nil, nil, err
	}
	cutter := tokens.NewEncoder()
	for _, text := range e.Texts {
		one := cutter.Encode(text)
		if len(one) > most {
			one = append(one[:most-1:most-1], one[len(one)-1])
		}
		if len(one) == 0 {
			continue
		}
		lengths, ids = append(lengths, len(one)), append(ids, one...)
	}
	if len(lengths) == 0 {
		return nil, nil, errors.New("there are no texts")
	}
	return lengths, ids, nil
}
