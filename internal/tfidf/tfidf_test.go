package tfidf_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/tfidf"
)

// scikit-learn 1.x gives the same numbers (testdata/make.py).
func TestLikeScikitLearn(t *testing.T) {
	raw, err := os.ReadFile("testdata/sklearn.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Texts, Terms []string
		Vectors      [][]float64
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	v := tfidf.Fit(slices.Values(want.Texts[:4]), tfidf.Options{Most: 100, Least: 2, Longest: 2})
	if sorted := slices.Sorted(slices.Values(v.Terms())); !slices.Equal(sorted, want.Terms) {
		t.Fatalf("terms %q, want %q", sorted, want.Terms)
	}
	got := make([]float32, len(v.Terms()))
	for i, text := range want.Texts {
		known := v.Vector(got, text)
		if known != (i < 4) {
			t.Errorf("%q: known terms: %v", text, known)
		}
		for j, term := range want.Terms {
			if x := float64(got[slices.Index(v.Terms(), term)]); math.Abs(x-want.Vectors[i][j]) > 1e-6 {
				t.Errorf("%q, %q: %v, want %v", text, term, x, want.Vectors[i][j])
			}
		}
	}
	if v := tfidf.Fit(slices.Values(want.Texts[:4]), tfidf.Options{Most: 2, Least: 1, Longest: 1}); !slices.Equal(v.Terms(), []string{"cat", "the"}) {
		t.Errorf("the two most frequent terms are %q", v.Terms())
	}
}
