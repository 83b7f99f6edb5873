package report

import (
	"context"
	"errors"
	"fmt"
	"html/template"

	"github.com/tlpipe/tlpipe/internal/record"
)

// duplicatesView shows pairs of pictures or texts that are alike and are in two splits.
type duplicatesView struct {
	Summary string
	Texts   bool // not pictures
	Pairs   []duplicatePair
}

// duplicatePair is a row measured on, and the row of another split that it is like. Pictures and texts that were not found are absent.
type duplicatePair struct {
	One, Other duplicateSide
	Differing  bool // their labels
}

type duplicateSide struct {
	Picture                template.URL
	Text, ID, Label, Split string
}

// maxDuplicates bounds the pairs shown.
const maxDuplicates = 24

// newDuplicates finds the pictures or texts of the pairs; nil if there are none.
func newDuplicates(ctx context.Context, run Run, e *evaluation) (*duplicatesView, error) {
	rows, _, err := readTable[record.Duplicate](ctx, e.node)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	texts := textsOf(ctx, run, e.node)
	how := "that were stored again, scaled or slightly modified"
	if texts != nil {
		how = "with some words changed, added or left out"
	}
	view := &duplicatesView{Texts: texts != nil, Summary: fmt.Sprintf("%s of %s evaluated look like one of another split, by a similarity hash: copies %s. This leaks information between the splits, so the accuracy may be overestimated.", count(int64(len(rows))), plural(rows[0].Rows, "row"), how)}
	shown := rows[:min(len(rows), maxDuplicates)]
	if len(shown) < len(rows) {
		view.Summary += fmt.Sprintf(" The likest %d are shown.", len(shown))
	}
	ids := map[string]bool{}
	for _, d := range shown {
		ids[d.ID], ids[d.Other] = true, true
	}
	pictures, err := picturesByID(ctx, run, e.node, ids)
	var said map[string]foundText
	if texts != nil {
		var failed error
		said, _, failed = findTexts(ctx, texts, ids)
		err = errors.Join(err, failed)
	}
	for _, d := range shown {
		view.Pairs = append(view.Pairs, duplicatePair{
			One:       duplicateSide{pictures[d.ID], said[d.ID].text, d.ID, d.Label, e.about.Split},
			Other:     duplicateSide{pictures[d.Other], said[d.Other].text, d.Other, d.OtherLabel, d.OtherSplit},
			Differing: d.Label != d.OtherLabel,
		})
	}
	return view, err
}
