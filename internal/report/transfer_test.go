package report_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/report"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// A run that compares strategies of fine-tuning under several seeds.

// scopes are the groups of layers of a small network, from the input up.
var scopes = []struct {
	name       string
	parameters int64
}{{"stem", 900}, {"block1", 9_500}, {"block2", 41_000}, {"block3", 130_000}, {"block4", 480_000}, {"block5", 1_100_000}, {"block6", 2_050_000}, {"top", 410_000}, {"classifier", 10_248}}

// plan is a phase to be made up.
type plan struct {
	name    string
	lowest  int // of the scopes that are trained
	adapted bool
	rate    float64
	epochs  int
}

var plans = map[string][]plan{
	"feature_extraction": {{"head", 8, false, 1e-3, 10}},
	"partial":            {{"top layers", 6, false, 1e-4, 10}},
	"full":               {{"all", 0, false, 1e-5, 10}},
	"progressive":        {{"head", 8, false, 1e-3, 5}, {"top 20 layers", 6, false, 1e-4, 5}, {"all", 0, false, 1e-5, 3}},
	"adapters":           {{"adapters", 2, true, 5e-4, 10}},
}

var strategyNames = []string{"feature_extraction", "partial", "full", "progressive", "adapters"}

func phasesOf(node string, plans []plan, stoppedEarly bool) []record.PhaseLayers {
	var out []record.PhaseLayers
	before := map[string]string{}
	for _, s := range scopes {
		before[s.name] = digestOf(node + s.name)
	}
	for number, p := range plans {
		for depth, s := range scopes {
			row := record.PhaseLayers{
				Phase: p.name, Number: int32(number + 1), Layers: s.name, Depth: int32(depth), Parameters: s.parameters, Rate: math.NaN(),
				BatchNorm: "frozen", Before: before[s.name], Epochs: int32(p.epochs), KeptEpoch: int32(p.epochs - 1), Rows: 252,
			}
			if s.name == "classifier" {
				row.BatchNorm = ""
			}
			if stoppedEarly && number == 0 {
				row.Epochs, row.KeptEpoch, row.Stopped = row.Epochs-1, row.Epochs-2, true
			}
			if depth >= p.lowest {
				row.Trained, row.Rate = s.parameters*95/100, p.rate
				if s.name == "classifier" {
					row.Trained = s.parameters
				} else if p.adapted {
					row.Trained = s.parameters / 30
				}
				before[s.name] = digestOf(fmt.Sprint(node, s.name, number))
			}
			row.After = before[s.name]
			if p.lowest > 0 {
				row.Prefix, row.PrefixRows, row.PrefixType, row.PrefixSize = scopes[p.lowest-1].name+".1.add", 1_240, "bfloat16", 31_000_000
				row.Why = "activations of " + row.Prefix + ": 31 MB, which saves 82 % of the multiply-adds below the head of every epoch after the first"
			}
			out = append(out, row)
		}
	}
	return out
}

func phasedHistory(seed int, skill float64, phases []record.PhaseLayers) []record.TrainingEpoch {
	random := rand.New(rand.NewPCG(uint64(seed), uint64(1000*skill)))
	var out []record.TrainingEpoch
	level, number := 0.0, int32(0)
	for i, row := range phases {
		if i > 0 && row.Number == phases[i-1].Number {
			continue
		}
		target := skill * (0.8 + 0.07*float64(row.Number))
		for e := range row.Epochs {
			number++
			level += (target - level) * 0.35
			out = append(out, record.TrainingEpoch{
				Phase: row.Phase, Epoch: number, LearningRate: 1e-3, Kept: e+1 == row.KeptEpoch,
				Loss: 2.08*(1-level)*0.9 + 0.02*random.Float64(), ValidationLoss: 2.08*(1-level) + 0.08*random.Float64(),
				Accuracy: min(1, 0.1+level*0.95), ValidationAccuracy: 0.1 + level*0.85 + 0.03*random.Float64(),
			})
		}
	}
	return out
}

func diagnosticsOf(name string, seed int) []record.Diagnostic {
	jitter := 0.01 * float64(seed)
	gap := record.Diagnostic{Name: record.OverfittingGap, Value: 0.02 + jitter, Low: -0.02 + jitter, High: 0.06 + jitter, Rows: 84, Text: "training and validation rows are answered about as well"}
	drift := record.Diagnostic{Name: record.FeatureDrift, Value: 0, Low: math.NaN(), High: math.NaN(), Rows: 84, Text: "the features are what they were"}
	switch name {
	case "full":
		gap.Value, gap.Low, gap.High, gap.Alarm, gap.Text = 0.24, 0.17, 0.31, true, "training rows are answered far better: stop earlier, augment, or freeze more"
		drift.Value, drift.Alarm, drift.Text = 0.61, true, "little is left of what the backbone told apart"
	case "progressive", "partial":
		gap.Value, gap.Low, gap.High, gap.Alarm = 0.11, 0.05, 0.17, true
		drift.Value = 0.08
	}
	return []record.Diagnostic{gap, drift}
}

// strategiesRun is the whole run.
func strategiesRun(t testing.TB) report.Run {
	t.Helper()
	rows := pictures(t)
	run := report.Run{
		Pipeline: "strategies", File: "pipelines/strategies.yaml", ID: "20261126-103000-51c2", Status: "ok",
		Started: time.Date(2026, 11, 26, 10, 30, 0, 0, time.UTC), Seconds: 402, Seed: 42, Version: "0.2.0",
		Nodes: []report.Node{{
			Name: "images", Stage: "images", Uses: "preprocess", State: report.Hit, Chunks: 4, Rows: 504, Seconds: 0.2, Digest: digestOf("images"),
			Outputs: map[string]pipeline.Input{"images": imagesTable(t, "images", rows, 0)},
		}},
	}
	links := []report.Link{{Port: "data", From: "images", FromPort: "images"}}
	var candidates []candidate
	train := func(stage, strategy, weights string, seed int, skill float64) {
		name := fmt.Sprintf("%s[seed=%d,strategy=%s]", stage, seed, strategy)
		phases := phasesOf(name, plans[strategy], strategy == "progressive" && seed == 2)
		seconds := map[string]float64{"feature_extraction": 4, "partial": 14, "full": 71, "progressive": 38, "adapters": 52}[strategy] * (1 + 0.06*float64(seed))
		run.Nodes = append(run.Nodes, report.Node{
			Name: name, Stage: stage, Uses: "finetune", Coordinates: pipeline.Coordinates{"seed": fmt.Sprint(seed), "strategy": strategy},
			State: report.Computed, Chunks: 1, ChunksComputed: 1, Rows: 8, Seconds: seconds, Cost: seconds, Digest: digestOf(name),
			Params: []params.Value{{Path: "strategy", Text: fmt.Sprintf("%q", strategy)}, {Path: "weights", Text: fmt.Sprintf("%q", weights)}},
			Inputs: []report.Link{{Port: "data", From: "images", FromPort: "images"}},
			Outputs: map[string]pipeline.Input{
				"history":     table(t, name, phasedHistory(seed, skill, phases)),
				"phases":      table(t, name, phases),
				"diagnostics": table(t, name, diagnosticsOf(strategy, seed)),
			},
		})
		links = append(links, report.Link{Port: "model", From: name, FromPort: "model"})
		candidates = append(candidates, candidate{name: name, skill: 0.46*skill + 0.012*float64(seed)})
	}
	for i, strategy := range strategyNames {
		for seed := range 3 {
			train("tuned", strategy, "imagenet", seed+1, []float64{0.8, 0.9, 0.87, 0.96, 0.91}[i])
		}
	}
	for seed := range 3 {
		train("scratch", "full", "random", seed+1, 0.5)
	}
	const logistic = "logistic regression on frozen features[backbone=efficientnet_lite0,weights=%s]"
	candidates = append(candidates, candidate{name: fmt.Sprintf(logistic, "imagenet"), baseline: true, skill: 0.36},
		candidate{name: fmt.Sprintf(logistic, "random"), baseline: true, skill: 0.02}, candidate{name: "majority class", baseline: true})
	run.Nodes = append(run.Nodes, report.Node{
		Name: "scores", Stage: "scores", Uses: "evaluate", State: report.Computed, Chunks: 1, ChunksComputed: 1, Rows: 431, Seconds: 0.6, Digest: digestOf("scores"),
		Inputs: links, Outputs: scores(t, rows, candidates),
	})
	return run
}

func TestStrategies(t *testing.T) {
	text := page(t, strategiesRun(t))
	if path := os.Getenv("TLPIPE_STRATEGIES"); path != "" { // to look at it in a browser
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := checkPage(t, text)
	for _, id := range []string{"strategies", "diagnostics", "e1-costs", "e1-changes", "e1-metrics", "training"} {
		if d.byID(id) == nil {
			t.Fatalf("there is no section %s", id)
		}
	}
	if d.byID("problems") != nil {
		t.Errorf("problems: %s", textOf(d.byID("problems")))
	}
	headline := textOf(d.withClass("headline")[0])
	if !regexp.MustCompile(`^tuned · progressive gets \d\d\.\d% of 72 test rows right in the mean of 3 seeds — `).MatchString(headline) {
		t.Errorf("headline %q", headline)
	}
}

// Each phase is drawn as it was: what was frozen, what was trained at which
// rate, where the cached prefix ends.
func TestDrawingsOfPhases(t *testing.T) {
	d := parse(t, section(page(t, strategiesRun(t)), "strategies"))
	var drawings []*html.Node
	for _, n := range d.all("svg") {
		if attribute(n, "class") == "stack" {
			drawings = append(drawings, n)
		}
	}
	if len(drawings) != 4+3+1 { // one a phase, and the network from scratch
		t.Fatalf("%d drawings", len(drawings))
	}
	classes := func(n *html.Node) map[string]int {
		out := map[string]int{}
		for c := range n.Descendants() {
			if class, ok := strings.CutPrefix(attribute(c, "class"), "block "); ok {
				out[class]++
			}
		}
		return out
	}
	for i, want := range []struct {
		blocks map[string]int
		text   string
	}{
		{map[string]int{"frozen": 8, "trained": 1}, "computed once to here:1,240 rows cached"},
		{map[string]int{"frozen": 6, "trained": 3}, "computed once to here:1,240 rows cached"},
		{map[string]int{"trained": 9}, "1e-5"},
		{map[string]int{"frozen": 8, "trained": 1}, "1e-3"}, // progressive
		{map[string]int{"frozen": 6, "trained": 3}, "1e-4"},
		{map[string]int{"trained": 9}, "1e-5"},
		{map[string]int{"frozen": 2, "partly": 6, "trained": 1}, "5e-4"},
	} {
		if got := classes(drawings[i]); !maps.Equal(got, want.blocks) {
			t.Errorf("drawing %d has the blocks %v, want %v", i, got, want.blocks)
		}
		if got := textOf(drawings[i]); !strings.Contains(got, want.text) {
			t.Errorf("drawing %d says %q, not %q", i, got, want.text)
		}
	}
	if got := attribute(drawings[0], "aria-label"); !strings.Contains(got, "classifier, 10,248 parameters: 10,248 trained at 1e-3") || !strings.Contains(got, "stem, 900 parameters: frozen") {
		t.Errorf("in words: %s", got)
	}
	// A prefix that ends within a block whose upper layers learn.
	run := strategiesRun(t)
	for i, n := range run.Nodes {
		if n.Coordinates["strategy"] == "adapters" {
			phases := phasesOf(n.Name, plans["adapters"], false)
			for k := range phases {
				phases[k].Prefix = "block2.add"
			}
			run.Nodes[i].Outputs["phases"] = table(t, n.Name, phases)
		}
	}
	if text := page(t, run); !strings.Contains(text, "computed once into block2:") {
		t.Error("a prefix that ends within a block is not marked")
	}

	got := textOf(d.byID("strategies"))
	for _, want := range []string{
		"seeds 1, 2 and 3", "5, 4 and 5 epochs, 1 of 3 stopped early; kept epoch 4, 3 and 4", "3 · all", "in adapters and head",
		"1,240 rows cached after block5.1.add: 31 MB of bfloat16", "every epoch from the pixels",
	} {
		if !strings.Contains(strings.ReplaceAll(got, "\u00a0", " "), want) {
			t.Errorf("the strategies do not say %q: %s", want, got)
		}
	}
}

func TestPhasesInCurves(t *testing.T) {
	text := section(page(t, strategiesRun(t)), "training")
	d := parse(t, text)
	var spans []string
	for _, n := range d.withClass("spans") {
		spans = append(spans, textOf(n))
	}
	if want := []string{"1 head2 top 20 layers3 all", "1 head2 top 20 layers3 all"}; !slices.Equal(spans, want) {
		t.Errorf("phases %q, want %q", spans, want)
	}
	if n := len(d.withClass("border")); n != 2*2+1 { // two borders in two panels, and the key
		t.Errorf("%d borders", n)
	}
	if n := len(d.withClass("panel")); n != 2*6+3 { // loss and accuracy of six strategies, and of all together with the rate
		t.Errorf("%d panels", n)
	}
	if got := textOf(d.byID("training")); !strings.Contains(got, "Phases: 1 head · 2 top 20 layers · 3 all.") || !strings.Contains(got, "Seed 2: 12 epochs, kept 11: validation loss") {
		t.Errorf("in words: %s", got)
	}
}

func TestDiagnostics(t *testing.T) {
	run := strategiesRun(t)
	watch := func(run report.Run) map[string][]string {
		d := parse(t, section(page(t, run), "diagnostics"))
		out := map[string][]string{}
		for _, article := range d.all("article") {
			name := ""
			for n := range article.Descendants() {
				switch n.Data {
				case "h3":
					name = textOf(n)
				case "li":
					out[name] = append(out[name], textOf(n))
				}
			}
		}
		return out
	}
	got := watch(run)
	for name, want := range map[string][]string{
		"Negative transfer": {`^finetuned · feature_extraction\+\d+\.\d points .* to .*better than scratch · full`},
		"Forgetting":        {`^finetuned · partialdrift 0.08`, `^checktuned · fulldrift 0\.61.*mean of 3 seeds: the features have changed a lot.*; an alarm in 3 of them$`},
		"Overfitting":       {`^checktuned · partialgap \+11\.0 points`, `^badtuned · fullgap \+24\.0 points`},
		"Logistic regression": {
			`^checktuned · feature_extraction.*not shown to be better than logistic regression on frozen features.*imagenet$`, `^finescratch · full\+\d+\.\d points .*better than logistic regression on frozen features.*random`,
		},
		"Frozen layers": {`^finetuned · progressive0 of 42 changedequal digests before and after, in 2 phases of 3 trainings$`},
	} {
		for _, pattern := range want {
			if !slices.ContainsFunc(got[name], regexp.MustCompile(pattern).MatchString) {
				t.Errorf("%s: none of %q is like %s", name, got[name], pattern)
			}
		}
	}
	if slices.ContainsFunc(got["Forgetting"], func(s string) bool { return strings.Contains(s, "scratch") }) {
		t.Error("random weights are said to forget")
	}

	// A frozen layer that changed.
	for i, n := range run.Nodes {
		if n.Name != "tuned[seed=2,strategy=partial]" {
			continue
		}
		phases := phasesOf(n.Name, plans["partial"], false)
		phases[3].After = digestOf("else")
		run.Nodes[i].Outputs["phases"] = table(t, n.Name, phases)
	}
	want := "badtuned · partial1 of 18 changedchanged though frozen: block3 in phase 1 of tuned[seed=2,strategy=partial]. This must not happen; please report it"
	if got := watch(run)["Frozen layers"]; !slices.Contains(got, want) {
		t.Errorf("frozen layers: %q, want %q", got, want)
	}

	// Without a model on random weights there is nothing to compare with.
	run.Nodes = slices.DeleteFunc(run.Nodes, func(n report.Node) bool { return n.Stage == "scratch" })
	if text := page(t, run); !strings.Contains(text, "no model in this pipeline was trained from random weights") {
		t.Error("the missing candidate is not mentioned")
	}
}

func TestSourceAccuracy(t *testing.T) {
	phases := phasesOf("tuned", plans["full"], false)
	diagnostics := func(before, after float64) []record.Diagnostic {
		none := math.NaN()
		return []record.Diagnostic{
			{Name: record.SourceAccuracyBefore, Value: before, Low: none, High: none},
			{Name: record.SourceAccuracyAfter, Value: after, Low: none, High: none},
			{Name: record.Forgetting, Value: before - after, Low: before - after - 0.01, High: before - after + 0.01},
		}
	}
	for _, c := range []struct {
		before, after float64
		want          string
	}{
		{0.7, 0.695, "finetuned−0.5 points −1.5 to +0.5on the source task: 70.0% before, 69.5% after"},
		{0.7, 0.65, "checktuned−5.0 points −6.0 to −4.0on the source task: 70.0% before, 65.0% after"},
		{0.7, 0.3, "badtuned−40.0 points −41.0 to −39.0on the source task: 70.0% before, 30.0% after"},
	} {
		run := report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{{
			Name: "tuned", Stage: "tuned", State: report.Computed,
			Outputs: map[string]pipeline.Input{"phases": table(t, "tuned", phases), "diagnostics": table(t, "tuned", diagnostics(c.before, c.after))},
		}}}
		d := checkPage(t, page(t, run))
		if got := textOf(d.byID("diagnostics")); !strings.Contains(got, c.want) {
			t.Errorf("%q does not say %q", got, c.want)
		}
	}
}

// The means over seeds have Student's interval; what each seed gave stands
// beside them.
func TestMeansOverSeeds(t *testing.T) {
	line := func(model string, accuracy float64) record.Metric {
		return record.Metric{Model: model, Role: record.ModelRole, Metric: record.Accuracy, Value: accuracy, Low: accuracy - 0.1, High: accuracy + 0.1, Rows: 50}
	}
	pair := func(seed int, difference float64) record.Comparison {
		return record.Comparison{
			A: fmt.Sprintf("tuned[seed=%d,strategy=full]", seed), B: fmt.Sprintf("tuned[seed=%d,strategy=head]", seed), Rows: 50,
			Difference: difference, Low: difference - 0.05, High: difference + 0.05, P: 0.01, PAdjusted: 0.02,
		}
	}
	crossed := pair(1, 0.5)
	crossed.B = "tuned[seed=2,strategy=head]" // another seed: no pair
	outputs := map[string]pipeline.Input{
		"metrics": table(t, "scores", []record.Metric{
			line("tuned[seed=1,strategy=full]", 0.81), line("tuned[seed=2,strategy=full]", 0.84), line("tuned[seed=3,strategy=full]", 0.79),
			line("tuned[seed=1,strategy=head]", 0.70), line("tuned[seed=2,strategy=head]", 0.71), line("tuned[seed=3,strategy=head]", 0.69),
		}, record.EvaluationKey, record.Evaluation{Split: "test", Resamples: 10}.Encode()),
		"comparison": table(t, "scores", []record.Comparison{pair(1, 0.11), pair(2, 0.13), pair(3, 0.10), crossed}),
	}
	d := checkPage(t, page(t, report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{{Name: "scores", Stage: "scores", State: report.Computed, Outputs: outputs}}}))
	finding := textOf(d.withClass("finding")[0])
	for _, want := range []string{
		"full gets 81.3% of 50 test rows right in the mean of 3 seeds — 11 points more than head.",
		"95% interval 75.1–87.6% over the 3 seeds, by Student's t",
		"full beats head. +11.3 points, mean of 3 seeds (95% interval over seeds +7.5 to +15.1; over rows, mean of the seeds, +6.3 to +16.3).",
	} {
		if !strings.Contains(finding, want) {
			t.Errorf("the finding %q does not say %q", finding, want)
		}
	}
	if n := len(d.withClass("seed")); n != 6 {
		t.Errorf("%d dots for six seeds", n)
	}
	numbers := textOf(d.byID("e1-metrics"))
	for _, want := range []string{"fullmean of 3 seeds", "Each seed separately", "seed 2 · full"} {
		if !strings.Contains(numbers, want) {
			t.Errorf("the metrics %q do not say %q", numbers, want)
		}
	}
}

func TestCosts(t *testing.T) {
	d := parse(t, section(page(t, strategiesRun(t)), "e1-costs"))
	if n := len(d.withClass("panel")); n != 2 {
		t.Fatalf("%d panels", n)
	}
	for _, p := range d.withClass("panel") {
		large, small := 0, 0
		for n := range p.Descendants() {
			switch {
			case n.Data == "use" && strings.HasPrefix(attribute(n, "href"), "#l"):
				large++
			case n.Data == "use":
				small++
			}
		}
		if large != 6 || small != 18 {
			t.Errorf("%d means and %d seeds", large, small)
		}
	}
	if n := len(d.withClass("reach")); n != 12 {
		t.Errorf("%d intervals", n)
	}
	got := textOf(d.byID("e1-costs"))
	for _, want := range []string{"tuned · feature_extractionmean of 3 seeds", "4.5 s10,2480.24%", "2,347,24855.5%"} {
		if !strings.Contains(got, want) {
			t.Errorf("the costs %q do not say %q", got, want)
		}
	}
}

func TestFixedAndBroken(t *testing.T) {
	d := parse(t, section(page(t, strategiesRun(t)), "e1-changes"))
	got := textOf(d.byID("e1-changes"))
	if !strings.Contains(got, "The reference is tuned · seed 1 · feature_extraction, the first that trained its head alone.") {
		t.Errorf("the reference is not told: %.200s", got)
	}
	if n := len(d.all("details")); n != 5 {
		t.Errorf("%d models", n)
	}
	for _, card := range d.withClass("cards") {
		for item := range card.ChildNodes() {
			if item.Data != "li" {
				continue
			}
			m := regexp.MustCompile(`^true (.+?) reference: (.+) \d+\.\d% here: (.+) \d+\.\d%`).FindStringSubmatch(textOf(item))
			if m == nil {
				t.Fatalf("card %q", textOf(item))
			}
			if (m[1] == m[2]) == (m[1] == m[3]) {
				t.Errorf("neither fixed nor broken: %q", m)
			}
		}
	}
	if n := len(d.all("img")); n < 20 {
		t.Errorf("%d pictures", n)
	}
}

// Instances that differ by their seed are one box of the drawing.
func TestSeedsAreFoldedInTheDrawing(t *testing.T) {
	run := strategiesRun(t)
	for i := range run.Nodes {
		if run.Nodes[i].Name == "tuned[seed=2,strategy=full]" {
			run.Nodes[i].State, run.Nodes[i].ChunksComputed = report.Hit, 0
		}
	}
	d := parse(t, section(page(t, run), "pipeline"))
	drawing := d.all("svg")[0]
	boxes := 0
	for n := range drawing.Descendants() {
		if strings.HasPrefix(attribute(n, "class"), "node ") {
			boxes++
		}
	}
	if boxes != 1+5+1+1 {
		t.Errorf("%d boxes", boxes)
	}
	text := textOf(drawing)
	for _, want := range []string{"3 seeds · partial", "2 of 3 chunks computed", "tuned[strategy=full]: finetune, partly cached"} {
		if !strings.Contains(text, want) {
			t.Errorf("the drawing does not say %q: %s", want, text)
		}
	}
	if n := len(d.all("tr")); n != 1+20 { // the table lists them all
		t.Errorf("%d rows of the table", n)
	}
}

// A network of many blocks is drawn with those together that are treated alike.
func TestManyBlocksAreDrawnTogether(t *testing.T) {
	var phases []record.PhaseLayers
	for depth := range 60 {
		row := record.PhaseLayers{
			Phase: "top", Number: 1, Layers: fmt.Sprintf("block%d", depth), Depth: int32(depth), Parameters: 1000, Rate: math.NaN(),
			Before: "a", After: "a", Epochs: 1, KeptEpoch: 1, Prefix: "block40.add", PrefixRows: 7,
		}
		if depth > 50 {
			row.Trained, row.Rate, row.After = 1000, 1e-4, "b"
		}
		phases = append(phases, row)
	}
	drawn := func(phases []record.PhaseLayers) document {
		return parse(t, page(t, report.Run{Pipeline: "p", Status: "ok", Nodes: []report.Node{{
			Name: "net", Stage: "net", State: report.Computed, Outputs: map[string]pipeline.Input{"phases": table(t, "net", phases)},
		}}}))
	}
	var names []string
	for n := range drawn(phases).byID("strategies").Descendants() {
		if n.Data == "text" && strings.HasPrefix(textOf(n), "block") {
			names = append(names, textOf(n))
		}
	}
	if want := []string{"block0…40", "block41…50", "block51…58", "block59"}; !slices.Equal(names, want) {
		t.Errorf("blocks %q, want %q", names, want)
	}

	// A table whose phases do not have the same layers is told of.
	odd := append(phases, record.PhaseLayers{Phase: "all", Number: 2, Layers: "block0"})
	if got := textOf(drawn(odd).byID("problems")); !strings.Contains(got, "read the phases of net: 60 groups of layers in phase 1, 1 in phase 2") {
		t.Errorf("problems: %s", got)
	}
}

// Heads on features: the weights are those of the features, and another
// backbone is no candidate.
func TestDiagnosticsOfHeadsOnFeatures(t *testing.T) {
	run := quickstart(t)
	for i, n := range run.Nodes {
		if n.Stage == "head" {
			// As the stage has it for networks; of no account here.
			run.Nodes[i].Params = append(run.Nodes[i].Params, params.Value{Path: "backbone", Text: `""`}, params.Value{Path: "weights", Text: `"imagenet"`})
			run.Nodes[i].Outputs["phases"] = table(t, n.Name, []record.PhaseLayers{
				{Phase: "head", Number: 1, Layers: "standardise", Parameters: 48, Rate: math.NaN(), Before: "a", After: "a", Epochs: 22, KeptEpoch: 14},
				{Phase: "head", Number: 1, Layers: "logits", Parameters: 200, Trained: 200, Rate: 1e-3, Before: "a", After: "b", Epochs: 22, KeptEpoch: 14},
			})
		}
	}
	d := checkPage(t, page(t, run))
	if d.byID("strategies") != nil {
		t.Error("heads are drawn as networks")
	}
	got := textOf(d.byID("diagnostics"))
	if !strings.Contains(got, "finepretrained+") || !strings.Contains(got, "better than random, which started from random weights") {
		t.Errorf("the pre-trained features are not held against the random ones: %s", got)
	}
	if strings.Contains(got, "pixels") || strings.Contains(got, "digests") {
		t.Errorf("the diagnostics say %s", got)
	}
	if n := len(d.withClass("xticks")); n < 2 {
		t.Errorf("%d axes", n)
	}
}

// What a table of phases or diagnostics says is not trusted.
func TestHostileTransfers(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	run := strategiesRun(t)
	for i, n := range run.Nodes {
		strategy := n.Coordinates["strategy"]
		if strategy == "" {
			continue
		}
		phases := phasesOf(n.Name, plans[strategy], false)
		for k := range phases {
			for _, text := range []*string{&phases[k].Phase, &phases[k].Layers, &phases[k].BatchNorm, &phases[k].Before, &phases[k].After, &phases[k].Prefix, &phases[k].PrefixType, &phases[k].Why} {
				*text += evil
			}
		}
		diagnostics := diagnosticsOf(strategy, 1)
		for k := range diagnostics {
			diagnostics[k].Text += evil
			diagnostics[k].Phase += evil
		}
		run.Nodes[i].Outputs = map[string]pipeline.Input{
			"history": table(t, n.Name, phasedHistory(1, 0.5, phases)), "phases": table(t, n.Name, phases), "diagnostics": table(t, n.Name, diagnostics),
		}
	}
	text := page(t, run)
	if d := checkPage(t, text); d.byID("strategies") == nil || d.byID("diagnostics") == nil {
		t.Error("what is odd is left out")
	}
	if n := strings.Count(text, "<script"); n != 0 {
		t.Errorf("%d scripts", n)
	}
}
