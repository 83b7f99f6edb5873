package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// shownRejects is how many rejected rows of a stage the summary shows.
const shownRejects = 3

// printSummary tells how a run ended: its stages, what was rejected, what was
// measured, where the report is.
func (r *run) printSummary(ctx context.Context, ended pipeline.RunEnded, scores []scores) error {
	out, result := r.err, r.result
	table := console.NewTable("STAGE", "USES", "CACHE", ">COMPUTED", ">ROWS", ">REJECTS", ">TIME")
	for _, n := range result.Nodes {
		e := n.Ended
		computed := fmt.Sprintf("%d/%d", e.ChunksComputed, e.Chunks)
		if e.Parts > 0 {
			computed += fmt.Sprintf(" (parts %d/%d)", e.PartsComputed, e.Parts)
		}
		switch e.Cache {
		case "skipped":
			table.Row(e.Stage, e.Uses, e.Cache, "-", "-", "-", "-")
			continue
		case "interrupted", "failed":
			computed = fmt.Sprintf("%d/?", e.ChunksComputed) // the rest was not counted
		}
		table.Row(e.Stage, e.Uses, e.Cache, computed,
			console.Count(e.Rows), console.Count(e.Rejects), console.Seconds(e.Seconds))
	}
	fmt.Fprintln(out)
	if err := table.Write(out, ""); err != nil {
		return err
	}
	// The rejects are read though the run was interrupted: they are few.
	var faults []error
	for _, n := range result.Nodes {
		faults = append(faults, printRejects(context.WithoutCancel(ctx), out, r.file, n))
	}
	faults = append(faults, printTrainings(context.WithoutCancel(ctx), out, result))
	for _, s := range scores {
		printAccuracy(out, s, len(scores) > 1)
	}
	for _, n := range result.Nodes {
		faults = append(faults, eachTable(context.WithoutCancel(ctx), n, func(_ *arrow.Schema, rows []record.Duplicate) error {
			printDuplicates(out, rows)
			return nil
		}))
	}
	for _, n := range result.Nodes {
		if n.Ended.Cache == "failed" {
			fmt.Fprintf(out, "\nstage %s failed: %v\n", n.Node.Name, n.Err)
		}
	}
	fmt.Fprintln(out)
	if ended.Report != "" {
		fmt.Fprintf(out, "report   %s\n", ended.Report)
	}
	if result.Dir != "" {
		fmt.Fprintf(out, "journal  %s\n", filepath.Join(result.Dir, "journal.jsonl"))
	}
	switch took := console.Seconds(ended.Seconds); result.Status {
	case "ok":
		fmt.Fprintf(out, "done in %s\n", took)
	case "interrupted":
		fmt.Fprintf(out, "interrupted after %s; finished work is kept, run again to continue\n", took)
	default:
		fmt.Fprintf(out, "failed after %s; finished work is kept\n", took)
	}
	return errors.Join(faults...)
}

// printRejects shows the first of a stage's rejected rows, with reasons.
func printRejects(ctx context.Context, out io.Writer, file string, n *pipeline.NodeResult) error {
	if n.Ended.Rejects == 0 || n.Outputs == nil {
		return nil
	}
	fmt.Fprintf(out, "\n%s: %s rejected\n", console.Line(n.Node.Name), console.Of(n.Ended.Rejects, "row"))
	shown := 0
	for rec, err := range n.Outputs[pipeline.RejectsPort].Batches(ctx) {
		if err != nil {
			return err
		}
		ids, reasons := rec.Column(0).(*array.String), rec.Column(1).(*array.String)
		for i := range int(rec.NumRows()) {
			if shown++; shown > shownRejects {
				fmt.Fprintf(out, "  … all of them: tlpipe show %s:%s.%s\n", file, n.Node.Name, pipeline.RejectsPort)
				return nil
			}
			fmt.Fprintf(out, "  %s: %s\n", console.Line(ids.Value(i)), console.Line(reasons.Value(i)))
		}
	}
	return nil
}

// printAccuracy shows the accuracy of each model and baseline that a stage
// measured.
func printAccuracy(out io.Writer, s scores, named bool) {
	coverages := map[string]record.Coverage{}
	for _, c := range record.Coverages(s.metrics) {
		coverages[c.Model] = c
	}
	table := console.NewTable("MODEL", ">ACCURACY", "95% INTERVAL", ">ROWS")
	for _, m := range s.metrics {
		if m.Metric != record.Accuracy || m.Slice != "" || m.Class != "" {
			continue
		}
		model, interval := m.Model, ""
		if record.IsBaseline(m.Role) {
			model += " (" + m.Role + ")"
		}
		if !math.IsNaN(m.Low) {
			interval = fmt.Sprintf("%.3f to %.3f", m.Low, m.High)
		}
		rows := console.Count(m.Rows)
		if c := coverages[m.Model]; c.Scored < c.Labelled {
			rows += " of " + console.Count(c.Labelled)
		}
		table.Row(model, fmt.Sprintf("%.3f", m.Value), interval, rows)
	}
	if table.Len() == 0 {
		if table = searchScores(s.metrics); table.Len() == 0 {
			table = targetScores(s.metrics)
		}
		if table.Len() == 0 {
			return
		}
	}
	fmt.Fprintln(out)
	switch {
	case named && s.split != "":
		fmt.Fprintf(out, "%s, measured on %s\n", s.stage, s.split)
	case named:
		fmt.Fprintln(out, s.stage)
	case s.split != "":
		fmt.Fprintf(out, "measured on %s\n", s.split)
	}
	_ = table.Write(out, "")
	printUnscored(out, s.metrics)
}

// searchScores are what searches found, in the order of the metrics; empty for other metrics.
func searchScores(metrics []record.Metric) *console.Table {
	head := []string{"SEARCH"}
	var models, columns []string
	found := map[string]map[string]record.Metric{}
	for _, m := range metrics {
		k, recall := strings.CutPrefix(m.Metric, strings.TrimSuffix(record.RecallAt, "%d"))
		if !recall && (m.Metric != record.MedianRank || len(models) == 0) {
			continue
		}
		if found[m.Model] == nil {
			models, found[m.Model] = append(models, m.Model), map[string]record.Metric{}
		}
		found[m.Model][m.Metric] = m
		if !slices.Contains(columns, m.Metric) {
			columns = append(columns, m.Metric)
			if recall {
				head = append(head, ">RECALL AT "+k)
			} else {
				head = append(head, ">MEDIAN RANK")
			}
		}
	}
	table := console.NewTable(append(head, ">QUERIES")...)
	for _, model := range models {
		row, queries := []string{model}, int64(0)
		for _, name := range columns {
			m, ok := found[model][name]
			if !ok {
				row = append(row, "-")
				continue
			}
			if queries = m.Rows; m.Role == record.BaselineRole {
				row[0] = model + " (baseline)"
			}
			format := "%.3f"
			if name == record.MedianRank {
				format = "%.4g"
			}
			text := fmt.Sprintf(format, m.Value)
			if !math.IsNaN(m.Low) {
				text += fmt.Sprintf(" ("+format+" to "+format+")", m.Low, m.High)
			}
			row = append(row, text)
		}
		table.Row(append(row, console.Count(queries))...)
	}
	return table
}

// targetScores are the scores of models of any of several classes, or of numbers; empty for others.
func targetScores(metrics []record.Metric) *console.Table {
	type key struct{ model, class string }
	found := map[key]map[string]record.Metric{}
	var order []key
	classes, several := false, false
	for _, m := range metrics {
		switch m.Metric {
		case record.MeanAveragePrecision, record.MicroF1, record.SubsetAccuracy, record.MeanAbsoluteError, record.RootMeanSquaredError, record.R2:
		default:
			continue
		}
		if m.Slice != "" {
			continue
		}
		k := key{m.Model, m.Class}
		if found[k] == nil {
			found[k], order = map[string]record.Metric{}, append(order, k)
		}
		found[k][m.Metric] = m
		classes = classes || m.Metric == record.MicroF1
		several = several || m.Class != ""
	}
	cell := func(m record.Metric, known bool, format string) string {
		switch {
		case !known || math.IsNaN(m.Value):
			return "-"
		case math.IsNaN(m.Low):
			return fmt.Sprintf(format, m.Value)
		}
		return fmt.Sprintf(format+" ("+format+" to "+format+")", m.Value, m.Low, m.High)
	}
	heads, columns, format := []string{"MODEL"}, []string{record.MeanAveragePrecision, record.MicroF1, record.SubsetAccuracy}, "%.3f"
	shown := []string{">MEAN AVERAGE PRECISION", ">MICRO F1", ">ALL CLASSES RIGHT"}
	if !classes {
		columns, format = []string{record.MeanAbsoluteError, record.RootMeanSquaredError, record.R2}, "%.4g"
		shown = []string{">MEAN ABSOLUTE ERROR", ">ROOT MEAN SQUARED ERROR", ">R²"}
		if several {
			heads = append(heads, "NUMBER")
		}
	}
	table := console.NewTable(append(append(heads, shown...), ">ROWS")...)
	for _, k := range order {
		if several && k.class == "" && !classes {
			continue // of numbers in units of their own there is no error of all
		}
		row := []string{k.model}
		rows := int64(0)
		for _, m := range found[k] {
			if rows = m.Rows; m.Role == record.BaselineRole {
				row[0] = k.model + " (baseline)"
			}
		}
		if len(heads) > 1 {
			row = append(row, k.class)
		}
		for _, name := range columns {
			m, known := found[k][name]
			row = append(row, cell(m, known, format))
		}
		table.Row(append(row, console.Count(rows))...)
	}
	return table
}

// shownDuplicates is how many pairs of rows that look alike are named.
const shownDuplicates = 3

// printDuplicates warns of rows measured on that look like rows of other splits.
func printDuplicates(out io.Writer, rows []record.Duplicate) {
	if len(rows) == 0 {
		return
	}
	text := fmt.Sprintf("%s of %s evaluated look like one of another split (similarity hash): the accuracy may be overestimated.", console.Count(int64(len(rows))), console.Of(rows[0].Rows, "row"))
	fmt.Fprintf(out, "\n%s\n", console.Wrap(text, 80))
	for i, d := range rows {
		if i == shownDuplicates {
			fmt.Fprintf(out, "  … %s more are in the report\n", console.Count(int64(len(rows)-i)))
			break
		}
		fmt.Fprintf(out, "  %s and %s (%s)\n", console.Line(d.ID), console.Line(d.Other), console.Line(d.OtherSplit))
	}
}

// shownClasses is how many of the classes that a model does not know are named.
const shownClasses = 6

// printUnscored says of each trained model which rows it was not scored on, and why.
func printUnscored(out io.Writer, metrics []record.Metric) {
	for _, c := range record.Coverages(metrics) {
		if c.Baseline {
			continue
		}
		if c.Scored < c.Labelled {
			var classes []string
			for i, u := range c.Unknown {
				if i == shownClasses {
					classes = append(classes, "…")
					break
				}
				text := fmt.Sprintf("%s (%s)", u.Label, console.Count(u.Rows))
				if u.Like != "" {
					text = fmt.Sprintf("%s (%s; did you mean %s?)", u.Label, console.Count(u.Rows), u.Like)
				}
				classes = append(classes, text)
			}
			text := fmt.Sprintf("%s is scored on %s of %s with a label; it knows no class %s", c.Model, console.Count(c.Scored), console.Of(c.Labelled, "row"), strings.Join(classes, ", "))
			fmt.Fprintln(out, console.Wrap(console.Line(text), 80))
		}
		if c.Unlabelled > 0 {
			fmt.Fprintf(out, "%s: %s without a label, not scored\n", console.Line(c.Model), console.Of(c.Unlabelled, "row"))
		}
	}
}
