package objective

import (
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// OfDomain is the cross-entropy of the examples of one domain alone, in training. An evaluation has all examples with a
// class.
type OfDomain struct {
	CrossEntropy
	Domain int32
}

// Kind implements [Objective].
func (OfDomain) Kind() string { return "cross_entropy_of_domain" }

// Targets implements [Objective].
func (o OfDomain) Targets(shape Shapes) []Target {
	return append(o.CrossEntropy.Targets(shape), domainTarget())
}

// Loss implements [Objective].
func (o OfDomain) Loss(in Place) Loss {
	l := o.CrossEntropy.Loss(in).(*crossEntropy)
	l.Unlabelled = true
	return &ofDomain{l, o.Domain}
}

type ofDomain struct {
	*crossEntropy
	domain int32
}

// Fill implements [Loss].
func (l *ofDomain) Fill(targets nn.Batch, f Filling) (float64, error) {
	classes := slices.Clone(targets[l.target()].Int32)
	for i, d := range targets[Domain].Int32 {
		if d != l.domain {
			classes[i] = Unknown
		}
	}
	return l.crossEntropy.Fill(nn.Batch{l.target(): {Int32: classes}}, f)
}
