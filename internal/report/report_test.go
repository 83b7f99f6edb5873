package report_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/net/html"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/report"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

func page(t testing.TB, run report.Run) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.Write(context.Background(), &out, run); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// document is a parsed page.
type document struct{ elements []*html.Node }

func parse(t testing.TB, text string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.elements = append(d.elements, n)
		}
	}
	return d
}

func (d document) all(name string) []*html.Node {
	var out []*html.Node
	for _, n := range d.elements {
		if n.Data == name {
			out = append(out, n)
		}
	}
	return out
}

func (d document) byID(id string) *html.Node {
	for _, n := range d.elements {
		if attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

func (d document) withClass(class string) []*html.Node {
	var out []*html.Node
	for _, n := range d.elements {
		if slices.Contains(strings.Fields(attribute(n, "class")), class) {
			out = append(out, n)
		}
	}
	return out
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

var pictureData = regexp.MustCompile(`data:image/[a-zA-Z0-9+/=;,&#]*`)

var outside = regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9]`)

// checkPage holds what is true of every page: nothing comes from outside, no
// script, ids are unique and found, and what is not text is said in words.
func checkPage(t *testing.T, text string) document {
	t.Helper()
	d := parse(t, text)
	ids := map[string]int{}
	for _, n := range d.elements {
		if id := attribute(n, "id"); id != "" {
			ids[id]++
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %q stands %d times", id, n)
		}
	}
	for _, n := range d.elements {
		if n.Data == "path" && n.Parent != nil && attribute(n.Parent, "class") == "lines" {
			// These are the classes of curves that the style sheet gives a stroke.
			if !slices.ContainsFunc(strings.Fields(attribute(n, "class")), func(class string) bool { return class == "ln" || class == "train" || class == "validation" }) {
				t.Errorf("a curve of class %q is not drawn", attribute(n, "class"))
			}
		}
		switch n.Data {
		case "script", "iframe", "object", "embed", "base", "form":
			t.Errorf("there is a <%s>", n.Data)
		case "img":
			if !strings.HasPrefix(attribute(n, "src"), "data:image/") || attribute(n, "alt") == "" {
				t.Errorf("picture with source %.40q and alternative text %q", attribute(n, "src"), attribute(n, "alt"))
			}
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s> has the handler %s", n.Data, a.Key)
			}
			if a.Key == "href" && strings.HasPrefix(a.Val, "#") && ids[a.Val[1:]] == 0 {
				t.Errorf("<%s> leads to %s, which is not there", n.Data, a.Val)
			}
			if (a.Key == "href" || a.Key == "src") && outside.MatchString(a.Val) && !strings.HasPrefix(a.Val, "data:") {
				t.Errorf("<%s> leads outside: %.60s", n.Data, a.Val)
			}
			if a.Key == "role" && (a.Val == "img" || a.Val == "region") && attribute(n, "aria-label") == "" {
				t.Errorf("<%s> of role %s is not said in words", n.Data, a.Val)
			}
			if strings.Contains(a.Val, "ZgotmplZ") {
				t.Errorf("<%s %s> holds what the template refused: %s", n.Data, a.Key, a.Val)
			}
		}
	}
	words := pictureData.ReplaceAllString(text, "")
	if found := regexp.MustCompile(`NaN|Inf\b|%!|&lt;nil|ZgotmplZ`).FindString(words); found != "" {
		t.Errorf("the page says %q", found)
	}
	return d
}

func TestWholeRun(t *testing.T) {
	text := page(t, quickstart(t))
	// To look at it in a browser.
	if path := os.Getenv("TLPIPE_REPORT"); path != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := checkPage(t, text)
	for _, id := range []string{
		"pipeline", "e1-metrics", "e1-slices", "e1-classes", "e1-confusion", "e1-calibration", "e1-mistakes",
		"training", "features", "pictures", "rejects", "parameters",
	} {
		if d.byID(id) == nil {
			t.Errorf("there is no section %s", id)
		}
	}
	if d.byID("problems") != nil {
		t.Errorf("problems: %s", textOf(d.byID("problems")))
	}

	if n := strings.Count(textOf(d.byID("pipeline")), "features: precision bf16: multiplied in float32"); n != 1 {
		t.Errorf("what three instances of a stage have to tell alike is told %d times", n)
	}

	headline := textOf(d.withClass("headline")[0])
	if !regexp.MustCompile(`^pretrained gets \d\d\.\d% of 72 test rows right — \d\d points more than random and \d\d points more than pixels\.`).MatchString(headline) {
		t.Errorf("headline %q", headline)
	}
	bars := d.withClass("bars")[0]
	for _, name := range []string{"pretrained", "random", "pixels", "nearest centroid · pretrained", "majority class"} {
		if !strings.Contains(textOf(bars), name) {
			t.Errorf("no bar for %s", name)
		}
	}
	if n := len(d.withClass("whisker")); n < 7 {
		t.Errorf("%d intervals for seven bars", n)
	}
	if n := len(d.withClass("yes")) + len(d.withClass("no")); n != 6 {
		t.Errorf("%d verdicts on the best model against six others", n)
	}
	for name, n := range map[string]int{"mistakes": len(parse(t, section(text, "e1-mistakes")).all("img")), "pictures": len(parse(t, section(text, "pictures")).all("img"))} {
		if n < 12 {
			t.Errorf("%d pictures in section %s", n, name)
		}
	}
	features := textOf(d.byID("features"))
	for _, want := range []string{"fruit or vegetable", "twemoji", "of the variance", "noto/1f418 · mammal"} {
		if !strings.Contains(features, want) {
			t.Errorf("the maps do not mention %q", want)
		}
	}
	if got := textOf(d.byID("rejects")); !strings.Contains(got, "写真.jpg") || !strings.Contains(got, "unexpected end of JPEG data") {
		t.Errorf("rejects: %s", got)
	}
	parameters := textOf(d.byID("parameters"))
	for _, want := range []string{"copies", `"efficientnet_lite0" pretrained, random`, `"pixels" pixels`, digestOf("r-images"), digestOf("scores")} {
		if !strings.Contains(parameters, want) {
			t.Errorf("parameters do not hold %q", want)
		}
	}
	// Cached, partly cached and computed nodes differ by more than colour.
	drawing := d.withClass("graph")[1]
	for _, want := range []string{"cached", "1 of 12 chunks computed", "computed"} {
		if !strings.Contains(textOf(drawing), want) {
			t.Errorf("the drawing does not say %q", want)
		}
	}
}

// section cuts one section out of a page.
func section(text, id string) string {
	at := strings.Index(text, `<section id="`+id+`"`)
	if at < 0 {
		return ""
	}
	end := strings.Index(text[at:], "</section>")
	return text[at : at+end]
}

func TestSameRunGivesTheSamePage(t *testing.T) {
	run := quickstart(t)
	if page(t, run) != page(t, run) {
		t.Error("two pages of one run differ")
	}
}

// Names are not trusted, wherever they come from.
func TestHostileNames(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	rows := pictures(t)[:60]
	for i := range rows {
		rows[i].Label += evil
		rows[i].Object += evil
		rows[i].Domain += evil
	}
	run := report.Run{
		Pipeline: evil, ID: evil, File: evil, Version: evil, Status: "failed",
		Nodes: []report.Node{
			{
				Name: evil, Stage: evil, Uses: evil, Coordinates: pipeline.Coordinates{evil: evil}, State: report.Hit, Digest: evil, Recipe: evil,
				Params:  []params.Value{{Path: evil, Text: evil}},
				Outputs: map[string]pipeline.Input{evil: imagesTable(t, evil, rows, 1), "features": featuresTable(t, evil, nil, rows, 1)},
				Rejects: rejectsTable(t, evil, pipeline.Reject{ID: evil, Reason: evil}),
			},
			{
				Name: "head" + evil, Stage: evil, Uses: evil, State: report.Computed, Inputs: []report.Link{{Port: evil, From: evil, FromPort: evil}},
				Outputs: map[string]pipeline.Input{"history": historyTable(t, evil, 0.5)},
			},
			{
				Name: "scores", Stage: "scores", Uses: "evaluate", State: report.Computed,
				Inputs:  []report.Link{{Port: "data", From: evil, FromPort: "features"}},
				Outputs: scores(t, rows, []candidate{{name: evil, skill: 0.4}, {name: "other" + evil, skill: 0.3}, {name: "majority class" + evil, baseline: true}}),
			},
			{Name: "broken", Stage: "broken", State: report.Failed, Error: evil},
			{Name: "odd", Stage: "odd", State: report.State(evil)},
		},
	}
	text := page(t, run)
	d := checkPage(t, text)
	if got := textOf(d.all("h1")[0]); got != strings.Join(strings.Fields(evil), " ") {
		t.Errorf("the name came out as %q", got)
	}
	if n := strings.Count(text, "<script"); n != 0 {
		t.Errorf("%d scripts", n)
	}
	var drawing bytes.Buffer
	if err := report.Graph(&drawing, run.Nodes); err != nil {
		t.Fatal(err)
	}
	checkXML(t, drawing.String())
}

func checkXML(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the drawing is not well-formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && (e.Name.Local == "script" || e.Name.Local == "img") {
			t.Errorf("the drawing has a <%s>", e.Name.Local)
		}
	}
}

func TestPartialRuns(t *testing.T) {
	whole := quickstart(t)
	failed := whole
	failed.Status = "failed"
	failed.Nodes = slices.Clone(whole.Nodes)
	for i := range failed.Nodes {
		if n := &failed.Nodes[i]; n.Stage == "head" {
			n.State, n.Outputs = report.Skipped, nil
		}
	}
	last := &failed.Nodes[len(failed.Nodes)-1]
	last.State, last.Outputs, last.Error = report.Failed, nil, "out of memory"
	for name, c := range map[string]struct {
		run  report.Run
		want []string // in the text of the page
	}{
		"nothing":     {report.Run{Pipeline: "empty", Status: "ok"}, []string{"0 of 0 stages done; nothing was measured."}},
		"failed":      {failed, []string{"This run failed.", "out of memory", "scores failed before anything was evaluated.", "skipped", "of the variance", "A sample of training images"}},
		"interrupted": {report.Run{Pipeline: "p", Status: "interrupted", Nodes: []report.Node{{Name: "a", Stage: "a", State: report.Interrupted}}}, []string{"This run was interrupted.", "0 of 1 stage done"}},
		"no outputs":  {report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{{Name: "a", Stage: "a", State: report.Hit, Outputs: map[string]pipeline.Input{"metrics": nil}}}}, []string{"1 of 1 stage done"}},
	} {
		d := checkPage(t, page(t, c.run))
		got := textOf(d.all("body")[0])
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the page does not say %q", name, want)
			}
		}
	}
}

// broken is an artifact that cannot be read.
type broken struct{ pipeline.Input }

func (broken) Schema(context.Context) (*arrow.Schema, error) {
	return nil, errors.New("the blob is gone")
}

// torn is an artifact whose chunks cannot be read.
type torn struct{ pipeline.Input }

func (torn) Batches(context.Context) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) { yield(nil, errors.New("the chunk is torn")) }
}

// What cannot be read is told of; the rest is shown.
func TestDamagedArtifacts(t *testing.T) {
	run := quickstart(t)
	for i := range run.Nodes {
		n := &run.Nodes[i]
		for port, in := range n.Outputs {
			switch {
			case n.Name == "head[backbone=random]":
				n.Outputs[port] = broken{in}
			case n.Stage == "images":
				n.Outputs[port] = torn{in}
			}
		}
		if n.Rejects != nil {
			n.Rejects = torn{n.Rejects}
		}
	}
	d := checkPage(t, page(t, run))
	problems := textOf(d.byID("problems"))
	for _, want := range []string{"read head[backbone=random].history: the blob is gone", "the chunk is torn", "rejects of images"} {
		if !strings.Contains(problems, want) {
			t.Errorf("problems %q do not mention %q", problems, want)
		}
	}
	if d.byID("e1-metrics") == nil || d.byID("pictures") == nil || d.byID("training") == nil {
		t.Error("what can be read is not shown")
	}
	if n := len(d.withClass("no-picture")); n < 12 {
		t.Errorf("%d mistakes are shown without their picture", n)
	}
}

func TestStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := report.Write(ctx, io.Discard, quickstart(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestWriteErrorsAreReturned(t *testing.T) {
	if err := report.Write(context.Background(), full{}, report.Run{}); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("page: error %v", err)
	}
	if err := report.Graph(full{}, nil); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("drawing: error %v", err)
	}
}

func TestSeveralEvaluationsAndManyClasses(t *testing.T) {
	var lines []record.Metric
	var confusion []record.Confusion
	for m := range 9 {
		name := fmt.Sprintf("head[width=%d]", m)
		lines = append(lines, record.Metric{Model: name, Role: record.ModelRole, Metric: record.Accuracy, Value: float64(m) / 10, Low: float64(m)/10 - 0.05, High: float64(m)/10 + 0.05, Rows: 100})
		for c := range 40 {
			class := fmt.Sprintf("class %d", c)
			lines = append(lines, record.Metric{Model: name, Role: record.ModelRole, Metric: record.Recall, Class: class, Value: 0.5, Rows: 10})
			confusion = append(confusion, record.Confusion{Model: name, Actual: class, Predicted: "class 0", Rows: 10})
		}
	}
	about := record.Evaluation{Split: "val"}.Encode()
	outputs := map[string]pipeline.Input{
		"metrics": table(t, "scores", lines, record.EvaluationKey, about), "confusion": table(t, "scores", confusion),
	}
	d := checkPage(t, page(t, report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{
		{Name: "first", Stage: "first", State: report.Computed, Outputs: outputs},
		{Name: "second", Stage: "second", State: report.Computed, Outputs: outputs},
	}}))
	if d.byID("e1-metrics") == nil || d.byID("e2-metrics") == nil {
		t.Fatal("an evaluation is missing")
	}
	if got := textOf(d.withClass("headline")[1]); got != "width 8 gets 80.0% of 100 val rows right — width 7 gets 70.0%, not tested against it." {
		t.Errorf("headline %q", got)
	}
	if got := textOf(d.byID("e1-confusion")); !strings.Contains(got, "True class") || !strings.Contains(got, "3 more models") {
		t.Errorf("confusion of forty classes: %.300s", got)
	}
}

// The whole share of a class is drawn whole, and letters on it are light.
func TestHeatOfAPerfectClass(t *testing.T) {
	outputs := map[string]pipeline.Input{
		"metrics": table(t, "scores", []record.Metric{
			{Model: "head", Role: record.ModelRole, Metric: record.Accuracy, Value: 0.75, Rows: 4},
			{Model: "head", Role: record.ModelRole, Metric: record.Recall, Class: "a", Value: 1, Rows: 2},
			{Model: "head", Role: record.ModelRole, Metric: record.Recall, Class: "b", Value: 0.5, Rows: 2},
		}),
		"confusion": table(t, "scores", []record.Confusion{
			{Model: "head", Actual: "a", Predicted: "a", Rows: 2}, {Model: "head", Actual: "b", Predicted: "a", Rows: 1}, {Model: "head", Actual: "b", Predicted: "b", Rows: 1},
		}),
	}
	d := checkPage(t, page(t, report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{{Name: "scores", Stage: "scores", State: report.Computed, Outputs: outputs}}}))
	var cells []string
	for _, n := range d.all("td") {
		if shade := attribute(n, "style"); shade != "" {
			cells = append(cells, fmt.Sprintf("%s %s|%s", textOf(n), shade, strings.TrimSpace(attribute(n, "class"))))
		}
	}
	if want := []string{"2 --shade:100%|diagonal dark", "0 --shade:0%|none", "1 --shade:50%|", "1 --shade:50%|diagonal"}; !slices.Equal(cells, want) {
		t.Errorf("cells %q, want %q", cells, want)
	}
}

// A run whose model is no better than a baseline says so.
func TestBaselineThatDoesNoWorse(t *testing.T) {
	line := func(model, role string, accuracy float64) record.Metric {
		return record.Metric{Model: model, Role: role, Metric: record.Accuracy, Value: accuracy, Low: accuracy - 0.1, High: accuracy + 0.1, Rows: 50}
	}
	outputs := map[string]pipeline.Input{
		"metrics": table(t, "scores", []record.Metric{
			line("head", record.ModelRole, 0.5), line("nearest centroid", record.BaselineRole, 0.52), line("majority class", record.BaselineRole, 0.25),
			{Model: "head", Role: record.ModelRole, Metric: record.UnknownLabel, Value: 3, Rows: 3},
			{Model: "head", Role: record.ModelRole, Metric: record.UnknownLabel, Class: "newt", Value: 3, Rows: 3},
			{Model: "head", Role: record.ModelRole, Metric: record.Unlabelled, Value: 1, Rows: 1},
		}, record.EvaluationKey, record.Evaluation{Split: "test", Resamples: 10}.Encode()),
		"comparison": table(t, "scores", []record.Comparison{
			{A: "head", B: "nearest centroid", Rows: 50, Difference: -0.02, Low: -0.1, High: 0.05, OnlyA: 3, OnlyB: 4, P: 1, PAdjusted: 1},
			{A: "majority class", B: "head", Rows: 50, Difference: -0.25, Low: -0.4, High: -0.1, OnlyA: 2, OnlyB: 15, P: 0.002, PAdjusted: 0.004},
		}),
	}
	d := checkPage(t, page(t, report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{{Name: "scores", Stage: "scores", State: report.Computed, Outputs: outputs}}}))
	finding := textOf(d.withClass("finding")[0])
	for _, want := range []string{
		"head gets 50.0% of 50 test rows (of 53 with a label) right. The best baseline, nearest centroid, gets 52.0%: no difference shown from head.",
		"No difference shown between nearest centroid and head. +2.0 points (95% interval −5.0 to +10.0). Right only in the first: 4 rows; only in the second: 3; p\u00a0=\u00a01.00 by itself, adjusted for 2 comparisons made at once (Holm): p\u00a0=\u00a01.00.",
		"head beats majority class. +25.0 points (95% interval +10.0 to +40.0). Right only in the first: 15 rows; only in the second: 2; p\u00a0=\u00a00.002 by itself, adjusted for 2 comparisons made at once (Holm): p\u00a0=\u00a00.004.",
		"head is scored on 50 of 53 rows with a label; it knows no class newt (3).",
		"head: 1 row without a label, not scored.",
	} {
		if !strings.Contains(finding, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("the finding %q does not say %q", finding, want)
		}
	}
}

// A baseline that learned from labels which the models did without is told of as an upper bound, and apart from the others.
func TestUpperBounds(t *testing.T) {
	line := func(model, role string, accuracy float64) record.Metric {
		return record.Metric{Model: model, Role: role, Metric: record.Accuracy, Value: accuracy, Low: accuracy - 0.1, High: accuracy + 0.1, Rows: 50}
	}
	const bound = "logistic regression trained on the target's own labels"
	outputs := map[string]pipeline.Input{
		"metrics": table(t, "scores", []record.Metric{
			line("adapted", record.ModelRole, 0.7), line(bound, record.BoundRole, 0.9), line("majority class", record.BaselineRole, 0.25),
		}, record.EvaluationKey, record.Evaluation{Split: "test", Resamples: 10}.Encode()),
		"comparison": table(t, "scores", []record.Comparison{
			{A: "adapted", B: bound, Rows: 50, Difference: -0.2, Low: -0.3, High: -0.1, OnlyA: 1, OnlyB: 11, P: 0.006, PAdjusted: 0.012},
			{A: "adapted", B: "majority class", Rows: 50, Difference: 0.45, Low: 0.3, High: 0.6, OnlyA: 24, OnlyB: 1, P: 1e-5, PAdjusted: 2e-5},
		}),
	}
	d := checkPage(t, page(t, report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{{Name: "scores", Stage: "scores", State: report.Computed, Outputs: outputs}}}))
	headline := textOf(d.withClass("headline")[0])
	want := "adapted gets 70.0% of 50 test rows right. As an upper bound, " + bound + " gets 90.0%: 20 points more. The best baseline, majority class, gets 25.0%: 45 points less."
	if headline != want {
		t.Errorf("headline %q, want %q", headline, want)
	}
	if n := strings.Count(textOf(d.withClass("finding")[0]), bound+" upper bound"); n != 2 { // among the bars and among the differences
		t.Errorf("it is called an upper bound %d times in %q", n, textOf(d.withClass("finding")[0]))
	}
}

// What the sources found stands in the report, with pictures of each class.
func TestData(t *testing.T) {
	run := quickstart(t)
	text := page(t, run)
	d := parse(t, section(text, "data"))
	if n := len(d.all("img")); n != 8*5 {
		t.Errorf("%d pictures of 8 classes", n)
	}
	found := textOf(d.withClass("data")[0])
	for _, want := range []string{"bird459963", "all 83607272504"} {
		if !strings.Contains(found, want) {
			t.Errorf("the table %q does not say %q", found, want)
		}
	}
	if got := textOf(d.withClass("warnings")[0]); got != "folders without pictures: <newt>" {
		t.Errorf("notes %q", got)
	}
	alike := parse(t, section(text, "e1-duplicates"))
	if got := textOf(alike.all("section")[0]); !strings.Contains(got, "1 of 72 rows evaluated look like one of another split") || !strings.Contains(got, "no picturetrain cat") {
		t.Errorf("near-duplicates: %q", got)
	}
	// Of many classes, the largest are shown and the others folded away.
	many := &pipeline.Overview{Rows: 1275, Splits: []string{"train"}, Sizes: &pipeline.Sizes{Pictures: 64, Smallest: [2]int{32, 20}, Median: [2]int{64, 48}, Largest: [2]int{640, 480}}}
	for i := range 50 {
		many.Classes = append(many.Classes, pipeline.ClassRows{Name: fmt.Sprintf("class %02d", i), Rows: map[string]int64{"train": int64(i + 1)}})
	}
	run.Nodes[0].Overview, run.Nodes[0].Outputs = many, nil
	d = parse(t, section(page(t, run), "data"))
	if got, want := textOf(d.all("p")[0]), "The files hold pictures of 32 × 20 to 640 × 480 pixels, the median is 64 × 48 (64 examined)."; !strings.Contains(got, want) {
		t.Errorf("no %q in %q", want, got)
	}
	tables := d.withClass("data")
	if len(tables) != 2 || !strings.HasPrefix(strings.TrimSpace(textOf(tables[0])), "Rows by class and split; the largest classes first ClasstrainallShareFirst pictures class 495050") {
		t.Errorf("%d tables, the first %q", len(tables), textOf(tables[0]))
	}
}

func TestCurves(t *testing.T) {
	text := section(page(t, quickstart(t)), "e1-curves")
	d := parse(t, text)
	// Two charts of all, and two of each of the three models.
	if n := len(d.withClass("panel")); n != 2+3*2 {
		t.Errorf("%d panels", n)
	}
	paths := 0
	for _, n := range d.withClass("ln") {
		if n.Data == "path" {
			if paths++; !strings.HasPrefix(attribute(n, "d"), "M") {
				t.Errorf("a line without a path: %q", attribute(n, "d"))
			}
		}
	}
	if want := 2*4 + 3*2*8; paths != want { // three models and the best baseline; eight classes
		t.Errorf("%d curves, want %d", paths, want)
	}
	for _, axis := range []string{"false-positive rate: ", "true-positive rate: ", "recall: ", "precision: "} {
		if !strings.Contains(text, axis) {
			t.Errorf("no axis is named %q", axis)
		}
	}
}

func TestLabelErrors(t *testing.T) {
	run := quickstart(t)
	got := textOf(parse(t, section(page(t, run), "e1-labels")).byID("e1-labels"))
	for _, want := range []string{"1 of ", "worth a second look", "suggested ", "97.0%", "5-fold cross-validation, 90.0% accurate", "Northcutt"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	about := record.Evaluation{Labels: &record.LabelSearch{Rows: 40, Folds: 5, Accuracy: 1}}.Encode()
	run.Nodes[len(run.Nodes)-1].Outputs["label_errors"] = table(t, "scores", []record.LabelError{}, record.EvaluationKey, about)
	if text := page(t, run); !strings.Contains(text, "None of 40 labels looks wrong.") {
		t.Error("it is not said that no label looks wrong")
	}
}

// Text in data may have any length: it is cut where it is read, and what is cut stays distinct.
func TestLongTexts(t *testing.T) {
	long := func(end string) string { return strings.Repeat("a long label ", 8000) + end }
	run := quickstart(t)
	usual := len(page(t, run))
	rows := pictures(t)
	names := map[string]string{}
	for i := range rows {
		if names[rows[i].Label] == "" {
			names[rows[i].Label] = long(rows[i].Label)
		}
		rows[i].Label = names[rows[i].Label]
	}
	run.Nodes[0].Overview = overviewOf(rows)
	run.Nodes[0].Outputs = map[string]pipeline.Input{"images": imagesTable(t, "images", rows, 0)}
	run.Nodes[len(run.Nodes)-1].Outputs = scores(t, rows, []candidate{{name: "head[backbone=pretrained]", skill: 0.5}, {name: "head[backbone=random]", skill: 0.3}, {name: "majority class", baseline: true}})
	text := page(t, run)
	if len(text) > usual+usual/2 {
		t.Errorf("%d bytes, without long texts %d", len(text), usual)
	}
	d := checkPage(t, text)
	heats := d.withClass("heat")
	if len(heats) == 0 || len(d.byID("e1-confusion").Attr) == 0 {
		t.Fatal("there is no confusion matrix")
	}
	if !strings.Contains(text, "(104,00") {
		t.Error("it is not said how long the text is")
	}
}

func TestGraphOfARunThatIsToCome(t *testing.T) {
	var out bytes.Buffer
	run := quickstart(t)
	for i := range run.Nodes {
		run.Nodes[i].State = report.Unknown
	}
	if err := report.Graph(&out, run.Nodes); err != nil {
		t.Fatal(err)
	}
	checkXML(t, out.String())
	if n := strings.Count(out.String(), `class="node unknown"`); n != len(run.Nodes) {
		t.Errorf("%d boxes for %d nodes", n, len(run.Nodes))
	}
	if !strings.Contains(out.String(), "scores takes from head[backbone=pretrained], features[backbone=pretrained]") {
		t.Error("the drawing is not said in words")
	}
}

func TestContactSheet(t *testing.T) {
	ctx := context.Background()
	in := imagesTable(t, "varied", pictures(t)[:30], 3)
	sheet, err := report.ContactSheet(ctx, in, 24)
	if err != nil {
		t.Fatal(err)
	}
	// Two groups of a picture and three copies a line.
	if size := sheet.Bounds().Size(); size.X != 8*140+12 || size.Y != 3*160+12 {
		t.Errorf("size %v", size)
	}
	distinct := map[[3]uint32]bool{}
	for x := range sheet.Bounds().Dx() {
		r, g, b, _ := sheet.At(x, 80).RGBA()
		distinct[[3]uint32{r, g, b}] = true
	}
	if len(distinct) < 50 {
		t.Errorf("a row of the sheet has %d colours", len(distinct))
	}
	if path := os.Getenv("TLPIPE_SHEET"); path != "" { // to look at it
		writePNG(t, path, sheet)
	}
	if _, err := report.ContactSheet(ctx, pipelinetest.NewTable("nothing", nil), 0); err == nil || !strings.Contains(err.Error(), "there is no image") {
		t.Errorf("sheet of nothing: error %v", err)
	}
	if _, err := report.ContactSheet(ctx, featuresTable(t, "features", nil, pictures(t)[:3], 1), 0); err == nil || !strings.Contains(err.Error(), `no column "image"`) {
		t.Errorf("sheet of features: error %v", err)
	}
}
