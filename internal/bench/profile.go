package bench

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// Profile tells where the time of a network goes.
type Profile struct {
	Peak    float64     `json:"peak_gflops"`
	Classes []ClassTime `json:"classes"` // the longest first
	Steps   []StepTime  `json:"steps"`   // in order
}

// ClassTime sums the steps of one kind.
type ClassTime struct {
	Class  string  `json:"class"`
	Steps  int     `json:"steps"`
	Share  float64 `json:"share"`  // of the time of all steps
	GFLOPS float64 `json:"gflops"` // 0 for steps that do not multiply matrices
}

// StepTime is one step.
type StepTime struct {
	Layer   string  `json:"layer"`
	Class   string  `json:"class"`
	Seconds float64 `json:"seconds"` // of a run
	GFLOPS  float64 `json:"gflops"`
}

// profile runs the program some more times and takes each step's best.
func profile(ctx context.Context, program *frozen.Program, session *frozen.Session, pool *kernel.Pool, x []float32, n int, y []float32, repeat int) (*Profile, error) {
	steps := program.Steps()
	took, best := make([]time.Duration, len(steps)), make([]time.Duration, len(steps))
	for run := range repeat {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		clear(took)
		if err := session.Profile(took, pool, x, n, y); err != nil {
			return nil, err
		}
		for i, t := range took {
			if run == 0 || t < best[i] {
				best[i] = t
			}
		}
	}
	p := &Profile{Peak: peak(pool)}
	var total float64
	var flops []float64 // by class
	for i, s := range steps {
		seconds, work := max(best[i].Seconds(), 1e-9), float64(n)*float64(s.FLOPs)
		total += seconds
		p.Steps = append(p.Steps, StepTime{Layer: s.Layer, Class: s.Class, Seconds: seconds, GFLOPS: work / seconds / 1e9})
		at := slices.IndexFunc(p.Classes, func(c ClassTime) bool { return c.Class == s.Class })
		if at < 0 {
			at = len(p.Classes)
			p.Classes, flops = append(p.Classes, ClassTime{Class: s.Class}), append(flops, 0)
		}
		p.Classes[at].Steps++
		p.Classes[at].Share += seconds
		flops[at] += work
	}
	for i := range p.Classes {
		c := &p.Classes[i]
		c.GFLOPS = flops[i] / c.Share / 1e9
		c.Share /= total
	}
	slices.SortStableFunc(p.Classes, func(a, b ClassTime) int { return cmp.Compare(b.Share, a.Share) })
	return p, nil
}

// peak measures the fastest matrix product, in 10⁹ operations a second: a 1×1 convolution whose
// weights and lines stay in the caches.
func peak(pool *kernel.Pool) float64 {
	const side, channels = 28, 256
	c := kernel.Conv{InC: channels - 16, OutC: channels, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
	packed, err := kernel.PackConv(c, make([]float32, c.WeightSize()), nil)
	if err != nil {
		return 0
	}
	const n = 4
	src, dst := make([]float32, n*side*side*c.InC), make([]float32, n*side*side*c.OutC)
	var workspace kernel.Workspace
	best := time.Duration(1 << 62)
	for range 50 {
		start := time.Now()
		packed.Run(pool, dst, src, n, side, side, nil, kernel.None, &workspace)
		best = min(best, time.Since(start))
	}
	return float64(n*c.FLOPs(side, side)) / float64(best.Nanoseconds())
}
