package memory

import (
	"cmp"
	"slices"
)

// Block is memory that is in use for a while.
type Block struct {
	Size        int // elements
	First, Last int // moments between which it is in use, both included
	Offset      int // in the arena: what Arrange finds
}

// Arrange gives each block an offset, a multiple of align, such that those in use at the same time
// do not overlap, and returns the size of the whole: greedily by size, as in Pisarchyk and Lee 2020
// (arXiv:2001.03288).
func Arrange(blocks []*Block, align int) int {
	up := func(n int) int { return (n + align - 1) / align * align }
	bySize := slices.Clone(blocks)
	slices.SortStableFunc(bySize, func(a, b *Block) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.First, b.First))
	})
	total := 0
	var placed []*Block // by offset
	for _, b := range bySize {
		size := up(b.Size)
		b.Offset = 0
		best, found := 0, -1
		for _, other := range placed {
			if other.Last < b.First || b.Last < other.First {
				continue
			}
			if gap := other.Offset - b.Offset; gap >= size && (found < 0 || gap < found) {
				best, found = b.Offset, gap
			}
			b.Offset = max(b.Offset, up(other.Offset+other.Size))
		}
		if found >= 0 {
			b.Offset = best
		}
		total = max(total, b.Offset+size)
		at, _ := slices.BinarySearchFunc(placed, b, func(x, y *Block) int { return cmp.Compare(x.Offset, y.Offset) })
		placed = slices.Insert(placed, at, b)
	}
	return total
}
