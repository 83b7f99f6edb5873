package audio

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Spectrum says how frames are cut and how bins become mel bands.
type Spectrum struct {
	Rate   int     // samples a second that clips have
	Window int     // samples of a frame, 2 to FFT
	Hop    int     // samples between the starts of frames, at least 1
	FFT    int     // samples that are transformed, the window in their middle: 16 to 65536
	Mels   int     // bands
	Low    float64 // Hz: where the first band begins
	High   float64 // Hz: where the last band ends, at most half the rate
	Slaney bool    // bands as librosa has them (Slaney's Auditory Toolbox: linear below 1 kHz, of equal area), not as HTK and torchaudio do
	Zeros  bool    // frames at both ends are filled up with zeros as by librosa, not with the mirrored clip as by torchaudio
}

// Check tells what is wrong with the numbers.
func (s Spectrum) Check() error {
	switch {
	case s.Rate < 100 || s.Rate > MaxRate:
		return fmt.Errorf("a rate of %d samples a second, not 100 to %d", s.Rate, MaxRate)
	case s.FFT < 16 || s.FFT > 1<<16:
		return fmt.Errorf("a transform of %d samples, not 16 to 65536", s.FFT)
	case s.Window < 2 || s.Window > s.FFT:
		return fmt.Errorf("a window of %d samples, not 2 to the %d that are transformed", s.Window, s.FFT)
	case s.Hop < 1:
		return errors.New("a hop of no sample")
	case s.Mels < 1 || s.Mels > 512:
		return fmt.Errorf("%d mel bands, not 1 to 512", s.Mels)
	case !(s.Low >= 0 && s.Low < s.High && s.High <= float64(s.Rate)/2):
		return fmt.Errorf("bands from %v to %v Hz: they must rise, and end at half the rate, %v Hz, at most", s.Low, s.High, float64(s.Rate)/2)
	}
	return nil
}

// Frames is how many frames a clip of so many samples has.
func (s Spectrum) Frames(samples int) int { return 1 + samples/s.Hop }

// Analyser computes spectrograms. It is for one goroutine.
type Analyser struct {
	spectrum Spectrum
	window   []float64
	bands    []band
	fast     *transform   // nil: the size has large prime factors
	fft      *fourier.FFT // then
	frame    []float64
	bins     []complex128
	power    []float64
}

// band is a mel band: weights of bins from one on.
type band struct {
	from    int
	weights []float64
}

// NewAnalyser prepares for clips of a spectrum's rate. It is an error if a band is so narrow that no bin lies in it.
func NewAnalyser(s Spectrum) (*Analyser, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	a := &Analyser{
		spectrum: s, window: make([]float64, s.FFT), frame: make([]float64, s.FFT), power: make([]float64, s.FFT/2+1),
	}
	if fastSize(s.FFT) {
		a.fast = newTransform(s.FFT)
	} else {
		a.fft, a.bins = fourier.NewFFT(s.FFT), make([]complex128, s.FFT/2+1)
	}
	left := (s.FFT - s.Window) / 2
	for i := range s.Window { // Hann's, periodic
		a.window[left+i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(s.Window))
	}
	a.bands = melBands(s)
	for i, b := range a.bands {
		if len(b.weights) == 0 {
			return nil, fmt.Errorf("mel band %d of %d holds no frequency of a transform of %d samples: take fewer bands or a longer transform", i+1, s.Mels, s.FFT)
		}
	}
	return a, nil
}

// melBands are triangles between frequencies that are equally far apart on the mel scale.
func melBands(s Spectrum) []band {
	edges := make([]float64, s.Mels+2)
	low, high := s.mel(s.Low), s.mel(s.High)
	for i := range edges {
		edges[i] = s.hertz(low + (high-low)*float64(i)/float64(s.Mels+1))
	}
	bands := make([]band, s.Mels)
	for i := range bands {
		from, top, to := edges[i], edges[i+1], edges[i+2]
		for bin := range s.FFT/2 + 1 {
			f := float64(bin) * float64(s.Rate) / float64(s.FFT)
			weight := min((f-from)/(top-from), (to-f)/(to-top))
			if weight <= 0 {
				continue
			}
			if s.Slaney {
				weight *= 2 / (to - from)
			}
			if len(bands[i].weights) == 0 {
				bands[i].from = bin
			}
			bands[i].weights = append(bands[i].weights, weight)
		}
	}
	return bands
}

// Numbers of Slaney's mel scale.
const (
	slaneyKnee  = 1000.0      // Hz: where it turns logarithmic
	slaneyWidth = 200.0 / 3.0 // Hz of a mel below
	slaneySteps = 27.0        // mels of a factor of 6.4 above
)

func (s Spectrum) mel(hertz float64) float64 {
	switch {
	case !s.Slaney:
		return 2595 * math.Log10(1+hertz/700)
	case hertz < slaneyKnee:
		return hertz / slaneyWidth
	}
	return slaneyKnee/slaneyWidth + math.Log(hertz/slaneyKnee)/(math.Log(6.4)/slaneySteps)
}

func (s Spectrum) hertz(mel float64) float64 {
	switch {
	case !s.Slaney:
		return 700 * (math.Pow(10, mel/2595) - 1)
	case mel < slaneyKnee/slaneyWidth:
		return mel * slaneyWidth
	}
	return slaneyKnee * math.Exp((mel-slaneyKnee/slaneyWidth)*math.Log(6.4)/slaneySteps)
}

// Mel computes the power in each band, [frames, mels], row by row. samples has more than half of FFT, unless ends are
// filled with zeros.
func (a *Analyser) Mel(samples []float32) ([]float32, error) {
	s := a.spectrum
	if !s.Zeros && len(samples) <= s.FFT/2 {
		return nil, fmt.Errorf("a clip of %d samples is too short for frames of %d", len(samples), s.FFT)
	}
	frames := s.Frames(len(samples))
	out := make([]float32, 0, frames*s.Mels)
	for i := range frames {
		a.fill(samples, i*s.Hop-s.FFT/2)
		if a.fast != nil {
			a.fast.power(a.power, a.frame)
		} else {
			a.fft.Coefficients(a.bins, a.frame)
			for j, c := range a.bins {
				a.power[j] = real(c)*real(c) + imag(c)*imag(c)
			}
		}
		for _, b := range a.bands {
			sum := 0.0
			for j, weight := range b.weights {
				sum += weight * a.power[b.from+j]
			}
			out = append(out, float32(sum))
		}
	}
	return out, nil
}

// fill puts the windowed samples from one on, which may lie outside of the clip, into the frame.
func (a *Analyser) fill(samples []float32, from int) {
	last := len(samples) - 1
	if from >= 0 && from+len(a.window) <= len(samples) {
		inside := samples[from:][:len(a.window)]
		for i, w := range a.window {
			a.frame[i] = w * float64(inside[i])
		}
		return
	}
	for i, w := range a.window {
		at := from + i
		if at < 0 || at > last {
			if a.spectrum.Zeros || w == 0 {
				a.frame[i] = 0
				continue
			}
			if at = max(at, -at); at > last { // mirrored
				at = 2*last - at
			}
		}
		a.frame[i] = w * float64(samples[at])
	}
}

// Decibels turns powers into decibels, 10·log10, in place: powers below 1e-10 count as that, and those more than
// span below the largest are raised to it; a span of 0 raises none.
func Decibels(power []float32, span float64) {
	top := math.Inf(-1)
	for i, p := range power {
		power[i] = float32(10 * math.Log10(max(float64(p), 1e-10)))
		top = max(top, float64(power[i]))
	}
	if span <= 0 {
		return
	}
	floor := float32(top - span)
	for i, p := range power {
		power[i] = max(p, floor)
	}
}

// Cepstrum computes count cepstral coefficients of each frame of log-mel values, [frames, count]: the orthonormal cosine
// transform (DCT-II).
func Cepstrum(logMel []float32, mels, count int) []float32 {
	table := make([]float64, count*mels)
	for k := range count {
		scale := math.Sqrt(2 / float64(mels))
		if k == 0 {
			scale = math.Sqrt(1 / float64(mels))
		}
		for n := range mels {
			table[k*mels+n] = scale * math.Cos(math.Pi/float64(mels)*(float64(n)+0.5)*float64(k))
		}
	}
	out := make([]float32, 0, len(logMel)/mels*count)
	for ; len(logMel) >= mels; logMel = logMel[mels:] {
		for k := range count {
			sum := 0.0
			for n, x := range logMel[:mels] {
				sum += table[k*mels+n] * float64(x)
			}
			out = append(out, float32(sum))
		}
	}
	return out
}
