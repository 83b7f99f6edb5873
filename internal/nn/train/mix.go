package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
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

// fits returns an error if examples of a network cannot be mixed.
func (m Mixing) fits(net *nn.Network) error {
	if !m.on() {
		return nil
	}
	inputs := net.Inputs()
	if len(inputs) != 1 || net.Element(inputs[0].Name) != nn.Float32 {
		return fmt.Errorf("mixing needs a network of one input, of numbers")
	}
	if shape := net.Shape(inputs[0].Name); m.CutMix > 0 && len(shape) != 3 {
		return fmt.Errorf("cutmix on inputs of shape %v: needs maps", shape)
	}
	return nil
}

// mixture is what one batch is mixed by. The zero value changes nothing.
type mixture struct {
	objective.Blend
	window [4]int // of a cutmix: top, left, bottom, right, the last two not within; empty for mixup
	cut    bool
}

// draw decides how to mix a batch of n examples of a shape.
func (m Mixing) draw(n int, example nn.Shape, d graph.Draw) mixture {
	random := source{d.Stream("mixing of the examples")}
	if random.float() >= m.Probability {
		return mixture{}
	}
	out := mixture{cut: m.CutMix > 0 && (m.MixUp == 0 || random.float() < 0.5)}
	alpha := m.MixUp
	if out.cut {
		alpha = m.CutMix
	}
	out.Keep = random.beta(alpha)
	if out.cut {
		out.window, out.Keep = random.window(example[0], example[1], out.Keep)
	}
	out.Partner = random.shuffled(n)
	return out
}

// inputs mixes examples of a shape in place.
func (m mixture) inputs(x []float32, example nn.Shape) {
	if m.Partner == nil {
		return
	}
	before := slices.Clone(x)
	size := example.Size()
	for i, p := range m.Partner {
		own, other := x[i*size:(i+1)*size], before[p*size:(p+1)*size]
		if !m.cut {
			m.Pair(own, other)
			continue
		}
		for y := m.window[0]; y < m.window[2]; y++ {
			row := y * example[1] * example[2]
			copy(own[row+m.window[1]*example[2]:row+m.window[3]*example[2]], other[row+m.window[1]*example[2]:])
		}
	}
}
