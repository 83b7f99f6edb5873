package objective

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// KD is knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531): T²·KL(softmax(teacher/T) ‖
// softmax(logits/T)), summed over the classes, the mean over the examples. T² keeps the gradients at the size of those of a
// cross-entropy, whatever the temperature. Where examples are mixed, so are the teacher's softened distributions.
type KD struct {
	Output      string  // the layer with the logits, or their softmax; "": the network's output
	Target      string  // float32, the teacher's logits; "": [Teacher]
	Temperature float64 // T, above 0
}

// Kind implements [Objective].
func (KD) Kind() string { return "kd" }

func (k KD) output() Output { return Output{Layer: k.Output, Logits: true} }
func (k KD) target() string { return or(k.Target, Teacher) }

// Outputs implements [Objective].
func (k KD) Outputs() []Output { return []Output{k.output()} }

// Targets implements [Objective].
func (k KD) Targets(shape Shapes) []Target {
	return []Target{{Name: k.target(), Element: nn.Float32, Shape: shape(k.output())}}
}

// Measures implements [Objective].
func (KD) Measures() []Measure { return []Measure{{Agreement, schedule.Rising}} }

// Check implements [Objective].
func (k KD) Check(shape Shapes) error {
	if !positive(k.Temperature) {
		return fmt.Errorf("temperature %v: must be above 0 and finite", k.Temperature)
	}
	return vector(k.output(), shape, 2)
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

// Loss implements [Objective].
func (k KD) Loss(in Place) Loss {
	return newCompared(in, k.Kind(), k.output(), &kdComparison{KD: k, classes: in.Output(k.output()).Shape()[1]})
}

// Evaluation implements [Objective].
func (k KD) Evaluation(shape Shapes) Evaluation {
	return newComparedEvaluation(k.output(), 1, &kdComparison{KD: k, classes: shape(k.output()).Size()})
}

type kdComparison struct {
	KD
	classes  int
	teacher  []float32 // logits
	softened []float64 // probabilities of the teacher, [rows][classes], mixed if examples are
	own      []float64 // log-probabilities of one row
}

func (k *kdComparison) take(targets nn.Batch, rows int, blend Blend) (float64, error) {
	k.teacher = targets[k.target()].Float32
	if !nn.Finite(k.teacher) {
		return 0, fmt.Errorf("a logit of the teacher is not finite")
	}
	k.softened, k.own = slices.Grow(k.softened[:0], len(k.teacher))[:len(k.teacher)], make([]float64, k.classes)
	for at := 0; at < len(k.teacher); at += k.classes {
		row := k.softened[at : at+k.classes]
		logSoftmax(row, k.teacher[at:at+k.classes], k.Temperature)
		for i, l := range row {
			row[i] = math.Exp(l)
		}
	}
	if blend.Partner != nil {
		before := slices.Clone(k.softened)
		for i, partner := range blend.Partner {
			for c := range k.classes {
				k.softened[i*k.classes+c] = blend.Keep*before[i*k.classes+c] + (1-blend.Keep)*before[partner*k.classes+c]
			}
		}
	}
	return float64(rows), nil
}

func (k *kdComparison) sum(dx []float64, x []float32) (loss float64) {
	for at := 0; at < len(x); at += k.classes {
		logSoftmax(k.own, x[at:at+k.classes], k.Temperature)
		for i, log := range k.own {
			p := k.softened[at+i]
			if p > 0 {
				loss += p * (math.Log(p) - log)
			}
			if dx != nil {
				dx[at+i] = k.Temperature * (math.Exp(log) - p)
			}
		}
	}
	return loss * k.Temperature * k.Temperature
}

func (k *kdComparison) measure(sums []float64, x []float32) {
	sums[0] += agreeing(x, k.teacher, k.classes)
}

// logSoftmax writes log softmax(logits/temperature).
func logSoftmax(out []float64, logits []float32, temperature float64) {
	top := float64(slices.Max(logits))
	var sum float64
	for i, z := range logits {
		out[i] = (float64(z) - top) / temperature
		sum += math.Exp(out[i])
	}
	log := math.Log(sum)
	for i := range out {
		out[i] -= log
	}
}
