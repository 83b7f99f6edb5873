package report

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// smallerSection shows the networks that were made of others: distilled students beside their teachers and beside the same student
// alone, pruned networks beside what they were.
func smallerSection(ctx context.Context, r *reading) (blocks []block, err error) {
	var all sizedNetworks
	var quantised []sized
	for i := range r.run.Nodes {
		n := &r.run.Nodes[i]
		rows, _, wrong := readTable[record.ModelSize](ctx, n)
		err = errors.Join(err, wrong)
		if len(rows) == 0 {
			continue
		}
		for _, row := range rows {
			all.add(sized{n, row})
		}
		if isQuantised(rows) {
			for _, row := range rows {
				quantised = append(quantised, sized{n, row})
			}
			continue
		}
		blocks = append(blocks, subheading(n.Name), tableOf(sizesTable("Networks of "+n.Name+" by size", rowsOf(n, rows))))
		curves, _, wrong := readTable[record.DistillationCurve](ctx, n)
		err = errors.Join(err, wrong)
		epochs, _, wrong := readTable[record.TrainingEpoch](ctx, n)
		err = errors.Join(err, wrong)
		if rows[0].Rows > 0 {
			text := "Accuracy and agreement on " + plural(rows[0].Rows, "validation row")
			if len(curves) > 0 || len(epochs) > 0 {
				text += ", which also chose the epochs"
			}
			blocks = append(blocks, note(text+"; 95 % intervals (Wilson)."))
		}
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
	if len(quantised) > 0 {
		var shown sizedNetworks
		for _, s := range quantised {
			shown.add(s)
		}
		blocks = append(blocks, subheading("Quantised models"), tableOf(sizesTable("Quantised models by size", shown)),
			note("Accuracy on the labelled rows of split val of each stage's data, which the gate of an int8 model judges by too; agreement is with the model before quantising. 95 % intervals (Wilson)."))
	}
	if measured := all.measured(); len(measured) > 1 {
		chart, keys := sizeChart(measured)
		blocks = append([]block{keysOf(keys...), charts(chart)}, blocks...)
	}
	return blocks, err
}

// isQuantised tells whether sizes are those of a quantised model.
func isQuantised(rows []record.ModelSize) bool {
	return slices.ContainsFunc(rows, func(row record.ModelSize) bool { return row.Role == record.RoleUnquantised })
}

// sized is a network of a stage.
type sized struct {
	node *Node
	row  record.ModelSize
}

// given tells whether the network came into the stage: several stages may measure the same.
func (s sized) given() bool {
	switch s.row.Role {
	case record.RoleTeacher, record.RoleUnpruned, record.RoleUnquantised:
		return true
	}
	return false
}

// name is what a network is called beside those of other stages.
func (s sized) name() string {
	if s.row.Role == record.RoleTeacher {
		return s.row.Model
	}
	if s.given() {
		if link := s.from("model"); link.FromPort != "" && link.FromPort != "model" {
			return link.From + "." + link.FromPort
		} else if link.From != "" {
			return link.From
		}
		return s.row.Model
	}
	return s.node.Name + ", " + s.row.Role
}

// from is the first link to a port of the network's node.
func (s sized) from(port string) Link {
	for _, link := range s.node.Inputs {
		if link.Port == port {
			return link
		}
	}
	return Link{}
}

// sizedNetworks are networks of all stages.
type sizedNetworks []sized

// rowsOf are the networks of one stage.
func rowsOf(n *Node, rows []record.ModelSize) (out sizedNetworks) {
	for _, row := range rows {
		out = append(out, sized{n, row})
	}
	return out
}

// add adds a network; one that came into several stages stands once for each number of rows that it was measured on.
func (all *sizedNetworks) add(s sized) {
	if !slices.ContainsFunc(*all, func(o sized) bool {
		return s.given() && o.given() && o.name() == s.name() && o.row.Rows == s.row.Rows && o.row.Bytes == s.row.Bytes
	}) {
		*all = append(*all, s)
	}
}

// measured are those whose accuracy is known.
func (all sizedNetworks) measured() sizedNetworks {
	return slices.DeleteFunc(slices.Clone(all), func(s sized) bool { return math.IsNaN(s.row.Accuracy) })
}

// rowsInWords says which rows the accuracies are of.
func (all sizedNetworks) rowsInWords() string {
	least, most, same := all[0].row.Rows, all[0].row.Rows, true
	for _, s := range all {
		least, most = min(least, s.row.Rows), max(most, s.row.Rows)
		data, first := s.from("data"), all[0].from("data")
		same = same && data.From == first.From && data.FromPort == first.FromPort
	}
	switch {
	case least != most:
		return fmt.Sprintf("%s to %s of each stage's data: not all are measured on the same rows", count(least), plural(most, "validation row"))
	case same:
		return "the same " + plural(most, "validation row")
	default:
		return plural(most, "validation row") + " of each stage's data"
	}
}

// sizesTable has a row for each network.
func sizesTable(caption string, networks sizedNetworks) numberTable {
	t := numberTable{Caption: caption, Corner: "network", Columns: []numberColumn{
		{Name: "parameters"}, {Name: "not 0", Hint: "of the parameters that are trained"}, {Name: "multiply-adds", Hint: "of a picture"}, {Name: "size", Hint: "of the weights as they are stored"},
		{Name: "accuracy"}, {Name: "agreement", Hint: "share of the rows on which it gives the class that the teacher, or the network before, gives"},
	}}
	for _, s := range networks {
		m := s.row
		name := m.Role
		switch {
		case m.Role == record.RoleTeacher:
			name = "teacher " + m.Model
		case isQuantised([]record.ModelSize{networks[0].row}):
			name = s.name()
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

// sizeChart draws size against accuracy, with intervals, and names the marks.
func sizeChart(all sizedNetworks) (chart, []key) {
	x, y := emptyScale(), emptyScale()
	names := make([]string, len(all))
	for i, s := range all {
		x, y = x.widen(math.Log10(float64(max(s.row.Bytes, 1)))), y.widen(s.row.Low).widen(s.row.High)
		names[i] = s.name()
	}
	for i, s := range all {
		if n := slices.Index(names, names[i]); n != i || slices.Contains(names[i+1:], names[i]) {
			names[i] = fmt.Sprintf("%s, on %s", s.name(), plural(s.row.Rows, "row"))
		}
	}
	y, yTicks := y.round(4)
	for i := range yTicks {
		yTicks[i].Text = percentTick(y, yTicks[i])
	}
	x = x.widen(x.low - 0.1).widen(x.high + 0.1)
	p := panel{XName: "size of the weights, on a logarithmic axis", YName: "accuracy", YTicks: yTicks, Label: "Size against accuracy on " + all.rowsInWords() + ". "}
	for power := math.Ceil(x.low); power <= x.high; power++ {
		p.XTicks = append(p.XTicks, tick{x.at(power), magnitude(math.Pow(10, power), "B")})
	}
	if len(p.XTicks) < 2 {
		p.XTicks = []tick{{x.at(x.low + 0.1), magnitude(math.Pow(10, x.low+0.1), "B")}, {x.at(x.high - 0.1), magnitude(math.Pow(10, x.high-0.1), "B")}}
	}
	places := make([]float64, len(all))
	for i, s := range all {
		places[i] = x.at(math.Log10(float64(max(s.row.Bytes, 1))))
	}
	places = setApart(places, 2.5)
	var keys []key
	for i, entry := range legend(names, "") {
		s := all[i].row
		text := fmt.Sprintf("%s: %s, %s (%s)", entry.Name, magnitude(float64(s.Bytes), "B"), percent(s.Accuracy), percentRange(s.Low, s.High))
		p.Rules = append(p.Rules, rule{places[i], y.at(s.Low), places[i], y.at(s.High), fmt.Sprintf("reach k%d", entry.Colour)})
		p.Marks = append(p.Marks, mark{X: places[i], Y: y.at(s.Accuracy), Symbol: entry.Symbol, Large: true, Class: fmt.Sprintf("k%d", entry.Colour), Title: text})
		p.Label += text + ". "
		keys = append(keys, key{Colour: entry.Colour, Symbol: entry.Symbol, Name: entry.Name})
	}
	return chart{Name: "Size against accuracy", Panel: p, Summary: fmt.Sprintf("Accuracy on %s, with 95 %% intervals (Wilson). Networks of about the same size stand side by side.", all.rowsInWords())}, keys
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
		p := panel{XName: "epoch", XTicks: epochTicks(x), YTicks: ticks}
		var ends []string
		for i, c := range curves {
			p.draw(c.xs, of(c), x, y, fmt.Sprintf("ln k%d", i), fmt.Sprintf("k%d", i), i, write)
			if n := len(of(c)); n > 0 {
				ends = append(ends, c.name+" "+write(of(c)[n-1]))
			}
		}
		last := "At the end: " + strings.Join(ends, ", ") + "."
		p.Label = title + " by epoch. " + last
		return chart{Name: title, Panel: p, Summary: last}
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
