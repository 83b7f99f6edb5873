package report

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawGraph draws which earlier nodes each node takes from.
func drawGraph(t *rapid.T) [][]int {
	edges := make([][]int, rapid.IntRange(0, 14).Draw(t, "nodes"))
	for i := range edges {
		for from := range i {
			if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
				edges[i] = append(edges[i], from)
			}
		}
	}
	return edges
}

func TestLayoutKeepsNodesApartAndEdgesForward(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edges := drawGraph(t)
		l := newLayout(edges, 50)
		nodes := 0
		for c, column := range l.columns {
			for i, v := range column {
				if v.node >= 0 {
					nodes++
				}
				if v.column != c {
					t.Fatalf("a vertex of column %d stands in column %d", v.column, c)
				}
				if v.y-v.height/2 < -1e-6 || v.y+v.height/2 > l.height+1e-6 {
					t.Fatalf("a vertex at %v sticks out of the drawing of height %v", v.y, l.height)
				}
				if i > 0 {
					if gap := v.y - column[i-1].y - (v.height+column[i-1].height)/2; gap < vertexGap-1e-6 {
						t.Fatalf("neighbours are %v apart", gap)
					}
				}
			}
		}
		if nodes != len(edges) {
			t.Fatalf("%d of %d nodes are drawn", nodes, len(edges))
		}
		want := 0
		for i, from := range edges {
			for _, f := range from {
				want++
				if !slices.ContainsFunc(l.routes, func(r []*vertex) bool { return r[0].node == f && r[len(r)-1].node == i }) {
					t.Fatalf("no way from %d to %d", f, i)
				}
			}
		}
		if len(l.routes) != want {
			t.Fatalf("%d ways for %d edges", len(l.routes), want)
		}
		for _, route := range l.routes {
			for k := range route[1:] {
				if route[k+1].column != route[k].column+1 {
					t.Fatal("a way skips a column")
				}
			}
		}
	})
}

// Spreading is least squares: no single vertex, and no run of vertices that
// touch, can be moved to come nearer to what was wished.
func TestSpreadIsOptimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "vertices")
		column := make([]*vertex, n)
		wish := make([]float64, n)
		for i := range column {
			column[i] = &vertex{height: float64(rapid.IntRange(0, 40).Draw(t, "height"))}
			wish[i] = float64(rapid.IntRange(-200, 200).Draw(t, "wish"))
		}
		spread(column, wish)
		cost := func(shift float64, from, to int) float64 {
			sum := 0.0
			for i, v := range column {
				y := v.y
				if i >= from && i < to {
					y += shift
				}
				if i > 0 {
					before := column[i-1].y
					if i-1 >= from && i-1 < to {
						before += shift
					}
					if y-before < (v.height+column[i-1].height)/2+vertexGap-1e-9 {
						return math.Inf(1)
					}
				}
				sum += (y - wish[i]) * (y - wish[i])
			}
			return sum
		}
		best := cost(0, 0, 0)
		if math.IsInf(best, 1) {
			t.Fatal("vertices are too near to each other")
		}
		for from := range n {
			for to := from + 1; to <= n; to++ {
				for _, shift := range []float64{-0.5, 0.5} {
					if c := cost(shift, from, to); c < best-1e-6 {
						t.Fatalf("vertices %d to %d moved by %v: %v instead of %v", from, to, shift, c, best)
					}
				}
			}
		}
	})
}

func TestLanesAreNotShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edges := drawGraph(t)
		l := newLanes(edges)
		last := make([]int, len(edges))
		for i, from := range edges {
			last[i] = i
			for _, f := range from {
				last[f] = i
			}
		}
		for i := range edges {
			if l.lane[i] < 0 || l.lane[i] >= l.width {
				t.Fatalf("node %d has lane %d of %d", i, l.lane[i], l.width)
			}
			for j := range i {
				// The line of j passes the row of i.
				if last[j] > i && l.lane[j] == l.lane[i] {
					t.Fatalf("nodes %d and %d share lane %d", j, i, l.lane[i])
				}
			}
		}
	})
}

func TestChainStaysInOneLane(t *testing.T) {
	l := newLanes([][]int{nil, {0}, {1}, {2}})
	if l.width != 1 || !slices.Equal(l.lane, []int{0, 0, 0, 0}) {
		t.Errorf("lanes %v of %d", l.lane, l.width)
	}
}
