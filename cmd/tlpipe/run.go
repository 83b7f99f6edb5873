package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/pipeline"
)

type runFlags struct {
	file      pipelineFlags
	chosen    selectionFlags
	cached    cacheFlag
	jobs      jobsFlag
	keepGoing bool
	dryRun    bool
	json      bool
}

func (p *program) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a pipeline; only what is not in the cache is computed",
		Long: `Run a pipeline. Only what is not in the cache is computed. Ctrl-C stops within
a moment and keeps all that is finished: run again to go on.`,
		Example: `  tlpipe run pipeline.yaml
  tlpipe run pipeline.yaml --set head.epochs=50 --until head
  tlpipe run pipeline.yaml --json | jq .`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return p.runPipeline(c.Context(), args[0], f) },
	}
	f.file.add(c)
	f.chosen.add(c)
	f.cached.add(c)
	f.jobs.add(c)
	c.Flags().BoolVar(&f.keepGoing, "keep-going", false, "after a failure, go on with what does not depend on it")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "tell what would be computed, and stop")
	c.Flags().BoolVar(&f.json, "json", false, "print a JSON object a line: each stage as it ends, then the run")
	return c
}

func (p *program) runPipeline(ctx context.Context, file string, f runFlags) error {
	started := time.Now()
	if err := f.jobs.check(); err != nil {
		return err
	}
	graph, err := p.load(file, f.file)
	if err != nil {
		return err
	}
	store, err := f.cached.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	runner := &pipeline.Runner{Store: store, Jobs: int(f.jobs), KeepGoing: f.keepGoing, Selection: f.chosen.selection()}
	if f.dryRun {
		plan, err := runner.Plan(ctx, graph)
		if err != nil {
			return err
		}
		return p.printPlan(plan, f.json)
	}

	progress := console.NewProgress(p.err)
	events := json.NewEncoder(p.out)
	runner.Observe = func(e pipeline.Event) {
		progress.Observe(e)
		if ended, ok := e.(pipeline.StageEnded); ok && f.json {
			_ = events.Encode(ended) // a reader who has gone does not stop the run
		}
	}
	forget := context.AfterFunc(ctx, func() { progress.Say("stopping; press Ctrl-C again to leave at once") })
	result, err := runner.Run(ctx, graph)
	forget()
	progress.Close()
	if err != nil {
		return err
	}
	return errors.Join(p.conclude(ctx, file, graph, result, events, f.json, started), result.Close())
}

// conclude writes the report, tells how the run ended and closes its journal.
func (p *program) conclude(ctx context.Context, file string, graph *pipeline.Graph, result *pipeline.Result, events *json.Encoder, asJSON bool, started time.Time) error {
	ended := pipeline.RunEnded{Event: "run", Status: result.Status, Run: result.Run}
	if result.Err != nil {
		ended.Error = result.Err.Error()
	}
	var faults []error
	scores, err := readScores(ctx, result)
	if err != nil && ctx.Err() == nil {
		faults = append(faults, err)
	}
	ended.Metrics = headline(scores)
	if result.Dir != "" && ctx.Err() == nil {
		path := filepath.Join(result.Dir, "report.html")
		err := writeReport(ctx, path, reportOfRun(graph, result))
		if err == nil {
			ended.Report = path
		} else if ctx.Err() == nil {
			faults = append(faults, err)
		}
	}
	ended.Seconds = time.Since(started).Seconds()
	if result.Journal != nil {
		result.Journal.Write(ended)
		faults = append(faults, result.Journal.Close())
	}
	if asJSON {
		faults = append(faults, events.Encode(ended))
	}
	faults = append(faults, p.printSummary(ctx, file, result, ended, scores))
	if err := errors.Join(faults...); err != nil {
		fmt.Fprintln(p.err, "tlpipe:", err)
	}
	switch {
	case result.Status == "interrupted" || ctx.Err() != nil:
		return &exitError{code: exitInterrupted}
	case result.Status != "ok" || errors.Join(faults...) != nil:
		return &exitError{code: exitFailed}
	}
	return nil
}
