package kernel

import (
	"os"
	"strings"
	"testing"
)

// A round of the assembly has as many multiply-adds as are counted for it.
func TestPeakIsCounted(t *testing.T) {
	for set, lanes := range map[isa]int{avx2: 8, avx512: 16} {
		text, err := os.ReadFile("peak_" + set.String() + "_amd64.s")
		if err != nil {
			t.Fatal(err)
		}
		if set > detect() { // on other processors there is no count of it
			continue
		}
		if n := strings.Count(string(text), "VFMADD231PS"); n*lanes*2 != set.peakPerRound() {
			t.Errorf("%s: %d multiply-adds of %d numbers a round, counted as %d operations", set, n, lanes, set.peakPerRound())
		}
	}
	for _, set := range sets() {
		for _, rounds := range []int{-1, 0, 1, 5} {
			peakRounds(set, rounds)
		}
	}
	Peak(nil, 2, 3)
}
