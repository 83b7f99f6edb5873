package objective

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
)

// DeepCORAL is correlation alignment: the distance of the covariances of a layer's outputs in the two domains of a batch
// (Sun and Saenko, arXiv:1607.01719); see [discrepancy.CORAL].
type DeepCORAL struct {
	Output string // a layer that gives a vector; "": the network's output
}

// Kind implements [Objective].
func (DeepCORAL) Kind() string { return "deep_coral" }

func (c DeepCORAL) output() Output { return Output{Layer: c.Output} }

// Outputs implements [Objective].
func (c DeepCORAL) Outputs() []Output { return []Output{c.output()} }

// Targets implements [Objective].
func (DeepCORAL) Targets(Shapes) []Target { return []Target{domainTarget()} }

// Measures implements [Objective].
func (DeepCORAL) Measures() []Measure { return nil }

// Check implements [Objective].
func (c DeepCORAL) Check(shape Shapes) error { return vector(c.output(), shape, 1) }

// Loss implements [Objective].
func (c DeepCORAL) Loss(in Place) Loss {
	return newApart(c.Kind(), in, c.Outputs(), []int32{SourceDomain, TargetDomain}, func(_ *kernel.Pool, s [][]discrepancy.Sample) float64 {
		return discrepancy.CORAL(s[0][SourceDomain], s[0][TargetDomain])
	})
}

// Evaluation implements [Objective]: it measures nothing.
func (DeepCORAL) Evaluation(Shapes) Evaluation { return unmeasured{} }
