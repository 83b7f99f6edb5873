package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// Mixing blends the examples of a batch with each other, and their labels likewise, as they enter
// the network: pixels, or the activations that the network starts from. Each example meets the one
// that a shuffle of the batch puts in its place; one share λ, drawn from Beta(α, α), is for all.
//
//   - mixup (Zhang et al., arXiv:1710.09412): λ·x + (1−λ)·x′.
//   - cutmix (Yun et al., arXiv:1905.04899), on maps: a rectangle of x′, of the map's proportions and
//     (1−λ) of its area before it is cut off at the edges, replaces that of x; λ then is the share
//     that is left of x.
//
// The zero value mixes nothing. What is drawn follows from the seed, the epoch and the step.
type Mixing struct {
	MixUp       float64 // α of mixup, usual 0.2 to 0.4; 0: no mixup
	CutMix      float64 // α of cutmix, usual 1; 0: no cutmix
	Probability float64 // that a batch is mixed, above 0 and at most 1; with both ways, each takes half of these
}

func (m Mixing) check() error {
	good := func(alpha float64) bool { return alpha >= 0 && !math.IsInf(alpha, 1) }
	switch {
	case !good(m.MixUp) || !good(m.CutMix):
		return fmt.Errorf("mixing with α %v and %v: must not be negative, and finite", m.MixUp, m.CutMix)
	case m.on() && !(m.Probability > 0 && m.Probability <= 1):
		return fmt.Errorf("mixing with probability %v: must be above 0 and at most 1", m.Probability)
	}
	return nil
}

func (m Mixing) on() bool { return m.MixUp > 0 || m.CutMix > 0 }

// fits returns an error if examples of this shape cannot be mixed.
func (m Mixing) fits(example nn.Shape) error {
	if m.CutMix > 0 && len(example) != 3 {
		return fmt.Errorf("cutmix on inputs of shape %v: needs maps", example)
	}
	return nil
}

// mixture is what one batch is mixed by: example i keeps the share keep of itself and takes the
// rest from partner[i]. The zero value changes nothing.
type mixture struct {
	partner []int
	keep    float64
	window  [4]int // of a cutmix: top, left, bottom, right, the last two not within; empty for mixup
	cut     bool
}

// draw decides how to mix a batch of n examples of a shape.
func (m Mixing) draw(n int, example nn.Shape, d graph.Draw) mixture {
	if !m.on() {
		return mixture{}
	}
	random := source{d.Stream("mixing of the examples")}
	if random.float() >= m.Probability {
		return mixture{}
	}
	out := mixture{cut: m.CutMix > 0 && (m.MixUp == 0 || random.float() < 0.5)}
	alpha := m.MixUp
	if out.cut {
		alpha = m.CutMix
	}
	out.keep = random.beta(alpha)
	if out.cut {
		out.window, out.keep = random.window(example[0], example[1], out.keep)
	}
	out.partner = random.shuffled(n)
	return out
}

// inputs mixes examples of a shape in place.
func (m mixture) inputs(x []float32, example nn.Shape) {
	if m.partner == nil {
		return
	}
	before := slices.Clone(x)
	size := example.Size()
	for i, p := range m.partner {
		own, other := x[i*size:(i+1)*size], before[p*size:(p+1)*size]
		if !m.cut {
			blend(own, other, m.keep)
			continue
		}
		for y := m.window[0]; y < m.window[2]; y++ {
			row := y * example[1] * example[2]
			copy(own[row+m.window[1]*example[2]:row+m.window[3]*example[2]], other[row+m.window[1]*example[2]:])
		}
	}
}

// targets mixes the targets [examples][classes] in place.
func (m mixture) targets(t []float32, classes int) {
	if m.partner == nil {
		return
	}
	before := slices.Clone(t)
	for i, p := range m.partner {
		blend(t[i*classes:(i+1)*classes], before[p*classes:(p+1)*classes], m.keep)
	}
}

// blend makes keep·x + (1−keep)·other of x.
func blend(x, other []float32, keep float64) {
	for i, v := range other {
		x[i] = float32(keep*float64(x[i]) + (1-keep)*float64(v))
	}
}
