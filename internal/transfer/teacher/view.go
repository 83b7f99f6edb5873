package teacher

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/record"
)

// View is how pictures that were prepared for one network are made into those that another takes.
type View struct {
	from, to     record.NormaliseStep
	inH, inW     int
	outH, outW   int
	rows, across []taps // nil if the size stays
}

// NewView makes pictures of a size and normalisation into those of another; nil if there is nothing to do.
func NewView(from, to record.NormaliseStep, inH, inW, outH, outW int) *View {
	from.Name, to.Name = "", ""
	if from == to && inH == outH && inW == outW {
		return nil
	}
	v := &View{from: from, to: to, inH: inH, inW: inW, outH: outH, outW: outW}
	if inH != outH || inW != outW {
		v.rows, v.across = tapsOf(inH, outH), tapsOf(inW, outW)
	}
	return v
}

// Recipe tells what decides the pixels.
func (v *View) Recipe() string {
	return fmt.Sprintf("%d×%d, %v /%v %v %v to %d×%d, %v /%v %v %v, bilinear 1", v.inW, v.inH, v.from.Channels, v.from.Divisor, v.from.Mean, v.from.Std,
		v.outW, v.outH, v.to.Channels, v.to.Divisor, v.to.Mean, v.to.Std)
}

// Size is how many numbers a picture has that the view is of.
func (v *View) Size() int { return v.inH * v.inW * 3 }

// taps are the input positions that an output position is the weighted mean of.
type taps struct {
	first   int
	weights []float64
}

// tapsOf are those of bilinear resampling, whose support grows when a picture shrinks, as Pillow has it.
func tapsOf(in, out int) []taps {
	scale := float64(in) / float64(out)
	support := max(scale, 1)
	all := make([]taps, out)
	for i := range all {
		centre := (float64(i) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		last := min(int(centre+support+0.5), in)
		var sum float64
		t := taps{first: first}
		for x := first; x < last; x++ {
			w := max(1-math.Abs((float64(x)+0.5-centre)/support), 0)
			t.weights = append(t.weights, w)
			sum += w
		}
		for k := range t.weights {
			t.weights[k] /= sum
		}
		all[i] = t
	}
	return all
}

// Apply writes the picture that the other network takes. Numbers are rounded to float32 once, at the end.
func (v *View) Apply(dst, src []float32) {
	// What is linear in the pixels can be done after resampling: normalisations are.
	x := make([]float64, len(src))
	for i, p := range src {
		x[i] = float64(p)
	}
	if v.rows != nil {
		x = along(x, v.across, v.inH, v.inW, 3)
		x = along(x, v.rows, 1, v.inH, v.outW*3)
	}
	for at := 0; at < len(dst); at += 3 {
		for c := range 3 {
			own := c
			if v.from.Channels != v.to.Channels {
				own = 2 - c
			}
			level := (x[at+own]*float64(v.from.Std[own]) + float64(v.from.Mean[own])) * v.from.Divisor
			dst[at+c] = float32((level/v.to.Divisor - float64(v.to.Mean[c])) / float64(v.to.Std[c]))
		}
	}
}

// along resamples the middle of three axes.
func along(x []float64, t []taps, outer, length, inner int) []float64 {
	out := make([]float64, outer*len(t)*inner)
	for o := range outer {
		for i, tap := range t {
			to := out[(o*len(t)+i)*inner : (o*len(t)+i+1)*inner]
			for k, w := range tap.weights {
				from := x[(o*length+tap.first+k)*inner:]
				for j := range to {
					to[j] += w * from[j]
				}
			}
		}
	}
	return out
}

// Softened is the softmax of logits divided by a temperature.
func Softened(logits []float32, temperature float64) []float64 {
	top := float64(slices.Max(logits))
	out, sum := make([]float64, len(logits)), 0.0
	for i, z := range logits {
		out[i] = math.Exp((float64(z) - top) / temperature)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
