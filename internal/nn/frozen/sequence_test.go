package frozen

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"pgregory.net/rapid"
)

// computeBatch runs a network on a batch and returns its outputs by name.
func computeBatch(t rapid.TB, o Options, net *nn.Network, w nn.Weights, pool *kernel.Pool, in nn.Batch, n, batch int) nn.Batch {
	t.Helper()
	p, err := o.Compile(net, w)
	if err != nil {
		t.Fatal(err)
	}
	out := nn.Batch{}
	for i, l := range net.Outputs() {
		out[l.Name] = nn.NewValues(nn.Float32, n*p.OutputShape(i).Size())
	}
	s := p.NewSession(batch)
	for range 2 { // what an earlier run left behind must not matter
		if err := s.RunBatch(pool, n, in, out); err != nil {
			t.Fatal(err)
		}
		s.spoil()
	}
	return out
}

func TestSequencesAgreeWithTheDefinition(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	rapid.Check(t, func(t *rapid.T) {
		tokens := rapid.IntRange(1, 6).Draw(t, "tokens")
		net := nntest.DrawSequence(t, tokens)
		seed := rapid.Uint64().Draw(t, "seed")
		w := nntest.Weights(net, seed)
		n := rapid.IntRange(1, 3).Draw(t, "n")
		in := nntest.Batch(net, n, seed)
		want := nntest.EvaluateBatch(net, w, nntest.WidenBatch(in), n)
		got := computeBatch(t, drawOptions(t, net), net, w, pool, in, n, rapid.IntRange(1, 3).Draw(t, "batch"))
		for name, values := range got {
			checkNear(t, name, values.Float32, want[name])
		}
	})
}

// TestLengthsAreBound holds a network whose axis varies against the same one built for a length.
func TestLengthsAreBound(t *testing.T) {
	b := func(tokens int) *nn.Network {
		b := nn.NewBuilder()
		x := b.Layer("look", nn.Embedding{Count: 7, Width: 4}, b.Layer("ids", nn.Input{Shape: nn.Shape{tokens}, Element: nn.Int32}))
		x = b.Layer("norm", nn.LayerNorm{Epsilon: 1e-5}, b.Layer("dense", nn.Dense{Out: 6, Bias: true}, x))
		heads := b.Layer("heads", nn.Transpose{Axes: []int{1, 0, 2}}, b.Layer("split", nn.Reshape{Shape: nn.Shape{tokens, 2, 3}}, x))
		scores := b.Layer("scores", nn.MatMul{TransposeB: true}, heads, heads)
		mixed := b.Layer("mixed", nn.MatMul{}, b.Layer("weights", nn.Softmax{}, scores), heads)
		b.Layer("joined", nn.Reshape{Shape: nn.Shape{tokens, 6}}, b.Layer("back", nn.Transpose{Axes: []int{1, 0, 2}}, mixed))
		return built(t, b)
	}
	varying := b(-1)
	w := nntest.Weights(varying, 1)
	if _, err := Compile(varying, w); err == nil || !strings.Contains(err.Error(), `"ids" has the shape ?1, of which an axis varies`) {
		t.Errorf("compiled with an axis that varies: %v", err)
	}
	if got := varying.Shape("scores").String(); got != "2×?1×?1" {
		t.Errorf("scores of shape %s", got)
	}
	for _, tokens := range []int{1, 5} {
		fixed := b(tokens)
		in := nntest.Batch(fixed, 3, 2)
		want := computeBatch(t, Options{}, fixed, w, nil, in, 3, 3)["joined"].Float32
		got := computeBatchOf(t, Options{Lengths: []int{tokens}}, varying, w, in, 3, len(want))
		if !slices.Equal(bits(got), bits(want)) {
			t.Errorf("%d tokens: %v, want %v", tokens, got, want)
		}
	}
}

func computeBatchOf(t testing.TB, o Options, net *nn.Network, w nn.Weights, in nn.Batch, n, size int) []float32 {
	t.Helper()
	p, err := o.Compile(net, w)
	if err != nil {
		t.Fatal(err)
	}
	y := make([]float32, size)
	if err := p.NewSession(2).RunBatch(nil, n, in, nn.Batch{net.Output().Name: {Float32: y}}); err != nil {
		t.Fatal(err)
	}
	return y
}

func TestIDsOfNoRowAreErrors(t *testing.T) {
	b := nn.NewBuilder()
	b.Layer("look", nn.Embedding{Count: 3, Width: 2}, b.Layer("ids", nn.Input{Shape: nn.Shape{2}, Element: nn.Int32}))
	net := built(t, b)
	p, err := Compile(net, nntest.Weights(net, 1))
	if err != nil {
		t.Fatal(err)
	}
	out := nn.Batch{"look": nn.NewValues(nn.Float32, 8)}
	for _, id := range []int32{-1, 3} {
		err := p.NewSession(2).RunBatch(nil, 2, nn.Batch{"ids": {Int32: []int32{0, 1, 2, id}}}, out)
		if err == nil || !strings.Contains(err.Error(), `input "ids": example 1 has the id`) {
			t.Errorf("id %d of 3: %v", id, err)
		}
	}
}

func TestNeighboursAgreeWithTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := func(name string, least, most int) int { return rapid.IntRange(least, most).Draw(t, name) }
		features, rows, classes := num("features", 1, 9), num("rows", 1, 30), num("classes", 1, 4)
		b := nn.NewBuilder()
		b.Layer("vote", nn.Neighbours{K: num("k", 1, rows), Rows: rows, Classes: classes, Weighted: rapid.Bool().Draw(t, "weighted")}, b.Input("input", features))
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		w := nntest.Weights(net, seed)
		stored := w["vote.rows"].Data
		for i := range stored { // far from zero, where the products say least; some rows are equal
			stored[i] = 100 + float32(math.Round(float64(stored[i])))/4
		}
		const n = 3
		x := nntest.Input(net, n, seed)
		for i := range x {
			x[i] = 100 + float32(math.Round(float64(x[i])))/4
		}
		got := compute(t, Options{}, net, w, nil, x, n, 2)[0]
		checkNear(t, "votes", got, nntest.Evaluate(net, w, nntest.Widen(x), n)["vote"])
	})
}

func TestLabelsAreChecked(t *testing.T) {
	b := nn.NewBuilder()
	b.Layer("vote", nn.Neighbours{K: 1, Rows: 2, Classes: 2}, b.Input("input", 1))
	net := built(t, b)
	for _, label := range []float32{2, -1, 0.5} {
		w := nn.Weights{
			"vote.rows":   {Shape: nn.Shape{2, 1}, Data: []float32{0, 1}},
			"vote.labels": {Shape: nn.Shape{2}, Data: []float32{0, label}},
		}
		if _, err := Compile(net, w); err == nil || !strings.Contains(err.Error(), "row 1 has the label") {
			t.Errorf("label %v: %v", label, err)
		}
	}
}

// TestReferences compares networks with scikit-learn's and PyTorch's numbers.
func TestReferences(t *testing.T) {
	text, err := os.ReadFile("testdata/references.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(t *testing.T) []float32{
		"neighbours":           func(t *testing.T) []float32 { return referenceVotes(t, false, false) },
		"neighbours, weighted": func(t *testing.T) []float32 { return referenceVotes(t, true, false) },
		"neighbours, cosine":   func(t *testing.T) []float32 { return referenceVotes(t, false, true) },
		"encoder layer":        referenceEncoder,
	}
	if len(cases) != len(want) {
		t.Errorf("%d cases, the references are %d", len(cases), len(want))
	}
	for name, compute := range cases {
		t.Run(name, func(t *testing.T) { checkNear(t, name, compute(t), want[name]) })
	}
}

// pattern gives the numbers that the script has.
func pattern(n, a, b, m int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32((a*i+b)%m-m/2) / 8
	}
	return out
}

// referenceVotes is the vote of 5 of 40 rows in 6 dimensions on 7 vectors.
func referenceVotes(t *testing.T, weighted, cosine bool) []float32 {
	b := nn.NewBuilder()
	x := b.Input("input", 6)
	if cosine {
		x = b.Layer("normalised", nn.L2Normalise{}, x)
	}
	b.Layer("vote", nn.Neighbours{K: 5, Rows: 40, Classes: 3, Weighted: weighted}, x)
	net := built(t, b)
	rows, labels := pattern(40*6, 373, 5, 1009), make([]float32, 40)
	for i := range rows {
		rows[i] *= float32(1 + i/6%4)
	}
	if cosine {
		kernel.L2Normalise(nil, rows, rows, 1e-12, 40, 6)
	}
	for i := range labels {
		labels[i] = float32(i * i % 3)
	}
	w := nn.Weights{"vote.rows": {Shape: nn.Shape{40, 6}, Data: rows}, "vote.labels": {Shape: nn.Shape{40}, Data: labels}}
	return compute(t, Options{}, net, w, nil, pattern(7*6, 411, 3, 887), 7, 4)[0]
}

// referenceEncoder is a layer of a transformer's encoder, 8 wide with two heads, on 2 sequences of 3 tokens:
// attention and feed-forward, each with its residual and the norm after it.
func referenceEncoder(t *testing.T) []float32 {
	b := nn.NewBuilder()
	x := b.Input("input", -1, 8)
	heads := func(name string, axes ...int) nn.Value {
		y := b.Layer(name, nn.Dense{Out: 8, Bias: true}, x)
		y = b.Layer(name+".split", nn.Reshape{Shape: nn.Shape{-1, 2, 4}}, y)
		return b.Layer(name+".heads", nn.Transpose{Axes: axes}, y)
	}
	scores := b.Layer("scores", nn.MatMul{}, heads("query", 1, 0, 2), heads("key", 1, 2, 0))
	weights := b.Layer("weights", nn.Softmax{}, b.Layer("scaled", nn.Scale{Factor: 0.5}, scores))
	mixed := b.Layer("mixed", nn.MatMul{}, weights, heads("value", 1, 0, 2))
	mixed = b.Layer("joined", nn.Reshape{Shape: nn.Shape{-1, 8}}, b.Layer("back", nn.Transpose{Axes: []int{1, 0, 2}}, mixed))
	y := b.Layer("attention", nn.Add{}, x, b.Layer("out", nn.Dense{Out: 8, Bias: true}, mixed))
	y = b.Layer("norm1", nn.LayerNorm{Epsilon: 1e-5}, y)
	z := b.Layer("gelu", nn.Activation{Function: kernel.GELU}, b.Layer("linear1", nn.Dense{Out: 16, Bias: true}, y))
	z = b.Layer("linear2", nn.Dense{Out: 8, Bias: true}, z)
	b.Layer("norm2", nn.LayerNorm{Epsilon: 1e-5}, b.Layer("feed", nn.Add{}, y, z))
	net := built(t, b)
	w := nn.Weights{}
	for i, p := range []string{
		"query.weight", "query.bias", "key.weight", "key.bias", "value.weight", "value.bias", "out.weight", "out.bias", "norm1.gamma", "norm1.beta",
		"linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "norm2.gamma", "norm2.beta",
	} {
		for _, q := range net.Parameters() {
			if q.Name() == p {
				data := pattern(q.Shape.Size(), 37+2*i, 11*i+5, 149)
				for j := range data {
					data[j] /= 16
				}
				w[p] = nn.Tensor{Shape: q.Shape, Data: data}
			}
		}
	}
	in := nn.Batch{"input": {Float32: pattern(2*3*8, 29, 3, 61)}}
	return computeBatchOf(t, Options{Lengths: []int{3}}, net, w, in, 2, 2*3*8)
}
