package simulate

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Magnitudes of a real network are cut off where the algorithm does in NumPy; testdata/entropy.py made the file.
func TestThresholdAsInNumPy(t *testing.T) {
	text, err := os.ReadFile("testdata/entropy.json")
	if err != nil {
		t.Fatal(err)
	}
	var values []struct {
		Layer    string
		Unsigned bool
		Counts   []float64
		Kept     float64
	}
	if err := json.Unmarshal(text, &values); err != nil || len(values) < 3 {
		t.Fatalf("%d values, %v", len(values), err)
	}
	for _, v := range values {
		if got := threshold(v.Counts, v.Unsigned); got != v.Kept {
			t.Errorf("%s: %v of %d parts stay, NumPy keeps %v", v.Layer, got, len(v.Counts), v.Kept)
		}
	}
}

// Zeros, of which a ReLU gives many, do not narrow the range, and few numbers far away are cut off.
func TestThreshold(t *testing.T) {
	counts := make([]float64, bins)
	for i := range counts {
		counts[i] = math.Round(1e5 * math.Exp(-float64(i*i)/(2*300*300)))
	}
	counts[bins-1] = 3 // far away
	kept := threshold(counts, false)
	if kept < 600 || kept > 1500 {
		t.Errorf("%v of %d parts stay of a half-normal distribution with outliers", kept, bins)
	}
	counts[0] = 1e9
	if zeros := threshold(counts, false); zeros != kept {
		t.Errorf("with zeros %v parts stay, without %v", zeros, kept)
	}
}
