package shallow

import (
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Linear is a linear classifier: the logit of class k is the inner product of a row with Weights[k] and Bias[k].
type Linear struct {
	Weights []float32 // [classes][width]
	Bias    []float32 // [classes]
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
