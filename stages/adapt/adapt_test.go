package adapt_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/adapt"
)

// scene is how a table of two domains is made: three classes in four dimensions, the target's rows shifted and stretched.
type scene struct {
	classes  []string
	labelled func(domain, split string) bool // which rows have a label
	only     string                          // domain; "": both
	copies   int                             // of each training row
	splits   []string                        // that the rows are of; nil: all
	most     int                             // rows of each split; 0: all
	without  string                          // class that no validation row has
}

func allLabelled(string, string) bool { return true }

func sourceLabelled(domain, _ string) bool { return domain == "photo" }

func (s scene) table(t *testing.T, name string) *pipelinetest.Table {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String}, {Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String}, {Name: record.Domain, Type: arrow.BinaryTypes.String},
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
		record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 4),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	random := rand.New(rand.NewPCG(1, 2))
	classes := s.classes
	if classes == nil {
		classes = []string{"a", "b", "c"}
	}
	rows := map[string]int{}
	for i := range 240 {
		domain := []string{"photo", "sketch"}[i%2]
		split := []string{record.Train, record.Train, record.Train, record.Validation, record.Test}[i/6%5]
		class := i / 2 % len(classes)
		x := make([]float32, 4)
		for j := range x {
			x[j] = float32(random.NormFloat64()) / 2
		}
		x[class%4] += 2
		if domain == "sketch" {
			for j := range x {
				x[j] = 1.5*x[j] + 0.8
			}
		}
		if s.only != "" && s.only != domain || s.splits != nil && !slices.Contains(s.splits, split) || split == record.Validation && classes[class] == s.without || s.most > 0 && rows[split] == s.most {
			continue
		}
		rows[split]++
		for copied := range s.copies + 1 {
			if copied > 0 && split != record.Train {
				break
			}
			b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("%03d", i))
			if labels := b.Field(1).(*array.StringBuilder); s.labelled(domain, split) {
				labels.Append(classes[class])
			} else {
				labels.AppendNull()
			}
			b.Field(2).(*array.StringBuilder).Append(split)
			b.Field(3).(*array.StringBuilder).Append(domain)
			b.Field(4).(*array.Int32Builder).Append(int32(copied))
			list := b.Field(5).(*array.FixedSizeListBuilder)
			list.Append(true)
			x[copied%4] += float32(copied) / 8
			list.ValueBuilder().(*array.Float32Builder).AppendValues(x, nil)
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	return pipelinetest.NewTable(name, nil, rec)
}

const bothDomains = "domains: {source: [photo], target: [sketch]}, "

// small makes trainings short.
const small = ", epochs: 2, least_steps: 6, batch_size: 16, network: {hidden: [8, 6], task: [5], discriminator: [4], dropout: 0.1, batch_norm: true}}"

func adaptOn(t *testing.T, with string, inputs map[string]*pipelinetest.Table, threads int) (map[string]*pipelinetest.Table, error) {
	t.Helper()
	stage, err := pipelinetest.TryStage(adapt.Kind(), with)
	if err != nil {
		return nil, err
	}
	env := pipelinetest.Env(t)
	env.Threads, env.Seed = threads, 5
	in := map[string][]pipeline.Input{}
	for port, table := range inputs {
		in[port] = []pipeline.Input{table}
	}
	return pipelinetest.Run(context.Background(), t, env, stage, adapt.Kind(), in)
}

// Every method gives a classifier of the source's classes, and the same bytes for any number of threads, whether the labels
// of the target's rows are there or not: no label of the target is looked at.
func TestMethodsDoNotLookAtTargetLabels(t *testing.T) {
	for _, m := range []string{"direct", "coral", "subspace", "tca", "jda", "deep_coral", "mmd", "jmmd", "dann", "cdan", "mcc", "self_training", "shot", "prior_shift", "batch_norm", "tent",
		"{kind: mmd, estimator: linear, kernels: original, weight: 0.5}", "{kind: cdan, entropy: false}", "[coral, {kind: prior_shift, estimate: bbse}]"} {
		t.Run(m, func(t *testing.T) {
			with := "{" + bothDomains + "method: " + m + ", select: {by: im, over: [method, epoch]}" + small
			if slices.Contains([]string{"coral", "subspace", "tca", "jda", "[coral, {kind: prior_shift, estimate: bbse}]"}, m) { // no steps
				with = "{" + bothDomains + "method: " + m + ", select: {by: im, over: [method, epoch]}}"
			}
			var digests []string
			for i, labelled := range []func(string, string) bool{allLabelled, sourceLabelled} {
				out, err := adaptOn(t, with, map[string]*pipelinetest.Table{"source": scene{labelled: labelled}.table(t, "features")}, 1+i)
				if err != nil {
					t.Fatal(err)
				}
				for _, port := range adapt.Kind().Outputs {
					if out[port.Name] == nil {
						t.Fatalf("nothing was written to %s", port.Name)
					}
				}
				model, err := classifier.Read(context.Background(), out["model"])
				if err != nil || strings.Join(model.Head().Classes, "") != "abc" || len(model.Network.Outputs()) != 1 {
					t.Fatalf("%v, %v", model, err)
				}
				digests = append(digests, out["model"].Digest(), out["shift"].Digest(), out["history"].Digest())
				trials, err := record.ReadRows[record.AdaptationTrial](out["selection"].Batches(context.Background()))
				if err != nil {
					t.Fatal(err)
				}
				chosen := 0
				for _, trial := range trials {
					if trial.Chosen {
						chosen++
					}
					if known := trial.Oracle == trial.Oracle; known != (i == 0) {
						t.Errorf("oracle %v of %+v", trial.Oracle, trial)
					}
				}
				if chosen != 1 || trials[0].Method != "direct" {
					t.Errorf("%d are chosen, the first is %s", chosen, trials[0].Method)
				}
			}
			for i := range 3 {
				if digests[i] != digests[i+3] {
					t.Errorf("output %d depends on labels of the target, or on threads", i)
				}
			}
		})
	}
}

// Copies of rows teach consistency, whose rows are batched alike whenever they are asked for.
func TestConsistencyTakesCopies(t *testing.T) {
	var digests []string
	for i, labelled := range []func(string, string) bool{allLabelled, sourceLabelled} {
		out, err := adaptOn(t, "{"+bothDomains+"method: {kind: consistency, threshold: 0.3}"+small, map[string]*pipelinetest.Table{"source": scene{labelled: labelled, copies: 2}.table(t, "features")}, 1+i)
		if err != nil {
			t.Fatal(err)
		}
		terms, err := record.ReadRows[record.LossTerm](out["history"].Batches(context.Background()))
		if err != nil {
			t.Fatal(err)
		}
		learned := false
		for _, term := range terms {
			learned = learned || term.Term == "consistency" && term.Loss > 0
		}
		if !learned {
			t.Errorf("consistency has no loss: %+v", terms)
		}
		digests = append(digests, out["model"].Digest())
	}
	if digests[0] != digests[1] {
		t.Error("the model depends on labels of the target, or on threads")
	}
}

// Labels of the target help the method that asks for them, as many as it may have.
func TestFineTuneTakesSoManyLabels(t *testing.T) {
	source := scene{labelled: allLabelled}
	for labels, want := range map[int]int64{0: 72, 2: 6} {
		out, err := adaptOn(t, fmt.Sprintf("{%smethod: fine_tune, target_labels: %d%s", bothDomains, labels, small), map[string]*pipelinetest.Table{"source": source.table(t, "features")}, 2)
		if err != nil {
			t.Fatal(err)
		}
		trials, err := record.ReadRows[record.AdaptationTrial](out["selection"].Batches(context.Background()))
		if err != nil {
			t.Fatal(err)
		}
		if last := trials[len(trials)-1]; last.Method != "fine_tune" || last.Labels != want || !last.Chosen {
			t.Errorf("%+v, want %d labels", last, want)
		}
	}
}

// Two tables do as one that domains divides, and the oracle is found with its regret.
func TestTwoTables(t *testing.T) {
	all := scene{labelled: allLabelled}
	one, err := adaptOn(t, "{"+bothDomains+"method: [coral, mcc], select: im"+small, map[string]*pipelinetest.Table{"source": all.table(t, "features")}, 2)
	if err != nil {
		t.Fatal(err)
	}
	photo, sketch := scene{labelled: allLabelled, only: "photo"}, scene{labelled: allLabelled, only: "sketch"}
	two, err := adaptOn(t, "{method: [coral, mcc], select: im"+small, map[string]*pipelinetest.Table{
		"source": photo.table(t, "photos"), "target": sketch.table(t, "sketches"), "test": sketch.table(t, "tests"),
	}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for port := range one {
		if port != "model" && port != "direct" && one[port].Digest() != two[port].Digest() {
			t.Errorf("%s differs", port)
		}
	}
	diagnostics, err := record.ReadRows[record.Diagnostic](one["diagnostics"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, d := range diagnostics {
		found[d.Name] = true
	}
	for _, name := range []string{record.AdaptationGain, record.ChoiceRegret, record.ValidatorCorrelation} {
		if !found[name] {
			t.Errorf("no %s among %v", name, diagnostics)
		}
	}
}

// What cannot be adapted with is refused, in words.
func TestWhatIsRefused(t *testing.T) {
	features := scene{labelled: allLabelled}.table(t, "features")
	unlabelled := scene{labelled: func(string, string) bool { return false }}.table(t, "features")
	bare := scene{labelled: sourceLabelled}.table(t, "features")
	for _, c := range []struct {
		with string
		of   *pipelinetest.Table
		want string
	}{
		{"{" + bothDomains + "}", features, `key "method" is required`},
		{"{" + bothDomains + "method: dan}", features, `did you mean "dann"`},
		{"{" + bothDomains + "method: {kind: dann, temperature: 2}}", features, "dann has no temperature"},
		{"{" + bothDomains + "method: [dann, mcc]}", features, "nothing chooses between them"},
		{"{" + bothDomains + "method: dann, learning_rate: [1e-3, 1e-4]}", features, "nothing chooses between them"},
		{"{" + bothDomains + "method: dann, select: accuracy}", features, "is not a validator"},
		{"{" + bothDomains + "method: dann, target_labels: 5}", features, "no method that is listed learns from labels"},
		{"{" + bothDomains + "method: dann, early_stopping: {patience: 2}}", features, "early_stopping"},
		{"{" + bothDomains + "method: coral, head: linear}", features, "fitted to its end"},
		{"{domains: {source: [photo], target: [photo]}, method: dann}", features, "in the source already"},
		{"{domains: {source: [photos], target: [sketch]}, method: dann}", features, `no row of domain "photos"`},
		{"{domains: {source: [photo], target: [draft]}, method: dann}", features, "photo 120, sketch 120"},
		{"{" + bothDomains + "method: dann}", unlabelled, "has a label"},
		{"{" + bothDomains + "method: fine_tune" + small, bare, "learns from labels of the target"},
		{"{" + bothDomains + "method: {kind: tent, passes: 2}}", features, "tent goes over the target once"},
		{"{" + bothDomains + "method: tent, network: {hidden: [8], task: [5], discriminator: [4], dropout: 0, batch_norm: false}}", features, "no batch-norm that learned the statistics of the source"},
		{"{" + bothDomains + "method: consistency" + small, features, "learns from copies of the target's rows, but there are none"},
		{"{" + bothDomains + "method: dann, batch_size: 100}", features, "a batch has 100 rows of each domain"},
		{"{" + bothDomains + "method: mmd, network: {hidden: [], task: [8]}}", features, "network: has no hidden layers: method mmd would have nothing to learn"},
		{"{" + bothDomains + "method: coral, head: {kind: knn}, prior_shift: em}", features, "prior_shift: a nearest-neighbour classifier has no class frequencies"},
		{"{domains: {source: [photo, photo], target: [sketch]}, method: coral}", features, "domains.source[1]: domain \"photo\" is listed already"},
		{"{" + bothDomains + "method: coral, epochs: 5}", features, "epochs: has no effect: methods in closed form"},
		{"{" + bothDomains + "method: [coral, direct], select: im, batch_size: 8, network: {hidden: [8]}}", features, "network: has no effect: methods in closed form"},
		{"{" + bothDomains + "method: coral, select: {by: im, over: [epoch]}}", features, "select: has no effect: methods in closed form have no epochs"},
		{"{" + bothDomains + "method: dann, head: ridge}", features, "head: has no effect"},
		{"{" + bothDomains + "method: dann, random_seed: 3, weights: random}", features, "random_seed: has no effect"},
		{"{" + bothDomains + "method: dann, standardise: true, backbone: efficientnet_lite0}", features, "standardise: is for features"},
		{"{" + bothDomains + "method: dann, restore: best}", features, "restore: has no effect"},
		{"{" + bothDomains + "method: dann, restore: last, select: {by: im, over: [epoch]}}", features, "restore: contradicts select"},
		{"{" + bothDomains + "method: prior_shift, prior_shift: bbse}", features, "prior_shift: contradicts method, which estimates by em"},
		{"{" + bothDomains + "method: {kind: prior_shift, estimate: bbse}, prior_shift: bbse}", features, "prior_shift: has no effect"},
		{"{" + bothDomains + "method: dann, select: {by: none, over: [epoch]}}", features, "over: has no effect"},
		{"{" + bothDomains + "method: dann, select: {by: ensemble, over: [epoch]}}", features, "ensemble does not choose the epoch"},
		{"{" + bothDomains + "method: dann, select: {by: im, over: []}}", features, "over: is empty"},
		{"{" + bothDomains + "method: dann, select: {by: im, over: [learning_rate]}}", features, "there are no several learning rates"},
	} {
		_, err := adaptOn(t, c.with, map[string]*pipelinetest.Table{"source": c.of}, 1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.with, err, c.want)
		}
	}
	stage, err := pipelinetest.TryStage(adapt.Kind(), "{method: dann}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stage.Check(map[string][]pipeline.Traits{"source": {{}}}); err == nil || !strings.Contains(err.Error(), "domains must say") {
		t.Errorf("one table without domains: %v", err)
	}
	if _, err := stage.Check(map[string][]pipeline.Traits{"source": {{record.ExtractionKey: "a"}}, "target": {{record.ExtractionKey: "b"}}}); err == nil || !strings.Contains(err.Error(), "extracted in the same way") {
		t.Errorf("features made in two ways: %v", err)
	}
}

// What the inputs show is refused, in words.
func TestInputsThatAreRefused(t *testing.T) {
	photo, sketch := scene{labelled: allLabelled, only: "photo"}, scene{labelled: allLabelled, only: "sketch"}
	features := scene{labelled: allLabelled}.table(t, "features")
	untested := func(domain, split string) bool { return split != record.Test }
	for _, c := range []struct {
		with   string
		inputs map[string]*pipelinetest.Table
		want   string
	}{
		{"{method: coral}", map[string]*pipelinetest.Table{"source": features, "target": scene{labelled: allLabelled}.table(t, "others")}, "the same content"},
		{"{method: coral}", map[string]*pipelinetest.Table{"source": photo.table(t, "photos"), "target": sketch.table(t, "sketches"), "test": scene{labelled: allLabelled, only: "sketch", splits: []string{record.Train}}.table(t, "tests")},
			"the input test has no rows of split test; rows by split: train 72"},
		{"{method: coral}", map[string]*pipelinetest.Table{"source": photo.table(t, "photos"), "target": sketch.table(t, "sketches"), "test": scene{labelled: untested, only: "sketch"}.table(t, "tests")},
			"none of the 24 rows of split test of the input test has a label"},
		{"{method: coral}", map[string]*pipelinetest.Table{"source": photo.table(t, "photos"), "target": scene{labelled: allLabelled, only: "sketch", most: 1}.table(t, "sketches")},
			"coral needs at least 2 training rows of the target, found 1"},
		{"{" + bothDomains + "method: coral, prior_shift: bbse}", map[string]*pipelinetest.Table{"source": scene{labelled: allLabelled, without: "b"}.table(t, "features")},
			"none of the 16 validation rows of the source is of class b"},
	} {
		_, err := adaptOn(t, c.with, c.inputs, 1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.with, err, c.want)
		}
	}
	for _, c := range []struct{ with, want string }{
		{"{method: shot, strategy: full}", "strategy: has no effect: on features there are no frozen layers"},
		{"{method: coral}", "coral is computed in closed form and cannot start from the input model"},
		{"{method: dann}", "dann needs a discriminator, which the input model does not have"},
		{"{method: shot, network: {hidden: [4]}}", "network: has no effect: the network is that of the input model"},
	} {
		stage, err := pipelinetest.TryStage(adapt.Kind(), c.with)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stage.Check(map[string][]pipeline.Traits{"source": {{}}, "target": {{}}, "model": {{}}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s from a model: %v, want %q", c.with, err, c.want)
		}
	}
}

// Rows of the source are measured by the source's own map: CORAL makes the means equal.
func TestShiftAfterAnAlignment(t *testing.T) {
	out, err := adaptOn(t, "{"+bothDomains+"method: coral}", map[string]*pipelinetest.Table{"source": scene{labelled: allLabelled}.table(t, "features")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	measured, err := record.ReadRows[record.ShiftMeasure](out["shift"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	means := map[string]float64{}
	for _, m := range measured {
		if m.Measure == "mean_distance" && m.Of == "" {
			means[m.When] = m.Value
		}
	}
	if means[record.ShiftBefore] < 0.1 || means[record.ShiftAfter] > 1e-5 {
		t.Errorf("distances of the means: %v", means)
	}
}

// The baseline is direct at the rate that the validator prefers, in whichever order the rates are listed.
func TestBaselineOfSeveralRates(t *testing.T) {
	var told []string
	for _, rates := range []string{"[1e-5, 1e-2]", "[1e-2, 1e-5]"} {
		with := "{" + bothDomains + "method: mcc, learning_rate: " + rates + ", select: {by: im, over: [method, learning_rate]}" + small
		out, err := adaptOn(t, with, map[string]*pipelinetest.Table{"source": scene{labelled: allLabelled}.table(t, "features")}, 1)
		if err != nil {
			t.Fatal(err)
		}
		diagnostics, err := record.ReadRows[record.Diagnostic](out["diagnostics"].Batches(context.Background()))
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, d := range diagnostics {
			if d.Name == record.AdaptationGain {
				text += d.Text
			}
			if d.Name == record.ValidatorCorrelation && !strings.Contains(d.Text, "the 4 models that could be chosen") {
				t.Errorf("%s", d.Text)
			}
		}
		told = append(told, text+" "+out["direct"].Digest())
	}
	if told[0] != told[1] || !strings.Contains(told[0], "direct, learning rate") {
		t.Errorf("%q", told)
	}
}

// A few labels of the target do not tell which classes it lacks.
func TestFewLabelsGiveNoAlarm(t *testing.T) {
	few := func(domain, split string) bool { return domain == "photo" || split == record.Test }
	out, err := adaptOn(t, "{method: coral}", map[string]*pipelinetest.Table{"source": scene{labelled: allLabelled, only: "photo", classes: []string{"a", "b", "c", "d"}}.table(t, "photos"), "target": scene{labelled: few, only: "sketch"}.table(t, "sketches")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	diagnostics, err := record.ReadRows[record.Diagnostic](out["diagnostics"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diagnostics {
		if d.Name == record.SourceOnlyClasses && (d.Alarm || !strings.HasPrefix(d.Text, "24 of the target's 120 rows have a label, none of these of classes d (")) {
			t.Errorf("%+v", d)
		}
	}
}

// All methods begin with the weights that direct begins with.
func TestMethodsBeginAlike(t *testing.T) {
	with := "{" + bothDomains + "method: [dann, cdan, mmd], select: im, epochs: 1, least_steps: 2, batch_size: 16, network: {hidden: [8, 6], task: [5], discriminator: [4], dropout: 0, batch_norm: false}}"
	out, err := adaptOn(t, with, map[string]*pipelinetest.Table{"source": scene{labelled: allLabelled}.table(t, "features")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	terms, err := record.ReadRows[record.LossTerm](out["history"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	losses := map[string]float64{}
	for _, term := range terms {
		if term.Step == 1 && (term.Term == "class" || term.Term == "dann") {
			losses[term.Candidate+" "+term.Term] = term.Loss
		}
	}
	for _, name := range []string{"dann", "cdan", "mmd"} {
		if math.Abs(losses[name+" class"]-losses["direct class"]) > 1e-6 {
			t.Errorf("%s begins with another loss than direct: %v", name, losses)
		}
	}
	for _, name := range []string{"direct class", "dann dann"} {
		if loss := losses[name]; loss == 0 || math.Abs(loss-math.Log(3)) < 1e-4 || math.Abs(loss-math.Ln2) < 1e-4 {
			t.Errorf("%s begins with the loss of equal answers: %v", name, loss)
		}
	}
}

// No accuracy in training is told of turns whose rows have no label.
func TestUnlabelledTurnsHaveNoAccuracy(t *testing.T) {
	out, err := adaptOn(t, "{"+bothDomains+"method: tent"+small, map[string]*pipelinetest.Table{"source": scene{labelled: allLabelled}.table(t, "features")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	terms, err := record.ReadRows[record.LossTerm](out["history"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, term := range terms {
		if term.Candidate == "tent" && term.Epoch == 3 {
			seen[term.Term]++
		}
	}
	if seen["tent"] == 0 || seen["class"] > 0 {
		t.Errorf("terms of the pass over the target: %v", seen)
	}
}

// Classes that one domain alone has give an alarm.
func TestLoneClasses(t *testing.T) {
	photo, sketch := scene{labelled: allLabelled, only: "photo", classes: []string{"a", "b", "c"}}, scene{labelled: allLabelled, only: "sketch", classes: []string{"a", "b", "d"}}
	out, err := adaptOn(t, "{method: coral}", map[string]*pipelinetest.Table{"source": photo.table(t, "photos"), "target": sketch.table(t, "sketches")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	diagnostics, err := record.ReadRows[record.Diagnostic](out["diagnostics"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, d := range diagnostics {
		if d.Alarm {
			told[d.Name] = d.Text
		}
	}
	if !strings.Contains(told[record.SourceOnlyClasses], "has: c (") || !strings.Contains(told[record.TargetOnlyClasses], "not have: d (") {
		t.Errorf("%v", told)
	}
}
