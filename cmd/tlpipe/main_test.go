package main

import (
	"os"
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
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TLPIPE_CACHE", env.WorkDir+"/cache")
			return nil
		},
	})
}
