package metrics

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

func TestQuantileAgainstNumPy(t *testing.T) {
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Quantile struct {
			Values    []float64
			Low, High float64
		}
	}
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	q := ref.Quantile
	for share, want := range map[float64]float64{0.025: q.Low, 0.975: q.High, 0: q.Values[0], 1: q.Values[len(q.Values)-1]} {
		if got := quantile(q.Values, share); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %v: %v, want %v", share, got, want)
		}
	}
	if got := quantile([]float64{5}, 0.3); got != 5 {
		t.Errorf("quantile of one value: %v", got)
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("quantile of nothing: %v", got)
	}
}
