package exchange

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Check is how a file compares with the model that it is of.
type Check struct {
	Examples int
	Kind     string  // of the examples: image, text, or vector
	Largest  float64 // difference of a number
	Same     int     // examples of which the most probable class is the same; all, where the model tells no class
}

// tolerance is the difference that files of a precision may make, in probabilities.
func (r Request) tolerance() float64 {
	switch r.Precision {
	case Float32:
		return 1e-4
	case Float16:
		return 0.05
	}
	return math.Inf(1) // int8 is judged on the user's own pictures, by the stage that made it
}

// example is what a model is computed on: one of the three.
type example struct {
	pixels  []uint8   // of a picture, RGB
	tokens  []int32   // of a text
	numbers []float32 // as the network takes them
}

// computed is what a file gives for an example.
type computed func(x example) ([]float32, error)

// examples are what a file is checked on, and what the model tells of them.
type examples struct {
	kind    string
	list    []example
	answers [][]float32
}

// examples computes the model on pictures that are part of this program, or on texts or vectors that are drawn.
func (r Request) examples(pool *kernel.Pool) (*examples, error) {
	out := &examples{kind: "vector"}
	switch {
	case r.Model.Pixels != nil:
		pictures, err := pixels(r.Model, r.Pictures)
		if err != nil {
			return nil, fmt.Errorf("pictures to check on: %w", err)
		}
		out.kind = "image"
		for _, p := range pictures {
			out.list = append(out.list, example{pixels: p})
		}
	case r.Model.Tokens != nil:
		out.kind = "text"
		out.list = texts(r.Model.Tokens, r.Pictures)
	default:
		out.list = vectors(r.Model.Network.Shape(r.Model.Input().Name).Size(), r.Pictures)
	}
	var scheme *quantise.Scheme
	if r.Precision == Int8 {
		scheme = r.Scheme
	}
	program, err := r.Model.Compile(scheme)
	if err != nil {
		return nil, err
	}
	model := r.onNetwork(r.Model.Network, program, pool)
	for _, x := range out.list {
		answers, err := model(x)
		if err != nil {
			return nil, err
		}
		out.answers = append(out.answers, answers)
	}
	return out, nil
}

// onNetwork computes a network that takes what the model's does, normalised.
func (r Request) onNetwork(net *nn.Network, program *frozen.Program, pool *kernel.Pool) computed {
	in, output := net.Inputs()[0].Name, net.Output().Name
	most := 1
	if r.Model.Tokens != nil {
		most = r.Model.Tokens.Length
	}
	session := program.NewSession(most)
	return func(x example) ([]float32, error) {
		out := make([]float32, net.Shape(output).Size())
		if x.tokens != nil {
			return out, session.RunSequences(pool, []int{len(x.tokens)}, nn.Batch{in: {Int32: x.tokens}}, nn.Batch{output: {Float32: out}})
		}
		numbers := x.numbers
		if x.pixels != nil {
			numbers = r.Model.Pixels.Input(x.pixels)
		}
		return out, session.Run(pool, numbers, 1, out)
	}
}

// texts are drawn: of one token to as many as a text may have, but for long ones.
func texts(t *deploy.Tokens, n int) []example {
	random := rand.New(rand.NewPCG(1, 2))
	most := min(t.Length, 48)
	out := make([]example, n)
	for i := range out {
		for range 1 + i*(most-1)/max(n-1, 1) {
			out[i].tokens = append(out[i].tokens, random.Int32N(int32(t.IDs)))
		}
	}
	return out
}

// vectors of a size are drawn, standard normal.
func vectors(size, n int) []example {
	random := rand.New(rand.NewPCG(1, 3))
	out := make([]example, n)
	for i := range out {
		for range size {
			out[i].numbers = append(out[i].numbers, float32(random.NormFloat64()))
		}
	}
	return out
}

// compare holds a file against the model on examples.
func compare(r Request, e *examples, file computed) (*Check, error) {
	check := &Check{Examples: len(e.list), Kind: e.kind}
	for i, x := range e.list {
		want := e.answers[i]
		got, err := file(x)
		if err != nil {
			return nil, err
		}
		if len(got) != len(want) {
			return nil, fmt.Errorf("it gives %d numbers for an example, the model %d", len(got), len(want))
		}
		scale := 1.0
		if r.Model.Head.Task == record.Regression {
			for _, v := range want {
				scale = max(scale, math.Abs(float64(v)))
			}
		}
		for i, v := range want {
			d := math.Abs(float64(v)-float64(got[i])) / scale
			if math.IsNaN(d) {
				return nil, errors.New("it gives what is not a number")
			}
			check.Largest = max(check.Largest, d)
		}
		if r.Model.Head.Task == record.Regression || greatest(got) == greatest(want) {
			check.Same++
		}
	}
	if check.Largest > r.tolerance() {
		return nil, fmt.Errorf("on %d examples it differs from the model by up to %.3g, more than %.3g", check.Examples, check.Largest, r.tolerance())
	}
	return check, nil
}

func greatest(x []float32) int {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}

// pixels are those of embedded pictures, prepared as the model's are.
func pixels(m *deploy.Model, n int) ([][]uint8, error) {
	steps := m.Description.Inputs[0].Transforms.WithoutFeatures().OfPictures()
	preparation, err := picture.Prepare(steps)
	if err != nil {
		return nil, err
	}
	set, err := emoji.Open()
	if err != nil {
		return nil, err
	}
	rows := set.Rows()
	decoder := picture.NewDecoder()
	var out [][]uint8
	for i := range n {
		data, err := set.Read(rows[i*len(rows)/n].ID)
		if err != nil {
			return nil, err
		}
		levels := make([]uint8, preparation.Size())
		if err := preparation.Pixels(decoder, levels, data); err != nil {
			return nil, err
		}
		out = append(out, levels)
	}
	return out, nil
}
