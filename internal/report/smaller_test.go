package report_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/report"
	"github.com/tlpipe/tlpipe/pipeline"
)

// smallerRun is a run with a distilled student and an adaptation.
func smallerRun(t testing.TB) report.Run {
	var curves []record.DistillationCurve
	for _, student := range []string{record.RoleAlone, record.RoleDistilled} {
		for epoch := range 4 {
			curves = append(curves, record.DistillationCurve{Student: student, Phase: "all", Epoch: int32(epoch + 1), Loss: 2 / float64(epoch+1), ValidationLoss: 2.1 / float64(epoch+1), ValidationAccuracy: 0.2 * float64(epoch+1), Kept: epoch == 3})
		}
	}
	size := func(model, role string, bytes int64, accuracy float64) record.ModelSize {
		return record.ModelSize{Model: model, Role: role, Parameters: bytes / 4, MultiplyAdds: bytes, Bytes: bytes, Nonzero: bytes / 4, Rows: 100, Accuracy: accuracy, Low: accuracy - 0.1, High: accuracy + 0.08, Agreement: 1, AgreementLow: 0.96, AgreementHigh: 1}
	}
	var terms []record.LossTerm
	for step := range 10 {
		terms = append(terms, record.LossTerm{Candidate: "mmd", Epoch: 1, Step: int64(step + 1), Term: "mmd", Loss: 1 / float64(step+1), Weight: 1, Accuracy: math.NaN(), LearningRate: 0.001, Reversal: math.NaN()})
	}
	trial := func(method string, accuracy, p float64, chosen bool) record.AdaptationTrial {
		return record.AdaptationTrial{Candidate: method, Method: method, LearningRate: 0.001, Epoch: 1, Best: true, Chosen: chosen, Oracle: accuracy, OracleLow: accuracy - 0.1, OracleHigh: accuracy + 0.1, OracleRows: 50, P: p}
	}
	nan := math.NaN()
	shift := []record.ShiftMeasure{
		{When: record.ShiftBefore, Measure: "a_distance", Value: 1.318, Low: 1.068, High: 1.512, P: nan},
		{When: record.ShiftBefore, Measure: "mmd", Value: 0.5527, Low: nan, High: nan, P: 0.0004},
		{When: record.ShiftAfter, Measure: "mmd", Value: 0.0511, Low: nan, High: nan, P: 0.04},
		{When: record.ShiftBefore, Measure: "mean_distance", Of: "cat", Value: 0.9871, Low: nan, High: nan, P: nan},
		{When: record.ShiftAfter, Measure: "mean_distance", Of: "cat", Value: 0.29, Low: nan, High: nan, P: nan},
		{When: record.ShiftBefore, Measure: "class_frequency", Of: "cat", Value: 0.3886, Low: nan, High: nan, P: nan},
		{When: record.ShiftAfter, Measure: "class_frequency", Of: "cat", Value: 0.5177, Low: nan, High: nan, P: nan},
		{When: record.ShiftBefore, Measure: "class_frequency", Of: "dog", Value: 0.6114, Low: nan, High: nan, P: nan},
	}
	images := report.Link{Port: "data", From: "images", FromPort: "images"}
	return report.Run{Pipeline: "smaller", File: "smaller.yaml", Status: "ok", Nodes: []report.Node{
		{Name: "net", Stage: "net", Uses: "finetune", State: report.Computed, Outputs: map[string]pipeline.Input{"history": historyTable(t, "net", 0.9)}},
		{
			Name: "student", Stage: "student", Uses: "distill", State: report.Computed,
			Inputs: []report.Link{{Port: "teacher", From: "net", FromPort: "model"}, images},
			Outputs: map[string]pipeline.Input{
				"sizes": table(t, "student", []record.ModelSize{
					size("net", record.RoleTeacher, 13_000_000, 0.9), size("student", record.RoleAlone, 400_000, 0.7), size("student", record.RoleDistilled, 400_000, 0.75),
				}),
				"curves": table(t, "student", curves),
			},
		},
		{
			Name: "other", Stage: "other", Uses: "distill", State: report.Computed, Inputs: []report.Link{{Port: "teacher", From: "net", FromPort: "model"}, images},
			Outputs: map[string]pipeline.Input{"sizes": table(t, "other", []record.ModelSize{size("net", record.RoleTeacher, 13_000_000, 0.9), size("other", record.RoleDistilled, 300_000, 0.72)})},
		},
		{
			Name: "thin", Stage: "thin", Uses: "prune", State: report.Computed, Inputs: []report.Link{{Port: "model", From: "student", FromPort: "alone"}, images},
			Outputs: map[string]pipeline.Input{"sizes": table(t, "thin", []record.ModelSize{size("model", record.RoleUnpruned, 400_000, 0.7), size(record.RolePruned, record.RolePruned, 200_000, 0.6)})},
		},
		{
			Name: "q[ranges=mse]", Stage: "q", Uses: "quantise", State: report.Computed, Inputs: []report.Link{{Port: "model", From: "net", FromPort: "model"}, images},
			Outputs: map[string]pipeline.Input{"sizes": table(t, "q[ranges=mse]", []record.ModelSize{size("model", record.RoleUnquantised, 13_000_000, 0.9), size("in int8", record.RoleQuantised+"int8", 3_400_000, 0.88)})},
		},
		{
			Name: "half", Stage: "half", Uses: "quantise", State: report.Computed, Inputs: []report.Link{{Port: "model", From: "net", FromPort: "model"}, images},
			Outputs: map[string]pipeline.Input{"sizes": table(t, "half", []record.ModelSize{size("model", record.RoleUnquantised, 13_000_000, 0.9), size("in float16", record.RoleQuantised+"float16", 6_600_000, 0.9)})},
		},
		{
			Name: "adapted", Stage: "adapted", Uses: "adapt", State: report.Computed,
			Outputs: map[string]pipeline.Input{"selection": table(t, "adapted", []record.AdaptationTrial{trial("direct", 0.5, math.NaN(), false), trial("mmd", 0.6, 0.3, true)}), "history": table(t, "adapted", terms), "shift": table(t, "adapted", shift)},
		},
	}}
}

// The curves of students and of the terms of a loss are strokes that the style sheet draws.
func TestCurvesOfSmallerNetworksAreDrawn(t *testing.T) {
	text := page(t, smallerRun(t))
	checkPage(t, text)
	for id, want := range map[string][]string{"smaller": {"ln k0", "ln k1", "ln k2", "ln k0", "ln k1", "ln k2"}, "adaptation": {"ln k0"}} {
		var got []string
		for _, n := range parse(t, section(text, id)).all("path") {
			if attribute(n, "class") != "" && strings.HasPrefix(attribute(n, "d"), "M") {
				got = append(got, attribute(n, "class"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has curves of classes %q, want %q", id, got, want)
		}
	}
}

// Every network that was measured has a mark, those that several stages were given one, and the legend names each.
func TestSizeAgainstAccuracyNamesEveryNetwork(t *testing.T) {
	d := parse(t, section(page(t, smallerRun(t)), "smaller"))
	want := []string{"net", "student, student alone", "student, distilled student", "other, distilled student", "student.alone", "thin, after pruning", "q[ranges=mse], in int8", "half, in float16"}
	var named []string
	symbols := map[string]bool{}
	for item := range d.withClass("keys")[0].ChildNodes() {
		named = append(named, textOf(item))
	}
	for item := range d.withClass("keys")[0].Descendants() {
		if item.Data == "use" {
			symbols[strings.TrimSuffix(attribute(item, "class"), " key")+attribute(item, "href")[2:]] = true
		}
	}
	if !slices.Equal(named, want) || len(symbols) != len(want) {
		t.Errorf("the legend names %q with the symbols %v, want %q", named, symbols, want)
	}
	var marked []string
	for _, n := range d.all("use") {
		if title, interval, ok := strings.Cut(textOf(n), ": "); ok && strings.HasPrefix(attribute(n, "href"), "#l") {
			marked = append(marked, title)
			if !strings.Contains(interval, "–") {
				t.Errorf("%s has no interval: %s", title, interval)
			}
			if symbol := attribute(n, "class") + attribute(n, "href")[2:]; !symbols[symbol] {
				t.Errorf("the symbol %s of %s is not in the legend, which has %v", symbol, title, symbols)
			}
		}
	}
	if !slices.Equal(marked, want) {
		t.Errorf("marked are %q, want %q", marked, want)
	}
	text := textOf(d.byID("smaller"))
	for said, times := range map[string]int{
		"Accuracy on the same 100 validation rows, with 95 % intervals (Wilson).": 1,
		"Validation accuracy": 1, "Validation loss": 1, "Size against accuracy": 1, // headings
		"which also chose the epochs": 1, // of the stage with curves; what was pruned alone had none
	} {
		if got := strings.Count(text, said); got != times {
			t.Errorf("%q stands %d times, want %d", said, got, times)
		}
	}
}

// The shift is told with the chance of the test, and by class.
func TestShiftOfAnAdaptation(t *testing.T) {
	text := textOf(parse(t, section(page(t, smallerRun(t)), "adaptation")).byID("adaptation"))
	for _, want := range []string{
		"1.3181.068–1.512", "MMD², unbiased0.553p < 0.001 0.051p = 0.04", "Shift by class", "cat0.9870.29038.9%51.8%", "dog61.1%",
	} {
		if squeezed := strings.ReplaceAll(text, "\u00a0", " "); !strings.Contains(strings.ReplaceAll(squeezed, " ", ""), strings.ReplaceAll(want, " ", "")) {
			t.Errorf("%q is not in %q", want, squeezed)
		}
	}
}
