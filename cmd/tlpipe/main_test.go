package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes two commands for the scripts: tlpipe itself, and toypipe,
// which is tlpipe with the toy stages.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tlpipe": main,
		"toypipe": func() {
			p := &program{kinds: toys(), out: os.Stdout, err: os.Stderr}
			os.Exit(p.run(os.Args[1:]))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("TLPIPE_UPDATE") != "", // writes what was seen into the scripts
		Setup: func(env *testscript.Env) error {
			env.Setenv("TLPIPE_CACHE", env.WorkDir+"/cache")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, negated bool, args []string){
			"code": code,
		},
	})
}

// code N COMMAND… runs a command and fails unless it exits with N.
func code(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
