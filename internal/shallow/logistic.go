package shallow

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// DefaultPenalties are 10⁴, 10^3.5, … 10⁻⁴.
func DefaultPenalties() []float64 {
	var out []float64
	for e := 4.0; e >= -4; e -= 0.5 {
		out = append(out, math.Pow(10, e))
	}
	return out
}

// Logistic fits multinomial logistic regression with an L2 penalty on the weights, not on the biases: it minimises Σ
// log loss + λ/2·Σ w², which is scikit-learn's LogisticRegression with C = 1/λ (of two classes as well, where
// scikit-learn has one weight vector, the difference of the two here). The penalty is chosen along the path by the
// validation rows, until their loss rises, or, without any, by cross-validation; then it is fitted to all training
// rows. Optimised by L-BFGS (Liu and Nocedal 1989), in float64 where rows · features · classes are few, else with
// products in float32 whose sums are in float64; the problem is convex, so where it starts does not matter.
func Logistic(ctx context.Context, training, validation Rows, classes int, o Options) (*Linear, []Step, error) {
	t, err := newTask(training, validation, classes, o)
	if err != nil {
		return nil, nil, fmt.Errorf("logistic regression: %w", err)
	}
	defer t.pool.Close()
	return t.logistic(ctx)
}

func logistic() Kind {
	return Kind{
		Name: "logistic", Summary: "multinomial logistic regression with an L2 penalty", Takes: []string{"penalties"},
		fit: func(ctx context.Context, t *task) (*Classifier, []Step, error) {
			l, steps, err := t.logistic(ctx)
			return &Classifier{Linear: l, Scale: 1}, steps, err
		},
	}
}

func (t *task) logistic(ctx context.Context) (*Linear, []Step, error) {
	training, classes, o, pool := t.training, t.classes, t.Options, t.pool
	if len(o.Penalties) == 0 {
		o.Penalties = DefaultPenalties()
	}
	if len(o.Penalties) == 1 && t.validation.Len() == 0 {
		fit := newProblem(training, classes, o, pool)
		iterations, err := fit.minimise(ctx, o.Penalties[0], o.tolerance(), o.Iterations)
		if err != nil {
			return nil, nil, err
		}
		return fit.linear(), []Step{{Setting: penaltySetting, Value: o.Penalties[0], Loss: math.NaN(), Accuracy: math.NaN(), Iterations: iterations, Chosen: true}}, nil
	}
	if t.validation.Len() > 0 {
		return path(ctx, training, t.validation, classes, o, pool)
	}
	steps, err := crossValidate(ctx, training, classes, o, pool)
	if err != nil {
		return nil, nil, err
	}
	at := chosen(steps)
	fit := newProblem(training, classes, o, pool)
	for i, step := range steps[:at+1] { // warm, as the path was
		tolerance := o.comparing()
		if i == at {
			tolerance = o.tolerance()
		}
		if _, err := fit.minimise(ctx, step.Value, tolerance, o.Iterations); err != nil {
			return nil, nil, err
		}
	}
	steps[at].Chosen = true
	return fit.linear(), steps, nil
}

// penaltySetting is the name of the setting that a path goes along.
const penaltySetting = "penalty"

// clearlyWorse is the loss, relative to the best, at which a path ends at once: losses along it have one valley.
const clearlyWorse = 1.05

// path fits the penalties one after the other, as closely as comparing them needs, and takes the best to its minimum.
func path(ctx context.Context, training, validation Rows, classes int, o Options, pool *kernel.Pool) (*Linear, []Step, error) {
	fit := newProblem(training, classes, o, pool)
	var steps []Step
	var best []float64 // its parameters
	for _, penalty := range o.Penalties {
		iterations, err := fit.minimise(ctx, penalty, o.comparing(), o.Iterations)
		if err != nil {
			return nil, nil, err
		}
		loss, accuracy := fit.linear().evaluate(pool, validation)
		steps = append(steps, Step{Setting: penaltySetting, Value: penalty, Loss: loss, Accuracy: accuracy, Iterations: iterations})
		at := chosen(steps)
		if at == len(steps)-1 {
			best = append(best[:0], fit.x...)
		}
		if len(steps)-1-at >= 2 || loss > clearlyWorse*steps[at].Loss {
			break // the weaker ones are the slowest
		}
	}
	step := &steps[chosen(steps)]
	fit.precondition(fit.scaled(step.Value))
	copy(fit.x, best)
	iterations, err := fit.minimise(ctx, step.Value, o.tolerance(), o.Iterations)
	if err != nil {
		return nil, nil, err
	}
	model := fit.linear()
	step.Loss, step.Accuracy = model.evaluate(pool, validation)
	step.Iterations += iterations
	step.Chosen = true
	return model, steps, nil
}

// tolerance is that of the fit that is returned.
func (o Options) tolerance() float64 { return cmp.Or(o.Tolerance, 1e-6) }

// comparing is the tolerance of fits that are compared: that of scikit-learn.
func (o Options) comparing() float64 { return max(o.tolerance(), 1e-4) }

// crossValidate judges each penalty by rows that it was not fitted to.
func crossValidate(ctx context.Context, training Rows, classes int, o Options, pool *kernel.Pool) ([]Step, error) {
	folds := foldsOf(training.Classes, o.Groups, o.Folds)
	steps := make([]Step, len(o.Penalties))
	for i, penalty := range o.Penalties {
		steps[i].Setting, steps[i].Value = penaltySetting, penalty
	}
	for _, held := range folds {
		fit, judged := newProblem(training.at(without(training.Len(), held)), classes, o, pool), training.at(held)
		share := float64(len(held)) / float64(training.Len())
		for i, penalty := range o.Penalties {
			iterations, err := fit.minimise(ctx, penalty, o.comparing(), o.Iterations)
			if err != nil {
				return nil, err
			}
			loss, accuracy := fit.linear().evaluate(pool, judged)
			steps[i].Loss += share * loss
			steps[i].Accuracy += share * accuracy
			steps[i].Iterations += iterations
		}
	}
	return steps, nil
}

// problem is the loss of a set of rows as a function of the parameters, which are those of features shifted to mean 0 and
// scaled, whatever the penalty is on: that makes the minimum quick to find.
type problem struct {
	rows    Rows
	k       int
	penalty float64
	x       []float64 // parameters: weights [k][width] of shifted and scaled features, then biases [k]

	standardised bool // the penalty is on the weights of standardised features

	mean     []float64 // of each feature
	variance []float64
	scale    []float64 // the parameter of a feature is its weight divided by this
	weigh    []float64 // what the penalty weighs on the squared parameter of each feature
	pool     *kernel.Pool
	stripes  []stripe // of a large problem
	workers  []worker

	exact []float64 // the rows' values, of a small problem

	weights                   []float32 // scratch
	exactWeights, exactLogits []float64
	bias                      []float64
}

func newProblem(rows Rows, classes int, o Options, pool *kernel.Pool) *problem {
	p := &problem{
		rows: rows, k: classes, pool: pool, x: make([]float64, classes*(rows.Width+1)),
		mean: make([]float64, rows.Width), variance: make([]float64, rows.Width), scale: make([]float64, rows.Width), weigh: make([]float64, rows.Width),
		weights: make([]float32, classes*rows.Width),
		bias:    make([]float64, classes), exactWeights: make([]float64, classes*rows.Width),
	}
	if rows.Len()*rows.Width*classes <= smallProblem {
		p.exact, p.exactLogits = make([]float64, len(rows.Values)), make([]float64, rows.Len()*classes)
		for i, v := range rows.Values {
			p.exact[i] = float64(v)
		}
	} else {
		p.divide()
	}
	p.standardised = o.Standardise
	p.moments()
	return p
}

// moments finds mean and variance of each feature. One that never varies counts as one of variance 1.
func (p *problem) moments() {
	n := float64(p.rows.Len())
	for i, v := range p.rows.Values {
		p.mean[i%p.rows.Width] += float64(v) / n
	}
	for i, v := range p.rows.Values {
		d := float64(v) - p.mean[i%p.rows.Width]
		p.variance[i%p.rows.Width] += d * d / n
	}
	for i, v := range p.variance {
		if v <= 1e-12*p.mean[i]*p.mean[i] {
			p.variance[i] = 1
		}
		p.scale[i] = 1 / math.Sqrt(p.variance[i])
		p.weigh[i] = 1
	}
}

// precondition sets the penalty, and scales the parameters so that the loss curves about as much by each: the loss of
// the rows curves by its feature's variance, the penalty by itself. On standardised features the first is so already.
func (p *problem) precondition(penalty float64) {
	p.penalty = penalty
	if p.standardised {
		return
	}
	width := p.rows.Width
	for i, v := range p.variance {
		scale := 1 / math.Sqrt(v+float64(p.k)*penalty/float64(p.rows.Len()))
		for j := range p.k {
			p.x[j*width+i] *= p.scale[i] / scale
		}
		p.scale[i], p.weigh[i] = scale, scale*scale
	}
}

// scaled is the penalty on the parameters of this many classes: of two, opposite vectors of half the length take the place of
// scikit-learn's one.
func (p *problem) scaled(penalty float64) float64 {
	if p.k == 2 {
		penalty *= 2
	}
	return penalty
}

// minimise goes from where the problem stands to the least loss at a penalty, and tells how many iterations it took. The
// tolerance is that on the largest element of the gradient of the mean loss.
func (p *problem) minimise(ctx context.Context, penalty, tolerance float64, most int) (int, error) {
	p.precondition(p.scaled(penalty))
	n := float64(p.rows.Len())
	rounding := 1e-14
	if p.exact == nil {
		rounding = 1e-9 // products are in float32, their sums over rows in float64
	}
	value, iterations, err := lbfgs{
		evaluate: func(x, gradient []float64) float64 {
			value := p.evaluate(x, gradient) / n
			for i := range gradient {
				gradient[i] /= n
			}
			return value
		},
		rounding: rounding, tolerance: tolerance, most: cmp.Or(most, 1000),
	}.minimise(ctx, p.x)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, fmt.Errorf("logistic regression with penalty %v: the loss is not finite", penalty)
	}
	return iterations, nil
}

// smallProblem is the size, in rows · features · classes, up to which everything is computed in float64.
const smallProblem = 1 << 20

// evaluate returns the penalised sum of the losses and its gradient.
func (p *problem) evaluate(x, gradient []float64) (loss float64) {
	k, width := p.k, p.rows.Width
	clear(gradient)
	p.plain(x)
	total := gradient[:k*width]
	sums := gradient[k*width:]
	if p.exact != nil {
		loss = p.losses(total, sums)
	} else {
		loss = p.blockwise(total, sums)
	}
	for j := range k {
		for i := range width {
			at := j*width + i
			total[at] = (total[at]-sums[j]*p.mean[i])*p.scale[i] + p.penalty*p.weigh[i]*x[at]
			loss += p.penalty * p.weigh[i] / 2 * x[at] * x[at]
		}
	}
	return loss
}

// slopes turns the logits of rows, which lack the biases, into the derivatives of the losses by them, and returns the sum
// of the losses.
func (p *problem) slopes(logits []float64, classes []int, sums []float64) (loss float64) {
	for i, class := range classes {
		row := logits[i*p.k : (i+1)*p.k]
		for j := range row {
			row[j] += p.bias[j]
		}
		norm := logSumExp(row)
		loss += norm - row[class]
		for j, v := range row {
			row[j] = math.Exp(v - norm)
			if j == class {
				row[j]--
			}
			sums[j] += row[j]
		}
	}
	return loss
}

// losses is the sum of the losses and its gradient by the weights and biases, in float64.
func (p *problem) losses(total, sums []float64) float64 {
	n, k, width := p.rows.Len(), p.k, p.rows.Width
	values := blas64.General{Rows: n, Cols: width, Stride: width, Data: p.exact}
	logits := blas64.General{Rows: n, Cols: k, Stride: k, Data: p.exactLogits}
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, values, blas64.General{Rows: k, Cols: width, Stride: width, Data: p.exactWeights}, 0, logits)
	loss := p.slopes(p.exactLogits, p.rows.Classes, sums)
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, logits, values, 0, blas64.General{Rows: k, Cols: width, Stride: width, Data: total})
	return loss
}

// blockwise is losses in float32, but for the sums over blocks of rows. Stripes of blocks are computed at once, each with sums
// of its own, which are added in their order: how many there are depends on the rows alone, so that the result does not depend
// on the threads.
func (p *problem) blockwise(total, sums []float64) (loss float64) {
	k, width, blocks := p.k, p.rows.Width, (p.rows.Len()+blockRows-1)/blockRows
	p.pool.Each(len(p.stripes), func(worker, i int) {
		to, w := &p.stripes[i], &p.workers[worker]
		clear(to.total)
		clear(to.sums)
		to.loss = 0
		for block := i * blocks / len(p.stripes); block < (i+1)*blocks/len(p.stripes); block++ {
			from := block * blockRows
			n := min(blockRows, p.rows.Len()-from)
			values := p.rows.Values[from*width:]
			kernel.Gemm(nil, false, true, n, k, width, 1, values, width, p.weights, width, 0, w.logits, k, &w.workspace)
			wide := w.wide[:n*k]
			for i, v := range w.logits[:n*k] {
				wide[i] = float64(v)
			}
			to.loss += p.slopes(wide, p.rows.Classes[from:from+n], to.sums)
			for i, v := range wide {
				w.logits[i] = float32(v)
			}
			kernel.Gemm(nil, true, false, k, width, n, 1, w.logits, k, values, width, 0, w.gradient, width, &w.workspace)
			for i, g := range w.gradient {
				to.total[i] += float64(g)
			}
		}
	})
	for i := range p.stripes {
		from := &p.stripes[i]
		loss += from.loss
		vector.Axpy(1, from.total, total)
		vector.Axpy(1, from.sums, sums)
	}
	return loss
}

// stripe is a run of blocks and its sums.
type stripe struct {
	total, sums []float64
	loss        float64
}

// worker is what a thread computes with.
type worker struct {
	logits, gradient []float32
	wide             []float64
	workspace        kernel.Workspace
}

// mostStripes bounds what the stripes' sums take: no more than the rows, and little of the caches.
const mostStripes = 16

// divide makes the stripes of a problem that is computed in blocks.
func (p *problem) divide() {
	parameters := p.k * p.rows.Width
	p.stripes = make([]stripe, min(max(len(p.rows.Values)/(4*parameters), 1), mostStripes))
	for i := range p.stripes {
		p.stripes[i] = stripe{total: make([]float64, parameters), sums: make([]float64, p.k)}
	}
	p.workers = make([]worker, p.pool.Threads())
	for i := range p.workers {
		p.workers[i] = worker{logits: make([]float32, blockRows*p.k), gradient: make([]float32, parameters), wide: make([]float64, blockRows*p.k)}
	}
}

// plain turns parameters for standardised features into those for the features as they are.
func (p *problem) plain(x []float64) {
	width := p.rows.Width
	for j := range p.k {
		p.bias[j] = x[p.k*width+j]
		for i := range width {
			w := x[j*width+i] * p.scale[i]
			p.weights[j*width+i] = float32(w)
			p.exactWeights[j*width+i] = w
			p.bias[j] -= w * p.mean[i]
		}
	}
}

// linear is the classifier that the problem stands at.
func (p *problem) linear() *Linear {
	p.plain(p.x)
	l := &Linear{Weights: slices.Clone(p.weights), Bias: make([]float32, p.k)}
	for j, b := range p.bias {
		l.Bias[j] = float32(b)
	}
	return l
}
