package fewshot

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/shallow"
)

// Method tells classes of queries from a support.
type Method struct {
	Name         string // its word
	Summary      string
	Source       string // the paper
	Transductive bool
	space        space // of the features that it works on
	scores       func(ctx context.Context, t *task) error
}

// Methods lists them all.
func Methods() []Method {
	return []Method{
		{Name: "prototypical", Summary: "the nearest prototype by Euclidean distance", Source: "Snell et al. 2017", space: raw, scores: prototypical},
		{Name: "cosine", Summary: "the nearest prototype by cosine, of features of length 1", Source: "Chen et al. 2019", space: unit, scores: cosine},
		{Name: "simple_shot", Summary: "the nearest prototype, of features that the base mean was subtracted from and that were then given length 1", Source: "Wang et al. 2019, CL2N", space: centred, scores: prototypical},
		{Name: "nearest_neighbour", Summary: "the class of the most similar support row, by cosine", space: unit, scores: nearestNeighbour},
		{Name: "logistic", Summary: "logistic regression on the support, penalty 1, of features of length 1", Source: "Tian et al. 2020", space: unit, scores: logistic},
		{Name: "laplacian_shot", Summary: "prototypes moved towards the queries, and answers alike for queries that are near each other", Source: "Ziko et al. 2020", Transductive: true, space: centred, scores: laplacianShot},
		{Name: "fine_tuned", Summary: "a cosine classifier trained on the support, from the prototypes, of features of length 1", Source: "Chen et al. 2019", space: unit, scores: fineTuned},
		{Name: "tim", Summary: "prototypes trained so that the support is told, and answers to the queries are sure and spread over the classes", Source: "Boudiaf et al. 2020", Transductive: true, space: centred, scores: information},
	}
}

// Find finds a method by its word.
func Find(name string) (Method, bool) {
	all := Methods()
	at := slices.IndexFunc(all, func(m Method) bool { return m.Name == name })
	if at < 0 {
		return Method{}, false
	}
	return all[at], true
}

// space is what is done with features before distances are taken.
type space int

const (
	raw     space = iota
	unit          // length 1
	centred       // the base mean subtracted, then length 1
)

// task is an episode in coordinates that have the inner products of the features, but no more dimensions than there are rows: all
// methods but those that train see features through these alone.
type task struct {
	way            int
	support        [][]float64
	supportClasses []int
	queries        [][]float64
	features       [][]float32 // of support, then queries
	scores         [][]float64 // [queries][way], what a method fills in: higher is more likely
}

// prototypes are the means of the support by class.
func (t *task) prototypes() [][]float64 {
	out, counts := make([][]float64, t.way), make([]float64, t.way)
	for c := range out {
		out[c] = make([]float64, len(t.support[0]))
	}
	for i, x := range t.support {
		c := t.supportClasses[i]
		counts[c]++
		for j, v := range x {
			out[c][j] += v
		}
	}
	for c := range out {
		for j := range out[c] {
			out[c][j] /= counts[c]
		}
	}
	return out
}

func prototypical(_ context.Context, t *task) error {
	centres := t.prototypes()
	for i, q := range t.queries {
		for c, p := range centres {
			t.scores[i][c] = -math.Sqrt(distance(q, p))
		}
	}
	return nil
}

func cosine(_ context.Context, t *task) error {
	centres := t.prototypes()
	for i, q := range t.queries {
		for c, p := range centres {
			t.scores[i][c] = similarity(q, p)
		}
	}
	return nil
}

func nearestNeighbour(_ context.Context, t *task) error {
	for i, q := range t.queries {
		for c := range t.scores[i] {
			t.scores[i][c] = math.Inf(-1)
		}
		for s, x := range t.support {
			c := t.supportClasses[s]
			t.scores[i][c] = max(t.scores[i][c], similarity(q, x))
		}
	}
	return nil
}

func logistic(ctx context.Context, t *task) error {
	width := len(t.support[0])
	rows := shallow.Rows{Width: width, Classes: t.supportClasses}
	for _, x := range t.support {
		for _, v := range x {
			rows.Values = append(rows.Values, float32(v))
		}
	}
	fit, _, err := shallow.Logistic(ctx, rows, shallow.Rows{Width: width}, t.way, shallow.Options{Settings: shallow.Settings{Penalties: []float64{1}}, Threads: 1})
	if err != nil {
		return err
	}
	for i, q := range t.queries {
		for c := range t.way {
			sum := float64(fit.Bias[c])
			for j, v := range q {
				sum += float64(fit.Weights[c*width+j]) * v
			}
			t.scores[i][c] = sum
		}
	}
	return nil
}

// Settings of LaplacianShot, those of its authors for features of this kind.
const (
	laplacianNeighbours = 2 // three with the query itself, which they count
	laplacianWeight     = 0.7
	laplacianRounds     = 20
)

// laplacianShot moves the prototypes by the queries (Liu et al., Prototype Rectification, 2020), and lets queries that are near each other
// have like answers (Ziko et al., Laplacian Regularized Few-Shot Learning, 2020, algorithm 1).
func laplacianShot(_ context.Context, t *task) error {
	centres := t.rectified()
	near := t.neighbours(laplacianNeighbours)
	n := len(t.queries)
	far := make([][]float64, n)
	for i, q := range t.queries {
		far[i] = make([]float64, t.way)
		for c, p := range centres {
			far[i][c] = distance(q, p)
			t.scores[i][c] = -far[i][c]
		}
		softmax(t.scores[i])
	}
	before := math.Inf(1)
	next := make([][]float64, n)
	for round := range laplacianRounds {
		pull := make([][]float64, n)
		for i := range n {
			next[i], pull[i] = make([]float64, t.way), make([]float64, t.way)
			for _, j := range near[i] {
				for c, y := range t.scores[j] {
					pull[i][c] += y
				}
			}
			for c := range t.way {
				next[i][c] = -far[i][c] + laplacianWeight*pull[i][c]
			}
			softmax(next[i])
		}
		for i := range n {
			copy(t.scores[i], next[i])
		}
		bound := 0.0
		for i := range n {
			for c := range t.way {
				together := 0.0
				for _, j := range near[i] {
					together += t.scores[j][c]
				}
				y := t.scores[i][c]
				bound += y*math.Log(y+1e-12) + far[i][c]*y - laplacianWeight*together*y
			}
		}
		if round > 1 && math.Abs(bound-before) <= 1e-6*math.Abs(before) {
			break
		}
		before = bound
	}
	return nil
}

// rectified are prototypes to which queries that look like a class are added, weighted by how much, after the queries were shifted to
// the support's mean.
func (t *task) rectified() [][]float64 {
	centres := t.prototypes()
	width := len(t.support[0])
	shift := make([]float64, width)
	for _, x := range t.support {
		for j, v := range x {
			shift[j] += v / float64(len(t.support))
		}
	}
	for _, q := range t.queries {
		for j, v := range q {
			shift[j] -= v / float64(len(t.queries))
		}
	}
	out, sums := make([][]float64, t.way), make([]float64, t.way)
	for c := range out {
		out[c] = make([]float64, width)
	}
	take := func(x []float64, class int) {
		weight := math.Exp(similarity(x, centres[class]))
		sums[class] += weight
		for j, v := range x {
			out[class][j] += weight * v
		}
	}
	for i, x := range t.support {
		take(x, t.supportClasses[i])
	}
	moved := make([]float64, width)
	for _, q := range t.queries {
		for j, v := range q {
			moved[j] = v + shift[j]
		}
		best, class := math.Inf(-1), 0
		for c, p := range centres {
			if s := similarity(moved, p); s > best {
				best, class = s, c
			}
		}
		take(moved, class)
	}
	for c := range out {
		for j := range out[c] {
			out[c][j] /= sums[c]
		}
	}
	return out
}

// neighbours are the k queries that are nearest to each query, itself left out.
func (t *task) neighbours(k int) [][]int {
	out := make([][]int, len(t.queries))
	for i, q := range t.queries {
		type other struct {
			at  int
			far float64
		}
		var all []other
		for j, x := range t.queries {
			if j != i {
				all = append(all, other{j, distance(q, x)})
			}
		}
		slices.SortStableFunc(all, func(a, b other) int { return cmp.Compare(a.far, b.far) })
		for _, o := range all[:min(k, len(all))] {
			out[i] = append(out[i], o.at)
		}
	}
	return out
}

func distance(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		d := v - b[i]
		sum += d * d
	}
	return sum
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func similarity(a, b []float64) float64 {
	return dot(a, b) / max(math.Sqrt(dot(a, a)*dot(b, b)), 1e-12)
}

func softmax(x []float64) {
	most := slices.Max(x)
	sum := 0.0
	for i, v := range x {
		x[i] = math.Exp(v - most)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}
