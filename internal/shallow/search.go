package shallow

import (
	"context"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// patience is how many candidates in a row may be worse than the best before a path ends: losses along it have one valley.
const patience = 3

// chosen is the step with the least loss, of equals the first, which is the plainest.
func chosen(steps []Step) int {
	best := 0
	for i, step := range steps {
		if step.Loss < steps[best].Loss {
			best = i
		}
	}
	return best
}

// prepared makes the classifier of a value of the setting, of what was computed of the rows once.
type prepared func(value float64) (*Classifier, error)

// search fits a candidate for each value, judges it by rows that it was not fitted to, and returns the best, fitted to all
// training rows. Its logits get the scale at which the log loss on the judging rows is least: those of a classifier that was
// not fitted by its log loss say which class is likelier, not by how much (temperature scaling, Guo et al. 2017,
// arXiv:1706.04599).
func (t *task) search(ctx context.Context, setting string, values []float64, prepare func(ctx context.Context, t *task, rows Rows) (prepared, error)) (*Classifier, []Step, error) {
	if t.validation.Len() == 0 {
		return t.searchFolds(ctx, setting, values, prepare)
	}
	at, err := prepare(ctx, t, t.training)
	if err != nil {
		return nil, nil, err
	}
	var steps []Step
	var best *Classifier
	for _, value := range values {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		c, err := at(value)
		if err != nil {
			return nil, nil, err
		}
		step := Step{Setting: setting, Value: value}
		c.Scale, step.Loss, step.Accuracy = calibrate(c.logits(t.pool, t.validation), t.validation.Classes)
		steps = append(steps, step)
		at := chosen(steps)
		if at == len(steps)-1 {
			best = c
		}
		if len(steps)-1-at >= patience {
			break
		}
	}
	steps[chosen(steps)].Chosen = true
	return best, steps, nil
}

// searchFolds is search by cross-validation.
func (t *task) searchFolds(ctx context.Context, setting string, values []float64, prepare func(ctx context.Context, t *task, rows Rows) (prepared, error)) (*Classifier, []Step, error) {
	logits := make([][]float32, len(values))
	var classes []int
	for _, fold := range t.folds() {
		at, err := prepare(ctx, t, fold.rest)
		if err != nil {
			return nil, nil, err
		}
		for i, value := range values {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			c, err := at(value)
			if err != nil {
				return nil, nil, err
			}
			logits[i] = append(logits[i], c.logits(t.pool, fold.held)...)
		}
		classes = append(classes, fold.held.Classes...)
	}
	steps, scales := make([]Step, len(values)), make([]float32, len(values))
	for i, value := range values {
		steps[i] = Step{Setting: setting, Value: value, Loss: math.NaN(), Accuracy: math.NaN()}
		scales[i] = 1
		if len(classes) > 0 {
			scales[i], steps[i].Loss, steps[i].Accuracy = calibrate(logits[i], classes)
		}
	}
	at, err := prepare(ctx, t, t.training)
	if err != nil {
		return nil, nil, err
	}
	best := chosen(steps)
	steps[best].Chosen = true
	c, err := at(values[best])
	if err != nil {
		return nil, nil, err
	}
	c.Scale = scales[best]
	return c, steps, nil
}

// fold is a division of the training rows.
type fold struct{ rest, held Rows }

// folds divides the training rows for cross-validation.
func (t *task) folds() (out []fold) {
	for _, held := range foldsOf(t.training.Classes, t.Groups, t.Folds) {
		out = append(out, fold{t.training.at(without(t.training.Len(), held)), t.training.at(held)})
	}
	return out
}

// without lists the numbers below n that are not among some.
func without(n int, some []int) (out []int) {
	in := make([]bool, n)
	for _, i := range some {
		in[i] = true
	}
	for i, held := range in {
		if !held {
			out = append(out, i)
		}
	}
	return out
}

// calibrate finds the factor on logits at which their mean log loss is least, and tells loss and accuracy. Targets are
// smoothed by one row in all, evenly over the classes, so that logits that make no mistake have a factor too (Platt 1999,
// Probabilistic outputs for support vector machines, 2.2).
func calibrate(logits []float32, classes []int) (scale float32, loss, accuracy float64) {
	n := len(classes)
	k := len(logits) / n
	spread, right := 0.0, 0 // root of the mean square distance of the logits from their row's mean
	means := make([]float64, n)
	for i, class := range classes {
		row := logits[i*k : (i+1)*k]
		best := 0
		for j, v := range row {
			means[i] += float64(v) / float64(k)
			if v > row[best] {
				best = j
			}
		}
		for _, v := range row {
			spread += (float64(v) - means[i]) * (float64(v) - means[i])
		}
		if best == class {
			right++
		}
	}
	spread = math.Sqrt(spread / float64(len(logits)))
	if spread == 0 {
		return 1, math.Log(float64(k)), float64(right) / float64(n)
	}
	p := make([]float64, k)
	smooth := 1 / float64(n+1)
	// measure returns the derivative of the smoothed loss by the factor, which rises with it, and the loss as it is.
	measure := func(factor float64) (slope, loss float64) {
		for i, class := range classes {
			row := logits[i*k : (i+1)*k]
			for j, v := range row {
				p[j] = factor * float64(v)
			}
			norm := logSumExp(p)
			loss += norm - p[class]
			for j, v := range row {
				slope += math.Exp(p[j]-norm) * float64(v)
			}
			slope -= (1-smooth)*float64(row[class]) + smooth*means[i]
		}
		return slope, loss
	}
	low, high := math.Log(1e-3/spread), math.Log(1e3/spread)
	for range 30 {
		middle := (low + high) / 2
		if slope, _ := measure(math.Exp(middle)); slope < 0 {
			low = middle
		} else {
			high = middle
		}
	}
	scale = float32(math.Exp(high))
	_, loss = measure(float64(scale))
	return scale, loss / float64(n), float64(right) / float64(n)
}

// logits are a linear classifier's, without its scale: [rows][classes].
func (c *Classifier) logits(pool *kernel.Pool, rows Rows) []float32 {
	k, width := len(c.Linear.Bias), rows.Width
	out := make([]float32, rows.Len()*k)
	var workspace kernel.Workspace
	var scratch []float32
	for from := 0; from < rows.Len(); from += blockRows {
		n := min(blockRows, rows.Len()-from)
		values := rows.Values[from*width : (from+n)*width]
		if c.Normalise {
			scratch = append(scratch[:0], values...)
			normalise(scratch, width)
			values = scratch
		}
		kernel.Gemm(pool, false, true, n, k, width, 1, values, width, c.Linear.Weights, width, 0, out[from*k:], k, &workspace)
		for i := range n {
			for j, b := range c.Linear.Bias {
				out[(from+i)*k+j] += b
			}
		}
	}
	return out
}
