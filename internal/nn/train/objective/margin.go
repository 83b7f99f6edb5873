package objective

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// Margin is a softmax over the cosines of an embedding with a direction for each class, in which the class of a row is told at a
// disadvantage: an angular margin, ArcFace (Deng et al. 2019, arXiv:1801.07698), cos(θ + margin), or with Cosine an additive one,
// CosFace (Wang et al. 2018, arXiv:1801.09414), cos θ − margin. Cosines are multiplied by Scale. Where θ + margin is beyond π,
// ArcFace takes cos θ − margin·sin(margin), as its own code does. The directions are numbers of the objective, which Adam steps at the
// rate of the network; the embedding must have length 1.
type Margin struct {
	Output, Target string // see [Triplet]
	Classes, Width int    // of the embedding
	Margin, Scale  float64
	Cosine         bool   // CosFace
	Seed           uint64 // of the directions
}

// Kind implements [Objective].
func (m Margin) Kind() string {
	if m.Cosine {
		return "cosface"
	}
	return "arcface"
}

func (m Margin) metric() metric { return metric{m.Output, m.Target} }

// Outputs implements [Objective].
func (m Margin) Outputs() []Output { return m.metric().outputs() }

// Targets implements [Objective].
func (m Margin) Targets(Shapes) []Target { return m.metric().targets() }

// Measures implements [Objective].
func (Margin) Measures() []Measure { return nil }

// Check implements [Objective].
func (m Margin) Check(shape Shapes) error {
	switch {
	case m.Classes < 2:
		return fmt.Errorf("%d classes: must be at least 2", m.Classes)
	case shape(m.metric().output()).Size() != m.Width:
		return fmt.Errorf("an embedding of %d numbers, not %d", shape(m.metric().output()).Size(), m.Width)
	case !(m.Margin >= 0 && m.Margin < math.Pi):
		return fmt.Errorf("margin %v: must be at least 0 and below π", m.Margin)
	}
	return m.metric().check(shape, "scale", m.Scale)
}

// Own implements [Adaptive]: the directions, [classes][width], with what Adam keeps of them.
func (m Margin) Own() []float64 {
	random := rand.New(rand.NewPCG(m.Seed, 0x636f73))
	own := make([]float64, adamSize(m.Classes*m.Width))
	for i := range m.Classes * m.Width {
		own[i] = random.NormFloat64() / math.Sqrt(float64(m.Width))
	}
	return own
}

// Loss implements [Objective].
func (m Margin) Loss(in Place) Loss {
	c := &marginComparison{Margin: m, gradient: make([]float64, m.Classes*m.Width)}
	return &marginLoss{newCompared(in, m.Kind(), m.metric().output(), c).(*compared), c}
}

// Evaluation implements [Objective]: it measures nothing.
func (Margin) Evaluation(Shapes) Evaluation { return unmeasured{} }

// marginLoss is the loss in a graph.
type marginLoss struct {
	*compared
	margins *marginComparison
}

// Fill implements [Loss].
func (l *marginLoss) Fill(targets nn.Batch, f Filling) (float64, error) {
	l.margins.own = f.Own
	return l.compared.Fill(targets, f)
}

// Adapt implements [Adapting].
func (l *marginLoss) Adapt(own []float64, by Adaption) {
	mass := float64(l.graph.Data(l.inGraph.mass)[0])
	for i := range l.margins.gradient {
		l.margins.gradient[i] /= mass
	}
	adam(own, l.margins.gradient, by.Rate)
}

// Kept implements [Loss].
func (l *marginLoss) Kept() []*graph.Node { return l.compared.Kept() }

type marginComparison struct {
	Margin
	silent
	own      []float64
	gradient []float64 // of the directions, of the sum of the loss
	classes  []int32
}

func (m *marginComparison) take(targets nn.Batch, _ int, blend Blend) (n float64, err error) {
	if blend.Partner != nil {
		return 0, fmt.Errorf("%s: mixed rows have no one class", m.Kind())
	}
	m.classes = targets[m.metric().target()].Int32
	for _, c := range m.classes {
		if int(c) >= m.Classes {
			return 0, fmt.Errorf("an example is of class %d; there are %d", c, m.Classes)
		}
		if c >= 0 {
			n++
		}
	}
	return n, nil
}

func (m *marginComparison) sum(dx []float64, x []float32) (loss float64) {
	clear(m.gradient)
	directions, lengths := m.directions()
	along := make([]float64, len(m.gradient)) // gradient of the directions at length 1
	z, slope := make([]float64, m.Classes), make([]float64, m.Classes)
	for i, class := range m.classes {
		if class < 0 {
			continue
		}
		row := x[i*m.Width : (i+1)*m.Width]
		top := math.Inf(-1)
		for c := range z {
			var cosine float64
			for k, v := range row {
				cosine += float64(v) * directions[c*m.Width+k]
			}
			z[c], slope[c] = cosine, 1
			if c == int(class) {
				z[c], slope[c] = m.handicap(cosine)
			}
			z[c] *= m.Scale
			top = max(top, z[c])
		}
		var sum float64
		for _, v := range z {
			sum += math.Exp(v - top)
		}
		all := top + math.Log(sum)
		loss += all - z[class]
		if dx == nil {
			continue
		}
		for c := range z {
			g := math.Exp(z[c] - all)
			if c == int(class) {
				g--
			}
			g *= slope[c] * m.Scale
			for k, v := range row {
				dx[i*m.Width+k] += g * directions[c*m.Width+k]
				along[c*m.Width+k] += g * float64(v)
			}
		}
	}
	for c, length := range lengths {
		var radial float64
		for k := range m.Width {
			radial += along[c*m.Width+k] * directions[c*m.Width+k]
		}
		for k := range m.Width {
			m.gradient[c*m.Width+k] = (along[c*m.Width+k] - radial*directions[c*m.Width+k]) / length
		}
	}
	return loss
}

// handicap is what the cosine of a row with the direction of its class becomes, and the derivative.
func (m Margin) handicap(cosine float64) (value, slope float64) {
	if m.Cosine {
		return cosine - m.Margin, 1
	}
	if cosine <= math.Cos(math.Pi-m.Margin) {
		return cosine - m.Margin*math.Sin(m.Margin), 1
	}
	const most = 1 - 1e-7 // the derivative of the angle has no end
	c := min(max(cosine, -most), most)
	sine := math.Sqrt(1 - c*c)
	return c*math.Cos(m.Margin) - sine*math.Sin(m.Margin), math.Cos(m.Margin) + c/sine*math.Sin(m.Margin)
}

// directions are those of the classes at length 1, and how long they are.
func (m *marginComparison) directions() (unit, lengths []float64) {
	unit, lengths = make([]float64, len(m.gradient)), make([]float64, m.Classes)
	for c := range lengths {
		own := m.own[c*m.Width : (c+1)*m.Width]
		for _, v := range own {
			lengths[c] += v * v
		}
		lengths[c] = max(math.Sqrt(lengths[c]), 1e-12)
		for k, v := range own {
			unit[c*m.Width+k] = v / lengths[c]
		}
	}
	return unit, lengths
}
