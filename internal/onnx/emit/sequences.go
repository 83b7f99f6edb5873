package emit

import (
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/onnx"
	"github.com/tlpipe/tlpipe/internal/words"
)

// Inputs of files that take texts, as transformers names them.
const (
	IDs  = "input_ids"      // int64 [n, tokens]
	Mask = "attention_mask" // int64 [n, tokens]: 1 for tokens, 0 for the padding behind them
)

// tokens takes the ids of texts, and tells tokens from padding.
func (e *emission) tokens(l nn.Layer, op nn.Input) {
	for _, name := range []string{IDs, Mask} {
		e.taken[name] = true
		e.graph.Inputs = append(e.graph.Inputs, onnx.ValueInfo{Name: name, Type: onnx.Int64, Known: true, Shape: dimensions(op.Shape)})
	}
	e.mask = e.node("Cast", "mask", []string{Mask}, onnx.Int("to", int(onnx.Float32)))
	e.put(l, IDs, false)
}

// column is the mask as [n, tokens, 1].
func (e *emission) column() string {
	if e.maskColumn == "" {
		e.maskColumn = e.node("Unsqueeze", "mask.column", []string{e.mask, e.whole("axis2", 2)})
	}
	return e.maskColumn
}

// whole is a constant of one whole number, [1].
func (e *emission) whole(name string, v int64) string {
	return e.constant(onnx.Int64s("whole."+name, []int{1}, v))
}

// rows takes those from … to along axis 1; to is relative to the end where it is not positive, 0 for all.
func (e *emission) rows(name, x string, from, to int) string {
	end := int64(to)
	if to == 0 {
		end = math.MaxInt64
	}
	starts, ends := e.constant(onnx.Int64s(name+".from", []int{1}, int64(from))), e.constant(onnx.Int64s(name+".to", []int{1}, end))
	return e.node("Slice", name, []string{x, starts, ends, e.whole("axis1", 1)})
}

// attention is scaled dot-product attention; what no token may see has −10⁹ added before the softmax.
func (e *emission) attention(l nn.Layer, op nn.Attention) error {
	shape := e.net.Shape(l.Name)
	g := op.Geometry(shape.Channels())
	heads := func(i int, part string, axes ...int) string {
		split := e.node("Reshape", l.Name+"."+part+".split", []string{e.in(l.Inputs[i], false), e.shape(l.Name+".split", 0, 0, int64(g.Heads), int64(g.Width))})
		return e.node("Transpose", l.Name+"."+part, []string{split}, onnx.Ints("perm", axes...))
	}
	q, k, v := heads(0, "queries", 0, 2, 1, 3), heads(1, "keys", 0, 2, 3, 1), heads(2, "values", 0, 2, 1, 3)
	scores := e.node("MatMul", l.Name+".products", []string{q, k})
	scores = e.node("Mul", l.Name+".scores", []string{scores, e.number(l.Name+".scale", float32(1/math.Sqrt(float64(g.Width))))})
	const unseen = -1e9
	if op.Causal {
		n := shape[0]
		if n < 0 {
			return errors.New("causal attention of texts of any length is not written")
		}
		later := make([]float32, n*n)
		for i := range n {
			for j := i + 1; j < n; j++ {
				later[i*n+j] = unseen
			}
		}
		scores = e.node("Add", l.Name+".causal", []string{scores, e.constant(onnx.Float32s("later", []int{n, n}, later))})
	}
	if e.mask != "" {
		scores = e.node("Add", l.Name+".masked", []string{scores, e.unseen(unseen)})
	}
	weights := e.node("Softmax", l.Name+".weights", []string{scores}, onnx.Int("axis", -1))
	mixed := e.node("MatMul", l.Name+".mixed", []string{weights, v})
	together := e.node("Transpose", l.Name+".together", []string{mixed}, onnx.Ints("perm", 0, 2, 1, 3))
	e.put(l, e.node("Reshape", l.Name, []string{together, e.shape(l.Name, 0, 0, int64(shape.Channels()))}), false)
	return nil
}

// unseen is what is added to the scores of padding, [n, 1, 1, tokens].
func (e *emission) unseen(v float32) string {
	if e.maskScores == "" {
		row := e.node("Unsqueeze", "mask.row", []string{e.mask, e.constant(onnx.Int64s("whole.axes12", []int{2}, 1, 2))})
		padding := e.node("Sub", "mask.padding", []string{e.number("one", 1), row})
		e.maskScores = e.node("Mul", "mask.scores", []string{padding, e.number("unseen", v)})
	}
	return e.maskScores
}

// positions adds the vectors of places: as many as there are tokens.
func (e *emission) positions(l nn.Layer, op nn.Positions) {
	shape := e.net.Shape(l.Name)
	x, n := e.in(l.Inputs[0], false), shape.Channels()
	weight := e.data(l, nn.Weight)[op.First*n:]
	name := l.Name + ".weight"
	if shape[0] > 0 {
		e.put(l, e.node("Add", l.Name, []string{x, e.floats(name, []int{1, shape[0], n}, weight[:shape[0]*n])}), false)
		return
	}
	all := e.floats(name, []int{op.Most(), n}, weight)
	lengths := e.node("Shape", l.Name+".lengths", []string{x})
	tokens := e.node("Gather", l.Name+".tokens", []string{lengths, e.whole("axis1", 1)}, onnx.Int("axis", 0))
	places := e.node("Slice", l.Name+".places", []string{all, e.whole("axis0", 0), tokens, e.whole("axis0", 0)})
	e.put(l, e.node("Add", l.Name, []string{x, places}), false)
}

// prepend puts learned vectors before those of each example.
func (e *emission) prepend(l nn.Layer, op nn.Prepend) {
	x, n := e.in(l.Inputs[0], false), e.net.Shape(l.Name).Channels()
	weight := e.weight(l, nn.Weight, 1, op.Count, n)
	lengths := e.node("Shape", l.Name+".lengths", []string{x})
	examples := e.node("Gather", l.Name+".examples", []string{lengths, e.whole("axis0", 0)}, onnx.Int("axis", 0))
	shape := e.node("Concat", l.Name+".repeats", []string{examples, e.constant(onnx.Int64s("whole.ones", []int{2}, 1, 1))}, onnx.Int("axis", 0))
	repeated := e.node("Expand", l.Name+".repeated", []string{weight, shape})
	e.put(l, e.node("Concat", l.Name, []string{repeated, x}, onnx.Int("axis", 1)), false)
}

func (e *emission) tokenPool(l nn.Layer, op nn.TokenPool) error {
	x := e.in(l.Inputs[0], false)
	one := func(at int64) {
		e.put(l, e.node("Gather", l.Name, []string{x, e.constant(onnx.Int64s(l.Name+".at", nil, at))}, onnx.Int("axis", 1)), false)
	}
	if op.Function == kernel.FirstToken {
		one(int64(op.Skip))
		return nil
	}
	if op.Function == kernel.LastToken && e.mask == "" {
		one(-1)
		return nil
	}
	mask := ""
	if e.mask != "" {
		mask = e.column()
	}
	if op.Skip > 0 {
		x = e.rows(l.Name+".rows", x, op.Skip, 0)
		if mask != "" {
			mask = e.rows(l.Name+".mask", mask, op.Skip, 0)
		}
	}
	keep := onnx.Int("keepdims", 0)
	sum := func(name, x string) string {
		return e.node("ReduceSum", name, []string{x, e.whole("axis1", 1)}, keep)
	}
	switch {
	case op.Function == kernel.MeanOfTokens && mask == "":
		e.put(l, e.node("ReduceMean", l.Name, []string{x}, onnx.Ints("axes", 1), keep), false)
	case op.Function == kernel.MeanOfTokens:
		total := sum(l.Name+".sum", e.node("Mul", l.Name+".masked", []string{x, mask}))
		count := e.node("Max", l.Name+".count", []string{sum(l.Name+".tokens", mask), e.number("one", 1)})
		e.put(l, e.node("Div", l.Name, []string{total, count}), false)
	case op.Function == kernel.GreatestOfTokens:
		if mask != "" {
			padding := e.node("Sub", l.Name+".padding", []string{mask, e.number("one", 1)})
			x = e.node("Add", l.Name+".masked", []string{x, e.node("Mul", l.Name+".least", []string{padding, e.number("most", 1e9)})})
		}
		e.put(l, e.node("ReduceMax", l.Name, []string{x}, onnx.Ints("axes", 1), keep), false)
	case op.Function == kernel.LastToken: // the one after which the mask falls to 0
		next := e.node("Pad", l.Name+".longer", []string{mask, e.constant(onnx.Int64s("whole.one_more", []int{6}, 0, 0, 0, 0, 1, 0))})
		last := e.node("Sub", l.Name+".last", []string{mask, e.rows(l.Name+".next", next, 1, 0)})
		e.put(l, sum(l.Name, e.node("Mul", l.Name+".only", []string{x, last})), false)
	default:
		return errors.New("ONNX has no operator for it")
	}
	return nil
}

// window puts the neighbours of each token beside it.
func (e *emission) window(l nn.Layer, op nn.Window) {
	x := e.in(l.Inputs[0], false)
	if e.mask != "" {
		x = e.node("Mul", l.Name+".masked", []string{x, e.column()})
	}
	before := int64(op.Size) / 2
	margins := e.constant(onnx.Int64s(l.Name+".margins", []int{6}, 0, before, 0, 0, int64(op.Size)-1-before, 0))
	x = e.node("Pad", l.Name+".padded", []string{x, margins})
	var side []string
	for i := range op.Size {
		side = append(side, e.rows(part(l.Name+".side", i, op.Size+1), x, i, i-op.Size+1))
	}
	e.put(l, e.node("Concat", l.Name, side, onnx.Int("axis", -1)), false)
}

// recurrent is an LSTM or GRU in one direction. ONNX has its gates in another order, and tokens before examples.
func (e *emission) recurrent(l nn.Layer, op nn.Recurrent) {
	channels := e.net.Shape(l.Inputs[0]).Channels()
	u := op.Units
	order, operator, gates := []int{0, 3, 1, 2}, "LSTM", []string{"Sigmoid", "Tanh", "Tanh"} // input, output, forget, candidate
	if op.Cell == kernel.GRU {
		order, operator, gates = []int{1, 0, 2}, "GRU", []string{"Sigmoid", "Tanh"} // update, reset, candidate
	}
	turned := func(data []float32, width int) []float32 {
		var out []float32
		for _, gate := range order {
			out = append(out, data[gate*u*width:(gate+1)*u*width]...)
		}
		return out
	}
	wide := len(order) * u
	inner := make([]float32, wide)
	if op.Cell == kernel.GRU {
		inner = turned(e.data(l, nn.StateBias), 1)
	}
	weight := e.floats(l.Name+".weight", []int{1, wide, channels}, turned(e.data(l, nn.Weight), channels))
	state := e.floats(l.Name+".state_weight", []int{1, wide, u}, turned(e.data(l, nn.StateWeight), u))
	bias := e.floats(l.Name+".bias", []int{1, 2 * wide}, slices.Concat(turned(e.data(l, nn.Bias), 1), inner))
	first := e.node("Transpose", l.Name+".tokens_first", []string{e.in(l.Inputs[0], false)}, onnx.Ints("perm", 1, 0, 2))
	in := []string{first, weight, state, bias}
	if e.mask != "" {
		if e.lengths == "" {
			counts := e.node("ReduceSum", "mask.counts", []string{e.mask, e.whole("axis1", 1)}, onnx.Int("keepdims", 0))
			e.lengths = e.node("Cast", "mask.lengths", []string{counts}, onnx.Int("to", int(onnx.Int32)))
		}
		in = append(in, e.lengths)
	}
	direction := "forward"
	if op.Reverse {
		direction = "reverse"
	}
	attributes := []onnx.Attribute{onnx.Int("hidden_size", u), onnx.String("direction", direction)}
	if op.HardSigmoid { // max(0, min(1, alpha·x + beta)), by default x/5 + 1/2
		gates[0] = "HardSigmoid"
	}
	attributes = append(attributes, onnx.Strings("activations", gates...))
	if op.Cell == kernel.GRU {
		attributes = append(attributes, onnx.Int("linear_before_reset", 1))
	}
	all, last := e.unique(l.Name+".all"), e.unique(l.Name+".last")
	e.graph.Nodes = append(e.graph.Nodes, onnx.Node{Name: all, Operator: operator, Inputs: in, Outputs: []string{all, last}, Attributes: attributes})
	if op.Last { // [1, n, units]
		e.put(l, e.node("Squeeze", l.Name, []string{last, e.whole("axis0", 0)}), false)
		return
	}
	one := e.node("Squeeze", l.Name+".direction", []string{all, e.whole("axis1", 1)}) // of [tokens, 1, n, units]
	e.put(l, e.node("Transpose", l.Name, []string{one}, onnx.Ints("perm", 1, 0, 2)), false)
}

// scaleShift is an affine map whose numbers were learned.
func (e *emission) scaleShift(l nn.Layer, op nn.ScaleShift) {
	v := e.values[l.Inputs[0]]
	n := v.shape.Channels()
	shape := []int{n}
	if v.first {
		shape = []int{n, 1, 1}
	}
	y := v.name
	if op.Scale {
		y = e.node("Mul", l.Name+".scaled", []string{y, e.weight(l, nn.Gamma, shape...)})
	}
	if op.Shift {
		y = e.node("Add", l.Name, []string{y, e.weight(l, nn.Beta, shape...)})
	}
	e.put(l, y, v.first)
}

// tokensMetadata tells how texts become ids.
func tokensMetadata(t *deploy.Tokens) ([]onnx.Entry, error) {
	out := []onnx.Entry{{Key: TokensKey, Value: t.Encode()}}
	if !t.Words() {
		return out, nil
	}
	vocabulary, err := words.Decode(t.Vocabulary)
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(vocabulary.Words())
	return append(out, onnx.Entry{Key: VocabularyKey, Value: string(list)}), err
}
