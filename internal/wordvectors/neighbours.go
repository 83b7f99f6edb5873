package wordvectors

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// Neighbours finds the words whose vectors are nearest, by cosine. It may be used by several goroutines.
type Neighbours struct {
	table  *Table
	most   int // words that are considered: the first of the table
	unit   []float32
	mu     sync.Mutex
	ranked map[int][]int
}

// NewNeighbours is of the first words of a table of words.
func NewNeighbours(t *Table, most int) *Neighbours {
	n := &Neighbours{table: t, most: min(most, t.Len()), ranked: map[int][]int{}}
	n.unit = make([]float32, n.most*t.Width)
	for i := range n.most {
		x, sum := t.Vector(i), 0.0
		for _, v := range x {
			sum += float64(float64(v) * float64(v))
		}
		for j, v := range x {
			if sum > 0 {
				n.unit[i*t.Width+j] = float32(float64(v) / math.Sqrt(sum))
			}
		}
	}
	return n
}

// nearest is how many neighbours a word has.
const nearest = 5

// Of returns the places of the nearest words to one, the nearest first; none for a word that is not considered.
func (n *Neighbours) Of(place int) []int {
	if place < 0 || place >= n.most {
		return nil
	}
	n.mu.Lock()
	found, ok := n.ranked[place]
	n.mu.Unlock()
	if ok {
		return found
	}
	width := n.table.Width
	own := n.unit[place*width : (place+1)*width]
	type near struct {
		place  int
		cosine float64
	}
	var best []near
	for i := range n.most {
		if i == place {
			continue
		}
		cosine := 0.0
		for j, x := range n.unit[i*width : (i+1)*width] {
			cosine += float64(float64(x) * float64(own[j]))
		}
		if len(best) < nearest || cosine > best[len(best)-1].cosine {
			at, _ := slices.BinarySearchFunc(best, cosine, func(b near, c float64) int { return cmp.Compare(c, b.cosine) })
			best = slices.Insert(best, at, near{i, cosine})
			best = best[:min(len(best), nearest)]
		}
	}
	for _, b := range best {
		found = append(found, b.place)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ranked[place] = found
	return found
}
