package shallow

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Rows left out in closed form are answered as by fits without them, one by one.
func TestLeavingOutIsFittingAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes, width := rapid.IntRange(2, 4).Draw(t, "classes"), rapid.IntRange(1, 12).Draw(t, "width")
		rows := made(rapid.IntRange(classes+2, 20).Draw(t, "rows"), width, classes, 1, rapid.Uint64().Draw(t, "seed"))
		var groups []int
		if size := rapid.IntRange(1, 3).Draw(t, "group"); size > 1 {
			for i := range rows.Len() {
				groups = append(groups, i/size)
			}
		}
		penalty := math.Pow(10, rapid.Float64Range(-2, 3).Draw(t, "penalty"))
		task, err := newTask(rows, Rows{Width: width}, classes, Options{Groups: groups})
		if err != nil {
			t.Fatal(err)
		}
		defer task.pool.Close()
		left, err := task.newLeaveOut()
		if err != nil || left == nil {
			t.Fatalf("%v, %v", left, err)
		}
		got := make([]float32, rows.Len()*classes)
		if err := left.outputs(task.pool, penalty, got); err != nil {
			t.Fatal(err)
		}
		for _, group := range grouped(groups, rows.Len()) {
			at, err := ridgeOn(context.Background(), task, rows.at(without(rows.Len(), group)))
			if err != nil {
				t.Fatal(err)
			}
			c, err := at(penalty)
			if err != nil {
				t.Fatal(err)
			}
			for a, want := range c.logits(task.pool, rows.at(group)) {
				i := group[a/classes]*classes + a%classes
				if math.Abs(float64(got[i]-want)) > 1e-4*(1+math.Abs(float64(want))) {
					t.Fatalf("row %d, class %d: %v, want %v", i/classes, a%classes, got[i], want)
				}
			}
		}
	})
}

// What is chosen without validation rows is the penalty under which rows that were left out have the least loss.
func TestRidgeLeavesRowsOut(t *testing.T) {
	for _, width := range []int{40, 90} { // fewer than the rows, and more
		rows := made(60, width, 3, 4, 5)
		c, steps := fitted(t, "ridge", rows, Rows{}, 3, Options{Threads: 2})
		at := slices.IndexFunc(steps, func(s Step) bool { return s.Chosen })
		if at != chosen(steps) || !(steps[at].Loss > 0) || steps[at].Accuracy > 0.99 {
			t.Errorf("width %d: step %d of %+v", width, at, steps)
		}
		task, err := newTask(rows, Rows{Width: width}, 3, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer task.pool.Close()
		logits := make([]float32, 0, 180)
		for i := range rows.Len() {
			fit, err := ridgeOn(context.Background(), task, rows.at(without(60, []int{i})))
			if err != nil {
				t.Fatal(err)
			}
			one, err := fit(steps[at].Value)
			if err != nil {
				t.Fatal(err)
			}
			logits = append(logits, one.logits(task.pool, rows.at([]int{i}))...)
		}
		scale, loss, accuracy := calibrate(logits, rows.Classes)
		if math.Abs(loss-steps[at].Loss) > 1e-4 || accuracy != steps[at].Accuracy || math.Abs(float64(scale/c.Scale)-1) > 1e-3 {
			t.Errorf("width %d: loss %v, accuracy %v, scale %v; want %v, %v, %v", width, steps[at].Loss, steps[at].Accuracy, c.Scale, loss, accuracy, scale)
		}
	}
}

// A single group leaves nothing to fit to when it is left out.
func TestRidgeOfOneGroupChoosesTheFirst(t *testing.T) {
	rows := made(12, 3, 2, 1, 1)
	_, steps := fitted(t, "ridge", rows, Rows{}, 2, Options{Groups: make([]int, 12)})
	if !steps[0].Chosen || !math.IsNaN(steps[0].Loss) {
		t.Errorf("%+v", steps[0])
	}
}
