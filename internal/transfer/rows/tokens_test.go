package rows

import (
	"slices"
	"testing"
)

// Batches are padded to a multiple of 16 tokens, as far as the network has positions; texts are never cut.
func TestPaddingKeepsWithinThePositions(t *testing.T) {
	texts := sequences{tokens: [][]int32{make([]int32, 3), make([]int32, 16), make([]int32, 20), make([]int32, 33)}}
	for _, c := range []struct {
		positions  []int
		most, want int
	}{
		{[]int{0}, 0, 16},
		{[]int{0, 1}, 0, 16},
		{[]int{0, 2}, 0, 32},
		{[]int{0, 2}, 512, 32},
		{[]int{0, 2}, 32, 32},
		{[]int{0, 2}, 24, 24},
		{[]int{0, 2}, 20, 20},
		{[]int{0}, 12, 12},
		{[]int{3}, 24, 33}, // too long for the network, which refuses it
		{nil, 0, 16},
	} {
		if got := texts.Lengths(c.positions, c.most); !slices.Equal(got, []int{c.want}) {
			t.Errorf("texts %v, %d positions: %v, want %d", c.positions, c.most, got, c.want)
		}
	}
}
