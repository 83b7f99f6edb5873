package head

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Only where it is so said does the last layer begin with random numbers.
func TestLastLayerIsDrawnOnRequest(t *testing.T) {
	b := nn.NewBuilder()
	b.Layer("logits", nn.Dense{Out: 4, Bias: true}, b.Input("features", 6))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	for _, start := range []Start{StartAtZero(), StartAtRandom()} {
		w := Initialise(net, 1, start)
		drawn := 0
		for _, x := range w["logits.weight"].Data {
			if x != 0 {
				drawn++
			}
		}
		if want := map[bool]int{true: 24}[start.Drawn()]; drawn != want {
			t.Errorf("start %s: %d of 24 weights are not 0, want %d", start.Kind, drawn, want)
		}
		for _, x := range w["logits.bias"].Data {
			if x != 0 {
				t.Errorf("start %s: a bias is %v", start.Kind, x)
			}
		}
	}
}
