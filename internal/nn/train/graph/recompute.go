package graph

// segments are where the layers of a graph are divided, so that the values within a part can be given up and computed once
// more, from those that lead into the part, when its gradients are due: gradient checkpointing (Chen et al., arXiv:1604.06174).
// With n parts about 1/n of the values and those at the borders take memory at once, for at most one more forward pass.
type segments struct {
	ends   []int // numbers of operations: the last of each part but the last part
	within int   // how many of the parts, the first ones, are computed again
}

// parts are the numbers of parts that are tried, the least first: one part at least is not computed again.
var parts = [...]int{2, 3, 4, 6, 8, 12, 16, 24, 32, 48}

// planWithin is plan, with as few parts computed again as the limit asks for, in elements; no limit if 0. If nothing comes down
// to the limit, it is the plan that takes least.
func (g *Graph) planWithin(kept []*Node, limit int) (steps []*step, arena int, places map[*Node]*place) {
	steps, arena, places = g.plan(kept, segments{})
	if limit <= 0 || arena <= limit || g.forward == 0 {
		return steps, arena, places
	}
	best, least := segments{}, arena
	for _, n := range parts {
		s := g.divide(n)
		s.within = len(s.ends)
		if _, takes, _ := g.plan(kept, s); takes < least {
			best, least = s, takes
		}
		if least <= limit {
			break
		}
	}
	for best.within > 1 { // the last parts are not given up for longer than it takes to compute them again
		fewer := segments{best.ends, best.within - 1}
		if _, takes, _ := g.plan(kept, fewer); takes > max(limit, least) {
			break
		}
		best = fewer
	}
	return g.plan(kept, best)
}

// divide finds n parts of about equal memory, between operations where few values cross.
func (g *Graph) divide(n int) segments {
	last := map[*Node]int{} // operation of the layers that reads a value last
	for _, o := range g.operations[:g.forward] {
		for _, in := range o.reads() {
			last[in] = o.number
		}
	}
	crossing, total := make([]int, g.forward), 0 // elements that later layers read, after each operation, and all up to there
	upTo := make([]int, g.forward)
	for i, o := range g.operations[:g.forward] {
		size := o.output.TotalSize()
		total += size
		upTo[i] = total
		for k := i; k < last[o.node]; k++ {
			crossing[k] += size
		}
	}
	var s segments
	for p := 1; p < n; p++ {
		best := -1
		for i := range g.forward {
			// Within half a part of where the border should be.
			if at := 2 * n * upTo[i]; at < (2*p-1)*total || at > (2*p+1)*total {
				continue
			}
			if best < 0 || crossing[i] < crossing[best] {
				best = i
			}
		}
		if best >= 0 && (len(s.ends) == 0 || best > s.ends[len(s.ends)-1]) {
			s.ends = append(s.ends, best)
		}
	}
	return s
}

// giveUp drops the values of the parts that are computed again, but those that lead from part to part.
func (p *planner) giveUp(s segments) {
	begin := 0
	for _, end := range s.ends[:s.within] {
		for _, o := range p.graph.operations[begin : end+1] {
			if o.output.TotalSize() == 1 {
				continue // a loss: its function is called once a run
			}
			if p.lastForward[o.node] <= end && !p.kept[o.node] {
				p.dropped[o.node] = true
			}
		}
		begin = end + 1
	}
}
