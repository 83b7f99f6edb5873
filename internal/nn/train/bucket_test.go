package train

import (
	"slices"
	"testing"
)

// Batches that are made up by length have every example once, are the same for the same epoch, and are less padded.
func TestBucketedBatches(t *testing.T) {
	s := newSentences(203, 2, 40, 5)
	pad := func(runs [][]int) (padding int) {
		for _, run := range runs {
			longest := s.Lengths(run, 0)[0]
			for _, p := range run {
				padding += longest - s.Length(p)
			}
		}
		return padding
	}
	o := Options{BatchSize: 8, Bucket: 4, Seed: 3}
	shuffled := order(positionsOf(nil, s.Len(), 1), o.Seed, 1)
	runs := bucketed(slices.Clone(shuffled), s, o, 1)
	if again := bucketed(slices.Clone(shuffled), s, o, 1); !slices.EqualFunc(runs, again, slices.Equal[[]int]) {
		t.Error("the batches of an epoch are not the same again")
	}
	if all := slices.Sorted(slices.Values(slices.Concat(runs...))); !slices.Equal(all, positionsOf(nil, s.Len(), 0)) {
		t.Errorf("%d examples in the batches", len(all))
	}
	if plain, sorted := pad(batches(shuffled, o.BatchSize)), pad(runs); sorted*2 > plain {
		t.Errorf("%d tokens of padding, %d without buckets", sorted, plain)
	}
	if slices.IsSortedFunc(runs, func(a, b []int) int { return s.Length(a[0]) - s.Length(b[0]) }) {
		t.Error("the batches come in the order of their lengths")
	}
}

// Length implements Measured.
func (s sentences) Length(position int) int { return len(s.words[position]) }
