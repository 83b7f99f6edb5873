package discrepancy_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
)

// The rows that the golden numbers are of, computed in float64 by NumPy.
func rows() (source, target []float32) {
	return []float32{2, .5, -1, .2, 1.5, .3, -.5, .1, 1.2, 1, 1, -2}, []float32{3, 1, -2, 0, 2.5, .5, -1, 0, 2, .5, 2, -1}
}

func sample(values []float32) discrepancy.Sample {
	return discrepancy.Pick(values, nil, 3, make([]int32, len(values)/3), 1)[0]
}

// golden is float32's rounding of the inputs away from the numbers, which are of float64 inputs.
const golden = 1e-6

func TestGoldenNumbers(t *testing.T) {
	s, u := rows()
	source, target := sample(s), sample(u)
	layer := func(b discrepancy.Bandwidths) discrepancy.Layer {
		return discrepancy.Layer{Source: source, Target: target, Bandwidths: b}
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"CORAL", discrepancy.CORAL(source, target), 0.2820571},
		{"MMD, library's kernels, biased", discrepancy.MMD(nil, layer(discrepancy.LibraryBandwidths()), discrepancy.Biased), 0.7127017},
		{"MMD, library's kernels, unbiased", discrepancy.MMD(nil, layer(discrepancy.LibraryBandwidths()), discrepancy.Unbiased), -0.7995134},
		{"MMD, original kernels, biased", discrepancy.MMD(nil, layer(discrepancy.OriginalBandwidths()), discrepancy.Biased), 0.6539584},
		{"MMD, original kernels, unbiased", discrepancy.MMD(nil, layer(discrepancy.OriginalBandwidths()), discrepancy.Unbiased), -0.7838037},
		{"class confusion", discrepancy.ClassConfusion(source, 2.5), 0.6259991},
		{"information", -discrepancy.Information(source, 1, 1), 0.2765221},
	} {
		if math.Abs(c.got-c.want) > golden {
			t.Errorf("%s: %.7f, want %.7f", c.what, c.got, c.want)
		}
	}
	for i, want := range []float64{1.057132, .965070, .978108, .999690} {
		if got := discrepancy.Certainties(source)[i]; math.Abs(got-want) > golden {
			t.Errorf("certainty %d: %.7f, want %.7f", i, got, want)
		}
	}
}

// losses are all that have a gradient, of samples of the rows 0 and 1 of a matrix, and of answers.
func losses() map[string]func(source, target, answersSource, answersTarget discrepancy.Sample) float64 {
	type S = discrepancy.Sample
	out := map[string]func(a, b, c, d S) float64{
		"CORAL":       func(a, b, _, _ S) float64 { return discrepancy.CORAL(a, b) },
		"confusion":   func(a, _, _, _ S) float64 { return discrepancy.ClassConfusion(a, 2.5) },
		"consistency": func(a, b, _, _ S) float64 { return discrepancy.Consistency(b, a, 0.5) },
		"information": func(a, _, _, _ S) float64 { return discrepancy.Information(a, 1, 0.7) },
	}
	for name, e := range map[string]discrepancy.Estimator{"biased": discrepancy.Biased, "unbiased": discrepancy.Unbiased, "linear": discrepancy.Linear} {
		fixed := discrepancy.Bandwidths{Fixed: 3.5}
		out["MMD, "+name] = func(a, b, _, _ S) float64 { return discrepancy.MMD(nil, discrepancy.Layer{a, b, fixed}, e) }
		out["JMMD, "+name] = func(a, b, c, d S) float64 {
			return discrepancy.JMMD(nil, e, discrepancy.Layer{a, b, fixed}, discrepancy.Layer{c, d, discrepancy.AnswerBandwidth()})
		}
	}
	return out
}

// Gradients are those of differences. What is taken as a constant, the weights by certainty of the class confusion, is
// held apart.
func TestGradients(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	domains := []int32{0, 1, 0, 1, 1, 0, 1, -1}
	const width, answers = 5, 4
	x, y := make([]float32, len(domains)*width), make([]float32, len(domains)*answers)
	for _, v := range [][]float32{x, y} {
		for i := range v {
			v[i] = float32(math.Round(64*random.NormFloat64()) / 64)
		}
	}
	for name, loss := range losses() {
		gx, gy := make([]float64, len(x)), make([]float64, len(y))
		value := func(gx, gy []float64) float64 {
			a, b := discrepancy.Pick(x, gx, width, domains, 2), discrepancy.Pick(y, gy, answers, domains, 2)
			return loss(a[0], a[1], b[0], b[1])
		}
		value(gx, gy)
		for _, of := range []struct {
			v []float32
			g []float64
		}{{x, gx}, {y, gy}} {
			for i := range of.v {
				const h = 1.0 / 1024
				before := of.v[i]
				of.v[i] = before + h
				above := value(nil, nil)
				of.v[i] = before - h
				below := value(nil, nil)
				of.v[i] = before
				tolerance := 1e-5
				if name == "confusion" { // differences see the weights change
					tolerance = 0.02
				}
				if want := (above - below) / (2 * h); math.Abs(of.g[i]-want) > tolerance*(1+math.Abs(want)) {
					t.Errorf("%s: gradient %d is %v, differences give %v", name, i, of.g[i], want)
				}
			}
		}
	}
}

// Samples that are too small have no loss, and equal ones none that is not 0.
func TestDegenerateSamples(t *testing.T) {
	none, one := discrepancy.Sample{Width: 3}, sample([]float32{1, 2, 3})
	same := sample([]float32{1, 1, 1, 1, 1, 1, 1, 1, 1})
	for name, loss := range losses() {
		for _, s := range []discrepancy.Sample{none, one, same} {
			if got := loss(s, s, s, s); math.IsNaN(got) || math.IsInf(got, 0) {
				t.Errorf("%s of %d rows is %v", name, s.Len(), got)
			}
		}
		if name == "confusion" || name == "information" || name == "consistency" {
			continue
		}
		if got := loss(same, same, same, same); math.Abs(got) > 1e-12 {
			t.Errorf("%s of equal samples is %v", name, got)
		}
		if got := loss(none, same, none, same); got != 0 {
			t.Errorf("%s without a source is %v", name, got)
		}
	}
}

// The result, with its gradient, is the same for any number of threads; and rows that are all alike are not pulled, however
// narrow their kernels are.
func TestDiscrepancyOfManyRows(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const rows, width = 45, 7
	alike := make([]float32, rows*width)
	for i := range alike {
		alike[i] = 0.1 * float32(1+i%width)
	}
	values := make([]float32, rows*width)
	domains := make([]int32, rows)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	for i := range domains {
		domains[i] = int32(i % 2)
	}
	of := func(pool *kernel.Pool, values []float32) (float64, []float64) {
		gradient := make([]float64, len(values))
		s := discrepancy.Pick(values, gradient, width, domains, 2)
		layer := discrepancy.Layer{Source: s[0], Target: s[1], Bandwidths: discrepancy.LibraryBandwidths()}
		return discrepancy.JMMD(pool, discrepancy.Biased, layer, layer), gradient
	}
	pool := kernel.NewPool(3)
	defer pool.Close()
	loss, gradient := of(nil, values)
	if again, same := of(pool, values); again != loss || !slices.Equal(same, gradient) {
		t.Errorf("three threads give %v, one gives %v, or another gradient", again, loss)
	}
	if loss <= 0 {
		t.Errorf("the loss is %v", loss)
	}
	for i, g := range second(of(nil, alike)) {
		if g != 0 {
			t.Fatalf("gradient %d of rows that are alike is %v", i, g)
		}
	}
}

func second[A, B any](_ A, b B) B { return b }
