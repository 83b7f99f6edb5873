package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"

	"github.com/tlpipe/tlpipe/internal/record"
)

// A section of the page is made of what was read of the run. To add one, write a function such as those listed below in a file
// of its own, and list it here: its place in the list is its place on the page and in the table of contents.

// evaluationSections are made for each evaluation, the ones that explain its headline first.
func evaluationSections() []evaluationSection {
	return []evaluationSection{
		{"scatter", "Predicted and true", scatterSection},
		{"searches", "Queries and answers", searchesSection},
		{"mistakes", "Mistakes", mistakesSection},
		{"changes", "Fixed and broken", changesSection},
		{"confusion", "Confusion", confusionSection},
		{"curves", "ROC and precision-recall", rocSection},
		{"classes", "Classes", classesSection},
		{"slices", "Slices", slicesSection},
		{"calibration", "Calibration", calibrationSection},
		{"metrics", "Metrics", metricsSection},
		{"costs", "Costs", costsSection},
		{"labels", "Likely label errors", labelsSection},
		{"duplicates", "Near-duplicates", duplicatesSection},
	}
}

// runSections are made once a run.
func runSections() []runSection {
	return []runSection{
		{"training", "Training", "Training", trainingSection},
		{"strategies", "Strategies", "Training", strategiesSection},
		{"tasks", "Several tasks", "Training", tasksSection},
		{"adaptation", "Domain adaptation", "Training", adaptationSection},
		{"smaller", "Smaller networks", "Training", smallerSection},
		{"diagnostics", "Diagnostics of transfer", "Training", diagnosticsSection},
		{"quantised", "Quantised models", "Training", quantisedSection},
		{"data", "Data", "Data", dataSection},
		{"pictures", "Training pictures", "Data", gallerySection},
		{"texts", "Texts", "Data", textsSection},
		{"features", "Features", "Data", featuresSection},
		{"rejects", "Rejects", "Data", rejectsSection},
		{"pipeline", "Pipeline", "Run", pipelineSection},
		{"parameters", "Parameters", "Run", parametersSection},
	}
}

// resultsGroup is the group of the sections of evaluations in the table of contents.
const resultsGroup = "Results"

// reading is what was read of a run: what sections are made of.
type reading struct {
	run         Run
	evaluations []*result
	trainings   []*training
	strategies  []strategy
}

// result is an evaluation, and what the page sums up of it: its means over seeds, or the evaluation itself.
type result struct {
	*evaluation
	summary *evaluation
}

// evaluationSection makes a section of an evaluation. It returns no blocks where there is nothing to show, and what it can beside
// an error: the error is told of on the page, which is written all the same.
type evaluationSection struct {
	id, title string
	blocks    func(ctx context.Context, r *reading, e *result) ([]block, error)
}

// runSection makes a section of the run; group is its heading in the table of contents.
type runSection struct {
	id, title, group string
	blocks           func(ctx context.Context, r *reading) ([]block, error)
}

// block is a piece of a section: a template of the page and what it shows. blocks.go has those that every section may use.
type block struct {
	template string
	view     any
}

// section is one that is shown.
type section struct {
	ID, Title string
	Of        string // the evaluation, if there are several
	Group     string
	blocks    []block
	Body      template.HTML
}

// makeSections asks all sections, and returns those that have something to show.
func (p *page) makeSections(ctx context.Context, r *reading) {
	enter := func(s section, blocks []block, err error) {
		p.problem(err)
		if len(blocks) > 0 {
			s.blocks = blocks
			p.Sections = append(p.Sections, s)
		}
	}
	for i, e := range r.evaluations {
		for _, kind := range evaluationSections() {
			s := section{ID: fmt.Sprintf("e%d-%s", i+1, kind.id), Title: kind.title, Group: resultsGroup}
			if kind.id == "classes" && e.by == record.R2 {
				s.Title = "Numbers"
			}
			if len(r.evaluations) > 1 {
				s.Of = e.node.Name
			}
			blocks, err := kind.blocks(ctx, r, e)
			enter(s, blocks, err)
		}
	}
	for _, kind := range runSections() {
		blocks, err := kind.blocks(ctx, r)
		enter(section{ID: kind.id, Title: kind.title, Group: kind.group}, blocks, err)
	}
}

// draw writes the blocks of a section with the page's templates.
func (s *section) draw(templates *template.Template) error {
	var err error
	if s.Body, err = drawBlocks(templates, s.blocks); err != nil {
		return fmt.Errorf("section %s: %w", s.ID, err)
	}
	return nil
}

func drawBlocks(templates *template.Template, blocks []block) (template.HTML, error) {
	var body bytes.Buffer
	for _, b := range blocks {
		if folded, ok := b.view.(foldedView); ok {
			var err error
			if folded.Body, err = drawBlocks(templates, folded.inside); err != nil {
				return "", err
			}
			b.view = folded
		}
		if err := templates.ExecuteTemplate(&body, b.template, b.view); err != nil {
			return "", err
		}
	}
	return template.HTML(body.String()), nil // escaped by the templates
}

// contents are the sections of a group in the table of contents.
type contents struct {
	Group    string
	Sections []section
}

// Contents groups the sections, in the order of the page.
func (p *page) Contents() []contents {
	var out []contents
	for _, s := range p.Sections {
		if n := len(out); n == 0 || out[n-1].Group != s.Group {
			out = append(out, contents{Group: s.Group})
		}
		last := &out[len(out)-1]
		last.Sections = append(last.Sections, s)
	}
	return out
}

// problem notes what could not be shown.
func (p *page) problem(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		p.Problems = append(p.Problems, err.Error())
	}
}
