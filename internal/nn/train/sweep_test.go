package train

import (
	"context"
	"math"
	"reflect"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

func TestRateSweep(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	weights := net.Initialise(1)
	before := digest(weights)
	o := adamOptions()
	o.Rule = optimizer.SGD{Momentum: 0.9}
	o.Schedule = schedule.Plateau(0.5, 1, 0, 0, schedule.Falling)
	state := o.Schedule.State()
	s := Sweep{From: 1e-5, To: 1e4, Steps: 80}
	curve, err := RateSweep(context.Background(), net, weights, o, blobs(200, 10, 4, 0.7, 1), s)
	if err != nil {
		t.Fatal(err)
	}
	if digest(weights) != before || !reflect.DeepEqual(o.Schedule.State(), state) {
		t.Error("the sweep left a trace")
	}
	if !curve.Diverged || len(curve.Points) == s.Steps || len(curve.Points) < 30 {
		t.Errorf("diverged: %v, after %d points", curve.Diverged, len(curve.Points))
	}
	for i, p := range curve.Points {
		if want := 1e-5 * math.Pow(1e9, float64(i)/79); math.Abs(p.Rate/want-1) > 1e-9 {
			t.Errorf("rate %d is %v, want %v", i, p.Rate, want)
		}
	}
	for name, rate := range map[string]float64{"steepest": curve.Steepest, "valley": curve.Valley} {
		if !(rate > 1e-4 && rate < 1) {
			t.Errorf("%s: %v", name, rate)
		}
	}
	again, err := RateSweep(context.Background(), net, weights, o, blobs(200, 10, 4, 0.7, 1), s)
	if err != nil || !reflect.DeepEqual(curve, again) {
		t.Errorf("a second sweep found another curve: %v", err)
	}
}

func TestSweepsThatCannotBe(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	for _, s := range []Sweep{{}, {From: 1, To: 0.1, Steps: 5}, {From: 1e-3, To: 1, Steps: 1}, {From: 1e-3, To: math.Inf(1), Steps: 9}, {From: math.NaN(), To: 1, Steps: 9}} {
		if _, err := RateSweep(context.Background(), net, net.Initialise(1), adamOptions(), blobs(20, 10, 4, 1, 1), s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

// TestSuggestions finds the rates that fastai's steep and valley find on a curve of 100 points: the
// loss falls from point 20 to point 70 like half a cosine, then rises.
func TestSuggestions(t *testing.T) {
	c := &RateCurve{Steepest: math.NaN(), Valley: math.NaN()}
	for i := range 100 {
		x := float64(i)
		loss := 2.0
		switch {
		case i > 70:
			loss = 1 + (x-70)/10
		case i > 20:
			loss = 1.5 + 0.5*math.Cos(math.Pi*(x-20)/50)
		}
		c.Points = append(c.Points, RatePoint{Rate: math.Pow(10, -7+8*x/99), Smoothed: loss})
	}
	c.suggest()
	at := func(i int) float64 { return c.Points[i].Rate }
	if c.Steepest != at(44) && c.Steepest != at(45) {
		t.Errorf("steepest %v, want %v", c.Steepest, at(45))
	}
	// The longest fall goes from point 20, or one of those before it that are as high, to 70.
	if !(c.Valley >= at(35) && c.Valley <= at(46)) {
		t.Errorf("valley %v, want from %v to %v", c.Valley, at(35), at(46))
	}
	few := &RateCurve{Points: c.Points[:6], Steepest: math.NaN(), Valley: math.NaN()}
	if few.suggest(); few.Steepest == few.Steepest || few.Valley == few.Valley {
		t.Errorf("six points suggest %v and %v", few.Steepest, few.Valley)
	}
}
