package objective

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
)

// MMD is the maximum mean discrepancy of a layer's outputs in the two domains of a batch, under five Gaussian kernels whose
// widths follow from the batch (deep adaptation networks, Long et al., arXiv:1502.02791); see [discrepancy.MMD].
type MMD struct {
	Output     string                 // a layer that gives a vector; "": the network's output
	Estimator  discrepancy.Estimator  // the zero value: biased
	Bandwidths discrepancy.Bandwidths // the zero value: [discrepancy.LibraryBandwidths]
}

// Kind implements [Objective].
func (MMD) Kind() string { return "mmd" }

func (m MMD) output() Output { return Output{Layer: m.Output} }

// Outputs implements [Objective].
func (m MMD) Outputs() []Output { return []Output{m.output()} }

// Targets implements [Objective].
func (MMD) Targets(Shapes) []Target { return []Target{domainTarget()} }

// Measures implements [Objective].
func (MMD) Measures() []Measure { return nil }

// Check implements [Objective].
func (m MMD) Check(shape Shapes) error { return vector(m.output(), shape, 1) }

// Loss implements [Objective].
func (m MMD) Loss(in Place) Loss {
	widths := orLibrary(m.Bandwidths)
	return newApart(m.Kind(), in, m.Outputs(), []int32{SourceDomain, TargetDomain}, func(pool *kernel.Pool, s [][]discrepancy.Sample) float64 {
		return discrepancy.MMD(pool, discrepancy.Layer{Source: s[0][SourceDomain], Target: s[0][TargetDomain], Bandwidths: widths}, m.Estimator)
	})
}

func orLibrary(b discrepancy.Bandwidths) discrepancy.Bandwidths {
	if b.Multiples == nil && b.Fixed == 0 {
		return discrepancy.LibraryBandwidths()
	}
	return b
}

// Evaluation implements [Objective]: it measures nothing.
func (MMD) Evaluation(Shapes) Evaluation { return unmeasured{} }
