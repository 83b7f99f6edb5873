package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/console"
)

// execToy is a program for the stage exec: it answers the numbers of the toy stages with their squares, or does what the
// parameter `how` says.
func execToy() {
	var parameters struct{ How string }
	if err := json.Unmarshal([]byte(os.Getenv("TLPIPE_PARAMETERS")), &parameters); err != nil {
		log.Fatal(err)
	}
	how := parameters.How
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return
		}
		question, err := ipc.NewReader(in)
		if err != nil {
			log.Fatal(err)
		}
		if err := execToyAnswer(question, how); err != nil {
			log.Fatal(err)
		}
	}
}

func execToyAnswer(question *ipc.Reader, how string) error {
	fields := []arrow.Field{{Name: "square", Type: arrow.PrimitiveTypes.Int64}, {Name: "tlpipe.reject", Type: arrow.BinaryTypes.String, Nullable: true}}
	switch how {
	case "type":
		fields[0].Type = arrow.PrimitiveTypes.Float64
	case "twice":
		fields = append(fields, arrow.Field{Name: "tlpipe.row", Type: arrow.PrimitiveTypes.Int32})
	case "table":
		fields = []arrow.Field{{Name: "sum", Type: arrow.PrimitiveTypes.Int64}}
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	row, sum := int32(0), int64(0)
	for question.Next() {
		for _, n := range question.Record().Column(question.Schema().FieldIndices("n")[0]).(*array.Int64).Int64Values() {
			row++
			if sum += n; how == "table" {
				continue
			}
			if n == 13 {
				switch how {
				case "crash", "crash apart":
					return errors.New("13 is too much")
				case "hang":
					time.Sleep(time.Hour)
				case "print":
					fmt.Println("thirteen")
				}
			}
			reject := how == "reject" && n%10 == 0
			for range map[bool]int{true: 2, false: 1}[how == "twice"] {
				if how == "type" {
					b.Field(0).(*array.Float64Builder).Append(float64(n * n))
				} else {
					b.Field(0).(*array.Int64Builder).Append(n * n)
				}
				if reject {
					b.Field(1).(*array.StringBuilder).Append("it ends in 0")
				} else {
					b.Field(1).AppendNull()
				}
				if how == "twice" {
					b.Field(2).(*array.Int32Builder).Append(row - 1)
				}
			}
		}
	}
	if how == "table" {
		b.Field(0).(*array.Int64Builder).Append(sum)
	}
	w := ipc.NewWriter(os.Stdout, ipc.WithSchema(schema))
	return errors.Join(question.Err(), w.Write(b.NewRecord()), w.Close())
}

// The examples of docs/exec.md are those that are tested.
func TestExecDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/exec.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sharpness.py", "gosharp/main.go"} {
		text, err := os.ReadFile(filepath.Join(execExamples, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(docs), string(text)) {
			t.Errorf("docs/exec.md does not have %s as it is tested", name)
		}
	}
}

const execExamples = "../../stages/preprocess/exec/testdata"

// Both examples run, where there is something to run them, and agree.
func TestExecExamples(t *testing.T) {
	dir := t.TempDir()
	pictures := filepath.Join(dir, "pictures")
	if err := os.MkdirAll(pictures, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		writeTestPicture(t, filepath.Join(pictures, fmt.Sprintf("%d.png", i)), i)
	}
	programs := map[string]string{}
	if _, err := exec.LookPath("go"); err == nil {
		program := filepath.Join(dir, "gosharp")
		if out, err := exec.Command("go", "build", "-o", program, "./"+filepath.Join(execExamples, "gosharp")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		programs["go"] = fmt.Sprintf("[%q]", program)
	}
	for _, python := range []string{os.Getenv("TLPIPE_PYTHON"), "python3"} {
		if python != "" && exec.Command(python, "-c", "import pyarrow").Run() == nil {
			script, err := filepath.Abs(filepath.Join(execExamples, "sharpness.py"))
			if err != nil {
				t.Fatal(err)
			}
			programs["python"] = fmt.Sprintf("[%q, %q]", python, script)
			break
		}
	}
	if len(programs) == 0 {
		t.Skip("there are neither go nor python3 with pyarrow")
	}
	results := map[string]string{}
	for name, command := range programs {
		t.Logf("example in %s", name)
		file := filepath.Join(dir, name+".yaml")
		text := "name: " + name + `
stages:
  images: {uses: preprocess, with: {source: {folder: pictures}, size: 8, resize: squash}}
  sharpness: {uses: exec, from: images, with: {command: ` + command + `, reads: [image], makes: {sharpness: float32}, parameters: {weight: 0.5}}}
`
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		cache := filepath.Join(dir, "cache")
		rejects := 0.0
		for _, line := range runJSON(t, file, "--cache", cache) {
			if line["stage"] == "sharpness" && line["event"] == "stage" {
				rejects = line["rejects"].(float64)
			}
		}
		if rejects != 1 {
			t.Errorf("%s: %v rows rejected, want the one of one colour", name, rejects)
		}
		csv := filepath.Join(dir, name+".csv")
		results[name] = exported(t, file+":sharpness", cache, csv)
	}
	for name, result := range results {
		if result != results["go"] && results["go"] != "" || !strings.Contains(result, "sharpness") {
			t.Errorf("%s gives\n%s\nand go\n%s", name, result, results["go"])
		}
	}
}

// exported is an artifact as CSV.
func exported(t *testing.T, reference, cache, path string) string {
	t.Helper()
	quiet, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	p := &program{kinds: kinds(), out: console.NewOutput(quiet), err: console.NewOutput(quiet)}
	if code := p.run([]string{"show", reference, "--cache", cache, "--export", path}); code != exitDone {
		t.Fatalf("exit code %d", code)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeTestPicture writes a picture with stripes so wide, or of one colour if that is 0.
func writeTestPicture(t *testing.T, path string, stripes int) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	for i := range 16 * 16 {
		level := uint8(90)
		if stripes > 0 && i%16/stripes%2 == 0 {
			level = 200
		}
		m.Set(i%16, i/16, color.NRGBA{level, level, level, 255})
	}
	var b bytes.Buffer
	if err := errors.Join(png.Encode(&b, m), os.WriteFile(path, b.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
}
