package report

import (
	"context"
	"fmt"
	"html/template"

	"github.com/tlpipe/tlpipe/internal/record"
)

// duplicatesView shows pairs of pictures that look alike and are in two splits.
type duplicatesView struct {
	Summary string
	Pairs   []duplicatePair
}

// duplicatePair is a row measured on, and the row of another split that it looks like. Pictures that were not found are absent.
type duplicatePair struct {
	One, Other duplicateSide
	Differing  bool // their labels
}

type duplicateSide struct {
	Picture          template.URL
	ID, Label, Split string
}

// maxDuplicates bounds the pairs shown.
const maxDuplicates = 24

// newDuplicates finds the pictures of the pairs; nil if there are none.
func newDuplicates(ctx context.Context, run Run, e *evaluation) (*duplicatesView, error) {
	rows, _, err := readTable[record.Duplicate](ctx, e.node)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	view := &duplicatesView{Summary: fmt.Sprintf("%s of %s evaluated look like one of another split, by a similarity hash: copies that were stored again, scaled or slightly modified. This leaks information between the splits, so the accuracy may be overestimated.", count(int64(len(rows))), plural(rows[0].Rows, "row"))}
	shown := rows[:min(len(rows), maxDuplicates)]
	if len(shown) < len(rows) {
		view.Summary += fmt.Sprintf(" The likest %d are shown.", len(shown))
	}
	ids := map[string]bool{}
	for _, d := range shown {
		ids[d.ID], ids[d.Other] = true, true
	}
	pictures, err := picturesByID(ctx, run, e.node, ids)
	for _, d := range shown {
		view.Pairs = append(view.Pairs, duplicatePair{
			One:       duplicateSide{pictures[d.ID], d.ID, d.Label, e.about.Split},
			Other:     duplicateSide{pictures[d.Other], d.Other, d.OtherLabel, d.OtherSplit},
			Differing: d.Label != d.OtherLabel,
		})
	}
	return view, err
}
