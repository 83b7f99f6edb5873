package objective

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
)

// Consistency makes the answers to strongly varied rows of the target those to the rows as they are, where these are sure
// (Sohn et al., arXiv:2001.07685). The target's rows of a batch are in two halves: rows as they are, then the same rows
// varied, in the same order.
type Consistency struct {
	Output    string  // the layer with the logits, or their softmax; "": the network's output
	Threshold float64 // least probability of an answer that is learned from, 0…1
}

// Kind implements [Objective].
func (Consistency) Kind() string { return "consistency" }

func (o Consistency) output() Output { return Output{Layer: o.Output, Logits: true} }

// Outputs implements [Objective].
func (o Consistency) Outputs() []Output { return []Output{o.output()} }

// Targets implements [Objective].
func (Consistency) Targets(Shapes) []Target { return []Target{domainTarget()} }

// Measures implements [Objective].
func (Consistency) Measures() []Measure { return nil }

// Check implements [Objective].
func (o Consistency) Check(shape Shapes) error {
	if !(o.Threshold >= 0 && o.Threshold <= 1) {
		return fmt.Errorf("threshold %v of a probability: must be within 0 and 1", o.Threshold)
	}
	return vector(o.output(), shape, 2)
}

// Loss implements [Objective].
func (o Consistency) Loss(in Place) Loss {
	return newApart(o.Kind(), in, o.Outputs(), []int32{TargetDomain}, func(_ *kernel.Pool, s [][]discrepancy.Sample) float64 {
		plain, varied := s[0][TargetDomain].Halves()
		return discrepancy.Consistency(plain, varied, o.Threshold)
	})
}

// Evaluation implements [Objective]: it measures nothing.
func (Consistency) Evaluation(Shapes) Evaluation { return unmeasured{} }
