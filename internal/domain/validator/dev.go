package validator

import (
	"context"
	"math"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/shift"
)

// embeddedValidation is deep embedded validation (You, Wang, Long and Jordan 2019): the log loss on the source's validation rows,
// each weighed by its importance, with the weights themselves as a control variate. Importance is of the features that the model's
// last layer takes, by logistic regression between the training rows of the source and the target's. Where these are told apart on all rows,
// a few weights decide, and the value tells little.
func embeddedValidation() Validator {
	return Validator{
		Name: "dev", Summary: "loss on the source's validation rows, weighed by how much they are like the target", Higher: false,
		measure: func(ctx context.Context, e domain.Evidence, threads int) (float64, string, error) {
			switch {
			case e.SourceFeatures.Rows() == 0 || e.TrainingFeatures.Rows() == 0 || e.TargetFeatures.Rows() == 0:
				return math.NaN(), "there are no features of rows of both domains", nil
			case e.SourceFeatures.Rows() != len(e.SourceClasses):
				return math.NaN(), "the features are not those of the source's validation rows", nil
			case e.SourceFeatures.Rows() < 2:
				return math.NaN(), "there are fewer than two validation rows of the source", nil
			}
			weights, err := shift.Importance(ctx, e.TrainingFeatures, e.TargetFeatures, e.SourceFeatures, threads)
			if err != nil {
				return math.NaN(), "", err
			}
			var own, losses []float64
			for i, p := range rows(e.SourceProbabilities, e.Classes) {
				if class := e.SourceClasses[i]; class >= 0 && class < e.Classes {
					own = append(own, weights[i])
					losses = append(losses, -math.Log(max(float64(p[class]), 1e-12)))
				}
			}
			if len(own) < 2 {
				return math.NaN(), "there are fewer than two labelled validation rows of the source", nil
			}
			_, risk := Risk(own, losses)
			return risk, "", nil
		},
	}
}

// Risk is the estimate of the target's mean loss from losses on the source and importance weights, with the control variate that
// makes its variance least: mean(wℓ) + η·(mean(w) − 1), η = −cov(wℓ, w)/var(w), both with n − 1.
func Risk(weights, losses []float64) (eta, risk float64) {
	n := float64(len(weights))
	meanWeight, meanLoss := 0.0, 0.0
	for i, w := range weights {
		meanWeight += w / n
		meanLoss += w * losses[i] / n
	}
	covariance, variance := 0.0, 0.0
	for i, w := range weights {
		covariance += (w*losses[i] - meanLoss) * (w - meanWeight) / (n - 1)
		variance += (w - meanWeight) * (w - meanWeight) / (n - 1)
	}
	if variance > 0 {
		eta = -covariance / variance
	}
	return eta, meanLoss + eta*(meanWeight-1)
}
