package memory

import (
	"testing"

	"pgregory.net/rapid"
)

func TestArrange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const align = 16
		moments := 12
		var blocks []*Block
		for range rapid.IntRange(0, 20).Draw(t, "blocks") {
			first := rapid.IntRange(0, moments-1).Draw(t, "first")
			blocks = append(blocks, &Block{
				Size: rapid.IntRange(1, 100).Draw(t, "size"), First: first, Last: rapid.IntRange(first, moments-1).Draw(t, "last"),
			})
		}
		total := Arrange(blocks, align)
		sum, most := 0, 0
		for at := range moments {
			used := 0
			for _, b := range blocks {
				if b.First <= at && at <= b.Last {
					used += b.Size
				}
			}
			most = max(most, used)
		}
		for i, a := range blocks {
			sum += (a.Size + align - 1) / align * align
			if a.Offset < 0 || a.Offset%align != 0 || a.Offset+a.Size > total {
				t.Fatalf("block %+v in an arena of %d", *a, total)
			}
			for _, b := range blocks[:i] {
				if a.First <= b.Last && b.First <= a.Last && a.Offset < b.Offset+b.Size && b.Offset < a.Offset+a.Size {
					t.Fatalf("%+v and %+v overlap", *a, *b)
				}
			}
		}
		if total < most || total > sum {
			t.Fatalf("an arena of %d, of %d at once and %d in all", total, most, sum)
		}
	})
}

// TestMemoryIsShared has values that follow each other.
func TestMemoryIsShared(t *testing.T) {
	var blocks []*Block
	for i := range 10 {
		blocks = append(blocks, &Block{Size: 64, First: i, Last: i + 1})
	}
	if total := Arrange(blocks, 16); total != 128 {
		t.Errorf("an arena of %d, want 128", total)
	}
}
