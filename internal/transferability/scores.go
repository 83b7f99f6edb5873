package transferability

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// Rows are features of labelled rows.
type Rows struct {
	Width   int
	Values  []float32 // [rows][Width]
	Classes []int     // of each row, from 0
}

// Scores are larger for features that suit the task better.
type Scores struct {
	// LogME is the logarithm of the maximum evidence (You et al. 2021, arXiv:2102.11005): of a Bayesian linear regression of each
	// class's indicator on the features, whose precisions are chosen by it; per row, the mean over the classes, in nats.
	LogME float64
	// HScore is the trace of the inverse covariance of the features times the covariance of their class means (Bao et al. 2019), with the
	// covariance shrunk as by Ledoit and Wolf (Ibrahim et al. 2022, arXiv:2110.06893). 0 to the number of classes less 1.
	HScore float64
	// LEEP is the mean logarithm of the likelihood of the classes given what a classifier of other classes says (Nguyen et al. 2020,
	// arXiv:2002.12462), in nats, at most 0. Not a number if the features are not such probabilities.
	LEEP float64
}

// Score scores features. pool may be nil, for one thread.
func Score(pool *kernel.Pool, r Rows) (Scores, error) {
	n, classes := len(r.Classes), 0
	for _, c := range r.Classes {
		if c < 0 {
			return Scores{}, fmt.Errorf("a row has class %d: classes count from 0", c)
		}
		classes = max(classes, c+1)
	}
	switch {
	case r.Width < 1 || len(r.Values) != n*r.Width:
		return Scores{}, fmt.Errorf("%d values are no %d rows of %d features", len(r.Values), n, r.Width)
	case classes < 2 || n < 3:
		return Scores{}, fmt.Errorf("%d rows of %d classes: at least 3 of 2 are needed", n, classes)
	}
	x := make([]float64, len(r.Values))
	for i, v := range r.Values {
		if x[i] = float64(v); math.IsNaN(x[i]) || math.IsInf(x[i], 0) {
			return Scores{}, errors.New("a feature is not a finite number")
		}
	}
	t := task{n: n, width: r.Width, classes: r.Classes, counts: make([]float64, classes)}
	for _, c := range r.Classes {
		t.counts[c]++
	}
	s := Scores{LogME: t.logME(spectrumOf(pool, x, n, r.Width)), LEEP: math.NaN()}
	if probabilities(x, r.Width) {
		s.LEEP = t.leep(x)
	}
	for k := range r.Width { // centred
		mean := 0.0
		for i := range n {
			mean += x[i*r.Width+k] / float64(n)
		}
		for i := range n {
			x[i*r.Width+k] -= mean
		}
	}
	s.HScore = t.hScore(x, spectrumOf(pool, x, n, r.Width))
	return s, nil
}

// task is what is to be told.
type task struct {
	n, width int
	classes  []int
	counts   []float64 // rows of each class
}

// spectrum is the singular value decomposition of rows: squares are the squared singular values above 0, and left the left singular
// vectors, [squares][rows].
type spectrum struct {
	squares []float64
	left    [][]float64
}

// least is the share of the greatest squared singular value below which one is 0.
const least = 1e-12

func spectrumOf(pool *kernel.Pool, x []float64, n, width int) (s spectrum) {
	wide := width > n
	size, length := min(n, width), max(n, width)
	lines := x // the rows, or the columns if they are fewer
	if !wide {
		lines = make([]float64, len(x))
		for i := range n {
			for k := range width {
				lines[k*n+i] = x[i*width+k]
			}
		}
	}
	line := func(i int) []float64 { return lines[i*length : (i+1)*length] }
	products := make([]float64, size*size)
	pool.Each(size, func(_, i int) {
		for j := range i + 1 {
			products[i*size+j] = vector.Dot(line(i), line(j))
		}
	})
	for i := range size {
		for j := range i {
			products[j*size+i] = products[i*size+j]
		}
	}
	values, vectors := eigen.Symmetric(pool, products, size)
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	for _, v := range values {
		if v > least*top {
			s.squares = append(s.squares, v)
		}
	}
	s.left = make([][]float64, len(s.squares))
	pool.Each(len(s.left), func(_, k int) { // values come largest first
		s.left[k] = vectors[k*size : (k+1)*size]
		if wide {
			return
		}
		left := make([]float64, n) // F·v/σ
		for j, w := range s.left[k] {
			vector.Axpy(w/math.Sqrt(s.squares[k]), line(j), left)
		}
		s.left[k] = left
	})
	return s
}

// along is the square of each left singular vector's product with the indicator of a class.
func (t task) along(s spectrum, class int) []float64 {
	out := make([]float64, len(s.squares))
	for k, u := range s.left {
		sum := 0.0
		for i, c := range t.classes {
			if c == class {
				sum += u[i]
			}
		}
		out[k] = sum * sum
	}
	return out
}

// Of the fixed-point iteration for the precisions, as in LogME's own code.
const (
	logMESteps   = 11
	logMEEpsilon = 1e-5
	logMEChange  = 1e-3
)

func (t task) logME(s spectrum) (mean float64) {
	n, used := float64(t.n), 0.0
	for class, count := range t.counts {
		if count == 0 {
			continue
		}
		used++
		along := t.along(s, class)
		rest := count // of the indicator's square that no feature reaches
		for _, v := range along {
			rest -= v
		}
		rest = max(rest, 0)
		alpha, beta := 1.0, 1.0 // precisions of the weights and of the noise
		var residual, weight float64
		for range logMESteps {
			ratio := alpha / beta
			var gamma float64
			weight, residual = 0, rest
			for k, square := range s.squares {
				gamma += square / (square + ratio)
				weight += square * along[k] / ((ratio + square) * (ratio + square))
				residual += along[k] / ((1 + square/ratio) * (1 + square/ratio))
			}
			alpha, beta = gamma/(weight+logMEEpsilon), (n-gamma)/(residual+logMEEpsilon)
			if math.Abs(alpha/beta-ratio)/ratio <= logMEChange {
				break
			}
		}
		evidence := n/2*math.Log(beta) - beta/2*residual - alpha/2*weight - n/2*math.Log(2*math.Pi)
		for _, square := range s.squares { // features without variance add nothing
			evidence -= math.Log1p(beta/alpha*square) / 2
		}
		mean += evidence / n
	}
	return mean / used
}

// hScore takes centred features.
func (t task) hScore(x []float64, s spectrum) (score float64) {
	n, p := float64(t.n), float64(t.width)
	var trace, fourth, squares float64
	for i := range t.n {
		length := 0.0
		for _, v := range x[i*t.width : (i+1)*t.width] {
			length += v * v
		}
		fourth += length * length
	}
	for _, v := range s.squares {
		trace += v / n
		squares += v * v / (n * n)
	}
	mean := trace / p
	// Ledoit and Wolf 2004, as scikit-learn has it.
	distance := (squares - 2*mean*trace + p*mean*mean) / p
	shrinkage := 0.0
	if error := min((fourth/n-squares)/(p*n), distance); error > 0 {
		shrinkage = error / distance
	}
	for class, count := range t.counts {
		if count == 0 {
			continue
		}
		for k, v := range t.along(s, class) {
			// The class's mean along the direction is σ·(u·indicator)/count.
			square := s.squares[k] * v / (count * count)
			score += count / (n - 1) * square / ((1-shrinkage)*s.squares[k]/n + shrinkage*mean)
		}
	}
	return (1 - shrinkage) * score
}

// probabilities tells whether every row is a distribution.
func probabilities(x []float64, width int) bool {
	for at := 0; at < len(x); at += width {
		sum := 0.0
		for _, v := range x[at : at+width] {
			if v < 0 {
				return false
			}
			sum += v
		}
		if math.Abs(sum-1) > 1e-4 {
			return false
		}
	}
	return true
}

func (t task) leep(x []float64) (mean float64) {
	joint := make([][]float64, len(t.counts)) // of class and source class
	for c := range joint {
		joint[c] = make([]float64, t.width)
	}
	marginal := make([]float64, t.width)
	for i, c := range t.classes {
		for z, v := range x[i*t.width : (i+1)*t.width] {
			joint[c][z] += v
			marginal[z] += v
		}
	}
	for i, c := range t.classes {
		likelihood := 0.0
		for z, v := range x[i*t.width : (i+1)*t.width] {
			if marginal[z] > 0 {
				likelihood += joint[c][z] / marginal[z] * v
			}
		}
		mean += math.Log(likelihood) / float64(t.n)
	}
	return mean
}
