package report_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/disintegration/imaging"
	_ "golang.org/x/image/webp"

	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/report"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// A run as the quickstart gives it: emoji, copies of them, three kinds of
// features, three heads, their scores. Only the pictures are real.

const side = 96 // of the pictures, in pixels

var openEmoji = sync.OnceValues(emoji.Open)

type picture struct {
	emoji.Row
	split string
}

// pictures are the emoji, split by object.
func pictures(t testing.TB) []picture {
	t.Helper()
	set, err := openEmoji()
	if err != nil {
		t.Fatal(err)
	}
	var out []picture
	for i, row := range set.Rows() {
		split := record.Train
		switch (i / 3) % 21 { // three styles of each of 21 objects a class
		case 3, 9, 15:
			split = record.Validation
		case 5, 11, 18:
			split = record.Test
		}
		out = append(out, picture{row, split})
	}
	slices.SortFunc(out, func(a, b picture) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// decoded holds the pictures by id, small and on white.
var decoded = sync.OnceValues(func() (map[string]*image.NRGBA, error) {
	set, err := openEmoji()
	if err != nil {
		return nil, err
	}
	out := map[string]*image.NRGBA{}
	for _, row := range set.Rows() {
		raw, err := set.Read(row.ID)
		if err != nil {
			return nil, err
		}
		picture, _, err := image.Decode(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		white := imaging.New(picture.Bounds().Dx(), picture.Bounds().Dy(), color.White)
		out[row.ID] = imaging.Resize(imaging.OverlayCenter(white, picture, 1), side, side, imaging.Linear)
	}
	return out, nil
})

// text appends "" as null.
func text(b array.Builder, value string) {
	if value == "" {
		b.AppendNull()
		return
	}
	b.(*array.StringBuilder).Append(value)
}

func textField(name string) arrow.Field {
	return arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true}
}

// imagesTable holds the pictures, each with so many rotated copies if it is of
// the training split.
func imagesTable(t testing.TB, name string, rows []picture, copies int) *pipelinetest.Table {
	schema := arrow.NewSchema([]arrow.Field{
		textField(record.ID), record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, side, side, 3),
		textField(record.Label), textField(record.Split), textField(record.Domain), textField("object"),
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
	}, nil)
	mean, std, channels, _ := record.Normalisation("imagenet")
	schema = record.WithMetadata(schema, record.PreprocessingKey, record.Preprocessing{
		For: "efficientnet_lite0", Height: side, Width: side, Resize: record.ResizeSquash,
		Filter: record.FilterBilinear, Channels: channels, Mean: mean, Std: std, Normalise: "imagenet",
	}.Encode())
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	originals, err := decoded()
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]uint8, 0, side*side*3)
	for _, row := range rows {
		original := originals[row.ID]
		for c := range copies + 1 {
			if c > 0 && row.split != record.Train {
				break
			}
			shown := original
			if c > 0 {
				shown = imaging.Resize(imaging.Rotate(original, float64(17*c-34), color.White), side, side, imaging.Linear)
			}
			text(b.Field(0), row.ID)
			b.Field(1).(*array.FixedSizeListBuilder).Append(true)
			values := b.Field(1).(*array.FixedSizeListBuilder).ValueBuilder().(*array.Uint8Builder)
			pixels = pixels[:0]
			for i := 0; i < len(shown.Pix); i += 4 {
				pixels = append(pixels, shown.Pix[i:i+3]...)
			}
			values.AppendValues(pixels, nil)
			text(b.Field(2), row.Label)
			text(b.Field(3), row.split)
			text(b.Field(4), row.Domain)
			text(b.Field(5), row.Object)
			b.Field(6).(*array.Int32Builder).Append(int32(c))
		}
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return pipelinetest.NewTable(name, nil, rec)
}

// featuresTable scatters rows around a centre a class; the larger the
// distance of the centres, the better the features.
func featuresTable(t testing.TB, name string, at pipeline.Coordinates, rows []picture, distance float64) *pipelinetest.Table {
	const dimension = 24
	schema := arrow.NewSchema([]arrow.Field{
		textField(record.ID), record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, dimension),
		textField(record.Label), textField(record.Split), textField(record.Domain),
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	centres := map[string][]float64{}
	random := rand.New(rand.NewPCG(11, 12))
	for _, row := range rows {
		if centres[row.Label] == nil {
			centre := make([]float64, dimension)
			for i := range centre {
				centre[i] = distance * random.NormFloat64()
			}
			centres[row.Label] = centre
		}
		for c := range 2 {
			text(b.Field(0), row.ID)
			b.Field(1).(*array.FixedSizeListBuilder).Append(true)
			values := b.Field(1).(*array.FixedSizeListBuilder).ValueBuilder().(*array.Float32Builder)
			for _, x := range centres[row.Label] {
				values.Append(float32(x + random.NormFloat64()))
			}
			text(b.Field(2), row.Label)
			text(b.Field(3), row.split)
			text(b.Field(4), row.Domain)
			b.Field(5).(*array.Int32Builder).Append(int32(c))
		}
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return pipelinetest.NewTable(name, at, rec)
}

func table[T any](t testing.TB, name string, rows []T, metadata ...string) *pipelinetest.Table {
	rec := record.FromRows(rows)
	t.Cleanup(rec.Release)
	if len(metadata) == 2 {
		schema := record.WithMetadata(rec.Schema(), metadata[0], metadata[1])
		rec = array.NewRecord(schema, rec.Columns(), rec.NumRows())
		t.Cleanup(rec.Release)
	}
	return pipelinetest.NewTable(name, nil, rec)
}

func historyTable(t testing.TB, name string, skill float64) *pipelinetest.Table {
	random := rand.New(rand.NewPCG(5, uint64(1000*skill)))
	var rows []record.TrainingEpoch
	for e := 1; e <= 22; e++ {
		learnt := 1 - math.Exp(-float64(e)/4)
		over := math.Max(0, float64(e)-9) * 0.012
		rows = append(rows, record.TrainingEpoch{
			Epoch: int32(e), LearningRate: 0.001, Kept: e == 14,
			Loss:               2.08*(1-learnt*(0.3+0.65*skill)) + 0.02*random.Float64(),
			Accuracy:           0.125 + learnt*(0.3+0.55*skill) + 0.01*random.Float64(),
			ValidationLoss:     2.08*(1-learnt*skill*0.9) + over + 0.05*random.Float64(),
			ValidationAccuracy: 0.125 + learnt*skill*0.8 + 0.03*random.Float64(),
		})
	}
	return table(t, name, rows)
}

// candidate is a made-up model: how often it is right, and how sure it is.
type candidate struct {
	name     string
	baseline bool
	skill    float64
	sample   *metrics.Sample
}

// scores makes the outputs of an evaluation of made-up answers.
func scores(t testing.TB, rows []picture, candidates []candidate) map[string]pipeline.Input {
	t.Helper()
	var test []picture
	var classes []string
	for _, row := range rows {
		if row.split == record.Test {
			test = append(test, row)
		}
		if !slices.Contains(classes, row.Label) {
			classes = append(classes, row.Label)
		}
	}
	slices.Sort(classes)
	truth := make([]int, len(test))
	for i, row := range test {
		truth[i] = slices.Index(classes, row.Label)
	}
	var lines []record.Metric
	var confusion []record.Confusion
	var bins []record.CalibrationBin
	var mistakes []record.Mistake
	for k := range candidates {
		r := &candidates[k]
		random := rand.New(rand.NewPCG(77, uint64(k)))
		var p []float32
		for _, class := range truth {
			logits := make([]float64, len(classes))
			sum := 0.0
			for c := range logits {
				logits[c] = random.NormFloat64()
				if c == class {
					logits[c] += 5 * r.skill
				}
				logits[c] = math.Exp(1.3 * logits[c])
				sum += logits[c]
			}
			for _, x := range logits {
				p = append(p, float32(x/sum))
			}
		}
		var err error
		if r.sample, err = metrics.NewSample(truth, p, len(classes)); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, metricLines(t, r, classes, test)...)
		for actual, row := range r.sample.Confusion() {
			for predicted, n := range row {
				if n > 0 {
					confusion = append(confusion, record.Confusion{Model: r.name, Actual: classes[actual], Predicted: classes[predicted], Rows: int64(n)})
				}
			}
		}
		for _, b := range r.sample.Calibration(10, nil) {
			w := metrics.Wilson(b.Accuracy*b.Weight, b.Weight)
			bins = append(bins, record.CalibrationBin{Model: r.name, Low: b.Low, High: b.High, Rows: int64(b.Weight), Confidence: b.Confidence, Accuracy: b.Accuracy, AccuracyLow: w.Low, AccuracyHigh: w.High})
		}
		if !r.baseline {
			mistakes = append(mistakes, mistakesOf(r, classes, test)...)
		}
	}
	var comparisons []record.Comparison
	var ps []float64
	for i, a := range candidates {
		for _, b := range candidates[i+1:] {
			if a.baseline && b.baseline {
				continue
			}
			c := compare(t, a, b)
			comparisons = append(comparisons, c)
			ps = append(ps, c.P)
		}
	}
	for i, p := range metrics.Holm(ps) {
		comparisons[i].PAdjusted = p
	}
	about := record.Evaluation{Split: record.Test, Resamples: 1000, Cluster: "object"}.Encode()
	return map[string]pipeline.Input{
		"metrics":     table(t, "scores", lines, record.EvaluationKey, about),
		"comparison":  table(t, "scores", comparisons),
		"confusion":   table(t, "scores", confusion),
		"calibration": table(t, "scores", bins),
		"duplicates": table(t, "scores", []record.Duplicate{
			{ID: test[0].ID, Label: test[0].Label, Other: "noto/gone", OtherLabel: "cat", OtherSplit: "train", Distance: 4, Rows: int64(len(test))},
		}),
		"curves": table(t, "scores", curvesOf(candidates, classes)),
		"label_errors": table(t, "scores", []record.LabelError{
			{ID: test[0].ID, Split: record.Test, Label: test[0].Label, Suggested: test[1].Label, Probability: 0.01, Confidence: 0.97},
		}, record.EvaluationKey, record.Evaluation{Split: record.Test, Labels: &record.LabelSearch{Rows: len(rows), Folds: 5, Accuracy: 0.9, Features: "features"}}.Encode()),
		"mistakes":    table(t, "scores", mistakes),
		"predictions": predictionsTable(t, candidates, classes, test),
	}
}

// predictionsTable holds what every candidate answers to every row.
// curvesOf draws the curves of all candidates.
func curvesOf(candidates []candidate, classes []string) (out []record.CurvePoint) {
	for _, r := range candidates {
		var all []int
		for c := range classes {
			all = append(all, c)
		}
		add := func(curve, average, class string, points []metrics.CurvePoint) {
			for _, p := range points {
				out = append(out, record.CurvePoint{Model: r.name, Curve: curve, Average: average, Class: class, X: p.X, Y: p.Y, Cutoff: math.NaN()})
			}
		}
		micro := r.sample.MicroDetection(all)
		add(record.PrecisionRecallCurve, record.MicroAverage, "", micro.PrecisionRecall())
		var curves [][]metrics.CurvePoint
		for c := range classes {
			curves = append(curves, r.sample.Detection(c).ROC())
		}
		add(record.ROCCurve, record.MacroAverage, "", metrics.MeanROC(curves, 51))
		if !r.baseline {
			for c, class := range classes {
				add(record.ROCCurve, "", class, curves[c])
				add(record.PrecisionRecallCurve, "", class, r.sample.Detection(c).PrecisionRecall())
			}
		}
	}
	return out
}

func predictionsTable(t testing.TB, candidates []candidate, classes []string, test []picture) *pipelinetest.Table {
	schema := arrow.NewSchema([]arrow.Field{
		textField(record.ID), textField(record.Label), textField("model"), textField(record.Predicted),
		record.TensorField(record.Probabilities, arrow.PrimitiveTypes.Float32, len(classes)),
	}, nil)
	names, err := json.Marshal(classes)
	if err != nil {
		t.Fatal(err)
	}
	schema = record.WithMetadata(schema, record.ClassesKey, string(names))
	var records []arrow.Record
	for _, r := range candidates {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for i, row := range test {
			text(b.Field(0), row.ID)
			text(b.Field(1), row.Label)
			text(b.Field(2), r.name)
			text(b.Field(3), classes[r.sample.Predicted(i)])
			list := b.Field(4).(*array.FixedSizeListBuilder)
			list.Append(true)
			list.ValueBuilder().(*array.Float32Builder).AppendValues(r.sample.Probabilities(i), nil)
		}
		rec := b.NewRecord()
		b.Release()
		t.Cleanup(rec.Release)
		records = append(records, rec)
	}
	return pipelinetest.NewTable("scores", nil, records...)
}

func metricLines(t testing.TB, r *candidate, classes []string, test []picture) []record.Metric {
	role := record.ModelRole
	if r.baseline {
		role = record.BaselineRole
	}
	var out []record.Metric
	add := func(s *metrics.Sample, slice, name, class string, rows int, f func(w []float64) float64) {
		intervals, err := metrics.Bootstrap{Seed: 1, Resamples: 200, Rows: s.Rows()}.Intervals(context.Background(), 1,
			func(w []float64) []float64 { return []float64{f(w)} })
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, record.Metric{Model: r.name, Role: role, Slice: slice, Metric: name, Class: class, Value: f(nil), Low: intervals[0].Low, High: intervals[0].High, Rows: int64(rows)})
	}
	s := r.sample
	n := s.Rows()
	ranking := s.Ranking(1)
	add(s, "", record.Accuracy, "", n, s.Accuracy)
	add(s, "", "top_3_accuracy", "", n, func(w []float64) float64 { return s.TopK(3, w) })
	add(s, "", record.BalancedAccuracy, "", n, func(w []float64) float64 { return s.Tally(w).BalancedAccuracy() })
	for name, f := range map[string]func(metrics.Tally) float64{
		record.MacroPrecision: func(x metrics.Tally) float64 { return x.Macro().Precision }, record.MacroRecall: func(x metrics.Tally) float64 { return x.Macro().Recall },
		record.MacroF1: func(x metrics.Tally) float64 { return x.Macro().F1 }, record.WeightedF1: func(x metrics.Tally) float64 { return x.Weighted().F1 },
	} {
		add(s, "", name, "", n, func(w []float64) float64 { return f(s.Tally(w)) })
	}
	add(s, "", record.ROCAUC, "", n, func(w []float64) float64 { _, a := ranking.AUCs(w); return a })
	add(s, "", record.LogLoss, "", n, s.LogLoss)
	add(s, "", record.Brier, "", n, s.Brier)
	add(s, "", record.CalibrationError, "", n, func(w []float64) float64 { return metrics.ExpectedCalibrationError(s.Calibration(10, w)) })
	for c, class := range classes {
		rows := int(s.Tally(nil).Actual[c])
		add(s, "", record.Precision, class, rows, func(w []float64) float64 { return s.Tally(w).Scores(c).Precision })
		add(s, "", record.Recall, class, rows, func(w []float64) float64 { return s.Tally(w).Scores(c).Recall })
		add(s, "", record.F1, class, rows, func(w []float64) float64 { return s.Tally(w).Scores(c).F1 })
		add(s, "", record.ROCAUC, class, rows, func(w []float64) float64 { return ranking.AUC(c, w) })
	}
	var domains []string
	for _, row := range test {
		if !slices.Contains(domains, row.Domain) {
			domains = append(domains, row.Domain)
		}
	}
	for _, domain := range domains {
		var rows []int
		for i, row := range test {
			if row.Domain == domain {
				rows = append(rows, i)
			}
		}
		part := s.Select(rows)
		add(part, "domain="+domain, record.Accuracy, "", len(rows), part.Accuracy)
	}
	return out
}

func mistakesOf(r *candidate, classes []string, test []picture) []record.Mistake {
	var out []record.Mistake
	for i, row := range test {
		if !r.sample.Right(i) {
			out = append(out, record.Mistake{
				Model: r.name, ID: row.ID, Label: row.Label, Predicted: classes[r.sample.Predicted(i)],
				Confidence: r.sample.Confidence(i), Probability: float64(r.sample.Probabilities(i)[r.sample.Truth(i)]),
			})
		}
	}
	slices.SortFunc(out, func(a, b record.Mistake) int { return cmp.Compare(b.Confidence, a.Confidence) })
	out = out[:min(len(out), 12)]
	for i := range out {
		out[i].Rank = int64(i + 1)
	}
	return out
}

func compare(t testing.TB, a, b candidate) record.Comparison {
	var rightA, rightB []bool
	for i := range a.sample.Rows() {
		rightA = append(rightA, a.sample.Right(i))
		rightB = append(rightB, b.sample.Right(i))
	}
	onlyA, onlyB := metrics.Discordant(rightA, rightB)
	intervals, err := metrics.Bootstrap{Seed: 1, Resamples: 300, Rows: len(rightA)}.Intervals(context.Background(), 1, func(w []float64) []float64 {
		return []float64{a.sample.Accuracy(w) - b.sample.Accuracy(w)}
	})
	if err != nil {
		t.Fatal(err)
	}
	return record.Comparison{
		A: a.name, B: b.name, Rows: int64(len(rightA)), ValueA: a.sample.Accuracy(nil), ValueB: b.sample.Accuracy(nil),
		OnlyA: int64(onlyA), OnlyB: int64(onlyB), Difference: a.sample.Accuracy(nil) - b.sample.Accuracy(nil),
		Low: intervals[0].Low, High: intervals[0].High, P: metrics.McNemar(onlyA, onlyB),
	}
}

func rejectsTable(t testing.TB, name string, rejects ...pipeline.Reject) *pipelinetest.Table {
	schema := arrow.NewSchema([]arrow.Field{{Name: record.ID, Type: arrow.BinaryTypes.String}, {Name: record.Reason, Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, r := range rejects {
		b.Field(0).(*array.StringBuilder).Append(r.ID)
		b.Field(1).(*array.StringBuilder).Append(r.Reason)
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return pipelinetest.NewTable(name, nil, rec)
}

func digestOf(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name))) }

// quickstart is the whole run.
// overviewOf counts rows as a source does.
func overviewOf(rows []picture) *pipeline.Overview {
	o := &pipeline.Overview{Rows: int64(len(rows)), Splits: []string{"train", "val", "test"}, Columns: []string{"object"}, Notes: []string{"folders without pictures: <newt>"}}
	for _, r := range rows {
		i := slices.IndexFunc(o.Classes, func(c pipeline.ClassRows) bool { return c.Name == r.Label })
		if i < 0 {
			i = len(o.Classes)
			o.Classes = append(o.Classes, pipeline.ClassRows{Name: r.Label, Rows: map[string]int64{}})
		}
		o.Classes[i].Rows[r.split]++
	}
	return o
}

func quickstart(t testing.TB) report.Run {
	t.Helper()
	rows := pictures(t)
	images := imagesTable(t, "images", rows, 0)
	varied := imagesTable(t, "varied", rows[:60], 4)
	run := report.Run{
		Pipeline: "quickstart", File: "pipelines/quickstart.yaml", ID: "20260611-101500-7f3a", Status: "ok",
		Started: time.Date(2026, 6, 11, 10, 15, 0, 0, time.UTC), Seconds: 74.2, Seed: 42, Version: "0.1.0",
		Nodes: []report.Node{
			{
				Name: "images", Stage: "images", Uses: "preprocess", State: report.Hit, Chunks: 4, Rows: 504, Rejected: 3, Seconds: 0.2, Digest: digestOf("images"), Recipe: digestOf("r-images"),
				Params:   []params.Value{{Path: "for", Text: `"efficientnet_lite0"`}, {Path: "source.builtin", Text: `"emoji"`}, {Path: "split.test", Text: "0.15"}, {Path: "split.train", Text: "0.7"}},
				Outputs:  map[string]pipeline.Input{"images": images},
				Overview: overviewOf(rows),
				Rejects:  rejectsTable(t, "images", pipeline.Reject{ID: "photos/broken 1.jpg", Reason: "not a picture: the file is empty"}, pipeline.Reject{ID: "photos/写真.jpg", Reason: "truncated: unexpected end of JPEG data"}, pipeline.Reject{ID: "photos/bomb.png", Reason: "too large: 30000×30000 pixels are more than 100 million"}),
			},
			{
				Name: "varied", Stage: "varied", Uses: "augment", State: report.Partial, Chunks: 12, ChunksComputed: 1, Rows: 2088, Seconds: 3.4, Digest: digestOf("varied"),
				Params:  []params.Value{{Path: "copies", Text: "4"}, {Path: "flip", Text: `"horizontal"`}, {Path: "rotate", Text: "0.1"}},
				Inputs:  []report.Link{{Port: "images", From: "images", FromPort: "images"}},
				Outputs: map[string]pipeline.Input{"images": varied},
			},
		},
	}
	var links []report.Link
	for i, m := range []struct {
		name  string
		skill float64
	}{{"pretrained", 1}, {"random", 0.45}, {"pixels", 0.3}} {
		at := pipeline.Coordinates{"backbone": m.name}
		bracket := "[backbone=" + m.name + "]"
		run.Nodes = append(run.Nodes, report.Node{
			Name: "features" + bracket, Stage: "features", Uses: "extract", Coordinates: at, State: []report.State{report.Hit, report.Computed, report.Computed}[i], Chunks: 12, ChunksComputed: 12 * min(i, 1), Rows: 2088, Seconds: 21.7, Digest: digestOf("features" + m.name),
			Notes:   []string{"precision bf16: multiplied in float32"},
			Params:  []params.Value{{Path: "backbone", Text: fmt.Sprintf("%q", []string{"efficientnet_lite0", "efficientnet_lite0", "pixels"}[i])}, {Path: "flip", Text: "false"}, {Path: "weights", Text: fmt.Sprintf("%q", []string{"imagenet", "random", ""}[i])}},
			Inputs:  []report.Link{{Port: "images", From: "varied", FromPort: "images"}},
			Outputs: map[string]pipeline.Input{"features": featuresTable(t, "features"+bracket, at, rows, 0.25+1.1*m.skill*m.skill)},
		}, report.Node{
			Name: "head" + bracket, Stage: "head", Uses: "finetune", Coordinates: at, State: report.Computed, Chunks: 1, ChunksComputed: 1, Rows: 8, Seconds: 9.1, Digest: digestOf("head" + m.name),
			Params:  []params.Value{{Path: "epochs", Text: "30"}, {Path: "head", Text: `"tutorial"`}},
			Inputs:  []report.Link{{Port: "features", From: "features" + bracket, FromPort: "features"}},
			Outputs: map[string]pipeline.Input{"history": historyTable(t, "head"+bracket, m.skill)},
		})
		links = append(links, report.Link{Port: "model", From: "head" + bracket, FromPort: "model"}, report.Link{Port: "data", From: "features" + bracket, FromPort: "features"})
	}
	run.Nodes = append(run.Nodes, report.Node{
		Name: "scores", Stage: "scores", Uses: "evaluate", State: report.Computed, Chunks: 1, ChunksComputed: 1, Rows: 431, Seconds: 0.6, Digest: digestOf("scores"),
		Params: []params.Value{{Path: "bootstrap", Text: "1000"}, {Path: "cluster", Text: `"object"`}, {Path: "slices[0]", Text: `"domain"`}},
		Inputs: links,
		Outputs: scores(t, rows, []candidate{
			{name: "head[backbone=pretrained]", skill: 0.56}, {name: "head[backbone=random]", skill: 0.27}, {name: "head[backbone=pixels]", skill: 0.2},
			{name: "nearest centroid[backbone=pretrained]", baseline: true, skill: 0.45}, {name: "nearest centroid[backbone=random]", baseline: true, skill: 0.22},
			{name: "nearest centroid[backbone=pixels]", baseline: true, skill: 0.12}, {name: "majority class", baseline: true, skill: 0},
		}),
	})
	return run
}

func writePNG(t testing.TB, path string, picture image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, picture), f.Close()); err != nil {
		t.Fatal(err)
	}
}
