package explain_test

import (
	"math"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/explain"
	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Of the mean of vectors that speak for one class or the other, the word that is left out is the one that the answer loses.
func TestWords(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Layer("tokens", nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32})
	x = b.Layer("embedding", nn.Embedding{Count: 4, Width: 2}, x)
	x = b.Layer("mean", nn.TokenPool{Function: kernel.MeanOfTokens}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.Weights{"embedding.weight": {Shape: nn.Shape{4, 2}, Data: []float32{0, 0, 0, 0, 3, 0, 0, 3}}}
	model, err := inference.New(classifier.New(net, weights, record.SingleLabelHead("label", []string{"a", "b"}), nil))
	if err != nil {
		t.Fatal(err)
	}
	falls, err := explain.Words(model, []int32{1, 2, 3, 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !(falls[1] > 0.2 && falls[2] < -0.2) || math.Abs(falls[0]) > 1e-6 || math.Abs(falls[3]) > 1e-6 {
		t.Errorf("falls %v", falls)
	}
	long := make([]int32, 1000)
	if falls, err = explain.Words(model, long, 1); err != nil || len(falls) != 1000 {
		t.Errorf("%d falls of a long text: %v", len(falls), err)
	}
	if _, err := explain.Words(model, long, 2); err == nil {
		t.Error("a class that there is not")
	}
}

// teller says b by the share of words that are "bad".
type teller struct{}

func (teller) Text(text string, out []float32) error {
	bad, all := strings.Count(text, "bad"), len(strings.Fields(text))
	out[1] = float32(bad) / float32(max(all, 1))
	out[0] = 1 - out[1]
	return nil
}

func TestPieces(t *testing.T) {
	falls, err := explain.Pieces(teller{}, 2, strings.Fields("a bad film and a bad end"), 3, 1)
	if err != nil || len(falls) != 3 {
		t.Fatalf("%v, %v", falls, err)
	}
	for i, want := range []float64{2./7 - 2./6, 2./7 - 1./6, 2./7 - 2./6} {
		if math.Abs(falls[i]-want) > 1e-6 {
			t.Errorf("piece %d: %v, want %v", i, falls[i], want)
		}
	}
	if _, err := explain.Pieces(teller{}, 2, nil, 3, 2); err == nil {
		t.Error("a class that there is not")
	}
}
