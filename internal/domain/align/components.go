package align

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// tca is transfer component analysis (Pan, Tsang, Kwok and Yang 2011) in its linear form: the directions w of the largest
// wᵀSw / wᵀ(D+λ)w, of the scatter S of all rows and the discrepancy D of the domains' means. Components have variance 1 in sum over
// all rows (wᵀSw = 1).
func tca() Method {
	return Method{
		Name: "tca", Summary: "keeps the directions in which rows vary and the domains' means differ little", Takes: []string{"components", "penalty"},
		fit: func(_ context.Context, t *task) (domain.Alignment, error) {
			c := newComponents(t, orDefault(t.Components, 20))
			map1, err := c.find(nil, nil)
			return domain.Alignment{Source: map1, Target: map1}, err
		},
	}
}

// jda is joint distribution adaptation (Long, Wang, Ding, Sun and Yu 2013), linear: as tca, but D is the sum of the discrepancies of
// the domains' means and of the means of each class. Target rows are labelled by what was found before, in rounds. Classes that
// no target row is labelled with add nothing.
func jda() Method {
	return Method{
		Name: "jda", Summary: "as tca, with the means of classes as well, of target rows that it labels itself in rounds", Takes: []string{"components", "penalty", "rounds"},
		Labels: true,
		fit: func(ctx context.Context, t *task) (domain.Alignment, error) {
			c := newComponents(t, orDefault(t.Components, 100))
			label := t.Label
			if label == nil {
				label = nearest(t.pool)
			}
			var out domain.Alignment
			var labels []int
			for range orDefault(t.Rounds, 10) {
				if err := ctx.Err(); err != nil {
					return out, err
				}
				common, err := c.find(t.source.Classes, labels)
				if err != nil {
					return out, err
				}
				out.Source, out.Target = common, common
				source := domain.Labelled{Features: Apply(t.pool, common, t.source.Features), Classes: t.source.Classes, Count: t.source.Count}
				now, err := label(ctx, source, Apply(t.pool, common, t.target))
				if err != nil {
					return out, fmt.Errorf("label the target: %w", err)
				}
				if len(now) != t.target.Rows() {
					return out, fmt.Errorf("label the target: %d labels for %d rows", len(now), t.target.Rows())
				}
				changed := 1.0
				if labels != nil {
					differ := 0
					for i := range now {
						if now[i] != labels[i] {
							differ++
						}
					}
					changed = float64(differ) / float64(len(now))
				}
				out.Rounds = append(out.Rounds, domain.Round{Changed: changed})
				if labels = now; changed == 0 {
					break
				}
			}
			return out, nil
		},
	}
}

// components finds directions in the space of a task.
type components struct {
	*space
	task    *task
	k       int
	scatter []float64 // of all rows, [dims][dims]
}

func newComponents(t *task, k int) *components {
	s := newSpace(t)
	c := &components{space: s, task: t, k: min(k, s.dims), scatter: make([]float64, s.dims*s.dims)}
	origin := make([]float64, s.dims) // the mean of all rows
	s.addScatter(c.scatter, &s.source, origin)
	s.addScatter(c.scatter, &s.target, origin)
	return c
}

// find solves S w = φ (D+λ) w. D is ΔᵀΔ of few rows, so (D+λ)^−½ is the identity, scaled, but in their span.
func (c *components) find(source, target []int) (domain.Affine, error) {
	n := c.dims
	if n > mostDims {
		return domain.Affine{}, fmt.Errorf("%d features: at most %d", n, mostDims)
	}
	penalty := orDefault(c.task.Penalty, 1)
	deltas := c.deltas(source, target)
	few := len(deltas) / n
	// The span of the rows of Δ, by the eigenvectors of ΔΔᵀ.
	products := make([]float64, few*few)
	for i := range few {
		for j := range few {
			products[i*few+j] = vector.Dot(deltas[i*n:(i+1)*n], deltas[j*n:(j+1)*n])
		}
	}
	sizes, weights := eigen.Symmetric(c.pool, products, few)
	var axes, shrink []float64 // orthonormal rows; (D+λ)^−½ along them, less that elsewhere
	rest := 1 / math.Sqrt(penalty)
	for i, size := range sizes {
		if size <= negligible*sizes[0] || size == 0 {
			break
		}
		axis := make([]float64, n)
		for j := range few {
			vector.Axpy(weights[i*few+j]/math.Sqrt(size), deltas[j*n:(j+1)*n], axis)
		}
		axes = append(axes, axis...)
		shrink = append(shrink, 1/math.Sqrt(size+penalty)-rest)
	}
	// B = (D+λ)^−½ is applied from both sides to S.
	half := slices.Clone(c.scatter)
	c.shrinkRows(half, axes, shrink, rest)
	transpose(half, n)
	c.shrinkRows(half, axes, shrink, rest)
	values, vectors := eigen.Leading(c.pool, half, n, c.k)
	k := len(values)
	c.shrinkRows(vectors, axes, shrink, rest)
	for i := range k {
		// wᵀSw = 1: the vectors have length 1, so wᵀSw is the eigenvalue.
		row := vectors[i*n : (i+1)*n]
		if values[i] > negligible*values[0] {
			scale(row, 1/math.Sqrt(values[i]))
		} else {
			clear(row)
		}
	}
	return c.affine(vectors, k, nil, nil), nil
}

// shrinkRows multiplies each row by B.
func (c *components) shrinkRows(rows, axes, shrink []float64, rest float64) {
	n := c.dims
	c.pool.Each(len(rows)/n, func(_, i int) {
		row := rows[i*n : (i+1)*n]
		along := make([]float64, len(shrink))
		for a := range shrink {
			along[a] = shrink[a] * vector.Dot(axes[a*n:(a+1)*n], row)
		}
		scale(row, rest)
		for a, v := range along {
			vector.Axpy(v, axes[a*n:(a+1)*n], row)
		}
	})
}

func transpose(a []float64, n int) {
	for i := range n {
		for j := range i {
			a[i*n+j], a[j*n+i] = a[j*n+i], a[i*n+j]
		}
	}
}

// deltas are the rows of Δ: the differences of the means, weighted. As the authors' programs do, the matrix of weights of rows,
// Σ e eᵀ with 1/n_s and −1/n_t, is divided by its Frobenius norm; and with classes, the domains' own term counts as often as there
// are classes.
func (c *components) deltas(source, target []int) []float64 {
	n := c.dims
	classes := 0
	for _, class := range source {
		classes = max(classes, class+1)
	}
	present := make([]bool, classes) // in the source: how many classes the authors count
	for _, class := range source {
		if class >= 0 {
			present[class] = true
		}
	}
	known := 1
	if target != nil || source != nil {
		known = 0
		for _, p := range present {
			if p {
				known++
			}
		}
		known = max(known, 1)
	}
	difference := make([]float64, n)
	for j := range difference {
		difference[j] = math.Sqrt(float64(known)) * (c.source.mean[j] - c.target.mean[j])
	}
	sn, tn := float64(c.source.rows()), float64(c.target.rows())
	// Inner products of the e: of the domains' own with itself and with those of classes, of classes with themselves.
	own := 1/sn + 1/tn
	square := float64(known) * float64(known) * own * own
	out := difference
	if target != nil {
		means := func(p *points, labels []int) (sums [][]float64, counts []float64) {
			sums, counts = make([][]float64, classes), make([]float64, classes)
			row := make([]float64, n)
			for i, class := range labels {
				if class < 0 || class >= classes {
					continue
				}
				if sums[class] == nil {
					sums[class] = make([]float64, n)
				}
				p.at(i, row)
				vector.Axpy(1, row, sums[class])
				counts[class]++
			}
			return sums, counts
		}
		a, sc := means(&c.source, source)
		b, tc := means(&c.target, target)
		for class := range classes {
			if sc[class] == 0 || tc[class] == 0 {
				continue
			}
			delta := make([]float64, n)
			vector.Axpy(1/sc[class], a[class], delta)
			vector.Axpy(-1/tc[class], b[class], delta)
			out = append(out, delta...)
			self := 1/sc[class] + 1/tc[class]
			square += self*self + 2*float64(known)*own*own
		}
	}
	scale(out, math.Pow(square, -0.25))
	return out
}

func scale(v []float64, by float64) {
	for i := range v {
		v[i] *= by
	}
}

// Apply maps rows, as a.Apply does, with the kernels' products.
func Apply(pool *kernel.Pool, a domain.Affine, x domain.Features) domain.Features {
	if a.Identity() {
		return x
	}
	n := x.Rows()
	out := domain.Features{Width: a.Out, Values: make([]float32, n*a.Out)}
	for i := range n {
		copy(out.Values[i*a.Out:], a.Bias)
	}
	kernel.Gemm(pool, false, true, n, a.Out, a.In, 1, x.Values, x.Width, a.Weights, a.In, 1, out.Values, a.Out, nil)
	return out
}

// nearest labels a row with the class of the nearest row of the source.
func nearest(pool *kernel.Pool) func(context.Context, domain.Labelled, domain.Features) ([]int, error) {
	return func(ctx context.Context, source domain.Labelled, target domain.Features) ([]int, error) {
		const block = 64
		width, n := source.Width, source.Rows()
		lengths := make([]float64, n)
		pool.Each(n, func(_, i int) {
			for _, v := range source.Row(i) {
				lengths[i] += float64(v) * float64(v)
			}
		})
		out := make([]int, target.Rows())
		products := make([]float32, block*n)
		var workspace kernel.Workspace
		for from := 0; from < len(out); from += block {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			rows := min(block, len(out)-from)
			kernel.Gemm(pool, false, true, rows, n, width, 1, target.Values[from*width:], width, source.Values, width, 0, products, n, &workspace)
			pool.Each(rows, func(_, i int) {
				best, least := domain.Unknown, math.Inf(1)
				for j, p := range products[i*n : (i+1)*n] {
					if d := lengths[j] - 2*float64(p); source.Classes[j] >= 0 && d < least {
						best, least = source.Classes[j], d
					}
				}
				out[from+i] = best
			})
		}
		return out, nil
	}
}
