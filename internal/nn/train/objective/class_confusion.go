package objective

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
)

// ClassConfusion is the minimum class confusion of the answers to the target's rows of a batch (Jin et al.,
// arXiv:1912.03699); see [discrepancy.ClassConfusion].
type ClassConfusion struct {
	Output      string  // the layer with the logits, or their softmax; "": the network's output
	Temperature float64 // above 0; 0: 2.5
}

// Kind implements [Objective].
func (ClassConfusion) Kind() string { return "class_confusion" }

func (c ClassConfusion) output() Output { return Output{Layer: c.Output, Logits: true} }

func (c ClassConfusion) temperature() float64 { return cmp.Or(c.Temperature, 2.5) }

// Outputs implements [Objective].
func (c ClassConfusion) Outputs() []Output { return []Output{c.output()} }

// Targets implements [Objective].
func (ClassConfusion) Targets(Shapes) []Target { return []Target{domainTarget()} }

// Measures implements [Objective].
func (ClassConfusion) Measures() []Measure { return nil }

// Check implements [Objective].
func (c ClassConfusion) Check(shape Shapes) error {
	if t := c.temperature(); !(t > 0) || math.IsInf(t, 1) {
		return fmt.Errorf("temperature %v: must be above 0 and finite", t)
	}
	return vector(c.output(), shape, 2)
}

// Loss implements [Objective].
func (c ClassConfusion) Loss(in Place) Loss {
	return newApart(c.Kind(), in, c.Outputs(), []int32{TargetDomain}, func(_ *kernel.Pool, s [][]discrepancy.Sample) float64 {
		return discrepancy.ClassConfusion(s[0][TargetDomain], c.temperature())
	})
}

// Evaluation implements [Objective]: it measures nothing.
func (ClassConfusion) Evaluation(Shapes) Evaluation { return unmeasured{} }
