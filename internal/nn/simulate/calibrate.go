package simulate

import (
	"context"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
)

// Method is a way to find the range of a value from the numbers that it had.
type Method string

// The methods.
const (
	MinMax     Method = "minmax"     // the least and the greatest number
	Percentile Method = "percentile" // all but a share of the numbers, as much at either end
	Squared    Method = "mse"        // the least mean squared error of rounding and cutting off
	Entropy    Method = "entropy"    // the least divergence of the rounded magnitudes' distribution (Migacz 2017, 8-bit inference with TensorRT)
)

// Calibration says how ranges are found.
type Calibration struct {
	Method     Method
	Percentile float64 // percent of the numbers that a range holds
}

// bins is how many parts the histogram of a value has: of its numbers from the least to the greatest or, of entropy, of their
// magnitudes from 0 to the greatest.
const bins = 2048

// seen is what is known of a value.
type seen struct {
	low, high float32 // 0 is within
	counts    []float64
}

// Examples hands out examples some at a time, n in x, [n][input], the same whenever it is called.
type Examples func(do func(x []float32, n int) error) error

// InMemory are n examples, [n][input].
func InMemory(x []float32, n int) Examples {
	return func(do func(x []float32, n int) error) error { return do(x, n) }
}

// observe computes examples in float32.
func (s *Simulation) observe(ctx context.Context, examples Examples, see func(layer string, numbers []float32)) error {
	return examples(func(x []float32, n int) error {
		_, err := s.Run(ctx, x, n, nil, see)
		return err
	})
}

// Ranges finds the ranges of the input and of the values of all layers on examples. Layers that have to share one do: see
// [quantise.Share].
func (s *Simulation) Ranges(ctx context.Context, examples Examples, c Calibration) (map[string]quantise.Range, error) {
	values := map[string]*seen{}
	err := s.observe(ctx, examples, func(layer string, numbers []float32) {
		v := values[layer]
		if v == nil {
			v = &seen{}
			values[layer] = v
		}
		for _, number := range numbers {
			v.low, v.high = min(v.low, number), max(v.high, number)
		}
	})
	if err != nil {
		return nil, err
	}
	for name, v := range values {
		if d := float64(v.high) - float64(v.low); math.IsNaN(d) || math.IsInf(d, 0) || d > math.MaxFloat32 {
			return nil, fmt.Errorf("the numbers of layer %q are not finite", name)
		}
	}
	if c.Method != MinMax {
		err := s.observe(ctx, examples, func(layer string, numbers []float32) {
			if c.Method == Entropy {
				values[layer].countMagnitudes(numbers)
			} else {
				values[layer].count(numbers)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	ranges := map[string]quantise.Range{}
	for name, v := range values {
		if s.net.Element(name) == nn.Float32 {
			ranges[name] = v.find(c)
		}
	}
	return quantise.Share(s.net, ranges), nil
}

// count adds numbers to the histogram.
func (v *seen) count(numbers []float32) {
	if v.counts == nil {
		v.counts = make([]float64, bins)
	}
	scale := bins / (float64(v.high) - float64(v.low))
	for _, x := range numbers {
		v.counts[max(min(int((float64(x)-float64(v.low))*scale), bins-1), 0)]++
	}
}

// largest is the greatest magnitude.
func (v *seen) largest() float64 { return max(float64(v.high), -float64(v.low)) }

// countMagnitudes adds numbers to the histogram of magnitudes.
func (v *seen) countMagnitudes(numbers []float32) {
	if v.counts == nil {
		v.counts = make([]float64, bins)
	}
	scale := bins / v.largest()
	for _, x := range numbers {
		v.counts[min(int(math.Abs(float64(x))*scale), bins-1)]++
	}
}

func (v *seen) find(c Calibration) quantise.Range {
	whole := quantise.Range{Low: v.low, High: v.high}
	if v.counts == nil || !(v.high > v.low) {
		return whole
	}
	switch c.Method {
	case Percentile:
		return v.percentile(c.Percentile)
	case Squared:
		return v.best(whole, v.squaredError)
	case Entropy:
		t := threshold(v.counts, v.low >= 0) * v.largest() / bins
		return quantise.Range{Low: float32(max(-t, float64(v.low))), High: float32(min(t, float64(v.high)))}
	}
	return whole
}

// percentile leaves out half of what is to be left out at either end; 0 stays within.
func (v *seen) percentile(percent float64) quantise.Range {
	var total float64
	for _, n := range v.counts {
		total += n
	}
	out := total * (1 - percent/100) / 2
	from, to := 0, bins-1
	for sum := v.counts[from]; from < bins-1 && sum <= out; sum += v.counts[from] {
		from++
	}
	for sum := v.counts[to]; to > 0 && sum <= out; sum += v.counts[to] {
		to--
	}
	return quantise.Range{Low: min(v.edge(from), 0), High: max(v.edge(to+1), 0)}
}

// edge is where a part of the histogram begins.
func (v *seen) edge(i int) float32 {
	return v.low + float32(float64(i)/bins*(float64(v.high)-float64(v.low)))
}

// best tries narrower and narrower ranges.
func (v *seen) best(whole quantise.Range, cost func(quantise.Range) float64) quantise.Range {
	best, least := whole, math.Inf(1)
	const tries = 64
	for i := range tries {
		f := 1 - 0.9*float32(i)/tries
		r := quantise.Range{Low: whole.Low * f, High: whole.High * f}
		if c := cost(r); c < least {
			best, least = r, c
		}
	}
	return best
}

// squaredError sums that of the centres of the histogram's parts; what steps do within a part is taken as even.
func (v *seen) squaredError(r quantise.Range) float64 {
	steps := r.Steps()
	even := float64(steps.Size) * float64(steps.Size) / 12
	var sum float64
	width := (v.high - v.low) / bins
	for i, n := range v.counts {
		if n == 0 {
			continue
		}
		x := v.edge(i) + width/2
		if within := min(max(x, r.Low), r.High); within != x {
			sum += n * float64(x-within) * float64(x-within)
		} else {
			sum += n * even
		}
	}
	return sum
}
