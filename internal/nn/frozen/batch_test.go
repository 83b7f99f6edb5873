package frozen

import (
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
)

// towers is a network of two inputs and two outputs.
func towers(t testing.TB) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	left := b.Layer("left.dense", nn.Dense{Out: 5, Bias: true}, b.Input("left", 3))
	right := b.Layer("right.dense", nn.Dense{Out: 5}, b.Input("right", 4))
	both := b.Layer("both", nn.Add{}, left, right)
	b.Outputs(b.Layer("gate", nn.Activation{Function: kernel.Sigmoid}, both), b.Layer("product", nn.Multiply{}, left, right))
	return built(t, b)
}

func TestInputsAndOutputsGoByName(t *testing.T) {
	net := towers(t)
	w := nntest.Weights(net, 1)
	p, err := Compile(net, w)
	if err != nil {
		t.Fatal(err)
	}
	const n = 5
	left, right := make([]float32, 3*n), make([]float32, 4*n)
	for i := range left {
		left[i] = float32(i%7) - 3
	}
	for i := range right {
		right[i] = float32(i%5) - 2
	}
	in := nn.Batch{"left": {Float32: left}, "right": {Float32: right}}
	out := nn.Batch{"gate": nn.NewValues(nn.Float32, 5*n), "product": nn.NewValues(nn.Float32, 5*n)}
	if err := p.NewSession(2).RunBatch(nil, n, in, out); err != nil {
		t.Fatal(err)
	}
	want := nntest.EvaluateBatch(net, w, map[string][]float64{"left": nntest.Widen(left), "right": nntest.Widen(right)}, n)
	for name, values := range out {
		checkNear(t, name, values.Float32, want[name])
	}
	for want, change := range map[string]func(in, out nn.Batch){
		`input "right" is not given`:        func(in, _ nn.Batch) { delete(in, "right") },
		`no place for output "product"`:     func(_, out nn.Batch) { delete(out, "product") },
		`input "left" has 0 numbers of flo`: func(in, _ nn.Batch) { in["left"] = nn.NewValues(nn.Int32, 3*n) },
		`output "gate" has 1 numbers`:       func(_, out nn.Batch) { out["gate"] = nn.NewValues(nn.Float32, 1) },
	} {
		in, out := nn.Batch{"left": in["left"], "right": in["right"]}, nn.Batch{"gate": out["gate"], "product": out["product"]}
		change(in, out)
		if err := p.NewSession(2).RunBatch(nil, n, in, out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if err := p.NewSession(2).Run(nil, left, n, make([]float32, 5*n), make([]float32, 5*n)); err == nil {
		t.Error("a program of two inputs ran on one")
	}
	if names := portNames(p.Inputs()); !slices.Equal(names, []string{"left", "right"}) {
		t.Errorf("inputs %v", names)
	}
}

func portNames(ports []Port) []string {
	var names []string
	for _, p := range ports {
		names = append(names, p.Name)
	}
	return names
}
