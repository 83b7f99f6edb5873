package train

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
)

// bagOfWords is a classifier of sequences of any length: words are looked up, and their vectors multiplied with
// each other and summed.
func bagOfWords(t *testing.T, words, width, classes int) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	ids := b.Layer("words", nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32})
	x := b.Layer("embedding", nn.Embedding{Count: words, Width: width}, ids)
	x = b.Layer("products", nn.MatMul{TransposeA: true}, x, x)
	x = b.Layer("flat", nn.Reshape{Shape: nn.Shape{width * width}}, x)
	x = b.Layer("logits", nn.Dense{Out: classes, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// sentences are sequences of words; those of class c have words from 4c+1 to 4c+4. Word 0 pads.
type sentences struct {
	words   [][]int32
	classes []int
	step    int // lengths are rounded up to a multiple of it
}

func newSentences(n, classes, longest int, seed uint64) sentences {
	random := rand.New(rand.NewPCG(seed, 1))
	s := sentences{step: 2}
	for i := range n {
		class := i % classes
		words := make([]int32, 1+random.IntN(longest))
		for j := range words {
			words[j] = int32(4*class + 1 + random.IntN(4))
		}
		s.words, s.classes = append(s.words, words), append(s.classes, class)
	}
	return s
}

func (s sentences) Len() int { return len(s.words) }

func (s sentences) Lengths(positions []int, _ int) []int {
	longest := 1
	for _, p := range positions {
		longest = max(longest, len(s.words[p]))
	}
	return []int{(longest + s.step - 1) / s.step * s.step}
}

func (s sentences) Read(positions []int, into Batch) error {
	ids := into.Inputs["words"].Int32
	clear(ids)
	length := len(ids) / len(positions)
	for i, p := range positions {
		copy(ids[i*length:(i+1)*length], s.words[p])
		into.Targets[objective.Class].Int32[i] = int32(s.classes[p])
	}
	return nil
}

// oneLength are the same examples without lengths, for a network that is bound.
type oneLength struct{ s sentences }

func (f oneLength) Len() int                               { return f.s.Len() }
func (f oneLength) Read(positions []int, into Batch) error { return f.s.Read(positions, into) }

// Batches of one length train as the network bound to that length does; batches of several lengths train one set of weights.
func TestSequencesOfAnyLength(t *testing.T) {
	const classes, longest = 3, 9
	net := bagOfWords(t, 4*classes+1, 4, classes)
	weights := net.Initialise(1)
	options := adamOptions()
	options.Rate = 3e-3
	train := func(net *nn.Network, training, validation Examples) *Trainer {
		trainer := newTrainer(t, net, weights, options)
		if err := trainer.Run(context.Background(), training, validation, nil); err != nil {
			t.Fatal(err)
		}
		return trainer
	}
	one := newSentences(90, classes, longest, 1)
	one.step = 10
	bound, err := net.Bind(10)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := train(net, one, one), train(bound, oneLength{one}, oneLength{one}); !reflect.DeepEqual(a.History(), b.History()) {
		t.Errorf("varying:\n%+v\nbound:\n%+v", a.History(), b.History())
	}

	several := train(net, newSentences(240, classes, longest, 2), newSentences(90, classes, longest, 3))
	if last := several.History()[len(several.History())-1]; last.ValidationMeasures.Of(objective.Accuracy) < 0.95 {
		t.Errorf("after %d epochs: %+v", len(several.History()), last)
	}
	again := train(net, newSentences(240, classes, longest, 2), newSentences(90, classes, longest, 3))
	if !reflect.DeepEqual(several.History(), again.History()) {
		t.Error("the same training gave something else")
	}
	if n := len(several.programs); n < 2 || n > mostPrograms {
		t.Errorf("%d programs for batches of several lengths", n)
	}
}
