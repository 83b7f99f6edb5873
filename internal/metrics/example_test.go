package metrics_test

import (
	"context"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/metrics"
)

// Two pictures of each of four objects: rows of one object are one cluster.
func Example() {
	sample, err := metrics.NewSample(
		[]int{0, 0, 0, 0, 1, 1, 1, 1},
		[]float32{
			0.9, 0.1, 0.8, 0.2, // object 0: right twice
			0.6, 0.4, 0.7, 0.3, // object 1: right twice
			0.2, 0.8, 0.1, 0.9, // object 2: right twice
			0.7, 0.3, 0.6, 0.4, // object 3: wrong twice
		}, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	bootstrap := metrics.Bootstrap{Seed: 42, Resamples: 1000, Rows: 8, Clusters: []int{0, 0, 1, 1, 2, 2, 3, 3}}
	intervals, err := bootstrap.Intervals(context.Background(), 2, func(weights []float64) []float64 {
		return []float64{sample.Accuracy(weights)}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("accuracy %.2f, 95%% interval %.2f to %.2f\n", sample.Accuracy(nil), intervals[0].Low, intervals[0].High)
	// Output: accuracy 0.75, 95% interval 0.25 to 1.00
}
