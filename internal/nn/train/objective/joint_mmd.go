package objective

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
)

// JointMMD is the maximum mean discrepancy of the joint distribution of features and answers in the two domains of a batch
// (joint adaptation networks, Long et al., arXiv:1605.06636); see [discrepancy.JMMD].
type JointMMD struct {
	Features   string                 // a layer that gives a vector
	Answers    string                 // a layer that gives probabilities; "": the network's output
	Estimator  discrepancy.Estimator  // the zero value: biased
	Bandwidths discrepancy.Bandwidths // of the features; the zero value: [discrepancy.LibraryBandwidths]
}

// Kind implements [Objective].
func (JointMMD) Kind() string { return "joint_mmd" }

// Outputs implements [Objective].
func (m JointMMD) Outputs() []Output {
	if m.Features == m.Answers {
		return []Output{{Layer: m.Features}}
	}
	return []Output{{Layer: m.Features}, {Layer: m.Answers}}
}

// Targets implements [Objective].
func (JointMMD) Targets(Shapes) []Target { return []Target{domainTarget()} }

// Measures implements [Objective].
func (JointMMD) Measures() []Measure { return nil }

// Check implements [Objective].
func (m JointMMD) Check(shape Shapes) error {
	for _, o := range m.Outputs() {
		if err := vector(o, shape, 1); err != nil {
			return err
		}
	}
	return nil
}

// Loss implements [Objective].
func (m JointMMD) Loss(in Place) Loss {
	widths := []discrepancy.Bandwidths{orLibrary(m.Bandwidths), discrepancy.AnswerBandwidth()}
	return newApart(m.Kind(), in, m.Outputs(), []int32{SourceDomain, TargetDomain}, func(pool *kernel.Pool, s [][]discrepancy.Sample) float64 {
		var layers []discrepancy.Layer
		for i := range s {
			layers = append(layers, discrepancy.Layer{Source: s[i][SourceDomain], Target: s[i][TargetDomain], Bandwidths: widths[i]})
		}
		return discrepancy.JMMD(pool, m.Estimator, layers...)
	})
}

// Evaluation implements [Objective]: it measures nothing.
func (JointMMD) Evaluation(Shapes) Evaluation { return unmeasured{} }
