// Command tlpipe runs transfer-learning pipelines declared in YAML.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/machine"
	"github.com/tlpipe/tlpipe/internal/secret"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Exit codes, part of the command line's contract.
const (
	exitDone        = 0
	exitFailed      = 1   // a stage failed
	exitUsage       = 2   // the pipeline or the arguments are wrong
	exitPending     = 3   // plan --exit-code: there is work to do
	exitInterrupted = 130 // Ctrl-C
)

func main() {
	// A reader that has gone is an error of the write, not the end of the run.
	signal.Ignore(syscall.SIGPIPE)
	if err := machine.CheckAddressSpace(); err != nil {
		fmt.Fprintln(os.Stderr, "tlpipe:", err)
		os.Exit(exitUsage)
	}
	p := &program{kinds: kinds(), out: console.NewOutput(os.Stdout), err: console.NewOutput(os.Stderr)}
	os.Exit(p.run(os.Args[1:]))
}

// program is tlpipe with its surroundings.
type program struct {
	kinds    []pipeline.Kind
	out, err *console.Output // results; what people read meanwhile
	patience time.Duration   // with work that is to stop; 0: a minute
}

// run does what the arguments ask for and returns the exit code.
func (p *program) run(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		select {
		case <-signals: // the second Ctrl-C: the cache is whole at any moment
		case <-time.After(cmp.Or(p.patience, time.Minute)):
			fmt.Fprintln(p.err, "tlpipe: interrupted; what was at work did not stop, and was left")
		}
		os.Exit(exitInterrupted)
	}()

	root, parsed := p.newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code, message := p.explain(ctx, err, *parsed)
	if message != "" {
		fmt.Fprintln(p.err, secret.Text(message))
	}
	return code
}

// explain gives the exit code of an error and what to say about it. parsed
// tells whether the arguments had been understood when it came up.
func (p *program) explain(ctx context.Context, err error, parsed bool) (code int, message string) {
	var (
		coded    *exitError
		problems pipeline.Problems
		usage    *pipeline.UsageError
	)
	switch {
	case err == nil:
		return exitDone, ""
	case errors.Is(err, syscall.EPIPE):
		return exitDone, "" // whoever read has read enough
	case errors.As(err, &coded):
		if coded.err == nil {
			return coded.code, ""
		}
		return coded.code, "tlpipe: " + coded.err.Error()
	case errors.As(err, &problems):
		return exitUsage, err.Error()
	case ctx.Err() != nil:
		return exitInterrupted, "tlpipe: interrupted"
	case errors.As(err, &usage) || !parsed:
		return exitUsage, "tlpipe: " + err.Error()
	default:
		return exitFailed, "tlpipe: " + err.Error()
	}
}

// exitError ends the command with a code of its own.
type exitError struct {
	code int
	err  error // nil: everything has been said
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// usage is a mistake in the arguments.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}
