package nntest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Evaluate is [EvaluateBatch] of a network of one input.
func Evaluate(net *nn.Network, w nn.Weights, input []float64, n int) map[string][]float64 {
	return EvaluateBatch(net, w, map[string][]float64{net.Inputs()[0].Name: input}, n)
}

// EvaluateBatch computes every layer of the network for n examples, in inference mode, given the inputs by
// name, and returns the outputs by layer, [n][shape...].
func EvaluateBatch(net *nn.Network, w nn.Weights, inputs map[string][]float64, n int) map[string][]float64 {
	out := map[string][]float64{}
	for _, l := range net.Layers() {
		size := net.Shape(l.Name).Size()
		y := make([]float64, 0, n*size)
		for i := range n {
			var x [][]float64
			for j, s := range net.InputShapes(l) {
				x = append(x, out[l.Inputs[j]][i*s.Size():(i+1)*s.Size()])
			}
			if _, ok := l.Op.(nn.Input); ok {
				y = append(y, inputs[l.Name][i*size:(i+1)*size]...)
				continue
			}
			e := layer{Layer: l, inputs: net.InputShapes(l), output: net.Shape(l.Name), weights: w}
			y = append(y, e.evaluate(x)...)
		}
		out[l.Name] = y
	}
	return out
}

// layer is a layer with what it takes to compute one example.
type layer struct {
	nn.Layer
	inputs  []nn.Shape
	output  nn.Shape
	weights nn.Weights
}

// parameter returns a parameter of the layer, and zeros if there is none.
func (l layer) parameter(role nn.Role, size int) []float32 {
	if t, ok := l.weights[nn.Parameter{Layer: l.Name, Role: role}.Name()]; ok {
		return t.Data
	}
	return make([]float32, size)
}

// evaluate computes y, zeros so far, of an example's inputs.
func (l layer) evaluate(x [][]float64) []float64 {
	y := make([]float64, l.output.Size())
	compute, ok := definitions()[l.Op.Kind()]
	if !ok {
		panic(fmt.Sprintf("nntest: op %s has no definition", l.Op.Kind()))
	}
	compute(l, y, x)
	return y
}

// definitions are the ops as their definitions read; y is zeros before. Inputs are given, not computed.
func definitions() map[string]func(l layer, y []float64, x [][]float64) {
	return map[string]func(l layer, y []float64, x [][]float64){
		nn.Input{}.Kind():     func(layer, []float64, [][]float64) {},
		nn.Conv{}.Kind():      func(l layer, y []float64, x [][]float64) { l.conv(l.Op.(nn.Conv), y, x[0]) },
		nn.Dense{}.Kind():     dense,
		nn.BatchNorm{}.Kind(): batchNorm,
		nn.Activation{}.Kind(): func(l layer, y []float64, x [][]float64) {
			for i, v := range x[0] {
				y[i] = activate(l.Op.(nn.Activation).Function, v)
			}
		},
		nn.Add{}.Kind(): func(_ layer, y []float64, x [][]float64) {
			for _, x := range x {
				for i, v := range x {
					y[i] += v
				}
			}
		},
		nn.Multiply{}.Kind(): func(_ layer, y []float64, x [][]float64) {
			for i, v := range x[0] {
				y[i] = v * x[1][i%len(x[1])]
			}
		},
		nn.Scale{}.Kind(): func(l layer, y []float64, x [][]float64) {
			for i, v := range x[0] {
				y[i] = v * float64(l.Op.(nn.Scale).Factor)
			}
		},
		nn.Concat{}.Kind():            concat,
		nn.MaxPool{}.Kind():           func(l layer, y []float64, x [][]float64) { l.pool(l.Op.(nn.MaxPool).Geometry(), y, x[0], true) },
		nn.AveragePool{}.Kind():       func(l layer, y []float64, x [][]float64) { l.pool(l.Op.(nn.AveragePool).Geometry(), y, x[0], false) },
		nn.GlobalAveragePool{}.Kind(): globalAveragePool,
		nn.ZeroPad{}.Kind():           zeroPad,
		nn.Dropout{}.Kind():           same,
		nn.Flatten{}.Kind():           same,
		nn.Softmax{}.Kind():           softmax,
		nn.Embedding{}.Kind(): func(l layer, y []float64, x [][]float64) {
			width, table := l.Op.(nn.Embedding).Width, l.parameter(nn.Weight, 0)
			for i := range y {
				y[i] = float64(table[int(x[0][i/width])*width+i%width])
			}
		},
		nn.LayerNorm{}.Kind():   layerNorm,
		nn.MatMul{}.Kind():      matMul,
		nn.Reshape{}.Kind():     same,
		nn.Transpose{}.Kind():   transpose,
		nn.L2Normalise{}.Kind(): l2Normalise,
		nn.Neighbours{}.Kind():  neighbours,
		nn.Affine{}.Kind(): func(l layer, y []float64, x [][]float64) {
			op := l.Op.(nn.Affine)
			for i, v := range x[0] {
				y[i] = v*float64(op.Scale[i%len(op.Scale)]) + float64(op.Shift[i%len(op.Scale)])
			}
		},
		nn.GradientReversal{}.Kind(): same,
		nn.Attention{}.Kind():        attention,
		nn.Positions{}.Kind(): func(l layer, y []float64, x [][]float64) {
			table, from := l.parameter(nn.Weight, 0), l.Op.(nn.Positions).First*l.output.Channels()
			for i, v := range x[0] {
				y[i] = v + float64(table[from+i])
			}
		},
		nn.Prepend{}.Kind(): func(l layer, y []float64, x [][]float64) {
			before := l.parameter(nn.Weight, 0)
			for i, v := range before {
				y[i] = float64(v)
			}
			copy(y[len(before):], x[0])
		},
		nn.ScaleShift{}.Kind(): func(l layer, y []float64, x [][]float64) {
			c := l.output.Channels()
			beta := l.parameter(nn.Beta, c)
			for i, v := range x[0] {
				if l.Op.(nn.ScaleShift).Scale {
					v *= float64(l.parameter(nn.Gamma, c)[i%c])
				}
				y[i] = v + float64(beta[i%c])
			}
		},
		nn.TokenPool{}.Kind(): tokenPool,
		nn.Recurrent{}.Kind(): recurrent,
		nn.Window{}.Kind():    window,
	}
}

func same(_ layer, y []float64, x [][]float64) { copy(y, x[0]) }

func dense(l layer, y []float64, x [][]float64) {
	in, out := l.inputs[0].Channels(), l.output.Channels()
	weight, bias := l.parameter(nn.Weight, 0), l.parameter(nn.Bias, out)
	for i := range y {
		o := i % out
		y[i] = float64(bias[o])
		for j, v := range x[0][i/out*in : (i/out+1)*in] {
			y[i] += v * float64(weight[o*in+j])
		}
	}
}

func batchNorm(l layer, y []float64, x [][]float64) {
	op, c := l.Op.(nn.BatchNorm), l.output.Channels()
	gamma, beta := l.parameter(nn.Gamma, c), l.parameter(nn.Beta, c)
	mean, variance := l.parameter(nn.Mean, c), l.parameter(nn.Variance, c)
	for i, v := range x[0] {
		j := i % c
		scale := float64(gamma[j])
		if op.Unscaled {
			scale = 1
		}
		y[i] = scale*(v-float64(mean[j]))/math.Sqrt(float64(variance[j])+float64(op.Epsilon)) + float64(beta[j])
	}
}

func concat(l layer, y []float64, x [][]float64) {
	at := 0
	for j, s := range l.inputs {
		for i, v := range x[j] {
			y[i/s.Channels()*l.output.Channels()+at+i%s.Channels()] = v
		}
		at += s.Channels()
	}
}

func globalAveragePool(_ layer, y []float64, x [][]float64) {
	for i, v := range x[0] {
		y[i%len(y)] += v * float64(len(y)) / float64(len(x[0]))
	}
}

func zeroPad(l layer, y []float64, x [][]float64) {
	in, margins := l.inputs[0], l.Op.(nn.ZeroPad).Margins
	for i := range y {
		c, column, line := i%in[2], i/in[2]%l.output[1]-margins[1], i/in[2]/l.output[1]-margins[0]
		if line >= 0 && line < in[0] && column >= 0 && column < in[1] {
			y[i] = x[0][(line*in[1]+column)*in[2]+c]
		}
	}
}

func softmax(l layer, y []float64, x [][]float64) {
	columns := l.output.Channels()
	for row := 0; row < len(y); row += columns {
		sum := 0.0
		for i, v := range x[0][row : row+columns] {
			y[row+i] = math.Exp(v)
			sum += y[row+i]
		}
		for i := range columns {
			y[row+i] /= sum
		}
	}
}

func layerNorm(l layer, y []float64, x [][]float64) {
	columns := l.output.Channels()
	gamma, beta := l.parameter(nn.Gamma, columns), l.parameter(nn.Beta, columns)
	for row := 0; row < len(y); row += columns {
		var mean, variance float64
		for _, v := range x[0][row : row+columns] {
			mean += v / float64(columns)
		}
		for _, v := range x[0][row : row+columns] {
			variance += (v - mean) * (v - mean) / float64(columns)
		}
		for i := range columns {
			y[row+i] = float64(gamma[i])*(x[0][row+i]-mean)/math.Sqrt(variance+float64(l.Op.(nn.LayerNorm).Epsilon)) + float64(beta[i])
		}
	}
}

func matMul(l layer, y []float64, x [][]float64) {
	op := l.Op.(nn.MatMul)
	_, m, n, k := op.Sizes(l.inputs[0], l.inputs[1])
	for i := range y {
		pair, row, column := i/(m*n), i/n%m, i%n
		for j := range k {
			a, b := row*k+j, j*n+column
			if op.TransposeA {
				a = j*m + row
			}
			if op.TransposeB {
				b = column*k + j
			}
			y[i] += x[0][pair*m*k+a] * x[1][pair*k*n+b]
		}
	}
}

func transpose(l layer, y []float64, x [][]float64) {
	axes := l.Op.(nn.Transpose).Axes
	for i := range y {
		at, rest := make([]int, len(axes)), i // in the input
		for a := len(axes) - 1; a >= 0; a-- {
			at[axes[a]] = rest % l.output[a]
			rest /= l.output[a]
		}
		from := 0
		for a, n := range l.inputs[0] {
			from = from*n + at[a]
		}
		y[i] = x[0][from]
	}
}

func l2Normalise(l layer, y []float64, x [][]float64) {
	columns := l.output.Channels()
	for row := 0; row < len(y); row += columns {
		var square float64
		for _, v := range x[0][row : row+columns] {
			square += v * v
		}
		for i := range columns {
			y[row+i] = x[0][row+i] / max(math.Sqrt(square), float64(l.Op.(nn.L2Normalise).Least()))
		}
	}
}

func neighbours(l layer, y []float64, x [][]float64) {
	op, rows, labels := l.Op.(nn.Neighbours), l.parameter(nn.Rows, 0), l.parameter(nn.Labels, 0)
	order, distance := make([]int, op.Rows), make([]float64, op.Rows)
	for i := range order {
		order[i] = i
		for c, v := range x[0] {
			d := v - float64(rows[i*len(x[0])+c])
			distance[i] += d * d
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(distance[a], distance[b]) })
	total := 0.0
	for _, i := range order[:op.K] {
		vote := 1.0
		if op.Weighted {
			vote = 1 / math.Sqrt(distance[i])
			if distance[order[0]] == 0 {
				vote = 0
				if distance[i] == 0 {
					vote = 1
				}
			}
		}
		y[int(labels[i])] += vote
		total += vote
	}
	for c := range y {
		y[c] /= total
	}
}

func (l layer) conv(op nn.Conv, y, x []float64) {
	in, out := l.inputs[0], l.output
	g := op.Geometry(in[2])
	perGroup := in[2] / g.Groups
	weight, bias := l.parameter(nn.Weight, 0), l.parameter(nn.Bias, op.Out)
	for i := range y {
		o, ox, oy := i%out[2], i/out[2]%out[1], i/out[2]/out[1]
		first := o / (out[2] / g.Groups) * perGroup
		y[i] = float64(bias[o])
		for ky := range g.KernelH {
			for kx := range g.KernelW {
				iy, ix := oy*g.StrideH+ky*g.DilationH-g.PadTop, ox*g.StrideW+kx*g.DilationW-g.PadLeft
				if iy < 0 || iy >= in[0] || ix < 0 || ix >= in[1] {
					continue
				}
				for c := range perGroup {
					y[i] += x[(iy*in[1]+ix)*in[2]+first+c] * float64(weight[((o*g.KernelH+ky)*g.KernelW+kx)*perGroup+c])
				}
			}
		}
	}
}

func (l layer) pool(g kernel.Pooling, y, x []float64, greatest bool) {
	in, out := l.inputs[0], l.output
	for i := range y {
		c, ox, oy := i%out[2], i/out[2]%out[1], i/out[2]/out[1]
		sum, most, count := 0.0, math.Inf(-1), 0
		for ky := range g.KernelH {
			for kx := range g.KernelW {
				iy, ix := oy*g.StrideH+ky-g.PadTop, ox*g.StrideW+kx-g.PadLeft
				if iy < 0 || iy >= in[0] || ix < 0 || ix >= in[1] {
					if g.CountPadding && iy < in[0]+g.PadBottom && ix < in[1]+g.PadRight {
						count++
					}
					continue
				}
				v := x[(iy*in[1]+ix)*in[2]+c]
				sum, most, count = sum+v, max(most, v), count+1
			}
		}
		y[i] = most
		if !greatest {
			y[i] = sum / float64(count)
		}
	}
}

func activate(f kernel.Activation, x float64) float64 {
	switch f {
	case kernel.None:
		return x
	case kernel.ReLU:
		return max(x, 0)
	case kernel.ReLU6:
		return min(max(x, 0), 6)
	case kernel.SiLU:
		return x / (1 + math.Exp(-x))
	case kernel.HardSwish:
		return x * min(max(x+3, 0), 6) / 6
	case kernel.Sigmoid:
		return 1 / (1 + math.Exp(-x))
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.GELU:
		return x * (1 + math.Erf(x/math.Sqrt2)) / 2
	case kernel.GELUTanh:
		return x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) / 2
	case kernel.QuickGELU:
		return x / (1 + math.Exp(-1.702*x))
	}
	panic(fmt.Sprintf("nntest: activation %v", f))
}
