package train

import (
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// average is the running mean of the weights; see Options.Average.
type average struct {
	decay   float64
	updates int
	weights nn.Weights // those of frozen layers are the trainer's own
	moving  []string   // the names of the others
}

func newAverage(net *nn.Network, weights nn.Weights, o Options) *average {
	a := &average{decay: o.Average, weights: nn.Weights{}}
	for _, p := range net.Parameters() {
		tensor := weights[p.Name()]
		if !o.Freeze(p.Layer) {
			tensor.Data = slices.Clone(tensor.Data)
			a.moving = append(a.moving, p.Name())
		}
		a.weights[p.Name()] = tensor
	}
	return a
}

// averagePiece is the number of elements that are worth handing to a thread.
const averagePiece = 32 << 10

// update takes in the weights after a step.
func (a *average) update(pool *kernel.Pool, weights nn.Weights) {
	a.updates++
	decay := min(a.decay, float64(1+a.updates)/float64(10+a.updates))
	take := float32(1 - decay)
	for _, name := range a.moving {
		mean, now := a.weights[name].Data, weights[name].Data
		pool.Each((len(mean)+averagePiece-1)/averagePiece, func(_, i int) {
			from, to := i*averagePiece, min((i+1)*averagePiece, len(mean))
			mean, now := mean[from:to], now[from:to]
			for j, w := range now {
				mean[j] += take * (w - mean[j])
			}
		})
	}
}
