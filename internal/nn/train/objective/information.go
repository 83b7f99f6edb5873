package objective

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
)

// Information makes the answers to the target's rows of a batch sure, and varied: Sure times their mean entropy less
// Varied times the entropy of their mean (Liang et al., arXiv:2002.08546). With Varied 0 it is the entropy alone (Wang et
// al., arXiv:2006.10726).
type Information struct {
	Output       string  // the layer with the logits, or their softmax; "": the network's output
	Sure, Varied float64 // at least 0; both 0: 1 each
}

// Kind implements [Objective].
func (Information) Kind() string { return "information" }

func (o Information) output() Output { return Output{Layer: o.Output, Logits: true} }

// Outputs implements [Objective].
func (o Information) Outputs() []Output { return []Output{o.output()} }

// Targets implements [Objective].
func (Information) Targets(Shapes) []Target { return []Target{domainTarget()} }

// Measures implements [Objective].
func (Information) Measures() []Measure { return nil }

// Check implements [Objective].
func (o Information) Check(shape Shapes) error {
	if !(o.Sure >= 0) || !(o.Varied >= 0) || o.Sure-o.Sure != 0 || o.Varied-o.Varied != 0 {
		return fmt.Errorf("weights %v and %v of an entropy: must be at least 0 and finite", o.Sure, o.Varied)
	}
	return vector(o.output(), shape, 2)
}

// Loss implements [Objective].
func (o Information) Loss(in Place) Loss {
	sure, varied := o.Sure, o.Varied
	if sure == 0 && varied == 0 {
		sure, varied = 1, 1
	}
	return newApart(o.Kind(), in, o.Outputs(), []int32{TargetDomain}, func(_ *kernel.Pool, s [][]discrepancy.Sample) float64 {
		return discrepancy.Information(s[0][TargetDomain], sure, varied)
	})
}

// Evaluation implements [Objective]: it measures nothing.
func (Information) Evaluation(Shapes) Evaluation { return unmeasured{} }
