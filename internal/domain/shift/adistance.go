package shift

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/shallow"
)

// ADistance is a proxy A-distance.
type ADistance struct {
	Value     float64 // 2·(1 − 2ε), not below 0
	Low, High float64 // 95 %, from Wilson's interval of ε
	Error     float64 // ε, on the rows held out
	Held      int     // rows held out, of both domains
}

// mostRows is how many rows of each domain are compared at most.
const mostRows = 2000

// ProxyADistance compares the domains (Ben-David and others 2007): as many rows of each, at most 2,000 of each drawn by the seed; half
// of them fit a logistic regression, whose penalty is chosen on those by cross-validation, the others are held out. Each domain has at
// least 8 rows. groups, if not nil, number the rows of the source and then of the target: rows of one group (pictures of one object)
// are held out together or not at all.
func ProxyADistance(ctx context.Context, source, target domain.Features, groups []int, seed uint64, threads int) (ADistance, error) {
	if err := same(source, target); err != nil {
		return ADistance{}, err
	}
	const least = 8
	if source.Rows() < least || target.Rows() < least {
		return ADistance{}, fmt.Errorf("%d rows of the source and %d of the target; at least %d of each", source.Rows(), target.Rows(), least)
	}
	if groups != nil && len(groups) != source.Rows()+target.Rows() {
		return ADistance{}, errors.New("the groups are not those of the rows")
	}
	random := rand.New(rand.NewPCG(seed, 0xada))
	n := min(source.Rows(), target.Rows(), mostRows)
	var fitted, held shallow.Rows
	fitted.Width, held.Width = source.Width, source.Width
	var fittedGroups []int
	halves := map[int]bool{} // of groups: whether they are held out
	draw := rand.New(rand.NewPCG(seed, 0xadb))
	for class, f := range []domain.Features{source, target} {
		for i, row := range sample(random, f.Rows(), n) {
			out := i%2 == 1
			group := row + class*source.Rows()
			if groups != nil {
				group = groups[group]
				if _, known := halves[group]; !known {
					halves[group] = draw.IntN(2) == 1
				}
				out = halves[group]
			}
			to := &fitted
			if out {
				to = &held
			} else {
				fittedGroups = append(fittedGroups, group)
			}
			to.Values = append(to.Values, f.Row(row)...)
			to.Classes = append(to.Classes, class)
		}
	}
	if held.Len() == 0 || slices.Min(fitted.Classes) == slices.Max(fitted.Classes) {
		return ADistance{}, errors.New("there are too few groups of rows to hold some out")
	}
	model, err := tellApart(ctx, fitted, fittedGroups, threads)
	if err != nil {
		return ADistance{}, fmt.Errorf("tell the domains apart: %w", err)
	}
	p := make([]float32, 2*held.Len())
	model.Probabilities(held.Values, p)
	wrong := 0
	for i, class := range held.Classes {
		if (p[2*i+1] > p[2*i]) != (class == 1) {
			wrong++
		}
	}
	a := ADistance{Held: held.Len()}
	a.Error = float64(wrong) / float64(a.Held)
	interval := metrics.Wilson(float64(wrong), float64(a.Held))
	distance := func(e float64) float64 { return max(0, 2*(1-2*e)) }
	a.Value, a.Low, a.High = distance(a.Error), distance(interval.High), distance(interval.Low)
	return a, nil
}

// tellApart fits a classifier of domains, 0 for the source and 1 for the target.
func tellApart(ctx context.Context, rows shallow.Rows, groups []int, threads int) (*shallow.Linear, error) {
	kind, _ := shallow.Find("logistic")
	c, _, err := kind.Fit(ctx, rows, shallow.Rows{}, 2, shallow.Options{
		Settings: shallow.Settings{Penalties: []float64{1e3, 1e2, 10, 1, 0.1}}, Folds: 3, Groups: groups, Tolerance: 1e-4, Threads: threads,
	})
	if err != nil {
		return nil, err
	}
	return c.Linear, nil
}

// Importance estimates, for some rows, the ratio of the target's density to that of the source, from a logistic regression between
// rows of the source and of the target (Bickel, Brückner and Scheffer 2007). At most 2,000 of each are taken, evenly spaced.
func Importance(ctx context.Context, source, target, of domain.Features, threads int) ([]float64, error) {
	if err := same(source, target); err != nil {
		return nil, err
	}
	if of.Width != source.Width || source.Rows() < 2 || target.Rows() < 2 {
		return nil, fmt.Errorf("%d rows of the source, %d of the target, of %d and %d features", source.Rows(), target.Rows(), source.Width, of.Width)
	}
	rows := shallow.Rows{Width: source.Width}
	var counts [2]float64
	for class, f := range []domain.Features{source, target} {
		n := min(f.Rows(), mostRows)
		for i := range n {
			rows.Values = append(rows.Values, f.Row(i*f.Rows()/n)...)
			rows.Classes = append(rows.Classes, class)
		}
		counts[class] = float64(n)
	}
	model, err := tellApart(ctx, rows, nil, threads)
	if err != nil {
		return nil, fmt.Errorf("tell the domains apart: %w", err)
	}
	p := make([]float32, 2*of.Rows())
	model.Probabilities(of.Values, p)
	out := make([]float64, of.Rows())
	for i := range out {
		out[i] = counts[0] / counts[1] * float64(p[2*i+1]) / math.Max(float64(p[2*i]), 1e-6)
	}
	return out, nil
}

func same(source, target domain.Features) error {
	for _, f := range []domain.Features{source, target} {
		if err := f.Check(); err != nil {
			return err
		}
	}
	if source.Width != target.Width {
		return fmt.Errorf("rows of the source have %d features, of the target %d", source.Width, target.Width)
	}
	return nil
}

// sample draws k of n positions, in random order.
func sample(random *rand.Rand, n, k int) []int { return random.Perm(n)[:min(n, k)] }
