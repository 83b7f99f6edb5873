package console

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// OverviewWidth is how wide the table of an overview is at most, in cells.
const OverviewWidth = 80

// Of a source with more than mostClasses classes, the fewestShown with the fewest rows are told.
const (
	mostClasses = 20
	fewestShown = 8
)

// Overview tells what a source found, in lines: its classes by splits, then what may surprise.
func Overview(stage string, o *pipeline.Overview) []string {
	classes := 0
	for _, c := range o.Classes {
		if c.Name != "" {
			classes++
		}
	}
	first := fmt.Sprintf("%s: %s of %s", stage, Of(o.Rows, "row"), of(int64(classes), "class", "classes"))
	head, listed := "CLASS", o.Classes
	if o.Task != "" {
		listed, classes = o.Targets, len(o.Targets)
		first = fmt.Sprintf("%s: %s, with any of %s", stage, Of(o.Rows, "row"), of(int64(classes), "class", "classes"))
		if o.Task == string(record.Regression) {
			head = "NUMBER"
			first = fmt.Sprintf("%s: %s, with %s", stage, Of(o.Rows, "row"), Of(int64(classes), "number"))
		}
	}
	if len(o.Columns) > 0 {
		first += "; further columns, kept beside each row: " + strings.Join(o.Columns, ", ")
	}
	lines := strings.Split(Wrap(Line(first), OverviewWidth), "\n")
	shown := listed
	if classes > mostClasses {
		shown = slices.Clone(shown)
		slices.SortStableFunc(shown, func(a, b pipeline.ClassRows) int { return cmp.Compare(a.Total(), b.Total()) })
		lines = append(lines, fmt.Sprintf("  of %s to %s; those with the fewest:", Count(shown[0].Total()), Of(shown[len(shown)-1].Total(), "row")))
		shown = shown[:fewestShown]
	}
	if o.Rows > 0 {
		lines = append(lines, classTable(o, head, shown, classes)...)
	}
	for _, note := range o.Notes {
		for i, line := range strings.Split(Wrap(Line(note), OverviewWidth-4), "\n") {
			if i == 0 {
				lines = append(lines, "  - "+line)
			} else {
				lines = append(lines, "    "+line)
			}
		}
	}
	return lines
}

// classTable is a row for each of the shown classes, and the totals.
func classTable(o *pipeline.Overview, head string, shown []pipeline.ClassRows, classes int) []string {
	heads := []string{head}
	for _, split := range o.Splits {
		heads = append(heads, ">"+strings.ToUpper(split))
	}
	table := NewTable(append(heads, ">ALL")...)
	totals := map[string]int64{}
	room := OverviewWidth - 2 - 12*(len(o.Splits)+1)
	row := func(name string, rows map[string]int64, all int64) {
		cells := []string{Shorten(name, room)}
		for _, split := range o.Splits {
			cells = append(cells, Count(rows[split]))
		}
		table.Row(append(cells, Count(all))...)
	}
	for _, c := range shown {
		row(cmp.Or(c.Name, "(no label)"), c.Rows, c.Total())
	}
	for _, c := range o.Classes {
		for split, n := range c.Rows {
			totals[split] += n
		}
	}
	if o.Task != "" {
		row("rows", totals, o.Rows) // each may be of several classes, or of none
	} else if len(o.Classes) > 1 {
		row(fmt.Sprintf("all %d", classes), totals, o.Rows)
	}
	var out bytes.Buffer
	_ = table.Write(&out, "  ")
	return strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
}

// of counts things whose plural is irregular.
func of(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// overviews tells overviews once: several instances of a stage may list the same.
type overviews map[string]bool

func (told overviews) lines(e pipeline.SourceListed) []string {
	if e.Overview == nil {
		return nil
	}
	stage, _, _ := strings.Cut(e.Stage, "[")
	lines := Overview(stage, e.Overview)
	text := strings.Join(lines, "\n")
	if told[text] {
		return nil
	}
	told[text] = true
	return lines
}
