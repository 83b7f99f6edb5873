package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// pipelineFlags are those of every command that reads a pipeline.
type pipelineFlags struct{ set []string }

func (f *pipelineFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.set, "set", nil, "`stage.param=value`: set a parameter, vars.name or seed (may be repeated)")
}

// maxPipelineFile bounds the file of a pipeline, in bytes; what it says is counted as it is read.
const maxPipelineFile = 256 << 20

// load reads a pipeline and makes its graph.
func (p *program) load(file string, f pipelineFlags) (*pipeline.Graph, error) {
	text, err := budget.ReadFile(file, maxPipelineFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usage("there is no pipeline file %s (`tlpipe init DIR` writes one to start from)", file)
	case err != nil:
		return nil, usage("read the pipeline: %w", err)
	}
	var overrides []pipeline.Override
	for _, s := range f.set {
		path, value, ok := strings.Cut(s, "=")
		if !ok || path == "" {
			return nil, usage("--set %s: expected stage.param=value", s)
		}
		overrides = append(overrides, pipeline.Override{Path: path, Value: value})
	}
	return pipeline.Load(file, text, p.kinds, overrides...)
}

// cacheFlag chooses the cache.
type cacheFlag struct {
	dir   string
	flags *pflag.FlagSet
}

func (f *cacheFlag) add(c *cobra.Command) {
	f.flags = c.Flags()
	c.Flags().StringVar(&f.dir, "cache", "", "the cache's `folder` (default $TLPIPE_CACHE, or tlpipe in the user's cache folder)")
}

// path is the folder of the cache that was chosen.
func (f *cacheFlag) path() (string, error) {
	switch {
	case f.dir != "":
		return f.dir, nil
	case f.flags.Changed("cache"):
		return "", usage("--cache: the folder's name is empty")
	}
	if dir := os.Getenv("TLPIPE_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", usage("cannot determine the cache folder: %w; set it with --cache", err)
	}
	return filepath.Join(dir, "tlpipe"), nil
}

func (f *cacheFlag) open(ctx context.Context) (*cache.Store, error) {
	dir, err := f.path()
	if err != nil {
		return nil, err
	}
	store, err := cache.Open(ctx, dir, cache.OS{})
	if err != nil && ctx.Err() == nil {
		return nil, &exitError{exitUsage, err}
	}
	return store, err
}

// selectionFlags narrow a command to some stages.
type selectionFlags struct{ only, from, until, force []string }

func (f *selectionFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.only, "only", nil, "`stages` to run alone; their inputs must be in the cache")
	c.Flags().StringArrayVar(&f.from, "from", nil, "`stages` to run with all that follow; earlier ones must be in the cache")
	c.Flags().StringArrayVar(&f.until, "until", nil, "`stages` to run with all that they depend on, and no others")
	c.Flags().StringArrayVar(&f.force, "force", nil, "`stages` to compute even if they are in the cache")
}

func (f *selectionFlags) selection() pipeline.Selection {
	return pipeline.Selection{Only: names(f.only), From: names(f.from), Until: names(f.until), Force: names(f.force)}
}

// all tells whether no stage is left out.
func (f *selectionFlags) all() bool { return len(f.only)+len(f.from)+len(f.until) == 0 }

// names splits lists at their commas, but for those within the brackets of
// features[backbone=a,seed=1].
func names(lists []string) []string {
	var out []string
	for _, list := range lists {
		depth, start := 0, 0
		for i, r := range list + "," {
			switch {
			case r == '[':
				depth++
			case r == ']':
				depth--
			case r == ',' && (depth <= 0 || i == len(list)):
				if name := strings.TrimSpace(list[start:i]); name != "" {
					out = append(out, name)
				}
				start = i + 1
			}
		}
	}
	return out
}

// jobsFlag is how many threads stages and chunks may keep busy together.
type jobsFlag int

func (f *jobsFlag) add(c *cobra.Command) {
	c.Flags().IntVar((*int)(f), "jobs", 0, "number of `threads` for all stages together (default: one per CPU)")
}

func (f *jobsFlag) check() error {
	if *f < 0 {
		return usage("--jobs %d: expected a number of 1 or more", *f)
	}
	return nil
}

// memoryFlag is how much memory stages may take together.
type memoryFlag int64

func (f *memoryFlag) add(c *cobra.Command) {
	c.Flags().Var(f, "memory", "how much `memory` stages that run at the same time may take together, as they estimate it, such as 8GB; what needs more runs alone, and a training computes parts of its layers twice to need less; a row that needs more is refused (default: 75 % of what the machine, or its control group, has)")
}

// String implements pflag.Value.
func (f *memoryFlag) String() string { return "" }

// Set implements pflag.Value.
func (f *memoryFlag) Set(text string) error {
	n, err := params.ParseBytes(text)
	if err == nil && n == 0 {
		err = errors.New("expected a size above 0, such as 8GB")
	}
	*f = memoryFlag(n)
	return err
}

// Type implements pflag.Value.
func (f *memoryFlag) Type() string { return "memory" }

// noArguments refuses arguments to commands that only group others.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
	}
	return nil
}

// one takes one argument, of the name that the command's usage gives it.
func one(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("%s is missing: %s", name, c.UseLine())
		case 1:
			return nil
		default:
			return fmt.Errorf("expected one %s, got %d: %s", name, len(args), c.UseLine())
		}
	}
}

// exactly takes as many arguments as there are names, in the order that the command's usage gives them.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing: %s", names[len(args)], c.UseLine())
		case len(args) > len(names):
			return fmt.Errorf("expected %s, got %d arguments: %s", strings.Join(names, " and "), len(args), c.UseLine())
		}
		return nil
	}
}
