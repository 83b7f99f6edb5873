package method

import (
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

// onTarget is one pass over the target's rows, in which the batch-norms that learned the statistics of the source normalise by
// the batch. What they have at its end are the means of the batches' statistics; by tent their scale and shift learn, and
// nothing else does.
func (p Plan) onTarget(phase strategy.Phase) transfer.Turn {
	phase.Name, phase.Epochs = p.Method.Kind, 1
	turn := p.turn(phase, p.Method, 1)
	turn.Pools, turn.Unlabelled = true, true
	target := p.positions(objective.TargetDomain)
	turn.Options = func(net *nn.Network, o *train.Options) {
		o.Batches = train.SideBySide([][]int{target}, []int{o.BatchSize}, 1, o.Seed)
		o.PoolStatistics = true
		plain, _ := o.Objective.(objective.CrossEntropy)
		plain.Unlabelled = true
		weight := 1.0
		if p.Method.Kind == BatchNorm {
			weight = 0
		}
		p.judged(net, o, objective.Sum{
			{Name: transfer.ClassTerm, Objective: plain}, // of the evaluation: no row of the target has a label
			{Name: p.Method.Kind, Objective: objective.Information{Output: LayersOf(net).Probabilities, Sure: 1}, Weight: objective.Constant(weight), TrainingOnly: true},
		})
	}
	return turn
}
