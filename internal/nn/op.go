package nn

import (
	"fmt"
	"slices"
)

// Op is what a layer does: one of the struct types of this package, by value. All that an op is, apart
// from how it is computed, stands in one file: its fields, which are its JSON, and the two methods.
type Op interface {
	// Kind is the word for the op in JSON and listings.
	Kind() string
	// on tells what the op is on inputs of these shapes, or why it cannot take them.
	on(inputs []Shape) (facts, error)
}

// Ops are the zero values of every op there is.
func Ops() []Op {
	return []Op{
		Input{}, Conv{}, BatchNorm{}, Activation{}, Add{}, Multiply{}, Scale{}, Concat{}, MaxPool{}, AveragePool{}, ZeroPad{},
		GlobalAveragePool{}, Dense{}, Dropout{}, Flatten{}, Softmax{}, Embedding{}, LayerNorm{}, MatMul{}, Reshape{}, Transpose{},
		L2Normalise{}, Neighbours{}, Affine{}, GradientReversal{}, Attention{}, Positions{}, Prepend{}, ScaleShift{}, TokenPool{}, Recurrent{}, Window{},
	}
}

// facts are what follows from an op and the shapes of its inputs. Only the output is required.
type facts struct {
	output       Shape
	parameters   []Parameter // their layer is filled in later
	multiplyAdds int64       // for one example: see [Network.MultiplyAdds]

	// varies tells that the op can take inputs of which an axis varies.
	varies bool
	// ids tells that the op takes ids where others take float32.
	ids bool
	// random tells that in training the output depends on random numbers too.
	random bool
	// expect gives what is expected of the output of random weights, given that of the inputs; nil: what is
	// expected of the first.
	expect func(in []moment) moment
	// steers tells that the initial weights of a layer below look at what comes after this one, as if it
	// were not there.
	steers bool
}

// binder is an op whose fields speak of axes that vary.
type binder interface {
	// bind returns the op for axes of these lengths, as [Network.Bind] has them.
	bind(lengths []int) Op
}

// one returns the shape of the only input.
func one(inputs []Shape) (Shape, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("takes one input, has %d", len(inputs))
	}
	return inputs[0], nil
}

// oneMap returns the shape of the only input, a map.
func oneMap(inputs []Shape) (Shape, error) {
	in, err := one(inputs)
	if err != nil {
		return nil, err
	}
	if len(in) != 3 {
		return nil, fmt.Errorf("input of shape %v: must be [height, width, channels]", in)
	}
	return in, nil
}

// unchanged are the facts of an op that gives values of the shape of its only input.
func unchanged(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	return facts{output: in, varies: true}, err
}

// alike returns an error unless there are two shapes or more, all equal.
func alike(inputs []Shape) error {
	if len(inputs) < 2 {
		return fmt.Errorf("takes two inputs or more, has %d", len(inputs))
	}
	for _, s := range inputs[1:] {
		if !slices.Equal(s, inputs[0]) {
			return fmt.Errorf("inputs of shapes %v and %v: must be equal", inputs[0], s)
		}
	}
	return nil
}
