package retrieval

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/search"
)

func draw(rows, width int, seed uint64) []float32 {
	random := rand.New(rand.NewPCG(seed, 3))
	out := make([]float32, rows*width)
	for i := range out {
		out[i] = float32(random.NormFloat64())
	}
	return out
}

// The answers are those of sorting the whole gallery, with one thread and with several.
func TestAnswersAreThoseOfSorting(t *testing.T) {
	const queries, rows, width = 130, 90, 5
	q := Rows{Values: draw(queries, width, 1)}
	for i := range queries {
		q.Keys, q.Apart = append(q.Keys, i%11), append(q.Apart, i%7-1)
	}
	g := Rows{Values: draw(rows, width, 2)}
	for i := range rows {
		g.Keys, g.Apart = append(g.Keys, i%10), append(g.Apart, i%6)
	}
	answers, err := Search(context.Background(), q, g, width, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Search(context.Background(), q, g, width, 4, 3); err != nil || !reflect.DeepEqual(again, answers) {
		t.Errorf("three threads find others: %v", err)
	}
	cosine := func(i, j int) float64 {
		var ab, aa, bb float64
		for k := range width {
			a, b := float64(q.Values[i*width+k]), float64(g.Values[j*width+k])
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		return ab / math.Sqrt(aa*bb)
	}
	for i, a := range answers {
		var order []int
		for j := range rows {
			if q.Apart[i] < 0 || g.Apart[j] != q.Apart[i] {
				order = append(order, j)
			}
		}
		slices.SortFunc(order, func(x, y int) int { return int(math.Copysign(1, cosine(i, y)-cosine(i, x))) })
		var ranks []int
		for at, j := range order {
			if g.Keys[j] == q.Keys[i] {
				ranks = append(ranks, at+1)
			}
		}
		if a.Asked() != (len(ranks) > 0) || a.Relevant != len(ranks) || a.Relevant+a.Others != len(order) {
			t.Fatalf("query %d: %+v, %d relevant of %d", i, a, len(ranks), len(order))
		}
		for k, f := range a.Found {
			if f.Row != order[k] {
				t.Errorf("query %d: place %d is row %d, want %d", i, k+1, f.Row, order[k])
			}
		}
		if len(ranks) == 0 {
			continue
		}
		var precision, gain, best float64
		for k, rank := range ranks {
			precision += float64(k+1) / float64(rank) / float64(len(ranks))
			gain += 1 / math.Log2(float64(rank)+1)
			best += 1 / math.Log2(float64(k)+2)
		}
		if a.First != ranks[0] || math.Abs(a.AveragePrecision-precision) > 1e-12 || math.Abs(a.Gain-gain/best) > 1e-12 {
			t.Errorf("query %d: %+v, want rank %d, average precision %v, gain %v", i, a, ranks[0], precision, gain/best)
		}
	}
}

// Rows that are equally similar come before the relevant one: features that are all alike find nothing.
func TestTiesCountAgainstTheAnswer(t *testing.T) {
	same := Rows{Values: []float32{1, 1, 1, 1, 1, 1, 1, 1}, Keys: []int{0, 1, 0, 2}, Apart: []int{0, 1, 2, 3}}
	answers, err := Search(context.Background(), same, same, 2, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a := answers[0]; a.First != 3 || a.Relevant != 1 || a.AveragePrecision != 1.0/3 {
		t.Errorf("%+v", a)
	}
	if answers[1].Asked() {
		t.Errorf("there is nothing to be found: %+v", answers[1])
	}
	m := Sum(answers, nil, []int{1, 3})
	if !reflect.DeepEqual(m.Recall, []float64{0, 1}) || m.MedianRank != 3 || m.ReciprocalRank != 1.0/3 {
		t.Errorf("%+v", m)
	}
}

func TestSum(t *testing.T) {
	answers := []Answer{{Relevant: 1, First: 1}, {Relevant: 0}, {Relevant: 1, First: 4}, {Relevant: 2, First: 2}, {Relevant: 1, First: 9}}
	m := Sum(answers, nil, []int{1, 2, 5})
	if !reflect.DeepEqual(m.Recall, []float64{0.25, 0.5, 0.75}) || m.MedianRank != 3 || math.Abs(m.ReciprocalRank-(1+0.25+0.5+1.0/9)/4) > 1e-12 {
		t.Errorf("%+v", m)
	}
	weighted := Sum(answers, []float64{1, 5, 0, 2, 0}, []int{1})
	if weighted.Recall[0] != 1.0/3 || weighted.MedianRank != 2 {
		t.Errorf("%+v", weighted)
	}
	if none := Sum(answers[1:2], nil, []int{1}); !math.IsNaN(none.Recall[0]) || !math.IsNaN(none.MedianRank) {
		t.Errorf("of nothing: %+v", none)
	}
}

func TestChance(t *testing.T) {
	a := Answer{Relevant: 2, Others: 3}
	for k, want := range map[int]float64{1: 0.4, 2: 1 - 3.0/5*2/4, 4: 1, 9: 1} {
		if got := a.Chance(k); math.Abs(got-want) > 1e-12 {
			t.Errorf("chance of %d is %v, want %v", k, got, want)
		}
	}
}

// Rows that are found for all queries are hubs.
func TestHubness(t *testing.T) {
	answers := make([]Answer, 20)
	for i := range answers {
		answers[i].Found = append(answers[i].Found, found(0), found(1+i%9))
	}
	if hub := Hubness(answers, 10); hub < 2 {
		t.Errorf("skewness %v", hub)
	}
	for i := range answers {
		answers[i].Found[0] = found(i % 10)
		answers[i].Found = answers[i].Found[:1]
	}
	if even := Hubness(answers, 10); !math.IsNaN(even) {
		t.Errorf("skewness %v of rows that are found alike often", even)
	}
}

func found(row int) search.Match { return search.Match{Row: row} }
