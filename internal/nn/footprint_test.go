package nn_test

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

func TestFootprint(t *testing.T) {
	net, err := nn.New([]nn.Layer{
		{Name: "in", Op: nn.Input{Shape: nn.Shape{8, 8, 3}}},                                                                 // 192 numbers
		{Name: "conv", Op: nn.Conv{Out: 16, Kernel: nn.Pair{3, 3}, Padding: nn.Padding{1, 1, 1, 1}}, Inputs: []string{"in"}}, // 1024, and 432 weights
		{Name: "norm", Op: nn.BatchNorm{Epsilon: 1e-3}, Inputs: []string{"conv"}},                                            // in its place, and 64 parameters
		{Name: "act", Op: nn.Activation{Function: kernel.ReLU}, Inputs: []string{"norm"}},                                    // in its place
		{Name: "thin", Op: nn.Conv{Out: 4, Kernel: nn.Pair{1, 1}}, Inputs: []string{"act"}},                                  // 256, and 64 weights
		{Name: "wide", Op: nn.Conv{Out: 16, Kernel: nn.Pair{1, 1}}, Inputs: []string{"thin"}},                                // 1024, and 64 weights
		{Name: "sum", Op: nn.Add{}, Inputs: []string{"wide", "act"}},                                                         // 1024
	})
	if err != nil {
		t.Fatal(err)
	}
	got := net.Footprint()
	want := nn.Footprint{
		Parameters: 432 + 64 + 64 + 64,
		Packed:     4*432 + 64 + 64 + 64,
		Peak:       3 * 1024, // wide, act and their sum
		Values:     192 + 1024 + 256 + 1024 + 1024,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := net.ValuesFrom(func(l nn.Layer) bool { return l.Name == "thin" }); got != 256+1024+1024 {
		t.Errorf("%d values from the layer thin on", got)
	}
	if got := net.ValuesFrom(func(nn.Layer) bool { return false }); got != 0 {
		t.Errorf("%d values of no layer", got)
	}
}
