package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/curve"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/pipeline"
)

// rateSweeper is a stage whose training a range test of learning rates can begin with.
type rateSweeper interface {
	// SweepRates trains a phase, numbered from 1, from the weights that the training starts with, at
	// rising rates. It writes nothing.
	SweepRates(ctx context.Context, task *pipeline.Task, phase int, sweep train.Sweep) (*train.RateCurve, error)
}

type lrFindFlags struct {
	file   pipelineFlags
	cached cacheFlag
	jobs   jobsFlag
	sweep  train.Sweep
	phase  int
	out    string
	json   bool
}

func (p *program) lrFindCommand() *cobra.Command {
	f := lrFindFlags{sweep: train.DefaultSweep()}
	c := &cobra.Command{
		Use:   "lr_find FILE:STAGE",
		Short: "Run the learning-rate range test on a finetune stage, and plot the curve",
		Long: `The learning-rate range test (Smith 2015): the network of a finetune stage is trained
on its data with a rate that rises from batch to batch, and the loss is plotted over
the rate. Inputs of the stage are computed if they are not in the cache. The test has
no side effects: weights, checkpoints and results of the stage stay as they are.

Two rates are suggested: "valley" lies on the longest fall of the loss, "steepest"
where it falls fastest. A rate between them, or a little below, is a good start.`,
		Example: `  tlpipe lr_find pipeline.yaml:net
  tlpipe lr_find pipeline.yaml:net --phase 2 --from 1e-6 --to 1 --out curve.svg`,
		Args: one("FILE:STAGE"),
		RunE: func(c *cobra.Command, args []string) error { return p.findRate(c.Context(), args[0], f) },
	}
	f.file.add(c)
	f.cached.add(c)
	f.jobs.add(c)
	c.Flags().Float64Var(&f.sweep.From, "from", f.sweep.From, "the first `rate`")
	c.Flags().Float64Var(&f.sweep.To, "to", f.sweep.To, "the last `rate`")
	c.Flags().IntVar(&f.sweep.Steps, "steps", f.sweep.Steps, "the number of `rates` to try")
	c.Flags().IntVar(&f.phase, "phase", 1, "the `number` of the phase to test, from 1")
	c.Flags().StringVar(&f.out, "out", "", "plot the curve to a `file`: .svg or .png")
	c.Flags().BoolVar(&f.json, "json", false, "print the curve as JSON")
	return c
}

func (p *program) findRate(ctx context.Context, reference string, f lrFindFlags) error {
	if err := f.jobs.check(); err != nil {
		return err
	}
	if f.out != "" && !slices.Contains(curve.Formats(), strings.ToLower(filepath.Ext(f.out))) {
		return usage("--out %s: expected a name that ends in %s", f.out, strings.Join(curve.Formats(), " or "))
	}
	file, name, ok := splitReference(reference)
	if !ok {
		return usage("%s: expected FILE:STAGE", reference)
	}
	graph, err := p.load(file, f.file)
	if err != nil {
		return err
	}
	node, _, err := graph.Find(name, pipeline.Model)
	if err != nil {
		return err
	}
	stage, ok := node.Stage.(rateSweeper)
	if !ok {
		return usage("stage %s (%s) trains nothing that has a learning rate", node.Name, node.Kind.Name)
	}
	found, err := p.sweep(ctx, graph, node, stage, f)
	if err != nil {
		return err
	}
	if f.out != "" {
		if err := curve.File(f.out, node.Name, found); err != nil {
			return err
		}
		fmt.Fprintf(p.err, "%s written\n", f.out)
	}
	if f.json {
		return p.out.JSON().Encode(curveJSON(node.Name, found))
	}
	_, err = fmt.Fprint(p.out, curve.Text(found))
	return err
}

// sweep computes what the stage takes, and tries the rates.
func (p *program) sweep(ctx context.Context, graph *pipeline.Graph, node *pipeline.Node, stage rateSweeper, f lrFindFlags) (_ *train.RateCurve, err error) {
	store, err := f.cached.open(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	var stages []string
	runner := &pipeline.Runner{Store: store, Jobs: int(f.jobs)}
	for _, e := range node.Inputs {
		stages = append(stages, e.From.Name)
	}
	progress := console.NewProgress(p.err.File, append(stages, node.Name))
	defer progress.Close()
	runner.Observe = progress.Observe
	task, closing, err := runner.Prepare(ctx, graph, node)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closing()) }()
	return stage.SweepRates(ctx, task, f.phase, f.sweep)
}

// ratePointJSON is a step of a curve.
type ratePointJSON struct {
	Rate     float64 `json:"rate"`
	Loss     float64 `json:"loss"`
	Smoothed float64 `json:"smoothed"`
}

func curveJSON(stage string, c *train.RateCurve) any {
	number := func(x float64) *float64 {
		if math.IsNaN(x) {
			return nil
		}
		return &x
	}
	points := []ratePointJSON{}
	for _, p := range c.Points {
		points = append(points, ratePointJSON(p))
	}
	return struct {
		Stage    string          `json:"stage"`
		Diverged bool            `json:"diverged"`
		Valley   *float64        `json:"valley"`
		Steepest *float64        `json:"steepest"`
		Points   []ratePointJSON `json:"points"`
	}{stage, c.Diverged, number(c.Valley), number(c.Steepest), points}
}
