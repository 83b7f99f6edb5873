package simulate

import (
	"context"
	"math"
	"runtime"

	"github.com/sourcegraph/conc/iter"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// mostPatches is how many patches of a layer's input learned rounding sees, evenly from all.
const mostPatches = 2048

// LearnRounding chooses for each weight of a convolution or dense layer whether it becomes the step above or below, so that what
// the layer puts out for n examples moves least: the least of Δwᵀ·E[x·xᵀ]·Δw for each output channel (Nagel et al. 2020,
// arXiv:2004.10568, equation 13, which AdaRound relaxes), by coordinate descent from the nearest steps. x is the layer's input with all
// that comes before in bytes. It returns the weights as they are after rounding, by layer; the simulation uses them from then on.
func (s *Simulation) LearnRounding(ctx context.Context, x []float32, n int, scheme *quantise.Scheme, progress func(done, of int)) (map[string]nn.Tensor, error) {
	rounding := scheme.Rounding(s.net)
	input := s.net.Inputs()[0].Name
	values := map[string][]float32{input: append([]float32(nil), x...)}
	round(values[input], rounding, input)
	learned := map[string]nn.Tensor{}
	for i := range s.steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st := &s.steps[i]
		computes := scheme.Computes(st.layer)
		if computes && quantise.HasWeight(st.layer.Op) {
			in := st.layer.Inputs[0]
			weight := st.weight[nn.Parameter{Layer: st.layer.Name, Role: nn.Weight}.Name()]
			own := learnRounding(weight, st.patches(values[in], s.net.Shape(in), s.net.Shape(st.layer.Name), n))
			learned[st.layer.Name], st.learned, st.bytes = own, &own, nil
		}
		y, err := st.run(s.pool, values, n, computes)
		if err != nil {
			return nil, err
		}
		round(y, rounding, st.layer.Name)
		values[st.layer.Name] = y
		s.forget(values, st.layer, i)
		progress(i+1, len(s.steps))
	}
	return learned, nil
}

// patches are the rows of numbers that each output of a layer is the product of with its weights: for each group, [patch][number].
func (s *step) patches(x []float32, in, out nn.Shape, n int) [][][]float64 {
	op, ok := s.layer.Op.(nn.Conv)
	if !ok {
		width := in.Channels()
		rows := len(x) / width
		var all [][]float64
		for _, at := range spread(rows) {
			all = append(all, widened(x[at*width:(at+1)*width]))
		}
		return [][][]float64{all}
	}
	g := op.Geometry(in[2])
	each := in[2] / g.Groups
	all := make([][][]float64, g.Groups)
	for _, at := range spread(n * out[0] * out[1]) {
		example, row, column := at/(out[0]*out[1]), at/out[1]%out[0], at%out[1]
		for group := range all {
			patch := make([]float64, g.KernelH*g.KernelW*each)
			for kh := range g.KernelH {
				for kw := range g.KernelW {
					h, w := row*g.StrideH-g.PadTop+kh*g.DilationH, column*g.StrideW-g.PadLeft+kw*g.DilationW
					if h < 0 || h >= in[0] || w < 0 || w >= in[1] {
						continue
					}
					from := ((example*in[0]+h)*in[1]+w)*in[2] + group*each
					for c := range each {
						patch[(kh*g.KernelW+kw)*each+c] = float64(x[from+c])
					}
				}
			}
			all[group] = append(all[group], patch)
		}
	}
	return all
}

// spread lists up to mostPatches of n places, evenly.
func spread(n int) []int {
	out := make([]int, min(n, mostPatches))
	for i := range out {
		out[i] = i * n / len(out)
	}
	return out
}

func widened(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// learnRounding returns a weight, whose output channels are divided evenly among the groups, on its steps.
func learnRounding(weight nn.Tensor, groups [][][]float64) nn.Tensor {
	steps, sizes := quantise.Weight(weight)
	channels := weight.Shape[0]
	width, perGroup := len(weight.Data)/channels, channels/len(groups)
	workers := iter.Iterator[int]{MaxGoroutines: runtime.GOMAXPROCS(0)}
	for group, patches := range groups {
		begin := momentsOf(patches, width)
		rows := make([]int, perGroup)
		for i := range rows {
			rows[i] = group*perGroup + i
		}
		workers.ForEach(rows, func(channel *int) {
			from := *channel * width
			descend(steps[from:from+width], weight.Data[from:from+width], float64(sizes[*channel]), begin)
		})
	}
	return nn.Tensor{Shape: weight.Shape, Data: stored.Numbers(steps, sizes)}
}

// quadratic is Δᵀ·M·Δ for the mean M of the products x·xᵀ of patches, at a Δ that moves along the axes.
type quadratic interface {
	move(i int, by float64)  // adds to a number of Δ
	slope(i int) float64     // (M·Δ)ᵢ
	curvature(i int) float64 // Mᵢᵢ
}

// momentsOf returns what begins a quadratic at Δ = 0, in the smaller memory: of the means [number][number], or of the patches
// themselves, [number][patch].
func momentsOf(patches [][]float64, width int) func() quadratic {
	if len(patches) < width {
		columns := columnsOf(patches, width)
		squares := make([]float64, width)
		for i, column := range columns {
			squares[i] = vector.Dot(column, column) / float64(len(patches))
		}
		return func() quadratic { return &byPatches{columns, squares, make([]float64, len(patches))} }
	}
	second := moments(patches, width)
	return func() quadratic { return &byMoments{second, make([]float64, width)} }
}

// byMoments knows M·Δ.
type byMoments struct {
	second   [][]float64
	gradient []float64
}

func (q *byMoments) move(i int, by float64)  { vector.Axpy(by, q.second[i], q.gradient) }
func (q *byMoments) slope(i int) float64     { return q.gradient[i] }
func (q *byMoments) curvature(i int) float64 { return q.second[i][i] }

// byPatches knows the products of the patches with Δ.
type byPatches struct {
	columns  [][]float64
	squares  []float64
	products []float64
}

func (q *byPatches) move(i int, by float64) { vector.Axpy(by, q.columns[i], q.products) }
func (q *byPatches) slope(i int) float64 {
	return vector.Dot(q.columns[i], q.products) / float64(len(q.products))
}
func (q *byPatches) curvature(i int) float64 { return q.squares[i] }

// columnsOf turns patches to [number][patch].
func columnsOf(patches [][]float64, width int) [][]float64 {
	out := make([][]float64, width)
	for i := range out {
		out[i] = make([]float64, len(patches))
		for j, p := range patches {
			out[i][j] = p[i]
		}
	}
	return out
}

// moments are the mean products of the numbers of patches, [number][number].
func moments(patches [][]float64, width int) [][]float64 {
	out := make([][]float64, width)
	workers := iter.Iterator[[]float64]{MaxGoroutines: runtime.GOMAXPROCS(0)}
	workers.ForEachIdx(out, func(i int, row *[]float64) {
		*row = make([]float64, width)
		for _, p := range patches {
			if p[i] != 0 {
				vector.Axpy(p[i]/float64(len(patches)), p, *row)
			}
		}
	})
	return out
}

// descend moves weights of a channel to the step on their other side, one at a time, as long as that makes the error of the channel's outputs
// smaller. The largest stay: the size of the steps follows from them.
func descend(steps []int8, weight []float32, size float64, begin func() quadratic) {
	const mostSweeps, largest = 20, 127
	delta := make([]float64, len(steps))
	top := 0
	for i, q := range steps {
		delta[i] = float64(q)*size - float64(weight[i])
		top = max(top, int(max(q, -q)))
	}
	if top != largest {
		return
	}
	mean := begin()
	for i, d := range delta {
		if d != 0 {
			mean.move(i, d)
		}
	}
	for range mostSweeps {
		moved := false
		for i, q := range steps {
			if q == largest || q == -largest || delta[i] == 0 {
				continue
			}
			by := -math.Copysign(size, delta[i])
			next := q + int8(math.Copysign(1, by))
			if next == largest || next == -largest {
				continue
			}
			curvature := mean.curvature(i)
			if change := by * (2*mean.slope(i) + by*curvature); change < -1e-12*size*size*curvature {
				steps[i] = next
				delta[i] += by
				mean.move(i, by)
				moved = true
			}
		}
		if !moved {
			return
		}
	}
}
