package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// adaptation is a node that adapted a classifier to another domain.
type adaptation struct {
	node        *Node
	trials      []record.AdaptationTrial
	terms       []record.LossTerm
	shift       []record.ShiftMeasure
	points      []record.MapPoint
	diagnostics []record.Diagnostic
	changes     []record.AdaptationChange
}

// adaptationSection compares the candidates of each adaptation, over seeds if it ran under several, and shows the shift, the
// maps and the terms of the loss of the first of these.
func adaptationSection(ctx context.Context, r *reading) (out []block, err error) {
	groups := map[string][]adaptation{}
	var names []string
	for i := range r.run.Nodes {
		a, ok, err := readAdaptation(ctx, &r.run.Nodes[i])
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		name, _ := withoutSeed(a.node.Name)
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], a)
	}
	for _, name := range names {
		if len(names) > 1 {
			out = append(out, subheading(name))
		}
		changed, err := adaptationChanges(ctx, r.run, groups[name][0])
		if err != nil {
			return nil, err
		}
		out = append(out, adaptationBlocks(groups[name], changed)...)
	}
	return out, nil
}

func readAdaptation(ctx context.Context, n *Node) (a adaptation, ok bool, err error) {
	a.node = n
	if a.trials, _, err = readTable[record.AdaptationTrial](ctx, n); err != nil || len(a.trials) == 0 {
		return a, false, err
	}
	if a.terms, _, err = readTable[record.LossTerm](ctx, n); err != nil {
		return a, false, err
	}
	if a.shift, _, err = readTable[record.ShiftMeasure](ctx, n); err != nil {
		return a, false, err
	}
	if a.points, _, err = readTable[record.MapPoint](ctx, n); err != nil {
		return a, false, err
	}
	if a.changes, _, err = readTable[record.AdaptationChange](ctx, n); err != nil {
		return a, false, err
	}
	a.diagnostics, _, err = readTable[record.Diagnostic](ctx, n)
	return a, true, err
}

func adaptationBlocks(seeds []adaptation, changed []block) (out []block) {
	for _, f := range adaptationFindings(seeds) {
		if f.alarm {
			out = append(out, paragraph(strong("Check: "), plain("%s.", f.text)))
		} else {
			out = append(out, paragraph(plain("%s.", f.text)))
		}
	}
	out = append(out, tableOf(candidatesTable(seeds)))
	if t := validatorsTable(seeds); len(t.Rows) > 0 {
		out = append(out, tableOf(t))
	}
	for _, line := range sensitivities(seeds) {
		out = append(out, note(line))
	}
	if n := len(seeds); n > 1 {
		out = append(out, note(fmt.Sprintf("Means and intervals (Student's t) are over %d seeds, those of gains over the differences from direct, seed by seed. The test is McNemar's exact one against direct, on the same rows: the largest p of the seeds. Of validators, the mean of the seeds, the least and the most.", n)))
	} else {
		out = append(out, note("Intervals are Wilson's; the test is McNemar's exact one against direct, on the same rows. Labels of the target's test rows are used for this table alone, and after the choice."))
	}
	if cost := seeds[0].node.Cost; cost > 0 {
		out = append(out, note(fmt.Sprintf("All candidates of %s took %s in total to train and evaluate.", seeds[0].node.Name, seconds(cost))))
	}
	if len(seeds) > 1 && (len(changed) > 0 || len(seeds[0].shift) > 0) {
		out = append(out, note("What follows is of the first seed, "+seeds[0].node.Name+"."))
	}
	out = append(out, changed...)
	out = append(out, tableOf(shiftTable(seeds[0].shift)))
	if byClass := classShiftTable(seeds[0].shift); len(byClass.Rows) > 0 {
		const few = 12
		if len(byClass.Rows) <= few {
			out = append(out, tableOf(byClass))
		} else {
			out = append(out, folded(byClass.Caption, false, tableOf(byClass)))
		}
	}
	if all := mapCharts(seeds[0].points); len(all) > 0 {
		out = append(out, folded("Maps of both domains, before and after", true, charts(all...),
			keysOf(mapKeys(seeds[0].points)...),
			note("Each map is drawn three times: the source by class, the target alone, and both by domain. Before: the input features, or on pictures those of direct; after: those of the chosen model. Distances between groups mean little on t-SNE maps.")))
	}
	if all := termCharts(seeds[0].terms); len(all) > 0 {
		out = append(out, folded("Terms of the loss", false, charts(all...),
			note("Each term before its weight, as a mean over the steps of an epoch. The term dann or cdan is the cross-entropy of the domain's discriminator: 0.69 where it cannot distinguish the domains.")))
	}
	return out
}

// adaptationFinding is a sentence, without its full stop, on what an adaptation gave.
type adaptationFinding struct {
	text  string
	alarm bool
}

// adaptationFindings say what the diagnostics say; over several seeds, the means of what was gained and of the regret, and what else
// was found under any of them.
func adaptationFindings(seeds []adaptation) (out []adaptationFinding) {
	counts := map[string]int{}
	var of []record.Diagnostic // each text once
	for _, a := range seeds {
		for _, d := range a.diagnostics {
			if d.Name == record.ValidatorCorrelation {
				continue
			}
			if counts[d.Text] == 0 {
				of = append(of, d)
			}
			counts[d.Text]++
		}
	}
	n := len(seeds)
	means := []adaptationFinding{}
	if n > 1 {
		means = meanFindings(seeds)
	}
	for _, d := range of {
		if measured := d.Name == record.ChoiceRegret || d.Name == record.AdaptationGain && !math.IsNaN(d.Value); measured && len(means) > 0 {
			continue
		}
		f := adaptationFinding{strings.ToUpper(d.Text[:min(1, len(d.Text))]) + d.Text[min(1, len(d.Text)):], d.Alarm}
		if slices.ContainsFunc(seeds[0].trials, func(t record.AdaptationTrial) bool { return strings.HasPrefix(d.Text, t.Candidate+" ") }) {
			f.text = d.Text // a name stays as it is written
		}
		if n > 1 {
			f.text += fmt.Sprintf(" (%d of %d seeds)", counts[d.Text], n)
		}
		out = append(out, f)
	}
	return append(means, out...)
}

// meanFindings are the means over seeds of the accuracy of what was chosen, of direct and of the oracle's choice; none if the test rows
// have no labels.
func meanFindings(seeds []adaptation) (out []adaptationFinding) {
	var chosen, direct, gains, regrets []float64
	harmed := 0
	names, order := map[string]int{}, []string{}
	for _, a := range seeds {
		own, base, best := math.NaN(), math.NaN(), math.NaN()
		for _, t := range a.trials {
			if t.Chosen {
				own = t.Oracle
				if names[t.Candidate]++; names[t.Candidate] == 1 {
					order = append(order, t.Candidate)
				}
			}
		}
		if b := a.baseline(); b >= 0 {
			base = a.trials[b].Oracle
		}
		for _, d := range a.diagnostics {
			if d.Name == record.ChoiceRegret {
				best = own + d.Value
			}
		}
		if math.IsNaN(own) || math.IsNaN(base) {
			return nil
		}
		chosen, direct, gains, regrets = append(chosen, own), append(direct, base), append(gains, own-base), append(regrets, best-own)
		for _, d := range a.diagnostics {
			if d.Name == record.AdaptationGain && d.Alarm {
				harmed++
			}
		}
	}
	share := func(values []float64) string {
		mean, in := metrics.Mean(values)
		return fmt.Sprintf("%s (%s)", percent(mean), percentRange(max(in.Low, 0), min(in.High, 1)))
	}
	difference := func(values []float64) string {
		mean, in := metrics.Mean(values)
		return fmt.Sprintf("%s points (%s to %s)", points(mean), points(in.Low), points(in.High))
	}
	for i, name := range order {
		order[i] = fmt.Sprintf("%s (%d of %d)", name, names[name], len(seeds))
	}
	text := fmt.Sprintf("Over %d seeds, the chosen models, %s, classify on average %s of the target's test rows correctly and direct %s: a gain of %s",
		len(seeds), strings.Join(order, ", "), share(chosen), share(direct), difference(gains))
	if harmed > 0 {
		text += fmt.Sprintf("; under %d of %d seeds adapting does harm by the paired test", harmed, len(seeds))
	}
	out = append(out, adaptationFinding{text, harmed > 0})
	regret, in := metrics.Mean(regrets) // none is below 0
	if math.IsNaN(regret) {             // there was nothing to choose
		return out
	}
	return append(out, adaptationFinding{fmt.Sprintf("The oracle, which knows the test rows' labels, would have chosen models that are on average %s points better (%s to %s)",
		signed(100*regret, 1), signed(100*max(in.Low, 0), 1), signed(100*in.High, 1)), false})
}

// baseline is the row of the trials that the others were compared with; −1 if there is none.
func (a adaptation) baseline() int {
	return slices.IndexFunc(a.trials, func(t record.AdaptationTrial) bool { return t.Method == "direct" && t.Best && math.IsNaN(t.P) })
}

// candidatesTable has a row for each candidate.
func candidatesTable(seeds []adaptation) numberTable {
	t := numberTable{Caption: "Candidates on the target's test rows", Corner: "candidate", Columns: []numberColumn{
		{Name: "Target accuracy", Hint: "share of the target's test rows that are classified correctly; measured with their labels, after the choice"},
		{Name: "Gain", Hint: "over direct, in points"},
		{Name: "Test", Hint: "p-value of the paired test against direct, on the same rows; of several seeds the largest"},
		{Name: "Labels", Hint: "of the target that it learned from"},
		{Name: "Source", Hint: "accuracy on the source's validation rows"},
		{Name: "Confusion", Hint: "of adversarial methods: share of rows whose domain the discriminator predicted wrongly in the last epoch; 50 %: it cannot distinguish the domains"},
		{Name: "IM", Hint: "information maximisation on the target: the validator of most use without labels; higher is better"},
		{Name: "Time", Hint: "of training it, beyond what it shares with candidates above it, such as direct before self_training"},
		{Name: "Memory", Hint: "the most that the program's heap held meanwhile: the rows, which all candidates share, and whatever ran beside it, included"},
		{Name: "Chosen", Hint: "by how many seeds"},
	}}
	var order []string
	of := map[string][]record.AdaptationTrial{}
	for _, a := range seeds {
		for _, trial := range a.trials {
			if !trial.Best {
				continue
			}
			if of[trial.Candidate] == nil {
				order = append(order, trial.Candidate)
			}
			of[trial.Candidate] = append(of[trial.Candidate], trial)
		}
	}
	var direct []float64 // accuracies of the baselines
	baseline := map[string]int{}
	for _, a := range seeds {
		if b := a.baseline(); b >= 0 {
			direct = append(direct, a.trials[b].Oracle)
			baseline[a.trials[b].Candidate]++
		}
	}
	best, most := "", math.Inf(-1)
	for _, name := range order {
		if mean, _ := metrics.Mean(oracles(of[name])); mean > most {
			best, most = name, mean
		}
	}
	for _, name := range order {
		trials := of[name]
		first := trials[0]
		mean, in := metrics.Mean(oracles(trials))
		base, _ := metrics.Mean(direct)
		gain, gained := mean-base, ""
		if len(trials) == 1 {
			in = metrics.Interval{Low: first.OracleLow, High: first.OracleHigh}
		} else if len(trials) == len(direct) {
			var over metrics.Interval
			gain, over = pairedGain(oracles(trials), direct)
			gained = pointsRange(over.Low, over.High)
		}
		chosen := 0
		var sources, ims []float64
		for _, trial := range trials {
			if trial.Chosen {
				chosen++
			}
			sources, ims = append(sources, trial.SourceAccuracy), append(ims, trial.IM)
		}
		source, _ := metrics.Mean(sources)
		im, _ := metrics.Mean(ims)
		row := numberRow{Name: name, Full: name}
		if first.Method == "direct" {
			row.Role = record.BaselineRole
		}
		text := func(s string) { row.Cells = append(row.Cells, numberCell{Text: s}) }
		if math.IsNaN(mean) {
			text("no labels")
			text("")
			text("")
		} else {
			row.Cells = append(row.Cells, numberCell{Text: percent(mean), Interval: percentRange(in.Low, in.High), Best: name == best, HasBar: true, Bar: 100 * mean})
			if baseline[name] == len(seeds) {
				text("")
				text("")
			} else {
				row.Cells = append(row.Cells, numberCell{Text: points(gain), Interval: gained})
				text(chance(largestP(trials)))
			}
		}
		text(count(first.Labels))
		if math.IsNaN(source) {
			text("")
		} else {
			text(percent(source))
		}
		text(confusion(seeds, name))
		text(score(im))
		took, held := costOf(seeds, name)
		text(took)
		text(held)
		if len(seeds) == 1 && chosen == 1 {
			text("chosen")
		} else if chosen > 0 {
			text(fmt.Sprintf("%d of %d", chosen, len(seeds)))
		} else {
			text("")
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// validatorsTable tells how well each validator orders what could be chosen; without rows where the test rows have no labels.
func validatorsTable(seeds []adaptation) numberTable {
	t := numberTable{Caption: "Validators and the truth", Corner: "validator", Columns: []numberColumn{
		{Name: "Rank correlation", Hint: "Spearman's, with the accuracy on the target's test rows, over all that could be chosen: 1 orders it as the labels do, 0 as chance does; measured after the choice"},
	}}
	var order []string
	of := map[string][]float64{}
	for _, a := range seeds {
		for _, d := range a.diagnostics {
			if d.Name != record.ValidatorCorrelation || math.IsNaN(d.Value) {
				continue
			}
			if of[d.Phase] == nil {
				order = append(order, d.Phase)
			}
			of[d.Phase] = append(of[d.Phase], d.Value)
		}
	}
	for _, name := range order {
		values := of[name]
		mean, _ := metrics.Mean(values)
		cell := numberCell{Text: signed(mean, 2)}
		if len(values) > 1 {
			cell.Interval = signed(slices.Min(values), 2) + " to " + signed(slices.Max(values), 2)
		}
		t.Rows = append(t.Rows, numberRow{Name: name, Full: name, Cells: []numberCell{cell}})
	}
	return t
}

// costOf tells the time of a candidate, as a mean over the seeds, and its peak of memory, over all of them; "" if they are not known.
func costOf(seeds []adaptation, candidate string) (took, held string) {
	var all []float64
	peak := int64(0)
	for _, a := range seeds {
		for _, s := range a.node.Shares {
			if s.Name == candidate {
				all, peak = append(all, s.Seconds), max(peak, s.Peak)
			}
		}
	}
	if len(all) == 0 {
		return "", ""
	}
	mean, _ := metrics.Mean(all)
	return seconds(mean), magnitude(float64(peak), "B")
}

// confusion is the error of a candidate's discriminator in the last epoch, as a mean over the seeds; "" without one.
func confusion(seeds []adaptation, candidate string) string {
	var errors []float64
	for _, a := range seeds {
		last := record.LossTerm{Accuracy: math.NaN()}
		for _, t := range a.terms {
			if t.Candidate == candidate && t.Step == 0 && (t.Term == "dann" || t.Term == "cdan") && t.Epoch >= last.Epoch {
				last = t
			}
		}
		if !math.IsNaN(last.Accuracy) {
			errors = append(errors, 1-last.Accuracy)
		}
	}
	if len(errors) == 0 {
		return ""
	}
	mean, _ := metrics.Mean(errors)
	return percent(mean)
}

// sensitivities tell of methods that were tried with several settings how far their accuracies lie apart.
func sensitivities(seeds []adaptation) (lines []string) {
	var methods []string
	of := map[string]map[string][]float64{} // method, candidate
	for _, a := range seeds {
		for _, t := range a.trials {
			if !t.Best || math.IsNaN(t.Oracle) {
				continue
			}
			if of[t.Method] == nil {
				methods, of[t.Method] = append(methods, t.Method), map[string][]float64{}
			}
			of[t.Method][t.Candidate] = append(of[t.Method][t.Candidate], t.Oracle)
		}
	}
	for _, method := range methods {
		if len(of[method]) < 2 {
			continue
		}
		low, high := math.Inf(1), math.Inf(-1)
		for _, accuracies := range of[method] {
			mean, _ := metrics.Mean(accuracies)
			low, high = min(low, mean), max(high, mean)
		}
		lines = append(lines, fmt.Sprintf("Sensitivity of %s: over %d settings, its accuracy on the target ranges from %s to %s.", method, len(of[method]), percent(low), percent(high)))
	}
	return lines
}

func oracles(trials []record.AdaptationTrial) (out []float64) {
	for _, t := range trials {
		out = append(out, t.Oracle)
	}
	return out
}

// pairedGain is the mean of paired differences, with Student's interval.
func pairedGain(a, b []float64) (float64, metrics.Interval) {
	differences := make([]float64, min(len(a), len(b)))
	for i := range differences {
		differences[i] = a[i] - b[i]
	}
	return metrics.Mean(differences)
}

// largestP is the largest p-value of the trials; it is not known where one is not.
func largestP(trials []record.AdaptationTrial) (p float64) {
	for _, t := range trials {
		if p = max(p, t.P); math.IsNaN(t.P) {
			return t.P
		}
	}
	return p
}

// shiftTable tells how far the domains lie apart.
func shiftTable(measured []record.ShiftMeasure) numberTable {
	t := numberTable{Caption: "Shift between source and target", Corner: "measure", Columns: []numberColumn{
		{Name: "Before", Hint: "of the input features, or on pictures of those of direct"},
		{Name: "After", Hint: "of the features of the chosen model"},
	}}
	titles := map[string]string{"a_distance": "Proxy A-distance (0: alike, 2: apart)", "mmd": "MMD², unbiased", "mean_distance": "Distance of the means",
		"brightness": "Brightness, effect", "contrast": "Contrast, effect", "sharpness": "Sharpness, effect", "saturation": "Saturation, effect", "warmth": "Warmth, effect", "size": "Size of the original images, effect"}
	for _, m := range measured {
		if m.When != record.ShiftBefore || m.Of != "" {
			continue
		}
		row := numberRow{Name: titles[m.Measure], Full: m.Text}
		if row.Name == "" {
			row.Name = m.Measure
		}
		for _, when := range []string{record.ShiftBefore, record.ShiftAfter} {
			cell := numberCell{}
			for _, other := range measured {
				if other.When == when && other.Measure == m.Measure && other.Of == "" {
					cell.Text = score(other.Value)
					if !math.IsNaN(other.Low) {
						cell.Interval = scoreRange(other.Low, other.High)
					}
					if !math.IsNaN(other.P) { // of the test that there is no shift
						cell.Interval = strings.TrimPrefix(cell.Interval+"; "+chance(other.P), "; ")
					}
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// classShiftTable tells how far the domains lie apart by class, and how frequent the classes seem to be in the target; without rows
// if neither was measured.
func classShiftTable(measured []record.ShiftMeasure) numberTable {
	t := numberTable{Caption: "Shift by class", Corner: "class", Columns: []numberColumn{
		{Name: "Distance of the means", Note: "before", Hint: "of the class's rows in both domains; those of the target by what the model predicts"},
		{Name: "Distance of the means", Note: "after"},
		{Name: "Frequency in the target", Note: "before", Hint: "estimated by expectation maximisation over the predictions of direct"},
		{Name: "Frequency in the target", Note: "after", Hint: "estimated by expectation maximisation over the predictions of the chosen model"},
	}}
	rows := map[string]int{}
	for _, m := range measured {
		column := 0
		write := score
		switch m.Measure {
		case "mean_distance":
		case "class_frequency":
			column, write = 2, percent
		default:
			continue
		}
		if m.Of == "" {
			continue
		}
		at, ok := rows[m.Of]
		if !ok {
			at = len(t.Rows)
			rows[m.Of] = at
			t.Rows = append(t.Rows, numberRow{Name: m.Of, Full: m.Of, Cells: make([]numberCell, 4)})
		}
		if m.When == record.ShiftAfter {
			column++
		}
		t.Rows[at].Cells[column].Text = write(m.Value)
	}
	return t
}

// mapKeys are the classes of the source, and the domains.
func mapKeys(all []record.MapPoint) []key {
	keys := []key{{Colour: 0, Symbol: 0, Name: "both: source"}, {Colour: 1, Symbol: 1, Name: "both: target; target alone"}}
	for _, e := range legend(sourceClasses(all), "no class") {
		keys = append(keys, key{Colour: e.Colour, Symbol: e.Symbol, Name: e.Name})
	}
	return keys
}

// sourceClasses are the classes of the source's points.
func sourceClasses(all []record.MapPoint) []string {
	seen := map[string]bool{}
	for _, p := range all {
		if p.Source {
			seen[p.Class] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// mapCharts are the maps, each in three panels: the source by class, the target, and both by domain.
func mapCharts(all []record.MapPoint) (out []chart) {
	classes := map[string]legendEntry{}
	for i, e := range legend(sourceClasses(all), "") {
		classes[sourceClasses(all)[i]] = e
	}
	for _, method := range []string{"pca", "tsne"} {
		for _, when := range []string{record.ShiftBefore, record.ShiftAfter} {
			x, y := emptyScale(), emptyScale()
			var shown []record.MapPoint
			for _, p := range all {
				if p.Method == method && p.When == when {
					shown = append(shown, p)
					x, y = x.widen(p.X), y.widen(p.Y)
				}
			}
			if len(shown) == 0 {
				continue
			}
			x, y = x.pad(), y.pad()
			for _, of := range []string{"source by class", "target", "both by domain"} {
				c := chart{Name: map[string]string{"pca": "PCA", "tsne": "t-SNE"}[method] + ", " + when + ": " + of}
				c.Panel = panel{Square: true, Label: fmt.Sprintf("map of rows by %s, %s the adaptation: %s", method, when, of)}
				for _, p := range shown {
					m := mark{X: x.at(p.X), Y: y.at(p.Y), Class: "k1", Symbol: 1, Title: p.ID}
					if p.Source {
						m.Class, m.Symbol, m.Title = "k0", 0, p.ID+": "+p.Class
					}
					switch {
					case of == "source by class" && p.Source:
						m.Class, m.Symbol = fmt.Sprintf("k%d", classes[p.Class].Colour), classes[p.Class].Symbol
					case of == "source by class", of == "target" && p.Source:
						continue
					}
					c.Panel.Marks = append(c.Panel.Marks, m)
				}
				out = append(out, c)
			}
		}
	}
	return out
}

// adaptationChanges shows pictures of the target that adapting won and lost, the surest first.
func adaptationChanges(ctx context.Context, run Run, a adaptation) (out []block, err error) {
	var sides [2][]record.AdaptationChange // won, lost
	for _, c := range a.changes {
		if c.Adapted == c.Label {
			sides[0] = append(sides[0], c)
		} else {
			sides[1] = append(sides[1], c)
		}
	}
	ids := map[string]bool{}
	for i := range sides {
		slices.SortStableFunc(sides[i], func(a, b record.AdaptationChange) int { return cmp.Compare(b.AdaptedShare, a.AdaptedShare) })
		for _, c := range sides[i][:min(len(sides[i]), maxChanges)] {
			ids[c.ID] = true
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	pictures, err := picturesByID(ctx, run, a.node, ids)
	if err != nil || len(pictures) == 0 {
		return nil, err
	}
	for i, title := range []string{"Corrected by adaptation", "Broken by adaptation"} {
		var shown []card
		for _, c := range sides[i][:min(len(sides[i]), maxChanges)] {
			was, is := "wrong", "right"
			if i == 1 {
				was, is = is, was
			}
			shown = append(shown, card{Picture: pictures[c.ID], Alternative: c.ID, ID: c.ID, Lines: []cardLine{
				{Role: "true", Name: c.Label},
				{Role: "direct", Name: c.Direct, Number: percent(c.DirectShare), Class: was},
				{Role: "adapted", Name: c.Adapted, Number: percent(c.AdaptedShare), Class: is},
			}})
		}
		if len(shown) > 0 {
			out = append(out, folded(title+": "+shownOf(len(shown), len(sides[i])), false, cards(shown)))
		}
	}
	return out, nil
}

// termCharts are curves of the terms of each candidate's loss over the steps.
func termCharts(terms []record.LossTerm) (out []chart) {
	type curveOf struct{ candidate, term string }
	var order []curveOf
	values := map[curveOf][]record.LossTerm{}
	for _, t := range terms {
		k := curveOf{t.Candidate, t.Term}
		if t.Term == "total" || t.Step == 0 {
			continue
		}
		if values[k] == nil {
			order = append(order, k)
		}
		values[k] = append(values[k], t)
	}
	for _, k := range order {
		rows := values[k]
		slices.SortStableFunc(rows, func(a, b record.LossTerm) int { return cmp.Compare(a.Step, b.Step) })
		x, y := scale{1, math.Max(float64(rows[len(rows)-1].Step), 2)}, emptyScale().widen(0)
		var xs, ys []float64
		for _, r := range rows {
			xs, ys = append(xs, float64(r.Step)), append(ys, r.Loss)
			y = y.widen(r.Loss)
		}
		y, yTicks := y.round(4)
		x, xTicks := x.round(4)
		last := rows[len(rows)-1]
		summary := fmt.Sprintf("%s, weight %v", k.term, last.Weight)
		if !math.IsNaN(last.Accuracy) {
			summary += fmt.Sprintf("; accuracy %s at the end", percent(last.Accuracy))
		}
		if !math.IsNaN(last.Reversal) {
			summary += fmt.Sprintf("; λ %.2g at the end", last.Reversal)
		}
		out = append(out, chart{Name: k.candidate + ": " + k.term, Summary: summary, Panel: panel{
			XName: "step", YName: "loss", XTicks: xTicks, YTicks: yTicks, Label: fmt.Sprintf("%s of %s over %d steps", k.term, k.candidate, last.Step),
			Lines: []line{curve(xs, ys, x, y, "ln k0")},
		}})
	}
	return out
}
