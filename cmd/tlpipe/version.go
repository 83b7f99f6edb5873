package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			instructions, err := kernel.InstructionSet()
			if err != nil {
				fmt.Fprintln(p.err, "tlpipe:", err)
			}
			_, err = fmt.Fprintf(p.out, "tlpipe %s, %s %s/%s, %s kernels\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, instructions)
			return err
		},
	}
}

// commit is set by builds that have no version control at hand: go build -ldflags "-X main.commit=…".
var commit string

// version names the build: a release, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, changed := commit[:min(12, len(commit))], ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	if commit == "" {
		return "devel"
	}
	return commit + changed
}

// build tells builds of one version apart, as they follow each other while the
// program is worked on.
func build() string {
	path, err := os.Executable()
	if err != nil {
		return version()
	}
	info, err := os.Stat(path)
	if err != nil {
		return version()
	}
	return fmt.Sprintf("%s %d %d", version(), info.Size(), info.ModTime().UnixNano())
}
