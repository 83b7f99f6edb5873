package report

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// history is what a training gave, epoch by epoch.
type history struct {
	node   *Node
	epochs []record.TrainingEpoch
}

// readHistory reads the history among a node's outputs; nil if there is none.
func readHistory(ctx context.Context, n *Node) (*history, error) {
	epochs, _, err := readTable[record.TrainingEpoch](ctx, n)
	if len(epochs) == 0 || err != nil {
		return nil, err
	}
	return &history{n, epochs}, nil
}

// trainingView shows one training.
type trainingView struct {
	Name, Full string
	Summary    string
	Panels     []panel
}

// quantity is what a panel shows over the epochs.
type quantity struct {
	name              string
	write             func(float64) string
	train, validation func(record.TrainingEpoch) float64
}

var (
	lossQuantity = quantity{
		"Loss", score,
		func(e record.TrainingEpoch) float64 { return e.Loss },
		func(e record.TrainingEpoch) float64 { return e.ValidationLoss },
	}
	accuracyQuantity = quantity{
		"Accuracy", percent,
		func(e record.TrainingEpoch) float64 { return e.Accuracy },
		func(e record.TrainingEpoch) float64 { return e.ValidationAccuracy },
	}
)

// newTrainingViews draws all histories with the same scales, so that they can
// be compared.
func newTrainingViews(histories []*history) []trainingView {
	names := make([]string, len(histories))
	epochs, losses := emptyScale(), scale{0, 0}
	for i, h := range histories {
		names[i] = h.node.Name
		for _, e := range h.epochs {
			epochs = epochs.widen(float64(e.Epoch))
			losses = losses.widen(e.Loss).widen(e.ValidationLoss)
		}
	}
	short := shortNames(names, false)
	lossScale, lossTicks := losses.round(4)
	shares := scale{0, 1}
	var out []trainingView
	for _, h := range histories {
		out = append(out, trainingView{
			Name: short[h.node.Name], Full: h.node.Name, Summary: h.inWords(),
			Panels: []panel{
				h.panel(lossQuantity, epochs, lossScale, lossTicks),
				h.panel(accuracyQuantity, epochs, shares, percentTicks(shares, 0.25)),
			},
		})
	}
	return out
}

func (h *history) panel(q quantity, x, y scale, ticks []tick) panel {
	p := panel{
		Title: q.name, XName: "epoch", XTicks: epochTicks(x), YTicks: ticks,
		Label: fmt.Sprintf("%s of %s over the epochs: %s.", q.name, h.node.Name, h.ends(q)),
	}
	if kept := h.kept(); kept >= 0 {
		at := x.at(float64(h.epochs[kept].Epoch))
		p.Rules = append(p.Rules, rule{at, 0, at, 100, "best"})
	}
	var numbers, train, validation []float64
	for _, e := range h.epochs {
		numbers = append(numbers, float64(e.Epoch))
		train = append(train, q.train(e))
		validation = append(validation, q.validation(e))
	}
	p.draw(numbers, train, x, y, "train", 0, q.write)
	p.draw(numbers, validation, x, y, "validation", 1, q.write)
	return p
}

// draw adds a line with a mark at its end.
func (p *panel) draw(xs, ys []float64, x, y scale, class string, symbol int, write func(float64) string) {
	p.Lines = append(p.Lines, curve(xs, ys, x, y, class))
	for i, value := range slices.Backward(ys) {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			p.Marks = append(p.Marks, mark{x.at(xs[i]), y.at(value), symbol, class, write(value)})
			return
		}
	}
}

// kept is the index of the epoch whose weights the model has; −1 if that is
// not on record.
func (h *history) kept() int {
	return slices.IndexFunc(h.epochs, func(e record.TrainingEpoch) bool { return e.Kept })
}

// inWords sums up a training.
func (h *history) inWords() string {
	text := plural(int64(len(h.epochs)), "epoch")
	if kept := h.kept(); kept >= 0 {
		e := h.epochs[kept]
		text += fmt.Sprintf("; kept the weights of epoch %d", e.Epoch)
		if !math.IsNaN(e.ValidationLoss) {
			text += fmt.Sprintf(", with a validation loss of %s and an accuracy of %s", score(e.ValidationLoss), percent(e.ValidationAccuracy))
		}
	}
	return text + "."
}

func (h *history) ends(q quantity) string {
	first, last := h.epochs[0], h.epochs[len(h.epochs)-1]
	parts := []string{fmt.Sprintf("training from %s to %s", q.write(q.train(first)), q.write(q.train(last)))}
	if !math.IsNaN(q.validation(last)) {
		parts = append(parts, fmt.Sprintf("validation from %s to %s", q.write(q.validation(first)), q.write(q.validation(last))))
	}
	return strings.Join(parts, ", ")
}

// epochTicks marks the first epoch and whole steps.
func epochTicks(s scale) []tick {
	step := math.Max(1, niceStep((s.high-s.low)/5))
	if step == 2 && s.high-s.low > 8 {
		step = 5
	}
	ticks := []tick{{s.at(s.low), signed(s.low, 0)}}
	for k := step; k <= s.high; k += step {
		if k-s.low >= step/2 {
			ticks = append(ticks, tick{s.at(k), signed(k, 0)})
		}
	}
	return ticks
}

func percentTicks(s scale, step float64) []tick {
	ticks := s.ticks(step)
	for i := range ticks {
		ticks[i].Text = signed(100*(s.low+float64(i)*step), 0) + "%"
	}
	return ticks
}
