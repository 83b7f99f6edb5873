package shift

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Priors are class frequencies of the target that were estimated, in sum 1.
type Priors struct {
	Frequencies []float64
	Iterations  int    // of EM
	Note        string // why they should not be relied on; "" otherwise
}

// ExpectationMaximisation estimates the target's class frequencies from a model's probabilities on it, [rows][classes], and the
// frequencies that it was trained with (Saerens, Latinne and Decaestecker 2002). It needs a calibrated model. It stops when no
// frequency changes by more than 10⁻⁸, or after 1,000 iterations.
func ExpectationMaximisation(probabilities []float32, trained []float64) (Priors, error) {
	k := len(trained)
	if k < 2 || len(probabilities) == 0 || len(probabilities)%k != 0 {
		return Priors{}, fmt.Errorf("%d probabilities of %d classes", len(probabilities), k)
	}
	out := Priors{Frequencies: make([]float64, k)}
	copy(out.Frequencies, trained)
	n := float64(len(probabilities) / k)
	next, row := make([]float64, k), make([]float64, k)
	for out.Iterations = 1; out.Iterations <= 1000; out.Iterations++ {
		clear(next)
		for i := 0; i < len(probabilities); i += k {
			reweigh(row, probabilities[i:i+k], trained, out.Frequencies)
			for c, p := range row {
				next[c] += p / n
			}
		}
		change := 0.0
		for c := range next {
			change = max(change, math.Abs(next[c]-out.Frequencies[c]))
		}
		copy(out.Frequencies, next)
		if change <= 1e-8 {
			return out, nil
		}
	}
	out.Note = "the iteration did not settle"
	return out, nil
}

// SingularError says that the classes that a model gives the source's validation rows do not determine class frequencies.
type SingularError struct {
	Unpredicted []int // classes that the model gives no validation row
	Absent      []int // classes that no validation row has
}

func (*SingularError) Error() string {
	return "what the model takes for what on the source's validation rows does not tell the classes apart"
}

// Confusion estimates the target's class frequencies from how often a model gives each class on it, and how often it takes one class
// for another on the source's validation rows (Lipton, Wang and Smola 2018, arXiv:1802.03916, "black box shift estimation"). trained
// are the frequencies of the source's classes. Predictions count, not probabilities, so the model need not be calibrated. Where
// these do not determine the frequencies, the error is a [SingularError].
func Confusion(source []float32, classes []int, target []float32, trained []float64) (Priors, error) {
	k := len(trained)
	if k < 2 || len(source) != len(classes)*k || len(target) == 0 || len(target)%k != 0 {
		return Priors{}, fmt.Errorf("%d probabilities for %d rows of the source and %d for the target, of %d classes", len(source), len(classes), len(target), k)
	}
	joint, n := make([]float64, k*k), 0.0
	for i, class := range classes {
		if class >= 0 && class < k {
			joint[argmax(source[i*k:(i+1)*k])*k+class]++
			n++
		}
	}
	if n == 0 {
		return Priors{}, errors.New("there are no labelled validation rows of the source")
	}
	shares := make([]float64, k) // of classes among the validation rows
	for i := range joint {
		joint[i] /= n
		shares[i%k] += joint[i]
	}
	answers := make([]float64, k)
	for i := 0; i < len(target); i += k {
		answers[argmax(target[i:i+k])] += float64(k) / float64(len(target))
	}
	var out Priors
	ratios := mat.NewVecDense(k, nil)
	var lu mat.LU
	lu.Factorize(mat.NewDense(k, k, joint))
	if condition := lu.Cond(); condition > 1e12 || math.IsNaN(condition) || lu.SolveVecTo(ratios, false, mat.NewVecDense(k, answers)) != nil {
		return Priors{}, singular(joint, k)
	} else if condition > 100*float64(k) {
		out.Note = "the classes are often taken for one another, so the frequencies are rough"
	}
	// Of a class whose share is w times what it was: w times the frequency it was trained with. Estimates below 0 are 0.
	sum := 0.0
	for c := range k {
		f := max(ratios.AtVec(c), 0) * trained[c]
		out.Frequencies = append(out.Frequencies, f)
		sum += f
	}
	if sum == 0 || math.IsNaN(sum) {
		return Priors{}, errors.New("no class has an estimated frequency above 0")
	}
	for c := range out.Frequencies {
		out.Frequencies[c] /= sum
	}
	return out, nil
}

// singular finds the classes that are missing in a confusion matrix, [predicted][true].
func singular(joint []float64, k int) *SingularError {
	e := &SingularError{}
	for c := range k {
		predicted, present := 0.0, 0.0
		for other := range k {
			predicted += joint[c*k+other]
			present += joint[other*k+c]
		}
		if predicted == 0 {
			e.Unpredicted = append(e.Unpredicted, c)
		}
		if present == 0 {
			e.Absent = append(e.Absent, c)
		}
	}
	return e
}

// Reweigh corrects probabilities, [rows][classes], in place, for frequencies other than those that a model was trained with.
func Reweigh(probabilities []float32, trained, frequencies []float64) {
	k := len(trained)
	row := make([]float64, k)
	for i := 0; i+k <= len(probabilities); i += k {
		reweigh(row, probabilities[i:i+k], trained, frequencies)
		for c, p := range row {
			probabilities[i+c] = float32(p)
		}
	}
}

func reweigh(out []float64, p []float32, trained, frequencies []float64) {
	sum := 0.0
	for c, v := range p {
		out[c] = 0
		if trained[c] > 0 {
			out[c] = float64(v) * frequencies[c] / trained[c]
		}
		sum += out[c]
	}
	for c, v := range p {
		if sum > 0 {
			out[c] /= sum
		} else {
			out[c] = float64(v)
		}
	}
}

func argmax(values []float32) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}
