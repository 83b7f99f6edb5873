package shallow

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/tlpipe/tlpipe/internal/vector"
)

// lda is linear discriminant analysis: classes are Gaussians of one covariance, the mean of those of the classes, each
// weighed by its rows and shrunk towards a multiple of the identity. It is scikit-learn's LinearDiscriminantAnalysis with
// solver lsqr or eigen. Without a number, the shrinkage is that of Ledoit and Wolf (2004, A well-conditioned estimator for
// large-dimensional covariance matrices), of standardised features.
func lda() Kind {
	return Kind{
		Name: "lda", Summary: "linear discriminant analysis with shrinkage", Takes: []string{"shrinkage"},
		fit: func(ctx context.Context, t *task) (*Classifier, []Step, error) {
			return t.linear(func(t *task) (*Classifier, []Step, error) { return ldaOn(ctx, t) })
		},
	}
}

func ldaOn(ctx context.Context, t *task) (*Classifier, []Step, error) {
	rows, width := t.training, t.training.Width
	means, shares := classMeans(rows, t.classes)
	of := make([][]int, t.classes)
	for i, class := range rows.Classes {
		of[class] = append(of[class], i)
	}
	total := mat.NewSymDense(min(width, most), nil)
	for k, positions := range of {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if len(positions) == 0 {
			return nil, nil, fmt.Errorf("class %d has no training row", k)
		}
		covariance, err := t.scatter(rows, positions, means[k])
		if err != nil {
			return nil, nil, err
		}
		covariance.ScaleSym(1/float64(len(positions)), covariance)
		if t.Shrinkage != nil {
			shrink(covariance, *t.Shrinkage)
		} else {
			shrinkByLedoitWolf(covariance, rows, positions, means[k])
		}
		covariance.ScaleSym(shares[k], covariance)
		total.AddSym(total, covariance)
	}
	targets := mat.NewDense(width, t.classes, nil)
	for k := range t.classes {
		targets.SetCol(k, means[k])
	}
	x, err := solve(total, targets)
	if err != nil {
		return nil, nil, err
	}
	l := &Linear{Weights: make([]float32, t.classes*width), Bias: make([]float32, t.classes)}
	for k := range t.classes {
		bias := math.Log(shares[k])
		for j := range width {
			w := x.At(j, k)
			l.Weights[k*width+j] = float32(w)
			bias -= w * means[k][j] / 2
		}
		l.Bias[k] = float32(bias)
	}
	step := Step{Loss: math.NaN(), Accuracy: math.NaN(), Chosen: true}
	if t.validation.Len() > 0 {
		step.Loss, step.Accuracy = l.evaluate(t.pool, t.validation)
	}
	return &Classifier{Linear: l, Scale: 1}, []Step{step}, nil
}

// shrink moves a covariance towards the identity times its mean variance.
func shrink(c *mat.SymDense, by float64) {
	n := c.SymmetricDim()
	mean := mat.Trace(c) / float64(n)
	c.ScaleSym(1-by, c)
	for i := range n {
		c.SetSym(i, i, c.At(i, i)+by*mean)
	}
}

// shrinkByLedoitWolf shrinks the covariance of rows, of their features as standardised.
func shrinkByLedoitWolf(c *mat.SymDense, rows Rows, positions []int, mean []float64) {
	width, n := rows.Width, float64(len(positions))
	deviation := make([]float64, width)
	for i := range deviation {
		if v := c.At(i, i); v > 1e-12*mean[i]*mean[i] {
			deviation[i] = math.Sqrt(v)
		} else {
			deviation[i] = 1
		}
	}
	// scale multiplies element (i, j) by the factors of i and of j.
	raw, factors := c.RawSymmetric(), make([]float64, width)
	scale := func() {
		for i, f := range factors {
			row := raw.Data[i*raw.Stride : i*raw.Stride+width]
			for j := i; j < width; j++ {
				row[j] *= f * factors[j]
			}
		}
	}
	for i, d := range deviation {
		factors[i] = 1 / d
	}
	scale()
	// Of products x xᵀ of the standardised rows: the sum of the squares of their elements, and that of their mean's.
	squares, of := 0.0, 0.0
	for _, position := range positions {
		square := 0.0
		for j, v := range rows.row(position) {
			d := (float64(v) - mean[j]) / deviation[j]
			square += d * d
		}
		squares += square * square
	}
	for i := range width {
		row := raw.Data[i*raw.Stride : i*raw.Stride+width]
		of += 2*vector.Dot(row[i:], row[i:]) - row[i]*row[i] // the upper half twice
	}
	p, trace := float64(width), mat.Trace(c)
	beta := (squares/n - of) / (p * n)
	delta := (of - trace*trace/p) / p
	if beta = min(beta, delta); beta > 0 && width > 1 {
		shrink(c, beta/delta)
	}
	copy(factors, deviation)
	scale()
}
