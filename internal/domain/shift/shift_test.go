package shift_test

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/shift"
)

// The numbers are from float64 NumPy, by the formulas of DAN's program.
func TestMeanDiscrepancyReference(t *testing.T) {
	s := domain.Features{Width: 3, Values: []float32{2, .5, -1, .2, 1.5, .3, -.5, .1, 1.2, 1, 1, -2}}
	o := domain.Features{Width: 3, Values: []float32{3, 1, -2, 0, 2.5, .5, -1, 0, 2, .5, 2, -1}}
	d, err := shift.MeanDiscrepancy(context.Background(), s, o, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(d.Biased-0.6539584) > 1e-6 || math.Abs(d.Value+0.7838037) > 1e-6 {
		t.Errorf("biased %.7f, unbiased %.7f", d.Biased, d.Value)
	}
	if d.PValue < 0.5 {
		t.Errorf("four rows that are alike in pairs have the p-value %v", d.PValue)
	}
}

func normal(n, width int, centre float64, seed uint64) domain.Features {
	random := rand.New(rand.NewPCG(seed, 2))
	f := domain.Features{Width: width}
	for i := range n * width {
		v := random.NormFloat64()
		if i%width == 0 {
			v += centre
		}
		f.Values = append(f.Values, float32(v))
	}
	return f
}

// Rows of one distribution are not told apart; those of two are, the more so the further apart. Threads do not matter.
func TestShift(t *testing.T) {
	ctx := context.Background()
	source := normal(300, 6, 0, 1)
	before := -1.0
	for i, centre := range []float64{0, 1, 3, 8} {
		target := normal(200, 6, centre, 2)
		a, err := shift.ProxyADistance(ctx, source, target, nil, 5, 1)
		if err != nil {
			t.Fatal(err)
		}
		again, err := shift.ProxyADistance(ctx, source, target, nil, 5, 3)
		if err != nil || again != a {
			t.Errorf("three threads give %+v (%v), one %+v", again, err, a)
		}
		if a.Low > a.Value || a.Value > a.High || a.High > 2 || a.Held != 200 {
			t.Errorf("%+v", a)
		}
		if a.Value < before || i > 0 && a.Low <= 0 || i == 0 && a.Low > 0 || i == 3 && a.Value < 1.9 {
			t.Errorf("domains %v apart have the distance %+v", centre, a)
		}
		before = a.Value
		// The best that can be done is known: ε = Φ(−centre/2).
		if best := 2 * (1 - math.Erfc(centre/2/math.Sqrt2)); a.High < best-0.2 || a.Low > best+0.1 {
			t.Errorf("domains %v apart: %+v, of the best classifier %v", centre, a, best)
		}
		d, err := shift.MeanDiscrepancy(ctx, source, target, 5, 2)
		if err != nil {
			t.Fatal(err)
		}
		other, _ := shift.MeanDiscrepancy(ctx, source, target, 5, 1)
		if d != other {
			t.Errorf("two threads give %+v, one %+v", d, other)
		}
		if (d.PValue < 0.05) != (i > 0) {
			t.Errorf("domains %v apart: %+v", centre, d)
		}
	}
}

// Pictures of one object in both domains may not be fitted and held out: with a group on both sides rows are recognised.
func TestGroupsStayTogether(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	var source, target domain.Features
	var groups []int
	source.Width, target.Width = 40, 40
	// Each object has a place of its own and is in one domain alone; nothing else differs.
	for object := range 40 {
		f := &source
		if object >= 20 {
			f = &target
		}
		var place [40]float64
		for i := range place {
			place[i] = 4 * random.NormFloat64()
		}
		for range 10 {
			groups = append(groups, object)
			for _, p := range place {
				f.Values = append(f.Values, float32(p+0.1*random.NormFloat64()))
			}
		}
	}
	with, err := shift.ProxyADistance(context.Background(), source, target, groups, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	without, err := shift.ProxyADistance(context.Background(), source, target, nil, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if without.Value < 1.9 || with.Value > 1.2 {
		t.Errorf("with groups %v, without %v", with.Value, without.Value)
	}
}

func TestImportance(t *testing.T) {
	source, target := normal(1500, 2, 0, 1), normal(1500, 2, 1, 2)
	of := domain.Features{Width: 2, Values: []float32{-1, 0, 0, 0, 1, 0, 2, 0}}
	w, err := shift.Importance(context.Background(), source, target, of, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range []float64{-1, 0, 1, 2} {
		if want := math.Exp(x - 0.5); math.Abs(w[i]/want-1) > 0.25 {
			t.Errorf("at %v the ratio of densities is %v, want %v", x, w[i], want)
		}
	}
}

// Frequencies are found again from answers of a model that is right as often as it says.
func TestPriors(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	trained, truth := []float64{0.5, 0.3, 0.2}, []float64{0.1, 0.2, 0.7}
	// A row is a number from a Gaussian about its class; probabilities are by Bayes' rule.
	rows := func(n int, frequencies []float64) (p []float32, classes []int) {
		for range n {
			class, u := 0, random.Float64()
			for u > frequencies[class] && class < 2 {
				u -= frequencies[class]
				class++
			}
			x := 1.5*float64(class) + random.NormFloat64()
			var density [3]float64
			sum := 0.0
			for k := range density {
				density[k] = trained[k] * math.Exp(-(x-1.5*float64(k))*(x-1.5*float64(k))/2)
				sum += density[k]
			}
			for _, d := range density {
				p = append(p, float32(d/sum))
			}
			classes = append(classes, class)
		}
		return p, classes
	}
	source, classes := rows(4000, trained)
	target, real := rows(4000, truth)
	em, err := shift.ExpectationMaximisation(target, trained)
	if err != nil {
		t.Fatal(err)
	}
	bbse, err := shift.Confusion(source, classes, target, trained)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []shift.Priors{em, bbse} {
		for c, f := range p.Frequencies {
			if math.Abs(f-truth[c]) > 0.04 {
				t.Errorf("frequencies %v, want %v", p.Frequencies, truth)
				break
			}
		}
	}
	// Corrected, more rows are right.
	accuracy := func(p []float32) float64 {
		right := 0
		for i, class := range real {
			row := p[3*i : 3*i+3]
			if row[class] >= max(row[0], row[1], row[2]) {
				right++
			}
		}
		return float64(right) / float64(len(real))
	}
	before := accuracy(target)
	shift.Reweigh(target, trained, em.Frequencies)
	if after := accuracy(target); after < before+0.05 {
		t.Errorf("accuracy %v, corrected %v", before, after)
	}
	// A model that says the same of all rows tells nothing.
	if _, err := shift.Confusion([]float32{1, 0, 1, 0}, []int{0, 1}, []float32{1, 0}, []float64{.5, .5}); err == nil {
		t.Error("frequencies from a model that knows one class")
	}
}

func TestMeanDistances(t *testing.T) {
	source := domain.Labelled{Features: domain.Features{Width: 1, Values: []float32{-1, 1, 9, 11}}, Classes: []int{0, 0, 1, 1}, Count: 3}
	target := domain.Labelled{Features: domain.Features{Width: 1, Values: []float32{2, 10}}, Classes: []int{0, 1}, Count: 3}
	got := shift.MeanDistances(source, target)
	spread := math.Sqrt((36 + 16 + 16 + 36) / 4.)
	for i, want := range []float64{1 / spread, 2, 0} {
		if math.Abs(got[i].Distance-want) > 1e-9 {
			t.Errorf("distance %d is %v, want %v", i, got[i].Distance, want)
		}
	}
	if !math.IsNaN(got[3].Distance) {
		t.Errorf("of a class without rows: %+v", got[3])
	}
}

// What is done to pictures is found as the largest cause.
func TestCauses(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 4))
	const side = 16
	pictures := func(change func(x, y, c int, v float64) float64) (out []shift.Look) {
		for range 30 {
			p := make([]byte, side*side*3)
			base := 80 + 40*random.Float64()
			for i := range p {
				v := base + 30*math.Sin(float64(i/3%side))*float64(1+i%3)/3
				p[i] = byte(min(max(change(i/3%side, i/3/side, i%3, v), 0), 255))
			}
			l, err := shift.LookOf(p, side, side)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, l)
		}
		return out
	}
	source := pictures(func(_, _, _ int, v float64) float64 { return v })
	for want, change := range map[string]func(x, y, c int, v float64) float64{
		"brightness": func(_, _, _ int, v float64) float64 { return v + 100 },
		"warmth":     func(_, _, c int, v float64) float64 { return v + float64(8*(1-c)) },
		"sharpness":  func(x, y, _ int, v float64) float64 { return v + 6*float64((x+y)%2*2-1) },
	} {
		causes, err := shift.Causes(source, pictures(change))
		if err != nil {
			t.Fatal(err)
		}
		if causes[0].Name != want {
			t.Errorf("%s changed; causes %+v", want, causes)
		}
	}
	same, err := shift.Causes(source, source)
	if err != nil || !reflect.DeepEqual(same[0].Effect, 0.0) {
		t.Errorf("the same pictures: %+v, %v", same, err)
	}
	if _, err := shift.LookOf(make([]byte, 5), 1, 2); err == nil {
		t.Error("a picture of five bytes")
	}
}
