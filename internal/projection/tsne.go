package projection

import (
	"context"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Options are the settings of t-SNE. What is 0 has its default.
type Options struct {
	Perplexity float64 // about how many neighbours a row has; 30, at most a third of the other rows
	Iterations int     // 750
	Exact      int     // up to so many rows all pairs are computed, of more the method of Barnes and Hut; 1000
	Seed       uint64  // of the small numbers that tell equal rows apart
	Threads    int
}

// TSNE is t-distributed stochastic neighbour embedding (van der Maaten and Hinton 2008): exact for few rows, for more with the 3 ·
// perplexity nearest neighbours of each and a quadtree of angle 0.5 (van der Maaten 2014). It starts from the first two principal
// components (Kobak and Berens 2019), so the seed changes little. Rows of more than 50 numbers are first reduced to 50 principal
// components. It ends early with the error of ctx.
func TSNE(ctx context.Context, values []float32, width int, o Options) ([]Point, error) {
	if err := check(values, width); err != nil {
		return nil, err
	}
	n := len(values) / width
	if n < 3 {
		points, _, err := PCA(values, width, o.Threads)
		return points, err
	}
	if o.Perplexity <= 0 {
		o.Perplexity = 30
	}
	if o.Iterations <= 0 {
		o.Iterations = 750
	}
	if o.Exact <= 0 {
		o.Exact = 1000
	}
	pool := kernel.NewPool(max(o.Threads, 1))
	defer pool.Close()
	const most = 50
	x, squares, _ := principal(pool, values, width, most)
	k := len(squares)
	e := &embedding{pool: pool, n: n, exact: n <= o.Exact}
	if err := e.similarities(ctx, x, k, min(o.Perplexity, float64(n-1)/3)); err != nil {
		return nil, err
	}
	// The first component has the standard deviation 10⁻⁴.
	e.points = make([]Point, n)
	scale := 1e-4 / math.Max(math.Sqrt(squares[0]/float64(n)), 1e-300)
	state := o.Seed
	for i := range e.points {
		e.points[i].X = x[i*k]*scale + 1e-8*uniform(&state)
		if k > 1 {
			e.points[i].Y = x[i*k+1] * scale
		}
		e.points[i].Y += 1e-8 * uniform(&state)
	}
	if err := e.descend(ctx, o.Iterations); err != nil {
		return nil, err
	}
	return e.points, nil
}

// embedding is a map in the making.
type embedding struct {
	pool   *kernel.Pool
	n      int
	exact  bool
	points []Point

	// Similarities p_ij of row i: to all rows if exact, else to those in to[i].
	p  [][]float64
	to [][]int
}

// similarities fills in p, with 1 in sum: p_ij = (p_j|i + p_i|j)/2n, of Gaussians whose widths give each row the perplexity.
func (e *embedding) similarities(ctx context.Context, x []float64, k int, perplexity float64) error {
	n := e.n
	near := n - 1
	if !e.exact {
		near = min(near, int(3*perplexity))
	}
	conditional, to := make([][]float64, n), make([][]int, n)
	e.pool.Each(n, func(_, i int) {
		if ctx.Err() != nil {
			return
		}
		type neighbour struct {
			row      int
			distance float64
		}
		all := make([]neighbour, 0, n-1)
		for j := range n {
			if j == i {
				continue
			}
			d := 0.0
			for c := range k {
				v := x[i*k+c] - x[j*k+c]
				d += v * v
			}
			all = append(all, neighbour{j, d})
		}
		if !e.exact {
			slices.SortFunc(all, func(a, b neighbour) int {
				switch {
				case a.distance != b.distance:
					if a.distance < b.distance {
						return -1
					}
					return 1
				}
				return a.row - b.row
			})
			all = all[:near]
			slices.SortFunc(all, func(a, b neighbour) int { return a.row - b.row })
		}
		distances := make([]float64, len(all))
		for j, o := range all {
			distances[j] = o.distance
			to[i] = append(to[i], o.row)
		}
		conditional[i] = gaussian(distances, perplexity)
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	e.p, e.to = make([][]float64, n), make([][]int, n)
	norm := 1 / float64(2*n)
	if e.exact {
		for i := range n {
			e.p[i] = make([]float64, n)
		}
		for i := range n {
			for j, other := range to[i] {
				e.p[i][other] += norm * conditional[i][j]
				e.p[other][i] += norm * conditional[i][j]
			}
		}
		return nil
	}
	sums := make([]map[int]float64, n)
	for i := range n {
		sums[i] = map[int]float64{}
	}
	for i := range n {
		for j, other := range to[i] {
			sums[i][other] += norm * conditional[i][j]
			sums[other][i] += norm * conditional[i][j]
		}
	}
	for i, sum := range sums {
		for j := range sum {
			e.to[i] = append(e.to[i], j)
		}
		slices.Sort(e.to[i])
		for _, j := range e.to[i] {
			e.p[i] = append(e.p[i], sum[j])
		}
	}
	return nil
}

// gaussian returns shares by exp(−β d), with β such that the entropy is the logarithm of the perplexity.
func gaussian(distances []float64, perplexity float64) []float64 {
	want := math.Log(perplexity)
	least := slices.Min(distances)
	beta, low, high := 1.0, 0.0, math.Inf(1)
	if mean := average(distances) - least; mean > 0 {
		beta = 1 / mean
	}
	p := make([]float64, len(distances))
	for range 100 {
		sum, weighted := 0.0, 0.0
		for j, d := range distances {
			p[j] = math.Exp(-beta * (d - least))
			sum += p[j]
			weighted += p[j] * (d - least)
		}
		entropy := math.Log(sum) + beta*weighted/sum
		for j := range p {
			p[j] /= sum
		}
		if math.Abs(entropy-want) < 1e-5 {
			break
		}
		if entropy > want {
			low = beta
			if math.IsInf(high, 1) {
				beta *= 2
			} else {
				beta = (beta + high) / 2
			}
		} else {
			high = beta
			beta = (beta + low) / 2
		}
		if beta > 1e300 { // equal distances: nothing makes them differ
			break
		}
	}
	return p
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v / float64(len(values))
	}
	return sum
}

// descend moves the points: gradient descent with momentum and a gain for each coordinate. In the first third similarities count
// twelvefold, so that groups form.
func (e *embedding) descend(ctx context.Context, iterations int) error {
	const exaggeration = 12
	rate := max(float64(e.n)/exaggeration/4, 50)
	velocity, gains := make([]Point, e.n), make([]Point, e.n)
	for i := range gains {
		gains[i] = Point{1, 1}
	}
	for step := range iterations {
		if err := ctx.Err(); err != nil {
			return err
		}
		factor, momentum := 1.0, 0.8
		if step < iterations/3 {
			factor, momentum = exaggeration, 0.5
		}
		gradient := e.gradient(factor)
		var centre Point
		for i := range e.points {
			move := func(at, v, gain *float64, g float64) {
				if (g > 0) != (*v > 0) {
					*gain += 0.2
				} else {
					*gain = max(*gain*0.8, 0.01)
				}
				*v = momentum**v - rate**gain*g
				*at += *v
			}
			move(&e.points[i].X, &velocity[i].X, &gains[i].X, gradient[i].X)
			move(&e.points[i].Y, &velocity[i].Y, &gains[i].Y, gradient[i].Y)
			centre.X += e.points[i].X / float64(e.n)
			centre.Y += e.points[i].Y / float64(e.n)
		}
		for i := range e.points {
			e.points[i].X -= centre.X
			e.points[i].Y -= centre.Y
		}
	}
	return nil
}

// gradient of the divergence between the similarities, times a factor, and those of the points.
func (e *embedding) gradient(factor float64) []Point {
	attract, repel, weights := make([]Point, e.n), make([]Point, e.n), make([]float64, e.n)
	var tree *quadrant
	if !e.exact {
		tree = plant(e.points)
	}
	e.pool.Each(e.n, func(_, i int) {
		at := e.points[i]
		if e.exact {
			for j, other := range e.points {
				if j == i {
					continue
				}
				dx, dy := at.X-other.X, at.Y-other.Y
				w := 1 / (1 + dx*dx + dy*dy)
				weights[i] += w
				pull := e.p[i][j] * w
				attract[i].X += pull * dx
				attract[i].Y += pull * dy
				repel[i].X += w * w * dx
				repel[i].Y += w * w * dy
			}
			return
		}
		for j, other := range e.to[i] {
			dx, dy := at.X-e.points[other].X, at.Y-e.points[other].Y
			pull := e.p[i][j] / (1 + dx*dx + dy*dy)
			attract[i].X += pull * dx
			attract[i].Y += pull * dy
		}
		weights[i] = tree.repel(at, &repel[i]) - 1 // less the point itself
	})
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for i := range attract {
		attract[i].X = 4 * (factor*attract[i].X - repel[i].X/sum)
		attract[i].Y = 4 * (factor*attract[i].Y - repel[i].Y/sum)
	}
	return attract
}

// quadrant is a square of the plane, divided in four if several points are in it.
type quadrant struct {
	low, side float64 // its left border and side
	bottom    float64
	count     float64
	sum       Point // of the points in it
	only      Point // while there is one place
	parts     *[4]*quadrant
}

// plant makes the tree of points.
func plant(points []Point) *quadrant {
	low, high := points[0], points[0]
	for _, p := range points {
		low.X, low.Y = min(low.X, p.X), min(low.Y, p.Y)
		high.X, high.Y = max(high.X, p.X), max(high.Y, p.Y)
	}
	root := &quadrant{low: low.X, bottom: low.Y, side: max(high.X-low.X, high.Y-low.Y) + 1e-12}
	for _, p := range points {
		root.add(p, 0)
	}
	return root
}

// mostDepth ends the division of squares whose points are as good as one.
const mostDepth = 48

func (q *quadrant) add(p Point, depth int) {
	q.count++
	q.sum.X += p.X
	q.sum.Y += p.Y
	switch {
	case q.count == 1:
		q.only = p
		return
	case q.parts == nil && (q.only == p || depth >= mostDepth):
		return
	case q.parts == nil:
		q.parts = &[4]*quadrant{}
		copies := q.count - 1
		part := q.part(q.only)
		part.only, part.count = q.only, copies
		part.sum = Point{q.sum.X - p.X, q.sum.Y - p.Y}
	}
	q.part(p).add(p, depth+1)
}

// part is the part of a place.
func (q *quadrant) part(p Point) *quadrant {
	half, at := q.side/2, 0
	low, bottom := q.low, q.bottom
	if p.X >= low+half {
		at, low = 1, low+half
	}
	if p.Y >= bottom+half {
		at, bottom = at+2, bottom+half
	}
	if q.parts[at] == nil {
		q.parts[at] = &quadrant{low: low, bottom: bottom, side: half}
	}
	return q.parts[at]
}

// repel adds what pushes a point away, and returns the sum of the weights. A square that is seen under a small angle counts as one.
func (q *quadrant) repel(at Point, force *Point) (weights float64) {
	const angle = 0.5
	dx, dy := at.X-q.sum.X/q.count, at.Y-q.sum.Y/q.count
	d := dx*dx + dy*dy
	if q.parts == nil || q.side*q.side < angle*angle*d {
		w := 1 / (1 + d)
		force.X += q.count * w * w * dx
		force.Y += q.count * w * w * dy
		return q.count * w
	}
	for _, part := range q.parts {
		if part != nil {
			weights += part.repel(at, force)
		}
	}
	return weights
}

// uniform is a number in −1 … 1 (SplitMix64).
func uniform(state *uint64) float64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64(int64(z^z>>31)) / (1 << 63)
}
