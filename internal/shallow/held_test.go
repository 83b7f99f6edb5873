package shallow

import (
	"context"
	"math"
	"slices"
	"testing"
)

// A row is answered by a fit to others: what is at its own place cannot tell on its answer.
func TestOutOfFoldAnswersAreOfOtherRows(t *testing.T) {
	for _, set := range classifierSets(t) {
		rows := set.rows()
		p, err := OutOfFold(context.Background(), rows, set.Classes, Options{Folds: 4, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		for row := range rows.Len() {
			sum := 0.0
			for _, x := range p[row*set.Classes : (row+1)*set.Classes] {
				sum += float64(x)
			}
			if math.Abs(sum-1) > 1e-5 {
				t.Fatalf("row %d has probabilities that add up to %v", row, sum)
			}
		}
		// The second fold's rows are answered by fits to the others at a penalty that the first decides. Classes stay, so that the
		// folds do.
		changed := Rows{Width: rows.Width, Values: slices.Clone(rows.Values), Classes: rows.Classes}
		held := foldsOf(rows.Classes, nil, 4)[1]
		for i := range held {
			for k := range rows.Width {
				changed.Values[held[i]*rows.Width+k] += 3
			}
		}
		same, err := OutOfFold(context.Background(), rows, set.Classes, Options{Folds: 4, Threads: 1, Settings: Settings{Penalties: []float64{1}}})
		if err != nil {
			t.Fatal(err)
		}
		other, err := OutOfFold(context.Background(), changed, set.Classes, Options{Folds: 4, Threads: 1, Settings: Settings{Penalties: []float64{1}}})
		if err != nil {
			t.Fatal(err)
		}
		fit, _, err := Logistic(context.Background(), rows.at(without(rows.Len(), held)), Rows{Width: rows.Width}, set.Classes, Options{Settings: Settings{Penalties: []float64{1}}})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float32, len(held)*set.Classes)
		for _, c := range []struct {
			rows Rows
			p    []float32
		}{{rows, same}, {changed, other}} {
			fit.Probabilities(c.rows.at(held).Values, want)
			for i, row := range held {
				for k := range set.Classes {
					if got := c.p[row*set.Classes+k]; math.Abs(float64(got-want[i*set.Classes+k])) > 2e-3 {
						t.Fatalf("row %d, class %d: %v, want %v", row, k, got, want[i*set.Classes+k])
					}
				}
			}
		}
	}
	if _, err := OutOfFold(context.Background(), Rows{Width: 1, Values: []float32{1}, Classes: []int{0}}, 2, Options{}); err == nil {
		t.Error("a single row is divided into folds")
	}
}
