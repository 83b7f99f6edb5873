package picture

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/picture/sample"
	"github.com/tlpipe/tlpipe/internal/record"
)

// filter is an interpolation kernel: its value at x, zero outside of ±support.
type filter struct {
	support float64
	at      func(x float64) float64
}

func filterNamed(name string) (filter, error) {
	switch name {
	case record.FilterBilinear:
		return filter{1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }}, nil
	case record.FilterBicubic:
		return filter{2, keys}, nil
	case record.FilterLanczos:
		return filter{3, func(x float64) float64 {
			if x < -3 || x >= 3 {
				return 0
			}
			return sinc(x) * sinc(x/3)
		}}, nil
	}
	return filter{}, fmt.Errorf("filter %q is not one of %s, %s, %s", name, record.FilterBilinear, record.FilterBicubic, record.FilterLanczos)
}

// keys is the cubic convolution kernel of R. Keys, "Cubic convolution
// interpolation for digital image processing" (1981), with a = −0.5.
func keys(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// weights say how each output sample of one axis is made of input samples.
type weights struct {
	spans  []sample.Span
	values []int32 // all weights, one span after another
}

// input returns the range of input samples that are read.
func (w *weights) input() (from, to int) {
	// Both ends of the spans ascend.
	last := w.spans[len(w.spans)-1]
	return int(w.spans[0].From), int(last.From + last.Count)
}

// compute finds the weights for outputs first … first+count−1 of scaling in
// samples to out. When shrinking, the kernel is widened by the scale, so that
// every input sample counts. It follows Pillow's ImagingResample.
func (w *weights) compute(in, out, first, count int, f filter) {
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support := f.support * wide
	w.spans, w.values = w.spans[:0], w.values[:0]
	taps := make([]float64, 0, 2*int(math.Ceil(support))+1)
	for x := first; x < first+count; x++ {
		centre := (float64(x) + 0.5) * scale
		from := max(0, int(centre-support+0.5))
		to := min(in, int(centre+support+0.5))
		taps = taps[:0]
		sum := 0.0
		for i := from; i < to; i++ {
			v := f.at((float64(i) - centre + 0.5) * (1 / wide))
			taps = append(taps, v)
			sum += v
		}
		s := sample.Span{From: int32(from), Count: int32(len(taps)), At: int32(len(w.values))}
		for _, v := range taps {
			if sum != 0 {
				v /= sum
			}
			// Rounded half away from zero.
			w.values = append(w.values, int32(math.Copysign(math.Floor(math.Abs(v)*(1<<sample.WeightBits)+0.5), v)))
		}
		w.spans = append(w.spans, s)
	}
}

// resampler scales pictures one after another, keeping buffers and weights.
type resampler struct {
	across, down       weights
	acrossKey, downKey axis
	rows               []uint8
}

// axis is all that the weights of one axis depend on.
type axis struct {
	in, out, first, count int
	filter                string
}

func (w *weights) prepare(have *axis, want axis) error {
	if *have == want {
		return nil
	}
	f, err := filterNamed(want.filter)
	if err != nil {
		return err
	}
	w.compute(want.in, want.out, want.first, want.count, f)
	*have = want
	return nil
}

// prepare computes the weights of a placement, and from them which part of the
// source is needed.
func (r *resampler) prepare(p placement, filter string) (left, top, right, bottom int, err error) {
	if err = r.across.prepare(&r.acrossKey, axis{p.fromWidth, p.width, p.left, p.across, filter}); err != nil {
		return
	}
	if err = r.down.prepare(&r.downKey, axis{p.fromHeight, p.height, p.top, p.down, filter}); err != nil {
		return
	}
	left, right = r.across.input()
	top, bottom = r.down.input()
	return left, top, right, bottom, nil
}

// run scales, by the weights prepared, first across and then down, rounding to
// 8 bits after each as Pillow does. src is the part of the source from
// (left, top) on; out rows are stride bytes apart.
func (r *resampler) run(out []uint8, stride int, src Picture, left, top int) {
	width := 3 * len(r.across.spans)
	first, last := r.down.input()
	if need := width * (last - first); cap(r.rows) < need {
		r.rows = make([]uint8, need)
	}
	for y := first; y < last; y++ {
		sample.Across(r.rows[width*(y-first):][:width], src.row(y-top), r.across.spans, r.across.values, left)
	}
	for y, s := range r.down.spans {
		rows := r.rows[width*(int(s.From)-first):][:width*int(s.Count)]
		sample.Down(out[y*stride:][:width], rows, r.down.values[s.At:][:s.Count])
	}
}
