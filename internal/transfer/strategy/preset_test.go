package strategy

import (
	"testing"
)

// The more rows, the fewer epochs; what is given stays.
func TestEpochsByRows(t *testing.T) {
	head, everything := Phase{}, Phase{Unfreeze: []string{all}}
	for _, c := range []struct {
		phase Phase
		rows  int
		want  int
	}{
		{everything, 1, 8}, {everything, 264, 8}, {everything, 1000, 6}, {everything, 2000, 3}, {everything, 10_000, 2},
		{everything, 1_000_000, 2}, {head, 264, 8}, {head, 10_000, 3},
		{Phase{Epochs: 50}, 1_000_000, 50}, {Phase{Epochs: 1, Top: 3}, 10, 1},
	} {
		if got := c.phase.For(c.rows).Epochs; got != c.want {
			t.Errorf("%+v on %d rows: %d epochs, want %d", c.phase, c.rows, got, c.want)
		}
	}
}

// The head keeps its distance from the rate of the phase.
func TestRateOfAPhase(t *testing.T) {
	p := Phase{Unfreeze: []string{all}}.Complete(0, Default)
	if p.LearningRate != 3e-4 || p.HeadRate != 3e-3 {
		t.Errorf("%+v", p)
	}
	if p = p.At(3e-5); p.LearningRate != 3e-5 || p.HeadRate != 3e-4 {
		t.Errorf("%+v", p)
	}
	if p := (Phase{LearningRate: 1e-5, Top: 3}).Complete(0, Default); p.HeadRate != 0 {
		t.Errorf("%+v", p)
	}
	if p := (Phase{Top: 3}).Complete(0, Tutorial); p.LearningRate != 1e-3 || p.HeadRate != 0 || p.Epochs != 10 {
		t.Errorf("%+v", p)
	}
}
