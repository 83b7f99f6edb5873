package frozen

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"pgregory.net/rapid"
)

// encoder is a small text encoder: ids to one vector, of sequences of any length.
func encoder(t interface {
	Helper()
	Fatal(...any)
}, function kernel.TokenPooling, causal bool) *nn.Network {
	t.Helper()
	const width = 8
	b := nn.NewBuilder()
	x := b.Layer("tokens", nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32})
	x = b.Layer("words", nn.Embedding{Count: 30, Width: width}, x)
	x = b.Layer("types", nn.ScaleShift{Shift: true}, x)
	x = b.Layer("positions", nn.Positions{Count: 200, First: 2}, x)
	x = b.Layer("norm", nn.LayerNorm{Epsilon: 1e-5}, x)
	q := b.Layer("block.query", nn.Dense{Out: width, Bias: true}, x)
	k := b.Layer("block.key", nn.Dense{Out: width, Bias: true}, x)
	v := b.Layer("block.value", nn.Dense{Out: width, Bias: true}, x)
	y := b.Layer("block.attention", nn.Attention{Heads: 2, Causal: causal}, q, k, v)
	y = b.Layer("block.scale", nn.ScaleShift{Scale: true}, b.Layer("block.out", nn.Dense{Out: width, Bias: true}, y))
	x = b.Layer("block.sum", nn.Add{}, x, y)
	x = b.Layer("block.wide", nn.Dense{Out: 3 * width, Bias: true}, b.Layer("block.norm", nn.LayerNorm{Epsilon: 1e-5}, x))
	x = b.Layer("last", nn.Dense{Out: width, Bias: true}, b.Layer("block.act", nn.Activation{Function: kernel.GELU}, x))
	x = b.Layer("pooled", nn.TokenPool{Function: function}, x)
	b.Layer("normalised", nn.L2Normalise{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// texts are ids of examples one after the other, and how many each has.
func texts(t *rapid.T) (lengths []int, ids []int32) {
	for range rapid.IntRange(1, 6).Draw(t, "examples") {
		length := rapid.IntRange(1, 20).Draw(t, "length")
		if rapid.IntRange(0, 15).Draw(t, "long") == 0 {
			length += 100
		}
		lengths = append(lengths, length)
		for range length {
			ids = append(ids, int32(rapid.IntRange(0, 29).Draw(t, "id")))
		}
	}
	return lengths, ids
}

// Sequences of several lengths give what the definition gives of each alone, and the same bits whatever they come with: beside
// others, in other parts, padded to a length, on several threads; in each precision.
func TestSequencesSideBySide(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	rapid.Check(t, func(t *rapid.T) {
		function := kernel.TokenPooling(rapid.IntRange(0, 3).Draw(t, "function"))
		net := encoder(t, function, rapid.Bool().Draw(t, "causal"))
		weights := net.InitialiseFrozen(rapid.Uint64().Draw(t, "seed"))
		options := Options{Precision: Precision(rapid.IntRange(0, 2).Draw(t, "precision"))}
		program, err := options.Compile(net, weights, "last", "normalised")
		if err != nil {
			t.Fatal(err)
		}
		if quantised := strings.Contains(strings.Join(classes(program), " "), "dense, int8"); quantised != (options.Precision == Int8) {
			t.Fatalf("with precision %v the steps are %v", options.Precision, classes(program))
		}
		tolerance := [...]float64{2e-5, 0.05, 0.15}[options.Precision]
		lengths, ids := texts(t)
		run := func(s *Session, pool *kernel.Pool, lengths []int, ids []int32) (last, normalised []float32) {
			out := nn.Batch{"last": nn.NewValues(nn.Float32, 8*len(ids)), "normalised": nn.NewValues(nn.Float32, 8*len(lengths))}
			if err := s.RunSequences(pool, lengths, nn.Batch{"tokens": {Int32: ids}}, out); err != nil {
				t.Fatal(err)
			}
			return out["last"].Float32, out["normalised"].Float32
		}
		session := program.NewSession(rapid.IntRange(1, 60).Draw(t, "tokens at once"))
		last, normalised := run(session, pool, lengths, ids)
		from := 0
		for i, length := range lengths {
			own := ids[from : from+length]
			aloneLast, alone := run(program.NewSession(1), nil, []int{length}, own)
			if !slices.Equal(aloneLast, last[8*from:8*(from+length)]) || !slices.Equal(alone, normalised[8*i:8*(i+1)]) {
				t.Fatalf("example %d of %v is something else alone", i, lengths)
			}
			padding := options
			padding.Lengths = []int{length + 3}
			bound, err := padding.Compile(net, weights, "normalised")
			if err != nil {
				t.Fatal(err)
			}
			padded := nn.Batch{"normalised": nn.NewValues(nn.Float32, 8)}
			if err := bound.NewSession(1).RunSequences(nil, []int{length}, nn.Batch{"tokens": {Int32: append(slices.Clone(own), 0, 1, 2)}}, padded); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(padded["normalised"].Float32, alone) {
				t.Fatalf("example %d of %v is something else with padding", i, lengths)
			}
			fixed, err := net.Bind(length)
			if err != nil {
				t.Fatal(err)
			}
			want := nntest.EvaluateBatch(fixed, weights, nntest.WidenBatch(nn.Batch{"tokens": {Int32: own}}), 1)["normalised"]
			for c, v := range alone {
				if math.Abs(float64(v)-want[c]) > tolerance {
					t.Fatalf("example %d of %v: number %d is %v, want %v", i, lengths, c, v, want[c])
				}
			}
			from += length
		}
	})
}

// classes describe the steps of a program.
func classes(p *Program) []string {
	var out []string
	for _, s := range p.steps {
		class, _ := s.describe()
		out = append(out, class)
	}
	return out
}

func TestSequencesThatDoNotFit(t *testing.T) {
	net := encoder(t, kernel.MeanOfTokens, false)
	program, err := Compile(net, net.InitialiseFrozen(1))
	if err != nil {
		t.Fatal(err)
	}
	session := program.NewSession(8)
	for want, c := range map[string]struct {
		lengths []int
		ids     []int32
	}{
		"example 0 has 0 tokens":        {[]int{0}, nil},
		"must be from 1 to 198":         {[]int{199}, make([]int32, 199)},
		"2 examples of 3 tokens need 3": {[]int{1, 2}, make([]int32, 4)},
		"token 1 has the id 30":         {[]int{2}, []int32{1, 30}},
	} {
		out := nn.Batch{"normalised": nn.NewValues(nn.Float32, 8*len(c.lengths))}
		err := session.RunSequences(nil, c.lengths, nn.Batch{"tokens": {Int32: c.ids}}, out)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := session.RunBatch(nil, 1, nn.Batch{"tokens": {Int32: []int32{1}}}, nn.Batch{"normalised": nn.NewValues(nn.Float32, 8)}); err == nil {
		t.Error("a network of sequences ran without lengths")
	}
}
