package record

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Coverage is how many of the rows with a label a model was scored on: those of the classes that it knows.
type Coverage struct {
	Model      string
	Baseline   bool
	Scored     int64
	Labelled   int64 // with a label, of whatever class
	Unlabelled int64
	Unknown    []UnknownClass // the most frequent first
}

// UnknownClass is a class that a model does not know.
type UnknownClass struct {
	Label string
	Rows  int64
	Like  string // a class that the model knows and that is spelled alike: cat for "Cat"; "" if there is none
}

// Coverages reads the coverage of each model from a table of metrics, in its order.
func Coverages(table []Metric) []Coverage {
	var out []Coverage
	at := map[string]int{}
	known := map[string]map[string]string{} // by model: what its classes are alike → the class
	for _, m := range table {
		if m.Slice != "" {
			continue
		}
		i, ok := at[m.Model]
		if !ok {
			i = len(out)
			at[m.Model] = i
			out = append(out, Coverage{Model: m.Model, Baseline: IsBaseline(m.Role)})
			known[m.Model] = map[string]string{}
		}
		c := &out[i]
		switch {
		case m.Metric == Accuracy && m.Class == "":
			c.Scored = m.Rows
		case m.Metric == Unlabelled:
			c.Unlabelled = m.Rows
		case m.Metric == UnknownLabel && m.Class != "":
			c.Unknown = append(c.Unknown, UnknownClass{Label: m.Class, Rows: m.Rows})
		case m.Metric == Recall && m.Class != "":
			known[m.Model][Alike(m.Class)] = m.Class
		}
	}
	for i := range out {
		c := &out[i]
		c.Labelled = c.Scored
		for k := range c.Unknown {
			u := &c.Unknown[k]
			c.Labelled += u.Rows
			u.Like = known[c.Model][Alike(u.Label)]
		}
		slices.SortStableFunc(c.Unknown, func(a, b UnknownClass) int { return cmp.Compare(b.Rows, a.Rows) })
	}
	return out
}

// Alike is equal for labels that differ by case, spaces and punctuation alone, and for those of equal numbers, such as 1
// and 1.0.
func Alike(label string) string {
	if number, err := strconv.ParseFloat(label, 64); err == nil {
		return strconv.FormatFloat(number, 'g', -1, 64)
	}
	folded := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, label)
	return cmp.Or(folded, label) // labels such as "+" and "-" are themselves
}
