package console

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/vbauerster/mpb/v8"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

func same(t *testing.T, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", math.MaxInt64: "9,223,372,036,854,775,807"} {
		same(t, Count(n), want)
	}
	same(t, Of(1, "row"), "1 row")
	same(t, Of(2000, "row"), "2,000 rows")
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9940: "9.9 kB", 9960: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		12_300_000: "12 MB", 5_000_000_000: "5.0 GB", math.MaxInt64: "9.2 EB",
	} {
		same(t, Bytes(n), want)
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "500": 500, "500B": 500, "1k": 1000, "1kB": 1000, "1.5 GB": 1_500_000_000, "2GiB": 2 << 30, "3 MiB": 3 << 20, "20G": 20e9, "1Ti": 1 << 40,
	} {
		got, err := ParseBytes(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GB", "-1", "1x", "1kk", "1ib", "1e30GB", "NaN", "ten"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	f.Add("1.5 GiB")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := ParseBytes(text); err == nil && n < 0 {
			t.Errorf("%q is taken for %d", text, n)
		}
	})
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{
		0: "0.0s", 4.24: "4.2s", 9.94: "9.9s", 9.96: "10s", 59.4: "59s", 59.6: "1m00s", 185: "3m05s", 3569: "59m29s", 3571: "1h00m", 7620: "2h07m",
		math.Inf(1): "-", -1: "-",
	} {
		same(t, Seconds(s), want)
	}
}

func TestTable(t *testing.T) {
	table := NewTable("NAME", ">ROWS", "WHAT")
	table.Row("猫", "1,000", "two cells wide")
	table.Row("dog\x1b[31m", "5", "")
	table.Row("line\nbreak", "", "x", "dropped")
	var b bytes.Buffer
	if err := table.Write(&b, "  "); err != nil {
		t.Fatal(err)
	}
	same(t, b.String(), strings.Join([]string{
		"  NAME         ROWS  WHAT",
		"  猫          1,000  two cells wide",
		"  dog\uFFFD[31m        5",
		"  line break         x",
		"",
	}, "\n"))
}

func TestTableWithLongCells(t *testing.T) {
	table := NewTable("A", "WHAT")
	table.width = 30
	table.Row("one", "a few words that do not fit into a line")
	var b strings.Builder
	if err := table.Write(&b, ""); err != nil {
		t.Fatal(err)
	}
	same(t, b.String(), "A    WHAT\none  a few words that do not\n     fit into a line\n")

	// Where there is too little room beside the other columns, it stands below them; where there is none, nothing helps.
	b.Reset()
	table = NewTable("A NAME THAT IS LONG", "WHAT")
	table.width = 30
	table.Row("one", "a few words that do not fit into a line")
	table.Row("two", "a few words that do")
	if err := table.Write(&b, ""); err != nil {
		t.Fatal(err)
	}
	same(t, b.String(), "A NAME THAT IS LONG  WHAT\none\n    a few words that do not\n    fit into a line\ntwo\n    a few words that do\n")
	b.Reset()
	table.width = 20
	if err := table.Write(&b, ""); err != nil {
		t.Fatal(err)
	}
	same(t, b.String(), "A NAME THAT IS LONG  WHAT\none                  a few words that do not fit into a line\ntwo                  a few words that do\n")
}

func TestTableFitsWhatIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for columns, want := range map[string]int{"": 80, "120": 120, "0": 80, "x": 80} {
		t.Setenv("COLUMNS", columns)
		if got := NewTable("A").Fit(f).width; got != want {
			t.Errorf("COLUMNS=%q: %d letters, want %d", columns, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	same(t, Wrap("one two three\nfour\n", 8), "one two\nthree\nfour")
	same(t, Wrap("muchtoolong x", 4), "muchtoolong\nx")
}

func TestCell(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "real", Type: arrow.PrimitiveTypes.Float64},
		{Name: "raw", Type: arrow.BinaryTypes.Binary},
		record.TensorField("feature", arrow.FixedWidthTypes.Float16, 6),
		{Name: "shape", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"a\nb", ""}, []bool{true, false})
	b.Field(1).(*array.Float64Builder).AppendValues([]float64{0.123456789, 42}, nil)
	b.Field(2).(*array.BinaryBuilder).AppendValues([][]byte{make([]byte, 2000), nil}, nil)
	for range 2 {
		list := b.Field(3).(*array.FixedSizeListBuilder)
		list.Append(true)
		for i := range 6 {
			list.ValueBuilder().(*array.Float16Builder).Append(float16.New(float32(i) / 2))
		}
		shape := b.Field(4).(*array.ListBuilder)
		shape.Append(true)
		shape.ValueBuilder().(*array.Int64Builder).AppendValues([]int64{3, 4}, nil)
	}
	rec := b.NewRecord()
	for i, want := range []string{"a b", "0.1235", "2.0 kB", "[0 0.5 1 1.5 …]", "[3 4]"} {
		same(t, Cell(rec.Column(i), 0), want)
	}
	same(t, Cell(rec.Column(0), 1), "-")
	same(t, Cell(rec.Column(1), 1), "42")
	same(t, ColumnType(schema.Field(3)), "tensor of float16 [6]")
	same(t, ColumnType(schema.Field(0)), "utf8")
}

// clock is a time that goes on when it is told.
type clock struct{ at time.Time }

func (c *clock) now() time.Time   { return c.at }
func (c *clock) pass(seconds int) { c.at = c.at.Add(time.Duration(seconds) * time.Second) }
func chunk(stage string, of int) pipeline.ChunkDone {
	return pipeline.ChunkDone{Stage: stage, Rows: 90, Rejects: 10, Seconds: 2, Chunks: of}
}

func TestLines(t *testing.T) {
	var b bytes.Buffer
	c := &clock{at: time.Unix(1000, 0)}
	l := NewLines(&b)
	l.now = c.now
	told := func(want string) {
		t.Helper()
		same(t, b.String(), want)
		b.Reset()
	}
	l.Observe(pipeline.StageStarted{Stage: "a"})
	l.Observe(chunk("a", 10))
	c.pass(2)
	l.Observe(chunk("a", 10))
	told("") // not chatty
	c.pass(30)
	l.Observe(chunk("a", 10))
	// 300 rows since 2 s before the first chunk was done; 34 s for three chunks.
	told("a: 3 of 10 chunks, 8.8 rows/s, 1m19s left\n")
	c.pass(10)
	l.Observe(chunk("a", 10))
	told("")

	// Cached chunks are no work: rates are of what is computed.
	cached := chunk("b", -1)
	cached.Cached, cached.Seconds = true, 0
	l.Observe(cached)
	c.pass(40)
	l.Observe(cached)
	told("b: 2 chunks\n")

	l.Observe(pipeline.StageProgress{Stage: "c", Done: 1, Total: 50, Unit: "epoch"})
	c.pass(31)
	l.Observe(pipeline.StageProgress{Stage: "c", Done: 11, Total: 50, Unit: "epoch"})
	told("c: epoch 11 of 50, 3.1s each, 2m01s left\n")

	// While an epoch is at work, it tells its step; what is left counts the share of the epoch.
	within := pipeline.StageProgress{Stage: "d", Total: 2, Unit: "epoch", Part: 100, Parts: 4000, PartUnit: "step"}
	l.Observe(within)
	c.pass(39)
	within.Part = 2050
	l.Observe(within)
	told("d: epoch 1 of 2, step 2,050 of 4,000, 1m59s left\n")
	c.pass(39)
	l.Observe(pipeline.StageProgress{Stage: "d", Done: 1, Total: 2, Unit: "epoch"})
	told("d: epoch 1 of 2, 1m20s each, 1m20s left\n")

	l.Observe(pipeline.LogLine{Stage: "c", Text: "a line\x07"})
	told("c: a line\uFFFD\n")
	for _, e := range []struct {
		ended pipeline.StageEnded
		want  string
	}{
		{pipeline.StageEnded{Cache: "hit", Chunks: 4, Rows: 1000}, "a: cached, 1,000 rows\n"},
		{pipeline.StageEnded{Cache: "partial", Chunks: 4, ChunksComputed: 1, Rows: 1, Rejects: 2, Seconds: 61}, "a: 1 of 4 chunks computed, 1 row, 2 rejected, 1m01s\n"},
		{pipeline.StageEnded{Cache: "miss", Chunks: 1, ChunksComputed: 1, Rows: 3}, "a: computed, 3 rows, 0.0s\n"},
		{pipeline.StageEnded{Cache: "failed", Error: "it broke\nstack"}, "a: failed: it broke\n"},
		{pipeline.StageEnded{Cache: "skipped"}, "a: not run\n"},
		{pipeline.StageEnded{Cache: "interrupted", Chunks: 3, ChunksComputed: 1}, "a: interrupted, 1 of 3 chunks computed\n"},
		{pipeline.StageEnded{Cache: "interrupted"}, "a: interrupted\n"},
	} {
		e.ended.Stage = "a"
		l.Observe(e.ended)
		told(e.want)
	}
}

func TestTransferInLines(t *testing.T) {
	var b bytes.Buffer
	c := &clock{at: time.Unix(1000, 0)}
	x := newTransfer(&b, "a.pth")
	x.now = c.now
	told := func(want string) {
		t.Helper()
		same(t, b.String(), want)
		b.Reset()
	}
	x.Show(40_000_000, 100_000_000) // of an earlier time
	c.pass(29)
	x.Show(50_000_000, 100_000_000)
	told("")
	c.pass(1)
	x.Show(70_000_000, 100_000_000) // 30 MB in 30 s
	told("a.pth: 70 MB of 100 MB, 1.0 MB/s, 30s left\n")
	c.pass(60) // and nothing comes
	x.Show(71_000_000, 100_000_000)
	b.Reset()
	c.pass(10)
	x.Show(81_000_000, 100_000_000)
	c.pass(20)
	x.Show(100_000_000, 100_000_000)
	told("a.pth: 100 MB of 100 MB, 950 kB/s\n") // of the last 20 s
	x.Say("no byte came for %s", 30*time.Second)
	told("a.pth: no byte came for 30s\n")
	c.pass(10)
	x.Show(1000, -1) // it starts over
	c.pass(30)
	x.Show(31_000, -1)
	told("a.pth: 31 kB, 1.0 kB/s\n")
	x.Close()
	told("")
}

// screen is what a terminal was sent.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestBars(t *testing.T) {
	var sent screen
	refresh := make(chan any)
	b := newBars(&sent, []string{"a", "a long name", "idle"}, mpb.WithManualRefresh(refresh))
	shows := func(want string) {
		t.Helper()
		// The first is being drawn when the second is taken, and drawn when the
		// line is.
		refresh <- time.Now()
		refresh <- time.Now()
		if _, err := b.out.Write(nil); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(sent.String(), want) {
			t.Errorf("the screen shows %q, not %q", sent.String(), want)
		}
	}
	b.Observe(pipeline.StageStarted{Stage: "idle"})
	b.Observe(pipeline.StageStarted{Stage: "a"})
	b.Observe(chunk("a", 4))
	b.Observe(pipeline.StageProgress{Stage: "a long name", Done: 30, Total: 60, Unit: "epoch"})
	shows("a            [=====>                ] 1 of 4 chunks")
	shows("a long name  [==========>           ] epoch 30 of 60")
	shows("epoch 30 of 60\nidle         [                      ] \n")
	b.Observe(pipeline.LogLine{Stage: "a", Text: "a line"})
	shows("a: a line\n")
	b.Observe(pipeline.StageEnded{Stage: "a", Cache: "miss", Chunks: 4, ChunksComputed: 4, Rows: 360})
	shows("a: 4 of 4 chunks computed, 360 rows, 0.0s\n")
	b.Observe(pipeline.StageEnded{Stage: "hidden", Cache: "hit"})
	b.Close()
	if text := sent.String(); strings.Contains(text, "hidden") {
		t.Errorf("the screen shows %q", text)
	}
}

func TestTransferOnATerminal(t *testing.T) {
	var sent screen
	refresh := make(chan any)
	x := newTransfer(nil, "a.pth")
	x.bars = mpb.New(mpb.WithOutput(&sent), mpb.WithManualRefresh(refresh))
	x.out = x.bars
	x.Show(50, 100)
	refresh <- time.Now()
	refresh <- time.Now()
	if _, err := x.bars.Write(nil); err != nil {
		t.Fatal(err)
	}
	if want := "a.pth  [==========>           ] 50 B of 100 B"; !strings.Contains(sent.String(), want) {
		t.Errorf("the screen shows %q, not %q", sent.String(), want)
	}
	x.Say("a line")
	x.Close()
	if !strings.Contains(sent.String(), "a.pth: a line\n") {
		t.Errorf("the screen shows %q", sent.String())
	}
}

func ExampleTable() {
	table := NewTable("STAGE", ">ROWS")
	table.Row("images", Count(12345))
	table.Row("features", Count(7))
	var b strings.Builder
	if err := table.Write(&b, ""); err != nil {
		panic(err)
	}
	fmt.Print(b.String())
	// Output:
	// STAGE       ROWS
	// images    12,345
	// features       7
}

func TestShortDigests(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]string{
		"": "", "a b": "a b", "cafe": "cafe", "weights: " + digest + " → " + digest: "weights: 0123456789ab… → 0123456789ab…",
		digest + "0": digest + "0", digest[1:]: digest[1:], digest + "x": "0123456789ab…x",
	} {
		same(t, ShortDigests(text), want)
	}
}
