//go:build unix

package encoder

import (
	"bytes"
	"cmp"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/npy"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
)

// BenchmarkEncode computes the vectors of the lines of a file: TLPIPE_MINILM names the encoder's folder, TLPIPE_TEXTS the file,
// TLPIPE_PRECISION the precision if it is not fp32, TLPIPE_VECTORS a file for the vectors.
func BenchmarkEncode(b *testing.B) {
	folder, texts := os.Getenv("TLPIPE_MINILM"), os.Getenv("TLPIPE_TEXTS")
	if folder == "" || texts == "" {
		b.Skip("set TLPIPE_MINILM and TLPIPE_TEXTS")
	}
	e, err := Open(folder, PoolingOfFolder)
	if err != nil {
		b.Fatal(err)
	}
	precision, err := frozen.ParsePrecision(cmp.Or(os.Getenv("TLPIPE_PRECISION"), "fp32"))
	if err != nil {
		b.Fatal(err)
	}
	m, err := NewEmbedder(e, Pooled, precision)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	tokens, err := tokenizer.Read(folder)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := os.ReadFile(texts)
	if err != nil {
		b.Fatal(err)
	}
	var lengths []int
	var ids []int32
	for line := range strings.Lines(string(raw)) {
		own := tokens.NewEncoder().Encode(line)
		own = own[:min(len(own), 256)]
		lengths, ids = append(lengths, len(own)), append(ids, own...)
	}
	out := make([]float32, len(lengths)*m.Width())
	embed := func() {
		if err := m.Embed(runtime.GOMAXPROCS(0), lengths, ids, out); err != nil {
			b.Fatal(err)
		}
	}
	embed() // takes memory
	before := processorTime(b)
	b.ResetTimer()
	for range b.N {
		embed()
	}
	b.ReportMetric(float64(len(ids)*b.N)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric((processorTime(b)-before)/float64(b.N), "cpu-s")
	if file := os.Getenv("TLPIPE_VECTORS"); file != "" {
		var vectors bytes.Buffer
		if err := npy.Write(&vectors, npy.Array{Shape: []int{len(lengths), m.Width()}, Data: out}); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, vectors.Bytes(), 0o666); err != nil {
			b.Fatal(err)
		}
	}
}
