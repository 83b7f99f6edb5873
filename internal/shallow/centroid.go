package shallow

import (
	"context"

	"github.com/tlpipe/tlpipe/internal/vector"
)

// centroid takes the class whose mean is nearest (Rocchio 1971): by Euclidean distance, as scikit-learn's NearestCentroid, or
// by the cosine to the mean of normalised rows (Snell et al. 2017, arXiv:1703.05175; Wang et al. 2019, SimpleShot,
// arXiv:1911.04623). A softmax of −½·scale·distance², or of scale·cosine, gives probabilities.
func centroid() Kind {
	return Kind{
		Name: "centroid", Summary: "the class whose mean is nearest", Takes: []string{"metric"},
		fit: func(ctx context.Context, t *task) (*Classifier, []Step, error) {
			search := func(t *task) (*Classifier, []Step, error) { return t.search(ctx, "", []float64{0}, centroidOn) }
			if t.Metric != cosine {
				return t.linear(search)
			}
			return t.standardised(search)
		},
	}
}

// centroidOn makes weights of the classes' means: x·c − ‖c‖²/2 is −‖x−c‖²/2 but for what all classes share.
func centroidOn(_ context.Context, t *task, rows Rows) (prepared, error) {
	if t.Metric == cosine {
		rows.Values = append([]float32(nil), rows.Values...)
		normalise(rows.Values, rows.Width)
	}
	means, shares := classMeans(rows, t.classes)
	l := &Linear{Bias: make([]float32, t.classes)}
	for k, mean := range means {
		for _, v := range mean {
			l.Weights = append(l.Weights, float32(v))
		}
		if t.Metric != cosine {
			l.Bias[k] = float32(-vector.Dot(mean, mean) / 2)
		}
		if shares[k] == 0 {
			l.Bias[k] = unseen
		}
	}
	if t.Metric == cosine {
		normalise(l.Weights, rows.Width)
	}
	return func(float64) (*Classifier, error) {
		return &Classifier{Linear: l, Scale: 1, Normalise: t.Metric == cosine}, nil
	}, nil
}

// unseen is the logit of a class without a row, which a fold may have.
const unseen = -1e9
