package method

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

// shot are turns on the target's rows alone: the last layer stays, and what lies below learns to make the answers sure
// and varied, and those of labels that the network gives the rows itself at the beginning of each turn.
func (p Plan) shot(phase strategy.Phase) (out []transfer.Turn) {
	epochs := max(phase.Epochs/p.Method.Rounds, 1)
	target := p.positions(objective.TargetDomain)
	for round := range p.Method.Rounds {
		phase := phase
		phase.Name, phase.Epochs = fmt.Sprintf("round%d", round+1), epochs
		var classes []int
		turn := p.turn(phase, p.Method, round+1)
		turn.Learns = func(net *nn.Network, l nn.Layer) bool { return l.Name != LayersOf(net).Logits }
		turn.Moves = func(net *nn.Network) string { return LayersOf(net).Penultimate }
		turn.Still = "shot trains the layers below the last one, and there is none that learns"
		turn.Prepare = func(ctx context.Context, at *transfer.Inference) error {
			l := LayersOf(at.Net)
			values, err := at.Compute(ctx, &p.Rows.Training, target, l.Probabilities, l.Penultimate)
			if err != nil {
				return err
			}
			classes = slices.Clone(p.Rows.Training.Classes)
			for i, class := range byCentroids(values[0], values[1], len(p.Rows.Classes)) {
				classes[target[i]] = class
			}
			return nil
		}
		turn.Classes = func() []int { return classes }
		turn.Options = func(net *nn.Network, o *train.Options) {
			o.Batches = train.SideBySide([][]int{target}, []int{o.BatchSize}, p.Steps, o.Seed)
			plain, _ := o.Objective.(objective.CrossEntropy)
			plain.Unlabelled = true
			p.judged(net, o, objective.Sum{
				{Name: transfer.ClassTerm, Objective: plain, Weight: objective.Constant(*p.Method.PseudoLabels)},
				{Name: SHOT, Objective: objective.Information{Output: LayersOf(net).Probabilities}, TrainingOnly: true},
			})
		}
		out = append(out, turn)
	}
	return out
}

// byCentroids labels rows by the nearest centroid of the classes, by the cosine of the features with a 1 appended: the
// centroids are at first those of the answers' probabilities, then those of the labels that these gave (Liang et al.,
// arXiv:2002.08546). Classes that no row is given are left out of the second.
func byCentroids(probabilities, features []float32, classes int) []int {
	rows := len(probabilities) / classes
	width := len(features)/max(rows, 1) + 1
	x := make([]float64, 0, rows*width)
	for i := range rows {
		row := features[i*(width-1) : (i+1)*(width-1)]
		length := 1.0
		for _, v := range row {
			length += float64(v) * float64(v)
		}
		for _, v := range row {
			x = append(x, float64(v)/math.Sqrt(length))
		}
		x = append(x, 1/math.Sqrt(length))
	}
	weight := func(i, c int) float64 { return float64(probabilities[i*classes+c]) }
	labels := make([]int, rows)
	for range 2 {
		centroids, mass := make([]float64, classes*width), make([]float64, classes)
		for i := range rows {
			for c := range classes {
				w := weight(i, c)
				mass[c] += w
				for j, v := range x[i*width : (i+1)*width] {
					centroids[c*width+j] += w * v
				}
			}
		}
		next := make([]int, rows)
		for i := range rows {
			best := math.Inf(-1)
			for c := range classes {
				if mass[c] == 0 {
					continue
				}
				var product, length float64
				for j, v := range x[i*width : (i+1)*width] {
					product += v * centroids[c*width+j]
					length += centroids[c*width+j] * centroids[c*width+j]
				}
				if cosine := product / math.Sqrt(length); cosine > best {
					best, next[i] = cosine, c
				}
			}
		}
		labels = next
		weight = func(i, c int) float64 {
			if labels[i] == c {
				return 1
			}
			return 0
		}
	}
	return labels
}
