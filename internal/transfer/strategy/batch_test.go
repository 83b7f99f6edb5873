package strategy

import "testing"

// fine_tune's second phase has wider batches where there are many rows and nobody has set them.
func TestBatchesWidenWithTheRows(t *testing.T) {
	made, err := Named(FineTune).In(Default)
	if err != nil {
		t.Fatal(err)
	}
	usual := LearningIn(Default, true)
	for _, c := range []struct {
		rows      int
		strategy  Strategy
		head, all int
	}{
		{manyRows - 1, made, 16, 16},
		{manyRows, made, 16, wideBatch},
		{manyRows, made.WithBatches(), 16, 16},
	} {
		head := c.strategy.Phases[0].For(c.rows).Learning(usual).BatchSize
		all := c.strategy.Phases[1].For(c.rows).Learning(usual).BatchSize
		if head != c.head || all != c.all {
			t.Errorf("%d rows: batches of %d and %d, want %d and %d", c.rows, head, all, c.head, c.all)
		}
	}
	if tutorial, err := Named(FineTune).In(Tutorial); err != nil || tutorial.Phases[1].For(manyRows).BatchSize != nil {
		t.Errorf("the preset tutorial widens batches (%v)", err)
	}
	if got := (Phase{BatchSize: &Batch{Rows: 24}}).For(manyRows).Learning(usual).BatchSize; got != 24 {
		t.Errorf("a phase's own batch_size became %d", got)
	}
}
