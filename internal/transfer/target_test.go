package transfer

import (
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// withTarget adds a column of several classes, or of numbers; of is the answer of each row, nil if it is not
// known.
func withTarget[T string | float64](t testing.TB, names []string, rec arrow.Record, of func(row int) []T) arrow.Record {
	t.Helper()
	field := record.ClassesField(record.Target)
	if names != nil {
		field = record.NumbersField(record.Target, names)
	}
	b := array.NewBuilder(memory.DefaultAllocator, field.Type)
	defer b.Release()
	for i := range int(rec.NumRows()) {
		switch answer := any(of(i)).(type) {
		case []string:
			lists := b.(*array.ListBuilder)
			lists.Append(answer != nil)
			lists.ValueBuilder().(*array.StringBuilder).AppendValues(answer, nil)
		case []float64:
			lists := b.(*array.FixedSizeListBuilder)
			lists.Append(answer != nil)
			if answer == nil {
				answer = make([]float64, len(names))
			}
			lists.ValueBuilder().(*array.Float64Builder).AppendValues(answer, nil)
		}
	}
	meta := rec.Schema().Metadata()
	schema := arrow.NewSchema(append(slices.Clone(rec.Schema().Fields()), field), &meta)
	out := array.NewRecord(schema, append(slices.Clone(rec.Columns()), b.NewArray()), rec.NumRows())
	t.Cleanup(out.Release)
	return out
}

// tags are the classes that apply to a row of features: some, all or none.
func tags(r row) []string {
	tags := []string{}
	if r.features[0] > 11 {
		tags = append(tags, "high")
	}
	if r.features[1]+r.features[2] > 22 {
		tags = append(tags, "wide")
	}
	if r.features[3] > 10.5 {
		tags = append(tags, "rare")
	}
	return tags
}

// sizes are numbers of a row of features, in units far from those of a network.
func sizes(r row) []float64 {
	return []float64{4e5 + 1e5*float64(r.features[0]-r.features[4]), -0.002 + 0.001*float64(r.features[1])}
}

var sizeNames = []string{"price", "weight"}

func someRows() []row { return slices.Concat(blobs("train", 240, 1, 1), blobs("val", 60, 1, 2)) }

// answers are what a model gives for rows, [rows][outputs].
func answers(t testing.TB, c *classifier.Classifier, rows []row) []float32 {
	t.Helper()
	program, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var x []float32
	for _, r := range rows {
		x = append(x, r.features...)
	}
	out := make([]float32, len(rows)*len(c.Head().Names()))
	if err := program.NewSession(len(rows)).Run(nil, x, len(rows), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// share is how many of the answers to rows are right, by class.
func share(t testing.TB, c *classifier.Classifier, rows []row) float64 {
	t.Helper()
	right := 0
	out := answers(t, c, rows)
	for i, p := range out {
		n := len(c.Head().Classes)
		if (p >= 0.5) == slices.Contains(tags(rows[i/n]), c.Head().Classes[i%n]) {
			right++
		}
	}
	return float64(right) / float64(len(out))
}

func TestLearnsSeveralClasses(t *testing.T) {
	rows, test := someRows(), blobs("test", 100, 1, 3)
	rec := withTarget(t, nil, features(t, rows...), func(i int) []string {
		switch i {
		case 5, 250:
			return nil
		case 251:
			return []string{"high", "unheard"}
		}
		return tags(rows[i])
	})
	for _, with := range []string{
		"{}", "{head: linear, standardise: true, learning_rate: 0.05, class_weights: balanced}",
		"{head: {hidden: 16, batch_norm: false}, standardise: true, learning_rate: 0.02, mixup: 0.1, class_weights: {rare: 2}, early_stopping: {patience: 20, monitor: val_accuracy}}",
	} {
		out := mustRun(t, with, rec)
		h := out.model.Head()
		if h.Task != record.MultiLabel || !slices.Equal(out.model.Head().Classes, []string{"high", "rare", "wide"}) || h.Name != "label" {
			t.Fatalf("head %+v, classes %v", h, out.model.Head().Classes)
		}
		if got := share(t, out.model, test); got < 0.9 {
			t.Errorf("%s: %v of the answers are right", with, got)
		}
		if last := out.history[len(out.history)-1]; !(last.ValidationAccuracy > 0.85 && last.ValidationLoss < 0.4) {
			t.Errorf("%s: %+v", with, last)
		}
		log := strings.Join(out.log, "\n")
		for _, want := range []string{
			"239 training rows, 59 validation rows, 6 features, 3 classes, of which any may apply", "1 for training, 1 for validation", "unheard 1", ", accuracy ",
		} {
			if !strings.Contains(log, want) {
				t.Errorf("log has no %q:\n%s", want, log)
			}
		}
	}
}

// Balanced weights make a rare class be found more often.
func TestPositiveWeights(t *testing.T) {
	rows := someRows()
	rec := withTarget(t, nil, features(t, rows...), func(i int) []string {
		if i%3 == 0 && rows[i].features[0] > 12 || i%17 == 0 {
			return []string{"often", "rare"}
		}
		return []string{"often"}
	})
	found := func(with string) (n int) {
		model := mustRun(t, "{head: linear, standardise: true, learning_rate: 0.05, epochs: 10"+with+"}", rec).model
		for i, p := range answers(t, model, rows) {
			if model.Head().Classes[i%2] == "rare" && p >= 0.5 {
				n++
			}
		}
		return n
	}
	plain, balanced, given := found(""), found(", class_weights: balanced"), found(", class_weights: {rare: 20}")
	if balanced <= plain || given <= plain {
		t.Errorf("the rare class is found %d times, %d balanced, %d with a weight", plain, balanced, given)
	}
}

func TestLearnsNumbers(t *testing.T) {
	rows, test := someRows(), blobs("test", 100, 1, 3)
	rec := withTarget(t, sizeNames, features(t, rows...), func(i int) []float64 {
		x := sizes(rows[i])
		switch i % 20 {
		case 3:
			x[1] = math.NaN()
		case 4:
			return nil
		case 5:
			return []float64{math.NaN(), math.NaN()}
		}
		return x
	})
	for _, with := range []string{
		"{head: linear, standardise: true, learning_rate: 0.05}", "{head: {hidden: 32, batch_norm: false}, standardise: true, learning_rate: 0.01, mixup: 0.1}",
		"{epochs: 60, learning_rate: 0.02, head: {hidden: 64}, schedule: cosine, early_stopping: {patience: 30}}",
	} {
		out := mustRun(t, with, rec)
		h := out.model.Head()
		if h.Task != record.Regression || !slices.Equal(h.Targets, sizeNames) || out.model.Head().Classes != nil {
			t.Fatalf("head %+v, classes %v", h, out.model.Head().Classes)
		}
		var squares, spread, mean [2]float64
		for _, r := range test {
			for k, y := range sizes(r) {
				mean[k] += y / float64(len(test))
			}
		}
		for i, x := range answers(t, out.model, test) {
			y := sizes(test[i/2])[i%2]
			squares[i%2] += (float64(x) - y) * (float64(x) - y)
			spread[i%2] += (y - mean[i%2]) * (y - mean[i%2])
		}
		for k, name := range sizeNames {
			if r2 := 1 - squares[k]/spread[k]; r2 < 0.9 {
				t.Errorf("%s: R² of %s is %v", with, name, r2)
			}
		}
		last := out.history[len(out.history)-1]
		if !math.IsNaN(last.Accuracy) || !math.IsNaN(last.ValidationAccuracy) || last.ValidationLoss > 0.2 {
			t.Errorf("%s: %+v", with, last)
		}
		if log := strings.Join(out.log, "\n"); !strings.Contains(log, "216 training rows, 54 validation rows, 6 features, 2 numbers to tell") || !strings.Contains(log, "standard deviations") {
			t.Errorf("log:\n%s", log)
		}
	}
	// Before the first step the answer is the mean.
	start := mustRun(t, "{head: linear, epochs: 1, learning_rate: 1e-30, restore: last}", rec).model
	var mean, n float64
	for i, r := range rows[:240] {
		if i%20 != 4 && i%20 != 5 {
			mean, n = mean+sizes(r)[0], n+1
		}
	}
	if got := float64(answers(t, start, test[:1])[0]); math.Abs(got-mean/n) > 1 {
		t.Errorf("an untrained head tells %v, the mean is %v", got, mean/n)
	}
}

// A training of each task gives the same bytes for any number of threads, and a model goes on.
func TestTargetsSameBytesAndGoOn(t *testing.T) {
	rows := someRows()
	classes := withTarget(t, nil, features(t, rows...), func(i int) []string { return tags(rows[i]) })
	numbers := withTarget(t, sizeNames, features(t, rows...), func(i int) []float64 { return sizes(rows[i]) })
	for name, rec := range map[string]arrow.Record{"classes": classes, "numbers": numbers} {
		stage := func() pipeline.Stage {
			return pipelinetest.Stage(t, Kind(), "{epochs: 3, accumulate: 2, average: 0.9}")
		}
		var want []byte
		for _, threads := range []int{1, 3} {
			env := pipelinetest.Env(t)
			env.Threads = threads
			out, err := run(t, env, stage(), rec)
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = out.bytes
			}
			if !slices.Equal(out.bytes, want) {
				t.Errorf("%s: %d threads give other bytes", name, threads)
			}
		}
		first, err := pipelinetest.Run(context.Background(), t, pipelinetest.Env(t), stage(), Kind(), map[string][]pipeline.Input{DataPort: {pipelinetest.NewTable("features", nil, rec)}})
		if err != nil {
			t.Fatal(err)
		}
		goOn := func(rec arrow.Record) (*pipelinetest.Table, error) {
			out, err := pipelinetest.Run(context.Background(), t, pipelinetest.Env(t), stage(), Kind(), map[string][]pipeline.Input{
				DataPort: {pipelinetest.NewTable("features", nil, rec)}, ModelPort: {first[ModelPort]},
			})
			return out[ModelPort], err
		}
		if _, err := goOn(rec); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		other := map[string]arrow.Record{
			"it has no class \"new\"": withTarget(t, nil, features(t, rows...), func(i int) []string { return []string{"new"}[:i%2] }),
			"differs from that of":    features(t, rows...),
		}
		if name == "numbers" {
			other = map[string]arrow.Record{
				"predicts 2 numbers":   withTarget(t, []string{"price"}, features(t, rows...), func(i int) []float64 { return sizes(rows[i])[:1] }),
				"differs from that of": classes,
				"no number":            withTarget(t, []string{"price", "height"}, features(t, rows...), func(i int) []float64 { return sizes(rows[i]) }),
			}
		}
		for want, rec := range other {
			if _, err := goOn(rec); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", name, err, want)
			}
		}
		// Fewer classes, or numbers in another order, are put where the model has them.
		some := withTarget(t, nil, features(t, rows...), func(i int) []string {
			return slices.DeleteFunc(tags(rows[i]), func(tag string) bool { return tag == "rare" })
		})
		if name == "numbers" {
			some = withTarget(t, []string{"weight", "price"}, features(t, rows...), func(i int) []float64 {
				x := sizes(rows[i])
				return []float64{x[1], x[0]}
			})
		}
		out, err := goOn(some)
		if err != nil {
			t.Fatal(err)
		}
		model, err := classifier.Read(context.Background(), out)
		if err != nil {
			t.Fatal(err)
		}
		before, err := classifier.Read(context.Background(), first[ModelPort])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(model.Head().Names(), before.Head().Names()) {
			t.Errorf("%s: the model tells %v", name, model.Head().Names())
		}
		if name == "numbers" {
			same, err := goOn(rec)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := classifier.Read(context.Background(), same); err != nil || !sameWeights(again, model) {
				t.Errorf("numbers in another order give other weights, %v", err)
			}
		}
	}
}

func TestWhatTargetsCannotHave(t *testing.T) {
	rows := someRows()
	classes := withTarget(t, nil, features(t, rows...), func(i int) []string { return tags(rows[i]) })
	numbers := withTarget(t, sizeNames, features(t, rows...), func(i int) []float64 { return sizes(rows[i]) })
	for _, c := range []struct {
		with, want string
		rec        arrow.Record
	}{
		{"{head: logistic}", "head: is for one class a row, and the data have any of several classes a row", classes},
		{"{sampling: balanced}", "sampling: is for one class a row", classes},
		{"{class_weights: {small: 2}}", `class_weights.small: no training row is of class "small"`, classes},
		{"{class_weights: balanced}", "class_weights: is for one class a row, and the data have numbers", numbers},
		{"{early_stopping: {monitor: val_accuracy}}", "early_stopping: is for one class a row", numbers},
		{"{}", "no class applies to any of the 240 training rows", withTarget(t, nil, features(t, rows...), func(i int) []string {
			if i < 240 {
				return []string{}
			}
			return []string{"late"}
		})},
		{"{}", "weight is 7 in all 240 training rows", withTarget(t, sizeNames, features(t, rows...), func(i int) []float64 { return []float64{float64(i), 7} })},
		{"{}", "weight is unknown for all 240 training rows", withTarget(t, sizeNames, features(t, rows...), func(i int) []float64 { return []float64{float64(i), math.NaN()} })},
		{"{}", "none of the 240 rows of split train has a label", withTarget(t, sizeNames, features(t, rows...), func(i int) []float64 { return nil })},
	} {
		out, err := run(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), c.with), c.rec)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q (log %q)", c.with, err, c.want, out.log)
		}
	}
	// Labels are learned where the target is another column, and where there is no target.
	if out := mustRun(t, "{target: number, epochs: 1}", features(t, slices.Concat(rows, []row{{split: "train", label: "longer", features: make([]float32, width)}})...)); out.model.Head().Task != record.SingleLabel {
		t.Errorf("head %+v", out.model.Head())
	}
}

// Every strategy trains a backbone for each task, from pixels and from cached activations.
func TestStrategiesOfTargets(t *testing.T) {
	chunks := pictures(t, 16, 6, 0)
	for _, task := range []record.Task{record.MultiLabel, record.Regression} {
		var targeted []arrow.Record
		for _, rec := range chunks {
			at, _, _ := record.Column(rec.Schema(), record.Label)
			down := func(i int) bool { return rec.Column(at).ValueStr(i) == "down" }
			if task == record.MultiLabel {
				targeted = append(targeted, withTarget(t, nil, rec, func(i int) []string {
					if down(i) {
						return []string{"down", "striped"}
					}
					return []string{"striped"}
				}))
				continue
			}
			targeted = append(targeted, withTarget(t, []string{"angle"}, rec, func(i int) []float64 {
				if down(i) {
					return []float64{90}
				}
				return []float64{0}
			}))
		}
		for word, phases := range map[string]int{
			strategy.FeatureExtraction: 1, strategy.Partial: 1, strategy.Full: 1, strategy.Progressive: 3, strategy.FineTune: 2, strategy.Layerwise: 1, strategy.Adapted: 1, strategy.LinearThenFull: 2,
		} {
			if word != strategy.Progressive && os.Getenv("TLPIPE_HEAVY") == "" {
				continue
			}
			spelled := "{kind: " + word + ", epochs: [" + strings.Repeat("1, ", phases-1) + "1]}"
			out := mustRunPictures(t, "{"+small+", restore: last, strategy: "+spelled+"}", targeted)
			if out.model.Head().Task != task || len(out.history) != phases || !slices.Equal(out.model.InputShape(), nn.Shape{side, side, 3}) {
				t.Errorf("%s of %s: head %+v, %d epochs", word, task, out.model.Head(), len(out.history))
			}
			for _, d := range out.diagnostics {
				if d.Name == record.OverfittingGap {
					t.Errorf("%s of %s: diagnostic %+v", word, task, d)
				}
			}
		}
		out := mustRunPictures(t, "{"+small+", strategy: [{epochs: 6, learning_rate: 0.03}], prefix_cache: 0}", targeted)
		cached := mustRunPictures(t, "{"+small+", strategy: [{epochs: 6, learning_rate: 0.03}], prefix_precision: float32}", targeted)
		last, again := out.history[5].ValidationLoss, cached.history[5].ValidationLoss
		if last > 0.3 || math.Abs(last-again) > 0.02*(1+last) {
			t.Errorf("%s: validation loss %v, from cached activations %v", task, last, again)
		}
		_, err := runPictures(t, pipelinetest.Env(t), "{"+small+", start: logistic}", targeted)
		if want := "start: is for one class a row"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
