package objective

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// metric is what the objectives of metric learning read. They look at all rows of a batch at once: the embeddings of rows of one
// class are to be near each other, and those of others far. Batches must have several rows of each class.
type metric struct {
	Output string // the layer with the embedding, a vector; "": the network's output
	Target string // int32, the class; "": [Class]
}

func (m metric) output() Output { return Output{Layer: m.Output} }
func (m metric) target() string { return or(m.Target, Class) }

func (m metric) outputs() []Output { return []Output{m.output()} }
func (m metric) targets() []Target { return []Target{{Name: m.target(), Element: nn.Int32}} }

// SupervisedContrastive is the supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, L_out): for each row with others
// of its class in the batch, the mean over these of −log softmax of the products of its embedding with those of all other rows,
// divided by the temperature. Embeddings are meant to have length 1.
type SupervisedContrastive struct {
	Output, Target string  // see [Triplet]
	Temperature    float64 // above 0, such as 0.1
}

// Triplet is the triplet loss with semi-hard negatives (Schroff et al. 2015, arXiv:1503.03832): for each two rows of a class,
// max(0, d(anchor, positive) − d(anchor, negative) + margin), the mean over all such pairs. d is the squared Euclidean distance;
// the negative is the nearest row of another class that is farther than the positive, or the farthest where none is.
type Triplet struct {
	Output string  // the layer with the embedding, a vector; "": the network's output
	Target string  // int32, the class; "": [Class]. Rows of a class below 0 do not count
	Margin float64 // above 0, such as 0.2
}

// Prototypical is the loss of prototypical networks (Snell et al. 2017, arXiv:1703.05175): the first half of the rows that each class
// has in the batch are its support, whose mean is its prototype; the others are queries. It is the cross-entropy of the
// queries' classes under a softmax of −d²/temperature, with d the Euclidean distance to each prototype.
type Prototypical struct {
	Output, Target string  // see [Triplet]
	Temperature    float64 // above 0; 1 in the paper, whose embeddings have any length
}

// Kind implements [Objective].
func (SupervisedContrastive) Kind() string { return "supervised_contrastive" }

// Kind implements [Objective].
func (Triplet) Kind() string { return "triplet" }

// Kind implements [Objective].
func (Prototypical) Kind() string { return "prototypical" }

func (o SupervisedContrastive) metric() metric { return metric{o.Output, o.Target} }
func (o Triplet) metric() metric               { return metric{o.Output, o.Target} }
func (o Prototypical) metric() metric          { return metric{o.Output, o.Target} }

// Outputs implements [Objective].
func (o SupervisedContrastive) Outputs() []Output { return o.metric().outputs() }

// Outputs implements [Objective].
func (o Triplet) Outputs() []Output { return o.metric().outputs() }

// Outputs implements [Objective].
func (o Prototypical) Outputs() []Output { return o.metric().outputs() }

// Targets implements [Objective].
func (o SupervisedContrastive) Targets(Shapes) []Target { return o.metric().targets() }

// Targets implements [Objective].
func (o Triplet) Targets(Shapes) []Target { return o.metric().targets() }

// Targets implements [Objective].
func (o Prototypical) Targets(Shapes) []Target { return o.metric().targets() }

// Measures implements [Objective].
func (SupervisedContrastive) Measures() []Measure { return nil }

// Measures implements [Objective].
func (Triplet) Measures() []Measure { return nil }

// Measures implements [Objective].
func (Prototypical) Measures() []Measure { return nil }

// Check implements [Objective].
func (o SupervisedContrastive) Check(shape Shapes) error {
	return o.metric().check(shape, "temperature", o.Temperature)
}

// Check implements [Objective].
func (o Triplet) Check(shape Shapes) error { return o.metric().check(shape, "margin", o.Margin) }

// Check implements [Objective].
func (o Prototypical) Check(shape Shapes) error {
	return o.metric().check(shape, "temperature", o.Temperature)
}

func (m metric) check(shape Shapes, name string, value float64) error {
	if notAbove0(value) {
		return fmt.Errorf("%s %v: must be above 0 and finite", name, value)
	}
	return vector(m.output(), shape, 1)
}

// Loss implements [Objective].
func (o SupervisedContrastive) Loss(in Place) Loss {
	return newCompared(in, o.Kind(), o.metric().output(), o.comparison())
}

// Loss implements [Objective].
func (o Triplet) Loss(in Place) Loss {
	return newCompared(in, o.Kind(), o.metric().output(), o.comparison())
}

// Loss implements [Objective].
func (o Prototypical) Loss(in Place) Loss {
	return newCompared(in, o.Kind(), o.metric().output(), o.comparison())
}

// Evaluation implements [Objective]. The loss depends on the batches that rows are evaluated in.
func (o SupervisedContrastive) Evaluation(Shapes) Evaluation {
	return newComparedEvaluation(o.metric().output(), 0, o.comparison())
}

// Evaluation implements [Objective]. The loss depends on the batches that rows are evaluated in.
func (o Triplet) Evaluation(Shapes) Evaluation {
	return newComparedEvaluation(o.metric().output(), 0, o.comparison())
}

// Evaluation implements [Objective]. The loss depends on the batches that rows are evaluated in.
func (o Prototypical) Evaluation(Shapes) Evaluation {
	return newComparedEvaluation(o.metric().output(), 0, o.comparison())
}

func (o SupervisedContrastive) comparison() *classComparison {
	return &classComparison{metric: o.metric(), of: func(b embedded) float64 { return b.contrastive(o.Temperature) }, mass: func(classes []int32) (n float64) {
		for _, alike := range counts(classes) {
			if alike > 1 {
				n += float64(alike)
			}
		}
		return n
	}}
}

func (o Triplet) comparison() *classComparison {
	return &classComparison{metric: o.metric(), of: func(b embedded) float64 { return b.triplets(o.Margin) }, mass: func(classes []int32) (n float64) {
		by := counts(classes)
		if len(by) < 2 {
			return 0
		}
		for _, alike := range by {
			n += float64(alike * (alike - 1))
		}
		return n
	}}
}

func (o Prototypical) comparison() *classComparison {
	return &classComparison{metric: o.metric(), of: func(b embedded) float64 { return b.prototypes(o.Temperature) }, mass: func(classes []int32) (n float64) {
		for _, alike := range counts(classes) {
			n += float64(alike - supportOf(alike))
		}
		return n
	}}
}

// classComparison compares the embeddings of a batch with each other.
type classComparison struct {
	metric
	silent
	mass    func(classes []int32) float64 // what counts
	of      func(b embedded) float64      // the sum of the loss
	classes []int32
}

func (c *classComparison) take(targets nn.Batch, _ int, blend Blend) (float64, error) {
	if blend.Partner != nil {
		return 0, fmt.Errorf("metric learning: mixed rows have no one class")
	}
	c.classes = targets[c.target()].Int32
	return c.mass(c.classes), nil
}

func (c *classComparison) sum(dx []float64, x []float32) float64 {
	b := embedded{x: x, dx: dx, classes: c.classes, width: len(x) / max(len(c.classes), 1)}
	return c.of(b)
}

// counts is how many rows each class that is known has.
func counts(classes []int32) map[int32]int {
	out := map[int32]int{}
	for _, c := range classes {
		if c >= 0 {
			out[c]++
		}
	}
	return out
}

// embedded are the embeddings of a batch, and memory for their gradient, nil if none is asked for.
type embedded struct {
	x       []float32
	dx      []float64
	classes []int32
	width   int
}

func (b embedded) row(i int) []float32 { return b.x[i*b.width : (i+1)*b.width] }

// known lists the rows whose class is known.
func (b embedded) known() (rows []int) {
	for i, c := range b.classes {
		if c >= 0 {
			rows = append(rows, i)
		}
	}
	return rows
}

func product(a, b []float32) (sum float64) {
	for k, v := range a {
		sum += float64(v) * float64(b[k])
	}
	return sum
}

// pull adds by·y to the gradient of row i.
func (b embedded) pull(i int, by float64, y []float32) {
	if b.dx == nil || by == 0 {
		return
	}
	d := b.dx[i*b.width : (i+1)*b.width]
	for k, v := range y {
		d[k] += by * float64(v)
	}
}

func (b embedded) contrastive(temperature float64) (loss float64) {
	rows := b.known()
	z := make([]float64, len(rows))
	for n, i := range rows {
		top, alike := math.Inf(-1), 0
		for m, j := range rows {
			if j == i {
				continue
			}
			z[m] = product(b.row(i), b.row(j)) / temperature
			top = max(top, z[m])
			if b.classes[j] == b.classes[i] {
				alike++
			}
		}
		if alike == 0 {
			continue
		}
		var sum float64
		for m := range rows {
			if m != n {
				sum += math.Exp(z[m] - top)
			}
		}
		all := top + math.Log(sum)
		for m, j := range rows {
			if m == n {
				continue
			}
			g := math.Exp(z[m] - all)
			if b.classes[j] == b.classes[i] {
				loss += (all - z[m]) / float64(alike)
				g -= 1 / float64(alike)
			}
			b.pull(i, g/temperature, b.row(j))
			b.pull(j, g/temperature, b.row(i))
		}
	}
	return loss
}

func (b embedded) triplets(margin float64) (loss float64) {
	rows := b.known()
	if len(counts(b.classes)) < 2 {
		return 0
	}
	far := make([]float64, len(rows)) // squared distances from an anchor
	for n, i := range rows {
		for m, j := range rows {
			far[m] = 0
			for k, v := range b.row(i) {
				d := float64(v) - float64(b.row(j)[k])
				far[m] += d * d
			}
		}
		for p, j := range rows {
			if p == n || b.classes[j] != b.classes[i] {
				continue
			}
			negative, semihard := -1, false
			for m, k := range rows {
				if b.classes[k] == b.classes[i] {
					continue
				}
				farther := far[m] > far[p]
				switch {
				case negative < 0, farther && !semihard, farther && far[m] < far[negative], !farther && !semihard && far[m] > far[negative]:
					negative, semihard = m, farther
				}
			}
			over := far[p] - far[negative] + margin
			if over <= 0 {
				continue
			}
			loss += over
			b.spread(i, j, 1)
			b.spread(i, rows[negative], -1)
		}
	}
	return loss
}

// spread adds by times the gradient of the squared distance of two rows.
func (b embedded) spread(i, j int, by float64) {
	b.pull(i, 2*by, b.row(i))
	b.pull(i, -2*by, b.row(j))
	b.pull(j, 2*by, b.row(j))
	b.pull(j, -2*by, b.row(i))
}

// supportOf is how many of so many rows of a class are its support.
func supportOf(rows int) int { return max(rows/2, min(rows, 1)) }

func (b embedded) prototypes(temperature float64) (loss float64) {
	by := counts(b.classes)
	var order []int32 // of the classes, as they come up
	support := map[int32][]int{}
	var queries []int
	for _, i := range b.known() {
		c := b.classes[i]
		if support[c] == nil {
			order = append(order, c)
		}
		if len(support[c]) < supportOf(by[c]) {
			support[c] = append(support[c], i)
		} else {
			queries = append(queries, i)
		}
	}
	means := make([][]float64, len(order))
	for n, c := range order {
		means[n] = make([]float64, b.width)
		for _, i := range support[c] {
			for k, v := range b.row(i) {
				means[n][k] += float64(v) / float64(len(support[c]))
			}
		}
	}
	z := make([]float64, len(order))
	for _, q := range queries {
		top := math.Inf(-1)
		for n, mean := range means {
			z[n] = 0
			for k, v := range b.row(q) {
				d := float64(v) - mean[k]
				z[n] -= d * d / temperature
			}
			top = max(top, z[n])
		}
		var sum float64
		for _, v := range z {
			sum += math.Exp(v - top)
		}
		all := top + math.Log(sum)
		for n, c := range order {
			g := math.Exp(z[n] - all)
			if c == b.classes[q] {
				loss += all - z[n]
				g--
			}
			if b.dx == nil {
				continue
			}
			for k, v := range b.row(q) {
				d := g * -2 / temperature * (float64(v) - means[n][k])
				b.dx[q*b.width+k] += d
				for _, i := range support[c] {
					b.dx[i*b.width+k] -= d / float64(len(support[c]))
				}
			}
		}
	}
	return loss
}
