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
	Run         Run
	Style       template.CSS
	Facts       []fact
	Status      string // of a run that did not end well, in words
	Failures    []failure
	Headline    []span // where no evaluation has one
	Evaluations []evaluationView
	Graph       graphView
	Narrow      graphView
	Stages      []stageRow
	StageNotes  []stageNote
	Strategies  []strategyView
	Diagnostics []diagnostic
	Training    []trainingView
	Data        []dataView
	Gallery     []galleryRow
	Maps        *mapsView
	Rejects     []rejectView
	Parameters  []stageParams
	Problems    []string // what could not be shown, and why
	Sections    []section
}

type fact struct{ Name, Value string }

type failure struct{ Node, Reason string }

type section struct{ ID, Title string }

// evaluationView is what one node measured.
type evaluationView struct {
	ID          string // prefix of the sections' ids
	Name        string // of the node, if there are several
	Headline    []span
	Lead        string
	Bars        []accuracyBar
	Verdicts    []verdict
	Notes       []string
	Metrics     numberTable
	Averages    numberTable
	Instances   numberTable // where those above are means over seeds
	Comparisons numberTable
	Slices      []numberTable
	Classes     []modelTable
	HeatMaps    []heatMap
	Reliability []reliabilityView
	Mistakes    []mistakesView
	Duplicates  *duplicatesView
	Changes     *changesView
	Costs       *costsView
	More        int // models that are not shown in detail
}

// HeatsAbreast tells whether the confusion matrices are small enough to stand
// side by side.
func (v evaluationView) HeatsAbreast() bool {
	return len(v.HeatMaps) > 0 && len(v.HeatMaps[0].Classes) <= 12
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
	p := &page{
		Run: run, Style: template.CSS(style("style.css") + style("transfer.css") + style("data.css") + graphStyle()), Facts: factsOf(run),
		Graph: newGraphView(foldSeeds(run.Nodes)), Narrow: newNarrowGraphView(foldSeeds(run.Nodes)),
		Parameters: newStageParams(run.Nodes),
	}
	for i := range run.Nodes {
		p.Stages = append(p.Stages, newStageRow(run.Nodes[i]))
		for _, text := range run.Nodes[i].Notes {
			if note := (stageNote{run.Nodes[i].Stage, text}); !slices.Contains(p.StageNotes, note) {
				p.StageNotes = append(p.StageNotes, note)
			}
		}
	}
	p.tellFailures()

	var evaluations []*evaluation
	var trainings []*training
	for i := range run.Nodes {
		n := &run.Nodes[i]
		e, err := readEvaluation(ctx, n)
		if p.problem(err); e != nil {
			evaluations = append(evaluations, e)
		}
		t, err := run.readTraining(ctx, n)
		if p.problem(err); t != nil {
			trainings = append(trainings, t)
		}
	}
	var summaries []*evaluation
	for i, e := range evaluations {
		summary := e
		if means := e.overSeeds(); means != nil {
			summary = means
		}
		summaries = append(summaries, summary)
		view := p.evaluate(ctx, e, summary, trainings)
		view.ID = fmt.Sprintf("e%d-", i+1)
		if len(evaluations) > 1 {
			view.Name = e.node.Name
		}
		p.Evaluations = append(p.Evaluations, view)
	}
	if len(evaluations) == 0 {
		p.Headline = p.withoutEvaluation()
	}
	strategies := strategiesOf(trainings)
	p.Strategies = newStrategyViews(strategies)
	p.Diagnostics = newDiagnostics(run, strategies, summaries)
	p.Training = newTrainingViews(strategies)

	var err error
	p.Data, err = newData(ctx, run)
	p.problem(err)
	p.Gallery, err = newGallery(ctx, run, evaluations)
	p.problem(err)
	if tables := p.featureTables(ctx, evaluations); len(tables) > 0 {
		p.Maps, err = newMapsView(ctx, tables)
		p.problem(err)
	}
	for i := range run.Nodes {
		view, err := newRejectView(ctx, &run.Nodes[i])
		if p.problem(err); view != nil {
			p.Rejects = append(p.Rejects, *view)
		}
	}
	p.Sections = p.sections()
	return p, ctx.Err()
}

// problem notes what could not be shown.
func (p *page) problem(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		p.Problems = append(p.Problems, err.Error())
	}
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

// evaluate shows an evaluation. The summary is that of its means over seeds, or
// the evaluation itself.
func (p *page) evaluate(ctx context.Context, e, summary *evaluation, trainings []*training) evaluationView {
	view := evaluationView{
		Headline: summary.headline(), Lead: summary.lead(), Verdicts: summary.verdicts(), Notes: e.notes(),
		Metrics:  summary.metricsTable("Metrics of all models", e.mainColumns()),
		Averages: summary.metricsTable("Averages over the classes", summary.averages()),
		Slices:   summary.sliceTables(), Classes: e.classTables(), HeatMaps: e.heatMaps(), Reliability: e.reliability(),
		More: max(0, len(summary.trained())-maxDetailed),
	}
	if summary != e {
		view.Instances = e.metricsTable("Metrics of each seed", e.mainColumns())
	}
	if len(e.trained()) > 0 {
		view.Bars = summary.bars(e)
	}
	if len(e.comparisons) > len(view.Verdicts) {
		view.Comparisons = e.comparisonTable()
	}
	var err error
	view.Mistakes, err = newMistakes(ctx, p.Run, e)
	p.problem(err)
	view.Duplicates, err = newDuplicates(ctx, p.Run, e)
	p.problem(err)
	if !e.ofOneClass() {
		return view // fixed and broken rows, and what an accuracy costs, are of one class
	}
	view.Changes, err = newChanges(ctx, p.Run, e, trainings)
	p.problem(err)
	view.Costs = newCosts(ctx, p.Run, summary, e, trainings)
	return view
}

// maxMaps bounds how many features tables are drawn as maps.
const maxMaps = 6

// featureTables lists those that evaluated models take, or, in a run without
// evaluation, all there are.
func (p *page) featureTables(ctx context.Context, evaluations []*evaluation) []pipeline.Input {
	var out []pipeline.Input
	add := func(in pipeline.Input) {
		if in != nil && len(out) < maxMaps && !slices.Contains(out, in) {
			out = append(out, in)
		}
	}
	for _, e := range evaluations {
		for _, link := range e.node.Inputs {
			from := p.Run.node(link.From)
			if from == nil {
				continue
			}
			add(outputWith(ctx, from, record.Feature))
		}
	}
	if len(evaluations) == 0 {
		for i := range p.Run.Nodes {
			add(outputWith(ctx, &p.Run.Nodes[i], record.Feature))
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

// sections lists what the page holds, for its table of contents.
func (p *page) sections() []section {
	var out []section
	add := func(shown bool, id, title string) {
		if shown {
			out = append(out, section{id, title})
		}
	}
	add(len(p.Run.Nodes) > 0, "pipeline", "Pipeline")
	add(len(p.Data) > 0, "data", "Data")
	add(len(p.Strategies) > 0, "strategies", "Strategies")
	add(len(p.Diagnostics) > 0, "diagnostics", "Diagnostics")
	for _, e := range p.Evaluations {
		suffix := ""
		if e.Name != "" {
			suffix = " · " + e.Name
		}
		add(e.Costs != nil, e.ID+"costs", "Costs"+suffix)
		add(e.Changes != nil, e.ID+"changes", "Fixed and broken"+suffix)
		add(len(e.Metrics.Rows) > 0, e.ID+"metrics", "Metrics"+suffix)
		add(len(e.Slices) > 0, e.ID+"slices", "Slices"+suffix)
		add(len(e.Classes) > 0, e.ID+"classes", "Classes"+suffix)
		add(len(e.HeatMaps) > 0, e.ID+"confusion", "Confusion"+suffix)
		add(len(e.Reliability) > 0, e.ID+"calibration", "Calibration"+suffix)
		add(len(e.Mistakes) > 0, e.ID+"mistakes", "Mistakes"+suffix)
		add(e.Duplicates != nil, e.ID+"duplicates", "Near-duplicates"+suffix)
	}
	add(len(p.Training) > 0, "training", "Training")
	add(p.HasMaps(), "features", "Features")
	add(len(p.Gallery) > 0, "pictures", "Pictures")
	add(len(p.Rejects) > 0, "rejects", "Rejects")
	add(len(p.Parameters) > 0, "parameters", "Parameters")
	return out
}

// HasMaps tells whether there is a map of features to draw.
func (p *page) HasMaps() bool { return p.Maps != nil && len(p.Maps.Maps) > 0 }
