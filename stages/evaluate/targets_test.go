package evaluate_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// targeted adds a column of classes, or of numbers with these names, to a table of rows; of is the truth of
// each, nil if it is not known.
func targeted[T string | float64](t testing.TB, numbers []string, rows []row, of func(row) []T) arrow.Record {
	t.Helper()
	rec := features(t, "", rows...)
	field := record.ClassesField(record.Target)
	if numbers != nil {
		field = record.NumbersField(record.Target, numbers)
	}
	b := array.NewBuilder(memory.DefaultAllocator, field.Type)
	defer b.Release()
	for _, r := range rows {
		switch truth := any(of(r)).(type) {
		case []string:
			lists := b.(*array.ListBuilder)
			lists.Append(truth != nil)
			lists.ValueBuilder().(*array.StringBuilder).AppendValues(truth, nil)
		case []float64:
			lists := b.(*array.FixedSizeListBuilder)
			if lists.Append(truth != nil); truth == nil {
				truth = make([]float64, len(numbers))
			}
			lists.ValueBuilder().(*array.Float64Builder).AppendValues(truth, nil)
		}
	}
	schema := arrow.NewSchema(append(slices.Clone(rec.Schema().Fields()), field), nil)
	out := array.NewRecord(schema, append(slices.Clone(rec.Columns()), b.NewArray()), rec.NumRows())
	t.Cleanup(out.Release)
	return out
}

// teller makes a model whose outputs are its features, after a sigmoid for classes.
func teller(t testing.TB, name string, h record.Head) pipeline.Input {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("features", 2)
	function := kernel.Sigmoid
	if h.Task == record.Regression {
		function = kernel.None
	}
	x = b.Layer("dense", nn.Dense{Out: len(h.Names())}, x)
	b.Layer("answers", nn.Activation{Function: function}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float32, 2*len(h.Names()))
	for i := range h.Names() {
		weights[3*i%len(weights)] = 1
	}
	c := classifier.New(net, nn.Weights{"dense.weight": {Shape: nn.Shape{len(h.Names()), 2}, Data: weights}}, h, nil)
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rec.Release)
	return pipelinetest.NewTable(name, nil, rec)
}

// scattered are rows of all splits, test rows in two domains.
func scattered() (rows []row) {
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 120 {
		r := row{id: fmt.Sprint("r", i), split: []string{"train", "val", "test", "test"}[i%4], domain: []string{"a", "b"}[i%2], object: fmt.Sprint(i / 3)}
		if i%4 == 2 {
			r.domain = "b"
		} else if i%4 == 3 {
			r.domain = "a"
		}
		r.x, r.y = float32(random.NormFloat64()), float32(random.NormFloat64())
		rows = append(rows, r)
	}
	return rows
}

// kinds are the classes that apply: mostly those whose feature is above −0.4 and 0.4.
func kinds(r row) []string {
	if r.id == "r2" || r.id == "r0" {
		return nil
	}
	out := []string{}
	if r.x > -0.4 != (r.object == "5") {
		out = append(out, "left")
	}
	if r.y > 0.4 != (r.object == "6" || r.object == "11") {
		out = append(out, "up")
	}
	if r.id == "r7" {
		out = append(out, "odd")
	}
	return out
}

func known(rows []row, split string) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.split != split || kinds(r) == nil })
}

// sampleOf measures the teller by itself.
func sampleOf(t *testing.T, rows []row, threshold float64) (*metrics.MultiLabel, []bool, []float32) {
	t.Helper()
	var truth []bool
	var p []float32
	for _, r := range rows {
		truth = append(truth, slices.Contains(kinds(r), "left"), slices.Contains(kinds(r), "up"))
		p = append(p, float32(1/(1+math.Exp(-float64(r.x)))), float32(1/(1+math.Exp(-float64(r.y)))))
	}
	m, err := metrics.NewMultiLabel(truth, p, 2, threshold)
	if err != nil {
		t.Fatal(err)
	}
	return m, truth, p
}

func TestSeveralClasses(t *testing.T) {
	rows := scattered()
	rec := targeted(t, nil, rows, kinds)
	head := record.MultiLabelHead("label", []string{"left", "up"})
	out := run(t, "slices: [domain]", []pipeline.Input{teller(t, "net", head)}, []pipeline.Input{pipelinetest.NewTable("features", nil, rec)})
	_, truth, p := sampleOf(t, known(rows, "val"), 0.5)
	threshold := metrics.BestThreshold(truth, p)
	test := known(rows, "test")
	m, _, _ := sampleOf(t, test, threshold)
	if threshold == 0.5 || math.Abs(out.metric(t, "net", "", record.Threshold, "").Value-threshold) > 1e-6 {
		t.Errorf("threshold %v, want %v", out.metric(t, "net", "", record.Threshold, "").Value, threshold)
	}
	tally := m.Tally(nil)
	ap := []float64{m.AveragePrecision(0, nil), m.AveragePrecision(1, nil)}
	var photo []int
	for i, r := range test {
		if r.domain == "a" {
			photo = append(photo, i)
		}
	}
	slice, err := m.Select(photo)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		slice, metric, class string
		value                float64
		rows                 int
	}{
		{"", record.MeanAveragePrecision, "", (ap[0] + ap[1]) / 2, 59}, {"", record.MicroF1, "", tally.Micro().F1, 59}, {"", record.MacroF1, "", tally.Macro().F1, 59},
		{"", record.SubsetAccuracy, "", m.SubsetAccuracy(nil), 59}, {"", record.HammingLoss, "", m.HammingLoss(nil), 59}, {"", record.LogLoss, "", m.LogLoss(nil), 59},
		{"", record.CalibrationError, "", metrics.ExpectedCalibrationError(m.Calibration(10, nil)), 59},
		{"", record.MicroPrecision, "", tally.Micro().Precision, 59}, {"", record.MicroRecall, "", tally.Micro().Recall, 59},
		{"", record.MacroPrecision, "", tally.Macro().Precision, 59}, {"", record.MacroRecall, "", tally.Macro().Recall, 59},
		{"", record.ROCAUC, "", (m.AUC(0, nil) + m.AUC(1, nil)) / 2, 59}, {"", record.AveragePrecision, "up", ap[1], int(tally.Actual[1])},
		{"", record.Recall, "left", tally.Scores(0).Recall, int(tally.Actual[0])}, {"", record.ROCAUC, "up", m.AUC(1, nil), int(tally.Actual[1])},
		{"domain=a", record.SubsetAccuracy, "", slice.SubsetAccuracy(nil), len(photo)}, {"", record.Unlabelled, "", 1, 1}, {"", record.UnknownClasses, "odd", 1, 1},
	} {
		got := out.metric(t, "net", want.slice, want.metric, want.class)
		if math.Abs(got.Value-want.value) > 1e-6 || int(got.Rows) != want.rows {
			t.Errorf("%s of %q, slice %q: %v over %d rows, want %v over %d", want.metric, want.class, want.slice, got.Value, got.Rows, want.value, want.rows)
		}
		if got.Metric != record.Unlabelled && got.Metric != record.UnknownClasses && !(got.Low <= got.Value && got.Value <= got.High) {
			t.Errorf("%s of %q: interval %v to %v is not around %v", want.metric, want.class, got.Low, got.High, got.Value)
		}
	}
	// The baseline has the shares of the training rows.
	baseline := out.metric(t, "class frequencies", "", record.ROCAUC, "")
	if baseline.Role != record.BaselineRole || baseline.Value != 0.5 {
		t.Errorf("baseline %+v", baseline)
	}
	if len(out.comparison) != 1 || math.Abs(out.comparison[0].ValueA-m.SubsetAccuracy(nil)) > 1e-9 || out.comparison[0].Rows != 59 {
		t.Errorf("comparison %+v", out.comparison)
	}
	wrong := 0
	for i := range test {
		if !m.Right(i) {
			wrong++
		}
	}
	if len(out.mistakes) != min(wrong, 24) || len(out.confusion) != 0 {
		t.Errorf("%d mistakes of %d, %d rows of confusion", len(out.mistakes), wrong, len(out.confusion))
	}
	// Bins hold the answers to both classes, and their intervals count rows.
	answered := int64(0)
	for i, b := range m.Calibration(10, nil) {
		got := out.calibration[i]
		answered += got.Rows
		if got.Model != "net" || got.Rows != int64(b.Weight) || b.Weight > 0 && (got.Accuracy != b.Accuracy || got.AccuracyLow != metrics.Wilson(b.Accuracy*b.Rows, b.Rows).Low) {
			t.Errorf("bin %d: %+v, want %+v", i, got, b)
		}
	}
	if len(out.calibration) != 2*10 || answered != 2*59 {
		t.Errorf("%d bins with %d answers", len(out.calibration), answered)
	}
	for i, w := range out.mistakes[:len(out.mistakes)-1] {
		if w.Label == w.Predicted || w.Confidence < out.mistakes[i+1].Confidence || w.Confidence < 0.5 && threshold > 0.5 {
			t.Errorf("mistake %+v", w)
		}
	}
	// Predictions are of all rows, those that are not known too, with the truth beside them.
	answers := 0
	for _, rec := range out.tables["predictions"].Records() {
		predicted, err := record.NewTargetColumn(rec, record.Predicted)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := record.NewTargetColumn(rec, record.Target); err != nil {
			t.Error(err)
		}
		probabilities, err := record.TensorColumn(rec, record.Probabilities)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			p := probabilities.AppendFloats(nil, i)
			if slices.Contains(predicted.Classes(i), "left") != (float64(p[0]) >= out.metric(t, rec.Column(rec.Schema().FieldIndices("model")[0]).ValueStr(i), "", record.Threshold, "").Value) {
				t.Errorf("predicted %v of %v", predicted.Classes(i), p)
			}
			answers++
		}
		if h, err := record.ParseHead(func() string { v, _ := rec.Schema().Metadata().GetValue(record.HeadKey); return v }()); err != nil || !slices.Equal(h.Classes, head.Classes) {
			t.Errorf("head %+v, %v", h, err)
		}
	}
	if answers != 2*60 {
		t.Errorf("%d predictions", answers)
	}
	if got := run(t, "threshold: 0.7\nbootstrap: 0", []pipeline.Input{teller(t, "net", head)}, []pipeline.Input{pipelinetest.NewTable("features", nil, rec)}); got.metric(t, "net", "", record.Threshold, "").Value != 0.7 {
		t.Error("the threshold that was given is not that which was used")
	}
	if got := run(t, "split: val\nbootstrap: 0", []pipeline.Input{teller(t, "net", head)}, []pipeline.Input{pipelinetest.NewTable("features", nil, rec)}); got.metric(t, "net", "", record.Threshold, "").Value != 0.5 {
		t.Error("the threshold was chosen on the rows that are measured")
	}
}

// lengths are numbers: mostly the features, the second not always known.
func lengths(r row) []float64 {
	switch r.object {
	case "7":
		return nil
	case "8", "9":
		return []float64{float64(r.x + r.y/4), math.NaN()}
	}
	return []float64{float64(r.x + r.y/4), 2 * float64(r.y)}
}

func TestNumbers(t *testing.T) {
	rows := scattered()
	names := []string{"width", "height"}
	rec := targeted(t, names, rows, lengths)
	out := run(t, "slices: [domain]\ncluster: object", []pipeline.Input{teller(t, "net", record.RegressionHead("label", names))}, []pipeline.Input{pipelinetest.NewTable("features", nil, rec)})
	for k, name := range names {
		var truth, predicted, mean []float64
		training := 0.0
		for _, r := range rows {
			y := lengths(r)
			if y == nil || math.IsNaN(y[k]) {
				continue
			}
			switch r.split {
			case "test":
				truth, predicted = append(truth, y[k]), append(predicted, float64([]float32{r.x, r.y}[k]))
			case "train":
				mean = append(mean, y[k])
			}
		}
		for _, y := range mean {
			training += y / float64(len(mean))
		}
		for model, predicted := range map[string][]float64{"net": predicted, "mean": slices.Repeat([]float64{training}, len(truth))} {
			want, err := metrics.NewRegression(truth, predicted)
			if err != nil {
				t.Fatal(err)
			}
			for metric, value := range map[string]float64{
				record.MeanAbsoluteError: want.MeanAbsoluteError(nil), record.RootMeanSquaredError: want.RootMeanSquaredError(nil), record.R2: want.R2(nil),
			} {
				got := out.metric(t, model, "", metric, name)
				if math.Abs(got.Value-value) > 1e-6 || int(got.Rows) != len(truth) {
					t.Errorf("%s of %s of %s: %v over %d rows, want %v over %d", metric, name, model, got.Value, got.Rows, value, len(truth))
				}
				if !(got.Low < got.High && got.Low <= got.Value+1e-9) {
					t.Errorf("%s of %s of %s: %v, interval %v to %v", metric, name, model, got.Value, got.Low, got.High)
				}
			}
		}
	}
	both := (out.metric(t, "net", "", record.R2, "width").Value + out.metric(t, "net", "", record.R2, "height").Value) / 2
	if got := out.metric(t, "net", "", record.R2, ""); math.Abs(got.Value-both) > 1e-9 || !(got.Low < both && both < got.High) {
		t.Errorf("R² of both %+v, want %v", got, both)
	}
	if role := out.metric(t, "mean", "", record.R2, "").Role; role != record.BaselineRole {
		t.Errorf("the mean is a %s", role)
	}
	if out.metric(t, "net", "domain=a", record.R2, "").Rows == 0 || len(out.mistakes) != 0 {
		t.Error("slices or mistakes")
	}
	// Each number is compared by the mean absolute error, on the rows of which it is known.
	if len(out.comparison) != 2 {
		t.Fatalf("comparisons %+v", out.comparison)
	}
	for k, c := range out.comparison {
		net, mean := out.metric(t, "net", "", record.MeanAbsoluteError, names[k]), out.metric(t, "mean", "", record.MeanAbsoluteError, names[k])
		if c.A != "net" || c.B != "mean" || c.Metric != record.MeanAbsoluteError || c.Class != names[k] || c.Rows != net.Rows ||
			math.Abs(c.ValueA-net.Value)+math.Abs(c.ValueB-mean.Value)+math.Abs(c.Difference-net.Value+mean.Value) > 1e-9 ||
			!(c.Low < c.Difference && c.Difference < c.High) || c.OnlyA+c.OnlyB > c.Rows || c.P != metrics.McNemar(int(c.OnlyA), int(c.OnlyB)) || c.PAdjusted < c.P {
			t.Errorf("comparison %+v", c)
		}
		if c.Decided() && c.Difference > 0 {
			t.Errorf("the mean is said to be closer: %+v", c)
		}
	}
	// One number alone is measured without its name; numbers are found by name.
	one := run(t, "bootstrap: 10", []pipeline.Input{teller(t, "net", record.RegressionHead("label", []string{"height"}))}, []pipeline.Input{pipelinetest.NewTable("features", nil, rec)})
	if got := one.metric(t, "net", "", record.MeanAbsoluteError, ""); got.Rows == 0 {
		t.Errorf("%+v", got)
	}
	for _, rec := range one.tables["predictions"].Records() {
		if c, err := record.NewTargetColumn(rec, record.Predicted); err != nil || !slices.Equal(c.Names, []string{"height"}) || len(rec.Schema().FieldIndices(record.Probabilities)) > 0 {
			t.Errorf("predictions %v, %v", rec.Schema(), err)
		}
	}
}

func TestTargetsThatCannotBeMeasured(t *testing.T) {
	rows := scattered()
	classes := pipelinetest.NewTable("classes", nil, targeted(t, nil, rows, kinds))
	numbers := pipelinetest.NewTable("numbers", nil, targeted(t, []string{"width"}, rows, func(r row) []float64 { return lengths(r)[:min(len(lengths(r)), 1)] }))
	unknown := pipelinetest.NewTable("unknown", nil, targeted(t, nil, rows, func(row) []string { return nil }))
	several, one := teller(t, "several", record.MultiLabelHead("label", []string{"left", "up"})), teller(t, "one", record.RegressionHead("label", []string{"width"}))
	for want, in := range map[string][2][]pipeline.Input{
		"evaluate them in separate stages":                {{several, one}, {classes, numbers}},
		"tells numbers, and column \"target\" of classes": {{one}, {classes}},
		"tells any of several classes, and column":        {{several}, {numbers}},
		"has a known target":                              {{several}, {unknown}},
		"predicts the number \"depth\"":                   {{teller(t, "deep", record.RegressionHead("label", []string{"depth"}))}, {numbers}},
	} {
		if _, err := try(t, pipelinetest.Env(t), "bootstrap: 10", in[0], in[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestTargetsSameBytesForAnyThreads(t *testing.T) {
	rows := scattered()
	for _, c := range []struct {
		rec  arrow.Record
		head record.Head
	}{
		{targeted(t, nil, rows, kinds), record.MultiLabelHead("label", []string{"left", "up"})},
		{targeted(t, []string{"width", "height"}, rows, lengths), record.RegressionHead("label", []string{"width", "height"})},
	} {
		var want []byte
		for _, threads := range []int{1, 4} {
			env := pipelinetest.Env(t)
			env.Threads = threads
			out, err := try(t, env, "slices: [domain]", []pipeline.Input{teller(t, "net", c.head)}, []pipeline.Input{pipelinetest.NewTable("features", nil, c.rec)})
			if err != nil {
				t.Fatal(err)
			}
			var all []byte
			for _, port := range []string{"metrics", "predictions", "comparison", "mistakes"} {
				for _, rec := range out.tables[port].Records() {
					data, err := record.Encode(rec)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, data...)
				}
			}
			if want == nil {
				want = all
			}
			if !bytes.Equal(all, want) {
				t.Errorf("%s: %d threads give other bytes", c.head.Task, threads)
			}
		}
	}
}
