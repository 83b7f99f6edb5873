package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
)

// Command is a program and how it is run.
type Command struct {
	Args        []string // the program, by name, or by a path if there is a slash in it, and its arguments
	Dir         string   // where it runs; relative paths start there
	Environment []string // NAME=value, beside those of this process
	// Silence is how long nothing may be read or written before the process counts as hung.
	Silence time.Duration
}

func (c Command) String() string { return strings.Join(c.Args, " ") }

// Process is a command at work. It answers one question at a time.
type Process struct {
	command Command
	cmd     *exec.Cmd
	in      *os.File // its standard input
	out     *os.File // its standard output
	answers *frames
	stderr  tail

	exited chan struct{}
	status error // once exited is closed
	ended  sync.Once
	killed atomic.Pointer[string] // why
}

// Start runs the command.
func (c Command) Start() (_ *Process, err error) {
	p := &Process{command: c, cmd: exec.Command(c.Args[0], c.Args[1:]...), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = c.Dir, append(os.Environ(), c.Environment...), &p.stderr
	p.cmd.WaitDelay = time.Second // a grandchild may hold standard error open
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	p.in, p.out, p.answers = in, out, &frames{in: out}
	p.cmd.Stdin, p.cmd.Stdout = theirIn, theirOut
	err = start(p.cmd)
	err = errors.Join(err, theirIn.Close(), theirOut.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c, err), in.Close(), out.Close())
	}
	go func() {
		p.status = p.cmd.Wait()
		if errors.Is(p.status, exec.ErrWaitDelay) {
			p.status = nil // it ended well, and left another that holds its standard error open
		}
		killGroup(p.cmd) // what it started and left, which holds its standard output open
		close(p.exited)
	}()
	return p, nil
}

// Answer asks a question: it sends the records, of one schema, and hands those of the answer to take, which must retain what
// it keeps. After an error the process is of no use any more. Errors of the process are a [*Failure].
func (p *Process) Answer(ctx context.Context, schema *arrow.Schema, question iter.Seq2[arrow.Record, error], take func(arrow.Record) error) (err error) {
	defer func() {
		if x := recover(); x != nil { // the Arrow library trusts what it reads
			err = p.failure(fmt.Sprintf("wrote what is not Arrow: %v", x))
		}
		if err != nil {
			p.kill("")
		}
	}()
	stop := context.AfterFunc(ctx, func() { p.kill("") })
	defer stop()
	var watch *time.Timer
	if p.command.Silence > 0 {
		watch = time.AfterFunc(p.command.Silence, func() {
			p.kill(fmt.Sprintf("did nothing for %s", p.command.Silence))
		})
		defer watch.Stop()
	}
	alive := func() {
		if watch != nil {
			watch.Reset(p.command.Silence)
		}
	}
	p.answers.begin(alive)
	sent := make(chan error, 1)
	go func() {
		err := p.send(schema, question, alive)
		if broken := new(questionError); errors.As(err, &broken) {
			p.kill("") // it would wait for the rest
		}
		sent <- err
	}()
	taken := p.receive(take)
	if taken != nil && ctx.Err() == nil {
		p.kill("") // so that sending ends
	}
	asked := <-sent
	switch broken := new(questionError); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(asked, &broken):
		return broken.error
	case taken != nil:
		return taken
	case asked != nil:
		return p.failure(fmt.Sprintf("ended its answer before it had read all rows: %v", asked))
	}
	return nil
}

// questionError is an error of what is asked, not of the process.
type questionError struct{ error }

func (p *Process) send(schema *arrow.Schema, question iter.Seq2[arrow.Record, error], alive func()) error {
	w := ipc.NewWriter(watched{p.in, alive}, ipc.WithSchema(schema))
	for rec, err := range question {
		if err != nil {
			return &questionError{err}
		}
		if err := w.Write(rec); err != nil {
			return err
		}
	}
	return w.Close()
}

func (p *Process) receive(take func(arrow.Record) error) error {
	r, err := ipc.NewReader(p.answers)
	if err != nil {
		return p.unreadable(err)
	}
	defer r.Release()
	for r.Next() {
		if err := take(r.Record()); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return p.unreadable(err)
	}
	if !p.answers.ended {
		return p.unreadable(io.ErrUnexpectedEOF)
	}
	return nil
}

// unreadable is the failure of a process whose answer cannot be read.
func (p *Process) unreadable(err error) error {
	if why := p.killed.Load(); why != nil && *why != "" {
		return p.failure(*why)
	}
	if p.answers.problem != "" {
		return p.failure(p.answers.problem)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || p.answers.over {
		select {
		case <-p.exited:
		case <-time.After(time.Second):
			return p.failure("closed its standard output before its answer was complete")
		}
		how := "ended without an error"
		if p.status != nil {
			how = "ended with " + p.status.Error()
		}
		return p.failure(how + " before its answer was complete")
	}
	return p.failure(fmt.Sprintf("wrote what is not Arrow: %v", err))
}

// Failed is the failure of a process whose answer is not what it should be.
func (p *Process) Failed(what string) error { return p.failure(what) }

func (p *Process) failure(what string) error {
	select { // what it still has to say
	case <-p.exited:
	case <-time.After(50 * time.Millisecond):
	}
	return &Failure{Command: p.command.String(), What: what, Stderr: p.stderr.lines()}
}

// End closes the process' input and waits until it has ended; it is killed if that takes longer than patience. The error is
// a [*Failure].
func (p *Process) End(patience time.Duration) error {
	var err error
	p.ended.Do(func() {
		_ = p.in.Close()
		rest := make(chan string, 1)
		go func() { rest <- p.answers.rest() }()
		select {
		case <-p.exited:
		case <-time.After(patience):
			p.kill(fmt.Sprintf("did not end within %s after its input had ended", patience))
			<-p.exited
		}
		var more string
		select {
		case more = <-rest:
		case <-time.After(time.Second):
		}
		_ = p.out.Close()
		switch why := p.killed.Load(); {
		case why != nil && *why != "":
			err = p.failure(*why)
		case why != nil:
		case p.status != nil:
			err = p.failure("ended with " + p.status.Error())
		case more != "":
			err = p.failure("wrote more to its standard output than its answers: " + more)
		}
	})
	return err
}

// kill ends the process and all that it started. The first reason given counts.
func (p *Process) kill(why string) {
	p.killed.CompareAndSwap(nil, &why)
	killGroup(p.cmd)
	// A grandchild that left the group may hold the pipes open.
	_ = p.in.Close()
	go func() {
		<-p.exited
		time.Sleep(200 * time.Millisecond)
		_ = p.out.Close()
	}()
}

// Failure is what a process did in place of answering.
type Failure struct {
	Command string
	What    string   // it did
	Stderr  []string // the last lines of its standard error
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("the program %q %s", f.Command, f.What)
	if len(f.Stderr) == 0 {
		return text + "; it wrote nothing to standard error"
	}
	return text + "; the last lines of its standard error:\n  " + strings.Join(f.Stderr, "\n  ")
}

// watched tells whenever something was written.
type watched struct {
	out   io.Writer
	alive func()
}

func (w watched) Write(b []byte) (int, error) {
	done := 0
	for len(b) > 0 {
		n, err := w.out.Write(b[:min(len(b), 1<<20)])
		done += n
		if err != nil {
			return done, err
		}
		w.alive()
		b = b[n:]
	}
	return done, nil
}
