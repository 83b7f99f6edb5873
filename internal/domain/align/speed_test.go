//go:build unix

package align

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/internal/domain"
)

// BenchmarkAlign fits alignments of 2,048 features. docs/compare/adapt.py holds it against NumPy.
func BenchmarkAlign(b *testing.B) {
	const width, classes = 2048, 31
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
		for _, name := range []string{"coral", "subspace", "tca"} {
			b.Run(fmt.Sprintf("%d/%s", rows, name), func(b *testing.B) {
				if target.Values == nil {
					source, target = domain.Labelled{Features: made(), Count: classes}, made()
					for i := range rows {
						source.Classes = append(source.Classes, i%classes)
					}
				}
				m, _ := Find(name)
				b.ResetTimer()
				before := processorTime(b)
				for range b.N {
					if _, err := m.Fit(context.Background(), source, target, Options{Threads: 2}); err != nil {
						b.Fatal(err)
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
