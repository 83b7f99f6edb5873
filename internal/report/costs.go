package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// costsView holds accuracy against what it cost to get.
type costsView struct {
	Legend []legendEntry
	Panels []costPanel
	Table  numberTable
	Seeds  bool // some are means over seeds
}

type costPanel struct {
	Title string
	Panel panel
}

// costed is a model with what its training took.
type costed struct {
	model     model
	instances []costedInstance
	entry     legendEntry
}

type costedInstance struct {
	accuracy   float64
	seconds    float64 // NaN if it is not known
	parameters float64 // that were trained; NaN if it is not known
	all        float64
}

// newCosts gathers what the training of each model of an evaluation took; nil
// if fewer than two are known. The instances of means are looked up in single.
func newCosts(ctx context.Context, run Run, e, single *evaluation, trainings []*training) *costsView {
	var all []costed
	var names []string
	for _, m := range e.models {
		if m.baseline {
			continue
		}
		c := costed{model: m}
		instances := m.instances
		if len(instances) == 0 {
			instances = []string{m.name}
		}
		for _, name := range instances {
			if t := trainingOf(trainings, name); t != nil {
				measured, _ := single.model(name)
				c.instances = append(c.instances, newCostedInstance(ctx, run, t, measured.accuracy().Value))
			}
		}
		if len(c.instances) > 0 {
			all = append(all, c)
			names = append(names, m.short)
		}
	}
	if len(all) < 2 {
		return nil
	}
	view := &costsView{Legend: legend(names, "")}
	for i := range all {
		all[i].entry = view.Legend[i]
		view.Seeds = view.Seeds || all[i].model.seeds() > 0
	}
	for _, axis := range []costAxis{secondsAxis, parametersAxis} {
		if p, ok := axis.panel(all); ok {
			view.Panels = append(view.Panels, costPanel{axis.title, p})
		}
	}
	view.Table = costTable(all)
	if len(view.Panels) == 0 {
		return nil
	}
	return view
}

func trainingOf(trainings []*training, name string) *training {
	for _, t := range trainings {
		if t.node.Name == name {
			return t
		}
	}
	return nil
}

// newCostedInstance adds to the time of the training that of the features it
// was given, for those are work that other strategies do themselves.
func newCostedInstance(ctx context.Context, run Run, t *training, accuracy float64) costedInstance {
	c := costedInstance{accuracy: accuracy, seconds: t.node.Cost, parameters: math.NaN(), all: math.NaN()}
	for _, n := range run.ancestors(t.node)[1:] {
		if outputWith(ctx, n, record.Feature) == nil {
			continue
		}
		if n.Cost == 0 {
			c.seconds = 0 // part of it is not known
			break
		}
		c.seconds += n.Cost
	}
	if t.node.Cost == 0 || c.seconds == 0 {
		c.seconds = math.NaN()
	}
	if len(t.phases) > 0 {
		trained, all := t.trainedParameters()
		c.parameters, c.all = float64(trained), float64(all)
	}
	return c
}

// costAxis is a cost that accuracy is drawn against.
type costAxis struct {
	title, name string
	of          func(costedInstance) float64
	write       func(float64) string
	writeStep   func(float64) string
	steps       []float64 // of ticks on a logarithmic axis
}

var (
	secondsAxis = costAxis{
		"Accuracy against time", "time of the training", func(c costedInstance) float64 { return c.seconds }, seconds, wholeSeconds,
		[]float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 5 * 3600, 10 * 3600, 24 * 3600, 48 * 3600, 7 * 24 * 3600},
	}
	parametersAxis = costAxis{
		"Accuracy against trained parameters", "parameters trained", func(c costedInstance) float64 { return c.parameters },
		func(x float64) string { return magnitude(x, "") },
		func(x float64) string { return strings.Replace(magnitude(x, ""), ".0", "", 1) }, decades(1, 1e12),
	}
)

// wholeSeconds writes a time that is a whole number of its unit: "5 min".
func wholeSeconds(s float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{24 * 3600, "d"}, {3600, "h"}, {60, "min"}} {
		if s >= unit.size {
			return fmt.Sprintf("%g %s", s/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%g s", s)
}

// decades lists 1, 2 and 5 times the powers of ten between two of them.
func decades(from, to float64) []float64 {
	var out []float64
	for x := from; x <= to; x *= 10 {
		out = append(out, x, 2*x, 5*x)
	}
	return out
}

// panel draws the models; false if the cost of fewer than two is known.
func (a costAxis) panel(all []costed) (panel, bool) {
	var shown []costed
	x, y := emptyScale(), emptyScale()
	for _, c := range all {
		known := slices.DeleteFunc(slices.Clone(c.instances), func(i costedInstance) bool { return !(a.of(i) > 0) })
		if len(known) == 0 {
			continue
		}
		c.instances = known
		shown = append(shown, c)
		for _, i := range known {
			x, y = x.widen(math.Log10(a.of(i))), y.widen(i.accuracy)
		}
		accuracy := c.model.accuracy()
		y = y.widen(accuracy.Value).widen(accuracy.Low).widen(accuracy.High)
	}
	if len(shown) < 2 {
		return panel{}, false
	}
	y, yTicks := y.round(4)
	for i := range yTicks {
		yTicks[i].Text = signed(100*(y.low+yTicks[i].At/100*(y.high-y.low)), 0) + "%"
	}
	x = a.withTicks(x)
	x = x.widen(x.low - 0.08*(x.high-x.low) - 0.02).widen(x.high + 0.08*(x.high-x.low) + 0.02)
	p := panel{XName: a.name + ", on a logarithmic axis", YName: "accuracy", XTicks: a.ticks(x), YTicks: yTicks}
	places := make([]float64, len(shown))
	for i, c := range shown {
		places[i] = x.at(math.Log10(c.mean(a.of)))
	}
	apart := setApart(places, 2.5)
	for k, c := range shown {
		accuracy := c.model.accuracy()
		at := apart[k]
		text := fmt.Sprintf("%s: %s, %s", c.model.short, percent(accuracy.Value), a.write(c.mean(a.of)))
		if interval := percentRange(accuracy.Low, accuracy.High); interval != "" {
			text = fmt.Sprintf("%s: %s (%s), %s", c.model.short, percent(accuracy.Value), interval, a.write(c.mean(a.of)))
			low, high := y.at(accuracy.Low), y.at(accuracy.High)
			p.Rules = append(p.Rules, rule{at, low, at, high, fmt.Sprintf("reach k%d", c.entry.Colour)})
		}
		if len(c.instances) > 1 {
			for _, i := range c.instances {
				p.Marks = append(p.Marks, mark{X: x.at(math.Log10(a.of(i))) + at - places[k], Y: y.at(i.accuracy), Class: fmt.Sprintf("k%d one", c.entry.Colour), Title: c.model.short})
			}
		}
		p.Marks = append(p.Marks, mark{X: at, Y: y.at(accuracy.Value), Symbol: c.entry.Symbol, Large: true, Class: fmt.Sprintf("k%d", c.entry.Colour), Title: text})
		p.Label += text + ". "
	}
	p.Label = a.title + ". " + p.Label
	return p, true
}

// setApart moves places that are nearer to each other than the least distance,
// so that what stands there does not hide what stands beside it.
func setApart(places []float64, least float64) []float64 {
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(places[a], places[b]) })
	out := slices.Clone(places)
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && places[order[to]]-places[order[to-1]] < least {
			to++
		}
		centre := (places[order[from]] + places[order[to-1]]) / 2
		for i := from; i < to && to-from > 1; i++ {
			out[order[i]] = centre + least*(float64(i-from)-float64(to-from-1)/2)
		}
		from = to
	}
	return out
}

// withTicks widens a scale until two of the axis's steps are on it.
func (a costAxis) withTicks(x scale) scale {
	below, above := math.Inf(-1), math.Inf(1)
	within := 0
	for _, step := range a.steps {
		switch at := math.Log10(step); {
		case at < x.low:
			below = max(below, at)
		case at > x.high:
			above = min(above, at)
		default:
			within++
		}
	}
	if within < 2 {
		x = x.widen(below).widen(above)
	}
	return x
}

// ticks are so few of the axis's steps that their texts have room.
func (a costAxis) ticks(x scale) []tick {
	var all []tick
	for _, step := range a.steps {
		if at := math.Log10(step); at >= x.low && at <= x.high {
			all = append(all, tick{x.at(at), a.writeStep(step)})
		}
	}
	const least = 17 // percent of the width
	var out []tick
	for _, t := range all {
		if len(out) == 0 || t.At-out[len(out)-1].At >= least {
			out = append(out, t)
		}
	}
	return out
}

// mean is that of a cost over the instances; NaN if any is not known.
func (c costed) mean(of func(costedInstance) float64) float64 {
	values := make([]float64, len(c.instances))
	for i, instance := range c.instances {
		values[i] = of(instance)
	}
	mean, _ := metrics.Mean(values)
	return mean
}

// costTable has one row a model, the most accurate first.
func costTable(all []costed) numberTable {
	t := numberTable{Caption: "Training cost of each model", Corner: "Model", Columns: []numberColumn{
		{Name: "Accuracy", Hint: "on the rows of the evaluation"}, {Name: "Time", Hint: "of computing it, its features included"},
		{Name: "Parameters trained", Hint: "in any phase"}, {Name: "of all"},
	}}
	ranked := slices.Clone(all)
	slices.SortStableFunc(ranked, func(a, b costed) int {
		return cmp.Compare(b.model.accuracy().Value, a.model.accuracy().Value)
	})
	known := func(x float64, write func(float64) string) string {
		if math.IsNaN(x) {
			return dash
		}
		return write(x)
	}
	for _, c := range ranked {
		accuracy := c.model.accuracy()
		trained, whole := c.mean(func(i costedInstance) float64 { return i.parameters }), c.mean(func(i costedInstance) float64 { return i.all })
		row := numberRow{Name: c.model.short, Full: c.model.name, Cells: []numberCell{
			{Text: percent(accuracy.Value), Interval: percentRange(accuracy.Low, accuracy.High)},
			{Text: known(c.mean(func(i costedInstance) float64 { return i.seconds }), seconds)},
			{Text: known(trained, func(x float64) string { return count(int64(x)) })},
			{Text: known(trained/whole, smallPercent)},
		}}
		if n := c.model.seeds(); n > 0 {
			row.Note = fmt.Sprintf("mean of %d seeds", n)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
