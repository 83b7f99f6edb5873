package train

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"pgregory.net/rapid"
)

func TestTurns(t *testing.T) {
	sample := Turns([]int{0, 1}, []int{2, 3}, []int{4})
	if got := slices.Concat(sample(0), sample(4), sample(5)); !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
		t.Errorf("positions %v", got)
	}
}

func TestBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 60).Draw(t, "classes")
		var within Sample
		among := positionsOf(nil, len(classes), 0)
		if rapid.Bool().Draw(t, "half") {
			among = among[:(len(among)+1)/2]
			within = Turns(among)
		}
		epoch := rapid.IntRange(0, 100).Draw(t, "epoch")
		sample := Balanced(within, classes, 7)
		got := sample(epoch)
		if len(got) != len(among) || !slices.Equal(got, sample(epoch)) {
			t.Fatalf("%d positions of %d", len(got), len(among))
		}
		size, drawn, each := map[int]int{}, map[int]int{}, map[int]int{}
		for _, p := range among {
			size[classes[p]]++
		}
		for _, p := range got {
			if !slices.Contains(among, p) {
				t.Fatalf("position %d is not among %v", p, among)
			}
			drawn[classes[p]]++
			each[p]++
		}
		for c, n := range size {
			if d := drawn[c]; d < len(among)/len(size) || d > (len(among)+len(size)-1)/len(size) {
				t.Fatalf("class %d comes %d times of %d, of %d classes", c, d, len(among), len(size))
			}
			for _, p := range among {
				if classes[p] == c && (each[p] < drawn[c]/n || each[p] > (drawn[c]+n-1)/n) {
					t.Fatalf("example %d comes %d times, its class %d times, with %d examples", p, each[p], drawn[c], n)
				}
			}
		}
	})
}

// TestBeta holds the draws' mean and variance against those of the distribution.
func TestBeta(t *testing.T) {
	for _, alpha := range []float64{0.05, 0.2, 1, 1.5, 8} {
		random := source{graph.Draw{Seed: 3}.Stream("test")}
		const n = 40000
		var sum, squares float64
		for range n {
			x := random.beta(alpha)
			if !(x >= 0 && x <= 1) {
				t.Fatalf("Beta(%v) gave %v", alpha, x)
			}
			sum += x
			squares += (x - 0.5) * (x - 0.5)
		}
		variance := 1 / (4 * (2*alpha + 1))
		if mean := sum / n; math.Abs(mean-0.5) > 5*math.Sqrt(variance/n) || math.Abs(squares/n/variance-1) > 0.05 {
			t.Errorf("Beta(%v): mean %v, variance %v, want 0.5 and %v", alpha, mean, squares/n, variance)
		}
	}
}

// TestMixtures mixes batches whose examples and targets say of themselves what they are.
func TestMixtures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		shape := nn.Shape{rapid.IntRange(1, 9).Draw(t, "h"), rapid.IntRange(1, 9).Draw(t, "w"), 2}
		m := Mixing{Probability: rapid.Float64Range(0.01, 1).Draw(t, "probability")}
		if rapid.Bool().Draw(t, "cut") {
			m.CutMix = rapid.Float64Range(0.1, 2).Draw(t, "α")
		} else {
			m.MixUp = rapid.Float64Range(0.1, 2).Draw(t, "α")
		}
		mixed := m.draw(n, shape, graph.Draw{Seed: rapid.Uint64().Draw(t, "seed"), Step: rapid.IntRange(0, 9).Draw(t, "step")})
		x, targets := make([]float32, n*shape.Size()), make([]float32, n*n)
		for i := range n {
			for j := range shape.Size() {
				x[i*shape.Size()+j] = float32(i)
			}
			targets[i*n+i] = 1
		}
		mixed.inputs(x, shape)
		mixed.Apply(targets, n)
		for i := range n {
			var pixels, target, mass float64
			for _, v := range x[i*shape.Size() : (i+1)*shape.Size()] {
				pixels += float64(v) / float64(shape.Size())
			}
			for c, v := range targets[i*n : (i+1)*n] {
				target += float64(c) * float64(v)
				mass += float64(v)
			}
			if math.Abs(pixels-target) > 1e-5 || math.Abs(mass-1) > 1e-6 {
				t.Fatalf("example %d has mean %v, its target %v of mass %v", i, pixels, target, mass)
			}
			if m.CutMix > 0 && mixed.Partner != nil {
				for _, v := range x[i*shape.Size() : (i+1)*shape.Size()] {
					if v != float32(i) && v != float32(mixed.Partner[i]) {
						t.Fatalf("cutmix blended: %v", v)
					}
				}
			}
		}
	})
}

func TestMixingHappensAsOftenAsAsked(t *testing.T) {
	m := Mixing{MixUp: 0.2, CutMix: 1, Probability: 0.6}
	var mixed, cut int
	const steps = 4000
	for step := range steps {
		switch d := m.draw(4, nn.Shape{8, 8, 3}, graph.Draw{Seed: 1, Step: step}); {
		case d.Partner == nil:
		case d.cut:
			cut++
			mixed++
		default:
			mixed++
		}
	}
	if a, b := float64(mixed)/steps, float64(cut)/float64(mixed); math.Abs(a-0.6) > 0.03 || math.Abs(b-0.5) > 0.03 {
		t.Errorf("%v of the batches were mixed, %v of them by cutmix", a, b)
	}
}

// Batches of classes have as many classes with as many examples each as asked for, every example comes, and none twice in a group.
func TestClassBatches(t *testing.T) {
	var classes []int
	for i := range 67 {
		classes = append(classes, i%5)
	}
	classes = append(classes, 5, 5, 6) // fewer than a group
	of := ClassBatches(nil, classes, 4, 12, 3)
	if !reflect.DeepEqual(of(2), of(2)) || reflect.DeepEqual(of(1), of(2)) {
		t.Error("an epoch's batches are its own, and always the same")
	}
	seen := map[int]int{}
	for _, batch := range of(0) {
		perClass := map[int]map[int]bool{}
		for _, p := range batch {
			seen[p]++
			if perClass[classes[p]] == nil {
				perClass[classes[p]] = map[int]bool{}
			}
			perClass[classes[p]][p] = true
		}
		if len(batch) > 16 || len(perClass) < 2 {
			t.Errorf("a batch of %d examples of %d classes", len(batch), len(perClass))
		}
	}
	for p := range classes {
		if seen[p] < 1 || seen[p] > 2 {
			t.Errorf("example %d comes %d times", p, seen[p])
		}
	}
	few := ClassBatches(func(int) []int { return []int{3, 8, 13, 1} }, classes, 2, 8, 3)(0)
	if len(few) != 1 || len(few[0]) != 5 { // 3, 8 and 13 are of one class: the second group of two is filled up
		t.Errorf("%v", few)
	}
}
