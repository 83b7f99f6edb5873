package program

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// The test is its own program, if the environment says so.
func TestMain(m *testing.M) {
	if how := os.Getenv("PROGRAM_TEST"); how != "" {
		answerAs(how)
		return
	}
	os.Exit(m.Run())
}

// answerAs answers each question with itself, or does something else.
func answerAs(how string) {
	in := bufio.NewReader(os.Stdin)
	for n := 1; ; n++ {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			break
		}
		r, err := ipc.NewReader(in)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stderr, "question %d\n", n)
		switch how {
		case "crash":
			os.Exit(3)
		case "hang":
			time.Sleep(time.Hour)
		case "text":
			fmt.Println("hello there")
		case "nothing":
			os.Exit(0)
		case "legacy": // the length of a message, as versions of Arrow before 0.15 wrote it, of 2 GB
			os.Stdout.Write([]byte{0xFF, 0xFF, 0xFF, 0x7F})
		case "long":
			os.Stdout.Write([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F})
		case "garbage":
			os.Stdout.Write(append([]byte{0xFF, 0xFF, 0xFF, 0xFF, 64, 0, 0, 0}, bytes.Repeat([]byte{0xEE}, 64)...))
		}
		w := ipc.NewWriter(os.Stdout, ipc.WithSchema(r.Schema()))
		for r.Next() {
			if err := w.Write(r.Record()); err != nil {
				panic(err)
			}
			if how == "half" {
				os.Exit(0)
			}
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		if how == "more" {
			fmt.Println("done")
		}
	}
	switch how {
	case "last words":
		os.Exit(9)
	case "lingers":
		time.Sleep(time.Hour)
	}
}

func command(t *testing.T, how string) Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{Args: []string{self}, Dir: t.TempDir(), Environment: []string{"PROGRAM_TEST=" + how}}
}

func table(values ...int64) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(values, nil)
	return b.NewRecord()
}

func ask(t *testing.T, p *Process, rec arrow.Record) ([]int64, error) {
	t.Helper()
	var got []int64
	question := iter.Seq2[arrow.Record, error](func(yield func(arrow.Record, error) bool) { yield(rec, nil) })
	err := p.Answer(t.Context(), rec.Schema(), question, func(rec arrow.Record) error {
		got = append(got, rec.Column(0).(*array.Int64).Int64Values()...)
		return nil
	})
	return got, err
}

// A process answers one question after the other, empty and large ones too, and ends with its input.
func TestAnswers(t *testing.T) {
	p, err := command(t, "answers").Start()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 0, 3, 1 << 18, 2} {
		got, err := ask(t, p, table(make([]int64, n)...))
		if err != nil || len(got) != n {
			t.Fatalf("a question of %d rows: %d rows, %v", n, len(got), err)
		}
	}
	if err := p.End(10 * time.Second); err != nil {
		t.Error(err)
	}
}

func TestFailures(t *testing.T) {
	for how, want := range map[string]string{
		"crash":   "ended with exit status 3 before its answer was complete; the last lines of its standard error:\n  question 1",
		"nothing": "ended without an error before its answer was complete",
		"half":    "ended without an error before its answer was complete",
		"hang":    "did nothing for 2s",
		"text":    `wrote something else than Arrow to its standard output, which carries its answers: "hello there"; print to standard error`,
		"legacy":  "something else than Arrow",
		"long":    "wrote an Arrow message with metadata of 2147483647 bytes",
		"garbage": "wrote an Arrow message that cannot be read",
	} {
		c := command(t, how)
		c.Silence = time.Minute
		if how == "hang" {
			c.Silence = 2 * time.Second
		}
		p, err := c.Start()
		if err != nil {
			t.Fatal(err)
		}
		_, err = ask(t, p, table(1, 2))
		if failure := new(Failure); !errors.As(err, &failure) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", how, err)
		}
		_ = p.End(0)
		if p.cmd.ProcessState == nil {
			t.Errorf("%s: the process has not ended", how)
		}
	}
	for how, want := range map[string]string{
		"last words": "ended with exit status 9",
		"lingers":    "did not end within 200ms after its input had ended",
		"more":       `wrote more to its standard output than its answers: "done\n"`,
	} {
		p, err := command(t, how).Start()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t, p, table(1)); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		patience := time.Minute
		if how == "lingers" {
			patience = 200 * time.Millisecond
		}
		if err := p.End(patience); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", how, err)
		}
	}
	if _, err := (Command{Args: []string{"./nosuch"}, Dir: t.TempDir()}).Start(); err == nil || !strings.Contains(err.Error(), "start ./nosuch") {
		t.Errorf("no such program: %v", err)
	}
}

// A question that cannot be read is no failure of the process, and an interrupted one ends at once.
func TestQuestionsThatFail(t *testing.T) {
	rec := table(1)
	p, err := command(t, "answers").Start()
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("damaged")
	err = p.Answer(t.Context(), rec.Schema(), func(yield func(arrow.Record, error) bool) { yield(nil, broken) }, func(arrow.Record) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("a damaged question: %v", err)
	}
	_ = p.End(0)
	if p, err = command(t, "hang").Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	err = p.Answer(ctx, rec.Schema(), func(yield func(arrow.Record, error) bool) { yield(rec, nil) }, func(arrow.Record) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	_ = p.End(0)
}

// What a program started ends with it.
func TestGrandchildren(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	dir := t.TempDir()
	p, err := Command{Args: []string{"sh", "-c", "sh -c 'echo $$ >pid; exec sleep 1000' & while ! [ -s pid ]; do sleep 0.05; done; exit 4"}, Dir: dir}.Start()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, p, table(1)); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("%v", err)
	}
	_ = p.End(0)
	pid, err := os.ReadFile(dir + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // until it is reaped
		if exec.Command("sh", "-c", "kill -0 "+string(pid)).Run() != nil {
			return
		}
		state, _ := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if bytes.Contains(state, []byte(") Z ")) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("what the program started is still at work")
}

func TestTail(t *testing.T) {
	var x tail
	for i := range 5000 {
		fmt.Fprintf(&x, "line %d\n\n", i)
	}
	fmt.Fprint(&x, "no end")
	lines := x.lines()
	if len(lines) != tailLines || lines[len(lines)-1] != "no end" || lines[0] != "line 4989" {
		t.Errorf("%q", lines)
	}
}

// Whatever a program writes is an answer or an error, and takes no more memory than it is long.
func FuzzFrames(f *testing.F) {
	var stream bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(table(1).Schema()))
	if err := errors.Join(w.Write(table(1, 2, 3)), w.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(append(stream.Bytes(), stream.Bytes()...))
	f.Add([]byte("hello\n"))
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		x := &frames{in: in}
		for range 4 {
			x.begin(func() {})
			passed, err := io.ReadAll(io.LimitReader(x, int64(len(data))+1))
			if len(passed) > len(data) {
				t.Fatalf("%d bytes of %d", len(passed), len(data))
			}
			if err != nil {
				return
			}
		}
	})
}
