package audio

import "math"

// Resample changes the rate of a clip by a windowed sinc in its polyphase form: the method, the width, the roll-off and
// the window are those of torchaudio.functional.resample (Smith, "Digital audio resampling").
func Resample(clip Clip, rate int) Clip {
	if clip.Rate == rate {
		return clip
	}
	divisor := gcd(clip.Rate, rate)
	from, to := clip.Rate/divisor, rate/divisor
	length := (len(clip.Samples)*to + from - 1) / from
	out := Clip{Rate: rate, Samples: make([]float32, length)}
	phases := make([]phase, min(to, length))
	for i := range phases {
		phases[i] = newPhase(i, from, to)
	}
	for i := range out.Samples {
		p := phases[i%to]
		start := i/to*from + p.from
		taps := p.taps
		if start < 0 {
			taps = taps[min(-start, len(taps)):]
			start = 0
		}
		sum := float32(0)
		if start < len(clip.Samples) {
			samples := clip.Samples[start:]
			taps = taps[:min(len(taps), len(samples))]
			for j, tap := range taps {
				sum += tap * samples[j]
			}
		}
		out.Samples[i] = sum
	}
	return out
}

const (
	zeroCrossings = 6    // of the sinc, on each side
	rolloff       = 0.99 // of the lower of the two Nyquist frequencies
)

// phase is the filter for the outputs that lie alike between inputs.
type phase struct {
	from int // the first input, as seen from the block's first
	taps []float32
}

// newPhase makes the filter of output i of each block of from inputs and to outputs.
func newPhase(i, from, to int) phase {
	base := float64(min(from, to)) * rolloff
	width := int(math.Ceil(zeroCrossings * float64(from) / base))
	middle := int(math.Floor(float64(i) * float64(from) / float64(to)))
	p := phase{from: max(middle-width-1, -width)}
	for j := p.from; j <= min(middle+width+1, width+from-1); j++ {
		t := (float64(j)/float64(from) - float64(i)/float64(to)) * base
		t = min(max(t, -zeroCrossings), zeroCrossings)
		window := math.Cos(t * math.Pi / zeroCrossings / 2)
		tap := window * window * base / float64(from)
		if t != 0 {
			tap *= math.Sin(t*math.Pi) / (t * math.Pi)
		}
		p.taps = append(p.taps, float32(tap))
	}
	return p
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
