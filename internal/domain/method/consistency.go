package method

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

// consistency is a turn on rows of the source, rows of the target, and for each of these a copy that was varied before.
func (p Plan) consistency(phase strategy.Phase) transfer.Turn {
	phase.Name = Consistency
	turn := p.turn(phase, p.Method, 1)
	plain, copies := VariedRows(p.Rows)
	turn.Options = func(net *nn.Network, o *train.Options) {
		if len(plain) > 0 {
			o.Batches = beside(p.positions(objective.SourceDomain), plain, copies, o.BatchSize, p.Steps, o.Seed)
		}
		p.loss(net, o, &objective.Term{
			Name: Consistency, Weight: objective.Constant(*p.Method.Weight), TrainingOnly: true,
			Objective: objective.Consistency{Output: LayersOf(net).Probabilities, Threshold: p.Method.Threshold},
		})
	}
	return turn
}

// VariedRows are the training rows of the target that copies were made of, by position, and those copies.
func VariedRows(d *rows.Domains) (plain []int, copies map[int][]int) {
	of := d.Training.Pictures(d.Training.Spread(d.Training.Rows()))
	original := map[int]int{} // position of the row by picture
	for i := d.SourceRows; i < d.Training.Rows(); i++ {
		if d.Training.Copies[i] == 0 {
			original[of[i]] = i
		}
	}
	copies = map[int][]int{}
	for i := d.SourceRows; i < d.Training.Rows(); i++ {
		if at, ok := original[of[i]]; ok && d.Training.Copies[i] > 0 {
			copies[at] = append(copies[at], i)
		}
	}
	for i := d.SourceRows; i < d.Training.Rows(); i++ {
		if len(copies[i]) > 0 {
			plain = append(plain, i)
		}
	}
	return plain, copies
}

// beside gives batches of so many rows of the source, so many plain ones of the target, and a copy of each of these in the
// same order: each time another one, until all of a row were there.
func beside(source, plain []int, copies map[int][]int, size, least int, seed uint64) func(epoch int) [][]int {
	batches := train.SideBySide([][]int{source, plain}, []int{size, size}, least, seed)
	return func(epoch int) [][]int {
		out := batches(epoch)
		seen, drawn := map[int]int{}, map[int][]int{}
		for i, batch := range out {
			for _, at := range batch[size:] {
				own := copies[at]
				turn, place := seen[at]/len(own), seen[at]%len(own)
				if place == 0 {
					drawn[at] = train.Shuffled(len(own), seed, epoch, fmt.Sprintf("copies of row %d, turn %d", at, turn))
				}
				out[i] = append(out[i], own[drawn[at][place]])
				seen[at]++
			}
		}
		return out
	}
}
