package train

import (
	"reflect"
	"slices"
	"testing"
)

// Every batch has its share of each set; each position comes once before one comes again; the same epoch is the same.
func TestSetsSideBySide(t *testing.T) {
	sets := [][]int{{0, 1, 2, 3, 4, 5, 6}, {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, {30, 31}}
	sizes := []int{3, 4, 1}
	batches := SideBySide(sets, sizes, 0, 7)
	for epoch := range 3 {
		got := batches(epoch)
		if len(got) != 3 || !reflect.DeepEqual(got, SideBySide(sets, sizes, 0, 7)(epoch)) {
			t.Fatalf("%d batches, or another time others", len(got))
		}
		seen := make([][]int, len(sets))
		for _, batch := range got {
			for i, size := range sizes {
				seen[i], batch = append(seen[i], batch[:size]...), batch[size:]
			}
			if len(batch) != 0 {
				t.Errorf("%d positions are left", len(batch))
			}
		}
		for i, set := range sets {
			first := slices.Sorted(slices.Values(seen[i][:min(len(set), len(seen[i]))]))
			if len(seen[i]) >= len(set) && !slices.Equal(first, set) || len(slices.Compact(first)) != min(len(set), len(seen[i])) {
				t.Errorf("set %d: %v before one comes again", i, first)
			}
		}
	}
	if reflect.DeepEqual(batches(0), batches(1)) || reflect.DeepEqual(batches(0), SideBySide(sets, sizes, 0, 8)(0)) {
		t.Error("another epoch or seed gives the same order")
	}
	if n := len(SideBySide(sets, sizes, 5, 7)(0)); n != 5 {
		t.Errorf("%d batches, at least 5 were asked for", n)
	}
}
