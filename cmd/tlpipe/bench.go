package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/bench"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func (p *program) benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Benchmark this machine",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.benchExtractCommand(), p.benchEncodeCommand(), p.benchTrainCommand(), p.benchLatencyCommand(), p.benchPipelineCommand(), p.benchDoctorCommand())
	return c
}

func (p *program) benchExtractCommand() *cobra.Command {
	var (
		e         bench.Extract
		precision string
		asJSON    bool
	)
	c := &cobra.Command{
		Use:   "extract",
		Short: "Measure feature extraction, in images per second",
		Long: `Measure how many images per second a backbone turns into features: the best of
several runs after a warm-up, with pixels already decoded.`,
		Example: `  tlpipe bench extract --backbone resnet50 --batch 8
  tlpipe bench extract --backbone mobilenet_v2 --batch 1 --threads 1 --profile`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if e.Backbone == "" {
				return usage("say which network: --backbone NAME (`tlpipe models list`)")
			}
			var err error
			if e.Precision, err = frozen.ParsePrecision(precision); err != nil {
				return usage("--precision: %w", err)
			}
			result, err := e.Measure(c.Context())
			if wrong := new(bench.RequestError); errors.As(err, &wrong) {
				return usage("%w", err)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(result)
			}
			defer p.printNote(result.Note)
			return p.printExtraction(result)
		},
	}
	f := c.Flags()
	f.StringVar(&e.Backbone, "backbone", "", "the `name` of a backbone (`tlpipe models list`)")
	f.IntVar(&e.Batch, "batch", 1, "`images` per batch")
	f.IntVar(&e.Threads, "threads", runtime.NumCPU(), "number of `threads`")
	f.StringVar(&precision, "precision", frozen.Float32.String(), "arithmetic: fp32, bf16 or int8")
	f.StringVar(&e.Weights, "weights", backbone.RandomWeights, "random, a weight set of the backbone, or a `file` of weights")
	f.IntVar(&e.Size, "size", 0, "height and width of the images in `pixels` (default: those of the backbone's weights)")
	f.IntVar(&e.Repeat, "repeat", 10, "number of `runs`, of which the best is reported")
	f.Float64Var(&e.Seconds, "seconds", 0, "minimum `seconds` to measure; more runs if they take less")
	f.IntVar(&e.WarmUp, "warm-up", 1, "warm-up `runs`")
	f.BoolVar(&e.Plain, "plain", false, "compute 3×3 convolutions directly, without Winograd's method")
	f.BoolVar(&e.Profile, "profile", false, "also print a profile by kind of layer")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = c.RegisterFlagCompletionFunc("backbone", completeBackbones)
	return c
}

// printNote tells what was measured in the place of what was asked for, if anything.
func (p *program) printNote(note string) {
	if note != "" {
		fmt.Fprintln(p.err, "note:", note)
	}
}

// completeBackbones lists the zoo for shells.
func completeBackbones(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var known []string
	for _, b := range backbone.All() {
		known = append(known, b.Name)
	}
	return known, cobra.ShellCompDirectiveNoFileComp
}

// printExtraction tells a measurement in two tables at most.
func (p *program) printExtraction(r *bench.Extraction) error {
	table := console.NewTable("BACKBONE", ">SIZE", "PRECISION", ">BATCH", ">THREADS", ">PICTURES/S", ">MEDIAN", ">GFLOP/S", ">LOAD", ">WEIGHTS", ">ACTIVATIONS")
	table.Row(r.Backbone, fmt.Sprintf("%d×%d", r.Width, r.Height), r.Precision, fmt.Sprint(r.Batch), fmt.Sprint(r.Threads),
		fmt.Sprintf("%.1f", r.ImagesPerSecond), fmt.Sprintf("%.1f", r.Median), fmt.Sprintf("%.0f", r.GFLOPS),
		fmt.Sprintf("%.2fs", r.Load), console.Bytes(int64(r.WeightBytes)), console.Bytes(int64(r.ArenaBytes)))
	if err := table.Write(p.out, ""); err != nil || r.Profile == nil {
		return err
	}
	fmt.Fprintf(p.out, "\nfastest matrix product: %.0f GFLOP/s (%s)\n\n", r.Peak, r.Instructions)
	classes := console.NewTable("STEPS", ">COUNT", ">TIME", ">GFLOP/S", ">OF THE PEAK")
	for _, class := range r.Classes {
		speed, share := "", ""
		if class.GFLOPS > 0 {
			speed, share = fmt.Sprintf("%.0f", class.GFLOPS), fmt.Sprintf("%.0f%%", 100*class.GFLOPS/r.Peak)
		}
		classes.Row(class.Class, fmt.Sprint(class.Steps), fmt.Sprintf("%.1f%%", 100*class.Share), speed, share)
	}
	return classes.Write(p.out, "")
}

func (p *program) benchTrainCommand() *cobra.Command {
	var (
		t         bench.Train
		precision string
		asJSON    bool
	)
	c := &cobra.Command{
		Use:   "train",
		Short: "Measure training, in images per second",
		Long: `Measure how many images per second a backbone with a new head is trained on: the
best of several steps (forward, backward, and an update by gradient descent with
momentum) after a warm-up, with pixels already decoded.`,
		Example: `  tlpipe bench train --backbone resnet50 --batch 16
  tlpipe bench train --backbone mobilenet_v2 --batch 16 --train top:20 --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if t.Backbone == "" {
				return usage("say which network: --backbone NAME (`tlpipe models list`)")
			}
			var err error
			if t.Precision, err = frozen.ParsePrecision(precision); err != nil {
				return usage("--precision: %w", err)
			}
			result, err := t.Measure(c.Context())
			if wrong := new(bench.RequestError); errors.As(err, &wrong) {
				return usage("%w", err)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(result)
			}
			defer p.printNote(result.Note)
			table := console.NewTable("BACKBONE", ">SIZE", "TRAIN", ">PARAMETERS", ">BATCH", ">THREADS", ">PICTURES/S", ">MEDIAN", ">GFLOP/S")
			table.Row(result.Backbone, fmt.Sprintf("%d×%d", result.Width, result.Height), result.Trained, console.Count(result.Parameters),
				fmt.Sprint(result.Batch), fmt.Sprint(result.Threads),
				fmt.Sprintf("%.1f", result.ImagesPerSecond), fmt.Sprintf("%.1f", result.Median), fmt.Sprintf("%.0f", result.GFLOPS))
			return table.Write(p.out, "")
		},
	}
	f := c.Flags()
	f.StringVar(&t.Backbone, "backbone", "", "the `name` of a backbone (`tlpipe models list`)")
	f.StringVar(&t.Trained, "train", "all", "`part` to train: head, top:N (the head and the N layers below it) or all")
	f.StringVar(&precision, "precision", frozen.Float32.String(), "`precision` of the products: fp32 or bf16")
	f.BoolVar(&t.FixedNorms, "fixed-norms", false, "batch-norms use fixed statistics")
	f.BoolVar(&t.Cached, "cached", false, "start from the cached activations of the frozen layers")
	f.IntVar(&t.Batch, "batch", 16, "`images` per step")
	f.IntVar(&t.Classes, "classes", 1000, "`classes` of the head")
	f.IntVar(&t.Threads, "threads", runtime.NumCPU(), "number of `threads`")
	f.IntVar(&t.Size, "size", 0, "height and width of the images in `pixels` (default: those of the backbone's weights)")
	f.IntVar(&t.Repeat, "repeat", 5, "number of `steps`, of which the best is reported")
	f.IntVar(&t.WarmUp, "warm-up", 1, "warm-up `steps`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = c.RegisterFlagCompletionFunc("backbone", completeBackbones)
	return c
}

// pipelineTimes is what `bench pipeline --json` prints.
type pipelineTimes struct {
	Pipeline string       `json:"pipeline"`
	Empty    float64      `json:"empty_cache_seconds"`
	Full     float64      `json:"full_cache_seconds"`
	Stages   []stageTimes `json:"stages"`
}

type stageTimes struct {
	Stage string  `json:"stage"`
	Rows  int64   `json:"rows"`
	Empty float64 `json:"empty_cache_seconds"`
	Full  float64 `json:"full_cache_seconds"`
}

func (p *program) benchPipelineCommand() *cobra.Command {
	var (
		file   pipelineFlags
		jobs   jobsFlag
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "pipeline FILE",
		Short: "Measure a pipeline with an empty cache, then with a full one",
		Long: `Run a pipeline twice in a temporary cache: the first run computes everything, the
second finds everything. The cache is removed afterwards; no report is written.`,
		Args: one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := jobs.check(); err != nil {
				return err
			}
			graph, err := p.load(args[0], file)
			if err != nil {
				return err
			}
			times, err := timePipeline(c.Context(), graph, int(jobs))
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(times)
			}
			table := console.NewTable("STAGE", ">ROWS", ">EMPTY CACHE", ">FULL CACHE")
			for _, s := range times.Stages {
				table.Row(s.Stage, console.Count(s.Rows), fmt.Sprintf("%.2fs", s.Empty), fmt.Sprintf("%.2fs", s.Full))
			}
			table.Row("in all", "", fmt.Sprintf("%.2fs", times.Empty), fmt.Sprintf("%.2fs", times.Full))
			return table.Write(p.out, "")
		},
	}
	file.add(c)
	jobs.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// timePipeline runs a pipeline twice in a cache of its own.
func timePipeline(ctx context.Context, graph *pipeline.Graph, jobs int) (_ *pipelineTimes, err error) {
	dir, err := os.MkdirTemp("", "tlpipe-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary cache: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := cache.Open(ctx, dir, cache.OS{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	out := &pipelineTimes{Pipeline: graph.Name}
	for again := range 2 {
		runner := &pipeline.Runner{Store: store, Jobs: jobs}
		result, err := runner.Run(ctx, graph)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(result.Err, result.Journal.Close(), result.Close()); err != nil {
			return nil, err
		}
		if again == 0 {
			out.Empty = result.Seconds
		} else {
			out.Full = result.Seconds
		}
		for i, n := range result.Nodes {
			if again == 0 {
				out.Stages = append(out.Stages, stageTimes{Stage: n.Ended.Stage, Rows: n.Ended.Rows, Empty: n.Ended.Seconds})
			} else {
				out.Stages[i].Full = n.Ended.Seconds
			}
		}
	}
	return out, nil
}
