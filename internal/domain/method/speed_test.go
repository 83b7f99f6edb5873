//go:build unix

package method

import (
	"context"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

// BenchmarkEpoch trains an epoch of 10,000 rows of each domain, 2,048 features, 31 classes, in batches of 64 of each, on the network for
// features. docs/compare/adapt.py holds it against PyTorch.
func BenchmarkEpoch(b *testing.B) {
	const each, width, classes = 10_000, 2048, 31
	random := rand.New(rand.NewPCG(1, 2))
	table := &train.Table{Width: width, Values: make([]float32, 2*each*width), Targets: nn.Batch{objective.Domain: {}, rows.OracleTarget: {}}}
	for i := range table.Values {
		table.Values[i] = float32(random.NormFloat64())
	}
	examples := rows.Examples{Copies: make([]int, 2*each)}
	for i := range 2 * each {
		class, domain := i%classes, int32(objective.SourceDomain)
		if i >= each {
			class, domain = objective.Unknown, objective.TargetDomain
		}
		examples.Classes, examples.Domains = append(examples.Classes, class), append(examples.Domains, domain)
	}
	table.Classes = examples.Classes
	table.Targets[objective.Domain] = nn.Values{Int32: examples.Domains}
	table.Targets[rows.OracleTarget] = nn.Values{Int32: examples.Domains}
	examples.Examples = table
	data := &rows.Domains{Data: &rows.Data{Training: examples}, SourceRows: each}
	for _, kind := range []string{Direct, DeepCoral, MMD, DANN, CDAN, MCC} {
		b.Run(kind, func(b *testing.B) {
			p := Plan{Method: Of(kind), Network: OnFeatures(), Rows: data}
			net, err := p.Network.Upon(nil, nn.Shape{width}, classes, p.Method, false)
			if err != nil {
				b.Fatal(err)
			}
			o := train.Options{Epochs: b.N, BatchSize: 64, Rule: optimizer.DefaultAdam(), Rate: 1e-3, Threads: runtime.GOMAXPROCS(0), Seed: 1}
			p.turns([]strategy.Phase{{Name: "head", Epochs: b.N}})[0].Options(net, &o)
			trainer, err := train.New(net, net.InitialiseGlorot(1), o)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = trainer.Close() }()
			b.ResetTimer()
			before := processorTime(b)
			if err := trainer.Run(context.Background(), examples, nil, nil); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Skip(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
