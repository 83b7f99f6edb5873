package report

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// recallPrefix is what the names of recalls at k, record.RecallAt, begin with.
const recallPrefix = "recall_at_"

// recallsOf are the recalls that a model of retrieval was measured by, of the fewest rows first.
func recallsOf(m model) (names []string) {
	at := func(name string) int {
		k, _ := strconv.Atoi(strings.TrimPrefix(name, recallPrefix))
		return k
	}
	for name := range m.overall {
		if strings.HasPrefix(name, recallPrefix) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return at(a) - at(b) })
	return names
}

// ofRetrieval tells whether searches were measured.
func (e *evaluation) ofRetrieval() bool { return strings.HasPrefix(e.by, recallPrefix) }

// recallInWords is a recall's name.
func recallInWords(name string) string { return "recall at " + strings.TrimPrefix(name, recallPrefix) }

// retrievalColumns are the main metrics of searches.
func (e *evaluation) retrievalColumns() (columns []metricColumn) {
	for _, name := range recallsOf(e.models[0]) {
		words := recallInWords(name)
		columns = append(columns, metricColumn{name, strings.ToUpper(words[:1]) + words[1:], "share of the queries with a right row among the first " + strings.TrimPrefix(name, recallPrefix), true, false})
	}
	return append(columns,
		metricColumn{record.MedianRank, "Median rank", "of the first right row, from 1; lower is better", false, true},
		metricColumn{record.ReciprocalRank, "Mean reciprocal rank", "mean of 1 / rank of the first right row", false, false},
		metricColumn{record.MeanAveragePrecision, "Mean average precision", "mean over the queries of the mean precision at each right row", false, false},
		metricColumn{record.NDCG, "nDCG", "normalised discounted cumulative gain of the whole ranking", false, false},
		metricColumn{record.Hubness, "Hubness", "skewness of how often rows are among the first found: large if a few rows are near to many queries; lower is better", false, true},
	)
}
