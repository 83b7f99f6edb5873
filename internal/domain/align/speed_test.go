//go:build unix

package align

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// BenchmarkAlign fits alignments of 2,048 features and maps the rows; jda in two rounds. docs/compare/adapt.py holds it against NumPy.
func BenchmarkAlign(b *testing.B) {
	const width, classes = 2048, 31
	threads := runtime.GOMAXPROCS(0)
	for _, rows := range []int{2_000, 20_000} {
		random := rand.New(rand.NewPCG(1, 2))
		made := func() domain.Features {
			x := domain.Features{Width: width, Values: make([]float32, rows*width)}
			for i := range x.Values {
				x.Values[i] = float32(random.NormFloat64())
			}
			return x
		}
		var source domain.Labelled
		var target domain.Features
		for _, name := range []string{"coral", "subspace", "tca", "jda"} {
			b.Run(fmt.Sprintf("%d/%s", rows, name), func(b *testing.B) {
				if target.Values == nil {
					source, target = domain.Labelled{Features: made(), Count: classes}, made()
					for i := range rows {
						source.Classes = append(source.Classes, i%classes)
					}
				}
				m, _ := Find(name)
				pool := kernel.NewPool(threads)
				defer pool.Close()
				b.ResetTimer()
				before := processorTime(b)
				for range b.N {
					a, err := m.Fit(context.Background(), source, target, Options{Settings: Settings{Rounds: 2}, Threads: threads})
					if err != nil {
						b.Fatal(err)
					}
					Apply(pool, a.Source, source.Features)
					if a.Target.Weights != nil {
						Apply(pool, a.Target, target)
					}
				}
				b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
			})
		}
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
