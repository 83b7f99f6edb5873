package validator

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/record"
)

// ByEnsemble is the word for the mean of the ranks by all validators.
const ByEnsemble = "ensemble"

// OfTrial are what the validators say of a trial, in the order of [All].
func OfTrial(t record.AdaptationTrial) (out []domain.Score) {
	values := map[string]float64{"source_accuracy": t.SourceAccuracy, "im": t.IM, "bnm": t.BNM, "snd": t.SND, "dev": t.DEV}
	for _, v := range All() {
		out = append(out, domain.Score{Validator: v.Name, Value: values[v.Name], Higher: v.Higher})
	}
	return out
}

// Goodness is what a validator, or the ensemble, says of a trial, turned so that more is better; not a number if it cannot tell.
func Goodness(t record.AdaptationTrial, by string) float64 {
	if by == ByEnsemble {
		return -t.Ensemble
	}
	for _, s := range OfTrial(t) {
		if s.Validator == by {
			return s.Goodness()
		}
	}
	return math.NaN()
}

// RankTrials gives each trial its mean rank among all of them.
func RankTrials(trials []record.AdaptationTrial) {
	var scores [][]domain.Score
	for _, t := range trials {
		scores = append(scores, OfTrial(t))
	}
	for i, s := range Ensemble(scores) {
		trials[i].Ensemble = s.Value
	}
}
