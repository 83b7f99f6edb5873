package encoder

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Input is the layer where ids of tokens enter, and the column that has them.
const Input = "tokens"

// Pooled is the layer of a text's vector.
const Pooled = "pooled"

// network builds the encoder up to the last block, or to fewer blocks; blocks is 0 for the vectors that enter the first.
func (s Sizes) network(b *nn.Builder, blocks int) nn.Value { return s.trainable(b, blocks, 0) }

// trainable is network with dropout where the encoders had it in training: of the embeddings, of the attention's weights, and behind
// attention and feed-forward network.
func (s Sizes) trainable(b *nn.Builder, blocks int, dropout float32) nn.Value {
	ids := b.Layer(Input, nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32})
	x := b.Layer("embeddings.words", nn.Embedding{Count: s.Words, Width: s.Width}, ids)
	if s.Types > 0 {
		x = b.Layer("embeddings.types", nn.ScaleShift{Shift: true}, x)
	}
	x = b.Layer("embeddings.positions", nn.Positions{Count: s.Places, First: s.First}, x)
	if s.tower() {
		for i := range blocks {
			x = s.towerBlock(b, fmt.Sprintf("block%d", i), x)
		}
		return x
	}
	x = b.Layer("embeddings.norm", nn.LayerNorm{Epsilon: s.Epsilon}, x)
	x = dropped(b, "embeddings", x, dropout)
	for i := range blocks {
		x = s.Block(b, fmt.Sprintf("block%d", i), x, dropout)
	}
	return x
}

// dropped is x with dropout; x itself if the rate is 0.
func dropped(b *nn.Builder, scope string, x nn.Value, rate float32) nn.Value {
	if rate == 0 {
		return x
	}
	return b.Layer(scope+".dropout", nn.Dropout{Rate: rate}, x)
}

// Block is a layer with its norms behind the residuals (Devlin et al. 2018, arXiv:1810.04805), of tokens of the width, with so many
// heads; its layers' names begin with scope.
func (s Sizes) Block(b *nn.Builder, scope string, x nn.Value, dropout float32) nn.Value {
	dense := func(name string, out int, x nn.Value) nn.Value {
		return b.Layer(scope+"."+name, nn.Dense{Out: out, Bias: true}, x)
	}
	norm := func(name string, x, y nn.Value) nn.Value {
		y = dropped(b, scope+"."+name, y, dropout)
		return b.Layer(scope+"."+name+".norm", nn.LayerNorm{Epsilon: s.Epsilon}, b.Layer(scope+"."+name+".sum", nn.Add{}, y, x))
	}
	y := b.Layer(scope+".attention.heads", nn.Attention{Heads: s.Heads, Dropout: dropout},
		dense("attention.query", s.Width, x), dense("attention.key", s.Width, x), dense("attention.value", s.Width, x))
	x = norm("attention", x, dense("attention.out", s.Width, y))
	y = b.Layer(scope+".feed_forward.activation", nn.Activation{Function: s.Activation}, dense("feed_forward.wide", s.Wide, x))
	return norm("feed_forward", x, dense("feed_forward.narrow", s.Width, y))
}
