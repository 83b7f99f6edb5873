package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// row is a row of features.
type row struct {
	split, label string // label "" is null
	copy         int32
	features     []float32
}

const width = 6

// blobs gives rows of three classes around centres of their own; spread is how
// far they scatter.
func blobs(split string, n int, spread float64, seed uint64) []row {
	random := rand.New(rand.NewPCG(seed, 5))
	var out []row
	for i := range n {
		class := i % 3
		r := row{split: split, label: []string{"cat", "dog", "ant"}[class]}
		for j := range width {
			centre := 10.0
			if j%3 == class {
				centre = 12
			}
			r.features = append(r.features, float32(centre+spread*random.NormFloat64()))
		}
		out = append(out, r)
	}
	return out
}

// squashed is how the pictures were prepared that features are of.
var squashed = record.Preprocessing{Height: 8, Width: 8, Resize: record.ResizeSquash, Filter: record.FilterBilinear, Channels: "rgb", Std: [3]float32{1, 1, 1}}

func features(t testing.TB, rows ...row) arrow.Record {
	t.Helper()
	meta := arrow.MetadataFrom(map[string]string{record.PreprocessingKey: squashed.Encode(), record.ExtractionKey: `{"backbone":"x"}`, "other": "1"})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, width),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String},
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
		{Name: "number", Type: arrow.PrimitiveTypes.Int64},
		{Name: "weight", Type: arrow.PrimitiveTypes.Float64},
	}, &meta)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i, r := range rows {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprint("row", i))
		list := b.Field(1).(*array.FixedSizeListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Float32Builder).AppendValues(r.features, nil)
		if r.label == "" {
			b.Field(2).AppendNull()
		} else {
			b.Field(2).(*array.StringBuilder).Append(r.label)
		}
		b.Field(3).(*array.StringBuilder).Append(r.split)
		b.Field(4).(*array.Int32Builder).Append(r.copy)
		b.Field(5).(*array.Int64Builder).Append(int64(len(r.label)))
		b.Field(6).(*array.Float64Builder).Append(0)
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return rec
}

// outputs are what a run wrote.
type outputs struct {
	model, last *classifier.Classifier
	history     []record.TrainingEpoch
	bytes       []byte // of all
	log         []string
}

func run(t testing.TB, env *pipeline.Env, s pipeline.Stage, chunks ...arrow.Record) (*outputs, error) {
	t.Helper()
	ctx := context.Background()
	out := &outputs{}
	env.Log = func(format string, args ...any) { out.log = append(out.log, fmt.Sprintf(format, args...)) }
	in := map[string][]pipeline.Input{"data": {pipelinetest.NewTable("features", nil, chunks...)}}
	tables, err := pipelinetest.Run(ctx, t, env, s, Kind(), in)
	if err != nil {
		return out, err
	}
	for _, port := range Kind().Outputs {
		for _, rec := range tables[port.Name].Records() {
			data, err := record.Encode(rec)
			if err != nil {
				t.Fatal(err)
			}
			out.bytes = append(out.bytes, data...)
		}
	}
	if out.model, err = classifier.Read(ctx, tables["model"]); err != nil {
		t.Fatal(err)
	}
	if out.last, err = classifier.Read(ctx, tables["last"]); err != nil {
		t.Fatal(err)
	}
	if out.history, err = record.ReadRows[record.TrainingEpoch](tables["history"].Batches(ctx)); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

func mustRun(t testing.TB, with string, chunks ...arrow.Record) *outputs {
	t.Helper()
	out, err := run(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), with), chunks...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// accuracy classifies rows with a model as predict would.
func accuracy(t testing.TB, c *classifier.Classifier, rows []row) float64 {
	t.Helper()
	program, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var x []float32
	for _, r := range rows {
		x = append(x, r.features...)
	}
	p := make([]float32, len(rows)*len(c.Head().Classes))
	if err := program.NewSession(len(rows)).Run(nil, x, len(rows), p); err != nil {
		t.Fatal(err)
	}
	correct := 0
	for i, r := range rows {
		of := p[i*len(c.Head().Classes) : (i+1)*len(c.Head().Classes)]
		if c.Head().Classes[slices.Index(of, slices.Max(of))] == r.label {
			correct++
		}
	}
	return float64(correct) / float64(len(rows))
}

func TestLearns(t *testing.T) {
	training, validation, test := blobs("train", 90, 0.3, 1), blobs("val", 30, 0.3, 2), blobs("test", 60, 0.3, 3)
	all := slices.Concat(test, training, validation)
	for _, with := range []string{
		"{}",
		"{head: linear, standardise: true, learning_rate: 0.05}",
		"{head: {hidden: 16, batch_norm: false, activation: tanh}, optimiser: sgd, learning_rate: 0.05, standardise: true}",
		"{head: {hidden: [32, 8], dropout: 0.1}, optimiser: adamw, schedule: one_cycle, learning_rate: 0.01, label_smoothing: 0.1}",
		"{optimiser: rmsprop, momentum: 0.5, schedule: {kind: plateau, patience: 2}, class_weights: balanced, l2: 1e-4, clip_norm: 1, warm_up: 1}",
		"{optimiser: sgd, nesterov: true, schedule: cosine, class_weights: {cat: 2}, early_stopping: {patience: 20, monitor: val_accuracy}}",
	} {
		out := mustRun(t, with, features(t, all[:70]...), features(t, all[70:]...))
		if got := accuracy(t, out.model, test); got != 1 {
			t.Errorf("%s: accuracy %v on test rows", with, got)
		}
		if want := []string{"ant", "cat", "dog"}; !slices.Equal(out.model.Head().Classes, want) {
			t.Errorf("classes %v, want %v", out.model.Head().Classes, want)
		}
		steps := append(squashed.Transforms(), record.FeaturesStep{Extraction: record.Extraction{Backbone: "x"}})
		if in := out.model.Input(); len(out.model.Metadata) != 0 || !reflect.DeepEqual(in.Transforms, steps) || in.Column != record.Feature {
			t.Errorf("metadata %v, input %+v", out.model.Metadata, in)
		}
		if len(out.history) != 30 {
			t.Errorf("%s: %d epochs", with, len(out.history))
		}
	}
}

func TestTutorialHead(t *testing.T) {
	out := mustRun(t, "{epochs: 1}", features(t, slices.Concat(blobs("train", 12, 1, 1), blobs("val", 3, 1, 2))...))
	var layers []string
	for _, l := range out.model.Network.Layers() {
		layers = append(layers, l.Name+" "+l.Op.Kind())
	}
	want := []string{
		"features input",
		"hidden1.dense dense", "hidden1.norm batch_norm", "hidden1.activation activation", "hidden1.dropout dropout",
		"hidden2.dense dense", "hidden2.norm batch_norm", "hidden2.activation activation", "hidden2.dropout dropout",
		"logits dense", "probabilities softmax",
	}
	if !slices.Equal(layers, want) {
		t.Errorf("layers %q", layers)
	}
	if out.model.Network.Shape("hidden1.dense")[0] != 256 || out.model.Network.Shape("hidden2.dense")[0] != 128 {
		t.Error("widths are not 256 and 128")
	}
}

// TestHistoryAndBest trains until it overfits, so that the best epoch is not
// the last.
func TestHistoryAndBest(t *testing.T) {
	rec := features(t, slices.Concat(blobs("train", 30, 2, 1), blobs("val", 30, 2, 2))...)
	out := mustRun(t, "{epochs: 60, learning_rate: 0.01, early_stopping: {patience: 8}, schedule: {kind: plateau, patience: 3, factor: 0.1}}", rec)
	kept := 0
	for i, e := range out.history {
		if int(e.Epoch) != i+1 {
			t.Errorf("row %d is epoch %d", i, e.Epoch)
		}
		if e.ValidationLoss < out.history[kept].ValidationLoss {
			kept = i
		}
	}
	for i, e := range out.history {
		if e.Kept != (i == kept) {
			t.Errorf("epoch %d: kept is %v, the best is %d", e.Epoch, e.Kept, kept+1)
		}
	}
	if len(out.history) != kept+1+8 {
		t.Errorf("stopped after %d epochs, the best was %d", len(out.history), kept+1)
	}
	if last := out.history[len(out.history)-1]; last.LearningRate > 0.0011 {
		t.Errorf("the rate is still %v", last.LearningRate)
	}
	if sameWeights(out.model, out.last) {
		t.Error("the best weights are the last")
	}
	again := mustRun(t, "{epochs: 60, learning_rate: 0.01, early_stopping: {patience: 8}, schedule: {kind: plateau, patience: 3, factor: 0.1}, restore: last}", rec)
	if !sameWeights(again.model, out.last) || !sameWeights(again.last, out.last) || !again.history[len(again.history)-1].Kept {
		t.Error("restore: last does not give the last weights")
	}
}

func sameWeights(a, b *classifier.Classifier) bool {
	for name, tensor := range a.Weights {
		if !slices.Equal(tensor.Data, b.Weights[name].Data) {
			return false
		}
	}
	return true
}

// TestRowsInUse changes rows that training must not see, and some that it must.
func TestRowsInUse(t *testing.T) {
	base := func() []row {
		rows := slices.Concat(blobs("train", 24, 1, 1), blobs("val", 12, 1, 2), blobs("test", 12, 1, 3))
		rows[5].copy = 1
		rows[26].copy = 1 // a copy of a validation row
		return rows
	}
	want := mustRun(t, "{epochs: 2}", features(t, base()...)).bytes
	for i, seen := range map[int]bool{5: true, 7: true, 24: true, 26: false, 40: false} {
		rows := base()
		rows[i].features = slices.Repeat([]float32{3}, width)
		got := mustRun(t, "{epochs: 2}", features(t, rows...)).bytes
		if bytes.Equal(got, want) == seen {
			t.Errorf("row %d, of split %s and copy %d: a change of it seen: %v", i, rows[i].split, rows[i].copy, !seen)
		}
	}
}

func TestSameBytesForAnyThreads(t *testing.T) {
	rec := features(t, slices.Concat(blobs("train", 70, 2, 1), blobs("val", 20, 2, 2))...)
	var want []byte
	for _, threads := range []int{1, 2, 4} {
		env := pipelinetest.Env(t)
		env.Threads = threads
		out, err := run(t, env, pipelinetest.Stage(t, Kind(), "{epochs: 5, standardise: true, clip_norm: 1}"), rec)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = out.bytes
		}
		if !bytes.Equal(out.bytes, want) {
			t.Errorf("%d threads gave other bytes than one", threads)
		}
	}
	env := pipelinetest.Env(t)
	env.Seed++
	out, err := run(t, env, pipelinetest.Stage(t, Kind(), "{epochs: 5, standardise: true, clip_norm: 1}"), rec)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(out.bytes, want) {
		t.Error("another seed gave the same bytes")
	}
}

func TestResumedEqualsUndisturbed(t *testing.T) {
	const with = "{epochs: 12, standardise: true, learning_rate: 0.01, schedule: plateau, early_stopping: {patience: 6}, optimiser: adamw}"
	rec := features(t, slices.Concat(blobs("train", 31, 2, 1), blobs("val", 20, 2, 2))...)
	want := mustRun(t, with, rec)
	killed := errors.New("killed")
	eager := pipelinetest.Stage(t, Kind(), with).(*stage)
	eager.CheckpointLeast, eager.CheckpointShare = 0, 0
	for saves := 1; saves < len(want.history)-1; saves++ {
		env := pipelinetest.Env(t)
		checkpoint := &pipelinetest.MemoryCheckpoint{AfterSave: func(n int) error {
			if n == saves {
				return killed
			}
			return nil
		}}
		env.Checkpoint = checkpoint
		if _, err := run(t, env, eager, rec); !errors.Is(err, killed) {
			t.Fatal(err)
		}
		checkpoint.AfterSave = nil
		var epochs []int64
		env.Progress = func(done, total int64, unit string) {
			if total != 12 || unit != "epoch" {
				t.Errorf("progress of %d %ss", total, unit)
			}
			epochs = append(epochs, done)
		}
		out, err := run(t, env, eager, rec)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.bytes, want.bytes) {
			t.Errorf("killed after %d epochs and resumed, the outputs are other bytes", saves)
		}
		if epochs[0] != int64(saves)+1 {
			t.Errorf("resumed with epoch %d after %d", epochs[0], saves)
		}
	}
}

func TestUnusableCheckpointStartsAnew(t *testing.T) {
	rec := features(t, slices.Concat(blobs("train", 24, 1, 1), blobs("val", 12, 1, 2))...)
	want := mustRun(t, "{epochs: 2}", rec)
	env := pipelinetest.Env(t)
	env.Checkpoint = &pipelinetest.MemoryCheckpoint{State: []byte("rubbish")}
	out, err := run(t, env, pipelinetest.Stage(t, Kind(), "{epochs: 2}"), rec)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.bytes, want.bytes) {
		t.Error("other bytes")
	}
	if !strings.Contains(strings.Join(out.log, "\n"), "starts anew") {
		t.Errorf("log %q", out.log)
	}
}

func TestWithoutValidation(t *testing.T) {
	rec := features(t, blobs("train", 24, 1, 1)...)
	out := mustRun(t, "{epochs: 2}", rec)
	if !sameWeights(out.model, out.last) || !out.history[1].Kept || !math.IsNaN(out.history[0].ValidationLoss) {
		t.Errorf("history %+v", out.history)
	}
	if !strings.Contains(strings.Join(out.log, "\n"), "no row of split val") {
		t.Errorf("log %q", out.log)
	}
	for with, param := range map[string]string{"{early_stopping: {}}": "early_stopping", "{schedule: plateau}": "schedule"} {
		_, err := run(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), with), rec)
		var e *params.Error
		if !errors.As(err, &e) || e.Path != param {
			t.Errorf("%s: error %v", with, err)
		}
	}
}

func TestStandardiseIsFoldedIn(t *testing.T) {
	training, validation := blobs("train", 30, 1, 1), blobs("val", 12, 1, 2)
	for i := range training { // features of very different scales, one of them constant
		training[i].features[0] *= 1000
		training[i].features[1] = 7
	}
	for i := range validation {
		validation[i].features[0] *= 1000
		validation[i].features[1] = 7
	}
	out := mustRun(t, "{standardise: true, epochs: 20, restore: last}", features(t, slices.Concat(training, validation)...))
	mean, variance := out.model.Weights["standardise.mean"].Data, out.model.Weights["standardise.variance"].Data
	if mean[1] != 7 || variance[1] != 1 || mean[0] < 9000 || variance[0] < 1e5 {
		t.Errorf("mean %v, variance %v", mean, variance)
	}
	// What the stored model says of raw features is what training measured.
	if got, want := accuracy(t, out.model, validation), out.history[19].ValidationAccuracy; got != want {
		t.Errorf("accuracy %v on validation rows, the history has %v", got, want)
	}
	if loss := crossEntropy(t, out.model, validation); math.Abs(loss-out.history[19].ValidationLoss) > 1e-4 {
		t.Errorf("loss %v on validation rows, the history has %v", loss, out.history[19].ValidationLoss)
	}
}

func crossEntropy(t *testing.T, c *classifier.Classifier, rows []row) (mean float64) {
	program, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]float32, len(c.Head().Classes))
	for _, r := range rows {
		if err := program.NewSession(1).Run(nil, r.features, 1, p); err != nil {
			t.Fatal(err)
		}
		mean -= math.Log(float64(p[slices.Index(c.Head().Classes, r.label)])) / float64(len(rows))
	}
	return mean
}

func TestTargetColumn(t *testing.T) {
	rows := blobs("train", 30, 1, 1)
	for i := range rows {
		rows[i].label += strings.Repeat("x", i%3)
	}
	out := mustRun(t, "{target: number, epochs: 1}", features(t, rows...))
	if want := []string{"3", "4", "5"}; !slices.Equal(out.model.Head().Classes, want) {
		t.Errorf("classes %v, want %v", out.model.Head().Classes, want)
	}
}

func TestRowsThatCannotBeUsed(t *testing.T) {
	rows := slices.Concat(blobs("train", 24, 1, 1), blobs("val", 12, 1, 2))
	rows[3].label = ""
	rows[30].label = ""
	rows[31].label = "emu"
	out := mustRun(t, "{epochs: 1}", features(t, rows...))
	log := strings.Join(out.log, "\n")
	for _, want := range []string{"1 for training, 1 for validation", "emu 1", "23 training rows, 10 validation rows"} {
		if !strings.Contains(log, want) {
			t.Errorf("log has no %q:\n%s", want, log)
		}
	}
}

func TestWhatCannotBeLearnedFrom(t *testing.T) {
	spoiled := func(spoil func(rows []row)) arrow.Record {
		rows := slices.Concat(blobs("train", 24, 1, 1), blobs("val", 12, 1, 2))
		spoil(rows)
		return features(t, rows...)
	}
	same := func([]row) {}
	for _, c := range []struct {
		with, want string
		rec        arrow.Record
	}{
		{"{}", "no row of split train to train on; rows by split: test 24, val 12", spoiled(func(rows []row) {
			for i := range 24 {
				rows[i].split = "test"
			}
		})},
		{"{}", `all 24 training rows are of class "cat"`, spoiled(func(rows []row) {
			for i := range rows {
				rows[i].label = "cat"
			}
		})},
		{"{}", "none of the 24 rows of split train has a label", spoiled(func(rows []row) {
			for i := range rows {
				rows[i].label = ""
			}
		})},
		{"{}", `2 rows have a feature that is not a finite number; the first is "row4"`, spoiled(func(rows []row) {
			rows[4].features[2] = float32(math.NaN())
			rows[9].features[0] = float32(math.Inf(1))
		})},
		{"{target: kind}", `target: there is no column "kind"`, spoiled(same)},
		{"{target: weight}", "weight is 0 in all 24 training rows where it is known", spoiled(same)},
		{"{target: feature}", "neither classes nor numbers", spoiled(same)},
		{"{class_weights: {cow: 2}}", `class_weights.cow: no training row is of class "cow"`, spoiled(same)},
		{"{optimiser: sgd, head: linear, learning_rate: 3e38}", "diverged", spoiled(same)},
	} {
		out, err := run(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), c.with), c.rec)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q (log %q)", c.with, err, c.want, out.log)
		}
	}
	if _, err := run(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), "{}")); err == nil || !strings.Contains(err.Error(), "have no rows") {
		t.Errorf("error %v", err)
	}
}

func TestParameters(t *testing.T) {
	for with, want := range map[string]string{
		"{head: tutorail}": `did you mean "tutorial"?`,
		"{head: {hidden: [4, 5], dropout: [0.1, 0.2, 0.3]}}": "3 rates for 2 hidden layers",
		"{head: {hidden: 4, dropout: 1.5}}":                  "above the largest",
		"{head: {width: 4}}":                                 "unknown key",
		"{schedule: cosin}":                                  `did you mean "cosine"?`,
		"{schedule: {kind: cosine, patience: 3}}":            "schedule cosine has none",
		"{schedule: {factor: 0.5}}":                          `"kind" is required`,
		"{early_stopping: soon}":                             "expected a mapping",
		"{early_stopping: {monitor: accuracy}}":              "is not one of",
		"{class_weights: balance}":                           `did you mean "balanced"?`,
		"{class_weights: {cat: 0}}":                          "must be above 0",
		"{momentum: 0.9}":                                    "adam has no momentum",
		"{nesterov: true}":                                   "no Nesterov",
		"{optimiser: sgd, momentum: 0, nesterov: true}":      "needs a momentum",
		"{weight_decay: 0.1}":                                "only adamw",
		"{optimiser: adamw, l2: 0.1}":                        "use weight_decay",
		"{batch_size: 1}":                                    "batch-norm learns nothing",
		"{warm_up: 30}":                                      "shorter than the training",
		"{epochs: 0}":                                        "below the smallest",
		"{learning_rate: 0}":                                 "must be above 0",
	} {
		if _, err := pipelinetest.TryStage(Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
	for _, pair := range [][2]string{
		{"{}", "{head: tutorial, early_stopping: none, class_weights: none, schedule: constant}"},
		{"{}", "{head: {hidden: [256, 128], dropout: [0.5, 0.3]}}"},
		{"{schedule: plateau}", "{schedule: {kind: plateau, factor: 0.5, patience: 3}}"},
		{"{early_stopping: {}}", "{early_stopping: {patience: 5, monitor: val_loss}}"},
	} {
		var recipes [2]string
		for i, with := range pair {
			recipes[i] = fmt.Sprint(params.Canonical(pipelinetest.Stage(t, Kind(), with).(*stage).Params))
		}
		if recipes[0] != recipes[1] {
			t.Errorf("%s and %s are different recipes:\n%s\n%s", pair[0], pair[1], recipes[0], recipes[1])
		}
	}
}

func TestTraitsGoFromFeaturesToModels(t *testing.T) {
	s := pipelinetest.Stage(t, Kind(), "{}")
	out, err := s.Check(map[string][]pipeline.Traits{"data": {{record.ExtractionKey: "e", record.PreprocessingKey: "p", "x": "y"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"model", "last"} {
		if got := out[port]; got[record.ExtractionKey] != "e" || got[record.PreprocessingKey] != "p" || len(got) != 2 {
			t.Errorf("%s has traits %v", port, got)
		}
	}
}

func TestStopsWhenTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	env := pipelinetest.Env(t)
	env.Progress = func(int64, int64, string) { cancel() }
	in := map[string][]pipeline.Input{"data": {pipelinetest.NewTable("features", nil, features(t, blobs("train", 24, 1, 1)...))}}
	_, err := pipelinetest.Run(ctx, t, env, pipelinetest.Stage(t, Kind(), "{epochs: 1000000}"), Kind(), in)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
