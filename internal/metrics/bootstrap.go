package metrics

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sourcegraph/conc/pool"
)

// Bootstrap draws resamples of rows with replacement (Efron 1979). Resample i
// depends on the seed and i alone, whatever the number of threads.
type Bootstrap struct {
	Seed      uint64
	Resamples int
	Rows      int
	// Clusters gives each row's cluster, numbered from 0 without gaps; nil if
	// rows are independent.
	Clusters []int
}

// Interval is a 95 % interval; NaN where there is none.
type Interval struct{ Low, High float64 }

// NoInterval is the interval that is not known.
func NoInterval() Interval { return Interval{math.NaN(), math.NaN()} }

// Weights fills in how often resample i drew each row.
func (b Bootstrap) Weights(i int, weights []float64) {
	random := rand.New(rand.NewPCG(b.Seed, uint64(i)))
	clear(weights)
	if b.Clusters == nil {
		for range weights {
			weights[random.IntN(len(weights))]++
		}
		return
	}
	clusters := 0
	for _, c := range b.Clusters {
		clusters = max(clusters, c+1)
	}
	drawn := make([]float64, clusters)
	for range drawn {
		drawn[random.IntN(clusters)]++
	}
	for row, c := range b.Clusters {
		weights[row] = drawn[c]
	}
}

// Intervals computes statistics on every resample, and from their percentiles
// the 95 % interval of each. statistics may be called from several goroutines
// at once; it returns as many numbers every time. Resamples in which a
// statistic has no value do not count for it. Without resamples or rows there
// are no intervals: nil. The error is that of ctx.
func (b Bootstrap) Intervals(ctx context.Context, threads int, statistics func(weights []float64) []float64) ([]Interval, error) {
	if b.Resamples < 1 || b.Rows < 1 {
		return nil, ctx.Err()
	}
	drawn := make([][]float64, b.Resamples)
	threads = min(max(threads, 1), b.Resamples)
	workers := pool.New().WithMaxGoroutines(threads)
	for worker := range threads {
		workers.Go(func() {
			weights := make([]float64, b.Rows)
			for i := worker; i < b.Resamples && ctx.Err() == nil; i += threads {
				b.Weights(i, weights)
				drawn[i] = statistics(weights)
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]Interval, len(drawn[0]))
	for k := range out {
		values := make([]float64, 0, len(drawn))
		for _, d := range drawn {
			if !math.IsNaN(d[k]) {
				values = append(values, d[k])
			}
		}
		slices.Sort(values)
		out[k] = Interval{quantile(values, 0.025), quantile(values, 0.975)}
	}
	return out, nil
}

// quantile interpolates linearly between the sorted values, as NumPy does;
// NaN if there are none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	share := at - float64(below)
	return sorted[below]*(1-share) + sorted[above]*share
}

// Wilson is the 95 % score interval (Wilson 1927) of a share seen as so many
// successes in so many trials. NaN for no trial.
func Wilson(successes, trials float64) Interval {
	if trials <= 0 {
		return NoInterval()
	}
	const z = 1.959963984540054
	p := successes / trials
	centre := (p + z*z/(2*trials)) / (1 + z*z/trials)
	half := z / (1 + z*z/trials) * math.Sqrt(p*(1-p)/trials+z*z/(4*trials*trials))
	return Interval{max(centre-half, 0), min(centre+half, 1)}
}

// ShareDifference is the 95 % interval of the difference of two shares of independent trials, a less
// b, by Newcombe's method of the squares of Wilson's intervals (1998, his method 10).
func ShareDifference(successesA, trialsA, successesB, trialsB float64) Interval {
	a, b := Wilson(successesA, trialsA), Wilson(successesB, trialsB)
	pa, pb := successesA/trialsA, successesB/trialsB
	return Interval{
		Low:  pa - pb - math.Hypot(pa-a.Low, b.High-pb),
		High: pa - pb + math.Hypot(a.High-pa, pb-b.Low),
	}
}

// PairedDifference is the 95 % interval of the difference of two shares of the same trials, A's less B's, by Newcombe's method of
// the squares of Wilson's intervals (Statistics in Medicine 17, 1998, 2635–2650, his method 10). The trials are counted by who
// succeeded: both, A alone, B alone, neither.
func PairedDifference(both, onlyA, onlyB, neither float64) Interval {
	n := both + onlyA + onlyB + neither
	if n <= 0 {
		return NoInterval()
	}
	a, b := Wilson(both+onlyA, n), Wilson(both+onlyB, n)
	pa, pb := (both+onlyA)/n, (both+onlyB)/n
	// The correlation of the two, corrected for continuity where it is positive.
	phi := 0.0
	if scale := (both + onlyA) * (onlyB + neither) * (both + onlyB) * (onlyA + neither); scale > 0 {
		product := both*neither - onlyA*onlyB
		if product > 0 {
			product = max(product-n/2, 0)
		}
		phi = product / math.Sqrt(scale)
	}
	joint := func(x, y float64) float64 { return math.Sqrt(max(x*x-2*phi*x*y+y*y, 0)) }
	return Interval{pa - pb - joint(pa-a.Low, b.High-pb), pa - pb + joint(a.High-pa, pb-b.Low)}
}
