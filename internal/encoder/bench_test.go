package encoder

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/tokenizer"
)

// BenchmarkEncode computes the vectors of the lines of a file: TLPIPE_MINILM names the encoder's folder, TLPIPE_TEXTS the file.
func BenchmarkEncode(b *testing.B) {
	folder, texts := os.Getenv("TLPIPE_MINILM"), os.Getenv("TLPIPE_TEXTS")
	if folder == "" || texts == "" {
		b.Skip("set TLPIPE_MINILM and TLPIPE_TEXTS")
	}
	e, err := Open(folder, PoolingOfFolder)
	if err != nil {
		b.Fatal(err)
	}
	m, err := NewEmbedder(e, Pooled)
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
	b.ResetTimer()
	for range b.N {
		if err := m.Embed(runtime.GOMAXPROCS(0), lengths, ids, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(ids)*b.N)/b.Elapsed().Seconds(), "tokens/s")
}
