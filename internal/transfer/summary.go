package transfer

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

// summarise tells in a line how a phase went; kept is the epoch whose weights it hands on, 0 if those
// that it began with were better than any epoch's.
func (t *training) summarise(i int, epochs []record.TrainingEpoch, kept int) {
	outcome := "kept what it began with, which no epoch improved"
	if kept > 0 {
		e := epochs[kept-1]
		loss, accuracy, of := e.Loss, e.Accuracy, ""
		if !math.IsNaN(e.ValidationLoss) {
			loss, accuracy, of = e.ValidationLoss, e.ValidationAccuracy, "validation "
		}
		outcome = fmt.Sprintf("kept epoch %d: %sloss %.4f", kept, of, loss)
		switch t.data.Task() {
		case record.SingleLabel:
			if math.IsNaN(accuracy) { // no row that it is measured on has a label
				break
			}
			outcome += fmt.Sprintf(", accuracy %.1f %%", 100*accuracy)
		case record.MultiLabel:
			outcome += fmt.Sprintf(", accuracy %.1f %%", 100*accuracy)
		case record.Regression:
			outcome += fmt.Sprintf(", off by %.2f standard deviations", math.Sqrt(loss))
		}
	}
	ended := ""
	if len(epochs) < t.phases[i].Epochs {
		ended = fmt.Sprintf(" (stopped early, of %d)", t.phases[i].Epochs)
	}
	phase := ""
	if len(t.phases) > 1 {
		phase = "phase " + t.phases[i].Name + ": "
	}
	plural := "s"
	if len(epochs) == 1 {
		plural = ""
	}
	source := ""
	if t.atHand {
		source = ", from the cache"
	}
	t.task.Log("%s%d epoch%s%s%s; %s", phase, len(epochs), plural, ended, source, outcome)
}

// describe tells what phase i did with each block of the network.
func (t *training) describe(i int, before nn.Weights, epochs, kept int) []record.PhaseLayers {
	p, chosen, selected, rows := t.phases[i], t.prefixes[i], t.selections[i], int64(t.epochRows())
	var out []record.PhaseLayers
	for _, block := range t.net.Scopes() {
		row := record.PhaseLayers{
			Phase: p.Name, Number: int32(i + 1), Layers: block, Depth: int32(len(out)), Rate: math.NaN(),
			Epochs: int32(epochs), KeptEpoch: int32(kept), Stopped: epochs < p.Epochs, Rows: rows,
			Prefix: chosen.Cut, PrefixType: chosen.Precision, PrefixRows: chosen.Rows, PrefixSize: chosen.Bytes(), Why: chosen.Why,
		}
		old, now := nn.Weights{}, nn.Weights{}
		for _, q := range t.net.Parameters() {
			if strategy.BlockOf(q.Layer) != block || isRegressor(q.Layer) {
				continue
			}
			old[q.Name()], now[q.Name()] = before[q.Name()], t.weights[q.Name()]
			row.Parameters += int64(q.Shape.Size())
			if !selected.Learns(q.Layer) || selected.Keeps(q) {
				continue
			}
			if rate := p.LearningRate * selected.Rate(q.Layer); q.Role.Trained() {
				row.Trained += int64(q.Shape.Size())
				if math.IsNaN(row.Rate) {
					row.Rate = rate
				}
			} else if selected.Norms(q.Layer) == train.BatchStatistics {
				row.BatchNorm = strategy.TrainingNorms
			}
		}
		if len(old) == 0 {
			continue
		}
		if row.BatchNorm == "" && hasNorm(old) {
			row.BatchNorm = strategy.FrozenNorms
		}
		row.Before, row.After = cmp.Or(t.digests[block], old.Digest()), now.Digest()
		t.digests[block] = row.After
		out = append(out, row)
	}
	return out
}

// epochRows is how many training rows an epoch takes.
func (t *training) epochRows() int {
	return t.data.Each(t.Copies)
}

// hasNorm tells whether there are running statistics among the weights.
func hasNorm(weights nn.Weights) bool {
	for name := range weights {
		if strings.HasSuffix(name, "."+string(nn.Variance)) {
			return true
		}
	}
	return false
}
