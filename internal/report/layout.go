package report

import (
	"cmp"
	"slices"
)

// A layered drawing after Sugiyama, Tagawa and Toda (1981): nodes in columns
// by their longest way from a source, columns sorted by the mean place of
// their neighbours, heights by least squares under a least distance.

// vertex is a node in the layout, or a bend of an edge that passes a column.
type vertex struct {
	node   int // index into the nodes laid out; -1 for a bend
	column int
	height float64
	y      float64 // of the centre
	before []*vertex
	after  []*vertex
}

// layout is a drawing in columns. A route is the way of an edge: its node,
// the bends, the node it leads to.
type layout struct {
	columns [][]*vertex
	routes  [][]*vertex
	height  float64
}

// vertexGap is the least distance between neighbours in a column.
const vertexGap = 16

// newLayout lays out nodes of the given height; edges[i] lists the nodes that
// node i takes from, all before it.
func newLayout(edges [][]int, height float64) layout {
	var l layout
	vertices := make([]*vertex, len(edges))
	for i, from := range edges {
		v := &vertex{node: i, height: height}
		for _, f := range from {
			v.column = max(v.column, vertices[f].column+1)
		}
		vertices[i] = v
		l.put(v)
	}
	for i, from := range edges {
		for _, f := range from {
			route := []*vertex{vertices[f]}
			for column := vertices[f].column + 1; column < vertices[i].column; column++ {
				bend := &vertex{node: -1, column: column}
				l.put(bend)
				route = append(route, bend)
			}
			route = append(route, vertices[i])
			for k := range route[1:] {
				route[k].after = append(route[k].after, route[k+1])
				route[k+1].before = append(route[k+1].before, route[k])
			}
			l.routes = append(l.routes, route)
		}
	}
	l.order()
	l.place()
	return l
}

func (l *layout) put(v *vertex) {
	for len(l.columns) <= v.column {
		l.columns = append(l.columns, nil)
	}
	l.columns[v.column] = append(l.columns[v.column], v)
}

// order sorts each column by the mean place of its neighbours, to and fro.
func (l *layout) order() {
	place := map[*vertex]float64{}
	number := func(column []*vertex) {
		for i, v := range column {
			place[v] = float64(i) - float64(len(column)-1)/2
		}
	}
	for _, column := range l.columns {
		number(column)
	}
	sort := func(column []*vertex, neighbours func(*vertex) []*vertex) {
		wish := map[*vertex]float64{}
		for _, v := range column {
			wish[v] = meanOf(neighbours(v), func(n *vertex) float64 { return place[n] }, place[v])
		}
		slices.SortStableFunc(column, func(a, b *vertex) int { return cmp.Compare(wish[a], wish[b]) })
		number(column)
	}
	for range 4 {
		for _, column := range l.columns {
			sort(column, func(v *vertex) []*vertex { return v.before })
		}
		for _, column := range slices.Backward(l.columns) {
			sort(column, func(v *vertex) []*vertex { return v.after })
		}
	}
}

// place chooses heights: each vertex as near to its neighbours' mean as the
// column's order and distances allow.
func (l *layout) place() {
	for _, column := range l.columns {
		spread(column, make([]float64, len(column)))
	}
	adjust := func(column []*vertex, neighbours func(*vertex) []*vertex) {
		wish := make([]float64, len(column))
		for i, v := range column {
			wish[i] = meanOf(neighbours(v), func(n *vertex) float64 { return n.y }, v.y)
		}
		spread(column, wish)
	}
	both := func(v *vertex) []*vertex { return slices.Concat(v.before, v.after) }
	for range 6 {
		for _, column := range l.columns {
			adjust(column, func(v *vertex) []*vertex { return v.before })
		}
		for _, column := range slices.Backward(l.columns) {
			adjust(column, func(v *vertex) []*vertex { return v.after })
		}
	}
	for range 3 {
		for _, column := range l.columns {
			adjust(column, both)
		}
	}
	top, bottom := 0.0, 0.0
	for _, column := range l.columns {
		for _, v := range column {
			top = min(top, v.y-v.height/2)
			bottom = max(bottom, v.y+v.height/2)
		}
	}
	for _, column := range l.columns {
		for _, v := range column {
			v.y -= top
		}
	}
	l.height = bottom - top
}

// spread sets the heights of a column to the wished ones, moved apart as
// little as possible in the sense of least squares. With each vertex's least
// offset subtracted this is an isotonic regression, solved by pooling
// neighbours that are in the wrong order.
func spread(column []*vertex, wish []float64) {
	type pool struct {
		sum   float64
		count int
	}
	var pools []pool
	offset := make([]float64, len(column))
	for i, v := range column {
		if i > 0 {
			offset[i] = offset[i-1] + (column[i-1].height+v.height)/2 + vertexGap
		}
		pools = append(pools, pool{wish[i] - offset[i], 1})
		for n := len(pools); n > 1 && pools[n-2].sum*float64(pools[n-1].count) > pools[n-1].sum*float64(pools[n-2].count); n-- {
			pools[n-2].sum += pools[n-1].sum
			pools[n-2].count += pools[n-1].count
			pools = pools[:n-1]
		}
	}
	i := 0
	for _, p := range pools {
		for range p.count {
			column[i].y = p.sum/float64(p.count) + offset[i]
			i++
		}
	}
}

func meanOf(vs []*vertex, value func(*vertex) float64, otherwise float64) float64 {
	if len(vs) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, v := range vs {
		sum += value(v)
	}
	return sum / float64(len(vs))
}

// lanes is a drawing as one row a node, like a history of commits: each node
// has a lane, which stays its own until its last successor is drawn.
type lanes struct {
	lane  []int
	width int // number of lanes
}

func newLanes(edges [][]int) lanes {
	last := make([]int, len(edges)) // the last node that takes from each
	for i := range last {
		last[i] = i
	}
	for i, from := range edges {
		for _, f := range from {
			last[f] = max(last[f], i)
		}
	}
	l := lanes{lane: make([]int, len(edges))}
	var owner []int // of each lane: the node it belongs to, -1 if free
	for i, from := range edges {
		for lane, o := range owner {
			if o >= 0 && last[o] < i {
				owner[lane] = -1
			}
		}
		at := -1
		for _, f := range from {
			// Going on straight below a node that nothing else takes from.
			if last[f] == i && (at < 0 || l.lane[f] < at) {
				at = l.lane[f]
			}
		}
		if at < 0 {
			at = slices.Index(owner, -1)
		}
		if at < 0 {
			at = len(owner)
			owner = append(owner, -1)
		}
		for lane, o := range owner {
			if o >= 0 && last[o] == i {
				owner[lane] = -1
			}
		}
		owner[at] = i
		l.lane[i] = at
	}
	l.width = len(owner)
	return l
}
