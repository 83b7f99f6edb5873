package contrastive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
)

// An epoch of 8,192 pairs of 768 and 512 features in batches of 4,096, projected to 512: what docs/performance.md compares with
// PyTorch's (docs/compare/contrastive.py).
func BenchmarkEpoch(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	table := func(port string, width int) *side {
		of := &side{port: port, width: width, rows: map[string][]int{}}
		for i := range 8192 {
			of.rows[fmt.Sprint(i)] = []int{i}
			of.splits = append(of.splits, "train")
			for range width {
				of.values = append(of.values, float32(random.NormFloat64()))
			}
		}
		return of
	}
	all := &tables{table(firstPort, 768), table(secondPort, 512)}
	s := stage{Params{Width: 512, BatchSize: 4096}}
	net, weights, err := s.network(all, 1)
	if err != nil {
		b.Fatal(err)
	}
	training := all.pairsOf("train")
	b.ResetTimer()
	trainer, err := train.New(net, weights, train.Options{
		Epochs: b.N, BatchSize: 4096, Threads: 1, Rule: optimizer.DefaultAdamW(), Rate: 1e-3, Decay: 0.01,
		Batches: func(epoch int) [][]int { return training.epoch(1, epoch, 4096) }, Freeze: standardises,
		Objective: objective.Pairs{First: projected(firstPort), Second: projected(secondPort)},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Run(context.Background(), training, nil, nil); err != nil {
		b.Fatal(err)
	}
}
