package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/npy"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
)

// Texts says what to hold a text encoder against.
type Texts struct {
	Folder    string // of the encoder and its tokenizer
	Pooling   string // one of [encoder.Poolings]
	Layer     string // as [encoder.Encoder.Network] takes it
	Tolerance float64
	Threads   int // at least 1
}

// Run computes the vectors of texts and compares them with what is expected, [texts, width].
func (c Texts) Run(ctx context.Context, texts []string, expect npy.Array) (*Result, error) {
	e, err := encoder.Open(c.Folder, cmp.Or(c.Pooling, encoder.PoolingOfFolder))
	if err != nil {
		return nil, err
	}
	if want := []int{len(texts), e.VectorWidth(c.Layer)}; !slices.Equal(expect.Shape, want) {
		return nil, fmt.Errorf("what is expected: its shape is %v; the encoder gives %v for these texts", expect.Shape, want)
	}
	tokens, err := tokenizer.Read(c.Folder)
	if err != nil {
		return nil, err
	}
	cutter := tokens.NewEncoder()
	var lengths []int
	var ids []int32
	m, err := encoder.NewEmbedder(e, c.Layer, frozen.Float32)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	for i, text := range texts {
		own := cutter.Encode(text)
		if reason := m.Check(own); reason != "" {
			return nil, fmt.Errorf("text %d: %s", i+1, reason)
		}
		lengths, ids = append(lengths, len(own)), append(ids, own...)
	}
	got := make([]float32, len(texts)*m.Width())
	if err := m.Embed(c.Threads, lengths, ids, got); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &Result{
		Backbone: e.Name, Variant: e.Sizes.Family, Weights: "file", Layer: c.Layer, Shape: nn.Shape{m.Width()}, Texts: len(texts), Tolerance: c.Tolerance,
	}
	if r.SHA256, err = e.WeightsDigest(); err != nil {
		return nil, err
	}
	r.compare(got, expect.Data)
	return r, nil
}
