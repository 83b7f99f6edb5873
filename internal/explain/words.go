package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/inference"
)

// mostOccluded is how many pieces of a text are left out one by one; of longer texts, tokens are taken together.
const mostOccluded = 128

// Words tells how much each token of a text speaks for a class: by how much its probability falls when the token is left out
// (Li, Monroe and Jurafsky 2016, arXiv:1612.08220). Tokens that are left out together share what they tell.
func Words(model *inference.Model, ids []int32, class int) ([]float64, error) {
	names := len(model.Head().Names())
	if class < 0 || class >= names {
		return nil, fmt.Errorf("class %d of %d", class, names)
	}
	if len(ids) < 2 {
		return make([]float64, len(ids)), nil
	}
	together := (len(ids) + mostOccluded - 1) / mostOccluded
	numbers := inference.TokenNumbers(len(ids))
	rows := inference.AppendTokens(nil, ids, numbers)
	count := 1
	for at := 0; at < len(ids); at += together {
		without := append(append(make([]int32, 0, len(ids)), ids[:at]...), ids[min(at+together, len(ids)):]...)
		rows = inference.AppendTokens(rows, without, numbers)
		count++
	}
	out := make([]float32, count*names)
	if err := model.NewSession(nil, count).Run(rows, count, out); err != nil {
		return nil, fmt.Errorf("leave out words: %w", err)
	}
	fall := make([]float64, len(ids))
	for i := range count - 1 {
		for at := i * together; at < min((i+1)*together, len(ids)); at++ {
			fall[at] = float64(out[class]) - float64(out[(i+1)*names+class])
		}
	}
	return fall, nil
}

// Teller answers for a text: a probability for each class.
type Teller interface {
	Text(text string, out []float32) error
}

// Pieces is [Words] for a model on features of texts: by how much the probability of a class, of so many, falls when one of the
// first pieces of a text is left out.
func Pieces(model Teller, classes int, pieces []string, first, class int) ([]float64, error) {
	if class < 0 || class >= classes {
		return nil, fmt.Errorf("class %d of %d", class, classes)
	}
	fall := make([]float64, min(first, len(pieces)))
	out := make([]float32, classes)
	if err := model.Text(strings.Join(pieces, " "), out); err != nil {
		return nil, fmt.Errorf("leave out words: %w", err)
	}
	whole := out[class]
	for i := range fall {
		without := slices.Concat(pieces[:i], pieces[i+1:])
		if err := model.Text(strings.Join(without, " "), out); err != nil {
			return nil, fmt.Errorf("leave out words: %w", err)
		}
		fall[i] = float64(whole) - float64(out[class])
	}
	return fall, nil
}
