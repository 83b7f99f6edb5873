package shallow

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/tlpipe/tlpipe/internal/vector"
)

// ridge is linear least squares with an L2 penalty on the weights (Hoerl and Kennard 1970), onto targets 1 for the row's class
// and −1 for the others: scikit-learn's RidgeClassifier, whose alpha is the penalty. It is solved in closed form, with as many
// unknowns as there are features or rows, whichever is less. Without validation rows, the penalty is chosen by the training rows,
// each left out in turn (by folds beyond [mostLeftOut] unknowns).
func ridge() Kind {
	return Kind{
		Name: "ridge", Summary: "least squares onto the classes with an L2 penalty", Takes: []string{"penalties"},
		fit: func(ctx context.Context, t *task) (*Classifier, []Step, error) {
			penalties := t.Penalties
			if len(penalties) == 0 {
				for e := 6.0; e >= -4; e-- {
					penalties = append(penalties, math.Pow(10, e))
				}
			}
			return t.linear(func(t *task) (*Classifier, []Step, error) {
				if t.validation.Len() == 0 {
					if left, err := t.newLeaveOut(); err != nil || left != nil {
						if err != nil {
							return nil, nil, err
						}
						return t.searchLeavingOut(ctx, left, penaltySetting, penalties, ridgeOn)
					}
				}
				return t.search(ctx, penaltySetting, penalties, ridgeOn)
			})
		},
	}
}

// ridgeOn prepares the equations of rows.
func ridgeOn(_ context.Context, t *task, rows Rows) (prepared, error) {
	mean := meansOf(rows)
	means, shares := classMeans(rows, t.classes)
	n, width := rows.Len(), rows.Width
	if min(n, width) > most {
		return nil, fmt.Errorf("%d rows of %d features: at most %d of one of the two; logistic takes more", n, width, most)
	}
	// finish makes the classifier of weights, [classes][width].
	finish := func(weights []float64) *Classifier {
		l := &Linear{Weights: make([]float32, t.classes*width), Bias: make([]float32, t.classes)}
		for k := range t.classes {
			w := weights[k*width : (k+1)*width]
			for i, v := range w {
				l.Weights[k*width+i] = float32(v)
			}
			l.Bias[k] = float32(2*shares[k] - 1 - vector.Dot(w, mean))
		}
		return &Classifier{Linear: l, Scale: 1}
	}
	if n < width {
		matrix := t.inner(rows, mean)
		targets := mat.NewDense(n, t.classes, nil)
		for i, class := range rows.Classes {
			for k, share := range shares {
				targets.Set(i, k, -2*share)
			}
			targets.Set(i, class, 2-2*shares[class])
		}
		return func(penalty float64) (*Classifier, error) {
			x, err := solve(penalised(matrix, penalty), targets)
			if err != nil {
				return nil, err
			}
			weights := make([]float64, t.classes*width)
			t.pool.Each(t.classes, func(_, k int) {
				w, sum := weights[k*width:(k+1)*width], 0.0
				for i := range n {
					a := x.At(i, k)
					sum += a
					for j, v := range rows.row(i) {
						w[j] += a * float64(v)
					}
				}
				vector.Axpy(-sum, mean, w)
			})
			return finish(weights), nil
		}, nil
	}
	matrix, err := t.scatter(rows, all(n), mean)
	if err != nil {
		return nil, err
	}
	// Centred features times targets: what the targets share falls out.
	targets := mat.NewDense(width, t.classes, nil)
	for k := range t.classes {
		for j := range width {
			targets.Set(j, k, 2*shares[k]*float64(n)*(means[k][j]-mean[j]))
		}
	}
	return func(penalty float64) (*Classifier, error) {
		x, err := solve(penalised(matrix, penalty), targets)
		if err != nil {
			return nil, err
		}
		weights := make([]float64, t.classes*width)
		for k := range t.classes {
			for j := range width {
				weights[k*width+j] = x.At(j, k)
			}
		}
		return finish(weights), nil
	}, nil
}

// penalised adds the penalty to the diagonal.
func penalised(a *mat.SymDense, penalty float64) *mat.SymDense {
	out := mat.NewSymDense(a.SymmetricDim(), nil)
	out.CopySym(a)
	for i := range a.SymmetricDim() {
		out.SetSym(i, i, a.At(i, i)+penalty)
	}
	return out
}

// all are the positions of n rows.
func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
