package report

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// page is all that the template shows.
type page struct {
	Run      Run
	Style    template.CSS
	Facts    []fact
	Status   string // of a run that did not end well, in words
	Failures []failure
	Headline []span // where no evaluation has one
	Findings []findingView
	Sections []section
	Problems []string // what could not be shown, and why
}

type fact struct{ Name, Value string }

type failure struct{ Node, Reason string }

// findingView is what an evaluation found, at the top of the page.
type findingView struct {
	Name     string // of the node, if there are several
	Headline []span
	Lead     string
	Bars     []accuracyBar
	By       string // what the bars are of
	Forest   *forest
	Notes    []string
}

// stageRow is a line of the table of nodes.
type stageRow struct {
	Node     Node
	Instance string // in the matrix
	State    string
	Class    string
	Chunks   string
	Rows     string
	Seconds  string
	Digest   string // short
}

// stageNote is what a stage would have the reader know.
type stageNote struct{ Stage, Text string }

type rejectView struct {
	Node    string
	Total   int64
	Rows    []pipeline.Reject
	Reasons []reasonCount
}

type reasonCount struct {
	Reason string
	Rows   int
}

// newPage reads all that a report shows. Faults of single artifacts go to the
// page's problems.
func newPage(ctx context.Context, run Run) (*page, error) {
	run.Nodes = rememberingSchemas(run.Nodes)
	p := &page{Run: run, Style: template.CSS(style("style.css") + style("transfer.css") + style("data.css") + style("searches.css") + graphStyle()), Facts: factsOf(run)}
	p.tellFailures()

	r := &reading{run: run}
	for i := range run.Nodes {
		n := &run.Nodes[i]
		e, err := readEvaluation(ctx, n)
		if p.problem(err); e != nil {
			found := &result{e, e}
			if means := e.overSeeds(); means != nil {
				found.summary = means
			}
			r.evaluations = append(r.evaluations, found)
		}
		t, err := run.readTraining(ctx, n)
		if p.problem(err); t != nil {
			r.trainings = append(r.trainings, t)
		}
	}
	r.strategies = strategiesOf(r.trainings)
	for _, e := range r.evaluations {
		view := e.finding()
		if len(r.evaluations) > 1 {
			view.Name = e.node.Name
		}
		p.Findings = append(p.Findings, view)
	}
	if len(r.evaluations) == 0 {
		p.Headline = p.withoutEvaluation()
	}
	p.makeSections(ctx, r)
	return p, ctx.Err()
}

func factsOf(run Run) []fact {
	hits, computed := 0, 0
	for _, n := range run.Nodes {
		switch n.State {
		case Hit:
			hits++
		case Computed, Partial:
			computed++
		}
	}
	var facts []fact
	if run.ID != "" {
		facts = append(facts, fact{"Run", run.ID})
	}
	if !run.Started.IsZero() {
		facts = append(facts, fact{"Started", run.Started.UTC().Format("2 January 2006, 15:04 UTC")})
	}
	if run.Seconds > 0 {
		facts = append(facts, fact{"Took", seconds(run.Seconds)})
	}
	facts = append(facts, fact{"Stages", fmt.Sprintf("%d cached, %d computed", hits, computed)}, fact{"Seed", fmt.Sprint(run.Seed)})
	if run.Version != "" {
		facts = append(facts, fact{"tlpipe", run.Version})
	}
	return facts
}

func (p *page) tellFailures() {
	switch p.Run.Status {
	case "failed":
		p.Status = "This run failed. Finished work is kept, and shown here."
	case "interrupted":
		p.Status = "This run was interrupted. Finished work is kept, and shown here."
	}
	for _, n := range p.Run.Nodes {
		if n.State == Failed {
			p.Failures = append(p.Failures, failure{n.Name, n.Error})
		}
	}
}

// withoutEvaluation is the headline of a run that measured nothing.
func (p *page) withoutEvaluation() []span {
	if len(p.Failures) > 0 {
		return []span{strong(p.Failures[0].Node), plain(" failed before anything was evaluated.")}
	}
	done := 0
	for _, n := range p.Run.Nodes {
		switch n.State {
		case Hit, Partial, Computed:
			done++
		}
	}
	return []span{strong(fmt.Sprintf("%d of %s", done, plural(int64(len(p.Run.Nodes)), "stage"))), plain(" done; nothing was measured.")}
}

// finding is what an evaluation found.
func (e *result) finding() findingView {
	view := findingView{Headline: e.summary.headline(), Lead: e.summary.lead(), Forest: e.summary.forest(), Notes: e.notes()}
	if len(e.trained()) > 0 {
		view.Bars, view.By = e.summary.bars(e.evaluation), "Accuracy"
		if !e.ofOneClass() {
			by := e.byInWords()
			view.By = strings.ToUpper(by[:1]) + by[1:]
			if view.Forest != nil {
				view.Forest.Of = ", by the share of rows with every class right"
			}
		}
	}
	return view
}

// undetailed is how many models are in the tables of metrics only.
func (e *result) undetailed() int { return max(0, len(e.summary.trained())-maxDetailed) }

func mistakesSection(ctx context.Context, r *reading, e *result) ([]block, error) {
	if texts, err := newTextMistakes(ctx, r.run, e.evaluation); len(texts) > 0 || err != nil {
		return []block{{"text-mistakes", texts}, more(e.undetailed())}, err
	}
	views, err := newMistakes(ctx, r.run, e.evaluation)
	if len(views) == 0 {
		return nil, err
	}
	return []block{{"mistakes", views}, more(e.undetailed())}, err
}

// changesSection shows the rows that models answer differently: of one class only.
func changesSection(ctx context.Context, r *reading, e *result) ([]block, error) {
	if !e.ofOneClass() {
		return nil, nil
	}
	view, err := newChanges(ctx, r.run, e.evaluation, r.trainings)
	if view == nil {
		return nil, err
	}
	return []block{{"changes", view}, more(e.undetailed())}, err
}

func confusionSection(_ context.Context, _ *reading, e *result) ([]block, error) {
	heats := heatMaps(e.heatMaps())
	if len(heats) == 0 {
		return nil, nil
	}
	return []block{{"confusion", heats}, more(e.undetailed())}, nil
}

// heatMaps are the confusion matrices of several models.
type heatMaps []heatMap

// Abreast tells whether they are small enough to stand side by side.
func (h heatMaps) Abreast() bool { return len(h[0].Classes) <= 12 }

func classesSection(_ context.Context, _ *reading, e *result) ([]block, error) {
	var out []block
	for i, t := range e.classTables() {
		out = append(out, folded(t.Name, i == 0, tableOf(t.Table)))
	}
	if len(out) == 0 {
		return nil, nil
	}
	return append(out, more(e.undetailed())), nil
}

func slicesSection(_ context.Context, _ *reading, e *result) (out []block, _ error) {
	for _, t := range e.summary.sliceTables() {
		out = append(out, tableOf(t))
	}
	return out, nil
}

func calibrationSection(_ context.Context, _ *reading, e *result) ([]block, error) {
	all := e.reliability()
	if len(all) == 0 {
		return nil, nil
	}
	text := "How often predictions of a given confidence are right, with 95% intervals. On the dashed line the model is perfectly calibrated; below it, overconfident. The bars show how many predictions fall into each bin."
	if !e.ofOneClass() {
		text = "How often a class applies at each predicted probability, over all rows and classes, with 95% intervals over rows. On the dashed line the model is perfectly calibrated; below it, classes apply less often than predicted. The bars show how many predictions fall into each bin."
	}
	return []block{
		paragraph(span{Text: text}),
		charts(all...), more(e.undetailed()),
	}, nil
}

func metricsSection(_ context.Context, _ *reading, e *result) ([]block, error) {
	metrics := e.summary.metricsTable("Metrics of all models", e.mainColumns())
	if len(metrics.Rows) == 0 {
		return nil, nil
	}
	out := []block{tableOf(metrics)}
	if e.summary != e.evaluation {
		out = append(out, folded("Each seed separately", false, tableOf(e.metricsTable("Metrics of each seed", e.mainColumns()))))
	}
	if averages := e.summary.metricsTable("Averages over the classes", e.summary.averages()); len(averages.Columns) > 0 {
		out = append(out, folded("Averages over the classes", false, tableOf(averages)))
	}
	if len(e.comparisons) > len(e.summary.verdicts()) {
		out = append(out, folded("All paired comparisons", false, tableOf(e.comparisonTable())))
	}
	if len(e.ofNumbers) > 0 {
		out = append(out, tableOf(e.numberComparisonTable()))
	}
	return out, nil
}

// costsSection shows what an accuracy costs: of one class only.
func costsSection(ctx context.Context, r *reading, e *result) ([]block, error) {
	if !e.ofOneClass() {
		return nil, nil
	}
	if view := newCosts(ctx, r.run, e.summary, e.evaluation, r.trainings); view != nil {
		return []block{{"costs", view}}, nil
	}
	return nil, nil
}

func duplicatesSection(ctx context.Context, r *reading, e *result) ([]block, error) {
	view, err := newDuplicates(ctx, r.run, e.evaluation)
	if view == nil {
		return nil, err
	}
	return []block{{"duplicates", view}}, err
}

func trainingSection(_ context.Context, r *reading) ([]block, error) {
	views := newTrainingViews(r.strategies)
	if len(views) == 0 {
		return nil, nil
	}
	if len(views) == 1 { // its learning rate comes after what it led to
		return append([]block{{"training", views}}, overlaidCurves(r.strategies)...), nil
	}
	return append(overlaidCurves(r.strategies), block{"training", views}), nil
}

func strategiesSection(_ context.Context, r *reading) ([]block, error) {
	if views := newStrategyViews(r.strategies); len(views) > 0 {
		return []block{{"strategies", views}}, nil
	}
	return nil, nil
}

func diagnosticsSection(_ context.Context, r *reading) ([]block, error) {
	var summaries []*evaluation
	for _, e := range r.evaluations {
		summaries = append(summaries, e.summary)
	}
	if found := newDiagnostics(r.run, r.strategies, summaries); len(found) > 0 {
		return []block{{"diagnostics", found}}, nil
	}
	return nil, nil
}

func dataSection(ctx context.Context, r *reading) ([]block, error) {
	views, err := newData(ctx, r.run)
	if len(views) == 0 {
		return nil, err
	}
	return []block{{"data", views}}, err
}

func gallerySection(ctx context.Context, r *reading) ([]block, error) {
	rows, err := newGallery(ctx, r)
	if len(rows) == 0 {
		return nil, err
	}
	return []block{{"gallery", rows}}, err
}

func featuresSection(ctx context.Context, r *reading) ([]block, error) {
	tables := featureTables(ctx, r)
	if len(tables) == 0 {
		return nil, nil
	}
	view, err := newMapsView(ctx, tables)
	if view == nil || len(view.Maps) == 0 {
		return nil, err
	}
	return []block{{"maps", view}}, err
}

func rejectsSection(ctx context.Context, r *reading) ([]block, error) {
	var views []rejectView
	var errs []error
	for i := range r.run.Nodes {
		view, err := newRejectView(ctx, &r.run.Nodes[i])
		if errs = append(errs, err); view != nil {
			views = append(views, *view)
		}
	}
	if len(views) == 0 {
		return nil, errors.Join(errs...)
	}
	return []block{{"rejects", views}}, errors.Join(errs...)
}

// pipelineView is the drawing of the pipeline and the table of its nodes.
type pipelineView struct {
	Graph, Narrow graphView
	Stages        []stageRow
	Notes         []stageNote
}

func pipelineSection(_ context.Context, r *reading) ([]block, error) {
	nodes := r.run.Nodes
	if len(nodes) == 0 {
		return nil, nil
	}
	view := pipelineView{Graph: newGraphView(foldSeeds(nodes)), Narrow: newNarrowGraphView(foldSeeds(nodes))}
	for i := range nodes {
		view.Stages = append(view.Stages, newStageRow(nodes[i]))
		for _, text := range nodes[i].Notes {
			if note := (stageNote{nodes[i].Stage, text}); !slices.Contains(view.Notes, note) {
				view.Notes = append(view.Notes, note)
			}
		}
	}
	return []block{{"pipeline", view}}, nil
}

// parametersView is all that determines the results.
type parametersView struct {
	Seed   uint64
	Stages []stageParams
}

func parametersSection(_ context.Context, r *reading) ([]block, error) {
	if stages := newStageParams(r.run.Nodes); len(stages) > 0 {
		return []block{{"parameters", parametersView{r.run.Seed, stages}}}, nil
	}
	return nil, nil
}

// maxMaps bounds how many features tables are drawn as maps.
const maxMaps = 6

// featureTables lists those that evaluated models take, or, in a run without
// evaluation, all there are.
func featureTables(ctx context.Context, r *reading) []pipeline.Input {
	var out []pipeline.Input
	add := func(in pipeline.Input) {
		if in != nil && len(out) < maxMaps && !slices.Contains(out, in) {
			out = append(out, in)
		}
	}
	for _, e := range r.evaluations {
		for _, link := range e.node.Inputs {
			from := r.run.node(link.From)
			if from == nil {
				continue
			}
			add(outputWith(ctx, from, record.Feature))
		}
	}
	if len(r.evaluations) == 0 {
		for i := range r.run.Nodes {
			add(outputWith(ctx, &r.run.Nodes[i], record.Feature))
		}
	}
	return out
}

func newStageRow(n Node) stageRow {
	row := stageRow{
		Node: n, Instance: coordinatesInWords(n.Coordinates),
		State: n.State.words(), Class: n.State.class(), Digest: shortDigest(n.Digest),
	}
	if n.Chunks > 0 {
		row.Chunks = fmt.Sprintf("%s of %s", count(int64(n.ChunksComputed)), count(int64(n.Chunks)))
	}
	switch n.State {
	case Hit, Partial, Computed:
		row.Rows = count(n.Rows)
		if n.Seconds > 0 {
			row.Seconds = seconds(n.Seconds)
		}
	}
	return row
}

func shortDigest(digest string) string { return digest[:min(len(digest), 10)] }

// maxRejects bounds how many rejects of a node are listed.
const maxRejects = 60

func newRejectView(ctx context.Context, n *Node) (*rejectView, error) {
	if n.Rejects == nil || n.Rejects.Rows() == 0 {
		return nil, nil
	}
	view := &rejectView{Node: n.Name, Total: n.Rejects.Rows()}
	kinds := map[string]int{}
	for rec, err := range n.Rejects.Batches(ctx) {
		if err != nil {
			return nil, fmt.Errorf("rejects of %s: %w", n.Name, err)
		}
		for i := range int(rec.NumRows()) {
			r := pipeline.Reject{ID: textAt(rec, record.ID, i), Reason: textAt(rec, record.Reason, i)}
			if len(view.Rows) < maxRejects {
				view.Rows = append(view.Rows, r)
			}
			// What comes before a colon is the kind of fault, after it the case.
			kind, _, _ := strings.Cut(r.Reason, ":")
			at, known := kinds[kind]
			if !known {
				at = len(view.Reasons)
				kinds[kind] = at
				view.Reasons = append(view.Reasons, reasonCount{Reason: kind})
			}
			view.Reasons[at].Rows++
		}
	}
	slices.SortStableFunc(view.Reasons, func(a, b reasonCount) int { return b.Rows - a.Rows })
	view.Reasons = view.Reasons[:min(len(view.Reasons), 12)]
	return view, nil
}

// Hidden is how many rejects are not listed.
func (v rejectView) Hidden() int64 { return v.Total - int64(len(v.Rows)) }
