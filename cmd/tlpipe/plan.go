package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/machine"
	"github.com/tlpipe/tlpipe/pipeline"
)

func (p *program) planCommand() *cobra.Command {
	var (
		file     pipelineFlags
		chosen   selectionFlags
		cached   cacheFlag
		asJSON   bool
		exitCode bool
		memory   memoryFlag
	)
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what a run would compute, and why",
		Args:  one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			graph, err := p.load(args[0], file)
			if err == nil && chosen.all() {
				err = graph.Probe()
			}
			if err != nil {
				return err
			}
			runner := &pipeline.Runner{Memory: int64(memory), Machine: machine.Memory(), Selection: chosen.selection()}
			if err := runner.Fits(graph); err != nil {
				return err
			}
			store, err := cached.open(c.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			runner.Store = store
			plan, err := runner.Plan(c.Context(), graph)
			if err != nil {
				return err
			}
			if err := p.printPlan(plan, asJSON); err != nil {
				return err
			}
			if exitCode && plan.Pending() {
				return &exitError{code: exitPending}
			}
			return nil
		},
	}
	file.add(c)
	chosen.add(c)
	c.ValidArgsFunction = completeFile
	p.completeStages(c)
	cached.add(c)
	memory.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 3 if there is anything to compute")
	return c
}

// shownReasons is how many reasons a line of a plan tells; --json has them all.
const shownReasons = 8

// printPlan prints a plan as a table, or as JSON.
func (p *program) printPlan(plan pipeline.Plan, asJSON bool) error {
	if asJSON {
		return p.out.JSON().Encode(plan.Nodes)
	}
	p.printOverviews(plan)
	table := console.NewTable("STAGE", "USES", "STATE", ">COMPUTE", "BECAUSE").Fit(p.out.File)
	pending := 0
	var nodes []*pipeline.Node
	var failing []pipeline.PlanNode
	for _, n := range plan.Nodes {
		if n.State != pipeline.Cached {
			pending++
			nodes = append(nodes, n.Node)
		}
		because := strings.Join(n.Because[:min(len(n.Because), shownReasons)], "; ")
		if more := len(n.Because) - shownReasons; more > 0 {
			because += fmt.Sprintf("; and %d more", more)
		}
		if len(n.Rejects) > 0 {
			because = strings.Trim(because+"; "+console.Of(int64(len(n.Rejects)), "file")+" rejected", "; ")
		}
		if n.Fails != "" {
			failing = append(failing, n)
		}
		table.Row(n.Stage, n.Uses, string(n.State), planChunks(n), console.ShortDigests(because))
	}
	if err := table.Write(p.out, ""); err != nil {
		return err
	}
	for _, n := range failing {
		lines := strings.Split(n.Fails, "\n") // a place in the file takes several
		for i, line := range lines {
			lines[i] = console.Line(line)
		}
		if _, err := fmt.Fprintf(p.out, "\nStage %s will fail: %s\n", console.Line(n.Stage), strings.Join(lines, "\n")); err != nil {
			return err
		}
	}
	if pending == 0 && len(failing) > 0 {
		return nil
	}
	if pending == 0 {
		_, err := fmt.Fprintln(p.out, "\nNothing to compute.")
		return err
	}
	_, err := fmt.Fprintf(p.out, "\n%s of %d to compute.\n", console.Of(int64(pending), "stage"), len(plan.Nodes))
	p.printNotes(nodes)
	return err
}

// printOverviews tells on standard error what the sources found.
func (p *program) printOverviews(plan pipeline.Plan) {
	lines := console.NewLines(p.err)
	for _, n := range plan.Nodes {
		lines.Observe(pipeline.SourceListed{Stage: n.Stage, Overview: n.Overview})
	}
}

// planChunks says how many chunks are to be computed, as far as that is known.
func planChunks(n pipeline.PlanNode) string {
	if n.Chunks == 0 {
		return "?"
	}
	text := fmt.Sprintf("%d/%d", n.Pending, n.Chunks)
	if n.Parts > 0 {
		text += fmt.Sprintf(" (parts %d/%d)", n.Parts-n.PartsCached, n.Parts)
	}
	return text
}
