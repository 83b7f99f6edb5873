package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/machine"
	"github.com/tlpipe/tlpipe/pipeline"
)

// printNotes tells on standard error what stages would have a user know; what several instances of a
// stage have to tell alike, once.
func (p *program) printNotes(nodes []*pipeline.Node) {
	told := map[string]bool{}
	for _, n := range nodes {
		for _, note := range n.Notes() {
			line := fmt.Sprintf("note: %s: %s", console.Line(n.Declared.Name), console.Line(note))
			if !told[line] {
				told[line] = true
				fmt.Fprintln(p.err, line)
			}
		}
	}
}

func (p *program) validateCommand() *cobra.Command {
	var (
		flags  pipelineFlags
		memory memoryFlag
	)
	c := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a pipeline and report every mistake",
		Long: `Check a pipeline and report every mistake, with its line: keys, values, how
stages fit together, whether the files and folders of its sources are there, and
whether the machine has the memory that stages need at least.`,
		Args: one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			graph, err := p.load(args[0], flags)
			if err == nil {
				err = errors.Join(graph.Probe(), (&pipeline.Runner{Memory: int64(memory), Machine: machine.Memory()}).Fits(graph))
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "%s: valid, %s\n", args[0], console.Of(int64(len(graph.Nodes)), "stage"))
			p.printNotes(graph.Nodes)
			return nil
		},
	}
	flags.add(c)
	memory.add(c)
	return c
}
