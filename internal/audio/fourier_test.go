package audio

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/dsp/fourier"
)

func TestPower(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{4, 6, 8, 10, 12, 16, 20, 30, 50, 90, 200, 256, 400, 512, 1000, 1024, 1250, 2048, 3600} {
		if !fastSize(size) {
			t.Fatal(size)
		}
		samples := make([]float64, size)
		for i := range samples {
			samples[i] = random.NormFloat64()
		}
		got := make([]float64, size/2+1)
		transform := newTransform(size)
		transform.power(got, samples)
		transform.power(got, samples) // again, with what the first left
		for k, c := range fourier.NewFFT(size).Coefficients(nil, samples) {
			if want := real(c)*real(c) + imag(c)*imag(c); math.Abs(got[k]-want) > 1e-11*float64(size)*(1+want) {
				t.Errorf("of %d samples, power %d is %v, want %v", size, k, got[k], want)
			}
		}
	}
	for _, size := range []int{2, 15, 14, 22, 441} {
		if fastSize(size) {
			t.Errorf("%d samples", size)
		}
	}
}
