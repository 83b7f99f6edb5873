package report

import (
	"math"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Validators are told with how well they order what could be chosen, over the seeds; candidates with the gain over the seeds and the
// largest p of any.
func TestAdaptationOverSeeds(t *testing.T) {
	seed := func(im, direct, coral, p float64) adaptation {
		return adaptation{
			node:        &Node{Name: "adapted"},
			diagnostics: []record.Diagnostic{{Phase: "im", Name: record.ValidatorCorrelation, Value: im}, {Phase: "dev", Name: record.ValidatorCorrelation, Value: math.NaN()}},
			trials: []record.AdaptationTrial{
				{Candidate: "direct", Method: "direct", Best: true, Oracle: direct, P: math.NaN()},
				{Candidate: "coral", Method: "coral", Best: true, Oracle: coral, P: p},
			},
		}
	}
	seeds := []adaptation{seed(0.5, 0.5, 0.7, 0.001), seed(-0.25, 0.52, 0.7, 0.04)}
	table := validatorsTable(seeds)
	if len(table.Rows) != 1 || table.Rows[0].Name != "im" || table.Rows[0].Cells[0].Text != "0.13" && table.Rows[0].Cells[0].Text != "0.12" || table.Rows[0].Cells[0].Interval != "−0.25 to 0.50" {
		t.Errorf("%+v", table.Rows)
	}
	candidates := candidatesTable(seeds)
	at := slices.IndexFunc(candidates.Rows, func(r numberRow) bool { return r.Name == "coral" })
	if cells := candidates.Rows[at].Cells; cells[1].Text != "+19.0" || cells[1].Interval != pointsRange(0.19-0.01*12.7062, 0.19+0.01*12.7062) || cells[2].Text != chance(0.04) {
		t.Errorf("%+v", cells[:3])
	}
}
