package fewshot

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Every method answers as the reference implementations do; testdata/episodes.py wrote what these say.
func TestReferenceAnswers(t *testing.T) {
	var reference struct {
		Width, Way, Shot, Query int
		Features                []float32
		Base                    []float64
		Episodes                []struct {
			Support, Queries []int
			Answers          map[string][]int
			Scores           map[string][]float64 // of methods that train
		}
	}
	text, err := os.ReadFile("testdata/episodes.json")
	if err == nil {
		err = json.Unmarshal(text, &reference)
	}
	if err != nil {
		t.Fatal(err)
	}
	f := Features{Width: reference.Width, Values: reference.Features, Base: reference.Base}
	for _, m := range Methods() {
		z := newSpace(m.rows(f), 1, 1)
		for n, given := range reference.Episodes {
			want := given.Answers[m.Name]
			e := Episode{Support: given.Support, Queries: given.Queries}
			for c := range reference.Way {
				e.SupportClasses = append(e.SupportClasses, slices.Repeat([]int{c}, reference.Shot)...)
				e.QueryClasses = append(e.QueryClasses, slices.Repeat([]int{c}, reference.Query)...)
			}
			answered, err := m.answer(context.Background(), z, e, reference.Way)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, scores := range answered.scores {
				got = append(got, likeliest(scores))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, episode %d: %v, want %v", m.Name, n, got, want)
			}
			for i, score := range given.Scores[m.Name] {
				if have := answered.scores[i/reference.Way][i%reference.Way]; math.Abs(have-score) > 1e-5 {
					t.Errorf("%s, episode %d: score %d is %v, want %v", m.Name, n, i, have, score)
				}
			}
		}
	}
}

// No object stands in both support and queries, each class has its share, and an episode follows from its number.
func TestEpisodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Sampler{Way: rapid.IntRange(2, 4).Draw(t, "way"), Shot: rapid.IntRange(1, 3).Draw(t, "shot"), Query: rapid.IntRange(1, 5).Draw(t, "query"), Seed: rapid.Uint64().Draw(t, "seed")}
		if rapid.Bool().Draw(t, "uneven") {
			s.Dirichlet = 2
		}
		s.Open = rapid.IntRange(0, 3).Draw(t, "open")
		var classes, objects []int
		for object := range 40 {
			for range rapid.IntRange(1, 3).Draw(t, "rows") {
				classes, objects = append(classes, object%5), append(objects, object)
			}
		}
		if err := s.Prepare(classes, objects); err != nil {
			t.Fatal(err)
		}
		e := s.Draw(7)
		if again := s.Draw(7); !reflect.DeepEqual(e, again) {
			t.Fatalf("%v, then %v", e, again)
		}
		if len(e.Support) != s.Way*s.Shot || len(e.Queries) == 0 {
			t.Fatalf("%+v", e)
		}
		known := map[int]bool{}
		classOf := map[int]int{}
		for i, row := range e.Support {
			known[objects[row]] = true
			if c, ok := classOf[e.SupportClasses[i]]; ok && c != classes[row] {
				t.Fatalf("class %d has rows of %d and %d", e.SupportClasses[i], c, classes[row])
			}
			classOf[e.SupportClasses[i]] = classes[row]
		}
		for i, row := range e.Queries {
			if known[objects[row]] {
				t.Fatalf("object %d stands in support and queries: %+v", objects[row], e)
			}
			if c := e.QueryClasses[i]; c == Unknown {
				for _, taken := range classOf {
					if classes[row] == taken {
						t.Fatalf("row %d is of a class of the episode", row)
					}
				}
			} else if classOf[c] != classes[row] {
				t.Fatalf("row %d is of class %d, not %d", row, classes[row], classOf[c])
			}
		}
	})
}

func TestTooFewClasses(t *testing.T) {
	s := Sampler{Way: 3, Shot: 2, Query: 1}
	err := s.Prepare([]int{0, 0, 0, 1, 1, 1, 2, 2, -1}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8})
	if err == nil || !strings.Contains(err.Error(), "there are 2, and 1 with fewer") {
		t.Errorf("%v", err)
	}
}

// Coordinates keep inner products.
func TestCoordinates(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	z := make([][]float32, 9)
	for i := range z {
		z[i] = make([]float32, 30)
		for j := range z[i] {
			z[i][j] = float32(random.NormFloat64())
		}
	}
	z[4] = z[2] // one dimension less
	rows := []int{8, 2, 4, 0, 5}
	x := coordinates(newSpace(z, 10, 2), rows)
	if len(x[0]) != 4 {
		t.Errorf("%d dimensions, want 4", len(x[0]))
	}
	for i, a := range rows {
		for j, b := range rows {
			want := 0.0
			for k := range z[a] {
				want += float64(z[a][k]) * float64(z[b][k])
			}
			if got := dot(x[i], x[j]); math.Abs(got-want) > 1e-9 {
				t.Errorf("rows %d and %d: %v, want %v", a, b, got, want)
			}
		}
	}
}

// The same results for any number of threads; far classes are told apart, and known queries from others.
func TestMeasure(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const width = 8
	f := Features{Width: width, Base: make([]float64, width)}
	var classes, objects []int
	for i := range 120 {
		for j := range width {
			v := 0.2 * random.NormFloat64()
			if j == i%6 {
				v++
			}
			f.Values = append(f.Values, float32(v))
		}
		classes, objects = append(classes, i%6), append(objects, i)
	}
	s := Sampler{Way: 5, Shot: 2, Query: 4, Open: 5}
	if err := s.Prepare(classes, objects); err != nil {
		t.Fatal(err)
	}
	for _, m := range Methods() {
		one, err := m.Measure(context.Background(), f, &s, 20, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		several, err := m.Measure(context.Background(), f, &s, 20, 4, nil)
		if err != nil || !reflect.DeepEqual(one, several) {
			t.Errorf("%s: %v with one thread, %v with four, %v", m.Name, one, several, err)
		}
		var accuracy, area float64
		for _, r := range one {
			accuracy += r.Accuracy / 20
			area += r.AUROC / 20
		}
		if accuracy < 0.95 || area < 0.8 && m.Name != "laplacian_shot" {
			t.Errorf("%s: accuracy %v, AUROC %v", m.Name, accuracy, area)
		}
	}
	all, few := newSpace(m0(f), 100, 2), newSpace(m0(f), 1, 2)
	if few.all != nil || all.all == nil || all.of(7, 99) != few.of(7, 99) || all.of(99, 7) != few.of(7, 99) {
		t.Error("products that are computed beforehand are others")
	}
	f.Base = nil
	m, _ := Find("simple_shot")
	if _, err := m.Measure(context.Background(), f, &s, 1, 1, nil); err == nil {
		t.Error("simple_shot did without base features")
	}
}

func m0(f Features) [][]float32 {
	m, _ := Find("cosine")
	return m.rows(f)
}
