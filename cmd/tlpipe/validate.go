package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
)

func (p *program) validateCommand() *cobra.Command {
	var flags pipelineFlags
	c := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a pipeline and report every mistake",
		Args:  one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			graph, err := p.load(args[0], flags)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "%s: valid, %s\n", args[0], console.Of(int64(len(graph.Nodes)), "stage"))
			return nil
		},
	}
	flags.add(c)
	return c
}
