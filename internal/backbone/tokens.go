package backbone

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// TokenInput is the input of networks that are spelled out for texts: the tokens' ids.
const TokenInput = "tokens"

// OnTokens tells whether a name spells out a network for texts: one that begins with an embedding.
func (n Name) OnTokens() bool {
	layers, ok := n.spelled()
	return ok && layers[0].embeds()
}

// Recurrent tells whether a name spells out a network with recurrent layers.
func (n Name) Recurrent() bool {
	layers, _ := n.spelled()
	return slices.ContainsFunc(layers, func(l SpelledLayer) bool { return l.LSTM > 0 || l.GRU > 0 })
}

// embeds tells whether the layer puts vectors in the place of tokens.
func (l SpelledLayer) embeds() bool { return l.Embedding > 0 || l.Vectors != "" }

// TokenEmbedding is the embedding that a network for texts begins with.
type TokenEmbedding struct {
	Layer   string
	Vectors string // that it begins with: those of a file, or builtin; "": it is drawn
	Width   int    // 0: that of the vectors
	Frozen  bool   // it does not learn
}

// TokenEmbedding is that of a network for texts.
func (n Name) TokenEmbedding() TokenEmbedding {
	layers, _ := n.spelled()
	first := layers[0]
	return TokenEmbedding{Layer: layerNames(layers)[0], Vectors: first.Vectors, Width: first.Embedding, Frozen: first.Frozen}
}

// TokenWeights is the file of weights that a network for texts begins with; "" for none.
func (n Name) TokenWeights() string {
	var s spelledNetwork
	if json.Unmarshal([]byte(n), &s) != nil {
		return ""
	}
	return s.Weights
}

// TokenNetwork builds the network for texts of so many ids, each of which has a vector of this width. The error names the layer.
func (n Name) TokenNetwork(ids, width int) (*nn.Network, error) {
	layers, ok := n.spelled()
	if !ok || !layers[0].embeds() {
		return nil, errors.New("the network is for pictures: one for texts begins with {embedding: 100} or {vectors: builtin}")
	}
	b := nn.NewBuilder()
	x := b.Layer(TokenInput, nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32})
	for i, name := range layerNames(layers) {
		shape := x.Shape
		if i == 0 {
			x = b.Layer(name, nn.Embedding{Count: ids, Width: width}, x)
		} else {
			x = layers[i].add(b, name, x)
		}
		if _, err := b.Network(); err != nil {
			_, why, _ := strings.Cut(err.Error(), "): ")
			if why == "" {
				why = err.Error()
			}
			return nil, fmt.Errorf("layer %d (%v) cannot take the %v that layer %d gives: %s", i+1, layers[i], shape, i, why)
		}
	}
	if len(x.Shape) != 1 {
		return nil, fmt.Errorf("the last layer gives %v, a vector for each token: remove sequences from the last lstm or gru, or add mean or max", x.Shape)
	}
	return b.Network()
}

// recurrent adds an LSTM or GRU, in both directions if it is so said.
func (l SpelledLayer) recurrent(b *nn.Builder, name string, x nn.Value, op nn.Recurrent) nn.Value {
	op.Last = !l.Sequences
	if !l.Bidirectional {
		return b.Layer(name, op, x)
	}
	forward := b.Layer(name+".forward", op, x)
	op.Reverse = true
	backward := b.Layer(name+".backward", op, x)
	return b.Layer(name+".both", nn.Concat{}, forward, backward)
}
