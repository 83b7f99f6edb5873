package objective

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Relation is relational knowledge distillation (Park et al. 2019, arXiv:1904.05068) of the examples of a batch:
// Distance·D + Angle·A. D is the Huber loss (δ = 1) of the distances of all pairs, each divided by the mean over the pairs that are
// not of one example, the mean over all N² pairs; A that of the cosines of the angles of all N³ triplets. A pair of equal
// examples has no direction: its cosines are 0.
type Relation struct {
	Output          string   // the layer with the embedding, any shape
	Target          string   // float32, the teacher's embedding
	Of              nn.Shape // of the teacher's embedding, which may differ
	Distance, Angle float64  // at least 0
}

// Kind implements [Objective].
func (Relation) Kind() string { return "rkd" }

func (r Relation) output() Output { return Output{Layer: r.Output} }
func (r Relation) target() string { return or(r.Target, Teacher) }

// Outputs implements [Objective].
func (r Relation) Outputs() []Output { return []Output{r.output()} }

// Targets implements [Objective].
func (r Relation) Targets(Shapes) []Target {
	return []Target{{Name: r.target(), Element: nn.Float32, Shape: r.Of}}
}

// Measures implements [Objective].
func (Relation) Measures() []Measure { return nil }

// Check implements [Objective].
func (r Relation) Check(shape Shapes) error {
	if !(r.Distance >= 0 && r.Angle >= 0 && r.Distance+r.Angle > 0) || math.IsInf(r.Distance+r.Angle, 1) {
		return fmt.Errorf("distance %v and angle %v: must not be negative, nor both 0, and finite", r.Distance, r.Angle)
	}
	if len(r.Of) == 0 {
		return fmt.Errorf("the shape of the teacher's embedding is not given")
	}
	return there(r.output(), shape)
}

// Loss implements [Objective].
func (r Relation) Loss(in Place) Loss {
	return newCompared(in, r.Kind(), r.output(), &relationComparison{Relation: r})
}

// Evaluation implements [Objective].
func (r Relation) Evaluation(Shapes) Evaluation {
	return newComparedEvaluation(r.output(), 0, &relationComparison{Relation: r})
}

type relationComparison struct {
	Relation
	silent
	rows    int
	teacher relations
}

func (r *relationComparison) take(targets nn.Batch, rows int, blend Blend) (float64, error) {
	if blend.Partner != nil {
		return 0, fmt.Errorf("rkd: what the teacher's layer gives for mixed examples is not known")
	}
	values := targets[r.target()].Float32
	if !nn.Finite(values) {
		return 0, fmt.Errorf("a value of the teacher's layer is not finite")
	}
	r.rows, r.teacher = rows, relationsOf(values, rows)
	return float64(rows), nil
}

// sum is as many times the loss of the batch as it has examples.
func (r *relationComparison) sum(dx []float64, x []float32) float64 {
	n := r.rows
	own := relationsOf(x, n)
	products := make([]float64, n*n) // gradient with respect to the products of pairs, taken as independent
	lengths := make([]float64, n*n)  // and to the distances
	loss := 0.0
	if r.Distance > 0 {
		loss += r.distances(own, lengths)
	}
	if r.Angle > 0 {
		loss += r.angles(own, products, lengths)
	}
	if dx != nil {
		own.back(dx, x, products, lengths)
	}
	return loss
}

// distances returns the loss of the distances and adds its gradient.
func (r *relationComparison) distances(own relations, lengths []float64) (loss float64) {
	n := r.rows
	pairs := float64(n * (n - 1))
	if pairs == 0 {
		return 0
	}
	weight := r.Distance * float64(n) / float64(n*n)
	var along float64
	slopes := make([]float64, n*n)
	for i, d := range own.distance {
		u := d / own.mean
		value, slope := huber(u - r.teacher.distance[i]/r.teacher.mean)
		loss += weight * value
		slopes[i] = weight * slope
		along += slopes[i] * u
	}
	for i := range lengths {
		if i/n != i%n {
			lengths[i] += (slopes[i] - along/pairs) / own.mean
		}
	}
	return loss
}

// angles returns the loss of the angles and adds its gradient.
func (r *relationComparison) angles(own relations, products, lengths []float64) (loss float64) {
	n := r.rows
	weight := r.Angle * float64(n) / float64(n*n*n)
	for a := range n {
		for b := range n {
			for c := range n {
				cosine, known := own.cosine(a, b, c)
				its, _ := r.teacher.cosine(a, b, c)
				value, slope := huber(cosine - its)
				loss += weight * value
				if !known {
					continue
				}
				ab, ac := own.distance[a*n+b], own.distance[a*n+c]
				g := weight * slope / (ab * ac)
				products[b*n+c] += g
				products[a*n+b] -= g
				products[a*n+c] -= g
				products[a*n+a] += g
				lengths[a*n+b] -= weight * slope * cosine / ab
				lengths[a*n+c] -= weight * slope * cosine / ac
			}
		}
	}
	return loss
}

// huber is Huber's loss with δ = 1, and its derivative.
func huber(x float64) (value, slope float64) {
	if math.Abs(x) <= 1 {
		return x * x / 2, x
	}
	return math.Abs(x) - 0.5, math.Copysign(1, x)
}

// relations are those of the rows of a batch.
type relations struct {
	n        int
	product  []float64 // [n][n]
	distance []float64 // [n][n]; 0 on the diagonal
	same     []bool    // [n][n], whether two rows are equal as far as can be told: they have no direction
	mean     float64   // of the distances of different rows
}

// leastDistance is the least distance of two rows, as in RKD's own code: the root has no derivative at 0.
const leastDistance = 1e-6

func relationsOf(x []float32, n int) relations {
	r := relations{n: n, product: make([]float64, n*n), distance: make([]float64, n*n), same: make([]bool, n*n)}
	width := len(x) / max(n, 1)
	for i := range n {
		for j := range i + 1 {
			var sum float64
			a, b := x[i*width:(i+1)*width], x[j*width:(j+1)*width]
			for k, v := range a {
				sum += float64(v) * float64(b[k])
			}
			r.product[i*n+j], r.product[j*n+i] = sum, sum
		}
	}
	for i := range n {
		for j := range n {
			at := i*n + j
			scale := r.product[i*n+i] + r.product[j*n+j]
			square := scale - 2*r.product[at]
			r.same[at] = i == j || square <= max(1e-12*scale, leastDistance*leastDistance)
			switch {
			case i == j:
			case r.same[at]:
				r.distance[at] = leastDistance
			default:
				r.distance[at] = math.Sqrt(square)
			}
			r.mean += r.distance[at] / float64(max(n*(n-1), 1))
		}
	}
	return r
}

// cosine is that of the angle at a between b and c; not known, and 0, where one of them is equal to a.
func (r relations) cosine(a, b, c int) (cosine float64, known bool) {
	ab, ac := a*r.n+b, a*r.n+c
	if r.same[ab] || r.same[ac] {
		return 0, false
	}
	return (r.product[b*r.n+c] - r.product[ab] - r.product[ac] + r.product[a*r.n+a]) / (r.distance[ab] * r.distance[ac]), true
}

// back writes the gradient of the rows, given those of products and distances.
func (r relations) back(dx []float64, x []float32, products, lengths []float64) {
	n, width := r.n, len(x)/max(r.n, 1)
	for i := range n {
		for j := range n {
			if at := i*n + j; !r.same[at] {
				// The square of the distance is product(i,i) + product(j,j) − 2·product(i,j).
				g := lengths[at] / (2 * r.distance[at])
				products[i*n+i] += g
				products[j*n+j] += g
				products[at] -= 2 * g
			}
		}
	}
	row := make([]float64, width)
	for i := range n {
		clear(row)
		for j := range n {
			g := products[i*n+j] + products[j*n+i]
			for k, v := range x[j*width : (j+1)*width] {
				row[k] += g * float64(v)
			}
		}
		for k, g := range row {
			dx[i*width+k] = g
		}
	}
}
