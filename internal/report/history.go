package report

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/pipeline"
)

// epochColumn is what tells a history from other tables: one row an epoch.
const epochColumn = "epoch"

// history is what a training gave, epoch by epoch: the numeric columns of the
// table, by name.
type history struct {
	node    *Node
	epochs  []float64
	columns map[string][]float64
}

// readHistory reads the history among a node's outputs; nil if there is none.
func readHistory(ctx context.Context, n *Node) (*history, error) {
	for _, port := range slices.Sorted(maps.Keys(n.Outputs)) {
		schema, err := schemaOf(ctx, n, port)
		if err != nil {
			return nil, err
		}
		if schema == nil || len(schema.FieldIndices(epochColumn)) != 1 {
			continue
		}
		h, err := parseHistory(ctx, n.Outputs[port])
		if err != nil {
			return nil, fmt.Errorf("read %s.%s: %w", n.Name, port, err)
		}
		h.node = n
		return h, nil
	}
	return nil, nil
}

func parseHistory(ctx context.Context, in pipeline.Input) (*history, error) {
	h := &history{columns: map[string][]float64{}}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i, f := range rec.Schema().Fields() {
			if !isNumeric(f.Type) {
				continue
			}
			values := numbers(rec.Column(i))
			if f.Name == epochColumn {
				h.epochs = append(h.epochs, values...)
			} else {
				h.columns[f.Name] = append(h.columns[f.Name], values...)
			}
		}
	}
	for name, values := range h.columns {
		if len(values) != len(h.epochs) {
			return nil, fmt.Errorf("column %q has %d values for %d epochs", name, len(values), len(h.epochs))
		}
	}
	return h, nil
}

// of finds the column of a quantity, in training or in validation: loss,
// train_loss; validation_loss, val_loss. nil if there is none with a value.
func (h *history) of(quantity string, validation bool) []float64 {
	for _, name := range slices.Sorted(maps.Keys(h.columns)) {
		if strings.Contains(name, quantity) && strings.Contains(name, "val") == validation &&
			slices.ContainsFunc(h.columns[name], func(x float64) bool { return !math.IsNaN(x) }) {
			return h.columns[name]
		}
	}
	return nil
}

// best is the index of the epoch with the best validation loss, or accuracy
// where there is no loss; −1 without validation.
func (h *history) best() int {
	at := -1
	if losses := h.of("loss", true); losses != nil {
		for i, x := range losses {
			if !math.IsNaN(x) && (at < 0 || x < losses[at]) {
				at = i
			}
		}
	}
	return at
}

func isNumeric(t arrow.DataType) bool { return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID()) }

// numbers reads a numeric column; null is NaN.
func numbers(column arrow.Array) []float64 {
	out := make([]float64, column.Len())
	for i := range out {
		x, err := strconv.ParseFloat(column.ValueStr(i), 64)
		if column.IsNull(i) || err != nil {
			x = math.NaN()
		}
		out[i] = x
	}
	return out
}

// trainingView shows one training.
type trainingView struct {
	Name, Full string
	Summary    string
	Panels     []panel
}

// newTrainingViews draws all histories with the same scales, so that they can
// be compared.
func newTrainingViews(histories []*history) []trainingView {
	if len(histories) == 0 {
		return nil
	}
	names := make([]string, len(histories))
	for i, h := range histories {
		names[i] = h.node.Name
	}
	short := shortNames(names, false)
	epochs, losses := emptyScale(), scale{0, 0}
	for _, h := range histories {
		for _, e := range h.epochs {
			epochs = epochs.widen(e)
		}
		for _, values := range [][]float64{h.of("loss", false), h.of("loss", true)} {
			for _, x := range values {
				losses = losses.widen(x)
			}
		}
	}
	lossScale, lossTicks := losses.round(4)
	accuracyScale := scale{0, 1}
	var out []trainingView
	for _, h := range histories {
		view := trainingView{Name: short[h.node.Name], Full: h.node.Name, Summary: h.inWords()}
		plot := func(title, quantity string, y scale, ticks []tick) {
			train, validation := h.of(quantity, false), h.of(quantity, true)
			if train == nil && validation == nil {
				return
			}
			p := panel{
				Title: title, XName: "epoch", YTicks: ticks, XTicks: epochTicks(epochs),
				Label: fmt.Sprintf("%s of %s over the epochs. %s", title, h.node.Name, h.ends(quantity, train, validation)),
			}
			if best := h.best(); best >= 0 {
				x := epochs.at(h.epochs[best])
				p.Rules = append(p.Rules, rule{x, 0, x, 100, "best"})
			}
			p.draw(h.epochs, train, epochs, y, "train", 0)
			p.draw(h.epochs, validation, epochs, y, "validation", 1)
			view.Panels = append(view.Panels, p)
		}
		plot("Loss", "loss", lossScale, lossTicks)
		plot("Accuracy", "accuracy", accuracyScale, percentTicks(accuracyScale, 0.25))
		if len(view.Panels) > 0 {
			out = append(out, view)
		}
	}
	return out
}

// draw adds a line with a mark at its end.
func (p *panel) draw(xs, ys []float64, x, y scale, class string, symbol int) {
	if ys == nil {
		return
	}
	p.Lines = append(p.Lines, curve(xs, ys, x, y, class))
	for i := len(ys) - 1; i >= 0; i-- {
		if !math.IsNaN(ys[i]) && !math.IsInf(ys[i], 0) {
			p.Marks = append(p.Marks, mark{x.at(xs[i]), y.at(ys[i]), symbol, class, score(ys[i])})
			return
		}
	}
}

// epochTicks marks whole epochs.
func epochTicks(s scale) []tick {
	if s.low > s.high {
		return nil
	}
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

func (h *history) inWords() string {
	text := plural(int64(len(h.epochs)), "epoch")
	if best := h.best(); best >= 0 {
		text += fmt.Sprintf("; lowest validation loss, %s, after epoch %s", score(h.of("loss", true)[best]), signed(h.epochs[best], 0))
		if accuracy := h.of("accuracy", true); accuracy != nil {
			text += ", at " + percent(accuracy[best]) + " accuracy"
		}
	}
	return text + "."
}

func (h *history) ends(quantity string, train, validation []float64) string {
	write := score
	if quantity == "accuracy" {
		write = percent
	}
	var parts []string
	for _, side := range []struct {
		name   string
		values []float64
	}{{"training", train}, {"validation", validation}} {
		if n := len(side.values); n > 0 {
			parts = append(parts, fmt.Sprintf("%s from %s to %s", side.name, write(side.values[0]), write(side.values[n-1])))
		}
	}
	return strings.Join(parts, ", ") + "."
}
