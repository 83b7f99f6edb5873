package preprocess

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Split divides rows into train, val and test. Rows whose source gives them a
// split keep it, but those of the split Within are divided with the others.
//
// Each row is drawn by itself: by a hash of salt, label and id, or of salt and
// the value of By. In large classes, rows that come or go never move others,
// and the shares hold in expectation. Of classes of fewer than [smallClass]
// groups that would often be far from these shares: their groups are sorted by
// that hash and cut at the shares, and a row that comes may move those at a
// border. With Exact, all classes are cut so.
type Split struct {
	Train   float64     `yaml:"train" min:"0" max:"1" doc:"share of the training rows"`
	Val     float64     `yaml:"val" min:"0" max:"1" doc:"share of the validation rows"`
	Test    float64     `yaml:"test" min:"0" max:"1" doc:"share of the test rows"`
	By      string      `yaml:"by" doc:"a column that groups rows: images of one object, patient or place go to the same split; digest: images with the same bytes, whatever their names and classes"`
	Salt    string      `yaml:"salt" doc:"a different salt gives a different split; the pipeline's seed does not affect it"`
	Exact   bool        `yaml:"exact" doc:"split every class in exactly these shares, as classes of fewer than 100 rows always are; rows added later may then move others"`
	Within  string      `yaml:"within" enum:"train,val,test" doc:"also split the rows that the source assigns to this split: {train: 0.9, val: 0.1, within: train} takes a validation split from the training rows"`
	Classes ClassShares `yaml:"classes" doc:"divide by class instead: each class stands in one split, with all its rows; {classes: {train: 0.6, val: 0.2, test: 0.2}} for few-shot learning"`
	Given   bool        `yaml:"given" doc:"use the splits of the source; written as split: given"`
}

// ClassShares are those of the classes in each split; all 0 if classes are not divided.
type ClassShares struct {
	Train float64 `yaml:"train" min:"0" max:"1" doc:"share of the classes that are for training"`
	Val   float64 `yaml:"val" min:"0" max:"1" doc:"share of the classes that are for validation"`
	Test  float64 `yaml:"test" min:"0" max:"1" doc:"share of the classes that are for testing"`
}

func (s ClassShares) used() bool { return s != ClassShares{} }

// given is the spelling of a split that the source gives.
const given = "given"

// DecodeParam implements params.Decoder: the word given, or a mapping.
func (s *Split) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		if node.Value != given {
			d.Errorf(node, "given, or such as {train: 0.7, val: 0.15, test: 0.15}", "%q is no way to split", node.Value)
			return
		}
		*s = Split{Given: true}
		return
	}
	type plain Split
	fresh := plain{Train: -1} // shares that are not named are 0, but train is the rest
	d.Into(node, &fresh)
	*s = Split(fresh)
	switch {
	case s.Classes.used() && (s.Train >= 0 || s.Val != 0 || s.Test != 0 || s.By != "" || s.Within != ""):
		d.Errorf(node, "such as {classes: {train: 0.6, val: 0.2, test: 0.2}}", "classes divides by class: train, val, test, by and within beside it make no sense")
		s.Train = max(0, s.Train)
	case s.Classes.used():
		s.Train, s.Val, s.Test = s.Classes.Train, s.Classes.Val, s.Classes.Test
	case s.Train < 0 && s.Val == 0 && s.Test == 0:
		s.Train, s.Val, s.Test = defaultSplit.Train, defaultSplit.Val, defaultSplit.Test
	case s.Train < 0:
		s.Train = max(0, 1-s.Val-s.Test)
	}
}

// ParamSchema implements params.Schemer.
func (Split) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"const": given}, inner}}
}

var defaultSplit = Split{Train: 0.7, Val: 0.15, Test: 0.15}

func (s Split) check() error {
	if s.Given {
		return nil
	}
	if sum := s.Train + s.Val + s.Test; math.Abs(sum-1) > 1e-9 {
		return pipeline.ParamError("split", "the shares add up to %.6g, not to 1", sum)
	}
	return nil
}

// shares yields the splits and their shares, in order.
func (s Split) shares() iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		_ = yield(record.Train, s.Train) && yield(record.Validation, s.Val) && yield(record.Test, s.Test)
	}
}

// wanted lists the splits that should have rows.
func (s Split) wanted() []string {
	var out []string
	for split, share := range s.shares() {
		if share > 0 || s.Given {
			out = append(out, split)
		}
	}
	return out
}

// unused tells of a split that was asked for and divides nothing, or little; "" if there is nothing to tell.
func (s Split) unused(divided, rows int) string {
	switch {
	case s.Given || s.Within != "" || s == defaultSplit || rows == 0 || divided == rows:
		return ""
	case divided == 0:
		return "the source puts every row into a split, so `split` divides nothing; {train: 0.9, val: 0.1, within: train} would divide the rows of train"
	}
	return fmt.Sprintf("the source assigns %d of %d rows to a split; `split` splits the other %d", rows-divided, rows, divided)
}

// assign fills in the splits of the rows that have none, and counts them.
func (s Split) assign(table *dataset.Table) (divided int, err error) {
	group := func(row dataset.Row) string { return row.Label + "\x00" + row.ID }
	if s.Classes.used() {
		s.By = record.Label
	}
	if s.By != "" {
		by, err := table.Column(s.By)
		if err != nil {
			return 0, fmt.Errorf("split by %q: %w", s.By, err)
		}
		alone := group
		group = func(row dataset.Row) string {
			if name := by(row); name != "" {
				return name
			}
			return alone(row) // of no group
		}
	}
	for i := range table.All {
		row := &table.All[i]
		if row.Split == s.Within {
			row.Split = ""
		}
		if row.Split == "" {
			divided++
		}
	}
	switch {
	case divided == 0:
		return 0, nil
	case s.Given:
		return 0, fmt.Errorf("%d of %d rows have no split in the source (split: given)", divided, len(table.All))
	}
	s.divide(table, group)
	return divided, nil
}

// smallClass is how many groups a class has at least for each to be drawn by itself.
const smallClass = 100

// at is the split at a place in 0 … 1.
func (s Split) at(place float64) string {
	// Compared from the ends, so that rounding cannot give a row to a split
	// of no share.
	switch {
	case place < s.Train:
		return record.Train
	case place >= 1-s.Test:
		return record.Test
	case s.Val > 0:
		return record.Validation
	case s.Test > 0:
		return record.Test
	default:
		return record.Train
	}
}

// divide gives a split to the rows that have none, class after class. A group belongs to the class of its first row.
func (s Split) divide(table *dataset.Table, group func(dataset.Row) string) {
	type set struct {
		name  string
		place float64
		rows  []int
	}
	classes := map[string][]*set{}
	groups := map[string]*set{}
	for i, row := range table.All {
		if row.Split != "" {
			continue
		}
		name := group(row)
		g := groups[name]
		if g == nil {
			g = &set{name: name, place: dataset.Uniform("split "+s.Salt, name)}
			groups[name] = g
			among := row.Label
			if s.Classes.used() || s.By == record.Label {
				among = "" // whole classes are divided
			}
			classes[among] = append(classes[among], g)
		}
		g.rows = append(g.rows, i)
	}
	for _, sets := range classes {
		cut := s.Exact || len(sets) < smallClass
		if cut {
			slices.SortFunc(sets, func(a, b *set) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.name, b.name)) })
		}
		train, test := s.counts(len(sets))
		for i, g := range sets {
			split := record.Validation
			switch {
			case !cut:
				split = s.at(g.place)
			case i < train:
				split = record.Train
			case i >= len(sets)-test:
				split = record.Test
			}
			for _, row := range g.rows {
				table.All[row].Split = split
			}
		}
	}
}

// counts is how many of n groups are for training and for test; the others are for validation. What the shares leave over goes,
// with Exact, where rounding puts it; else to the splits that are furthest from their share (largest remainders), so that of a
// few groups each split gets one.
func (s Split) counts(n int) (train, test int) {
	if s.Exact {
		train, test = int(math.Round(s.Train*float64(n))), int(math.Round(s.Test*float64(n)))
		if s.Val == 0 {
			test = n - train
		}
		return train, test
	}
	var counts [3]int
	var remainders [3]float64
	left := n
	for i, share := range []float64{s.Train, s.Val, s.Test} {
		due := share*float64(n) + 1e-9 // 0.15·20 is 3
		counts[i] = int(due)
		remainders[i] = due - float64(counts[i])
		left -= counts[i]
	}
	for range left {
		most := 0
		for i := range remainders {
			if remainders[i] > remainders[most]+1e-6 {
				most = i
			}
		}
		counts[most]++
		remainders[most] = -1
	}
	return counts[0], counts[2]
}

// leaks finds a group of which rows are in several splits: those that the
// source gave and those that were drawn may disagree.
func (s Split) leaks(table *dataset.Table) error {
	if s.By == "" {
		return nil
	}
	by, err := table.Column(s.By)
	if err != nil {
		return err
	}
	seen := map[string]string{}
	for _, row := range table.All {
		name := by(row)
		if name == "" {
			continue
		}
		if before, ok := seen[name]; ok && before != row.Split {
			return errors.New("rows of " + s.By + " " + name + " are both in " + before + " and in " + row.Split + ": the splits that the source gives divide it")
		}
		seen[name] = row.Split
	}
	return nil
}

// notes tells what may surprise: splits and classes without rows, and the same
// picture in several splits.
func (s Split) notes(table *dataset.Table) []string {
	if len(table.All) == 0 {
		return nil // what was rejected says it all
	}
	var out []string
	rows := map[string]int{}                // by split
	classes := map[string]map[string]bool{} // by class and split
	splits := map[string]string{}           // by content; several for a picture that is in several
	const several = "several"
	for _, row := range table.All {
		rows[row.Split]++
		if classes[row.Label] == nil {
			classes[row.Label] = map[string]bool{}
		}
		classes[row.Label][row.Split] = true
		if before, ok := splits[row.Digest]; ok && before != row.Split {
			splits[row.Digest] = several
		} else {
			splits[row.Digest] = row.Split
		}
	}
	copies := 0
	for _, row := range table.All {
		if splits[row.Digest] == several {
			copies++
		}
	}
	for split, share := range s.shares() {
		if share == 0 && !s.Given {
			continue // nor should there be any
		}
		var without []string
		for class, in := range classes {
			if !in[split] && class != "" {
				without = append(without, class)
			}
		}
		slices.Sort(without)
		switch {
		case rows[split] == 0:
			out = append(out, fmt.Sprintf("there are no rows in split %s", split))
		case len(without) > 3:
			out = append(out, fmt.Sprintf("%d classes have no rows in split %s, among them %s", len(without), split, strings.Join(without[:3], ", ")))
		case len(without) > 0:
			out = append(out, fmt.Sprintf("no rows in split %s: %s", split, strings.Join(without, ", ")))
		}
	}
	if copies > 0 {
		what := "images"
		if table.Content == dataset.Texts {
			what = "texts"
		}
		out = append(out, fmt.Sprintf("%d of %d %s have an identical copy in another split; `by: %s` keeps identical %s together", copies, len(table.All), what, dataset.Digest, what))
	}
	return out
}

// divideListing sets what is to be predicted of the rows that sources list, splits the rows, and gives the overview of the result.
func divideListing(table *dataset.Table, target *Target, split Split) (*pipeline.Overview, error) {
	if target != nil {
		if err := table.SetTarget(target.of()); err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
	}
	divided, err := split.assign(table)
	if err != nil {
		return nil, err
	}
	if err := split.leaks(table); err != nil {
		return nil, err
	}
	overview := table.Overview(split.wanted())
	if note := split.unused(divided, len(table.All)); note != "" {
		overview.Notes = append(overview.Notes, note)
	}
	return overview, nil
}
