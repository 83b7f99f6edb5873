package search

import (
	"fmt"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// What docs/few_shot.md tells of.
func BenchmarkNearest(b *testing.B) {
	const width = 512
	for _, rows := range []int{100_000} {
		x, err := New(random(rows*width, 1), width)
		if err != nil {
			b.Fatal(err)
		}
		for _, queries := range []int{1, 100} {
			q := random(queries*width, 2)
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%d rows, %d queries, %d threads", rows, queries, threads), func(b *testing.B) {
					pool := kernel.NewPool(threads)
					defer pool.Close()
					for b.Loop() {
						if _, err := x.Nearest(pool, q, 10); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
