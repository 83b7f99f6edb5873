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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

const side = 32 // pixels

// prepared tells how the pictures of a test were prepared.
func prepared(t testing.TB) record.Preprocessing {
	t.Helper()
	b, err := zoo.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	p := b.Preprocessing()
	p.Height, p.Width = side, side
	return p
}

// pictures gives chunks of pictures of two classes, stripes that run this way and that, in noise.
// Of the training rows there are so many copies besides.
func pictures(t testing.TB, training, validation, copies int) []arrow.Record {
	t.Helper()
	meta := arrow.MetadataFrom(map[string]string{record.PreprocessingKey: prepared(t).Encode()})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, side, side, 3),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String},
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
	}, &meta)
	random := rand.New(rand.NewPCG(1, 2))
	var out []arrow.Record
	const rows = 7 // of a chunk: neither batch nor split ends with one
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	flush := func() {
		rec := b.NewRecord()
		t.Cleanup(rec.Release)
		out = append(out, rec)
	}
	n := 0
	add := func(split string, i, c int) {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprint(split, i))
		list := b.Field(1).(*array.FixedSizeListBuilder)
		list.Append(true)
		values := list.ValueBuilder().(*array.Uint8Builder)
		for y := range side {
			for x := range side {
				at := x
				if i%2 == 1 {
					at = y
				}
				for range 3 {
					values.Append(uint8(60 + 100*(at/4%2) + random.IntN(90)))
				}
			}
		}
		b.Field(2).(*array.StringBuilder).Append([]string{"down", "across"}[i%2])
		b.Field(3).(*array.StringBuilder).Append(split)
		b.Field(4).(*array.Int32Builder).Append(int32(c))
		if n++; n%rows == 0 {
			flush()
		}
	}
	for i := range training {
		for c := range copies + 1 {
			add(record.Train, i, c)
		}
		if i < validation {
			add(record.Validation, i, 0)
			add(record.Test, i, 0)
		}
	}
	flush()
	return out
}

func runPictures(t testing.TB, env *pipeline.Env, with string, chunks []arrow.Record) (*pictureOutputs, error) {
	t.Helper()
	return runStage(t, env, pipelinetest.Stage(t, Kind(), with).(*stage), map[string][]pipeline.Input{
		DataPort: {pipelinetest.NewTable("images", nil, chunks...)},
	})
}

type pictureOutputs struct {
	outputs
	tables      map[string]*pipelinetest.Table
	phases      []record.PhaseLayers
	diagnostics []record.Diagnostic
}

func runStage(t testing.TB, env *pipeline.Env, s *stage, in map[string][]pipeline.Input) (*pictureOutputs, error) {
	t.Helper()
	ctx := context.Background()
	out := &pictureOutputs{}
	env.Log = func(format string, args ...any) { out.log = append(out.log, fmt.Sprintf(format, args...)) }
	var err error
	if out.tables, err = pipelinetest.Run(ctx, t, env, s, Kind(), in); err != nil {
		return out, err
	}
	for _, port := range Kind().Outputs {
		for _, rec := range out.tables[port.Name].Records() {
			data, err := record.Encode(rec)
			if err != nil {
				t.Fatal(err)
			}
			out.bytes = append(out.bytes, data...)
		}
	}
	if out.model, err = classifier.Read(ctx, out.tables["model"]); err != nil {
		t.Fatal(err)
	}
	if out.history, err = record.ReadRows[record.TrainingEpoch](out.tables["history"].Batches(ctx)); err != nil {
		t.Fatal(err)
	}
	if out.phases, err = record.ReadRows[record.PhaseLayers](out.tables["phases"].Batches(ctx)); err != nil {
		t.Fatal(err)
	}
	if out.diagnostics, err = record.ReadRows[record.Diagnostic](out.tables["diagnostics"].Batches(ctx)); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

func mustRunPictures(t testing.TB, with string, chunks []arrow.Record) *pictureOutputs {
	t.Helper()
	out, err := runPictures(t, pipelinetest.Env(t), with, chunks)
	if err != nil {
		t.Fatalf("%s: %v", with, err)
	}
	return out
}

const small = "backbone: efficientnet_lite0, head: linear, batch_size: 8"

// TestEveryStrategy goes through all words, and looks at what the phases did with which layers.
func TestEveryStrategy(t *testing.T) {
	chunks := pictures(t, 16, 6, 0)
	for word, phases := range map[string]int{
		strategy.FeatureExtraction: 1, strategy.Partial: 1, strategy.Full: 1, strategy.Progressive: 3, strategy.FineTune: 2, strategy.Layerwise: 1, strategy.Adapted: 1, strategy.LinearThenFull: 2,
		"{kind: adapters, adapter: lora, rank: 2}": 1,
	} {
		spelled := word
		if ones := "[" + strings.Repeat("1, ", phases-1) + "1]"; strings.HasPrefix(word, "{") {
			spelled = strings.Replace(word, "}", ", epochs: "+ones+"}", 1)
		} else {
			spelled = "{kind: " + word + ", epochs: " + ones + "}"
		}
		out := mustRunPictures(t, "{"+small+", restore: last, strategy: "+spelled+"}", chunks)
		if len(out.history) != phases || int(out.phases[len(out.phases)-1].Number) != phases {
			t.Errorf("%s: %d epochs, phases %+v", word, len(out.history), out.phases[len(out.phases)-1])
		}
		learned := 0
		for _, p := range out.phases {
			if frozen := p.Trained == 0; frozen != (p.Before == p.After) || frozen != math.IsNaN(p.Rate) {
				t.Errorf("%s: phase %s trained %d numbers of %s at %v, whose digest was %s and is %s", word, p.Phase, p.Trained, p.Layers, p.Rate, p.Before, p.After)
			}
			if p.Trained > 0 {
				learned++
			}
		}
		if learned == 0 || (word == strategy.FeatureExtraction) != (learned == 1) {
			t.Errorf("%s: %d blocks learned", word, learned)
		}
		gaps, drifts := 0, 0
		for _, s := range out.diagnostics {
			switch {
			case s.Name == record.OverfittingGap && s.Low <= s.Value && s.Value <= s.High && s.Text != "":
				gaps++
			case s.Name == record.FeatureDrift && s.Value >= 0 && s.Value <= 1 && s.Rows == 6:
				drifts++
			default:
				t.Errorf("%s: diagnostic %+v", word, s)
			}
		}
		if gaps != phases || (drifts == 0) != (word == strategy.FeatureExtraction) || drifts > 1 {
			t.Errorf("%s: %d diagnostics of overfitting, %d of drift", word, gaps, drifts)
		}
		if in := out.model.Input(); len(out.model.Metadata) != 0 || !reflect.DeepEqual(in.Transforms, prepared(t).Transforms()) || in.Column != record.Image {
			t.Errorf("%s: metadata %v, input %+v", word, out.model.Metadata, in)
		}
		if !slices.Equal(out.model.InputShape(), nn.Shape{side, side, 3}) {
			t.Errorf("%s: the model takes %v", word, out.model.InputShape())
		}
	}
}

func TestLearnsFromPictures(t *testing.T) {
	out := mustRunPictures(t, "{"+small+", strategy: [{epochs: 4, learning_rate: 0.01}, {epochs: 2, top: 6}]}", pictures(t, 40, 20, 0))
	if last := out.history[5]; last.ValidationAccuracy < 0.9 {
		t.Errorf("accuracy %v", last.ValidationAccuracy)
	}
}

// A phase that starts from cached activations gives what one gives that starts from the pixels, up to
// the order of sums; in bfloat16, nearly.
func TestPrefixGivesWhatRecomputingGives(t *testing.T) {
	chunks := pictures(t, 20, 8, 1)
	for _, strategy := range []string{
		"[{epochs: 2, learning_rate: 0.01}, {epochs: 2, unfreeze: [head, block15], batch_norm: train}, {epochs: 1, unfreeze: block9.*, rates: {block12: 1e-4}}]",
		"[{epochs: 3, top: 20, learning_rate: 1e-3}]",
	} {
		with := "{" + small + ", copies: 2, strategy: " + strategy + ", prefix_precision: float32, prefix_cache: %s}"
		cached := mustRunPictures(t, fmt.Sprintf(with, "20GB"), chunks)
		again := mustRunPictures(t, fmt.Sprintf(with, "0"), chunks)
		half := mustRunPictures(t, strings.Replace(fmt.Sprintf(with, "20GB"), "float32", "bfloat16", 1), chunks)
		if cached.phases[0].Prefix == "" || again.phases[0].Prefix != "" || half.phases[0].PrefixSize*2 != cached.phases[0].PrefixSize {
			t.Errorf("prefixes %+v, %+v, %+v", cached.phases[0], again.phases[0], half.phases[0])
		}
		for i, e := range cached.history {
			for _, pair := range [][2]float64{{e.Loss, again.history[i].Loss}, {e.ValidationLoss, again.history[i].ValidationLoss}} {
				if math.Abs(pair[0]-pair[1]) > 1e-5*max(pair[1], 1) {
					t.Errorf("%s: epoch %d: loss %v with the prefix, %v without", strategy, i+1, pair[0], pair[1])
				}
			}
			if i == 0 && math.Abs(e.Loss-half.history[i].Loss) > 0.1 { // later ones drift apart
				t.Errorf("%s: epoch %d: loss %v in float32, %v in bfloat16", strategy, i+1, e.Loss, half.history[i].Loss)
			}
		}
	}
}

// What a cut gives does not depend on which lower cuts are computed with it.
func TestActivationsDoNotDependOnOtherCuts(t *testing.T) {
	ctx := context.Background()
	env := pipelinetest.Env(t)
	chunks := pictures(t, 9, 3, 0)
	s := pipelinetest.Stage(t, Kind(), "{"+small+", strategy: progressive}").(*stage)
	var want []float32
	task := func(run func(task *pipeline.Task) error) {
		t.Helper()
		in := map[string][]pipeline.Input{DataPort: {pipelinetest.NewTable("images", nil, chunks...)}}
		if err := run(pipelinetest.Task(env, in)); err != nil {
			t.Fatal(err)
		}
	}
	task(func(task *pipeline.Task) error {
		data, err := s.read(ctx, task)
		if err != nil {
			return err
		}
		start, err := s.begin(ctx, task, data)
		if err != nil {
			return err
		}
		var all []prefix.Prefix
		for _, p := range slices.Backward(prefix.CutsBelow(start.net, strategy.Selection{Rates: map[string]float64{head.Scope + ".logits": 1}})) {
			all = append(all, prefix.Prefix{Cut: p.Layer, Precision: prefix.Float32, Size: p.Shape.Size()})
		}
		if len(all) < 10 {
			t.Fatalf("only %d cuts", len(all))
		}
		for n := 1; n <= len(all); n++ {
			a, err := prefix.NewActivator(task, data, start.net, start.weights, 0, all[:n])
			if err != nil {
				return err
			}
			defer a.Close()
			fetched, err := a.Fetch(ctx)
			if err != nil {
				return err
			}
			got := make([]float32, 9*all[0].Size)
			if err := fetched.Of(&data.Training).Read([]int{0, 1, 2, 3, 4, 5, 6, 7, 8}, train.Batch{Inputs: nn.Batch{"x": {Float32: got}}}); err != nil {
				return err
			}
			if want == nil {
				want = got
			}
			if !slices.EqualFunc(got, want, sameBits) {
				t.Errorf("with %s down to %s, the activations are others", all[0].Cut, all[n-1].Cut)
			}
			if err := fetched.Close(); err != nil {
				return err
			}
		}
		return data.Close()
	})
}

func TestPicturesSameBytesForAnyThreads(t *testing.T) {
	chunks := pictures(t, 12, 5, 1)
	var want []byte
	for _, threads := range []int{1, 3} {
		env := pipelinetest.Env(t)
		env.Threads = threads
		out, err := runPictures(t, env, "{"+small+", strategy: {kind: progressive, epochs: [1, 1, 1]}, mixup: 0.2, average: 0.9, sampling: balanced, accumulate: 2}", chunks)
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
}

// A training that is killed at any checkpoint, in the middle of epochs too, ends with the bytes of one
// that is left in peace.
func TestPicturesResumedEqualsUndisturbed(t *testing.T) {
	chunks := pictures(t, 16, 4, 1)
	const with = "{" + small + ", strategy: [{epochs: 2}, {epochs: 2, top: 5, batch_norm: train}], copies: 2, early_stopping: {patience: 3}, schedule: plateau}"
	want := mustRunPictures(t, with, chunks)
	s := pipelinetest.Stage(t, Kind(), with).(*stage)
	s.CheckpointLeast, s.CheckpointShare, s.CheckpointEvery = 0, 0, 0
	killed := errors.New("killed")
	for stop := 1; stop < 12; stop += 3 {
		env := pipelinetest.Env(t)
		checkpoint := &pipelinetest.MemoryCheckpoint{AfterSave: func(n int) error {
			if n == stop {
				return killed
			}
			return nil
		}}
		env.Checkpoint = checkpoint
		in := map[string][]pipeline.Input{DataPort: {pipelinetest.NewTable("images", nil, chunks...)}}
		if _, err := runStage(t, env, s, in); !errors.Is(err, killed) {
			t.Fatalf("after %d checkpoints: %v", stop, err)
		}
		checkpoint.AfterSave = nil
		out, err := runStage(t, env, s, in)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.bytes, want.bytes) {
			t.Errorf("killed at checkpoint %d and resumed, the outputs are other bytes", stop)
		}
		if !strings.Contains(strings.Join(out.log, "\n"), "resumes after epoch") {
			t.Errorf("log %q", out.log)
		}
	}
}

func TestGoesOnWithAModel(t *testing.T) {
	chunks := pictures(t, 16, 6, 0)
	first := mustRunPictures(t, "{"+small+", strategy: [{epochs: 3, learning_rate: 0.01}]}", chunks)
	s := pipelinetest.Stage(t, Kind(), "{strategy: [{epochs: 1, learning_rate: 1e-6, unfreeze: [head]}], batch_size: 8, restore: last}").(*stage)
	out, err := runStage(t, pipelinetest.Env(t), s, map[string][]pipeline.Input{
		DataPort:  {pipelinetest.NewTable("images", nil, chunks...)},
		ModelPort: {first.tables["model"]},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := first.history[2].ValidationLoss, out.history[0].ValidationLoss; math.Abs(a-b) > 0.05*a {
		t.Errorf("validation loss %v, then %v", a, b)
	}
	if name := "head.conv.weight"; slices.Equal(out.model.Weights[name].Data, first.model.Weights[name].Data) {
		t.Error("the layer that was named did not learn")
	}
}

func TestStaleStatisticsAreToldOf(t *testing.T) {
	chunks := pictures(t, 16, 6, 0)
	for norms, told := range map[string]bool{strategy.TrainingNorms: true, strategy.FrozenNorms: false} {
		out := mustRunPictures(t, "{"+small+", strategy: [{epochs: 2, top: 4, batch_norm: "+norms+"}]}", chunks)
		if log := strings.Join(out.log, "\n"); strings.Contains(log, "will still have 96 %") != told { // 0.99⁴
			t.Errorf("batch_norm %s: %s", norms, log)
		}
	}
}

func TestGoesOnWithAHead(t *testing.T) {
	rec := features(t, slices.Concat(blobs("train", 30, 1, 1), blobs("val", 12, 1, 2))...)
	in := map[string][]pipeline.Input{DataPort: {pipelinetest.NewTable("features", nil, rec)}}
	first, err := runStage(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), "{epochs: 5, head: linear, standardise: true, restore: last}").(*stage), in)
	if err != nil {
		t.Fatal(err)
	}
	in[ModelPort] = []pipeline.Input{first.tables[ModelPort]}
	out, err := runStage(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), "{epochs: 1, learning_rate: 1e-7}").(*stage), in)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := first.history[4].ValidationLoss, out.history[0].ValidationLoss; math.Abs(a-b) > 1e-3*a {
		t.Errorf("validation loss %v, then %v", a, b)
	}
}

// Where the instructions in use have none for bfloat16, training computes in float32, and says so.
func TestLearnsInBFloat16(t *testing.T) {
	const with = "{" + small + ", strategy: [{epochs: 2, learning_rate: 0.01, top: 6}], precision: %s}"
	chunks := pictures(t, 24, 12, 0)
	single, half := mustRunPictures(t, fmt.Sprintf(with, "fp32"), chunks), mustRunPictures(t, fmt.Sprintf(with, "bf16"), chunks)
	a, b, rounds := single.history[0].Loss, half.history[0].Loss, kernel.HasBFloat16()
	if math.Abs(a-b) > 0.1*a || (a != b) != rounds {
		t.Errorf("losses %v and %v; the processor multiplies bfloat16: %v", a, b, rounds)
	}
	for precision, told := range map[string]bool{"fp32": false, "bf16": !rounds} {
		notes := pipelinetest.Stage(t, Kind(), fmt.Sprintf(with, precision)).(pipeline.Noted).Notes()
		if (len(notes) == 1 && strings.Contains(notes[0], "multiplies in float32")) != told {
			t.Errorf("%s: notes %q", precision, notes)
		}
	}
}

func TestPhaseParameters(t *testing.T) {
	images := map[string][]pipeline.Traits{DataPort: {{record.PreprocessingKey: prepared(t).Encode()}}}
	for with, want := range map[string]string{
		"{backbone: efficientnet_lite0, strategy: progresive}":                                   `did you mean "progressive"?`,
		"{backbone: efficientnet_lite}":                                                          `did you mean "efficientnet_lite0"?`,
		"{backbone: pixels}":                                                                     "no layer that learns",
		"{backbone: efficientnet_lite0, weights: imagnet}":                                       `did you mean "imagenet"?`,
		"{backbone: efficientnet_lite0, strategy: {kind: full, top: 3}}":                         "strategy full has none",
		"{backbone: efficientnet_lite0, strategy: {kind: partial, unfreeze: [block15], top: 3}}": "unfreeze says already which layers learn",
		"{backbone: efficientnet_lite0, strategy: {kind: progressive, epochs: 4}}":               "epochs: 1 given, but progressive has 3 phases",
		"{backbone: efficientnet_lite0, strategy: progressive, epochs: 4}":                       "the strategy has 3 phases",
		"{backbone: efficientnet_lite0, strategy: []}":                                           "there is no phase",
		"{backbone: efficientnet_lite0, strategy: [{name: a}, {name: a}]}":                       `two phases are named "a"`,
		"{backbone: efficientnet_lite0, strategy: [{unfreeze: blok3}]}":                          `strategy[0].unfreeze[0]: the network has no layer or block "blok3" (did you mean "block3"?)`,
		"{backbone: efficientnet_lite0, strategy: [{epochs: 1}, {freeze: [block1, block33]}]}":   `strategy[1].freeze[1]`,
		"{backbone: efficientnet_lite0, strategy: [{rates: {block3.expand.cnv: 1}}]}":            `did you mean "block3.expand.conv"?`,
		"{backbone: efficientnet_lite0, strategy: [{rates: {block3: 0}}]}":                       "must be above 0",
		"{backbone: efficientnet_lite0, strategy: [{top: 1000}]}":                                "the backbone has",
		"{backbone: efficientnet_lite0, strategy: [{epoch: 3}]}":                                 `unknown key "epoch"`,
		"{backbone: efficientnet_lite0, strategy: [{epochs: 3, warm_up: 3}]}":                    "shorter than the training",
		"{backbone: efficientnet_lite0, standardise: true}":                                      "is for features",
		"{backbone: efficientnet_lite0, prefix_cache: lots}":                                     "expected a size",
		"{}":                                    "backbone: is needed",
		"{backbone: resnet18, weights: random}": "not prepared for resnet18",
		"{backbone: efficientnet_lite0, strategy: {kind: adapters, rank: 3}}":                         "strategy adapters has none",
		"{backbone: efficientnet_lite0, strategy: {kind: partial, unfreeze: [block1], top: 3}, x: 1}": `unknown key "x"`,
	} {
		s, err := pipelinetest.TryStage(Kind(), with)
		if err == nil {
			_, err = s.Check(images)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
	features := map[string][]pipeline.Traits{DataPort: {{record.PreprocessingKey: "{}", record.ExtractionKey: "{}"}}}
	for with, want := range map[string]string{
		"{backbone: efficientnet_lite0}": "features already",
		"{strategy: full}":               "only a head",
	} {
		if _, err := pipelinetest.Stage(t, Kind(), with).Check(features); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
}

// A word and the phases it stands for are the same recipe, in each preset.
func TestStrategiesSpelledOut(t *testing.T) {
	for preset, words := range map[string]map[string]string{
		"default": {
			"feature_extraction":                "[{name: head}]",
			"partial":                           "[{name: top, top: 40, learning_rate: 1e-3, head_rate: 3e-3}]",
			"{kind: partial, unfreeze: layer4}": "[{name: top, unfreeze: [layer4], learning_rate: 1e-3, head_rate: 3e-3}]",
			"{kind: partial, top: 9, epochs: 5, learning_rate: 2e-3}": "[{name: top, top: 9, epochs: 5, learning_rate: 2e-3, head_rate: 6e-3}]",
			"full":             "[{name: all, unfreeze: all}]",
			"progressive":      "[{name: head, epochs: 1}, {name: top, top: 40, learning_rate: 1e-3, head_rate: 3e-3}, {name: all, epochs: 2, unfreeze: all, learning_rate: 1e-4}]",
			"fine_tune":        "[{name: head, epochs: 1}, {name: all, unfreeze: all, learning_rate: 3e-3, spread: 30, batch_size: by_rows}]",
			"layerwise":        "[{name: all, unfreeze: all, learning_rate: 1e-3, head_rate: 3e-3, decay: 0.85}]",
			"linear_then_full": "[{name: head}, {name: all, unfreeze: all, learning_rate: 1e-4}]",
		},
		"tutorial": {
			"feature_extraction":                "[{name: head}]",
			"partial":                           "[{name: top, top: 20, learning_rate: 1e-4}]",
			"{kind: partial, unfreeze: layer4}": "[{name: top, unfreeze: [layer4], learning_rate: 1e-4}]",
			"full":                              "[{name: all, unfreeze: all, learning_rate: 1e-5}]",
			"progressive":                       "[{name: head, epochs: 5}, {name: top, epochs: 5, top: 20, learning_rate: 1e-4}, {name: all, epochs: 2, unfreeze: all, learning_rate: 1e-5}]",
			"fine_tune": "[{name: head, epochs: 1, learning_rate: 2e-3, schedule: {kind: one_cycle, rise: 0.99}}, " +
				"{name: all, epochs: 4, unfreeze: all, spread: 100, schedule: {kind: one_cycle, rise: 0.3, start: 0.2}}]",
			"layerwise":        "[{name: all, unfreeze: all, learning_rate: 1e-4, decay: 0.75}]",
			"linear_then_full": "[{name: head, epochs: 10}, {name: all, unfreeze: all, learning_rate: 1e-5}]",
		},
	} {
		for word, list := range words {
			var recipes [2]string
			for i, strategy := range []string{word, list} {
				s := pipelinetest.Stage(t, Kind(), "{preset: "+preset+", backbone: resnet18, weights: random, strategy: "+strategy+"}").(*stage)
				recipes[i] = fmt.Sprint(params.Canonical(s.Params))
			}
			if recipes[0] != recipes[1] {
				t.Errorf("%s: %s and %s are different recipes:\n%s\n%s", preset, word, list, recipes[0], recipes[1])
			}
		}
	}
}

// The outputs have the names of the phases, so another name is another recipe of the stage; what a
// phase gives stays.
func TestNamesOfPhases(t *testing.T) {
	var recipes, parts [2]string
	for i, name := range []string{"one", "another"} {
		s := pipelinetest.Stage(t, Kind(), "{backbone: resnet18, weights: random, strategy: [{name: "+name+"}]}").(*stage)
		recipes[i] = fmt.Sprint(params.Canonical(s.Params))
		part, err := s.phasePart(0, nil, s.phases(true)[0], prefix.Prefix{}, nil, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = fmt.Sprint(params.Canonical(part.Recipe))
	}
	if recipes[0] == recipes[1] {
		t.Errorf("the stage's recipe does not tell the names of phases, which its outputs have: %s", recipes[0])
	}
	if parts[0] != parts[1] {
		t.Errorf("a name enters the recipe of a phase:\n%s\n%s", parts[0], parts[1])
	}
}

func TestCheckpointEveryIsNoPartOfTheRecipe(t *testing.T) {
	s := pipelinetest.Stage(t, Kind(), "{checkpoint_every: 90s}").(*stage)
	if s.CheckpointEvery != 90*time.Second {
		t.Error(s.CheckpointEvery)
	}
	for _, v := range params.Canonical(s.Params) {
		if strings.HasPrefix(v.Path, "checkpoint") {
			t.Error(v)
		}
	}
}

// Features drift the more, the faster they are trained; those that are not trained do not.
func TestDriftGrowsWithTheRate(t *testing.T) {
	chunks := pictures(t, 24, 12, 0)
	var drifts []float64
	for _, rate := range []string{"1e-6", "1e-2"} {
		out := mustRunPictures(t, "{"+small+", restore: last, strategy: [{epochs: 1, unfreeze: all, learning_rate: "+rate+"}]}", chunks)
		at := slices.IndexFunc(out.diagnostics, func(s record.Diagnostic) bool { return s.Name == record.FeatureDrift })
		drifts = append(drifts, out.diagnostics[at].Value)
		if alarm := out.diagnostics[at].Alarm; alarm != (out.diagnostics[at].Value > drifted) {
			t.Errorf("%+v", out.diagnostics[at])
		}
	}
	if drifts[1] < 10*drifts[0] || drifts[1] < 0.01 {
		t.Errorf("drifts %v", drifts)
	}
}

// A look at the rates changes nothing of what is looked at.
func TestSweepLeavesNoTrace(t *testing.T) {
	chunks := pictures(t, 16, 6, 0)
	const with = "{" + small + ", strategy: [{epochs: 2}, {epochs: 1, top: 4}], early_stopping: {}, schedule: plateau}"
	want := mustRunPictures(t, with, chunks)
	s := pipelinetest.Stage(t, Kind(), with).(*stage)
	in := map[string][]pipeline.Input{DataPort: {pipelinetest.NewTable("images", nil, chunks...)}}
	env := pipelinetest.Env(t)
	sweep := train.Sweep{From: 1e-5, To: 1, Steps: 8}
	for phase := 1; phase <= 2; phase++ {
		curve, err := s.SweepRates(context.Background(), &pipeline.Task{Env: env, Inputs: in}, phase, sweep)
		if err != nil {
			t.Fatal(err)
		}
		if len(curve.Points) != 8 && !curve.Diverged || math.Abs(curve.Points[0].Rate-1e-5) > 1e-12 {
			t.Errorf("phase %d: %+v", phase, curve)
		}
	}
	if _, err := s.SweepRates(context.Background(), &pipeline.Task{Env: env, Inputs: in}, 3, sweep); err == nil {
		t.Error("a phase that there is not was swept")
	}
	got, err := runStage(t, env, s, in)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.bytes, want.bytes) {
		t.Error("after a sweep, training gives other bytes")
	}
}

// What a backbone forgets of its source task is measured with its own classifier: nothing while it is
// frozen, and much when it is torn apart.
func TestForgetting(t *testing.T) {
	chunks := pictures(t, 16, 6, 0)
	b, err := chooseBackbone("efficientnet_lite0", zoo.DefaultWeights)
	if err != nil {
		t.Fatal(err)
	}
	// The source task: the pictures, labelled with what the backbone takes them for.
	whole, err := b.weights.Network(side, side)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := b.weights.Load(whole, 0)
	if err != nil {
		t.Fatal(err)
	}
	program, err := frozen.Compile(whole, weights)
	if err != nil {
		t.Fatal(err)
	}
	var source []arrow.Record
	for _, rec := range chunks {
		column, err := picture.NewColumn(rec)
		if err != nil {
			t.Fatal(err)
		}
		labels := array.NewStringBuilder(memory.DefaultAllocator)
		for i := range column.Rows {
			x, logits := make([]float32, column.Size()), make([]float32, 1000)
			column.Read(x, i)
			if err := program.NewSession(1).Run(nil, x, 1, logits); err != nil {
				t.Fatal(err)
			}
			labels.Append(b.weights.Classes()[metrics.MostProbable(logits)])
		}
		columns := slices.Clone(rec.Columns())
		columns[2] = labels.NewArray()
		source = append(source, array.NewRecord(rec.Schema(), columns, rec.NumRows()))
	}
	for strategy, forgets := range map[string]bool{"[{epochs: 1}]": false, "[{epochs: 1, unfreeze: all, learning_rate: 0.01}]": true} {
		s := pipelinetest.Stage(t, Kind(), "{"+small+", restore: last, strategy: "+strategy+"}").(*stage)
		out, err := runStage(t, pipelinetest.Env(t), s, map[string][]pipeline.Input{
			DataPort:   {pipelinetest.NewTable("images", nil, chunks...)},
			SourcePort: {pipelinetest.NewTable("source", nil, source...)},
		})
		if err != nil {
			t.Fatal(err)
		}
		diagnostics := map[string]record.Diagnostic{}
		for _, s := range out.diagnostics {
			diagnostics[s.Name] = s
		}
		before, after, lost := diagnostics[record.SourceAccuracyBefore], diagnostics[record.SourceAccuracyAfter], diagnostics[record.Forgetting]
		if before.Value != 1 || before.Rows != 28 || math.Abs(before.Value-after.Value-lost.Value) > 1e-12 {
			t.Errorf("%s: %+v, %+v, %+v", strategy, before, after, lost)
		}
		if (lost.Value > 0.5) != forgets || lost.Alarm != forgets || lost.Low > lost.Value || lost.High < lost.Value {
			t.Errorf("%s: %+v", strategy, lost)
		}
	}
	s := pipelinetest.Stage(t, Kind(), "{"+small+"}").(*stage)
	_, err = runStage(t, pipelinetest.Env(t), s, map[string][]pipeline.Input{
		DataPort:   {pipelinetest.NewTable("images", nil, chunks...)},
		SourcePort: {pipelinetest.NewTable("source", nil, chunks...)},
	})
	if err == nil || !strings.Contains(err.Error(), "no row has a label among the classes of the backbone's classifier") {
		t.Error(err)
	}
}

// A training whose rates range tests choose gives the weights of one that is told these rates: the tests
// leave no trace. What they chose is told.
func TestRatesAreChosen(t *testing.T) {
	chunks := pictures(t, 32, 8, 0)
	const phases = "[{name: head, epochs: 2, learning_rate: %s}, {name: top, epochs: 1, top: 4, learning_rate: %s}]"
	auto := mustRunPictures(t, "{"+small+", learning_rate: auto, strategy: "+fmt.Sprintf(phases, "1e-3", "1e-3")+"}", chunks)
	var chosen []any
	for _, d := range auto.diagnostics {
		if d.Name == record.ChosenRate {
			chosen = append(chosen, strconv.FormatFloat(d.Value, 'g', -1, 64))
		}
	}
	if len(chosen) != 2 || chosen[0] == "0.001" || !strings.Contains(strings.Join(auto.log, "\n"), "chosen by a range test") {
		t.Fatalf("chosen %v; log %q", chosen, auto.log)
	}
	told := mustRunPictures(t, "{"+small+", strategy: "+fmt.Sprintf(phases, chosen...)+"}", chunks)
	for name, tensor := range told.model.Weights {
		if !slices.Equal(tensor.Data, auto.model.Weights[name].Data) {
			t.Errorf("%s is another after a range test", name)
		}
	}
	for i, e := range told.history {
		if auto.history[i] != e {
			t.Errorf("epoch %d: %+v, told the rate %+v", i+1, auto.history[i], e)
		}
	}
}
