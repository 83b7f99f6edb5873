package train

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// SideBySide gives batches that hold so many positions of each of several sets, the sets one after another: for
// [Options.Batches]. An epoch is as many batches as the first set fills, the last of them too, and at least least; of all
// sets every position comes once before one comes again, in an order that is drawn anew each time. Sets must not be empty
// where their size is above 0.
func SideBySide(sets [][]int, sizes []int, least int, seed uint64) func(epoch int) [][]int {
	return func(epoch int) [][]int {
		steps := max((len(sets[0])+sizes[0]-1)/sizes[0], least, 1)
		out := make([][]int, steps)
		for i, set := range sets {
			var queue []int
			for turn := 0; len(queue) < steps*sizes[i]; turn++ {
				for _, at := range Shuffled(len(set), seed, epoch, fmt.Sprintf("set %d, turn %d, side by side", i, turn)) {
					queue = append(queue, set[at])
				}
			}
			for step := range out {
				out[step] = append(out[step], queue[step*sizes[i]:(step+1)*sizes[i]]...)
			}
		}
		return out
	}
}

// Shuffled is 0 … n−1 in the order that the seed, the epoch and a name decide.
func Shuffled(n int, seed uint64, epoch int, name string) []int {
	return source{graph.Draw{Seed: seed, Epoch: epoch}.Stream(name)}.shuffled(n)
}
