package projection_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/projection"
)

// groups are rows about centres.
func groups(n, count, width int) (values []float32, of []int) {
	random := rand.New(rand.NewPCG(3, uint64(width)))
	centres := make([]float64, count*width)
	for i := range centres {
		centres[i] = 6 * random.NormFloat64()
	}
	for i := range n {
		of = append(of, i%count)
		for j := range width {
			values = append(values, float32(centres[i%count*width+j]+random.NormFloat64()))
		}
	}
	return values, of
}

// Rows in a tilted plane of many dimensions keep their distances.
func TestPCA(t *testing.T) {
	for _, width := range []int{3, 90} {
		random := rand.New(rand.NewPCG(1, 1))
		a, b := make([]float64, width), make([]float64, width)
		length, product := 0.0, 0.0
		for i := range a {
			a[i], b[i] = random.NormFloat64(), random.NormFloat64()
			length += a[i] * a[i]
			product += a[i] * b[i]
		}
		other := 0.0
		for i := range b {
			b[i] -= a[i] * product / length
			other += b[i] * b[i]
		}
		var values []float32
		var plane []projection.Point
		for range 40 {
			p := projection.Point{X: 3 * random.NormFloat64(), Y: random.NormFloat64()}
			plane = append(plane, p)
			for i := range width {
				values = append(values, float32(5+p.X*a[i]/math.Sqrt(length)+p.Y*b[i]/math.Sqrt(other)))
			}
		}
		points, shares, err := projection.PCA(values, width, 2)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(shares[0]+shares[1]-1) > 1e-5 || shares[0] < shares[1] {
			t.Errorf("shares %v", shares)
		}
		for i := range points {
			got := math.Hypot(points[i].X-points[0].X, points[i].Y-points[0].Y)
			want := math.Hypot(plane[i].X-plane[0].X, plane[i].Y-plane[0].Y)
			if math.Abs(got-want) > 1e-4 {
				t.Fatalf("%d numbers: points 0 and %d are %v apart, rows %v", width, i, got, want)
			}
		}
	}
	if points, shares, err := projection.PCA(make([]float32, 12), 4, 1); err != nil || len(points) != 3 || shares != [2]float64{} {
		t.Errorf("equal rows: %v, %v, %v", points, shares, err)
	}
}

// Neighbours stay together, exactly and by Barnes and Hut, and threads change nothing.
func TestTSNE(t *testing.T) {
	values, of := groups(150, 5, 60)
	for _, exact := range []int{1000, 10} {
		o := projection.Options{Perplexity: 12, Iterations: 300, Exact: exact, Seed: 1, Threads: 1}
		points, err := projection.TSNE(context.Background(), values, 60, o)
		if err != nil {
			t.Fatal(err)
		}
		o.Threads = 3
		again, err := projection.TSNE(context.Background(), values, 60, o)
		if err != nil || !slices.Equal(points, again) {
			t.Errorf("exact up to %d: three threads give other points (%v)", exact, err)
		}
		right := 0
		for i, p := range points {
			best, least := -1, math.Inf(1)
			for j, q := range points {
				if d := math.Hypot(p.X-q.X, p.Y-q.Y); j != i && d < least {
					best, least = j, d
				}
			}
			if of[best] == of[i] {
				right++
			}
		}
		if right < 147 {
			t.Errorf("exact up to %d: %d of 150 points have a neighbour of their group", exact, right)
		}
		var spread float64
		for _, p := range points {
			spread = max(spread, math.Hypot(p.X, p.Y))
		}
		if spread < 3 || spread > 200 || math.IsNaN(spread) {
			t.Errorf("exact up to %d: the map reaches to %v", exact, spread)
		}
	}
}

// What cannot be told apart is no reason to fail.
func TestDegenerate(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 7} {
		for _, exact := range []int{1000, 1} {
			points, err := projection.TSNE(context.Background(), make([]float32, 5*n), 5, projection.Options{Exact: exact, Iterations: 50})
			if err != nil || len(points) != n {
				t.Fatalf("%d equal rows: %d points, %v", n, len(points), err)
			}
			for _, p := range points {
				if math.IsNaN(p.X + p.Y) {
					t.Fatalf("%d equal rows: %v", n, points)
				}
			}
		}
	}
	if _, err := projection.TSNE(context.Background(), []float32{1, 2, float32(math.NaN()), 4}, 2, projection.Options{}); err == nil {
		t.Error("a row that is not finite")
	}
	ended, end := context.WithCancel(context.Background())
	end()
	values, _ := groups(30, 2, 4)
	if _, err := projection.TSNE(ended, values, 4, projection.Options{}); err == nil {
		t.Error("no error though the context has ended")
	}
}
