//go:build unix

package encoder

import (
	"context"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
)

// BenchmarkTrainingStep takes steps of all layers of a BERT as wide as BERT-base on 16 texts of 128 tokens. TLPIPE_BLOCKS is how many
// blocks it has, 12 of BERT-base; docs/compare/bert_step.py takes the same steps in PyTorch.
func BenchmarkTrainingStep(b *testing.B) {
	blocks, err := strconv.Atoi(os.Getenv("TLPIPE_BLOCKS"))
	if err != nil {
		b.Skip("set TLPIPE_BLOCKS, such as 12")
	}
	threads := 1
	if n, err := strconv.Atoi(os.Getenv("TLPIPE_THREADS")); err == nil {
		threads = n
	}
	sizes := Sizes{Family: "bert", Words: 30522, Width: 768, Blocks: blocks, Heads: 12, Wide: 3072, Places: 512, Types: 2, Epsilon: 1e-12, Activation: kernel.GELU}
	builder := nn.NewBuilder()
	x := sizes.network(builder, blocks)
	x = builder.Layer("logits", nn.Dense{Out: 2, Bias: true}, builder.Layer(Pooled, nn.TokenPool{Function: kernel.FirstToken}, x))
	builder.Layer("probabilities", nn.Softmax{}, x)
	net, err := builder.Network()
	if err != nil {
		b.Fatal(err)
	}
	began, steps := 0.0, 0
	trainer, err := train.New(net, net.Initialise(1), train.Options{
		Epochs: b.N + 1, BatchSize: 16, Threads: threads, Rule: optimizer.DefaultAdamW(), Rate: 5e-5, Decay: 0.01,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := trainer.Close(); err != nil {
			b.Error(err)
		}
	}()
	err = trainer.Run(context.Background(), sixteen{}, nil, func(train.Epoch) error {
		if steps++; steps == 1 { // the first compiles
			b.ResetTimer()
			began = processorTime(b)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric((processorTime(b)-began)/float64(b.N), "cpu-s/step")
}

// processorTime is what the process has used, in seconds.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

// sixteen are texts of 128 tokens.
type sixteen struct{}

func (sixteen) Len() int                 { return 16 }
func (sixteen) Lengths([]int, int) []int { return []int{128} }

func (sixteen) Read(positions []int, into train.Batch) error {
	ids := into.Inputs[Input].Int32
	for i := range ids {
		ids[i] = int32(i*7919%30000 + 100)
	}
	for i, p := range positions {
		into.Targets[objective.Class].Int32[i] = int32(p % 2)
	}
	return nil
}
