package contrastive

import (
	"slices"
	"testing"
)

// An epoch goes through all rows of each pair, and no batch has a key twice unless the last rows of a round were too few.
func TestEpochs(t *testing.T) {
	first := &side{port: firstPort, width: 1, rows: map[string][]int{}}
	second := &side{port: secondPort, width: 1, rows: map[string][]int{}}
	add := func(of *side, key, split string, n int) {
		for range n {
			of.rows[key] = append(of.rows[key], len(of.splits))
			of.splits = append(of.splits, split)
			of.values = append(of.values, float32(len(of.splits)))
		}
	}
	for i := range 50 {
		key := string(rune('a'+i%26)) + string(rune('a'+i/26))
		split := "train"
		if i%5 == 4 {
			split = "val"
		}
		add(first, key, split, 1+i%3)
		add(second, key, split, 1+i%2)
	}
	add(first, "alone", "train", 2) // has nothing to be paired with
	all := &tables{first, second}
	p := all.pairsOf("train")
	if len(p.keys) != 40 || slices.Contains(p.keys, "alone") {
		t.Fatalf("%d keys", len(p.keys))
	}
	if !slices.EqualFunc(p.epoch(1, 3, 16), p.epoch(1, 3, 16), slices.Equal) || slices.EqualFunc(p.epoch(1, 3, 16), p.epoch(1, 4, 16), slices.Equal) {
		t.Error("an epoch's batches are its own, and always the same")
	}
	n := len(second.splits)
	rows := [2]map[int]bool{{}, {}}
	for _, batch := range p.epoch(1, 0, 16) {
		keys := map[int]bool{}
		for _, at := range batch {
			rows[0][at/n], rows[1][at%n] = true, true
			keys[p.owner[at/n]] = true
			if !slices.Contains(p.of[p.owner[at/n]][1], at%n) {
				t.Fatalf("rows %d and %d are no pair", at/n, at%n)
			}
		}
		if len(keys) != len(batch) {
			t.Errorf("a batch of %d pairs has %d keys", len(batch), len(keys))
		}
	}
	for _, of := range p.of {
		for k := range 2 {
			for _, row := range of[k] {
				if !rows[k][row] {
					t.Errorf("row %d of table %d is in no pair", row, k+1)
				}
			}
		}
	}
	if got := all.pairsOf("val").each().Len(); got == 0 || all.pairsOf("test").each() != nil {
		t.Errorf("%d pairs for validation", got)
	}
}
