package textinput

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/tfidf"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
)

// Vectoriser makes features of texts. It serves one goroutine.
type Vectoriser struct {
	Width  int // features of a text
	encode func(dst []float32, text string) bool
}

// Vector writes the features of a text into dst. It tells whether any of its words is known: else the features say nothing of it.
func (v *Vectoriser) Vector(dst []float32, text string) bool { return v.encode(dst, text) }

// Terms makes features as a step says.
func Terms(step record.TermsStep) (*Vectoriser, error) {
	terms, err := words.Decode(step.Terms)
	if err != nil {
		return nil, fmt.Errorf("read the terms: %w", err)
	}
	if terms.Len() != len(step.Holding) {
		return nil, fmt.Errorf("%d terms, and how rare %d are", terms.Len(), len(step.Holding))
	}
	v := tfidf.New(terms.Words(), step.Holding, step.Texts, step.Longest)
	return &Vectoriser{len(step.Holding), v.Vector}, nil
}

// WordMean makes features as a step says, of the vectors of a table.
func WordMean(step record.WordMeanStep, table *wordvectors.Table) (*Vectoriser, error) {
	if table.Digest != step.Digest || table.Width != step.Width {
		return nil, fmt.Errorf("these word vectors, SHA-256 %.12s, are not those that were learned with, SHA-256 %.12s", table.Digest, step.Digest)
	}
	var weights []float64
	var common []float64
	if sif := step.SIF; sif != nil {
		counts := make([]int64, table.Len())
		for i, place := range sif.Places {
			if int(place) >= len(counts) {
				return nil, fmt.Errorf("there are %d word vectors, and none at %d", len(counts), place)
			}
			counts[place] = sif.Counts[i]
		}
		weights, common = wordvectors.SIF(counts, sif.A), sif.Common
	}
	cutter := table.NewCutter()
	return &Vectoriser{table.Width, func(dst []float32, text string) bool {
		places, _ := cutter.Cut(text)
		ok := table.Mean(dst, places, weights)
		wordvectors.RemoveCommon(dst, common)
		return ok
	}}, nil
}
