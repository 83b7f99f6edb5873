package evaluate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline"
)

// pair is a model and the data that it is measured on.
type pair struct{ model, data pipeline.Input }

// pairUp finds the data for each model: the only one there is, the only one
// whose coordinates agree with the model's, or, among lists of equal length
// without coordinates, the one at the same place.
func pairUp(models, data []pipeline.Input) ([]pair, error) {
	if len(models) == 0 || len(data) == 0 {
		return nil, errors.New("there must be at least one model and one data input")
	}
	pairs := make([]pair, len(models))
	byPlace := len(models) == len(data) && bare(models) && bare(data)
	for i, model := range models {
		switch {
		case len(data) == 1:
			pairs[i] = pair{model, data[0]}
		case byPlace:
			pairs[i] = pair{model, data[i]}
		default:
			fitting := closest(model, data)
			if len(fitting) != 1 {
				return nil, fmt.Errorf("model %s must pair with one data input, but %d of %s agree with its coordinates", model.Name(), len(fitting), names(data))
			}
			pairs[i] = pair{model, fitting[0]}
		}
	}
	return pairs, nil
}

// closest lists the data whose coordinates agree with the model's, on as many
// axes as any does.
func closest(model pipeline.Input, data []pipeline.Input) []pipeline.Input {
	var best []pipeline.Input
	most := -1
	for _, d := range data {
		if !model.Coordinates().Fits(d.Coordinates()) {
			continue
		}
		shared := 0
		for axis := range d.Coordinates() {
			if _, ok := model.Coordinates()[axis]; ok {
				shared++
			}
		}
		if shared > most {
			best, most = nil, shared
		}
		if shared == most {
			best = append(best, d)
		}
	}
	return best
}

func bare(inputs []pipeline.Input) bool {
	for _, in := range inputs {
		if len(in.Coordinates()) > 0 {
			return false
		}
	}
	return true
}

func names(inputs []pipeline.Input) string {
	list := make([]string, len(inputs))
	for i, in := range inputs {
		list[i] = in.Name()
	}
	return strings.Join(list, ", ")
}
