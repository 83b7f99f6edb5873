package transferability

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// The scores are those of NumPy and scikit-learn; testdata/scores.py wrote them.
func TestReferenceScores(t *testing.T) {
	var cases []struct {
		Width                   int
		Features, Probabilities []float32
		Classes                 []int
		LogME, LEEP             float64
		HScore                  float64 `json:"h_score"`
	}
	text, err := os.ReadFile("testdata/scores.json")
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-6*(1+math.Abs(want))) {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, c := range cases {
		s, err := Score(nil, Rows{c.Width, c.Features, c.Classes})
		if err != nil {
			t.Fatal(err)
		}
		near("LogME", s.LogME, c.LogME)
		near("H-score", s.HScore, c.HScore)
		if !math.IsNaN(s.LEEP) {
			t.Errorf("LEEP of features that are no probabilities is %v", s.LEEP)
		}
		if again, err := Score(pool, Rows{c.Width, c.Features, c.Classes}); err != nil || again.LogME != s.LogME || again.HScore != s.HScore {
			t.Errorf("with two threads %v, with one %v; %v", again, s, err)
		}
		p, err := Score(nil, Rows{c.Width, c.Probabilities, c.Classes})
		if err != nil {
			t.Fatal(err)
		}
		near("LEEP", p.LEEP, c.LEEP)
	}
}

// Features that tell the classes apart have better scores than noise.
func TestBetterFeatures(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	score := func(apart float64) Scores {
		r := Rows{Width: 10}
		for i := range 90 {
			r.Classes = append(r.Classes, i%3)
			for k := range 10 {
				v := random.NormFloat64()
				if k == i%3 {
					v += apart
				}
				r.Values = append(r.Values, float32(v))
			}
		}
		s, err := Score(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	noise, some, much := score(0), score(1), score(4)
	if !(noise.LogME < some.LogME && some.LogME < much.LogME && noise.HScore < some.HScore && some.HScore < much.HScore && much.HScore < 2) {
		t.Errorf("noise %v, some %v, much %v", noise, some, much)
	}
}

func TestWhatCannotBeScored(t *testing.T) {
	nan := float32(math.NaN())
	for want, r := range map[string]Rows{
		"no 3 rows":       {2, []float32{1, 2, 3}, []int{0, 1, 0}},
		"at least 3 of 2": {1, []float32{1, 2, 3}, []int{0, 0, 0}},
		"count from 0":    {1, []float32{1, 2, 3}, []int{0, -1, 0}},
		"not a finite":    {1, []float32{1, nan, 3}, []int{0, 1, 0}},
	} {
		if _, err := Score(nil, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if s, err := Score(nil, Rows{2, []float32{1, 1, 1, 1, 1, 1}, []int{0, 1, 0}}); err != nil || math.IsNaN(s.LogME) || math.IsInf(s.LogME, 0) || math.IsNaN(s.HScore) {
		t.Errorf("features without variance: %v, %v", s, err)
	}
}
