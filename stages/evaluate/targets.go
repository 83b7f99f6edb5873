package evaluate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// taskOf is what all models tell of a row.
func taskOf(pairs []pair, models []*classifier.Classifier) (record.Task, error) {
	first := models[0].Head().Task
	for i, c := range models {
		if task := c.Head().Task; task != first {
			return "", fmt.Errorf("model %s predicts %s and model %s %s: evaluate them in separate stages", pairs[0].model.Name(), inWords(first), pairs[i].model.Name(), inWords(task))
		}
	}
	return first, nil
}

func inWords(task record.Task) string {
	switch task {
	case record.MultiLabel:
		return "any of several classes"
	case record.Regression:
		return "numbers"
	}
	return "one class"
}

// targets is the evaluation of models of rows that any of several classes may apply to, or of numbers.
type targets struct {
	*evaluation
	learned          record.Task
	names            []string // of all models: classes or numbers, in the order in which they come up
	targetCandidates []*targetCandidate
}

// targetCandidate is a candidate with its outputs on the scored rows.
type targetCandidate struct {
	*candidate
	column    string   // of the table, with the truth
	names     []string // of its outputs
	answers   func(features []float32, n int, out []float32) error
	threshold float64 // from which a class is taken to apply

	// Of the scored rows, [rows][outputs]:
	applies []bool
	numbers []float64 // not a number where not known
	out     []float32
	unknown map[string]int // rows of classes that it does not know
}

// measureTargets is Run for such models.
func (e *evaluation) measureTargets(ctx context.Context, learned record.Task, pairs []pair, models []*classifier.Classifier, tables map[pipeline.Input]*table) error {
	t := &targets{evaluation: e, learned: learned}
	pool := kernel.NewPool(max(e.task.Threads, 1))
	defer pool.Close()
	for i, p := range pairs {
		c, table := models[i], tables[p.data]
		model, err := compile(p.model, c, table)
		if err != nil {
			return err
		}
		session := model.NewSession(pool, mostRows)
		r := &targetCandidate{
			candidate: &candidate{name: p.model.Name(), table: table}, column: record.TargetOf(table.schema, c.Head().Truth()), names: c.Head().Names(),
			answers: session.Run,
		}
		if err := t.check(r); err != nil {
			return err
		}
		t.enter(r)
	}
	if err := t.enterConstants(ctx); err != nil {
		return err
	}
	return t.write(ctx)
}

// check refuses a table whose truth is of another kind than what the model tells.
func (t *targets) check(r *targetCandidate) error {
	_, field, err := record.Column(r.table.schema, r.column)
	if err != nil {
		return fmt.Errorf("model %s: data %s: %w", r.name, r.table.input.Name(), err)
	}
	if record.TargetTaskAs(field, t.learned) != nil {
		return fmt.Errorf("model %s tells %s, and column %q of %s has none", r.name, inWords(t.learned), r.column, r.table.input.Name())
	}
	return nil
}

func (t *targets) enter(r *targetCandidate) {
	t.targetCandidates = append(t.targetCandidates, r)
	t.candidates = append(t.candidates, r.candidate)
	for _, name := range r.names {
		if !slices.Contains(t.names, name) {
			t.names = append(t.names, name)
		}
	}
}

// enterConstants enters, for each table in use, what answers every row alike: the shares of the training rows
// that each class applies to, or the means of their numbers.
func (t *targets) enterConstants(ctx context.Context) error {
	if !slices.Contains(t.Baselines, Majority) {
		return nil
	}
	var tables []*table
	for _, r := range slices.Clone(t.targetCandidates) {
		if slices.Contains(tables, r.table) {
			continue
		}
		tables = append(tables, r.table)
		b := &targetCandidate{candidate: &candidate{baseline: true, table: r.table}, column: r.column, names: t.names}
		constant, err := t.constant(ctx, b)
		if err != nil {
			return err
		}
		if constant == nil {
			t.task.Log("%s has no row of split %s with a known target: no baseline is computed", r.table.input.Name(), record.Train)
			continue
		}
		b.answers = func(_ []float32, n int, out []float32) error {
			for i := range n {
				copy(out[i*len(constant):], constant)
			}
			return nil
		}
		t.enter(b)
	}
	name := "class frequencies"
	if t.learned == record.Regression {
		name = "mean"
	}
	for _, r := range t.targetCandidates {
		if r.baseline {
			r.name = baselineName(name, r.table, len(tables))
		}
	}
	return nil
}

// constant is the mean truth of the training rows; nil if there are none.
func (t *targets) constant(ctx context.Context, r *targetCandidate) ([]float32, error) {
	sums, known := make([]float64, len(r.names)), make([]float64, len(r.names))
	for rec, err := range r.table.rows.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		rows, err := r.table.viewRows(rec)
		if err != nil {
			return nil, err
		}
		truth, err := t.truthOf(rec, r)
		if err != nil {
			return nil, err
		}
		for i := range rows.count {
			if rows.Split(i) != record.Train || !truth.Known(i) {
				continue
			}
			for k, x := range t.row(truth, r, i) {
				if !math.IsNaN(x) {
					sums[k], known[k] = sums[k]+x, known[k]+1
				}
			}
		}
	}
	if !slices.ContainsFunc(known, func(n float64) bool { return n > 0 }) {
		return nil, nil
	}
	out := make([]float32, len(sums))
	for k := range sums {
		out[k] = float32(sums[k] / max(known[k], 1))
	}
	return out, nil
}

// truth is a column with the truth, and where a candidate's outputs are among its numbers.
type truth struct {
	*record.TargetColumn
	places []int
}

func (t *targets) truthOf(rec arrow.Record, r *targetCandidate) (truth, error) {
	c, err := record.NewTargetColumnAs(rec, r.column, t.learned)
	if err != nil {
		return truth{}, err
	}
	out := truth{TargetColumn: c}
	if t.learned == record.Regression {
		for _, name := range r.names {
			at := slices.Index(c.Names, name)
			if at < 0 {
				return out, fmt.Errorf("model %s predicts the number %q; column %q of %s has: %s", r.name, name, r.column, r.table.input.Name(), strings.Join(c.Names, ", "))
			}
			out.places = append(out.places, at)
		}
	}
	return out, nil
}

// row is the truth of a row that is known, in the order of a candidate's outputs: 1 for a class that applies and 0
// for one that does not, or numbers.
func (t *targets) row(c truth, r *targetCandidate, row int) []float64 {
	out := make([]float64, len(r.names))
	if t.learned == record.Regression {
		numbers := c.Numbers(row)
		for k, at := range c.places {
			out[k] = numbers[at]
		}
		return out
	}
	classes := c.Classes(row)
	for k, name := range r.names {
		if slices.Contains(classes, name) {
			out[k] = 1
		}
	}
	return out
}

// write lets every candidate answer, measures them, and writes all outputs.
func (t *targets) write(ctx context.Context) error {
	p, err := t.newPredictions()
	if err != nil {
		return err
	}
	for i, r := range t.targetCandidates {
		if err := t.choose(ctx, r); err != nil {
			return err
		}
		if err := t.answer(ctx, r, p); err != nil {
			return err
		}
		if err := t.measureAll(ctx, r); err != nil {
			return err
		}
		t.task.Progress(int64(i+1), int64(len(t.targetCandidates)), "model")
	}
	var comparisons []record.Comparison
	if t.learned == record.MultiLabel {
		comparisons, err = t.comparisons(ctx, record.SubsetAccuracy)
	} else {
		comparisons, err = compareAll(t.targetCandidates, func(r *targetCandidate) bool { return r.baseline },
			func(a, b *targetCandidate) ([]record.Comparison, error) { return t.compareNumbers(ctx, a, b) })
	}
	if err != nil {
		return err
	}
	t.tellTransfer(comparisons)
	var tables []*table
	for _, r := range t.targetCandidates {
		tables = append(tables, r.table)
	}
	duplicates, err := t.allDuplicates(ctx, tables)
	if err != nil {
		return err
	}
	about := record.Evaluation{Split: t.Split, Resamples: t.Bootstrap, Cluster: t.Cluster}.Encode()
	return errors.Join(
		p.close(),
		t.task.WriteRecord("metrics", record.Evaluated(t.metrics, about)),
		t.task.WriteRecord("comparison", record.Evaluated(comparisons, about)),
		t.task.WriteRecord("confusion", record.Evaluated(t.confusion, about)),
		t.task.WriteRecord("calibration", record.Evaluated(t.calibration, about)),
		t.task.WriteRecord("curves", record.Evaluated(t.curves, about)),
		t.task.WriteRecord("label_errors", record.Evaluated([]record.LabelError(nil), about)),
		t.task.WriteRecord("duplicates", record.Evaluated(duplicates, about)),
		t.task.WriteRecord("mistakes", record.Evaluated(t.mistakes, about)),
	)
}

// choose chooses the threshold of a candidate, on the validation rows if the parameters give none.
func (t *targets) choose(ctx context.Context, r *targetCandidate) error {
	if t.learned != record.MultiLabel {
		return nil
	}
	if t.Threshold != nil {
		r.threshold = *t.Threshold
		return nil
	}
	if r.threshold = 0.5; t.Split == record.Validation {
		return nil // it would be chosen on what is measured
	}
	var applies []bool
	var out []float32
	err := t.each(ctx, r, record.Validation, func(batch examples, truth truth, answers []float32) error {
		for i, row := range batch.at {
			if truth.Known(row) {
				for _, y := range t.row(truth, r, row) {
					applies = append(applies, y == 1)
				}
				out = append(out, answers[i*len(r.names):(i+1)*len(r.names)]...)
			}
		}
		return nil
	})
	if err == nil && len(applies) > 0 {
		r.threshold = metrics.BestThreshold(applies, out)
	}
	return err
}

// each lets a candidate answer the rows of a split.
func (t *targets) each(ctx context.Context, r *targetCandidate, split string, do func(batch examples, truth truth, answers []float32) error) error {
	var answers []float32
	width := len(r.names)
	passes := func(rows rowView, i int) bool { return rows.Split(i) == split && !rows.copied(i) }
	for batch, err := range r.table.examples(ctx, passes) {
		if err != nil {
			return err
		}
		truth, err := t.truthOf(batch.rows.rec, r)
		if err != nil {
			return err
		}
		n := len(batch.at)
		answers = slices.Grow(answers[:0], n*width)[:n*width]
		if err := r.answers(batch.features, n, answers); err != nil {
			return fmt.Errorf("model %s: %w", r.name, err)
		}
		for i, x := range answers {
			if x-x != 0 {
				return fmt.Errorf("model %s: the output for row %q is %v: its weights or the features are not finite", r.name, batch.rows.ID(batch.at[i/width]), x)
			}
		}
		if err := do(batch, truth, answers); err != nil {
			return err
		}
	}
	return nil
}

// answer lets a candidate answer the rows to be measured, writes the answers, and keeps those of rows whose truth
// is known.
func (t *targets) answer(ctx context.Context, r *targetCandidate, p *targetPredictions) error {
	row := 0 // of the table
	width := len(r.names)
	r.unknown = map[string]int{}
	err := t.each(ctx, r, t.Split, func(batch examples, truth truth, answers []float32) error {
		if err := p.write(r, batch, answers); err != nil {
			return err
		}
		for i, at := range batch.at {
			if truth.Known(at) {
				r.scored = append(r.scored, row)
				r.out = append(r.out, answers[i*width:(i+1)*width]...)
				for _, y := range t.row(truth, r, at) {
					r.applies, r.numbers = append(r.applies, y == 1), append(r.numbers, y)
				}
				if t.learned == record.MultiLabel {
					for _, class := range truth.Classes(at) {
						if !slices.Contains(r.names, class) {
							r.unknown[class]++
						}
					}
				}
			}
			row++
		}
		return nil
	})
	if err == nil && len(r.scored) == 0 {
		err = fmt.Errorf("model %s: no row of split %s in %s has a known target in column %q", r.name, t.Split, r.table.input.Name(), r.column)
	}
	return err
}

// measureAll takes note of all that a candidate's answers tell: over all rows, by class or number, and by slice.
func (t *targets) measureAll(ctx context.Context, r *targetCandidate) error {
	note := func(metric, class string, value float64, rows int) {
		t.metrics = append(t.metrics, record.Metric{
			Model: r.name, Role: r.role(), Metric: metric, Class: class, Value: value, Low: math.NaN(), High: math.NaN(), Rows: int64(rows),
		})
	}
	if n := len(r.table.ids) - len(r.scored); n > 0 {
		note(record.Unlabelled, "", float64(n), n)
	}
	for _, class := range slices.Sorted(maps.Keys(r.unknown)) {
		note(record.UnknownClasses, class, float64(r.unknown[class]), r.unknown[class])
	}
	if t.learned == record.MultiLabel {
		note(record.Threshold, "", r.threshold, len(r.scored))
	}
	every := make([]int, len(r.scored))
	for i := range every {
		every[i] = i
	}
	if err := t.measureSlice(ctx, r, every, "", true); err != nil {
		return err
	}
	for k, column := range t.Slices {
		for _, value := range distinct(r.table.slices[k]) {
			var in []int
			for i, row := range r.scored {
				if r.table.slices[k][row] == value {
					in = append(in, i)
				}
			}
			if len(in) > 0 {
				if err := t.measureSlice(ctx, r, in, column+"="+value, false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// measured are the statistics of some rows, and how they are computed with weights.
type measured struct {
	statistics []statistic
	rows       []int // of the table
	compute    func(weights []float64) []float64
}

// measureSlice measures some of the scored rows.
func (t *targets) measureSlice(ctx context.Context, r *targetCandidate, scored []int, slice string, byClass bool) error {
	var parts []measured
	if t.learned == record.MultiLabel {
		m, err := t.several(ctx, r, scored, slice == "", byClass)
		if err != nil {
			return fmt.Errorf("model %s: %w", r.name, err)
		}
		parts = append(parts, m)
	} else {
		var err error
		if parts, err = t.eachNumber(r, scored, byClass); err != nil {
			return fmt.Errorf("model %s: %w", r.name, err)
		}
	}
	for _, m := range parts {
		bootstrap := t.bootstrap(r.candidate, m.rows)
		intervals, err := bootstrap.Intervals(ctx, t.task.Threads, m.compute)
		if err != nil {
			return err
		}
		values := m.compute(nil)
		for i, s := range m.statistics {
			row := record.Metric{
				Model: r.name, Role: r.role(), Slice: slice, Metric: s.metric, Class: s.class, Value: values[i],
				Low: math.NaN(), High: math.NaN(), Rows: s.rows,
			}
			if intervals != nil && !math.IsNaN(values[i]) {
				interval := intervals[i]
				if interval.Low == interval.High {
					interval = metrics.NoInterval()
					if s.metric == record.SubsetAccuracy {
						trials := float64(len(m.rows)) * independent(bootstrap.Clusters, len(m.rows))
						interval = metrics.Wilson(values[i]*trials, trials)
					}
				}
				row.Low, row.High = interval.Low, interval.High
			}
			t.metrics = append(t.metrics, row)
		}
	}
	return nil
}

// several measures rows that any of several classes may apply to. Of all rows, it keeps which are right, and the
// most confident mistakes.
func (t *targets) several(ctx context.Context, r *targetCandidate, scored []int, all, byClass bool) (measured, error) {
	width := len(r.names)
	whole, err := metrics.NewMultiLabel(r.applies, r.out, width, r.threshold)
	if err != nil {
		return measured{}, err
	}
	sample := whole
	if !all {
		if sample, err = whole.Select(scored); err != nil {
			return measured{}, err
		}
	}
	m := measured{}
	for _, i := range scored {
		m.rows = append(m.rows, r.scored[i])
	}
	n := int64(len(scored))
	for _, name := range []string{
		record.MeanAveragePrecision, record.MicroF1, record.MacroF1, record.SubsetAccuracy, record.HammingLoss,
		record.MicroPrecision, record.MicroRecall, record.MacroPrecision, record.MacroRecall, record.ROCAUC, record.LogLoss, record.CalibrationError,
	} {
		m.statistics = append(m.statistics, statistic{name, "", n})
	}
	if byClass {
		actual := sample.Tally(nil).Actual
		for c, class := range r.names {
			for _, name := range []string{record.AveragePrecision, record.Precision, record.Recall, record.F1, record.ROCAUC} {
				m.statistics = append(m.statistics, statistic{name, class, int64(actual[c])})
			}
		}
	}
	m.compute = func(weights []float64) []float64 {
		tally := sample.Tally(weights)
		micro, macro := tally.Micro(), tally.Macro()
		precisions, areas := make([]float64, width), make([]float64, width)
		for c := range width {
			precisions[c], areas[c] = sample.AveragePrecision(c, weights), sample.AUC(c, weights)
		}
		out := []float64{
			metrics.MeanOfKnown(precisions), micro.F1, macro.F1, sample.SubsetAccuracy(weights), sample.HammingLoss(weights),
			micro.Precision, micro.Recall, macro.Precision, macro.Recall, metrics.MeanOfKnown(areas), sample.LogLoss(weights),
			metrics.ExpectedCalibrationError(sample.Calibration(t.CalibrationBins, weights)),
		}
		if byClass {
			for c := range width {
				s := tally.Scores(c)
				out = append(out, precisions[c], s.Precision, s.Recall, s.F1, areas[c])
			}
		}
		return out
	}
	if all {
		r.right, r.truth = make([]bool, len(r.scored)), make([]int, len(r.scored)) // rows are compared by their ids alone
		for i := range r.right {
			r.right[i] = whole.Right(i)
		}
		if !r.baseline {
			t.mistakes = append(t.mistakes, t.wrong(r, whole)...)
		}
		t.calibration = append(t.calibration, binsOf(r.name, whole.Calibration(t.CalibrationBins, nil))...)
		ranked := ranked{names: r.names, micro: whole.MicroDetection()}
		for c := range r.names {
			ranked.classes = append(ranked.classes, whole.Detection(c))
		}
		if err := t.draw(ctx, r.candidate, ranked, m.rows, false); err != nil {
			return measured{}, err
		}
	}
	return m, nil
}

// wrong lists the rows with the wrong answers that a model was surest of.
func (t *targets) wrong(r *targetCandidate, m *metrics.MultiLabel) []record.Mistake {
	var out []record.Mistake
	for i, row := range r.scored {
		if m.Right(i) {
			continue
		}
		surest := 0.0
		var is, taken []string
		for c, class := range r.names {
			truth, predicted := m.Applies(i, c)
			if truth {
				is = append(is, class)
			}
			if predicted {
				taken = append(taken, class)
			}
			if p := float64(r.out[i*len(r.names)+c]); truth != predicted {
				surest = max(surest, p, 1-p)
			}
		}
		out = append(out, record.Mistake{
			Model: r.name, ID: r.table.ids[row], Label: listed(is), Predicted: listed(taken), Confidence: surest, Probability: 1 - surest,
		})
	}
	slices.SortFunc(out, func(a, b record.Mistake) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.ID, b.ID))
	})
	out = out[:min(t.Worst, len(out))]
	for i := range out {
		out[i].Rank = int64(i + 1)
	}
	return out
}

// listed is some classes as text.
func listed(classes []string) string {
	if len(classes) == 0 {
		return "(none)"
	}
	return strings.Join(classes, ", ")
}

// eachNumber measures each number, on the rows of which it is known, and R² over all numbers.
func (t *targets) eachNumber(r *targetCandidate, scored []int, byNumber bool) (parts []measured, err error) {
	width := len(r.names)
	var samples []*metrics.Regression
	for k, name := range r.names {
		var truth, predicted []float64
		m := measured{}
		for _, i := range scored {
			if y := r.numbers[i*width+k]; !math.IsNaN(y) {
				truth, predicted, m.rows = append(truth, y), append(predicted, float64(r.out[i*width+k])), append(m.rows, r.scored[i])
			}
		}
		sample, err := metrics.NewRegression(truth, predicted)
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample)
		m.compute = func(weights []float64) []float64 {
			return []float64{sample.MeanAbsoluteError(weights), sample.RootMeanSquaredError(weights), sample.R2(weights)}
		}
		if width == 1 {
			name = "" // of all there is
		}
		for _, metric := range []string{record.MeanAbsoluteError, record.RootMeanSquaredError, record.R2} {
			m.statistics = append(m.statistics, statistic{metric, name, int64(len(truth))})
		}
		if len(truth) > 0 && (byNumber || width == 1) {
			parts = append(parts, m)
		}
	}
	if width == 1 {
		return parts, nil
	}
	// The numbers have units of their own: of all together there is only R².
	all := measured{statistics: []statistic{{record.R2, "", int64(len(scored))}}}
	for _, i := range scored {
		all.rows = append(all.rows, r.scored[i])
	}
	all.compute = func(weights []float64) []float64 {
		shares := make([]float64, width)
		for k, sample := range samples {
			own := weights
			if weights != nil {
				own = nil
				for j, i := range scored {
					if !math.IsNaN(r.numbers[i*width+k]) {
						own = append(own, weights[j])
					}
				}
			}
			if shares[k] = math.NaN(); sample.Rows() > 0 {
				shares[k] = sample.R2(own)
			}
		}
		return []float64{metrics.MeanOfKnown(shares)}
	}
	return append([]measured{all}, parts...), nil
}

// targetPredictions writes what every candidate answers to every row.
type targetPredictions struct {
	predictions
	learned record.Task
	names   []string
}

// newPredictions opens the output: the plain columns of the data and the truth, then model, predicted and, of
// classes, probabilities.
func (t *targets) newPredictions() (*targetPredictions, error) {
	fields, err := t.carried(func(f arrow.Field) bool {
		return isScalar(f.Type) || slices.ContainsFunc(t.targetCandidates, func(r *targetCandidate) bool { return f.Name == r.column })
	})
	if err != nil {
		return nil, err
	}
	p := &targetPredictions{predictions: predictions{carried: len(fields)}, learned: t.learned, names: t.names}
	fields = append(fields, arrow.Field{Name: "model", Type: arrow.BinaryTypes.String})
	head := record.MultiLabelHead(t.targetCandidates[0].column, t.names)
	if t.learned == record.Regression {
		head = record.RegressionHead(t.targetCandidates[0].column, t.names)
		fields = append(fields, record.NumbersField(record.Predicted, t.names))
	} else {
		fields = append(fields, record.ClassesField(record.Predicted), record.TensorField(record.Probabilities, arrow.PrimitiveTypes.Float32, len(t.names)))
	}
	text, err := head.Encode()
	if err != nil {
		return nil, err
	}
	p.schema = record.WithMetadata(arrow.NewSchema(fields, nil), record.HeadKey, text)
	if t.learned == record.MultiLabel {
		classes, err := json.Marshal(t.names)
		if err != nil {
			return nil, err
		}
		p.schema = record.WithMetadata(p.schema, record.ClassesKey, string(classes))
	}
	p.writer, err = t.task.Output("predictions", p.schema)
	return p, err
}

// write appends a candidate's answers to some rows of a batch.
func (p *targetPredictions) write(r *targetCandidate, batch examples, answers []float32) error {
	columns := make([]arrow.Array, p.schema.NumFields())
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	if err := p.carry(columns, batch); err != nil {
		return err
	}
	builders := make([]array.Builder, len(columns)-p.carried)
	for i := range builders {
		builders[i] = array.NewBuilder(memory.DefaultAllocator, p.schema.Field(p.carried+i).Type)
		defer builders[i].Release()
	}
	places := make([]int, len(r.names))
	for k, name := range r.names {
		places[k] = slices.Index(p.names, name)
	}
	for i := range batch.at {
		own := answers[i*len(r.names) : (i+1)*len(r.names)]
		builders[0].(*array.StringBuilder).Append(r.name)
		if p.learned == record.Regression {
			numbers := slices.Repeat([]float64{math.NaN()}, len(p.names))
			for k, x := range own {
				numbers[places[k]] = float64(x)
			}
			list := builders[1].(*array.FixedSizeListBuilder)
			list.Append(true)
			list.ValueBuilder().(*array.Float64Builder).AppendValues(numbers, nil)
			continue
		}
		predicted, probabilities := builders[1].(*array.ListBuilder), builders[2].(*array.FixedSizeListBuilder)
		predicted.Append(true)
		probabilities.Append(true)
		all := make([]float32, len(p.names))
		for k, x := range own {
			all[places[k]] = x
		}
		for k, x := range all {
			if float64(x) >= r.threshold && slices.Contains(r.names, p.names[k]) {
				predicted.ValueBuilder().(*array.StringBuilder).Append(p.names[k])
			}
		}
		probabilities.ValueBuilder().(*array.Float32Builder).AppendValues(all, nil)
	}
	for i, b := range builders {
		columns[p.carried+i] = b.NewArray()
	}
	rec := array.NewRecord(p.schema, columns, int64(len(batch.at)))
	defer rec.Release()
	return p.writer.Write(rec)
}
