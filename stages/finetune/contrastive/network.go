package contrastive

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// network builds the projections of both sides, and what they begin with: weights of Glorot's, and the means and variances of the
// training rows.
func (s stage) network(p *tables, seed uint64) (*nn.Network, nn.Weights, error) {
	b := nn.NewBuilder()
	var outputs []nn.Value
	for _, of := range p.sides() {
		scope := b.Scope(of.port)
		x := scope.Input(inputLayer, of.width)
		x = scope.Layer(standardiseLayer, nn.BatchNorm{Epsilon: 1e-5, Momentum: 0.9}, x)
		if s.Dropout > 0 {
			x = scope.Layer("dropout", nn.Dropout{Rate: float32(s.Dropout)}, x)
		}
		for i, width := range s.Hidden {
			hidden := scope.Scope(fmt.Sprintf("hidden%d", i+1))
			x = hidden.Layer("dense", nn.Dense{Out: width, Bias: true}, x)
			x = hidden.Layer("activation", nn.Activation{Function: kernel.ReLU}, x)
			if s.Dropout > 0 {
				x = hidden.Layer("dropout", nn.Dropout{Rate: float32(s.Dropout)}, x)
			}
		}
		x = scope.Layer("projection", nn.Dense{Out: s.Width, Bias: true}, x)
		outputs = append(outputs, scope.Layer(unitLayer, nn.L2Normalise{}, x))
	}
	b.Outputs(outputs...)
	net, err := b.Network()
	if err != nil {
		return nil, nil, fmt.Errorf("projections: %w", err)
	}
	weights := net.InitialiseGlorot(seed)
	for _, of := range p.sides() {
		role := func(r nn.Role) []float32 {
			return weights[nn.Parameter{Layer: of.port + "." + standardiseLayer, Role: r}.Name()].Data
		}
		of.moments(role(nn.Mean), role(nn.Variance))
	}
	return net, weights, nil
}

// Layers of a side.
const (
	inputLayer       = "features"
	standardiseLayer = "standardise"
	unitLayer        = "unit"
)

// projected is the layer with what a side is projected to.
func projected(port string) string { return port + "." + unitLayer }

func standardises(layer string) bool { return strings.HasSuffix(layer, "."+standardiseLayer) }
