package transfer

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// A model tells which epoch it is of, as its history does, and what the epoch was chosen by.
func TestModelTellsItsSelection(t *testing.T) {
	training, validation := blobs("train", 60, 1.2, 1), blobs("val", 30, 1.2, 2)
	all := features(t, slices.Concat(training, validation)...)
	for _, c := range []struct{ with, by string }{
		{"{head: linear, epochs: 6, learning_rate: 0.5}", record.ChosenByLoss},
		{"{head: linear, epochs: 6, learning_rate: 0.5, early_stopping: {patience: 5, monitor: val_accuracy}}", record.ChosenByAccuracy},
		{"{head: linear, epochs: 6, learning_rate: 0.5, restore: last}", record.ChosenLast},
	} {
		out := mustRun(t, c.with, all)
		kept := out.history[slices.IndexFunc(out.history, func(e record.TrainingEpoch) bool { return e.Kept })]
		of := func(by string, e record.TrainingEpoch) record.Selection {
			return record.Selection{By: by, Phase: "head", Epoch: int(e.Epoch), Split: record.Validation, Rows: 30, Trained: 60, Metrics: map[string]float64{"loss": e.ValidationLoss, "accuracy": e.ValidationAccuracy}}
		}
		if got, want := *out.model.Description.Selection, of(c.by, kept); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the model tells %+v, want %+v", c.with, got, want)
		}
		if got, want := *out.last.Description.Selection, of(record.ChosenLast, out.history[len(out.history)-1]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the last tells %+v, want %+v", c.with, got, want)
		}
	}
	out := mustRun(t, "{head: linear, epochs: 2}", features(t, training...))
	if s := out.model.Description.Selection; s.By != record.ChosenLast || s.Epoch != 2 || s.Split != record.Train || s.Rows != 60 || s.Metrics["loss"] != out.history[1].Loss {
		t.Errorf("without validation rows the model tells %+v", s)
	}
}

func TestFittedModelTellsItsSelection(t *testing.T) {
	training, validation := blobs("train", 60, 0.8, 1), blobs("val", 30, 0.8, 2)
	for _, c := range []struct {
		head string
		rows []row
		by   string
	}{
		{"logistic", slices.Concat(training, validation), record.ChosenByLoss},
		{"logistic", training, record.ChosenByCross},
		{"lda", slices.Concat(training, validation), record.ChosenOnly},
	} {
		out := mustRun(t, "{head: "+c.head+"}", features(t, c.rows...))
		at := slices.IndexFunc(out.history, func(e record.TrainingEpoch) bool { return e.Kept })
		s, e := out.model.Description.Selection, out.history[at]
		if s.By != c.by || s.Phase != e.Phase || s.Epoch != at+1 || s.Tried != len(out.history) || s.Trained != 60 {
			t.Errorf("%s tells %+v, the history is %+v", c.head, s, out.history)
		}
		if !math.IsNaN(e.ValidationLoss) && s.Metrics["loss"] != e.ValidationLoss {
			t.Errorf("%s tells %+v, its loss is %v", c.head, s, e.ValidationLoss)
		}
	}
}

// Where no epoch of a phase is better than what it began with, the model is that of the phase before, or of no epoch.
func TestSelectionWithoutBetterEpoch(t *testing.T) {
	tr := &training{Setup: &Setup{Params: Defaults()}, data: &rows.Data{}, phases: []strategy.Phase{{Name: "head"}, {Name: "top"}}}
	tr.Restore = strategy.RestoreBest
	tr.data.Validation.Copies = make([]int, 4)
	epoch := func(phase string, number int32, kept bool) record.TrainingEpoch {
		return record.TrainingEpoch{Phase: phase, Epoch: number, Loss: 9, Accuracy: 0, ValidationLoss: float64(number), ValidationAccuracy: math.NaN(), Kept: kept}
	}
	tr.history = []record.TrainingEpoch{epoch("head", 1, false), epoch("head", 2, true), epoch("top", 3, false)}
	want := record.Selection{By: string(train.ValidationLoss), Phase: "head", Epoch: 2, Metrics: map[string]float64{"loss": 2}}
	if got := tr.selection(); !reflect.DeepEqual(got, want) {
		t.Errorf("kept epoch 2: %+v", got)
	}
	tr.history[1].Kept = false
	if got := tr.selection(); got.Epoch != 0 || len(got.Metrics) > 0 {
		t.Errorf("kept what the training began with: %+v", got)
	}
	if s := selectionOf([]shallow.Step{{Loss: math.NaN(), Accuracy: math.NaN(), Chosen: true}}, 3); s.By != record.ChosenOnly || len(s.Metrics) > 0 || s.Tried != 1 {
		t.Errorf("a fit that nothing judged: %+v", s)
	}
}

// A network tells whose weights it began with, and so does what goes on with it. Features tell whose they are.
func TestModelTellsItsOrigins(t *testing.T) {
	chunks := pictures(t, 8, 4, 0)
	out := mustRunPictures(t, "{backbone: efficientnet_lite0, batch_size: 4, epochs: 1}", chunks)
	origins := out.model.Description.Origins
	if len(origins) != 1 || origins[0].Backbone != "efficientnet_lite0" || origins[0].Weights != "imagenet" || len(origins[0].Digest) != 64 || origins[0].Licence == "" {
		t.Errorf("origins %+v", origins)
	}
	on, err := runStage(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), "{batch_size: 4, epochs: 1}").(*stage), map[string][]pipeline.Input{
		DataPort: {pipelinetest.NewTable("images", nil, chunks...)}, ModelPort: {out.tables[ModelPort]},
	})
	if err != nil || !slices.Equal(on.model.Description.Origins, origins) {
		t.Errorf("what goes on tells %+v, %v", on.model.Description.Origins, err)
	}
	made := record.Extraction{Backbone: "efficientnet_lite0", Weights: "imagenet", Digest: origins[0].Digest, Layer: "pooled", Precision: "fp32"}
	d := &rows.Data{Target: record.SingleLabelHead("label", []string{"a", "b"}), Transforms: record.Transforms{record.FeaturesStep{Extraction: made}}, Metadata: map[string]string{record.ExtractionKey: made.Encode(), "kept": "1"}}
	b := nn.NewBuilder()
	b.Layer("probabilities", nn.Softmax{}, b.Input("features", 2))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	task := &pipeline.Task{Recipe: &record.Recipe{Digest: "abc"}}
	c := newModel(task, d, net, nil, nil, record.Selection{})
	if got := c.Description; !slices.Equal(got.Origins, origins) || got.Recipe.Digest != "abc" || !reflect.DeepEqual(c.Metadata, map[string]string{"kept": "1"}) {
		t.Errorf("a head on features tells %+v, metadata %v", got, c.Metadata)
	}
	if again := newModel(task, d, net, nil, origins, record.Selection{}); !slices.Equal(again.Description.Origins, origins) {
		t.Errorf("the same origin twice: %+v", again.Description.Origins)
	}
}
