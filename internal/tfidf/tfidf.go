// Package tfidf turns texts into vectors of the words that they have, each weighed by how rare it is (Spärck Jones, "A Statistical
// Interpretation of Term Specificity and Its Application in Retrieval", 1972).
//
// # Terms
//
//   - A term is a word, or two or more words that follow each other.
//   - The vocabulary is the terms that most texts have of those that it was fitted on.
//   - A term's weight in a text is (1 + ln of how often it is there) · (1 + ln((1 + texts)/(1 + texts with the term))); the vector
//     is divided by its length. These are the weights of scikit-learn's TfidfVectorizer with sublinear_tf.
package tfidf

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/words"
)

// Vocabulary is the terms of the vectors, and their weights.
type Vocabulary struct {
	terms   []string
	at      map[string]int
	holding []int // texts with each
	texts   int
	rarity  []float64
	longest int // words of a term
}

// Options say which terms there are.
type Options struct {
	Most    int // terms at most
	Least   int // texts that have a term at least
	Longest int // words of a term at most
}

// Fit finds the terms of texts.
func Fit(texts iter.Seq[string], o Options) *Vocabulary {
	holding := map[string]int{}
	count := 0
	for text := range texts {
		count++
		for term := range frequencies(text, o.Longest) {
			holding[term]++
		}
	}
	terms := slices.DeleteFunc(slices.Collect(maps.Keys(holding)), func(term string) bool { return holding[term] < o.Least })
	slices.SortFunc(terms, func(a, b string) int { return cmp.Or(cmp.Compare(holding[b], holding[a]), cmp.Compare(a, b)) })
	terms = slices.Clip(terms[:min(len(terms), o.Most)])
	counts := make([]int, len(terms))
	for i, term := range terms {
		counts[i] = holding[term]
	}
	return New(terms, counts, count, o.Longest)
}

// New is the vocabulary of terms of so many words at most; holding is how many of so many texts have each.
func New(terms []string, holding []int, texts, longest int) *Vocabulary {
	v := &Vocabulary{terms: terms, at: make(map[string]int, len(terms)), holding: holding, texts: texts, longest: longest}
	for i, term := range terms {
		v.at[term] = i
		v.rarity = append(v.rarity, 1+math.Log(float64(1+texts)/float64(1+holding[i])))
	}
	return v
}

// Terms are those of the vectors, in order.
func (v *Vocabulary) Terms() []string { return v.terms }

// Holding is how many of the texts that the vocabulary was fitted on have each term, and how many texts there were.
func (v *Vocabulary) Holding() (holding []int, texts int) { return v.holding, v.texts }

// Vector writes the vector of a text into dst, which has a place for each term. It tells whether any of them is there: else dst is
// zeros.
func (v *Vocabulary) Vector(dst []float32, text string) bool {
	clear(dst)
	weights := map[int]float64{}
	for term, n := range frequencies(text, v.longest) {
		if at, ok := v.at[term]; ok {
			weights[at] = float64((1 + math.Log(float64(n))) * v.rarity[at])
		}
	}
	sum := 0.0
	for _, at := range slices.Sorted(maps.Keys(weights)) { // in one order, so that the sum is the same
		sum += float64(weights[at] * weights[at])
	}
	for at, w := range weights {
		dst[at] = float32(w / math.Sqrt(sum))
	}
	return sum > 0
}

// frequencies counts the terms of a text.
func frequencies(text string, longest int) map[string]int {
	out := map[string]int{}
	var before []string
	for word := range words.In(text) {
		before = append(before, word)
		if len(before) > longest {
			before = before[1:]
		}
		for i := range before {
			out[strings.Join(before[i:], " ")]++
		}
	}
	return out
}
