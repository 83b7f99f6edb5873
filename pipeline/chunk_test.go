package pipeline

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// chunksOf gives the chunks of a sorted set of rows, each as the rows in it.
func chunksOf(rows []int) map[string]bool {
	ids := make([]uint64, len(rows))
	for i, r := range rows {
		ids[i] = hashID(fmt.Sprintf("n%08d.jpg", r))
	}
	out, start := map[string]bool{}, 0
	for _, end := range cut(ids) {
		out[fmt.Sprint(rows[start:end])] = true
		start = end
	}
	return out
}

func TestCutIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfNDistinct(rapid.IntRange(0, 1_000_000), 1, 5000, rapid.ID[int]).Draw(t, "rows")
		extra := rapid.IntRange(0, 1_000_000).Filter(func(n int) bool { return !slices.Contains(rows, n) }).Draw(t, "extra")
		slices.Sort(rows)
		before := chunksOf(rows)
		rows = append(rows, extra)
		slices.Sort(rows)
		fresh := 0
		for c := range chunksOf(rows) {
			if !before[c] {
				fresh++
			}
		}
		if fresh == 0 || fresh > 2 {
			t.Fatalf("one row more made %d new chunks of %d", fresh, len(before))
		}
	})
}

func TestCutIsBoundedAndComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Large hashes only: no row is a natural end.
		ids := rapid.SliceOfN(rapid.Uint64Min(1<<60), 1, 4000).Draw(t, "ids")
		start := 0
		for _, end := range cut(ids) {
			if end <= start || end-start > maxChunkRows {
				t.Fatalf("a chunk from %d to %d", start, end)
			}
			start = end
		}
		if start != len(ids) {
			t.Fatalf("the chunks end at %d of %d", start, len(ids))
		}
	})
}

func TestCutMeanLength(t *testing.T) {
	ids := make([]uint64, 100_000)
	for i := range ids {
		ids[i] = hashID(fmt.Sprintf("class_%d/%06d.jpg", i%10, i))
	}
	if mean := len(ids) / len(cut(ids)); mean < chunkRows*9/10 || mean > chunkRows*11/10 {
		t.Errorf("chunks of %d rows on average, not about %d", mean, chunkRows)
	}
}
