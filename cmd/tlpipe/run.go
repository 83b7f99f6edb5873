package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/machine"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

type runFlags struct {
	file      pipelineFlags
	chosen    selectionFlags
	cached    cacheFlag
	jobs      jobsFlag
	memory    memoryFlag
	keepGoing bool
	dryRun    bool
	json      bool
}

func (p *program) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a pipeline, computing only what is not in the cache",
		Long: `Run a pipeline. Only what is not in the cache is computed. Ctrl-C stops
promptly and keeps everything that is finished: run again to continue.`,
		Example: `  tlpipe run pipeline.yaml
  tlpipe run pipeline.yaml --set head.epochs=50 --until head
  tlpipe run pipeline.yaml --json | jq .`,
		Args: one("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return p.runPipeline(c.Context(), args[0], f) },
	}
	f.file.add(c)
	f.chosen.add(c)
	c.ValidArgsFunction = completeFile
	p.completeStages(c)
	f.cached.add(c)
	f.jobs.add(c)
	f.memory.add(c)
	c.Flags().BoolVar(&f.keepGoing, "keep-going", false, "after a failure, continue with stages that do not depend on it")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be computed, and stop")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line: each stage as it ends, then the run")
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
	if f.chosen.all() {
		if err := graph.Probe(); err != nil {
			return err
		}
	}
	store, err := f.cached.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	runner := &pipeline.Runner{
		Store: store, Jobs: int(f.jobs), Memory: int64(f.memory), Machine: machine.Memory(), KeepGoing: f.keepGoing, Selection: f.chosen.selection(),
	}
	if f.dryRun {
		plan, err := runner.Plan(ctx, graph)
		if err != nil {
			return err
		}
		return p.printPlan(plan, f.json)
	}
	if limit := runner.Budget(); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 10 * 9) // garbage is collected before it takes more; the rest is not on the heap
	}
	before, err := store.Latest(cache.PipelineID(graph.Name, graph.File))
	if err != nil && !errors.Is(err, cache.ErrMissing) {
		return err
	}

	events := json.NewEncoder(io.Discard)
	if f.json {
		events = p.out.JSON()
	}
	run := &run{program: p, file: file, graph: graph, before: before.Run, started: started, events: events}
	if run.result, err = run.watch(ctx, runner); err != nil {
		return err
	}
	return errors.Join(run.conclude(ctx), run.result.Close())
}

// run is a pipeline at work, and what became of it.
type run struct {
	*program
	file    string // as the user named it
	graph   *pipeline.Graph
	before  string // the run before this one
	started time.Time
	events  *json.Encoder
	result  *pipeline.Result
}

// watch runs the pipeline and shows how it goes.
func (r *run) watch(ctx context.Context, runner *pipeline.Runner) (*pipeline.Result, error) {
	var stages []string
	for _, n := range r.graph.Nodes {
		stages = append(stages, n.Name)
	}
	progress := console.NewProgress(r.err.File, stages)
	defer progress.Close()
	runner.Observe = func(e pipeline.Event) {
		progress.Observe(e)
		if ended, ok := e.(pipeline.StageEnded); ok {
			_ = r.events.Encode(ended) // a reader who has gone does not stop the run
		}
	}
	forget := context.AfterFunc(ctx, func() { progress.Say("stopping; press Ctrl-C again to quit immediately") })
	defer forget()
	return runner.Run(ctx, r.graph)
}

// conclude writes the report, tells how the run ended and closes its journal.
func (r *run) conclude(ctx context.Context) error {
	result := r.result
	ended := pipeline.RunEnded{Event: "run", Status: result.Status, Run: result.Run}
	if result.Err != nil {
		ended.Error = result.Err.Error()
	}
	var faults []error
	scores, err := readScores(ctx, result)
	if ctx.Err() == nil {
		faults = append(faults, err)
	}
	ended.Metrics = headline(scores)
	if result.Dir != "" && ctx.Err() == nil {
		ended.Report, err = writeReport(ctx, r.graph, result, r.before)
		if ctx.Err() == nil {
			faults = append(faults, err)
		}
	}
	ended.Seconds = time.Since(r.started).Seconds()
	result.Journal.Write(ended)
	if err := result.Journal.Close(); err != nil {
		fmt.Fprintln(r.err, "tlpipe:", err) // the results are there all the same
	}
	if err := r.events.Encode(ended); !errors.Is(err, syscall.EPIPE) {
		faults = append(faults, err)
	}
	faults = append(faults, r.printSummary(ctx, ended, scores))

	err = errors.Join(faults...)
	if err != nil {
		fmt.Fprintln(r.err, "tlpipe:", err)
	}
	switch {
	case result.Status == "interrupted" || ctx.Err() != nil:
		return &exitError{code: exitInterrupted}
	case result.Status != "ok" || err != nil:
		return &exitError{code: exitFailed}
	}
	return nil
}
