package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// dataView is what a source found, and what it looks like.
type dataView struct {
	Name    string // of the stage, if there are several sources
	Summary string
	Splits  []string
	Classes []classView
	More    []classView // folded away
	Total   classView
	Notes   []string
	Corner  string // what the rows of the table are
}

// classView counts a class and shows some of its pictures.
type classView struct {
	Name     string
	Counts   []string // by split
	Total    string
	Parts    []classPart
	Pictures []template.URL
}

// classPart is a split's part of a class's bar.
type classPart struct {
	Width float64 // percentage
	Split int     // number of the split, of three
	Title string
}

// Bounds of the data section: classes shown at once, classes with pictures, pictures of each, and bytes read for them.
const (
	maxOpenClasses  = 12
	maxDataClasses  = 60
	picturesAClass  = 5
	maxDataBytes    = 2 << 30
	maxListedInText = 12
)

// newData shows each source of a run once, however many instances list the same.
func newData(ctx context.Context, run Run) ([]dataView, error) {
	var out []dataView
	var errs []error
	var seen []*pipeline.Overview
	for i := range run.Nodes {
		n := &run.Nodes[i]
		if n.Overview == nil || len(n.Overview.Classes)+len(n.Overview.Targets) == 0 || slices.ContainsFunc(seen, func(o *pipeline.Overview) bool { return sameOverview(o, n.Overview) }) {
			continue
		}
		seen = append(seen, n.Overview)
		samples, err := sampleClasses(ctx, n)
		if err != nil {
			errs = append(errs, fmt.Errorf("pictures of each class: %w", err))
		}
		view := newDataView(n.Overview, samples)
		view.Name = n.Stage
		out = append(out, view)
	}
	if len(out) == 1 {
		out[0].Name = ""
	}
	return out, errors.Join(errs...)
}

func sameOverview(a, b *pipeline.Overview) bool {
	return a.Rows == b.Rows && slices.Equal(a.Notes, b.Notes) && slices.Equal(a.Splits, b.Splits) &&
		slices.EqualFunc(a.Classes, b.Classes, func(x, y pipeline.ClassRows) bool {
			return x.Name == y.Name && slices.Equal(countsOf(a, x), countsOf(b, y))
		})
}

func countsOf(o *pipeline.Overview, c pipeline.ClassRows) []string {
	out := make([]string, len(o.Splits))
	for i, split := range o.Splits {
		out[i] = count(c.Rows[split])
	}
	return out
}

func newDataView(o *pipeline.Overview, samples map[string][]template.URL) dataView {
	listed := o.Classes
	if o.Task != "" {
		listed = o.Targets
	}
	named, most := 0, int64(1)
	for _, c := range listed {
		most = max(most, c.Total())
		if c.Name != "" {
			named++
		}
	}
	view := dataView{Splits: o.Splits, Notes: o.Notes, Corner: "Class"}
	switch o.Task {
	case "":
		view.Summary = fmt.Sprintf("%s of %s", plural(o.Rows, "row"), classesInWords(named))
	case string(record.Regression):
		view.Summary, view.Corner = fmt.Sprintf("%s with %s", plural(o.Rows, "row"), plural(int64(named), "number")), "Number"
	default:
		view.Summary = fmt.Sprintf("%s, with any of %s", plural(o.Rows, "row"), classesInWords(named))
	}
	if len(o.Columns) > 0 {
		view.Summary += ", with the additional columns " + strings.Join(o.Columns[:min(len(o.Columns), maxListedInText)], ", ")
	}
	view.Summary += "."
	if o.Sizes != nil {
		view.Summary += " " + sizesInWords(*o.Sizes, o.Rows)
	}
	classes := slices.Clone(listed)
	if len(classes) > maxOpenClasses { // the largest first
		slices.SortStableFunc(classes, func(a, b pipeline.ClassRows) int { return cmp.Compare(b.Total(), a.Total()) })
	}
	total := pipeline.ClassRows{Rows: map[string]int64{}}
	for _, c := range o.Classes {
		for split, n := range c.Rows {
			total.Rows[split] += n
		}
	}
	for i, c := range classes {
		row := classView{
			Name: cmp.Or(c.Name, "(no label)"), Counts: countsOf(o, c), Total: count(c.Total()), Pictures: samples[c.Name],
		}
		for k, split := range o.Splits {
			if n := c.Rows[split]; n > 0 {
				row.Parts = append(row.Parts, classPart{Width: 100 * float64(n) / float64(most), Split: k, Title: fmt.Sprintf("%s: %s", split, count(n))})
			}
		}
		if i < maxOpenClasses {
			view.Classes = append(view.Classes, row)
		} else {
			view.More = append(view.More, row)
		}
	}
	all := fmt.Sprintf("all %d", named)
	if o.Task != "" {
		all = "rows"
	}
	view.Total = classView{Name: all, Counts: countsOf(o, total), Total: count(o.Rows)}
	return view
}

// sizesInWords tells how large the pictures are that were looked at.
func sizesInWords(s pipeline.Sizes, rows int64) string {
	pixels := func(size [2]int) string { return fmt.Sprintf("%d × %d", size[0], size[1]) }
	among := ""
	if int64(s.Pictures) < rows {
		among = fmt.Sprintf(" (%d examined)", s.Pictures)
	}
	if s.Smallest == s.Largest {
		return fmt.Sprintf("The files hold pictures of %s pixels%s.", pixels(s.Median), among)
	}
	return fmt.Sprintf("The files hold pictures of %s to %s pixels, the median is %s%s.", pixels(s.Smallest), pixels(s.Largest), pixels(s.Median), among)
}

func classesInWords(n int) string {
	if n == 1 {
		return "1 class"
	}
	return count(int64(n)) + " classes"
}

// sampleClasses finds the first pictures of each class among a source's output.
func sampleClasses(ctx context.Context, n *Node) (map[string][]template.URL, error) {
	in := outputWith(ctx, n, record.Image)
	if in == nil {
		return nil, nil
	}
	out := map[string][]template.URL{}
	wanted := 0
	for _, c := range n.Overview.Classes {
		wanted += int(min(c.Total(), picturesAClass))
	}
	wanted = min(wanted, maxDataClasses*picturesAClass)
	found := 0
	var encoding error
	want := func(row pictureRow) bool {
		pictures, begun := out[row.label]
		return row.copy == 0 && len(pictures) < picturesAClass && (begun || len(out) < maxDataClasses)
	}
	err := eachPicture(ctx, in, maxDataBytes, want, func(row pictureRow) bool {
		uri, err := dataURI(smallThumbnail(row.picture))
		if err != nil {
			encoding = err
			return false
		}
		out[row.label] = append(out[row.label], uri)
		found++
		return found < wanted
	})
	return out, errors.Join(err, encoding)
}
