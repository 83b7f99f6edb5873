package shallow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/optimize"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Rows are feature vectors, one after another, and their classes.
type Rows struct {
	Values  []float32 // [rows][Width]
	Width   int
	Classes []int // of each row, from 0
}

// Len is the number of rows.
func (r Rows) Len() int { return len(r.Classes) }

func (r Rows) check(classes int) error {
	if r.Width < 1 || len(r.Values) != r.Width*len(r.Classes) {
		return fmt.Errorf("%d values for %d rows of %d features", len(r.Values), len(r.Classes), r.Width)
	}
	for _, class := range r.Classes {
		if class < 0 || class >= classes {
			return fmt.Errorf("class %d of %d", class, classes)
		}
	}
	return nil
}

// at picks rows by position.
func (r Rows) at(positions []int) Rows {
	out := Rows{Width: r.Width}
	for _, i := range positions {
		out.Values = append(out.Values, r.Values[i*r.Width:(i+1)*r.Width]...)
		out.Classes = append(out.Classes, r.Classes[i])
	}
	return out
}

// Linear is a linear classifier: the logit of class k is the inner product of a row with Weights[k] and Bias[k].
type Linear struct {
	Weights []float32 // [classes][width]
	Bias    []float32 // [classes]
}

// Options are the settings of a fit.
type Options struct {
	Penalties []float64 // the path, from strong to weak; nil: [DefaultPenalties]
	Folds     int       // of cross-validation; 0: 5
	Groups    []int     // of the training rows: rows of one group are in one fold; nil: each row by itself

	// Standardise fits on features shifted and scaled to mean 0 and variance 1 over the training rows, so that the penalty
	// treats them alike. What is returned takes the features as they are.
	Standardise bool

	Tolerance  float64 // on the largest element of the gradient of the mean loss; 0: 1e-6
	Iterations int     // at most, of each fit; 0: 1000
	Threads    int
}

// DefaultPenalties are 10⁴, 10^3.5, … 10⁻⁴.
func DefaultPenalties() []float64 {
	var out []float64
	for e := 4.0; e >= -4; e -= 0.5 {
		out = append(out, math.Pow(10, e))
	}
	return out
}

// Step is a fit of a path.
type Step struct {
	Penalty    float64
	Loss       float64 // mean log loss on the rows that it was judged by
	Accuracy   float64 // on these
	Iterations int
	Chosen     bool
}

// patience is how many penalties in a row may be worse than the best before a path ends: losses along it have one valley.
const patience = 3

// Logistic fits multinomial logistic regression with an L2 penalty on the weights, not on the biases: it minimises
// Σ log loss + λ/2·Σ w², which is scikit-learn's LogisticRegression with C = 1/λ (of two classes as well, where
// scikit-learn has one weight vector, the difference of the two here). The penalty is chosen along the path by the
// validation rows or, without any, by cross-validation; then it is fitted to all training rows. Optimised by L-BFGS
// (Liu and Nocedal 1989), in float64 where rows · features · classes are few, else with products in float32 whose sums
// are in float64; the problem is convex, so where it starts does not matter.
func Logistic(ctx context.Context, training, validation Rows, classes int, o Options) (*Linear, []Step, error) {
	if err := errors.Join(training.check(classes), validation.check(classes)); validation.Len() > 0 && err != nil || validation.Len() == 0 && training.check(classes) != nil {
		return nil, nil, fmt.Errorf("logistic regression: %w", errors.Join(training.check(classes), err))
	}
	if classes < 2 || training.Len() == 0 {
		return nil, nil, fmt.Errorf("logistic regression: %d rows of %d classes", training.Len(), classes)
	}
	if o.Penalties == nil {
		o.Penalties = DefaultPenalties()
	}
	pool := kernel.NewPool(max(o.Threads, 1))
	defer pool.Close()
	if len(o.Penalties) == 1 && validation.Len() == 0 {
		fit := newProblem(training, classes, o, pool)
		iterations, err := fit.minimise(ctx, o.Penalties[0], o)
		if err != nil {
			return nil, nil, err
		}
		return fit.linear(), []Step{{Penalty: o.Penalties[0], Loss: math.NaN(), Accuracy: math.NaN(), Iterations: iterations, Chosen: true}}, nil
	}
	if validation.Len() > 0 {
		return path(ctx, training, validation, classes, o, pool)
	}
	steps, err := crossValidate(ctx, training, classes, o, pool)
	if err != nil {
		return nil, nil, err
	}
	at := chosen(steps)
	fit := newProblem(training, classes, o, pool)
	for _, step := range steps[:at+1] { // warm, as the path was
		if _, err := fit.minimise(ctx, step.Penalty, o); err != nil {
			return nil, nil, err
		}
	}
	steps[at].Chosen = true
	return fit.linear(), steps, nil
}

// path fits the penalties one after the other and keeps the best.
func path(ctx context.Context, training, validation Rows, classes int, o Options, pool *kernel.Pool) (*Linear, []Step, error) {
	fit := newProblem(training, classes, o, pool)
	var steps []Step
	var best *Linear
	for _, penalty := range o.Penalties {
		iterations, err := fit.minimise(ctx, penalty, o)
		if err != nil {
			return nil, nil, err
		}
		model := fit.linear()
		loss, accuracy := model.evaluate(pool, validation)
		steps = append(steps, Step{Penalty: penalty, Loss: loss, Accuracy: accuracy, Iterations: iterations})
		at := chosen(steps)
		if at == len(steps)-1 {
			best = model
		}
		if len(steps)-1-at >= patience {
			break
		}
	}
	steps[chosen(steps)].Chosen = true
	return best, steps, nil
}

// crossValidate judges each penalty by rows that it was not fitted to.
func crossValidate(ctx context.Context, training Rows, classes int, o Options, pool *kernel.Pool) ([]Step, error) {
	folds := foldsOf(training.Classes, o.Groups, o.Folds)
	steps := make([]Step, len(o.Penalties))
	for i, penalty := range o.Penalties {
		steps[i].Penalty = penalty
	}
	for _, held := range folds {
		in := make(map[int]bool, len(held))
		for _, i := range held {
			in[i] = true
		}
		var rest []int
		for i := range training.Classes {
			if !in[i] {
				rest = append(rest, i)
			}
		}
		fit, judged := newProblem(training.at(rest), classes, o, pool), training.at(held)
		share := float64(len(held)) / float64(training.Len())
		for i, penalty := range o.Penalties {
			iterations, err := fit.minimise(ctx, penalty, o)
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

// foldsOf divides rows into folds, class by class in turn, so that each has about the same share of every class; rows of
// one group stay together.
func foldsOf(classes, groups []int, n int) [][]int {
	if n < 2 {
		n = 5
	}
	folds := make([][]int, n)
	next, of := map[int]int{}, map[int]int{}
	for i, class := range classes {
		fold, known := next[class]%n, false
		if groups != nil {
			fold, known = of[groups[i]]
			if !known {
				fold = next[class] % n
				of[groups[i]] = fold
			}
		}
		if !known {
			next[class]++
		}
		folds[fold] = append(folds[fold], i)
	}
	return slices.DeleteFunc(folds, func(fold []int) bool { return len(fold) == 0 || len(fold) == len(classes) })
}

// chosen is the step with the least loss, of equals the first, whose penalty is the strongest.
func chosen(steps []Step) int {
	best := 0
	for i, step := range steps {
		if step.Loss < steps[best].Loss {
			best = i
		}
	}
	return best
}

// Probabilities fills out, [rows][classes], with the softmax of the logits of rows of features.
func (l *Linear) Probabilities(features []float32, out []float32) {
	k := len(l.Bias)
	width := len(l.Weights) / k
	logits := make([]float64, k)
	for row := 0; row*k < len(out); row++ {
		x := features[row*width : (row+1)*width]
		for j := range logits {
			logits[j] = float64(l.Bias[j])
			for i, w := range l.Weights[j*width : (j+1)*width] {
				logits[j] += float64(w) * float64(x[i])
			}
		}
		norm := logSumExp(logits)
		for j, v := range logits {
			out[row*k+j] = float32(math.Exp(v - norm))
		}
	}
}

// evaluate returns mean log loss and accuracy on rows.
func (l *Linear) evaluate(pool *kernel.Pool, rows Rows) (loss, accuracy float64) {
	k := len(l.Bias)
	var workspace kernel.Workspace
	logits := make([]float32, blockRows*k)
	p := make([]float64, k)
	right := 0
	for from := 0; from < rows.Len(); from += blockRows {
		n := min(blockRows, rows.Len()-from)
		kernel.Gemm(pool, false, true, n, k, rows.Width, 1, rows.Values[from*rows.Width:], rows.Width, l.Weights, rows.Width, 0, logits, k, &workspace)
		for i := range n {
			class := rows.Classes[from+i]
			best := 0
			for j := range p {
				p[j] = float64(logits[i*k+j]) + float64(l.Bias[j])
				if p[j] > p[best] {
					best = j
				}
			}
			if best == class {
				right++
			}
			loss += logSumExp(p) - p[class]
		}
	}
	n := float64(rows.Len())
	return loss / n, float64(right) / n
}

func logSumExp(x []float64) float64 {
	top := slices.Max(x)
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

// blockRows is how many rows are computed at once. Sums over a block are in float32, over blocks in float64.
const blockRows = 256

// problem is the loss of a set of rows as a function of the parameters, which are those of features shifted to mean 0 and
// scaled, whatever the penalty is on: that makes the minimum quick to find.
type problem struct {
	rows    Rows
	k       int
	penalty float64
	x       []float64 // parameters: weights [k][width] of shifted and scaled features, then biases [k]

	standardised bool // the penalty is on the weights of standardised features

	mean      []float64 // of each feature
	variance  []float64
	scale     []float64 // the parameter of a feature is its weight divided by this
	weigh     []float64 // what the penalty weighs on the squared parameter of each feature
	pool      *kernel.Pool
	workspace kernel.Workspace

	exact []float64 // the rows' values, of a small problem

	weights, gradient, logits []float32 // scratch
	exactWeights, exactLogits []float64
	bias                      []float64
}

func newProblem(rows Rows, classes int, o Options, pool *kernel.Pool) *problem {
	p := &problem{
		rows: rows, k: classes, pool: pool, x: make([]float64, classes*(rows.Width+1)),
		mean: make([]float64, rows.Width), variance: make([]float64, rows.Width), scale: make([]float64, rows.Width), weigh: make([]float64, rows.Width),
		weights: make([]float32, classes*rows.Width), gradient: make([]float32, classes*rows.Width),
		logits: make([]float32, blockRows*classes), bias: make([]float64, classes), exactWeights: make([]float64, classes*rows.Width),
	}
	if rows.Len()*rows.Width*classes <= smallProblem {
		p.exact, p.exactLogits = make([]float64, len(rows.Values)), make([]float64, rows.Len()*classes)
		for i, v := range rows.Values {
			p.exact[i] = float64(v)
		}
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

// minimise goes from where the problem stands to the least loss at a penalty, and tells how many iterations it took.
func (p *problem) minimise(ctx context.Context, penalty float64, o Options) (int, error) {
	if p.k == 2 {
		penalty *= 2 // two opposite vectors of half the length in the place of scikit-learn's one
	}
	p.precondition(penalty)
	tolerance, most := o.Tolerance, o.Iterations
	if tolerance == 0 {
		tolerance = 1e-6
	}
	if most == 0 {
		most = 1000
	}
	n := float64(p.rows.Len())
	var cancelled error
	evaluate := func(x, gradient []float64) float64 {
		if cancelled = ctx.Err(); cancelled != nil {
			return math.NaN()
		}
		return p.evaluate(x, gradient) / n
	}
	// gonum asks for value and gradient of the same point one after the other.
	at, slope, value := []float64(nil), make([]float64, len(p.x)), 0.0
	compute := func(x []float64) {
		if at != nil && slices.Equal(at, x) {
			return
		}
		at = append(at[:0], x...)
		value = evaluate(x, slope)
		for i := range slope {
			slope[i] /= n
		}
	}
	result, err := optimize.Minimize(optimize.Problem{
		Func: func(x []float64) float64 { compute(x); return value },
		Grad: func(gradient, x []float64) { compute(x); copy(gradient, slope) },
	}, p.x, &optimize.Settings{
		GradientThreshold: tolerance, MajorIterations: most,
		Converger: &optimize.FunctionConverge{Relative: 1e-13, Absolute: 1e-15, Iterations: 30},
	}, &optimize.LBFGS{Store: 20, Linesearcher: &optimize.MoreThuente{}})
	if cancelled != nil {
		return 0, cancelled
	}
	// Near the end, the line search may find no better point within the rounding of float32: that is the minimum.
	if result == nil || math.IsNaN(result.F) || math.IsInf(result.F, 0) {
		return 0, fmt.Errorf("logistic regression with penalty %v: %w", penalty, err)
	}
	copy(p.x, result.X)
	return result.Stats.MajorIterations, nil
}

// smallProblem is the size, in rows · features · classes, up to which everything is computed in float64.
const smallProblem = 1 << 25

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

// blockwise is losses in float32, but for the sums over blocks of rows.
func (p *problem) blockwise(total, sums []float64) (loss float64) {
	k, width := p.k, p.rows.Width
	wide := make([]float64, blockRows*k)
	for from := 0; from < p.rows.Len(); from += blockRows {
		n := min(blockRows, p.rows.Len()-from)
		values := p.rows.Values[from*width:]
		kernel.Gemm(p.pool, false, true, n, k, width, 1, values, width, p.weights, width, 0, p.logits, k, &p.workspace)
		for i, v := range p.logits[:n*k] {
			wide[i] = float64(v)
		}
		loss += p.slopes(wide[:n*k], p.rows.Classes[from:from+n], sums)
		for i, v := range wide[:n*k] {
			p.logits[i] = float32(v)
		}
		kernel.Gemm(p.pool, true, false, k, width, n, 1, p.logits, k, values, width, 0, p.gradient, width, &p.workspace)
		for i, g := range p.gradient[:k*width] {
			total[i] += float64(g)
		}
	}
	return loss
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
