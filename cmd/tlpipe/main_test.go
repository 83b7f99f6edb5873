package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tlpipe/tlpipe/internal/console"
)

// TestMain makes the commands for the scripts: tlpipe itself, toypipe, which is
// tlpipe with the toy stages, and toypipe-impatient, which waits less for them.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tlpipe":  main,
		"exectoy": execToy,
		"toypipe-impatient": func() {
			p := &program{kinds: toys(), out: console.NewOutput(os.Stdout), err: console.NewOutput(os.Stderr), patience: 200 * time.Millisecond}
			os.Exit(p.run(os.Args[1:]))
		},
		"toypipe": func() {
			p := &program{kinds: toys(), out: console.NewOutput(os.Stdout), err: console.NewOutput(os.Stderr)}
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
			env.Setenv("COLUMNS", "10000")                  // lines stay whole
			internal, err := filepath.Abs("../../internal") // for test data of packages
			env.Setenv("INTERNAL", internal)
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, negated bool, args []string){
			"code":     code,
			"pictures": pictures,
			"texts":    texts,
			"weights":  weights,
			"hub":      hub,
			"encoder":  encoderFolder,
		},
	})
}

// texts NAME N [mail|mail.txt] writes N texts of each of two classes: a table if the name ends in .csv, else a folder, of mails if so
// said, whose names have no ending or .txt.
func texts(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: texts NAME N [mail|mail.txt]")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	mail, to := len(args) > 2, ts.MkAbs(args[0])
	table := "text,label\n"
	words := map[string][]string{"good": {"great", "film", "happy", "fine", "story"}, "bad": {"dull", "waste", "money", "poor", "noise"}}
	random := rand.New(rand.NewPCG(3, 4))
	for _, class := range []string{"good", "bad"} {
		for i := range count {
			text := "number " + strconv.Itoa(i)
			for range 5 + random.IntN(9) {
				text += " the " + words[class][random.IntN(5)]
			}
			if filepath.Ext(to) == ".csv" {
				table += text + "," + class + "\n"
				continue
			}
			name := fmt.Sprintf("%d.txt", i)
			if mail {
				name, text = fmt.Sprintf("%05d.7c53336b%s", i, filepath.Ext(args[2])), "From: a@example.org\nTo: b@example.org\nSubject: a mail\n\n"+text+"\n"
			}
			ts.Check(os.MkdirAll(filepath.Join(to, class), 0o777))
			ts.Check(os.WriteFile(filepath.Join(to, class, name), []byte(text), 0o666))
		}
	}
	if filepath.Ext(to) == ".csv" {
		ts.Check(os.WriteFile(to, []byte(table), 0o666))
	}
}

// encoderFolder, as encoder DIR, copies a tiny text encoder, with its tokenizer, to a folder.
func encoderFolder(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 1 {
		ts.Fatalf("usage: encoder DIR")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[0]), os.DirFS(filepath.Join(ts.Getenv("INTERNAL"), "encoder", "testdata", "bert"))))
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

// pictures DIR fills a folder with small pictures of three classes by colour,
// and two files that are no pictures.
func pictures(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 1 {
		ts.Fatalf("usage: pictures DIR")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for channel, class := range []string{"red", "green", "blue"} {
		dir := filepath.Join(ts.MkAbs(args[0]), class)
		ts.Check(os.MkdirAll(dir, 0o777))
		for i := range 30 {
			m := image.NewNRGBA(image.Rect(0, 0, 40+i, 50))
			for j := range m.Pix {
				m.Pix[j] = uint8(random.IntN(120))
				switch j % 4 {
				case channel:
					m.Pix[j] += 130
				case 3:
					m.Pix[j] = 255
				}
			}
			var b bytes.Buffer
			ts.Check(png.Encode(&b, m))
			ts.Check(os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".png"), b.Bytes(), 0o666))
			if class == "red" && i == 0 {
				ts.Check(os.WriteFile(filepath.Join(dir, "broken.png"), b.Bytes()[:b.Len()/2], 0o666))
				ts.Check(os.WriteFile(filepath.Join(dir, "text.jpg"), []byte("no picture"), 0o666))
			}
		}
	}
}
