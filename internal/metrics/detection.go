package metrics

import (
	"cmp"
	"math"
	"slices"
)

// Detection holds answers to questions of yes or no, ranked by their probability: whether a row is of a class, or, of
// all rows and classes together, whether each row is of each class. Answers of equal probability come in together, so
// that nothing depends on the order of the rows.
type Detection struct {
	rows     []int32 // of the answers, the most probable first
	positive []bool  // in the same order: the true answer is yes
	ends     []int32 // where the runs of equal probability end
	cutoffs  []float32
}

// NewDetection ranks answers: the row of each, the probability of yes, and whether yes is true. The slices are as long as one another.
func NewDetection(rows []int32, probabilities []float32, truth []bool) *Detection {
	order := make([]int32, len(rows))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(probabilities[b], probabilities[a]), cmp.Compare(a, b))
	})
	d := &Detection{rows: make([]int32, len(rows)), positive: make([]bool, len(rows))}
	for k, i := range order {
		d.rows[k], d.positive[k] = rows[i], truth[i]
		if k+1 == len(order) || probabilities[order[k+1]] != probabilities[i] {
			d.ends, d.cutoffs = append(d.ends, int32(k+1)), append(d.cutoffs, probabilities[i])
		}
	}
	return d
}

// Detection ranks the rows of a sample by the probability of one class, against the rest.
func (s *Sample) Detection(class int) *Detection {
	rows, p, truth := make([]int32, s.Rows()), make([]float32, s.Rows()), make([]bool, s.Rows())
	for i := range rows {
		rows[i], p[i], truth[i] = int32(i), s.Probabilities(i)[class], s.truth[i] == class
	}
	return NewDetection(rows, p, truth)
}

// MicroDetection ranks the answers of all rows to some classes together.
func (s *Sample) MicroDetection(classes []int) *Detection {
	n := s.Rows() * len(classes)
	rows, p, truth := make([]int32, 0, n), make([]float32, 0, n), make([]bool, 0, n)
	for i := range s.truth {
		for _, c := range classes {
			rows, p, truth = append(rows, int32(i)), append(p, s.Probabilities(i)[c]), append(truth, s.truth[i] == c)
		}
	}
	return NewDetection(rows, p, truth)
}

// descend tells, from the greatest probability down, how much weight of positive and negative answers each run of equal ones brings.
func (d *Detection) descend(weights []float64, step func(cutoff float32, positive, negative float64)) {
	from := int32(0)
	for k, to := range d.ends {
		positive, negative := 0.0, 0.0
		for i := from; i < to; i++ {
			if w := weightOf(weights, int(d.rows[i])); d.positive[i] {
				positive += w
			} else {
				negative += w
			}
		}
		step(d.cutoffs[k], positive, negative)
		from = to
	}
}

// AUC is the area under the ROC curve: the probability that a positive answer is ranked above a negative one, a tie counting
// half. NaN if there is none of either.
func (d *Detection) AUC(weights []float64) float64 {
	wins, positives, negatives := 0.0, 0.0, 0.0
	d.descend(weights, func(_ float32, positive, negative float64) {
		wins += negative * (positives + positive/2)
		positives += positive
		negatives += negative
	})
	if positives == 0 || negatives == 0 {
		return math.NaN()
	}
	return wins / (positives * negatives)
}

// AveragePrecision is Σ (Rₙ − Rₙ₋₁)·Pₙ over the cut-offs from the greatest probability down, R recall and P precision. NaN if
// nothing is positive.
func (d *Detection) AveragePrecision(weights []float64) float64 {
	area, right, taken := 0.0, 0.0, 0.0
	d.descend(weights, func(_ float32, positive, negative float64) {
		right += positive
		taken += positive + negative
		if taken > 0 {
			area += positive * right / taken
		}
	})
	if right == 0 {
		return math.NaN()
	}
	return area / right
}

// CurvePoint is a point of a curve, and the probability from which an answer counts as yes there; +Inf where none does.
type CurvePoint struct{ X, Y, Cutoff float64 }

// ROC is the curve of the true-positive rate (Y) over the false-positive rate (X), from 0, 0 to 1, 1; nil if there is none of either.
func (d *Detection) ROC() []CurvePoint {
	positives, negatives := d.totals()
	if positives == 0 || negatives == 0 {
		return nil
	}
	out := []CurvePoint{{0, 0, math.Inf(1)}}
	right, wrong := 0.0, 0.0
	d.descend(nil, func(cutoff float32, positive, negative float64) {
		right += positive
		wrong += negative
		out = append(out, CurvePoint{wrong / negatives, right / positives, float64(cutoff)})
	})
	return out
}

// PrecisionRecall is the curve of precision (Y) over recall (X), from the greatest probability down until every positive answer
// is found. Between two points, precision is that of the later one: the area under these steps is the average precision. Nil
// if nothing is positive.
func (d *Detection) PrecisionRecall() []CurvePoint {
	positives, _ := d.totals()
	if positives == 0 {
		return nil
	}
	var out []CurvePoint
	right, taken := 0.0, 0.0
	d.descend(nil, func(cutoff float32, positive, negative float64) {
		if right == positives {
			return
		}
		right += positive
		taken += positive + negative
		out = append(out, CurvePoint{right / positives, right / taken, float64(cutoff)})
	})
	return out
}

// Positives is the share of answers that are positive: the precision of answers at random.
func (d *Detection) Positives() float64 {
	positives, negatives := d.totals()
	return positives / (positives + negatives)
}

func (d *Detection) totals() (positives, negatives float64) {
	for _, p := range d.positive {
		if p {
			positives++
		} else {
			negatives++
		}
	}
	return positives, negatives
}

// Thin leaves out points of a curve that lie nearer than the least distance, in both directions, to the one kept before: at most
// some 2/least are left. The first and the last stay.
func Thin(points []CurvePoint, least float64) []CurvePoint {
	var out []CurvePoint
	for i, p := range points {
		if n := len(out); n > 0 && i+1 < len(points) {
			if last := out[n-1]; math.Abs(p.X-last.X) < least && math.Abs(p.Y-last.Y) < least {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// MeanROC is the mean of ROC curves: at each of so many false-positive rates, evenly from 0 to 1, the mean of their true-positive
// rates, interpolated linearly. It is the macro average of the classes; curves without points do not count. Nil if none has any.
func MeanROC(curves [][]CurvePoint, points int) []CurvePoint {
	out := make([]CurvePoint, points)
	n := 0.0
	for _, curve := range curves {
		if len(curve) == 0 {
			continue
		}
		n++
		at := 0
		for i := range out {
			x := float64(i) / float64(points-1)
			for at+1 < len(curve) && curve[at+1].X <= x {
				at++
			}
			y := curve[at].Y
			if at+1 < len(curve) {
				a, b := curve[at], curve[at+1]
				y += (b.Y - a.Y) * (x - a.X) / (b.X - a.X)
			}
			out[i].X, out[i].Y = x, out[i].Y+y
		}
	}
	if n == 0 {
		return nil
	}
	for i := range out {
		out[i].Y /= n
		out[i].Cutoff = math.NaN()
	}
	return out
}
