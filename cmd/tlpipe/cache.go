package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func (p *program) cacheCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cache",
		Short: "Inspect and clean the cache of results",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.cacheListCommand(), p.cacheVerifyCommand(), p.cacheCollectCommand(), p.cacheForgetCommand(), p.cachePathCommand())
	return c
}

func (p *program) cachePathCommand() *cobra.Command {
	var cached cacheFlag
	c := &cobra.Command{
		Use:   "path",
		Short: "Print the path of the cache",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := cached.path()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.out, dir)
			return err
		},
	}
	cached.add(c)
	return c
}

func (p *program) cacheListCommand() *cobra.Command {
	var (
		cached cacheFlag
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "ls",
		Short: "List what the cache holds",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := cached.open(c.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			usage, err := store.Inspect()
			if err != nil {
				return err
			}
			pipelines, err := store.Pipelines()
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(newCacheListing(store, usage, pipelines))
			}
			return p.printCache(store, usage, pipelines)
		},
	}
	cached.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// cacheListing is what `cache ls --json` prints. Bytes are those of blobs.
type cacheListing struct {
	Folder         string          `json:"folder"`
	Results        int             `json:"results"`
	Blobs          int             `json:"blobs"`
	Bytes          int64           `json:"bytes"`
	UsedResults    int             `json:"used_results"` // that the newest run of some pipeline used
	UsedBytes      int64           `json:"used_bytes"`
	Checkpoints    int             `json:"checkpoints"`
	Runs           int             `json:"runs"`
	Stages         []stageUsage    `json:"stages"`
	Pipelines      []pipelineUsage `json:"pipelines"`
	RemovedDamaged []string        `json:"removed_damaged,omitempty"`
}

type stageUsage struct {
	Uses    string `json:"uses"`
	Results int    `json:"results"`
	Bytes   int64  `json:"bytes"`
}

type pipelineUsage struct {
	Name   string    `json:"name"`
	File   string    `json:"file"`
	Run    string    `json:"run"`
	Time   time.Time `json:"time"`
	Stages int       `json:"stages"`
	Gone   bool      `json:"gone"` // its file is no longer there
}

func newCacheListing(store *cache.Store, u cache.Usage, pipelines []cache.Latest) cacheListing {
	l := cacheListing{
		Folder: store.Dir(), Results: u.Entries, Blobs: u.Blobs, Bytes: u.Bytes,
		UsedResults: u.Reachable, UsedBytes: u.ReachableBytes, Checkpoints: u.Checkpoints, Runs: u.Runs,
		Stages: []stageUsage{}, Pipelines: []pipelineUsage{}, RemovedDamaged: u.Damaged,
	}
	for uses, s := range u.Stages {
		l.Stages = append(l.Stages, stageUsage{uses, s.Entries, s.Bytes})
	}
	slices.SortFunc(l.Stages, func(a, b stageUsage) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Uses, b.Uses))
	})
	for _, x := range pipelines {
		l.Pipelines = append(l.Pipelines, pipelineUsage{x.Pipeline, x.File, x.Run, x.Time, len(x.Nodes), x.Gone()})
	}
	return l
}

func (p *program) printCache(store *cache.Store, u cache.Usage, pipelines []cache.Latest) error {
	l := newCacheListing(store, u, pipelines)
	fmt.Fprintf(p.out, "%s\n%s in %s; the newest runs use %s\n", l.Folder, console.Bytes(l.Bytes),
		console.Of(int64(l.Results), "result"), console.Bytes(l.UsedBytes))
	if l.Checkpoints > 0 {
		fmt.Fprintf(p.out, "%s of unfinished training\n", console.Of(int64(l.Checkpoints), "checkpoint"))
	}
	if len(l.Stages) > 0 {
		table := console.NewTable("USES", ">RESULTS", ">SIZE")
		for _, s := range l.Stages {
			table.Row(s.Uses, console.Count(int64(s.Results)), console.Bytes(s.Bytes))
		}
		fmt.Fprintln(p.out)
		if err := table.Write(p.out, ""); err != nil {
			return err
		}
	}
	if len(l.Pipelines) == 0 {
		return nil
	}
	table := console.NewTable("PIPELINE", "NEWEST RUN", ">STAGES", "FILE")
	gone := 0
	for _, x := range l.Pipelines {
		file := x.File
		if x.Gone {
			file += " (gone)"
			gone++
		}
		table.Row(x.Name, x.Time.Local().Format("2006-01-02 15:04"), console.Count(int64(x.Stages)), file)
	}
	fmt.Fprintln(p.out)
	if err := table.Write(p.out, ""); err != nil || gone == 0 {
		return err
	}
	_, err := fmt.Fprintln(p.out, "\nResults of pipelines whose file is gone are kept until `tlpipe cache forget --gone`.")
	return err
}

func (p *program) cacheForgetCommand() *cobra.Command {
	var (
		cached cacheFlag
		gone   bool
		dryRun bool
	)
	c := &cobra.Command{
		Use:   "forget [PIPELINE|FILE]...",
		Short: "Forget the latest run of pipelines, so that gc may remove its results",
		Long: `Forget the latest run of pipelines, given by name or file, or with --gone of all whose
file no longer exists. Their results stay until ` + "`tlpipe cache gc`" + ` removes what no
other pipeline uses.`,
		Example: "  tlpipe cache forget --gone\n  tlpipe cache forget flowers\n  tlpipe cache forget old/flowers.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && !gone {
				return usage("name the pipelines to forget, or use --gone for those whose file no longer exists")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			store, err := cached.open(c.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			known, err := store.Pipelines()
			if err != nil {
				return err
			}
			for _, arg := range args {
				if !slices.ContainsFunc(known, func(l cache.Latest) bool { return isCalled(l, arg) }) {
					return usage("the cache knows no pipeline %q: `tlpipe cache ls` lists them", arg)
				}
			}
			forgotten, err := store.Forget(func(l cache.Latest) bool {
				return gone && l.Gone() || slices.ContainsFunc(args, func(arg string) bool { return isCalled(l, arg) })
			}, dryRun)
			done := "forgot"
			if dryRun {
				done = "would forget"
			}
			for _, l := range forgotten {
				fmt.Fprintf(p.out, "%s %s (%s)\n", done, console.Line(l.Pipeline), console.Line(l.File))
			}
			if err == nil && len(forgotten) == 0 {
				_, err = fmt.Fprintln(p.out, "no pipeline's file is gone")
			}
			return err
		},
	}
	cached.add(c)
	c.Flags().BoolVar(&gone, "gone", false, "forget all pipelines whose file no longer exists")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be forgotten, and forget nothing")
	return c
}

// isCalled tells whether a pipeline is meant by a name or a path.
func isCalled(l cache.Latest, arg string) bool {
	if l.Pipeline == arg {
		return true
	}
	path, err := filepath.Abs(arg)
	return err == nil && path == l.File
}

func (p *program) cacheVerifyCommand() *cobra.Command {
	var (
		cached cacheFlag
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check every stored result, and remove damaged ones",
		Long: `Read every stored result and check it against its digest. Damaged ones are removed,
and recomputed by the next run that needs them. What cannot be read for another reason
is listed and stays. The exit code is 1 if anything was damaged or could not be read.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := cached.open(c.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			counter := console.NewCounter(p.err.File, "blob")
			usage, err := store.Verify(c.Context(), counter.Show)
			counter.Close()
			if err != nil {
				return err
			}
			if asJSON {
				err = p.out.JSON().Encode(map[string]any{"results": usage.Entries, "blobs": usage.Blobs, "bytes": usage.Bytes, "damaged": append([]string{}, usage.Damaged...), "unchecked": append([]string{}, usage.Unchecked...)})
			} else {
				for _, d := range usage.Damaged {
					fmt.Fprintln(p.out, "removed:", console.Line(d))
				}
				for _, d := range usage.Unchecked {
					fmt.Fprintln(p.out, "not checked:", console.Line(d))
				}
				unchecked := ""
				if n := len(usage.Unchecked); n > 0 {
					unchecked = fmt.Sprintf(", %d could not be read", n)
				}
				_, err = fmt.Fprintf(p.out, "%s, %s in %s: %d damaged%s\n", console.Of(int64(usage.Entries), "result"),
					console.Bytes(usage.Bytes), console.Of(int64(usage.Blobs), "blob"), len(usage.Damaged), unchecked)
			}
			if err == nil && len(usage.Damaged)+len(usage.Unchecked) > 0 {
				return &exitError{code: exitFailed}
			}
			return err
		},
	}
	cached.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) cacheCollectCommand() *cobra.Command {
	var (
		cached    cacheFlag
		olderThan ageFlag
		maxSize   string
		dryRun    bool
		asJSON    bool
	)
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove results that the latest run of no pipeline uses",
		Long: `Remove results that the latest run of no pipeline uses: all of them, or those
selected by --older-than and --max-size. Waits until no run has the cache open.`,
		Example: "  tlpipe cache gc --older-than 30d\n  tlpipe cache gc --max-size 20GB --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			policy := cache.Policy{OlderThan: time.Duration(olderThan), MaxBytes: -1, DryRun: dryRun}
			if maxSize != "" {
				size, err := console.ParseBytes(maxSize)
				if err != nil {
					return usage("--max-size: %w", err)
				}
				policy.MaxBytes = size
			}
			dir, err := cached.path()
			if err != nil {
				return err
			}
			u, err := cache.Collect(c.Context(), dir, policy, func() {
				fmt.Fprintln(p.err, "waiting for the runs that use the cache")
			})
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(map[string]any{
					"removed_results": u.RemovedEntries, "removed_blobs": u.RemovedBlobs, "removed_bytes": u.RemovedBytes,
					"kept_bytes": u.Bytes - u.RemovedBytes, "dry_run": dryRun,
				})
			}
			done := "removed"
			if dryRun {
				done = "would remove"
			}
			_, err = fmt.Fprintf(p.out, "%s %s, %s; %s stay\n", done, console.Of(int64(u.RemovedEntries), "result"),
				console.Bytes(u.RemovedBytes), console.Bytes(u.Bytes-u.RemovedBytes))
			return err
		},
	}
	cached.add(c)
	c.Flags().Var(&olderThan, "older-than", "remove only results unused for an `age` such as 12h or 30d")
	c.Flags().StringVar(&maxSize, "max-size", "", "remove the least recently used first, until the cache is at most this `size`, such as 20GB")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be removed, and remove nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
