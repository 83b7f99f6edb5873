package backbone_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// BenchmarkExtract measures pooled features a second, pixels already decoded. "shared" gives each
// picture to all threads, "apart" gives each thread pictures of its own.
func BenchmarkExtract(b *testing.B) {
	for _, entry := range backbone.All() {
		if entry.AnyPixels {
			continue
		}
		b.Run(entry.Name, func(b *testing.B) { extract(b, entry) })
	}
}

// extract measures one backbone; those that are not asked for are not built.
func extract(b *testing.B, entry backbone.Backbone) {
	p := entry.Preprocessing()
	net, err := entry.Network(p.Height, p.Width)
	if err == nil {
		net, err = net.Cut(entry.Pooled)
	}
	if err != nil {
		b.Fatal(err)
	}
	program, err := frozen.Compile(net, entry.Random(net, 1), entry.Pooled)
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range []int{1, 2, 4, 8} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("batch=%d/threads=%d/shared", batch, threads), func(b *testing.B) {
				pool := kernel.NewPool(threads)
				defer pool.Close()
				measure(b, program, batch, 1, pool)
			})
		}
		b.Run(fmt.Sprintf("batch=%d/threads=2/apart", batch), func(b *testing.B) {
			measure(b, program, batch, 2, nil)
		})
	}
}

// measure runs the program on batches, in so many goroutines.
func measure(b *testing.B, program *frozen.Program, batch, goroutines int, pool *kernel.Pool) {
	work := make(chan struct{})
	var done sync.WaitGroup
	for range goroutines {
		done.Go(func() {
			session := program.NewSession(batch)
			x := make([]float32, batch*program.InputShape().Size())
			for i := range x {
				x[i] = float32(i%251)/125 - 1
			}
			y := make([]float32, batch*program.OutputShape(0).Size())
			for range work {
				if err := session.Run(pool, x, batch, y); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range goroutines {
		work <- struct{}{} // warm up
	}
	b.ResetTimer()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	done.Wait()
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "images/s")
}
