package prune

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Scores are how much each output channel of a layer with weights matters, by layer. Layers may be missing.
type Scores map[string][]float64

// L1 scores a channel by the sum of the magnitudes of the weights that make it (Li et al. 2017, arXiv:1608.08710), as a share of the
// mean of its layer.
func L1(net *nn.Network, w nn.Weights) Scores {
	out := Scores{}
	for _, l := range net.Layers() {
		for _, p := range net.LayerParameters(l) {
			if p.Role != nn.Weight || len(p.Shape) < 2 {
				continue
			}
			sums, each := make([]float64, p.Shape[0]), p.Shape.Size()/p.Shape[0]
			for i, x := range w[p.Name()].Data {
				sums[i/each] += math.Abs(float64(x))
			}
			out[l.Name] = relative(sums)
		}
	}
	return out
}

// BatchNormScale scores a channel by the magnitude of the scale of its batch-norms (Liu et al. 2017, arXiv:1708.06519). It is an error if
// none of the network's batch-norms has one.
func BatchNormScale(net *nn.Network, w nn.Weights) (Scores, error) {
	out := Scores{}
	for _, l := range net.Layers() {
		if op, ok := l.Op.(nn.BatchNorm); ok && !op.Unscaled {
			data := w[nn.Parameter{Layer: l.Name, Role: nn.Gamma}.Name()].Data
			scale := make([]float64, len(data))
			for i, x := range data {
				scale[i] = math.Abs(float64(x))
			}
			out[l.Name] = scale
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the network has no batch-norm with a scale")
	}
	return out, nil
}

// relative divides by the mean.
func relative(x []float64) []float64 {
	var mean float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for i := range x {
		if mean > 0 {
			x[i] /= mean
		}
	}
	return x
}

// Choice says how many channels go.
type Choice struct {
	Ratio    float64 // of the channels that go, above 0 and below 1
	Global   bool    // the least of all spaces go; else the ratio of each
	Multiple int     // of which the channels kept are; at least 1
	// Before is how many channels a space had before it was ever pruned, which the ratio is of; nil: those it has.
	Before func(Space) int
	// Keep tells layers whose channels stay.
	Keep func(layer string) bool
}

// leastShare of a space stays, whatever the scores say: a layer that is starved makes all others useless.
const leastShare = 0.1

// Choose chooses the channels that go, by the mean of their members' scores: the least first, of equal ones the last. Spaces without a
// score stay. It is an error if nothing goes.
func (c *Coupling) Choose(scores Scores, o Choice) (gone []Channel, err error) {
	if !(o.Ratio > 0 && o.Ratio < 1) {
		return nil, fmt.Errorf("ratio %v: must be above 0 and below 1", o.Ratio)
	}
	multiple := max(o.Multiple, 1)
	type scored struct {
		space, at int
		score     float64
	}
	var ranked [][]scored // by space, the least first
	var all []scored
	for i, s := range c.spaces {
		var own []scored
		if o.Keep == nil || !slices.ContainsFunc(s.Layers, o.Keep) {
			for k, channel := range s.Channels {
				if score, ok := channel.score(scores); ok {
					own = append(own, scored{i, k, score})
				}
			}
		}
		slices.SortStableFunc(own, func(a, b scored) int { return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(b.at, a.at)) })
		ranked, all = append(ranked, own), append(all, own...)
	}
	goes := make([]int, len(c.spaces)) // how many, of each space
	if o.Global {
		slices.SortStableFunc(all, func(a, b scored) int {
			return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.space, b.space), cmp.Compare(b.at, a.at))
		})
		for _, s := range all[:int(o.Ratio*float64(len(all)))] {
			goes[s.space]++
		}
	}
	for i, own := range ranked {
		n := len(c.spaces[i].Channels)
		if len(own) < n {
			continue // some of its channels have no score
		}
		before := n
		if o.Before != nil {
			before = o.Before(c.spaces[i])
		}
		var keep int
		if o.Global {
			keep = max(n-goes[i], int(math.Ceil(leastShare*float64(before))))
			keep = (keep + multiple - 1) / multiple * multiple
		} else {
			keep = int(math.Round((1-o.Ratio)*float64(before)/float64(multiple))) * multiple
		}
		keep = max(keep, min(multiple, n), 1)
		for _, s := range own[:max(n-keep, 0)] {
			gone = append(gone, c.spaces[i].Channels[s.at])
		}
	}
	if len(gone) == 0 && len(all) == 0 && o.Keep != nil && len(c.spaces) > 0 {
		return nil, fmt.Errorf("nothing can be taken out: all %d spaces of channels have a layer that stays, or no score", len(c.spaces))
	}
	if len(gone) == 0 {
		return nil, fmt.Errorf("nothing can be taken out: of %d spaces of channels, none has more than a multiple of %d to lose at ratio %v", len(c.spaces), multiple, o.Ratio)
	}
	return gone, nil
}

// score is the mean of the scores of the members.
func (c Channel) score(scores Scores) (mean float64, known bool) {
	n := 0
	for _, m := range c.Members {
		if of := scores[m.Layer]; m.Channel < len(of) {
			mean += of[m.Channel]
			n++
		}
	}
	return mean / float64(max(n, 1)), n > 0
}
