package objective

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Pairs brings the embeddings of what belongs together into one space, such as of pictures and their captions: row i of one output
// and row i of the other are a pair, and all rows of the other are what it is told from. It is InfoNCE as CLIP has it (Radford et
// al. 2021, arXiv:2103.00020), the mean of the cross-entropies of the rows and of the columns of scale·cosines; or with Sigmoid
// the loss of SigLIP (Zhai et al. 2023, arXiv:2303.15343), Σ log(1 + exp(∓(scale·cosine + bias))) over all rows and columns,
// divided by the rows. Rows with the same key belong together too: InfoNCE leaves them out of what a row is told from, and SigLIP
// takes them as pairs. Scale, at most 100, and bias are numbers of the objective that Adam steps, the scale by its logarithm, at the rate
// of the network. Embeddings must have length 1.
type Pairs struct {
	First, Second string // the layers with the embeddings, vectors of the same length
	Target        string // int32, the key of the pair; "": [Class]
	Sigmoid       bool
}

// What the scale and the bias begin with, as in CLIP and SigLIP, and the greatest scale.
const (
	clipScale   = 1 / 0.07
	siglipScale = 10
	siglipBias  = -10
	mostScale   = 100
)

// Kind implements [Objective].
func (p Pairs) Kind() string {
	if p.Sigmoid {
		return "siglip"
	}
	return "infonce"
}

func (p Pairs) first() Output  { return Output{Layer: p.First} }
func (p Pairs) second() Output { return Output{Layer: p.Second} }
func (p Pairs) target() string { return or(p.Target, Class) }

// Outputs implements [Objective].
func (p Pairs) Outputs() []Output { return []Output{p.first(), p.second()} }

// Targets implements [Objective].
func (p Pairs) Targets(Shapes) []Target { return []Target{{Name: p.target(), Element: nn.Int32}} }

// Measures implements [Objective]: the share of rows, of both sides, that are nearer to their own pair than to any other of the batch.
func (Pairs) Measures() []Measure { return []Measure{{Accuracy, schedule.Rising}} }

// Check implements [Objective].
func (p Pairs) Check(shape Shapes) error {
	if err := vector(p.first(), shape, 1); err != nil {
		return err
	}
	if err := vector(p.second(), shape, 1); err != nil {
		return err
	}
	if a, b := shape(p.first()).Size(), shape(p.second()).Size(); a != b {
		return fmt.Errorf("outputs %q and %q have %d and %d numbers: must be as many", p.First, p.Second, a, b)
	}
	return nil
}

// Own implements [Adaptive]: the logarithm of the scale and, with Sigmoid, the bias, with what Adam keeps of them.
func (p Pairs) Own() []float64 {
	if p.Sigmoid {
		own := make([]float64, adamSize(2))
		own[0], own[1] = math.Log(siglipScale), siglipBias
		return own
	}
	own := make([]float64, adamSize(1))
	own[0] = math.Log(clipScale)
	return own
}

// Loss implements [Objective].
func (p Pairs) Loss(in Place) Loss {
	l := &pairsLoss{Pairs: p, graph: in.Graph, rows: in.Batch, first: in.Output(p.first()), second: in.Output(p.second()), mass: in.input("total", 1)}
	l.loss = in.Graph.Function(in.prefix+p.Kind(), func(pool *kernel.Pool, v [][]float32, gradients [][]float64) (float64, error) {
		mass := float64(v[2][0])
		t := l.table(pool, v[0], v[1], l.keys, l.own)
		loss := t.loss / mass
		l.gradient = []float64{t.scaleSlope / mass, t.biasSlope / mass}
		l.right = t.right
		t.back(gradients[0], v[1], false, mass)
		t.back(gradients[1], v[0], true, mass)
		return loss, nil
	}, l.first, l.second, l.mass)
	return l
}

// pairsLoss is the loss in a graph.
type pairsLoss struct {
	Pairs
	graph               *graph.Graph
	rows                int
	first, second, mass *graph.Node
	loss                *graph.Node
	keys                []int32
	own, gradient       []float64
	right               float64
}

func (l *pairsLoss) Node() *graph.Node      { return l.loss }
func (l *pairsLoss) Kept() []*graph.Node    { return nil }
func (l *pairsLoss) DivideBy(mass float64)  { l.graph.Data(l.mass)[0] = float32(mass) }
func (l *pairsLoss) Measure(sums []float64) { sums[0] += l.right }

func (l *pairsLoss) Fill(targets nn.Batch, f Filling) (float64, error) {
	if f.Blend.Partner != nil {
		return 0, fmt.Errorf("%s: mixed rows are no pairs", l.Kind())
	}
	l.keys, l.own = targets[l.target()].Int32, f.Own
	return float64(l.rows), nil
}

// Adapt implements [Adapting].
func (l *pairsLoss) Adapt(own []float64, by Adaption) {
	n := 1
	if l.Sigmoid {
		n = 2
	}
	adam(own, l.gradient[:n], by.Rate)
	own[0] = min(own[0], math.Log(mostScale))
}

// Evaluation implements [Objective]. It compares all rows with all others, up to 4,096 at once, whatever batches they come in, and has
// the scale and bias that a training begins with, so that epochs can be compared.
func (p Pairs) Evaluation(Shapes) Evaluation { return &pairsEvaluation{Pairs: p} }

// pairsAtOnce bounds the memory of an evaluation.
const pairsAtOnce = 4096

type pairsEvaluation struct {
	Pairs
	one, other []float32
	keys       []int32
}

func (e *pairsEvaluation) Add(outputs Values, targets nn.Batch, _ int) error {
	e.one, e.other = append(e.one, outputs(e.first())...), append(e.other, outputs(e.second())...)
	e.keys = append(e.keys, targets[e.target()].Int32...)
	return nil
}

func (e *pairsEvaluation) Result() (loss float64, measures []float64) {
	n := len(e.keys)
	width, right := len(e.one)/max(n, 1), 0.0
	for from := 0; from < n; from += pairsAtOnce {
		to := min(from+pairsAtOnce, n)
		t := e.table(nil, e.one[from*width:to*width], e.other[from*width:to*width], e.keys[from:to], e.Own())
		loss, right = loss+t.loss, right+t.right
	}
	return loss / float64(n), []float64{right / float64(n)}
}

// pairTable is all rows of one side against all of the other.
type pairTable struct {
	n, width              int
	slopes                []float32 // [n][n], of the cosines
	loss, right           float64   // sums over the rows
	scaleSlope, biasSlope float64   // of the logarithm of the scale, and of the bias
	alike                 func()    // puts the cosines of rows with one key back
	pool                  *kernel.Pool
}

// pairBlock is how many rows one task of a table has. Sums are made block by block, whatever the number of threads.
const pairBlock = 64

// table computes the loss of a batch, and its slopes with respect to the cosines.
func (p Pairs) table(pool *kernel.Pool, first, second []float32, keys []int32, own []float64) *pairTable {
	n := len(keys)
	t := &pairTable{n: n, width: len(first) / max(n, 1), slopes: make([]float32, n*n), pool: pool}
	if n == 0 {
		return t
	}
	kernel.Gemm(pool, false, true, n, n, t.width, 1, first, t.width, second, t.width, 0, t.slopes, n, nil)
	rows, columns := t.nearest(keys)
	if p.Sigmoid {
		t.alike()
		t.sigmoid(keys, math.Exp(own[0]), own[1])
	} else {
		t.softmax(rows, columns, math.Exp(own[0]))
	}
	return t
}

// blocks runs tasks on blocks of rows, each of which returns some sums, and adds these up in order.
func (t *pairTable) blocks(of func(from, to int, sums []float64), sums int) []float64 {
	count := (t.n + pairBlock - 1) / pairBlock
	parts := make([][]float64, count)
	t.pool.Each(count, func(_, i int) {
		parts[i] = make([]float64, sums)
		of(i*pairBlock, min((i+1)*pairBlock, t.n), parts[i])
	})
	out := make([]float64, sums)
	for _, part := range parts {
		for k, v := range part {
			out[k] += v
		}
	}
	return out
}

// masked is in the place of cosines of rows that are not told from each other: its exponential is 0.
const masked = -1e4

// nearest finds the greatest cosine of each row and each column with others that it is told from, and counts the rows that are nearer to
// their own pair than to any of these, half for each side: a tie is none.
func (t *pairTable) nearest(keys []int32) (rows, columns []float32) {
	n := t.n
	own := make([]float32, n)
	byKey := map[int32][]int{}
	for i, key := range keys {
		own[i], t.slopes[i*n+i] = t.slopes[i*n+i], masked
		byKey[key] = append(byKey[key], i)
	}
	type place struct {
		at     int
		cosine float32
	}
	var alike []place
	for _, same := range byKey {
		for _, i := range same {
			for _, j := range same {
				if i != j {
					alike = append(alike, place{i*n + j, t.slopes[i*n+j]})
					t.slopes[i*n+j] = masked
				}
			}
		}
	}
	rows, columns = make([]float32, n), make([]float32, n)
	parts := make([][]float32, (n+pairBlock-1)/pairBlock)
	t.pool.Each(len(parts), func(_, part int) {
		most := slices.Repeat([]float32{masked}, n)
		for i := part * pairBlock; i < min((part+1)*pairBlock, n); i++ {
			top := float32(masked)
			for j, s := range t.slopes[i*n : (i+1)*n] {
				top, most[j] = max(top, s), max(most[j], s)
			}
			rows[i] = top
		}
		parts[part] = most
	})
	copy(columns, parts[0])
	for _, most := range parts[1:] {
		for j, s := range most {
			columns[j] = max(columns[j], s)
		}
	}
	for i, s := range own {
		t.slopes[i*n+i] = s
		if s > rows[i] {
			t.right += 0.5
		}
		if s > columns[i] {
			t.right += 0.5
		}
	}
	t.alike = func() {
		for _, p := range alike {
			t.slopes[p.at] = p.cosine
		}
	}
	return rows, columns
}

// softmax is InfoNCE. What rows are not told from is masked. Its exponentials are e^(scale·(cosine − top)), with the greatest cosine
// of all as top.
func (t *pairTable) softmax(rows, columns []float32, scale float64) {
	n := t.n
	top, low := float32(math.Inf(-1)), float32(math.Inf(1))
	for i := range n {
		own := t.slopes[i*n+i]
		rows[i], columns[i] = max(rows[i], own), max(columns[i], own)
		top, low = max(top, rows[i]), min(low, rows[i], columns[i])
	}
	exponentials := make([]float32, n*n)
	tops := slices.Repeat([]float32{top}, n)
	// Exponentials of float32 end at 2⁻¹²⁵, about e⁻⁸⁶: where a row or column has no greater ones than some e⁻⁵⁰, they are
	// computed in float64, each for itself.
	fast := scale*float64(top-low) < 50
	exact := func(s float32) float64 { return math.Exp(scale * (float64(s) - float64(top))) }
	sums := make([]float64, n) // of the rows
	totals := t.blocks(func(from, to int, of []float64) {
		if fast {
			kernel.Exponentials(exponentials[from*n:to*n], t.slopes[from*n:to*n], tops, to-from, float32(scale))
		}
		for i := from; i < to; i++ {
			var sum float64
			if !fast {
				for j, s := range t.slopes[i*n : (i+1)*n] {
					e := exact(s)
					sum += e
					of[j] += e
				}
				sums[i] = sum
				continue
			}
			for j, e := range exponentials[i*n : (i+1)*n] {
				sum += float64(e)
				of[j] += float64(e)
			}
			sums[i] = sum
		}
	}, n)
	halves := make([]float64, n)
	for j, total := range totals {
		halves[j] = scale / 2 / total
	}
	losses := t.blocks(func(from, to int, of []float64) {
		for i := from; i < to; i++ {
			row, e := t.slopes[i*n:(i+1)*n], exponentials[i*n:(i+1)*n]
			own := float64(row[i])
			of[0] += (math.Log(sums[i])+math.Log(totals[i]))/2 - scale*(own-float64(top))
			half, along := scale/2/sums[i], 0.0
			if fast {
				for j, s := range row {
					g := float64(e[j]) * (half + halves[j])
					along += g * float64(s)
					row[j] = float32(g)
				}
			} else {
				for j, s := range row {
					g := exact(s) * (half + halves[j])
					along += g * float64(s)
					row[j] = float32(g)
				}
			}
			of[1] += along - scale*own
			row[i] -= float32(scale)
		}
	}, 2)
	t.loss, t.scaleSlope = losses[0], losses[1]
}

// sigmoid is the loss of SigLIP.
func (t *pairTable) sigmoid(keys []int32, scale, bias float64) {
	n := t.n
	sums := t.blocks(func(from, to int, sums []float64) {
		for i := from; i < to; i++ {
			row := t.slopes[i*n : (i+1)*n]
			for j, s := range row {
				z, sign := scale*float64(s)+bias, -1.0
				if keys[i] == keys[j] {
					sign = 1
				}
				e := math.Exp(-math.Abs(z))
				sums[0] += max(-sign*z, 0) + math.Log1p(e)
				share := 1 / (1 + e) // σ(|z|)
				if sign*z > 0 {
					share = e / (1 + e)
				}
				g := -sign * share
				sums[1] += g * scale * float64(s)
				sums[2] += g
				row[j] = float32(g * scale)
			}
		}
	}, 3)
	t.loss, t.scaleSlope, t.biasSlope = sums[0], sums[1], sums[2]
}

// back writes the gradient of one side's embeddings, of the loss divided by the mass; nothing if none is asked for.
func (t *pairTable) back(to []float64, other []float32, transposed bool, mass float64) {
	if to == nil || t.n == 0 {
		return
	}
	d := make([]float32, t.n*t.width)
	kernel.Gemm(t.pool, transposed, false, t.n, t.width, t.n, 1, t.slopes, t.n, other, t.width, 0, d, t.width, nil)
	for i, v := range d {
		to[i] = float64(v) / mass
	}
}
