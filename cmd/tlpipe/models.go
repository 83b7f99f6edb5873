package main

import (
	"github.com/spf13/cobra"
)

func (p *program) modelsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "List, download and check pre-trained backbones; keep versions of trained models",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.modelsListCommand(), p.modelsShowCommand(), p.modelsPullCommand(), p.modelsCheckCommand(), p.modelsRankCommand(), p.modelsFilesCommand(), p.modelsRemoveCommand(),
		p.modelsAddCommand(), p.modelsHistoryCommand(), p.modelsTagCommand(), p.modelsRollbackCommand(), p.modelsDiffCommand(), p.modelsCardCommand())
	return c
}
