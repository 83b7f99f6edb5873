package objective

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// Domain is the usual name of the target with an example's domain: [SourceDomain] or [TargetDomain].
const Domain = "domain"

// The domains of examples.
const (
	SourceDomain = 0
	TargetDomain = 1
	domains      = 2
)

// domainTarget is what objectives of two domains read of a batch.
func domainTarget() Target { return Target{Name: Domain, Element: nn.Int32} }

// apart is the loss, in a graph, of the two domains of a batch together. Its value is that of a batch by itself: it is no
// sum over examples. The batch counts for its examples where the batches of a step are put together.
type apart struct {
	graph   *graph.Graph
	loss    *graph.Node
	rows    int
	domains []int32
	share   float64 // of the batch in the step
	needs   []int32 // domains that it says nothing without
}

// newApart adds a loss of outputs to a graph. of is given the samples of both domains for each output, in order.
func newApart(name string, in Place, outputs []Output, needs []int32, of func(pool *kernel.Pool, samples [][]discrepancy.Sample) float64) *apart {
	l := &apart{graph: in.Graph, rows: in.Batch, needs: needs}
	var nodes []*graph.Node
	for _, o := range outputs {
		nodes = append(nodes, in.Output(o))
	}
	l.loss = in.Graph.Function(name, func(pool *kernel.Pool, values [][]float32, gradients [][]float64) (float64, error) {
		samples := make([][]discrepancy.Sample, len(values))
		for i := range values {
			samples[i] = discrepancy.Pick(values[i], gradients[i], len(values[i])/l.rows, l.domains, domains)
		}
		loss := of(pool, samples)
		for _, gradient := range gradients {
			for i := range gradient {
				gradient[i] *= l.share
			}
		}
		return loss * l.share, nil
	}, nodes...)
	return l
}

// Node implements [Loss].
func (l *apart) Node() *graph.Node { return l.loss }

// Kept implements [Loss].
func (l *apart) Kept() []*graph.Node { return nil }

// Fill takes note of the domains. Without rows of a domain that is needed, no example counts.
func (l *apart) Fill(targets nn.Batch, _ Filling) (float64, error) {
	l.domains = targets[Domain].Int32
	for _, d := range l.domains {
		if d < 0 || d >= domains {
			return 0, fmt.Errorf("an example is of domain %d", d)
		}
	}
	for _, d := range l.needs {
		if !slices.Contains(l.domains, d) {
			return 0, nil
		}
	}
	return float64(l.rows), nil
}

// DivideBy implements [Loss].
func (l *apart) DivideBy(mass float64) { l.share = float64(l.rows) / mass }

// Measure implements [Loss]: there is none.
func (l *apart) Measure([]float64) {}

// unmeasured is the evaluation of losses that compare the rows of a batch, which an evaluation does not have side by
// side: its loss is not a number.
type unmeasured struct{}

func (unmeasured) Add(Values, nn.Batch, int) error     { return nil }
func (unmeasured) Result() (loss float64, _ []float64) { return math.NaN(), nil }
