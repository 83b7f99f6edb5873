package shallow

import (
	"fmt"
	"slices"
)

// Rows are feature vectors, one after another, and their classes.
type Rows struct {
	Values  []float32 // [rows][Width]
	Width   int
	Classes []int // of each row, from 0
}

// Len is the number of rows.
func (r Rows) Len() int { return len(r.Classes) }

func (r Rows) check(classes int) error {
	if r.Width < 1 || len(r.Values) != r.Width*len(r.Classes) {
		return fmt.Errorf("%d values for %d rows of %d features", len(r.Values), len(r.Classes), r.Width)
	}
	for _, class := range r.Classes {
		if class < 0 || class >= classes {
			return fmt.Errorf("class %d of %d", class, classes)
		}
	}
	return nil
}

// row is the features of a row.
func (r Rows) row(i int) []float32 { return r.Values[i*r.Width : (i+1)*r.Width] }

// at picks rows by position.
func (r Rows) at(positions []int) Rows {
	out := Rows{Width: r.Width, Values: make([]float32, 0, len(positions)*r.Width), Classes: make([]int, 0, len(positions))}
	for _, i := range positions {
		out.Values = append(out.Values, r.row(i)...)
		out.Classes = append(out.Classes, r.Classes[i])
	}
	return out
}

// foldsOf divides rows into folds, class by class in turn, so that each has about the same share of every class; rows of
// one group stay together.
func foldsOf(classes, groups []int, n int) [][]int {
	if n < 2 {
		n = 5
	}
	folds := make([][]int, n)
	next, of := map[int]int{}, map[int]int{}
	for i, class := range classes {
		fold, known := next[class]%n, false
		if groups != nil {
			fold, known = of[groups[i]]
			if !known {
				fold = next[class] % n
				of[groups[i]] = fold
			}
		}
		if !known {
			next[class]++
		}
		folds[fold] = append(folds[fold], i)
	}
	return slices.DeleteFunc(folds, func(fold []int) bool { return len(fold) == 0 || len(fold) == len(classes) })
}
