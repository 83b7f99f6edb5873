package console_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/pipeline"
)

func TestOverview(t *testing.T) {
	o := &pipeline.Overview{
		Rows: 1210, Splits: []string{"train", "val", "test"}, Columns: []string{"width"},
		Classes: []pipeline.ClassRows{
			{Name: "", Rows: map[string]int64{"test": 10}},
			{Name: "daisy", Rows: map[string]int64{"train": 1000, "val": 100, "test": 90}},
			{Name: "rose", Rows: map[string]int64{"train": 10}},
			{Name: "tulip", Rows: map[string]int64{}, Empty: true},
		},
		Notes: []string{"folders without pictures: tulip"},
	}
	want := `images: 1,210 rows of 3 classes; further columns, kept beside each row: width
  CLASS       TRAIN  VAL  TEST    ALL
  (no label)      0    0    10     10
  daisy       1,000  100    90  1,190
  rose           10    0     0     10
  tulip           0    0     0      0
  all 3       1,010  100   100  1,210
  - folders without pictures: tulip`
	if got := strings.Join(console.Overview("images", o), "\n"); got != want {
		t.Errorf("overview\n%s\nwant\n%s", got, want)
	}
	// Two instances of a stage list the same: it is told once.
	var out bytes.Buffer
	lines := console.NewLines(&out)
	lines.Observe(pipeline.SourceListed{Stage: "images[a=1]", Overview: o})
	lines.Observe(pipeline.SourceListed{Stage: "images[a=2]", Overview: o})
	if got := out.String(); got != want+"\n" {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

// Rows of several classes are counted for each class, and once in all; numbers where they are known.
func TestOverviewOfTargets(t *testing.T) {
	o := &pipeline.Overview{
		Rows: 120, Splits: []string{"train", "test"}, Classes: []pipeline.ClassRows{{Rows: map[string]int64{"train": 100, "test": 20}}},
		Task:    "multi_label",
		Targets: []pipeline.ClassRows{{Name: "sea", Rows: map[string]int64{"train": 60, "test": 20}}, {Name: "sun", Rows: map[string]int64{"train": 80}}},
	}
	for task, want := range map[string]string{
		"multi_label": "images: 120 rows, with any of 2 classes\n  CLASS  TRAIN  TEST  ALL\n",
		"regression":  "images: 120 rows, with 2 numbers\n  NUMBER  TRAIN  TEST  ALL\n",
	} {
		o.Task = task
		got := strings.Join(console.Overview("images", o), "\n")
		fields := strings.Join(strings.Fields(got), " ")
		if !strings.HasPrefix(got, want) || !strings.HasSuffix(fields, "sea 60 20 80 sun 80 0 80 rows 100 20 120") {
			t.Errorf("overview\n%s", got)
		}
	}
}

// However many classes, and however long their names and the notes, lines fit 80 cells.
func TestOverviewFits(t *testing.T) {
	o := &pipeline.Overview{Splits: []string{"train", "val", "test"}, Notes: []string{strings.Repeat("鳥 and more words ", 20)}}
	for i := range 1000 {
		c := pipeline.ClassRows{Name: fmt.Sprintf("%s %d", strings.Repeat("鳥類の名前", 20), i), Rows: map[string]int64{"train": int64(9000 + i), "val": 9000, "test": 9000}}
		o.Rows += c.Total()
		o.Classes = append(o.Classes, c)
	}
	lines := console.Overview("images", o)
	if len(lines) > 30 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if runewidth.StringWidth(line) > 80 {
			t.Errorf("wider than 80 cells: %s", line)
		}
	}
}
