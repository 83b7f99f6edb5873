package shallow

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// mostLeftOut is how many unknowns ridge's equations may have for leaving rows out in closed form, which takes their eigenvectors.
const mostLeftOut = 2048

// leaveOut are the outputs of ridge on each training row, fitted to the others: exactly those of as many fits, without
// fitting again (Allen's PRESS; Hastie, Tibshirani and Friedman 2009, 7.10). Rows of one group are left out together.
//
// Ridge is a linear smoother: its outputs are H·targets with H = 11ᵀ/n + Z(ZᵀZ+λ)⁻¹Zᵀ, Z the centred rows. For a group g, what
// the fit without it errs by is (I−H)_gg⁻¹ times what the fit with it errs by. H follows for every λ from one decomposition into
// eigenvectors, of ZᵀZ or ZZᵀ, whichever is smaller.
type leaveOut struct {
	n, classes int
	targets    []float64 // [rows][classes], centred
	mean       []float64 // of the targets
	groups     [][]int

	values []float64 // eigenvalues [m]
	turned []float64 // [rows][m]: the rows along the eigenvectors; of ZZᵀ, these themselves, of length 1
	dual   bool      // of ZZᵀ
}

// newLeaveOut returns nil where there is too much to decompose, or nothing that could be left out.
func (t *task) newLeaveOut() (*leaveOut, error) {
	rows, n, width := t.training, t.training.Len(), t.training.Width
	l := &leaveOut{n: n, classes: t.classes, dual: n < width, groups: grouped(t.Groups, n)}
	if min(n, width) > mostLeftOut || len(l.groups) < 2 {
		return nil, nil
	}
	_, shares := classMeans(Rows{Classes: rows.Classes}, t.classes)
	for i, class := range rows.Classes {
		for _, share := range shares {
			l.targets = append(l.targets, -2*share)
			if i == 0 {
				l.mean = append(l.mean, 2*share-1)
			}
		}
		l.targets[i*t.classes+class] += 2
	}
	mean := meansOf(rows)
	if l.dual {
		values, vectors := eigen.Symmetric(t.pool, full(t.inner(rows, mean)), n)
		l.values, l.turned = values, make([]float64, n*n)
		for j := range n {
			for i := range n {
				l.turned[i*n+j] = vectors[j*n+i]
			}
		}
		return l, nil
	}
	matrix, err := t.scatter(rows, all(n), mean)
	if err != nil {
		return nil, err
	}
	var vectors []float64
	l.values, vectors = eigen.Symmetric(t.pool, full(matrix), width)
	l.turned = t.turn(rows, mean, vectors)
	return l, nil
}

// turn returns the centred rows along orthogonal vectors: [rows][vectors].
func (t *task) turn(rows Rows, mean, vectors []float64) []float64 {
	n, width := rows.Len(), rows.Width
	out := make([]float64, n*width)
	if n*width*width <= exactProducts {
		t.pool.Each(n, func(_, i int) {
			centred := make([]float64, width)
			for j, v := range rows.row(i) {
				centred[j] = float64(v) - mean[j]
			}
			for j := range width {
				out[i*width+j] = vector.Dot(centred, vectors[j*width:(j+1)*width])
			}
		})
		return out
	}
	narrow := make([]float32, len(vectors))
	for i, v := range vectors {
		narrow[i] = float32(v)
	}
	block, product := make([]float32, blockRows*width), make([]float32, blockRows*width)
	var workspace kernel.Workspace
	for from := 0; from < n; from += blockRows {
		some := min(blockRows, n-from)
		for i := range some {
			for j, v := range rows.row(from + i) {
				block[i*width+j] = float32(float64(v) - mean[j])
			}
		}
		kernel.Gemm(t.pool, false, true, some, width, width, 1, block, width, narrow, width, 0, product, width, &workspace)
		for i, v := range product[:some*width] {
			out[from*width+i] = float64(v)
		}
	}
	return out
}

// outputs fills out, [rows][classes], at a penalty.
func (l *leaveOut) outputs(pool *kernel.Pool, penalty float64, out []float32) error {
	m, k := len(l.values), l.classes
	// Errors of the fit to all rows: targets less Σ_j turned_j · share_j · (turned_jᵀ targets).
	along := make([]float64, m*k)
	for i := range l.n {
		for j, v := range l.turned[i*m : (i+1)*m] {
			vector.Axpy(v, l.targets[i*k:(i+1)*k], along[j*k:(j+1)*k])
		}
	}
	share, rest := make([]float64, m), make([]float64, m) // of H, and of I−H, along each eigenvector
	for j, v := range l.values {
		v = max(v, 0)
		share[j], rest[j] = 1/(v+penalty), penalty/(v+penalty)
		if l.dual {
			share[j] *= v
		}
	}
	failed := make([]bool, len(l.groups))
	pool.Each(len(l.groups), func(_, g int) {
		group := l.groups[g]
		errs, matrix := mat.NewDense(len(group), k, nil), mat.NewDense(len(group), len(group), nil)
		for a, i := range group {
			row := l.turned[i*m : (i+1)*m]
			e := errs.RawRowView(a)
			if !l.dual {
				copy(e, l.targets[i*k:(i+1)*k])
			}
			for j, v := range row {
				if l.dual { // the eigenvectors are complete: targets are the sum of their parts along them
					vector.Axpy(v*rest[j], along[j*k:(j+1)*k], e)
				} else {
					vector.Axpy(-v*share[j], along[j*k:(j+1)*k], e)
				}
			}
			for b, other := range group[:a+1] {
				sum := -1 / float64(l.n)
				beside := l.turned[other*m : (other+1)*m]
				if l.dual {
					for j, v := range row {
						sum += v * beside[j] * rest[j]
					}
				} else {
					if a == b {
						sum++
					}
					for j, v := range row {
						sum -= v * beside[j] * share[j]
					}
				}
				matrix.Set(a, b, sum)
				matrix.Set(b, a, sum)
			}
		}
		var left mat.Dense
		if err := left.Solve(matrix, errs); err != nil && left.IsEmpty() {
			failed[g] = true
			return
		}
		for a, i := range group {
			for c := range k {
				out[i*k+c] = float32(l.targets[i*k+c] + l.mean[c] - left.At(a, c))
			}
		}
	})
	for g, f := range failed {
		if f {
			return fmt.Errorf("leave out %d of %d rows: their equations have no solution", len(l.groups[g]), l.n)
		}
	}
	return nil
}

// searchLeavingOut is search by the rows left out.
func (t *task) searchLeavingOut(ctx context.Context, l *leaveOut, setting string, values []float64, prepare func(ctx context.Context, t *task, rows Rows) (prepared, error)) (*Classifier, []Step, error) {
	steps, scales := make([]Step, len(values)), make([]float32, len(values))
	out := make([]float32, l.n*l.classes)
	for i, value := range values {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if err := l.outputs(t.pool, value, out); err != nil {
			return nil, nil, err
		}
		steps[i] = Step{Setting: setting, Value: value}
		scales[i], steps[i].Loss, steps[i].Accuracy = calibrate(out, t.training.Classes)
	}
	at, err := prepare(ctx, t, t.training)
	if err != nil {
		return nil, nil, err
	}
	best := chosen(steps)
	steps[best].Chosen = true
	c, err := at(values[best])
	if err != nil {
		return nil, nil, err
	}
	c.Scale = scales[best]
	return c, steps, nil
}

// grouped lists the rows of each group, in the order of their first; each row by itself if there are no groups.
func grouped(groups []int, n int) (out [][]int) {
	place := map[int]int{}
	for i := range n {
		if groups == nil {
			out = append(out, []int{i})
			continue
		}
		at, known := place[groups[i]]
		if !known {
			at = len(out)
			place[groups[i]] = at
			out = append(out, nil)
		}
		out[at] = append(out[at], i)
	}
	return out
}

// full is a symmetric matrix with both of its halves.
func full(a *mat.SymDense) []float64 {
	n := a.SymmetricDim()
	out := make([]float64, n*n)
	for i := range n {
		for j := range n {
			out[i*n+j] = a.At(i, j)
		}
	}
	return out
}
