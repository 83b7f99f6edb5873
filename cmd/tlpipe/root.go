package main

import (
	"github.com/spf13/cobra"
)

// newRoot makes the command line. parsed becomes true once the arguments are
// understood and a command begins.
func (p *program) newRoot() (root *cobra.Command, parsed *bool) {
	parsed = new(bool)
	root = &cobra.Command{
		Use:   "tlpipe",
		Short: "Transfer learning as a declared pipeline",
		Long: `tlpipe runs transfer-learning pipelines declared in YAML. Every stage is cached
on its own: run a pipeline, edit a line, run it again, and only what that line
affects is computed.`,
		Example: `  tlpipe init flowers           # a pipeline to start from
  tlpipe run flowers/pipeline.yaml
  tlpipe plan flowers/pipeline.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			*parsed = true
		},
	}
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.AddCommand(
		p.runCommand(),
		p.planCommand(),
		p.validateCommand(),
		p.graphCommand(),
		p.showCommand(),
		p.exportCommand(),
		p.reportCommand(),
		p.runsCommand(),
		p.predictCommand(),
		p.searchCommand(),
		p.lrFindCommand(),
		p.stagesCommand(),
		p.schemaCommand(),
		p.modelsCommand(),
		p.cacheCommand(),
		p.benchCommand(),
		p.initCommand(),
		p.versionCommand(),
	)
	return root, parsed
}
