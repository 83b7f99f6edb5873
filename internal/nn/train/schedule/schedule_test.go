package schedule

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// factors are those at the first step of each epoch.
func factors(s Schedule, epochs int) []float64 {
	out := make([]float64, epochs)
	for e := range out {
		out[e] = s.Factor(Position{Epoch: e, Epochs: epochs, Steps: 10})
	}
	return out
}

func near(t *testing.T, got, want []float64) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
		t.Errorf("factors %v, want %v", got, want)
	}
}

func TestFactors(t *testing.T) {
	near(t, factors(Constant(), 3), []float64{1, 1, 1})
	near(t, factors(Cosine(0), 4), []float64{1, (1 + math.Sqrt2/2) / 2, 0.5, (1 - math.Sqrt2/2) / 2})
	near(t, factors(Cosine(0.2), 2), []float64{1, 0.6})
	near(t, factors(Step(2, 0.1), 5), []float64{1, 1, 0.1, 0.1, 0.01})
	near(t, factors(OneCycle(DefaultCycle()), 8)[:3], []float64{0.04, 0.52, 1})
	near(t, factors(WarmUp(2, Constant()), 4), []float64{0.05, 0.55, 1, 1})
	near(t, factors(Linear(0.25), 8), []float64{0, 0.5, 1, 5.0 / 6, 4.0 / 6, 0.5, 2.0 / 6, 1.0 / 6}) // transformers' with 2 of 8 steps of warm-up
	near(t, factors(WarmUp(2, Cosine(0)), 4), []float64{0.05, 0.55, 1, 0.5})
	near(t, []float64{Cosine(0).Factor(Position{Epoch: 1, Epochs: 2, Step: 5, Steps: 10})}, []float64{(1 - math.Sqrt2/2) / 2})
}

// TestPlateau follows Keras' ReduceLROnPlateau(factor=0.5, patience=2, min_delta=0.1, min_lr=0.2).
func TestPlateau(t *testing.T) {
	s := Plateau(0.5, 2, 0.1, 0.2, Falling)
	var got []float64
	for _, loss := range []float64{1, 0.95, 0.92, 0.7, 0.65, 0.65, 0.65, 0.65, math.NaN(), math.NaN()} {
		s.Observe(loss)
		got = append(got, s.Factor(Position{}))
	}
	near(t, got, []float64{1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2})
}

func TestStopping(t *testing.T) {
	stopsAt := func(s *Stopping, metrics ...float64) int {
		for i, m := range metrics {
			if s.Observe(m) {
				return i
			}
		}
		return -1
	}
	if got := stopsAt(NewStopping(3, 0, Falling), 1, 0.9, 0.95, 0.92, 0.89, 0.9, 0.9, 0.9); got != 7 {
		t.Errorf("stops at %d", got)
	}
	if got := stopsAt(NewStopping(2, 0.01, Rising), 0.5, 0.6, 0.605, 0.609); got != 3 {
		t.Errorf("stops at %d", got)
	}
	if got := stopsAt(NewStopping(1, 0, Rising), 0.5, 0.5); got != 1 {
		t.Errorf("stops at %d", got)
	}
	if got := stopsAt(NewStopping(2, 0, Falling), math.NaN(), math.NaN()); got != 1 {
		t.Errorf("stops at %d", got)
	}
}

func TestRestoredGoOnAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		losses := rapid.SliceOf(rapid.Float64Range(0, 1)).Draw(t, "losses")
		at := rapid.IntRange(0, len(losses)).Draw(t, "at")
		make_ := func() Schedule { return WarmUp(1, Plateau(0.5, 2, 0.1, 0.01, Falling)) }
		first, stop := make_(), NewStopping(3, 0.05, Falling)
		for _, l := range losses[:at] {
			first.Observe(l)
			stop.Observe(l)
		}
		second, stop2 := make_(), NewStopping(3, 0.05, Falling)
		if err := second.Restore(first.State()); err != nil {
			t.Fatal(err)
		}
		if err := stop2.Restore(stop.State()); err != nil {
			t.Fatal(err)
		}
		for i, l := range losses[at:] {
			first.Observe(l)
			second.Observe(l)
			p := Position{Epoch: i, Epochs: 9, Steps: 3}
			if first.Factor(p) != second.Factor(p) || stop.Observe(l) != stop2.Observe(l) {
				t.Fatalf("differ after %d more", i)
			}
		}
	})
	for _, s := range []Schedule{Constant(), Plateau(0.5, 2, 0, 0, Falling)} {
		if s.Restore([]float64{1}) == nil {
			t.Errorf("%T took the state of another", s)
		}
	}
}

func TestFactorsStayInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Position{Epochs: rapid.IntRange(1, 50).Draw(t, "epochs"), Steps: rapid.IntRange(1, 50).Draw(t, "steps")}
		p.Epoch, p.Step = rapid.IntRange(0, p.Epochs-1).Draw(t, "epoch"), rapid.IntRange(0, p.Steps-1).Draw(t, "step")
		for _, s := range []Schedule{Constant(), Cosine(0), Step(3, 0.5), OneCycle(DefaultCycle()), WarmUp(rapid.IntRange(0, 60).Draw(t, "warm"), Cosine(0.1))} {
			if f := s.Factor(p); !(f >= 0 && f <= 1) {
				t.Fatalf("factor %v at %+v", f, p)
			}
		}
	})
}
