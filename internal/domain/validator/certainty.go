package validator

import (
	"context"
	"math"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// sourceAccuracy is the share of the source's validation rows that the model is right about. It says nothing of the target, and is
// hard to beat.
func sourceAccuracy() Validator {
	return Validator{
		Name: "source_accuracy", Summary: "accuracy on the source's validation rows", Higher: true,
		measure: func(_ context.Context, e domain.Evidence, _ int) (float64, string, error) {
			right, known := 0, 0
			for i, p := range rows(e.SourceProbabilities, e.Classes) {
				if e.SourceClasses[i] < 0 {
					continue
				}
				known++
				if argmax(p) == e.SourceClasses[i] {
					right++
				}
			}
			if known == 0 {
				return math.NaN(), "there are no validation rows of the source", nil
			}
			return float64(right) / float64(known), "", nil
		},
	}
}

// informationMaximisation is the entropy of the mean prediction less the mean entropy of predictions, in nats: predictions are
// certain one by one, and diverse together (Musgrave, Belongie and Lim 2021, arXiv:2111.15672).
func informationMaximisation() Validator {
	return Validator{
		Name: "im", Summary: "entropy of the mean prediction less the mean entropy of predictions, on the target", Higher: true,
		measure: func(_ context.Context, e domain.Evidence, _ int) (float64, string, error) {
			all := rows(e.TargetProbabilities, e.Classes)
			if len(all) == 0 {
				return math.NaN(), noTarget, nil
			}
			mean, single := make([]float64, e.Classes), 0.0
			for _, p := range all {
				single += entropy(p) / float64(len(all))
				for k, v := range p {
					mean[k] += float64(v) / float64(len(all))
				}
			}
			return entropy(mean) - single, "", nil
		},
	}
}

// nuclearNorm is the sum of the singular values of the predictions, [rows][classes], divided by the number of rows: batch nuclear-norm
// maximisation (Cui and others 2020, arXiv:2003.12237).
func nuclearNorm() Validator {
	return Validator{
		Name: "bnm", Summary: "nuclear norm of the predictions on the target", Higher: true,
		measure: func(_ context.Context, e domain.Evidence, threads int) (float64, string, error) {
			all := rows(e.TargetProbabilities, e.Classes)
			n, k := len(all), e.Classes
			if n == 0 {
				return math.NaN(), noTarget, nil
			}
			// Singular values are the roots of the eigenvalues of PᵀP, or of PPᵀ.
			side := min(n, k)
			products := make([]float64, side*side)
			pool := kernel.NewPool(max(threads, 1))
			defer pool.Close()
			pool.Each(side, func(_, i int) {
				for j := range i + 1 {
					sum := 0.0
					if side == k {
						for _, p := range all {
							sum += float64(p[i]) * float64(p[j])
						}
					} else {
						for c, v := range all[i] {
							sum += float64(v) * float64(all[j][c])
						}
					}
					products[i*side+j], products[j*side+i] = sum, sum
				}
			})
			// The last digits of eigenvalues are lost, so of small singular values half of the digits are.
			values, _ := eigen.Symmetric(pool, products, side)
			sum := 0.0
			for _, v := range values {
				sum += math.Sqrt(max(v, 0))
			}
			return sum / float64(n), "", nil
		},
	}
}

// neighbourhoodDensity is soft neighbourhood density (Saito and others 2021, arXiv:2108.10860): the mean entropy, in nats, of the
// similarities of a prediction with all others (cosines, softmax at temperature 0.05). Dense neighbourhoods of few classes have more. A
// model that gives all rows one class, or the same probabilities, has the most, so a collapsed one gets no value. Of more than 2,000 rows of the target it takes
// 2,000, evenly spaced.
func neighbourhoodDensity() Validator {
	const temperature, most = 0.05, 2000
	const alikeLeast = 20 // rows, for predictions that are all alike to be told
	return Validator{
		Name: "snd", Summary: "soft neighbourhood density of the predictions on the target", Higher: true,
		measure: func(ctx context.Context, e domain.Evidence, threads int) (float64, string, error) {
			all := rows(e.TargetProbabilities, e.Classes)
			if len(all) < 2 {
				return math.NaN(), "there are fewer than two rows of the target", nil
			}
			if note := collapsed(e); note != "" {
				return math.NaN(), note, nil
			}
			if len(all) > most {
				some := make([][]float32, most)
				for i := range some {
					some[i] = all[i*len(all)/most]
				}
				all = some
			}
			n := len(all)
			unit := make([][]float64, n)
			for i, p := range all {
				square := 0.0
				for _, v := range p {
					square += float64(v) * float64(v)
				}
				for _, v := range p {
					unit[i] = append(unit[i], float64(v)/max(math.Sqrt(square), 1e-12))
				}
			}
			entropies := make([]float64, n)
			pool := kernel.NewPool(max(threads, 1))
			defer pool.Close()
			pool.Each(n, func(_, i int) {
				weights, sum := make([]float64, 0, n), 0.0
				for j, other := range unit {
					if j == i || ctx.Err() != nil {
						continue
					}
					w := math.Exp((dot(unit[i], other) - 1) / temperature)
					weights, sum = append(weights, w), sum+w
				}
				for j := range weights {
					weights[j] /= sum
				}
				entropies[i] = entropy(weights)
			})
			mean := 0.0
			for _, h := range entropies {
				mean += h / float64(n)
			}
			if alike := math.Log(float64(n - 1)); n >= alikeLeast && mean > 0.999*alike && certainty(all) < 0.8 {
				return math.NaN(), "the model's predictions for all rows of the target are nearly the same: it has collapsed, or learned nothing yet", ctx.Err()
			}
			return mean, "", ctx.Err()
		},
	}
}

// certainty is the mean of the largest probabilities.
func certainty(probabilities [][]float32) (mean float64) {
	for _, p := range probabilities {
		mean += float64(p[argmax(p)]) / float64(len(probabilities))
	}
	return mean
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}
