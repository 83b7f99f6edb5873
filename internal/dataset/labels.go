package dataset

import "fmt"

// withoutNaN takes away the labels that are NaN, which tables of numbers have in the place of one that is missing, and notes how
// many there were. from is what was read.
func (r *Rows) withoutNaN(from string) {
	missing := 0
	for i := range r.All {
		if isNaN(r.All[i].Label) {
			r.All[i].Label = ""
			missing++
		}
	}
	if missing > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: %d labels are NaN, which counts as no label", from, missing))
	}
}

func isNaN(label string) bool { return label == "NaN" || label == "nan" }

// namedClasses are the names that a file's metadata give to the classes of its labels; empty: they give none.
type namedClasses map[string]bool

// classesNamed are those of the column of labels.
func classesNamed(described map[string]feature, column string) namedClasses {
	out := namedClasses{}
	for _, name := range described[column].Names {
		out[text(name)] = true
	}
	return out
}

// reject tells why a row of a label cannot be used; "" if it can.
func (n namedClasses) reject(label string) string {
	if len(n) == 0 || label == "" || isNaN(label) || n[text(label)] {
		return ""
	}
	return fmt.Sprintf("label %s, but %d classes are named", label, len(n))
}
