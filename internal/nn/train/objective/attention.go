package objective

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Attention is attention transfer (Zagoruyko and Komodakis 2017, arXiv:1612.03928): of a map the mean of the squares over the
// channels, as a vector of length 1 over the positions; the mean squared difference from that of the teacher's map. If the
// two maps have different sizes, the larger map of squares is averaged over the windows that PyTorch's adaptive_avg_pool2d
// has, as in RepDistiller.
type Attention struct {
	Output string   // the layer with the map
	Target string   // float32, the teacher's map
	Of     nn.Shape // of the teacher's map: [height, width, channels]
}

// Kind implements [Objective].
func (Attention) Kind() string { return "at" }

func (a Attention) output() Output { return Output{Layer: a.Output} }
func (a Attention) target() string { return or(a.Target, Teacher) }

// Outputs implements [Objective].
func (a Attention) Outputs() []Output { return []Output{a.output()} }

// Targets implements [Objective].
func (a Attention) Targets(Shapes) []Target {
	return []Target{{Name: a.target(), Element: nn.Float32, Shape: a.Of}}
}

// Measures implements [Objective].
func (Attention) Measures() []Measure { return nil }

// Check implements [Objective].
func (a Attention) Check(shape Shapes) error {
	if err := there(a.output(), shape); err != nil {
		return err
	}
	if s := shape(a.output()); len(s) != 3 || len(a.Of) != 3 {
		return fmt.Errorf("output %q has the shape %v, the teacher's layer %v: attention is of maps", a.Output, s, a.Of)
	}
	return nil
}

// Loss implements [Objective].
func (a Attention) Loss(in Place) Loss {
	return newCompared(in, a.Kind(), a.output(), newAttention(a, nn.Shape(in.Output(a.output()).Shape()[1:])))
}

// Evaluation implements [Objective].
func (a Attention) Evaluation(shape Shapes) Evaluation {
	return newComparedEvaluation(a.output(), 0, newAttention(a, shape(a.output())))
}

type attentionComparison struct {
	Attention
	silent
	own, its maps
	teacher  []float64 // attention of the teacher, [rows][positions]
	rows     int
}

func newAttention(a Attention, own nn.Shape) *attentionComparison {
	height, width := min(own[0], a.Of[0]), min(own[1], a.Of[1])
	return &attentionComparison{Attention: a, own: maps{own, height, width}, its: maps{a.Of, height, width}}
}

func (a *attentionComparison) take(targets nn.Batch, rows int, blend Blend) (float64, error) {
	if blend.Partner != nil {
		return 0, fmt.Errorf("at: what the teacher's layer gives for mixed examples is not known")
	}
	values := targets[a.target()].Float32
	if !nn.Finite(values) {
		return 0, fmt.Errorf("a value of the teacher's layer is not finite")
	}
	n := a.its.height * a.its.width
	a.rows, a.teacher = rows, make([]float64, rows*n)
	for i := range rows {
		attention := a.teacher[i*n : (i+1)*n]
		a.its.squares(attention, values[i*a.its.Size():(i+1)*a.its.Size()])
		unit(attention)
	}
	return float64(rows), nil
}

func (a *attentionComparison) sum(dx []float64, x []float32) (loss float64) {
	n, size := a.own.height*a.own.width, a.own.Size()
	attention, gradient := make([]float64, n), make([]float64, n)
	for i := range a.rows {
		row := x[i*size : (i+1)*size]
		a.own.squares(attention, row)
		length := unit(attention)
		var along float64
		for p, q := range attention {
			d := q - a.teacher[i*n+p]
			loss += d * d / float64(n)
			gradient[p] = 2 * d / float64(n)
			along += gradient[p] * q
		}
		if dx == nil {
			continue
		}
		for p, q := range attention {
			gradient[p] = (gradient[p] - along*q) / length
		}
		a.own.back(dx[i*size:(i+1)*size], row, gradient)
	}
	return loss
}

// unit divides by the Euclidean length, which it returns; by 1e-12 if it is shorter, as PyTorch's normalize.
func unit(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	length := max(math.Sqrt(sum), 1e-12)
	for i := range x {
		x[i] /= length
	}
	return length
}

// maps are maps of a shape whose squares are averaged to so many positions.
type maps struct {
	nn.Shape
	height, width int
}

// window is the range of the source's lines that line i of so many is the mean of.
func window(i, of, source int) (from, to int) { return i * source / of, ((i+1)*source + of - 1) / of }

// each calls do for every position of the output, with every position of the map in its window and that one's share.
func (m maps) each(do func(out, in int, share float64)) {
	for y := range m.height {
		top, bottom := window(y, m.height, m.Shape[0])
		for x := range m.width {
			left, right := window(x, m.width, m.Shape[1])
			share := 1 / float64((bottom-top)*(right-left))
			for v := top; v < bottom; v++ {
				for u := left; u < right; u++ {
					do(y*m.width+x, v*m.Shape[1]+u, share)
				}
			}
		}
	}
}

// squares writes the mean of the squares over the channels.
func (m maps) squares(out []float64, x []float32) {
	clear(out)
	channels := m.Shape[2]
	m.each(func(to, from int, share float64) {
		var sum float64
		for _, v := range x[from*channels : (from+1)*channels] {
			sum += float64(v) * float64(v)
		}
		out[to] += sum * share / float64(channels)
	})
}

// back writes the gradient of x, given that of the squares.
func (m maps) back(dx []float64, x []float32, gradient []float64) {
	channels := m.Shape[2]
	factor := make([]float64, m.Shape[0]*m.Shape[1])
	m.each(func(to, from int, share float64) { factor[from] += 2 * gradient[to] * share / float64(channels) })
	for i, v := range x {
		dx[i] = factor[i/channels] * float64(v)
	}
}
