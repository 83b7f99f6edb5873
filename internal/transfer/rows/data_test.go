package rows

import (
	"slices"
	"testing"
)

func TestEpochsWalkThroughCopies(t *testing.T) {
	d := &Data{Training: Examples{Copies: []int{0, 1, 2, 0, 1, 2}, Classes: make([]int, 6)}}
	if d.Sample(0) != nil {
		t.Error("all copies are a choice")
	}
	walk := d.Sample(2)
	for epoch, want := range [][]int{{0, 3}, {1, 4}, {0, 3}} {
		if got := walk(epoch); !slices.Equal(got, want) {
			t.Errorf("epoch %d: rows %v, want %v", epoch, got, want)
		}
	}
	if got := d.Sample(9)(3); !slices.Equal(got, []int{0, 3}) { // there are but three copies
		t.Errorf("rows %v", got)
	}
}

// Copies are of their picture wherever they stand: augment puts them behind the pictures of a chunk.
func TestPicturesOfCopies(t *testing.T) {
	var e Examples
	for _, id := range []string{"a", "b", "c", "a", "b", "c", "d", "d"} {
		e.Of = append(e.Of, pictureOf(0, id))
	}
	if got, want := e.Pictures([]int{0, 3, 1, 4, 7}), []int{0, 0, 1, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if pictureOf(0, "a") == pictureOf(1, "a") {
		t.Error("two domains share a picture")
	}
}
