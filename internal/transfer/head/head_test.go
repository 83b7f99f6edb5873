package head

import (
	"math"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
)

func TestMapsOfFeatures(t *testing.T) {
	net, err := Linear().Network(nn.Shape{2, 3, 4}, OneOf(5), true)
	if err != nil {
		t.Fatal(err)
	}
	if got := net.Shape("standardise"); !slices.Equal(got, nn.Shape{24}) {
		t.Errorf("maps become vectors of shape %v", got)
	}
}

// The last layer begins at 0, hidden ones as Keras draws dense layers: uniform, biases 0. The seed
// decides the hidden ones alone.
func TestFirstWeights(t *testing.T) {
	net, err := Tutorial().Network(nn.Shape{100}, OneOf(5), false)
	if err != nil {
		t.Fatal(err)
	}
	one, another := Initialise(net, 1, StartAtZero()), Initialise(net, 2, StartAtZero())
	for name, tensor := range one {
		limit := 0.0
		if name == "hidden1.dense.weight" {
			limit = math.Sqrt(6.0 / (100 + 256))
		} else if name == "hidden2.dense.weight" {
			limit = math.Sqrt(6.0 / (256 + 128))
		}
		if limit == 0 {
			if !slices.Equal(tensor.Data, another[name].Data) {
				t.Errorf("%s depends on the seed", name)
			}
			continue
		}
		largest := float64(slices.Max(tensor.Data))
		if largest > limit || largest < 0.98*limit || slices.Equal(tensor.Data, another[name].Data) {
			t.Errorf("%s: at most %v, want %v, another for each seed", name, largest, limit)
		}
	}
	for _, name := range []string{"logits.weight", "logits.bias"} {
		if slices.ContainsFunc(one[name].Data, func(x float32) bool { return x != 0 }) || len(one[name].Data) == 0 {
			t.Errorf("%s is not 0", name)
		}
	}
}
