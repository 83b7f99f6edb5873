package validator

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain"
)

// All lists the validators. A new one is a file, and its line here.
func All() []Validator {
	return []Validator{
		sourceAccuracy(),
		informationMaximisation(),
		nuclearNorm(),
		neighbourhoodDensity(),
		embeddedValidation(),
	}
}

// Find returns the validator of that name.
func Find(name string) (Validator, bool) {
	all := All()
	at := slices.IndexFunc(all, func(v Validator) bool { return v.Name == name })
	if at < 0 {
		return Validator{}, false
	}
	return all[at], true
}

// Validator is a way to judge.
type Validator struct {
	Name    string
	Summary string // what it measures, for people
	Higher  bool   // models with higher values are better
	measure func(context.Context, domain.Evidence, int) (value float64, note string, err error)
}

// Score judges a model by the evidence. What the evidence does not suffice for is a score that says so, with no value (NaN).
// Errors are of evidence that contradicts itself, and of ctx.
func (v Validator) Score(ctx context.Context, e domain.Evidence, threads int) (domain.Score, error) {
	if err := check(e); err != nil {
		return domain.Score{}, fmt.Errorf("%s: %w", v.Name, err)
	}
	value, note, err := v.measure(ctx, e, threads)
	if err != nil {
		return domain.Score{}, fmt.Errorf("%s: %w", v.Name, err)
	}
	if math.IsInf(value, 0) {
		value, note = math.NaN(), "the value is not finite"
	}
	return domain.Score{Validator: v.Name, Value: value, Higher: v.Higher, Note: note}, nil
}

// Scores judges by all validators.
func Scores(ctx context.Context, e domain.Evidence, threads int) ([]domain.Score, error) {
	var out []domain.Score
	for _, v := range All() {
		score, err := v.Score(ctx, e, threads)
		if err != nil {
			return nil, err
		}
		out = append(out, score)
	}
	return out, nil
}

func check(e domain.Evidence) error {
	switch {
	case e.Classes < 2:
		return fmt.Errorf("%d classes", e.Classes)
	case len(e.SourceProbabilities) != len(e.SourceClasses)*e.Classes:
		return fmt.Errorf("%d probabilities of %d classes for %d rows of the source", len(e.SourceProbabilities), e.Classes, len(e.SourceClasses))
	case len(e.TargetProbabilities)%e.Classes != 0:
		return fmt.Errorf("%d probabilities of the target's rows, of %d classes", len(e.TargetProbabilities), e.Classes)
	}
	for _, f := range []domain.Features{e.SourceFeatures, e.TrainingFeatures, e.TargetFeatures} {
		if len(f.Values) > 0 {
			if err := f.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// EnsembleName is the word of the ensemble.
const EnsembleName = "ensemble"

// Ensemble judges models, each by its scores of the same validators in the same order: the value is the mean over the validators
// of the model's rank among all, from 1 for the best, lower is better. Models with equal scores share the mean of their ranks. A
// score without a value ranks last, with all others of that kind; a validator that gives none of the models a value is left out.
func Ensemble(models [][]domain.Score) []domain.Score {
	out := make([]domain.Score, len(models))
	counted := 0
	for v := range first(models) {
		values := make([]float64, len(models))
		known := false
		for m, scores := range models {
			values[m] = scores[v].Goodness()
			known = known || !math.IsNaN(values[m])
			if math.IsNaN(values[m]) {
				values[m] = math.Inf(-1)
			}
		}
		if !known {
			continue
		}
		counted++
		for m, value := range values {
			better, equal := 0, 0
			for _, other := range values {
				switch {
				case other > value:
					better++
				case other == value:
					equal++
				}
			}
			out[m].Value += float64(better) + float64(equal+1)/2
		}
	}
	for m := range out {
		out[m].Validator = EnsembleName
		out[m].Value /= float64(counted) // NaN if there is none
		if counted == 0 {
			out[m].Note = "no validator could tell"
		}
	}
	return out
}

func first(models [][]domain.Score) []domain.Score {
	if len(models) == 0 {
		return nil
	}
	return models[0]
}

// rows divides probabilities into rows.
func rows(probabilities []float32, classes int) [][]float32 {
	out := make([][]float32, 0, len(probabilities)/classes)
	for i := 0; i < len(probabilities); i += classes {
		out = append(out, probabilities[i:i+classes])
	}
	return out
}

// noTarget is the note of validators that look at the target.
const noTarget = "there are no rows of the target"

// entropy in nats.
func entropy[F float32 | float64](p []F) float64 {
	sum := 0.0
	for _, v := range p {
		if v > 0 {
			sum -= float64(v) * math.Log(float64(v))
		}
	}
	return sum
}

// collapsed returns a note if nine of ten rows of the target, or more, are given one class and less than three quarters as many
// of the source's validation rows are of it.
func collapsed(e domain.Evidence) string {
	counts := make([]int, e.Classes)
	all := rows(e.TargetProbabilities, e.Classes)
	for _, p := range all {
		counts[argmax(p)]++
	}
	most := argmax(counts)
	share := float64(counts[most]) / float64(max(len(all), 1))
	if share < 0.9 {
		return ""
	}
	own := 0
	for _, class := range e.SourceClasses {
		if class == most {
			own++
		}
	}
	if n := len(e.SourceClasses); n > 0 && float64(own)/float64(n) >= 0.75*share {
		return ""
	}
	return fmt.Sprintf("the model gives %.0f %% of the target's rows one class: it has collapsed", 100*share)
}

func argmax[T int | float32 | float64](values []T) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}
