package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"golang.org/x/text/unicode/norm"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Target names the columns that hold what is to be learned, where that is not the label: exactly one of
// Class, Classes, Flags and Numbers.
type Target struct {
	Class     string   // a column with a class: it becomes the label
	Classes   string   // a column with the names of several classes
	Separator string   // stands between them; "": the text is one name, or a JSON list of names
	Flags     []string // columns that tell whether the class of the column's name applies: 0 or 1, false or true, no or yes
	Numbers   []string // columns with a number

	// EmptyIsNone lets an empty text of Classes or Flags mean that no class applies, or not this one. Otherwise
	// it means that nothing is known of the row; where only some of the flags are empty, the row is rejected.
	EmptyIsNone bool
}

// Columns are the names of all columns it reads.
func (t Target) Columns() []string {
	switch {
	case t.Class != "":
		return []string{t.Class}
	case t.Classes != "":
		return []string{t.Classes}
	}
	return append(slices.Clone(t.Flags), t.Numbers...)
}

// answer is what a row has of a target.
type answer struct {
	known   bool
	classes []string // sorted, each once
	numbers []float64
}

// targeted are the answers of all rows of a table.
type targeted struct {
	Target
	answers []answer
}

// SetTarget reads the target of each row. The columns it is read from do not become columns of the listing,
// but for one that becomes the label. Rows whose texts cannot be read as what they should be are rejected; if
// those are all rows, that is an error.
func (t *Table) SetTarget(target Target) error {
	var values []func(Row) string
	for _, name := range target.Columns() {
		value, err := t.column(name)
		if err != nil {
			return err
		}
		values = append(values, value)
	}
	if target.Class != "" {
		for i := range t.All {
			t.All[i].Label = values[0](t.All[i])
		}
		t.normaliseLabels()
		return nil
	}
	answers := make([]answer, len(t.All))
	kept, unknown, undivided := 0, 0, 0
	texts := make([]string, len(values))
	for i, row := range t.All {
		for j, value := range values {
			texts[j] = strings.TrimSpace(value(row))
		}
		a, reason := target.read(texts)
		if reason != "" {
			t.reject(row.ID, "%s", reason)
			continue
		}
		if !a.known {
			unknown++
		}
		if target.Classes != "" && target.Separator == "" && len(a.classes) == 1 && strings.ContainsAny(a.classes[0], ",;|") {
			undivided++
		}
		t.All[kept], t.part[kept], answers[kept] = row, t.part[i], a
		kept++
	}
	if kept == 0 && len(t.All) > 0 {
		return fmt.Errorf("no row has a target that can be read; the last: %s", t.Rejects[len(t.Rejects)-1].Reason)
	}
	clear(t.All[kept:])
	t.All, t.part = t.All[:kept], t.part[:kept]
	t.target = &targeted{target, answers[:kept]}
	if unknown > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d rows have nothing in %s: their target is not known", unknown, strings.Join(target.Columns(), ", ")))
	}
	if undivided > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d rows have a class with a comma, semicolon or bar in its name: if several classes stand there, say with separator what is between them", undivided))
	}
	return nil
}

// listed are the further columns that become columns of the listing, and their names there: not those that
// the target was read from, and none by the name of the target's.
func (t *Table) listed() (places []int, names []string) {
	for i, name := range t.Extra {
		if t.target != nil {
			if slices.Contains(t.target.Columns(), name) {
				continue
			}
			for name == record.Target || name != t.Extra[i] && slices.Contains(t.Extra, name) {
				name += "_"
			}
		}
		places, names = append(places, i), append(names, name)
	}
	return places, names
}

// read reads the texts of a row's columns; reason tells people why they cannot be.
func (t Target) read(texts []string) (a answer, reason string) {
	switch {
	case t.Classes != "":
		return t.readClasses(texts[0])
	case len(t.Flags) > 0:
		return t.readFlags(texts)
	}
	for i, text := range texts {
		x, err := number(text)
		if err != nil {
			reason = fmt.Sprintf("%s is %q, which is not a number", t.Numbers[i], text)
			if _, err := number(strings.Replace(text, ",", ".", 1)); err == nil {
				reason += ": write decimals with a point, and thousands without a comma"
			}
			return a, reason
		}
		a.numbers = append(a.numbers, x)
		a.known = a.known || !math.IsNaN(x)
	}
	return a, ""
}

// number reads a finite number as tables have them, in decimal digits; what stands for none is not a number. Go's own
// spellings (1_000, 0x1p3) are no table's.
func number(text string) (float64, error) {
	switch strings.ToLower(text) {
	case "", "nan", "na", "n/a", "null":
		return math.NaN(), nil
	}
	if strings.ContainsAny(text, "_xXpP") {
		return 0, strconv.ErrSyntax
	}
	x, err := strconv.ParseFloat(text, 64)
	if err == nil && math.IsInf(x, 0) {
		err = strconv.ErrRange
	}
	return x, err
}

func (t Target) readClasses(text string) (a answer, reason string) {
	if text == "" {
		return answer{known: t.EmptyIsNone}, ""
	}
	a.known = true
	names := []string{text}
	if t.Separator != "" {
		names = strings.Split(text, t.Separator)
	} else if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &names); err != nil {
			return a, fmt.Sprintf("%s is %q, which is no list of names", t.Classes, text)
		}
	}
	for _, name := range names {
		if name = norm.NFC.String(strings.TrimSpace(name)); name != "" {
			a.classes = append(a.classes, name)
		}
	}
	slices.Sort(a.classes)
	a.classes = slices.Compact(a.classes)
	return a, ""
}

func (t Target) readFlags(texts []string) (a answer, reason string) {
	empty := -1
	for i, text := range texts {
		switch strings.ToLower(text) {
		case "1", "1.0", "true", "t", "yes", "y":
			a.classes = append(a.classes, t.Flags[i])
			a.known = true
		case "0", "0.0", "false", "f", "no", "n":
			a.known = true
		case "":
			empty = i
		default:
			return a, fmt.Sprintf("%s is %q, not 0 or 1", t.Flags[i], text)
		}
	}
	if empty >= 0 && a.known && !t.EmptyIsNone {
		return a, fmt.Sprintf("%s is empty, not 0 or 1", t.Flags[empty])
	}
	a.known = a.known || t.EmptyIsNone
	slices.Sort(a.classes)
	return a, ""
}

// overview counts, by split, the rows that each class applies to, or that each number is known of.
func (t *targeted) overview(rows []Row) (task string, counts []pipeline.ClassRows) {
	found := map[string]map[string]int64{}
	count := func(name, split string, n int64) {
		if found[name] == nil {
			found[name] = map[string]int64{}
		}
		if n > 0 {
			found[name][split] += n
		}
	}
	for _, name := range append(slices.Clone(t.Flags), t.Numbers...) {
		count(name, "", 0)
	}
	for i, a := range t.answers {
		for _, class := range a.classes {
			count(class, rows[i].Split, 1)
		}
		for j, x := range a.numbers {
			if !math.IsNaN(x) {
				count(t.Numbers[j], rows[i].Split, 1)
			}
		}
	}
	names := slices.Sorted(maps.Keys(found))
	if len(t.Numbers) > 0 {
		names = t.Numbers
	}
	for _, name := range names {
		counts = append(counts, pipeline.ClassRows{Name: name, Rows: found[name]})
	}
	if len(t.Numbers) > 0 {
		return string(record.Regression), counts
	}
	return string(record.MultiLabel), counts
}

// field is the column of the target in a listing.
func (t *targeted) field() arrow.Field {
	if len(t.Numbers) > 0 {
		return record.NumbersField(record.Target, t.Numbers)
	}
	return record.ClassesField(record.Target)
}

// append adds the answer of a row to the column.
func (t *targeted) append(b array.Builder, row int) {
	a := t.answers[row]
	switch b := b.(type) {
	case *array.ListBuilder:
		if b.Append(a.known); a.known {
			for _, class := range a.classes {
				b.ValueBuilder().(*array.StringBuilder).Append(class)
			}
		}
	case *array.FixedSizeListBuilder:
		b.Append(a.known)
		for i := range t.Numbers {
			x := math.NaN()
			if a.known {
				x = a.numbers[i]
			}
			b.ValueBuilder().(*array.Float64Builder).Append(x)
		}
	}
}
