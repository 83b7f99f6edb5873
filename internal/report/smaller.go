package report

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// smallerSection shows the networks that were made of others: distilled students beside their teachers and beside the same student
// alone, pruned networks beside what they were.
func smallerSection(ctx context.Context, r *reading) (blocks []block, err error) {
	var all []sized
	for i := range r.run.Nodes {
		n := &r.run.Nodes[i]
		rows, _, wrong := readTable[record.ModelSize](ctx, n)
		err = errors.Join(err, wrong)
		if len(rows) == 0 {
			continue
		}
		blocks = append(blocks, subheading(n.Name), tableOf(sizesTable(n.Name, rows)))
		if rows[0].Rows > 0 {
			blocks = append(blocks, note(fmt.Sprintf("Accuracy and agreement on %s, with 95 %% intervals (Wilson). The same rows chose the epochs of networks that were trained here.", plural(rows[0].Rows, "validation row"))))
		}
		for _, row := range rows {
			known := slices.ContainsFunc(all, func(s sized) bool {
				return row.Role == record.RoleTeacher && s.row.Role == row.Role && s.row.Model == row.Model && s.row.Bytes == row.Bytes && s.row.Accuracy == row.Accuracy
			})
			if !known && !math.IsNaN(row.Accuracy) {
				all = append(all, sized{n.Name, row})
			}
		}
		curves, _, wrong := readTable[record.DistillationCurve](ctx, n)
		err = errors.Join(err, wrong)
		if len(curves) > 0 {
			shown, keys := curveCharts(curves, r.teacherEpochs(ctx, n))
			blocks = append(blocks, keysOf(keys...), charts(shown...))
		}
		softened, _, wrong := readTable[record.SoftenedProbability](ctx, n)
		err = errors.Join(err, wrong)
		if len(softened) > 0 {
			blocks = append(blocks, note("What the networks tell of a few validation pictures: probabilities of the classes at temperature 1, and softened, as they are learned."))
			blocks = append(blocks, softenedTables(softened)...)
		}
	}
	quantised, wrong := quantisedSizes(ctx, r)
	if all, err = append(all, quantised...), errors.Join(err, wrong); len(all) > 1 {
		var keys []key
		for i, s := range all {
			keys = append(keys, key{Colour: i % symbols, Symbol: i % symbols, Name: s.name()})
		}
		blocks = append([]block{keysOf(keys...), charts(sizeChart(all))}, blocks...)
	}
	return blocks, err
}

// quantisedSizes are the models in int8, with their accuracies at the gate.
func quantisedSizes(ctx context.Context, r *reading) (out []sized, failed error) {
	for i := range r.run.Nodes {
		n := &r.run.Nodes[i]
		attempts, _, err := readTable[record.GateAttempt](ctx, n)
		failed = errors.Join(failed, err)
		if len(attempts) == 0 || attempts[len(attempts)-1].Rows == 0 {
			continue
		}
		last := attempts[len(attempts)-1]
		interval := metrics.Wilson(last.After*float64(last.Rows), float64(last.Rows))
		out = append(out, sized{n.Name, record.ModelSize{Model: n.Name, Role: "int8", Bytes: last.Bytes, Rows: last.Rows, Accuracy: last.After, Low: interval.Low, High: interval.High}})
	}
	return out, failed
}

// sized is a network of a stage.
type sized struct {
	node string
	row  record.ModelSize
}

// name is what a network is called beside others.
func (s sized) name() string {
	if s.row.Role == record.RoleTeacher {
		return "teacher " + s.row.Model
	}
	return s.node + ", " + s.row.Role
}

// sizesTable has a row for each network.
func sizesTable(node string, rows []record.ModelSize) numberTable {
	t := numberTable{Caption: "Networks of " + node + " by size", Corner: "network", Columns: []numberColumn{
		{Name: "parameters"}, {Name: "not 0", Hint: "of the parameters that are trained"}, {Name: "multiply-adds", Hint: "of a picture"}, {Name: "size", Hint: "of the weights as they are stored"},
		{Name: "accuracy"}, {Name: "agreement", Hint: "share of the rows on which it gives the class that the teacher, or the network before, gives"},
	}}
	for _, m := range rows {
		name := m.Role
		if m.Role == record.RoleTeacher {
			name = "teacher " + m.Model
		}
		row := numberRow{Name: name, Cells: []numberCell{
			{Text: count(m.Parameters)}, {Text: count(m.Nonzero)}, {Text: magnitude(float64(m.MultiplyAdds), "")}, {Text: magnitude(float64(m.Bytes), "B")}, {Text: "–"}, {Text: "–"},
		}}
		if !math.IsNaN(m.Accuracy) {
			row.Cells[4] = numberCell{Text: percent(m.Accuracy), Interval: percentRange(m.Low, m.High)}
			row.Cells[5] = numberCell{Text: percent(m.Agreement), Interval: percentRange(m.AgreementLow, m.AgreementHigh)}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// sizeChart draws size against accuracy, with intervals.
func sizeChart(all []sized) chart {
	x, y := emptyScale(), emptyScale()
	for _, s := range all {
		x, y = x.widen(math.Log10(float64(max(s.row.Bytes, 1)))), y.widen(s.row.Low).widen(s.row.High)
	}
	y, yTicks := y.round(4)
	for i := range yTicks {
		yTicks[i].Text = percentTick(y, yTicks[i])
	}
	x = x.widen(x.low - 0.1).widen(x.high + 0.1)
	p := panel{XName: "size of the weights, on a logarithmic axis", YName: "accuracy", YTicks: yTicks, Label: "Size against accuracy. "}
	summary := "Accuracy on the validation rows, with 95 % intervals, against the size of the weights. "
	for power := math.Ceil(x.low); power <= x.high; power++ {
		p.XTicks = append(p.XTicks, tick{x.at(power), magnitude(math.Pow(10, power), "B")})
	}
	if len(p.XTicks) < 2 {
		p.XTicks = []tick{{x.at(x.low + 0.1), magnitude(math.Pow(10, x.low+0.1), "B")}, {x.at(x.high - 0.1), magnitude(math.Pow(10, x.high-0.1), "B")}}
	}
	for i, s := range all {
		at := x.at(math.Log10(float64(max(s.row.Bytes, 1))))
		text := fmt.Sprintf("%s: %s, %s (%s)", s.name(), magnitude(float64(s.row.Bytes), "B"), percent(s.row.Accuracy), percentRange(s.row.Low, s.row.High))
		colour := i % symbols
		p.Rules = append(p.Rules, rule{at, y.at(s.row.Low), at, y.at(s.row.High), fmt.Sprintf("reach k%d", colour)})
		p.Marks = append(p.Marks, mark{X: at, Y: y.at(s.row.Accuracy), Symbol: colour, Large: true, Class: fmt.Sprintf("k%d", colour), Title: text})
		p.Label, summary = p.Label+text+". ", summary+text+". "
	}
	return chart{Name: "Size against accuracy", Panel: p, Summary: summary}
}

func percentTick(y scale, t tick) string {
	return signed(100*(y.low+t.At/100*(y.high-y.low)), 0) + "%"
}

// teacherEpochs is the history of the first teacher of a node, if it is a stage of the run.
func (r *reading) teacherEpochs(ctx context.Context, n *Node) []record.TrainingEpoch {
	for _, link := range n.Inputs {
		if link.Port != "teacher" {
			continue
		}
		if from := r.run.node(link.From); from != nil {
			if epochs, _, err := readTable[record.TrainingEpoch](ctx, from); err == nil {
				return epochs
			}
		}
	}
	return nil
}

// curveCharts draws validation accuracy and loss by epoch: teacher, student alone, distilled student.
func curveCharts(rows []record.DistillationCurve, teacher []record.TrainingEpoch) ([]chart, []key) {
	type curveOf struct {
		name            string
		xs, loss, right []float64
	}
	curves := []curveOf{{name: record.RoleTeacher}, {name: record.RoleAlone}, {name: record.RoleDistilled}}
	for _, e := range teacher {
		curves[0].xs = append(curves[0].xs, float64(e.Epoch))
		curves[0].loss, curves[0].right = append(curves[0].loss, e.ValidationLoss), append(curves[0].right, e.ValidationAccuracy)
	}
	for _, e := range rows {
		c := &curves[1]
		if e.Student == record.RoleDistilled {
			c = &curves[2]
		}
		c.xs = append(c.xs, float64(e.Epoch))
		c.loss, c.right = append(c.loss, e.ValidationLoss), append(c.right, e.ValidationAccuracy)
	}
	var keys []key
	for i, c := range curves {
		if len(c.xs) > 0 {
			keys = append(keys, key{Colour: i, Symbol: i, Line: true, Name: c.name})
		}
	}
	draw := func(title string, of func(curveOf) []float64, write func(float64) string) chart {
		x, y := emptyScale().widen(1), emptyScale()
		for _, c := range curves {
			for i, v := range of(c) {
				x, y = x.widen(c.xs[i]), y.widen(v)
			}
		}
		y, ticks := y.round(4)
		for i := range ticks {
			ticks[i].Text = write(y.low + ticks[i].At/100*(y.high-y.low))
		}
		p := panel{XName: "epoch", XTicks: epochTicks(x), YTicks: ticks, Label: title + " by epoch. "}
		for i, c := range curves {
			p.draw(c.xs, of(c), x, y, fmt.Sprintf("ln k%d", i), fmt.Sprintf("k%d", i), i, write)
			if n := len(of(c)); n > 0 {
				p.Label += fmt.Sprintf("%s: %s at the end. ", c.name, write(of(c)[n-1]))
			}
		}
		return chart{Name: title, Panel: p, Summary: p.Label}
	}
	return []chart{
		draw("Validation accuracy", func(c curveOf) []float64 { return c.right }, percent),
		draw("Validation loss", func(c curveOf) []float64 { return c.loss }, score),
	}, keys
}

// mostSoftened is how many classes of a picture are shown, the teacher's most probable ones.
const mostSoftened = 10

// softenedTables are the distributions over the classes, a table a picture.
func softenedTables(rows []record.SoftenedProbability) (out []block) {
	type column struct {
		role        string
		temperature float64
	}
	var ids []string
	for _, r := range rows {
		if !slices.Contains(ids, r.ID) {
			ids = append(ids, r.ID)
		}
	}
	for _, id := range ids {
		var columns []column
		var classes []string
		label, p := "", map[column]map[string]float64{}
		for _, r := range rows {
			if r.ID != id {
				continue
			}
			c := column{r.Role, r.Temperature}
			if p[c] == nil {
				columns, p[c] = append(columns, c), map[string]float64{}
			}
			p[c][r.Class], label = r.Probability, r.Label
			if !slices.Contains(classes, r.Class) {
				classes = append(classes, r.Class)
			}
		}
		first := columns[0]
		slices.SortStableFunc(classes, func(a, b string) int {
			switch d := p[first][b] - p[first][a]; {
			case d > 0:
				return 1
			case d < 0:
				return -1
			}
			return 0
		})
		t := numberTable{Corner: "class", Caption: fmt.Sprintf("%s, truly %s", id, label)}
		for _, c := range columns {
			t.Columns = append(t.Columns, numberColumn{Name: c.role, Note: fmt.Sprintf("T = %g", c.temperature)})
		}
		for _, class := range classes[:min(len(classes), mostSoftened)] {
			row := numberRow{Name: class, Full: class}
			for _, c := range columns {
				row.Cells = append(row.Cells, numberCell{Text: smallPercent(p[c][class]), HasBar: true, Bar: 100 * p[c][class]})
			}
			t.Rows = append(t.Rows, row)
		}
		out = append(out, tableOf(t))
	}
	return out
}
