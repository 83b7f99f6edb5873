package dataset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Overview counts the rows by class and split, and notes what may be wrong with labels. wanted are the splits that should have
// rows.
func (t *Table) Overview(wanted []string) *pipeline.Overview {
	o := &pipeline.Overview{Rows: int64(len(t.All)), Columns: slices.Clone(t.Extra), Notes: slices.Clone(t.Notes)}
	classes := map[string]map[string]int64{}
	for _, name := range t.EmptyClasses {
		classes[name] = map[string]int64{}
	}
	splits := map[string]bool{}
	for _, row := range t.All {
		if classes[row.Label] == nil {
			classes[row.Label] = map[string]int64{}
		}
		classes[row.Label][row.Split]++
		splits[row.Split] = true
	}
	for _, split := range []string{record.Train, record.Validation, record.Test} {
		if splits[split] || slices.Contains(wanted, split) {
			o.Splits = append(o.Splits, split)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		o.Classes = append(o.Classes, pipeline.ClassRows{Name: name, Rows: classes[name], Empty: len(classes[name]) == 0})
	}
	o.Domains = t.domains()
	places, names := t.listed()
	o.Texts = map[string]pipeline.ColumnTexts{}
	for i, name := range names {
		o.Texts[name] = t.texts(places[i])
	}
	if t.target != nil {
		o.Columns, o.Learned = names, t.target.Columns()
		o.Task, o.Targets = t.target.overview(t.All)
	}
	o.Notes = append(o.Notes, emptyClasses(o.Classes, t.Content)...)
	o.Notes = append(o.Notes, spelledAlike(slices.Sorted(maps.Keys(classes)))...)
	o.Notes = append(o.Notes, t.conflicts()...)
	return o
}

// texts tells of the values in a further column.
func (t *Table) texts(place int) (of pipeline.ColumnTexts) {
	for _, row := range t.All {
		text := strings.TrimSpace(row.Extra[place])
		if text == "" {
			continue
		}
		if of.NoNumber == nil {
			if _, err := record.ParseNumber(text); err != nil {
				of.NoNumber = &pipeline.CellText{Row: row.ID, Text: text}
			}
		}
		if row.Split != record.Train {
			continue
		}
		if of.Known++; of.Known == 1 {
			of.First = text
		}
		of.Varies = of.Varies || text != of.First
	}
	return of
}

// domains counts the rows by domain; nil if none has one.
func (t *Table) domains() (out []pipeline.DomainRows) {
	counts := map[string]map[string]map[string]int64{} // domain, class, split
	for _, row := range t.All {
		of := counts[row.Domain]
		if of == nil {
			of = map[string]map[string]int64{}
			counts[row.Domain] = of
		}
		if of[row.Label] == nil {
			of[row.Label] = map[string]int64{}
		}
		of[row.Label][row.Split]++
	}
	if _, none := counts[""]; none && len(counts) == 1 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		d := pipeline.DomainRows{Name: name}
		for _, class := range slices.Sorted(maps.Keys(counts[name])) {
			d.Classes = append(d.Classes, pipeline.ClassRows{Name: class, Rows: counts[name][class]})
		}
		out = append(out, d)
	}
	return out
}

func emptyClasses(classes []pipeline.ClassRows, of Content) []string {
	var names []string
	for _, c := range classes {
		if c.Empty {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"folders without " + of.Many() + ": " + some(names)}
}

// spelledAlike notes classes whose names differ by case, spaces and punctuation alone.
func spelledAlike(names []string) (notes []string) {
	groups := map[string][]string{}
	for _, name := range names {
		if name != "" {
			groups[record.Alike(name)] = append(groups[record.Alike(name)], name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		if group := groups[key]; len(group) > 1 {
			notes = append(notes, fmt.Sprintf("%s are spelled alike and count as %d classes", strings.Join(group, " and "), len(group)))
		}
	}
	if len(notes) > mostNotes {
		notes = append(notes[:mostNotes], fmt.Sprintf("%d more groups of classes are spelled alike", len(notes)-mostNotes))
	}
	return notes
}

// mostNotes is how many things of one kind are told one by one.
const mostNotes = 4

// conflicts notes pictures that are there under several labels.
func (t *Table) conflicts() []string {
	first := make(map[string]int, len(t.All))
	conflict := map[string][2]int{} // by digest: two rows of different labels
	for i, row := range t.All {
		if row.Digest == "" {
			continue
		}
		before, seen := first[row.Digest]
		if !seen {
			first[row.Digest] = i
		} else if _, told := conflict[row.Digest]; !told && t.All[before].Label != row.Label {
			conflict[row.Digest] = [2]int{before, i}
		}
	}
	if len(conflict) == 0 {
		return nil
	}
	pairs := slices.SortedFunc(maps.Values(conflict), func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	a, b := t.All[pairs[0][0]], t.All[pairs[0][1]]
	label := func(row Row) string { return cmp.Or(row.Label, "without a label") }
	what := t.Content.Many() + " are"
	if len(pairs) == 1 {
		what = t.Content.one() + " is"
	}
	return []string{fmt.Sprintf("%d %s there under different labels, byte for byte: %s (%s) and %s (%s)", len(pairs), what, a.ID, label(a), b.ID, label(b))}
}

// some lists the first few names.
func some(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
