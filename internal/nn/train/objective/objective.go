package objective

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Objective is what a training makes smaller.
type Objective interface {
	// Kind is the word for the objective.
	Kind() string
	// Outputs lists the outputs that it reads, each once.
	Outputs() []Output
	// Targets lists the tensors of a batch that it reads, for outputs of these shapes.
	Targets(shape Shapes) []Target
	// Measures lists what it reports beside the loss.
	Measures() []Measure
	// Check tells what is wrong with the objective on outputs of these shapes.
	Check(shape Shapes) error
	// Loss adds the loss to a graph.
	Loss(in Place) Loss
	// Evaluation starts measuring outputs of these shapes.
	Evaluation(shape Shapes) Evaluation
}

// Objectives are the zero values of every objective there is.
func Objectives() []Objective {
	return []Objective{
		CrossEntropy{}, BinaryCrossEntropy{}, SquaredError{},
		DeepCORAL{}, MMD{}, JointMMD{}, Discrimination{}, ClassConfusion{}, Information{},
		KD{}, DKD{}, Hint{}, Attention{}, Relation{},
		SupervisedContrastive{}, Triplet{}, Prototypical{}, Margin{}, Margin{Cosine: true}, Pairs{},
		Judged{}, Sum{}, Tasks{},
	}
}

// Output is what an objective reads of a network.
type Output struct {
	Layer string // "": the network's output, or the first of several
	// Logits asks for what the layer's softmax or sigmoid takes, if it is one, in place of what it gives.
	Logits bool
}

// Shapes are those of an example of outputs.
type Shapes func(Output) nn.Shape

// Values are the outputs of some examples, [examples][shape].
type Values func(Output) []float32

// Target is a tensor of a batch that an objective reads.
type Target struct {
	Name    string
	Element nn.Element
	Shape   nn.Shape // of an example
}

// Measure is a number that is reported beside the loss.
type Measure struct {
	Name      string // such as "accuracy"
	Direction schedule.Direction
}

// The names of measures.
const (
	// Accuracy is the share of the examples that are classified correctly; of independent classes, the share
	// of the answers, of all examples to all classes, that are right at a probability of one half.
	Accuracy = "accuracy"
	// MeanAbsoluteError is in the units of the targets, over all numbers.
	MeanAbsoluteError = "mean_absolute_error"
)

// Place is where a loss is added to a graph.
type Place struct {
	Graph  *graph.Graph
	Batch  int // examples
	Output func(Output) *graph.Node

	prefix string // of the names of inputs
}

// input adds a value that the loss fills. No layer has a name with a slash.
func (p Place) input(name string, shape ...int) *graph.Node {
	return p.Graph.Input("objective/"+p.prefix+name, shape...)
}

// Loss is an objective in a graph.
type Loss interface {
	// Node is the loss, of one element.
	Node() *graph.Node
	// Kept lists the nodes whose values Measure reads after a run.
	Kept() []*graph.Node
	// Fill takes the targets of a batch into the graph and returns their mass.
	Fill(targets nn.Batch, f Filling) (mass float64, err error)
	// DivideBy sets what the loss is divided by: the mass of the batch, or of all that one step is made of.
	DivideBy(mass float64)
	// Measure adds the sums over the examples of the measures, in their order, after a run.
	Measure(sums []float64)
}

// inGraph is what every loss of one output has in a graph.
type inGraph struct {
	graph               *graph.Graph
	answers, mass, loss *graph.Node
}

func (l *inGraph) Node() *graph.Node     { return l.loss }
func (l *inGraph) Kept() []*graph.Node   { return []*graph.Node{l.answers} }
func (l *inGraph) DivideBy(mass float64) { l.graph.Data(l.mass)[0] = float32(mass) }

// Filling is what decides, beside the targets, what a loss is in one step.
type Filling struct {
	Blend Blend
	At    schedule.Position
	Own   []float64 // of an [Adaptive] objective, as they are
}

// Evaluation measures outputs, batch after batch.
type Evaluation interface {
	// Add takes in so many examples.
	Add(outputs Values, targets nn.Batch, examples int) error
	// Result is the mean loss and the measures, in their order; not numbers if nothing could be measured.
	Result() (loss float64, measures []float64)
}

// vector returns an error unless the output is a vector of at least least numbers.
func vector(o Output, shape Shapes, least int) error {
	if s := shape(o); len(s) != 1 || s[0] < least {
		return fmt.Errorf("output %q has the shape %v: must be a vector of %d or more", o.Layer, s, least)
	}
	return nil
}

func or(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}
