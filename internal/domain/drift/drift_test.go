package drift

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
)

// answers are softmaxes of normal logits; lift moves the first one.
func answers(random *rand.Rand, rows, classes int, lift float64) []float32 {
	out := make([]float32, rows*classes)
	for i := range rows {
		sum := 0.0
		row := out[i*classes : (i+1)*classes]
		for c := range row {
			x := 2 * random.NormFloat64()
			if c == 0 {
				x += lift
			}
			row[c] = float32(math.Exp(x))
			sum += float64(row[c])
		}
		for c := range row {
			row[c] /= float32(sum)
		}
	}
	return out
}

func profiles(answers []float32, classes int) (out []uint16) {
	for i := range len(answers) / classes {
		out = Profile(out, answers[i*classes:(i+1)*classes])
	}
	return out
}

// Batches without a shift are told to have one as seldom as Level says, whatever the sizes; batches with one are found.
func TestFalseAlarmsAndShifts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct{ classes, reference, rows int }{{2, 40, 20}, {3, 60, 60}, {40, 30, 25}} {
		const trials = 100
		alarms, found := 0, 0
		for range trials {
			r := Refer("val", answers(random, c.reference, c.classes, 0), c.classes)
			for _, lift := range []float64{0, 4} {
				f, ok, err := Compare(r, profiles(answers(random, c.rows, c.classes, lift), c.classes))
				if err != nil || !ok || f.Rows != c.rows || f.Reference != c.reference {
					t.Fatalf("%+v, %v, %v", f, ok, err)
				}
				switch {
				case !f.Shifted():
				case lift == 0:
					alarms++
				default:
					found++
				}
			}
		}
		// Of 100 trials at 0.01, more than 5 come once in 2,000 tests.
		if alarms > 5 {
			t.Errorf("%+v: %d false alarms in %d", c, alarms, trials)
		}
		if found < trials/2 {
			t.Errorf("%+v: %d shifts found of %d", c, found, trials)
		}
	}
}

// The distance is that of the definition, ties taken together, and the class is told that moved.
func TestDistance(t *testing.T) {
	r := record.NewReference("val", 2, []uint16{1, 5, 2, 5, 2, 5, 3, 5})
	sample, err := r.Sample()
	if err != nil || len(sample) != 8 {
		t.Fatal(sample, err)
	}
	d, column := newTest(append(sample, 2, 5, 3, 5, 3, 5, 4, 5), 2, 4).distance([]bool{false, false, false, false, true, true, true, true})
	if d != 0.5 || column != 0 {
		t.Errorf("distance %v of column %d, want 0.5 of 0", d, column)
	}
}

// What is too small or damaged is told apart.
func TestWhatCannotBeCompared(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	if r := Refer("val", answers(random, Least-1, 3, 0), 3); r != nil {
		t.Error("a reference of too few rows")
	}
	r := Refer("val", answers(random, 1000, 3, 0), 3)
	if sample, err := r.Sample(); err != nil || len(sample) != MostReference*4 {
		t.Errorf("%d values, %v", len(sample), err)
	}
	if _, ok, err := Compare(r, profiles(answers(random, Least-1, 3, 0), 3)); ok || err != nil {
		t.Errorf("a batch of too few rows: %v, %v", ok, err)
	}
	if _, _, err := Compare(r, make([]uint16, 3)); err == nil {
		t.Error("profiles of another width were taken")
	}
	for _, bad := range []record.Reference{{Columns: 0, Values: r.Values}, {Columns: 3, Values: "AAA="}, {Columns: 4, Values: "?"}, {Columns: 4}, {Columns: 1 << 40, Values: r.Values}} {
		if _, _, err := Compare(&bad, make([]uint16, 400)); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
