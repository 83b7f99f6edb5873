package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/report"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func (p *program) reportCommand() *cobra.Command {
	var (
		file   pipelineFlags
		cached cacheFlag
		out    string
		force  bool
	)
	c := &cobra.Command{
		Use:   "report FILE",
		Short: "Write the report of a pipeline's results",
		Long:  `Write the report of a pipeline's results as one self-contained HTML page. The results must be in the cache; nothing is computed.`,
		Args:  one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Lstat(out); err == nil && !force {
				return usage("%s is there already: say --force to overwrite it, or another name with --out", out)
			}
			graph, err := p.load(args[0], file)
			if err != nil {
				return err
			}
			store, err := cached.open(c.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			plan, err := (&pipeline.Runner{Store: store}).Plan(c.Context(), graph)
			if err != nil {
				return err
			}
			if plan.Pending() {
				var pending []string
				for _, n := range plan.Nodes {
					if n.State != pipeline.Cached {
						pending = append(pending, fmt.Sprintf("%s (%s)", n.Stage, n.State))
					}
				}
				return fmt.Errorf("not in the cache: %s; `tlpipe run %s` computes it", strings.Join(pending, ", "), args[0])
			}
			if err := writeFile(out, func(w io.Writer) error {
				return report.Write(c.Context(), w, reportOfPlan(store, graph, plan))
			}); err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.err, out)
			return err
		},
	}
	file.add(c)
	cached.add(c)
	c.Flags().StringVar(&out, "out", "report.html", "the `file` to write")
	c.Flags().BoolVar(&force, "force", false, "overwrite the file if it is there")
	return c
}

// reportOfRun gathers what a report tells about a run.
func reportOfRun(graph *pipeline.Graph, result *pipeline.Result) report.Run {
	run := newReport(graph)
	run.ID, run.Status, run.Started, run.Seconds = result.Run, result.Status, result.Started, result.Seconds
	for _, n := range result.Nodes {
		e := n.Ended
		node := reportNode(n.Node)
		node.State, node.Error = report.State(e.Cache), e.Error
		node.Chunks, node.ChunksComputed = e.Chunks, e.ChunksComputed
		node.Rows, node.Rejected, node.Digest = e.Rows, e.Rejects, e.Digest
		node.Seconds, node.Cost, node.Shares, node.Overview = e.Seconds, e.Cost, e.Shares, n.Overview
		node.Outputs = map[string]pipeline.Input{}
		for port, a := range n.Outputs {
			if port == pipeline.RejectsPort {
				node.Rejects = a
			} else {
				node.Outputs[port] = a
			}
		}
		run.Nodes = append(run.Nodes, node)
	}
	return run
}

// reportOfPlan gathers what a report tells about results that are all cached.
func reportOfPlan(store *cache.Store, graph *pipeline.Graph, plan pipeline.Plan) report.Run {
	run := newReport(graph)
	run.Status = "ok"
	if latest, err := store.Latest(cache.PipelineID(graph.Name, graph.File)); err == nil {
		run.ID, run.Started = latest.Run, latest.Time
	}
	for _, n := range plan.Nodes {
		node := reportNode(n.Node)
		node.State, node.Chunks, node.Cost, node.Shares, node.Overview = report.Hit, n.Chunks, n.Cost, n.Shares, n.Overview
		node.Outputs = map[string]pipeline.Input{}
		for _, port := range n.Node.Kind.Outputs {
			a := pipeline.NewArtifact(store, n.Stage, n.Node.Coordinates, n.Outputs[port.Name])
			node.Outputs[port.Name] = a
			if len(node.Outputs) == 1 {
				node.Rows, node.Digest = a.Rows(), a.Digest()
			}
		}
		rejects := pipeline.NewRejects(store, n.Stage, n.Node.Coordinates, n.Outputs[pipeline.RejectsPort])
		node.Rejects, node.Rejected = rejects, rejects.Rows()
		run.Nodes = append(run.Nodes, node)
	}
	return run
}

func newReport(graph *pipeline.Graph) report.Run {
	return report.Run{Pipeline: graph.Name, File: graph.File, Seed: graph.Seed, Version: version()}
}

func reportNode(n *pipeline.Node) report.Node {
	node := report.Node{
		Name: n.Name, Stage: n.Declared.Name, Uses: n.Kind.Name, Coordinates: n.Coordinates,
		Recipe: n.Recipe.Digest(), Notes: n.Notes(), Params: n.ShownParams(),
	}
	for _, e := range n.Inputs {
		node.Inputs = append(node.Inputs, report.Link{Port: e.Port, From: e.From.Name, FromPort: e.FromPort})
	}
	return node
}

// reportFile and reportKeyFile are files in a run's folder: the report, and
// the digest of all that it shows but what the run took from the cache.
const (
	reportFile    = "report.html"
	reportKeyFile = "report.key"
)

// writeReport puts the report of a run into the run's folder and returns its
// path. If nothing was computed and the run before showed the same results,
// that one's report is taken over: it tells of the work itself.
func writeReport(ctx context.Context, graph *pipeline.Graph, result *pipeline.Result, before string) (string, error) {
	path, key := filepath.Join(result.Dir, reportFile), reportKey(graph, result)
	reused := false
	if nothingComputed(result) && before != "" {
		old := filepath.Join(filepath.Dir(result.Dir), before)
		if written, err := budget.ReadFile(filepath.Join(old, reportKeyFile), 1<<20); err == nil && string(written) == key {
			reused = os.Link(filepath.Join(old, reportFile), path) == nil
		}
	}
	if !reused {
		err := writeFile(path, func(w io.Writer) error { return report.Write(ctx, w, reportOfRun(graph, result)) })
		if err != nil {
			return "", err
		}
	}
	// Without the key, the next run writes its report anew.
	_ = os.WriteFile(filepath.Join(result.Dir, reportKeyFile), []byte(key), 0o666)
	return path, nil
}

func nothingComputed(result *pipeline.Result) bool {
	for _, n := range result.Nodes {
		if n.Ended.Cache != "hit" {
			return false
		}
	}
	return true
}

// reportKey is the digest of all that a report shows of a run's results, and
// of the program that shows it.
func reportKey(graph *pipeline.Graph, result *pipeline.Result) string {
	facts := cache.Preimage{{Name: "pipeline", Value: graph.Name}, {Name: "file", Value: graph.File}, {Name: "program", Value: build()}}
	for _, n := range result.Nodes {
		facts = append(facts, cache.Field{Name: n.Node.Name, Value: n.Node.Recipe.Digest()})
		if n.Overview != nil {
			facts = append(facts, cache.Field{Name: "overview", Value: strings.Join(n.Overview.Notes, "\n")})
		}
		for _, port := range slices.Sorted(maps.Keys(n.Outputs)) {
			facts = append(facts, cache.Field{Name: port, Value: n.Outputs[port].Digest()})
		}
	}
	return facts.Digest()
}

// writeFile writes a file that is there whole or not at all.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if onPath := new(fs.PathError); errors.As(err, &onPath) {
		return fmt.Errorf("write %s: its folder %s: %w", path, filepath.Dir(path), onPath.Err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	buffered := bufio.NewWriter(f)
	if err = write(buffered); err == nil {
		err = buffered.Flush()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
