package shallow

import (
	"context"
	"errors"
	"fmt"
)

// OutOfFold gives the class probabilities of each row, [rows, classes], by logistic regression that was fitted to other rows: the
// rows are divided into folds, class by class, rows of one group together, and those of each fold are answered by a fit to the
// others. The penalty is the one of the path that is best on the first fold. It is an error if the rows cannot be divided.
func OutOfFold(ctx context.Context, rows Rows, classes int, o Options) ([]float32, error) {
	t, err := newTask(rows, Rows{Width: rows.Width}, classes, o)
	if err != nil {
		return nil, fmt.Errorf("logistic regression out of fold: %w", err)
	}
	defer t.pool.Close()
	o = t.Options
	if len(o.Penalties) == 0 {
		o.Penalties = DefaultPenalties()
	}
	folds := foldsOf(rows.Classes, o.Groups, o.Folds)
	if len(folds) < 2 {
		return nil, errors.New("logistic regression out of fold: the rows make fewer than two folds")
	}
	out := make([]float32, rows.Len()*classes)
	penalty := 0.0
	for i, held := range folds {
		rest, judged := rows.at(without(rows.Len(), held)), rows.at(held)
		var fitted *Linear
		if i == 0 {
			var steps []Step
			if fitted, steps, err = path(ctx, rest, judged, classes, o, t.pool); err != nil {
				return nil, err
			}
			penalty = steps[chosen(steps)].Value
		} else {
			fit := newProblem(rest, classes, o, t.pool)
			if _, err := fit.minimise(ctx, penalty, o.tolerance(), o.Iterations); err != nil {
				return nil, err
			}
			fitted = fit.linear()
		}
		p := make([]float32, len(held)*classes)
		fitted.Probabilities(judged.Values, p)
		for k, row := range held {
			copy(out[row*classes:(row+1)*classes], p[k*classes:(k+1)*classes])
		}
	}
	return out, nil
}
