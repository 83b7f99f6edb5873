package adapt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/domain/shift"
	"github.com/tlpipe/tlpipe/internal/domain/validator"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/pipeline"
)

// choose measures all candidates and chooses one. The oracle is measured after that.
func (r *run) choose(ctx context.Context) error {
	r.loneClasses()
	for _, c := range r.trials {
		if err := r.measure(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	r.list()
	r.pick()
	if r.PriorShift != none && r.chosen.method.Kind != method.PriorShift {
		corrected, err := r.reweigh(ctx, r.chosen, r.PriorShift)
		if err != nil {
			return err
		}
		if r.chosen == r.baseline { // the baseline stays as it is
			c, model := *r.chosen, *r.chosen.model
			c.model, r.chosen = &model, &c
		}
		r.chosen.infer(corrected, r.task.Threads)
	}
	tried := r.trials
	if !slices.Contains(tried, r.chosen) {
		tried = append(slices.Clone(tried), r.chosen)
	}
	for _, c := range tried {
		if err := r.answer(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	r.compare()
	return nil
}

// measure corrects what its method corrects at the end, and lets the judge look
// at candidates that have no epochs.
func (r *run) measure(ctx context.Context, c *candidate) (err error) {
	c.infer(c.model.Weights, r.task.Threads)
	if c.method.Kind == method.PriorShift {
		corrected, err := r.reweigh(ctx, c, c.method.Estimate)
		if err != nil {
			return err
		}
		c.infer(corrected, r.task.Threads)
		c.measures, c.kept = nil, 0
	}
	look, err := r.judge(ctx, validator.All()).Look(ctx, c.inference, r.rows)
	if err != nil {
		return err
	}
	c.measures = slices.DeleteFunc(c.measures, func(m record.EpochMeasure) bool { return m.Epoch == c.kept })
	for _, m := range look { // of the model as it is, by all validators
		m.Epoch = c.kept
		c.measures = append(c.measures, m)
	}
	slices.SortStableFunc(c.measures, func(a, b record.EpochMeasure) int { return cmp.Compare(a.Epoch, b.Epoch) })
	return nil
}

// list makes the rows of the selection table: every epoch of every candidate.
func (r *run) list() {
	for _, c := range r.trials {
		epochs := map[int32]bool{}
		for _, m := range c.measures {
			if epochs[m.Epoch] {
				continue
			}
			epochs[m.Epoch] = true
			of := func(name string) float64 { return transfer.MeasureOf(c.measures, m.Epoch, name) }
			r.selection = append(r.selection, record.AdaptationTrial{
				Candidate: c.name, Method: c.method.Kind, LearningRate: c.rate, Epoch: m.Epoch, Labels: int64(c.labels), Best: m.Epoch == c.kept,
				SourceAccuracy: of("source_accuracy"), IM: of("im"), BNM: of("bnm"), SND: of("snd"), DEV: of("dev"), Ensemble: nan,
				Oracle: of(method.OracleAccuracy), OracleLow: nan, OracleHigh: nan, P: nan,
			})
		}
	}
	validator.RankTrials(r.selection)
}

// pick chooses a candidate: by the validator among all, or else the first that is listed.
func (r *run) pick() {
	isDirect := func(c *candidate) bool { return c.method.Kind == method.Direct }
	if r.baseline = r.best(isDirect); r.baseline == nil {
		r.baseline = r.trials[0]
	}
	r.chosen = r.baseline
	if r.Select.By == none {
		if len(r.trials) > 1 {
			r.chosen = r.trials[1]
		}
	} else if best := r.best(r.eligible); best != nil {
		r.chosen = best
	} else {
		r.task.Log("%s cannot tell which of the %d candidates is best: %s is taken", r.Select.By, len(r.trials), r.baseline.name)
	}
	for i, t := range r.selection {
		r.selection[i].Chosen = t.Candidate == r.chosen.name && t.Best
	}
}

// eligible tells whether the validator may choose a candidate.
func (r *run) eligible(c *candidate) bool {
	if r.Select.By == none {
		return c == r.chosen
	}
	return len(r.Method) > 1 || r.Select.chooses(overMethod) || c.method.Kind == r.Method[0].Kind
}

// choosable are the rows of the selection table that could have been chosen.
func (r *run) choosable() (out []record.AdaptationTrial) {
	for _, t := range r.selection {
		at := slices.IndexFunc(r.trials, func(c *candidate) bool { return c.name == t.Candidate })
		if (t.Chosen || r.eligible(r.trials[at])) && (t.Best || r.by() != "") {
			out = append(out, t)
		}
	}
	return out
}

// best is the candidate that the validator of the parameters prefers, the first of equal ones; nil if it cannot tell.
func (r *run) best(among func(*candidate) bool) *candidate {
	var best *candidate
	most := math.Inf(-1)
	for _, c := range r.trials {
		if !among(c) {
			continue
		}
		for _, t := range r.selection {
			if g := validator.Goodness(t, r.Select.By); t.Candidate == c.name && t.Best && g > most {
				best, most = c, g
			}
		}
	}
	return best
}

// answer lets a candidate's model answer the test rows.
func (r *run) answer(ctx context.Context, c *candidate) error {
	positions := r.testRows()
	if len(positions) == 0 {
		return nil
	}
	computed, err := c.inference.Compute(ctx, &r.rows.Test, positions)
	if err != nil {
		return err
	}
	p := computed[0]
	classes := len(r.rows.Classes)
	for i, at := range positions {
		row := p[i*classes : (i+1)*classes]
		class := method.MostProbable(row)
		c.right = append(c.right, class == r.rows.Test.Classes[at])
		c.answers = append(c.answers, reply{class, float64(row[class])})
	}
	return nil
}

// compare tells how good the candidates and the choice are by the labels of the test rows, if there are any. Nothing is
// chosen by it.
func (r *run) compare() {
	direct := r.baseline
	n := len(direct.right)
	for i := range r.selection {
		t := &r.selection[i]
		c := r.trials[slices.IndexFunc(r.trials, func(c *candidate) bool { return c.name == t.Candidate })]
		if t.Chosen {
			c = r.chosen
		}
		if t.OracleRows = int64(n); n == 0 || !t.Best {
			continue
		}
		t.Oracle = share(c.right) // of the model as it is written
		in := metrics.Wilson(t.Oracle*float64(n), float64(n))
		t.OracleLow, t.OracleHigh = in.Low, in.High
		if c != direct {
			lost, gained := metrics.Discordant(direct.right, c.right)
			t.P, t.Gained, t.Lost = metrics.McNemar(lost, gained), int64(gained), int64(lost)
		}
	}
	if n == 0 {
		r.suspect()
		return
	}
	r.gain(direct, n)
	r.regret(n)
	r.correlate(n)
}

func share(right []bool) float64 {
	n := 0
	for _, x := range right {
		if x {
			n++
		}
	}
	return float64(n) / float64(len(right))
}

// gain tells what the chosen model gains over direct.
func (r *run) gain(direct *candidate, n int) {
	c := r.chosen
	if c == direct {
		r.note(record.Diagnostic{Name: record.AdaptationGain, Rows: int64(n), Text: fmt.Sprintf("%s was chosen: %.1f %% of the test rows of the target", c.name, 100*share(direct.right))})
		return
	}
	lost, gained := metrics.Discordant(direct.right, c.right)
	both := 0
	for i := range c.right {
		if c.right[i] && direct.right[i] {
			both++
		}
	}
	in := metrics.PairedDifference(float64(both), float64(gained), float64(lost), float64(n-both-gained-lost))
	p := metrics.McNemar(lost, gained)
	d := record.Diagnostic{Name: record.AdaptationGain, Value: float64(gained-lost) / float64(n), Low: in.Low, High: in.High, Rows: int64(n), Alarm: gained < lost && p < 0.05}
	d.Text = fmt.Sprintf("%s has %.1f %% of the target's test rows right, %s %.1f %%: %d won, %d lost, p %.2g", c.name, 100*share(c.right), direct.name, 100*share(direct.right), gained, lost, p)
	if d.Alarm {
		d.Text += ": adapting does harm here"
	} else { // an alarm is told in any case
		r.task.Log("%s", d.Text)
	}
	r.note(d)
}

// changes are the test rows that adapting won and lost.
func (r *run) changes() (out []record.AdaptationChange) {
	direct, chosen := r.baseline, r.chosen
	for i, at := range r.testRows() {
		if direct.right[i] == chosen.right[i] {
			continue
		}
		before, after := direct.answers[i], chosen.answers[i]
		out = append(out, record.AdaptationChange{
			ID: r.rows.Test.IDs[at], Domain: r.rows.Test.Names[at], Label: r.rows.Classes[r.rows.Test.Classes[at]],
			Direct: r.rows.Classes[before.class], DirectShare: before.share, Adapted: r.rows.Classes[after.class], AdaptedShare: after.share,
		})
	}
	return out
}

// regret tells how far the choice is from the best that could have been chosen.
func (r *run) regret(n int) {
	best, own := nan, nan
	var of record.AdaptationTrial
	all := r.choosable()
	for _, t := range all {
		if t.Chosen {
			own = t.Oracle
		}
		if !(t.Oracle <= best) && !math.IsNaN(t.Oracle) {
			best, of = t.Oracle, t
		}
	}
	if len(all) < 2 || math.IsNaN(own) {
		return
	}
	at := of.Candidate
	if of.Epoch > 0 {
		at += fmt.Sprintf(", epoch %d", of.Epoch)
	}
	r.note(record.Diagnostic{Name: record.ChoiceRegret, Value: best - own, Rows: int64(n),
		Text: fmt.Sprintf("the oracle, which knows the test rows' labels, would have chosen %s: %.1f %%, and what was chosen has %.1f %%", at, 100*best, 100*own)})
}

// correlate tells how well each validator orders what could have been chosen.
func (r *run) correlate(n int) {
	all := r.choosable()
	if len(all) < 3 {
		return
	}
	var truth []float64
	for _, t := range all {
		truth = append(truth, t.Oracle)
	}
	names := []string{}
	for _, v := range validator.All() {
		names = append(names, v.Name)
	}
	for _, by := range append(names, ensemble) {
		var said []float64
		for _, t := range all {
			said = append(said, validator.Goodness(t, by))
		}
		rho := rankCorrelation(said, truth)
		if math.IsNaN(rho) {
			continue
		}
		r.note(record.Diagnostic{Phase: by, Name: record.ValidatorCorrelation, Value: rho, Rows: int64(n),
			Text: fmt.Sprintf("%s orders the %d models that could be chosen with a rank correlation of %.2f with their accuracy on the target", by, len(all), rho)})
	}
}

// rankCorrelation is Spearman's, of the pairs that are numbers; not a number for fewer than three or without a spread.
func rankCorrelation(a, b []float64) float64 {
	var x, y []float64
	for i := range a {
		if !math.IsNaN(a[i]) && !math.IsNaN(b[i]) {
			x, y = append(x, a[i]), append(y, b[i])
		}
	}
	if len(x) < 3 {
		return nan
	}
	x, y = ranks(x), ranks(y)
	mean := float64(len(x)+1) / 2
	var xy, xx, yy float64
	for i := range x {
		xy += (x[i] - mean) * (y[i] - mean)
		xx += (x[i] - mean) * (x[i] - mean)
		yy += (y[i] - mean) * (y[i] - mean)
	}
	return xy / math.Sqrt(xx*yy) // not a number if one has no spread
}

// ranks are those of values, from 1; equal ones share the mean of theirs.
func ranks(values []float64) []float64 {
	order := identity(len(values))
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(values[i], values[j]) })
	out := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return out
}

// suspect gives an alarm, where there is no label to test by, if most validators prefer direct to what was chosen.
func (r *run) suspect() {
	if r.chosen.method.Kind == method.Direct {
		return
	}
	var direct, chosen record.AdaptationTrial
	for _, t := range r.selection {
		if t.Candidate == r.baseline.name && t.Best {
			direct = t
		}
		if t.Chosen {
			chosen = t
		}
	}
	against, known := 0, 0
	for _, v := range validator.All() {
		a, b := validator.Goodness(direct, v.Name), validator.Goodness(chosen, v.Name)
		if math.IsNaN(a) || math.IsNaN(b) {
			continue
		}
		known++
		if a > b {
			against++
		}
	}
	if d := (record.Diagnostic{Name: record.AdaptationGain, Value: nan, Alarm: 2*against > known, Text: fmt.Sprintf("no test row of the target has a label; %d of %d validators prefer %s to %s", against, known, r.baseline.name, r.chosen.name)}); known > 0 {
		if d.Alarm {
			d.Text += ": adapting may do harm here"
		}
		r.note(d)
	}
}

// reweigh corrects the last layer of a candidate's network for the target's class frequencies, and returns the weights.
func (r *run) reweigh(ctx context.Context, c *candidate, estimate string) (nn.Weights, error) {
	l := method.LayersOf(c.inference.Net)
	end, _ := c.inference.Net.Find(l.Logits)
	if _, dense := end.Op.(nn.Dense); !dense {
		return nil, pipeline.ParamErrorHint("prior_shift", "take head: logistic", "a classifier that votes has no class frequencies to correct")
	}
	scale := 1.0
	for _, layer := range c.inference.Net.Layers() {
		if op, ok := layer.Op.(nn.Scale); ok && slices.Contains(layer.Inputs, l.Logits) {
			scale = float64(op.Factor)
		}
	}
	var source, target []int
	var classes []int
	for i, of := range r.rows.Validation.Domains {
		switch of {
		case objective.SourceDomain:
			source, classes = append(source, i), append(classes, r.rows.Validation.Classes[i])
		case objective.TargetDomain:
			target = append(target, i)
		}
	}
	trained := r.trained()
	answers, err := c.inference.Compute(ctx, &r.rows.Validation, target)
	if err != nil {
		return nil, err
	}
	var priors shift.Priors
	if estimate == bbse {
		if len(source) == 0 {
			return nil, noValidation("", bbse, "estimate: em")
		}
		known, err := c.inference.Compute(ctx, &r.rows.Validation, source)
		if err != nil {
			return nil, err
		}
		priors, err = shift.Confusion(known[0], classes, answers[0], trained)
		if singular := new(shift.SingularError); errors.As(err, &singular) {
			return nil, r.singular(c, singular, len(classes))
		} else if err != nil {
			return nil, err
		}
	} else if priors, err = shift.ExpectationMaximisation(answers[0], trained); err != nil {
		return nil, err
	}
	if priors.Note != "" {
		r.task.Log("%s: %s", c.name, priors.Note)
	}
	out := nn.Weights{}
	for name, tensor := range c.inference.Weights {
		out[name] = tensor
	}
	bias := l.Logits + "." + string(nn.Bias)
	b := slices.Clone(out[bias].Data)
	for i := range b {
		if trained[i] == 0 { // a class that the input model knows and the source does not have stays as it is
			continue
		}
		// A class that is estimated not to come at all keeps a little.
		b[i] += float32(math.Log(max(priors.Frequencies[i], 1e-6)/trained[i]) / scale)
	}
	out[bias] = nn.Tensor{Shape: out[bias].Shape, Data: b}
	return out, nil
}

// singular says why bbse cannot estimate class frequencies from a candidate's answers to so many validation rows of the source,
// and what to do.
func (r *run) singular(c *candidate, e *shift.SingularError, rows int) error {
	names := func(classes []int) string {
		var out []string
		for _, class := range classes {
			out = append(out, r.rows.Classes[class])
		}
		return some(out)
	}
	at, instead := "prior_shift", "prior_shift: em"
	if c.method.Kind == method.PriorShift {
		at, instead = r.methodAt(slices.IndexFunc(r.Method, func(m method.Method) bool { return m.Text() == c.method.Text() })), "estimate: em"
	}
	switch {
	case len(e.Absent) > 0:
		return pipeline.ParamErrorHint(at, "give rows of each class of the source the split val, or write "+instead,
			"bbse cannot estimate the class frequencies: none of the %d validation rows of the source is of class %s", rows, names(e.Absent))
	case len(e.Unpredicted) > 0:
		return pipeline.ParamErrorHint(at, "write "+instead+", train the model for longer, or give more rows of the source the split val",
			"bbse cannot estimate the class frequencies: the model predicts %s for none of the %d validation rows of the source", names(e.Unpredicted), rows)
	}
	return pipeline.ParamErrorHint(at, "write "+instead+", or give more rows of the source the split val",
		"bbse cannot estimate the class frequencies: the predictions for the %d validation rows of the source have nearly the same distribution in several classes", rows)
}

// trained are the frequencies of the classes among the source's training rows.
func (r *run) trained() []float64 {
	out := make([]float64, len(r.rows.Classes))
	for _, class := range r.rows.Training.Classes[:r.rows.SourceRows] {
		out[class] += 1 / float64(r.rows.SourceRows)
	}
	return out
}

// positionsOf are those of the validation rows of a domain.
func (r *run) positionsOf(of int32) (out []int) {
	for i, d := range r.rows.Validation.Domains {
		if d == of {
			out = append(out, i)
		}
	}
	return out
}
