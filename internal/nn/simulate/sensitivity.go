package simulate

import (
	"context"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/quantise"
)

// Sensitivity measures on n examples how far the output moves if one layer alone computes with bytes, for each layer with
// a weight that does so in the scheme: the others stay in float32. probabilities tells that the output is such.
func (s *Simulation) Sensitivity(ctx context.Context, x []float32, n int, scheme *quantise.Scheme, probabilities bool, progress func(done, of int)) (map[string]float64, error) {
	want, err := s.Run(ctx, x, n, nil, nil)
	if err != nil {
		return nil, err
	}
	bounded := quantise.Bounded(s.net)
	var layers, all []string
	for _, st := range s.steps {
		all = append(all, st.layer.Name)
		if quantise.HasWeight(st.layer.Op) && scheme.Computes(st.layer) {
			layers = append(layers, st.layer.Name)
		}
	}
	out := map[string]float64{}
	for i, name := range layers {
		alone := &quantise.Scheme{Ranges: scheme.Ranges}
		for _, other := range all {
			if other != name && other != bounded[name] {
				alone.Float = append(alone.Float, other)
			}
		}
		got, err := s.Run(ctx, x, n, alone, nil)
		if err != nil {
			return nil, err
		}
		out[name] = distance(want, got, len(want)/n, probabilities)
		progress(i+1, len(layers))
	}
	return out, nil
}

// distance is the mean Kullback-Leibler divergence of rows of probabilities, or the mean squared difference of numbers over
// their variance.
func distance(want, got []float32, width int, probabilities bool) float64 {
	var sum float64
	if probabilities {
		for i, p := range want {
			if p > 0 {
				sum += float64(p) * math.Log(float64(p)/max(float64(got[i]), 1e-12))
			}
		}
		return sum * float64(width) / float64(len(want))
	}
	var mean, variance float64
	for _, v := range want {
		mean += float64(v) / float64(len(want))
	}
	for i, v := range want {
		variance += (float64(v) - mean) * (float64(v) - mean)
		sum += (float64(v) - float64(got[i])) * (float64(v) - float64(got[i]))
	}
	return sum / max(variance, 1e-30)
}

// WithFloat returns the scheme with layers, and the bounds that they are one with, left in float32.
func (s *Simulation) WithFloat(scheme *quantise.Scheme, layers ...string) *quantise.Scheme {
	out := &quantise.Scheme{Ranges: scheme.Ranges, Float: slices.Clone(scheme.Float)}
	bounded := quantise.Bounded(s.net)
	for _, name := range layers {
		out.Float = append(out.Float, name)
		if act, ok := bounded[name]; ok {
			out.Float = append(out.Float, act)
		}
	}
	slices.Sort(out.Float)
	out.Float = slices.Compact(out.Float)
	return out
}
