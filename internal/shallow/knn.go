package shallow

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// knn lets the training rows that are nearest vote (Cover and Hart 1967), as scikit-learn's KNeighborsClassifier. Their
// number is the one with the most right answers, of equals the largest.
func knn() Kind {
	return Kind{
		Name: "knn", Summary: "the vote of the nearest training rows, which are stored in the model", Takes: []string{"k", "metric", "weighted"},
		fit: func(ctx context.Context, t *task) (*Classifier, []Step, error) {
			return t.standardised(func(t *task) (*Classifier, []Step, error) { return knnOn(ctx, t) })
		},
	}
}

func knnOn(ctx context.Context, t *task) (*Classifier, []Step, error) {
	if t.Metric == cosine {
		for _, rows := range []*Rows{&t.training, &t.validation} {
			rows.Values = slices.Clone(rows.Values)
			normalise(rows.Values, rows.Width)
		}
	}
	ks := t.K
	if len(ks) == 0 {
		ks = []int{1, 3, 5, 10, 20, 50}
	}
	judged := []fold{{t.training, t.validation}}
	if t.validation.Len() == 0 {
		judged = nil
		if len(ks) > 1 {
			judged = t.folds()
		}
	}
	least := t.training.Len()
	for _, f := range judged {
		least = min(least, f.rest.Len())
	}
	ks = slices.DeleteFunc(slices.Clone(ks), func(k int) bool { return k > least })
	if len(ks) == 0 {
		return nil, nil, fmt.Errorf("%v neighbours, but there are %d rows", t.K, least)
	}
	steps := make([]Step, len(ks))
	for i, k := range ks {
		steps[i] = Step{Setting: "k", Value: float64(k), Loss: math.NaN()}
	}
	rows := 0
	for _, f := range judged {
		right, err := t.right(ctx, f, ks)
		if err != nil {
			return nil, nil, err
		}
		rows += f.held.Len()
		for i, n := range right {
			steps[i].Accuracy += float64(n)
		}
	}
	best := 0
	for i := range steps {
		if steps[i].Accuracy > steps[best].Accuracy || steps[i].Accuracy == steps[best].Accuracy && ks[i] > ks[best] {
			best = i
		}
	}
	for i := range steps {
		steps[i].Accuracy /= float64(rows) // not a number if no row judged
	}
	steps[best].Chosen = true
	return &Classifier{Normalise: t.Metric == cosine, Neighbours: &Neighbours{Rows: t.training, K: ks[best], Weighted: t.Weighted}}, steps, nil
}

// right counts the held rows that the nearest k of the rest have right, for each k.
func (t *task) right(ctx context.Context, f fold, ks []int) ([]int, error) {
	const atOnce = 64
	n, width, farthest := f.rest.Len(), f.rest.Width, slices.Max(ks)
	squares := make([]float64, n)
	for i := range squares {
		squares[i] = square(f.rest.row(i))
	}
	products := make([]float32, atOnce*n)
	var workspace kernel.Workspace
	counts := make([]int, len(ks))
	for from := 0; from < f.held.Len(); from += atOnce {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m := min(atOnce, f.held.Len()-from)
		kernel.Gemm(t.pool, false, true, m, n, width, 1, f.held.Values[from*width:], width, f.rest.Values, width, 0, products, n, &workspace)
		right := make([][]bool, m)
		t.pool.Each(m, func(_, i int) {
			own := square(f.held.row(from + i))
			near := make([]neighbour, 0, farthest+1)
			for j, p := range products[i*n : (i+1)*n] {
				d := neighbour{j, max(own+squares[j]-2*float64(p), 0)}
				if len(near) == farthest && d.compare(near[farthest-1]) >= 0 {
					continue
				}
				at, _ := slices.BinarySearchFunc(near, d, neighbour.compare)
				near = slices.Insert(near, at, d)
				near = near[:min(len(near), farthest)]
			}
			for _, k := range ks {
				right[i] = append(right[i], t.vote(near[:k], f.rest.Classes) == f.held.Classes[from+i])
			}
		})
		for _, of := range right {
			for i, is := range of {
				if is {
					counts[i]++
				}
			}
		}
	}
	return counts, nil
}

// neighbour is a row and the square of its distance.
type neighbour struct {
	row    int
	square float64
}

func (n neighbour) compare(other neighbour) int {
	return cmp.Or(cmp.Compare(n.square, other.square), cmp.Compare(n.row, other.row))
}

// vote is the class that most neighbours are of, of equals the first.
func (t *task) vote(near []neighbour, classes []int) int {
	votes := make([]float64, t.classes)
	for _, n := range near {
		vote := 1.0
		if t.Weighted && near[0].square > 0 {
			vote = 1 / math.Sqrt(n.square)
		} else if t.Weighted && n.square > 0 {
			vote = 0
		}
		votes[classes[n.row]] += vote
	}
	best := 0
	for class, v := range votes {
		if v > votes[best] {
			best = class
		}
	}
	return best
}

func square(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}
