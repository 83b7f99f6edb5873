package frozen

import "github.com/tlpipe/tlpipe/internal/nn/quantise"

// By are the options to compute a folded network by a scheme; for nil, in float32.
func By(s *quantise.Scheme) Options {
	if s == nil {
		return Options{}
	}
	o := Options{Precision: Int8, Values: Ranges{}, Float: map[string]bool{}}
	for name, r := range s.Ranges {
		o.Values[name] = Range{Low: r.Low, High: r.High}
	}
	for _, name := range s.Float {
		o.Float[name] = true
	}
	return o
}
