package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func (p *program) runsCommand() *cobra.Command {
	var (
		cached cacheFlag
		last   int
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "runs FILE",
		Short: "List the earlier runs of a pipeline, with their metrics side by side",
		Long: `List the earlier runs of a pipeline, the newest first: when, how they ended, and in
what each differs from the one before; then the metrics of the newest, side by side.
'tlpipe cache gc' keeps the records of the newest runs.`,
		Example: "  tlpipe runs pipeline.yaml\n  tlpipe runs diff 20260102-1504 20260103-0910",
		Args:    one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if last < 1 {
				return usage("--last %d: expected 1 or more", last)
			}
			file, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			runs, err := pastRuns(c.Context(), cached, func(r pipeline.RunStarted) bool { return r.File == file })
			if err != nil {
				return err
			}
			if len(runs) == 0 {
				return usage("no run of %s is on record in this cache", args[0])
			}
			if asJSON {
				return p.runsAsJSON(runs)
			}
			return p.printRuns(runs, last)
		},
	}
	cached.add(c)
	c.Flags().IntVar(&last, "last", 10, "how many `runs` to list")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per run, with all metrics")
	c.AddCommand(p.runsDiffCommand())
	return c
}

func (p *program) runsDiffCommand() *cobra.Command {
	var cached cacheFlag
	c := &cobra.Command{
		Use:   "diff RUN RUN",
		Short: "Tell in what two runs differ: recipes, data, metrics",
		Long:  "Tell in what two runs differ: recipes, data, metrics. RUN is the beginning or the end of a run's name.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("two runs are compared, not %d: %s", len(args), c.UseLine())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			runs, err := pastRuns(c.Context(), cached, func(pipeline.RunStarted) bool { return true })
			if err != nil {
				return err
			}
			var two [2]pipeline.PastRun
			for i, name := range args {
				if two[i], err = findRun(runs, name); err != nil {
					return err
				}
			}
			return p.printDifference(two[0], two[1])
		},
	}
	cached.add(c)
	return c
}

// pastRuns are the runs on record, oldest first.
func pastRuns(ctx context.Context, cached cacheFlag, which func(pipeline.RunStarted) bool) (runs []pipeline.PastRun, err error) {
	store, err := cached.open(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return readRuns(ctx, store, which)
}

func readRuns(ctx context.Context, store *cache.Store, which func(pipeline.RunStarted) bool) (runs []pipeline.PastRun, err error) {
	names, err := store.Runs()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, ok, err := pipeline.ReadRun(store, name, which)
		if err != nil {
			return nil, fmt.Errorf("read the journal of run %s: %w", name, err)
		}
		if ok {
			runs = append(runs, r)
		}
	}
	// Names of runs tell the second.
	slices.SortStableFunc(runs, func(a, b pipeline.PastRun) int { return a.Time.Compare(b.Time) })
	return runs, nil
}

func findRun(runs []pipeline.PastRun, name string) (found pipeline.PastRun, err error) {
	var names []string
	for _, r := range runs {
		if strings.HasPrefix(r.Run, name) || strings.HasSuffix(r.Run, name) {
			found = r
			names = append(names, r.Run)
		}
	}
	switch len(names) {
	case 0:
		return found, usage("no run %s is on record in this cache; 'tlpipe runs FILE' lists those of a pipeline", name)
	case 1:
		return found, nil
	}
	return found, usage("%s could be any of %s", name, strings.Join(names[:min(len(names), 5)], ", "))
}

// statusOf tells how a run ended.
func statusOf(r pipeline.PastRun) (status, seconds string) {
	if r.Ended == nil {
		return "no end", ""
	}
	return r.Ended.Status, console.Seconds(r.Ended.Seconds)
}

// sideBySide is how many runs' metrics stand beside each other.
const sideBySide = 4

func (p *program) printRuns(runs []pipeline.PastRun, last int) error {
	table := console.NewTable("RUN", "STATUS", ">TIME", "DIFFERS FROM THE ONE BEFORE").Fit(p.out.File)
	for i := len(runs) - 1; i >= max(len(runs)-last, 0); i-- {
		differs := ""
		if i > 0 {
			differs = console.ShortDigests(inOneLine(runs[i].Differences(runs[i-1])))
		}
		status, seconds := statusOf(runs[i])
		table.Row(runs[i].Run, status, seconds, differs)
	}
	if err := table.Write(p.out, ""); err != nil {
		return err
	}
	var measured []pipeline.PastRun
	for i := len(runs) - 1; i >= 0 && len(measured) < sideBySide; i-- {
		if runs[i].Ended != nil && len(runs[i].Ended.Metrics) > 0 {
			measured = append(measured, runs[i])
		}
	}
	if len(measured) == 0 {
		return nil
	}
	heads := []string{"METRIC"}
	for _, r := range measured {
		heads = append(heads, ">…"+r.Run[max(len(r.Run)-6, 0):])
	}
	metrics := console.NewTable(heads...)
	for _, name := range metricNames(measured) {
		row := []string{name}
		for _, r := range measured {
			row = append(row, metricText(r.Ended.Metrics, name))
		}
		metrics.Row(row...)
	}
	if metrics.Len() == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	return metrics.Write(p.out, "")
}

// metricNames are the metrics of the models, by name: those of baselines and the bounds of intervals are left out.
func metricNames(runs []pipeline.PastRun) []string {
	names := map[string]bool{}
	for _, r := range runs {
		for name := range r.Ended.Metrics {
			model := name[:max(strings.LastIndex(name, "."), 0)]
			for _, n := range r.Nodes {
				if (model == n.Stage || strings.HasSuffix(model, "."+n.Stage)) && !strings.HasSuffix(name, "_low") && !strings.HasSuffix(name, "_high") {
					names[name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func metricText(metrics map[string]float64, name string) string {
	value, ok := metrics[name]
	if !ok {
		return "-"
	}
	return strconv.FormatFloat(value, 'f', 4, 64)
}

// mostDifferences is how many differences one line of the list tells.
const mostDifferences = 3

func inOneLine(differences map[string][]string) string {
	var all []string
	for _, stage := range slices.Sorted(maps.Keys(differences)) {
		for _, d := range differences[stage] {
			all = append(all, stage+": "+d)
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	text := strings.Join(all[:min(len(all), mostDifferences)], "; ")
	if more := len(all) - mostDifferences; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func (p *program) printDifference(a, b pipeline.PastRun) error {
	fmt.Fprintf(p.out, "%s → %s\n\n", a.Run, b.Run)
	if a.File != b.File {
		fmt.Fprintf(p.out, "they are of different files: %s and %s\n\n", console.Line(a.File), console.Line(b.File))
	}
	differences := b.Differences(a)
	if len(differences) == 0 {
		fmt.Fprintln(p.out, "The recipes and the data are the same.")
	} else {
		table := console.NewTable("STAGE", "DIFFERENCE").Fit(p.out.File)
		for _, stage := range slices.Sorted(maps.Keys(differences)) {
			for _, d := range differences[stage] {
				table.Row(stage, console.ShortDigests(d))
			}
		}
		if err := table.Write(p.out, ""); err != nil {
			return err
		}
	}
	if a.Ended == nil || b.Ended == nil {
		return nil
	}
	metrics := console.NewTable("METRIC", ">BEFORE", ">AFTER", ">CHANGE")
	for _, name := range metricNames([]pipeline.PastRun{a, b}) {
		before, had := a.Ended.Metrics[name]
		after, has := b.Ended.Metrics[name]
		change := ""
		if had && has && !math.IsNaN(after-before) {
			change = fmt.Sprintf("%+.4f", after-before)
		}
		metrics.Row(name, metricText(a.Ended.Metrics, name), metricText(b.Ended.Metrics, name), change)
	}
	if metrics.Len() == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	return metrics.Write(p.out, "")
}

// jsonRun is a line of `runs --json`.
type jsonRun struct {
	Run         string              `json:"run"`
	Time        time.Time           `json:"time"`
	Status      string              `json:"status"` // "" if it has no end on record
	Seconds     float64             `json:"seconds"`
	Metrics     map[string]float64  `json:"metrics"`
	Differences map[string][]string `json:"differences"` // from the run before, by stage
}

func (p *program) runsAsJSON(runs []pipeline.PastRun) error {
	for i, r := range runs {
		line := jsonRun{Run: r.Run, Time: r.Time}
		if r.Ended != nil {
			line.Status, line.Seconds, line.Metrics = r.Ended.Status, r.Ended.Seconds, r.Ended.Metrics
		}
		if i > 0 {
			line.Differences = r.Differences(runs[i-1])
		}
		if err := p.out.JSON().Encode(line); err != nil {
			return err
		}
	}
	return nil
}
