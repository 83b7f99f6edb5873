package train

import (
	"context"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// evaluate returns the mean cross-entropy and the accuracy of the weights as they are.
func (t *Trainer) evaluate(ctx context.Context, examples Examples) (loss, accuracy float64, err error) {
	compiled, err := frozen.Compile(t.net, t.shown(), t.logits)
	if err != nil {
		return 0, 0, err
	}
	n := examples.Len()
	size := min(atOnce(compiled), n)
	session := compiled.NewSession(size)
	inputs, logits := make([]float32, size*compiled.InputShape().Size()), make([]float32, size*t.classes)
	correct := 0
	for run := range slices.Chunk(positionsOf(nil, n, 0), size) {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		classes := t.classesOf(len(run))
		x, y := inputs[:len(run)*compiled.InputShape().Size()], logits[:len(run)*t.classes]
		if err := examples.Read(run, x, classes); err != nil {
			return 0, 0, err
		}
		if err := checkClasses(classes, t.classes); err != nil {
			return 0, 0, err
		}
		if err := session.Run(t.pool, x, len(run), y); err != nil {
			return 0, 0, err
		}
		correct += countCorrect(y, classes)
		for i, class := range classes {
			loss += crossEntropy(y[i*t.classes:(i+1)*t.classes], class)
		}
	}
	return loss / float64(n), float64(correct) / float64(n), nil
}

// crossEntropy is −log softmax(logits)[class].
func crossEntropy(logits []float32, class int) float64 {
	top := float64(slices.Max(logits))
	var sum float64
	for _, z := range logits {
		sum += math.Exp(float64(z) - top)
	}
	return math.Log(sum) + top - float64(logits[class])
}

// countCorrect counts the examples whose greatest logit is that of their class; the first of equal
// ones counts as the greatest.
func countCorrect(logits []float32, classes []int) int {
	correct, width := 0, len(logits)/len(classes)
	for i, class := range classes {
		row := logits[i*width : (i+1)*width]
		greatest := 0
		for c, z := range row {
			if z > row[greatest] {
				greatest = c
			}
		}
		if greatest == class {
			correct++
		}
	}
	return correct
}
