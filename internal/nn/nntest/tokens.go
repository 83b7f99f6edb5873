package nntest

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// attention is softmax(Q·Kᵀ/√width)·V, head by head.
func attention(l layer, y []float64, x [][]float64) {
	op, tokens, channels := l.Op.(nn.Attention), l.output[0], l.output[1]
	width := channels / op.Heads
	for i := range tokens {
		keys := tokens
		if op.Causal {
			keys = i + 1
		}
		for h := range op.Heads {
			shares, total := make([]float64, keys), 0.0
			for j := range keys {
				for c := h * width; c < (h+1)*width; c++ {
					shares[j] += x[0][i*channels+c] * x[1][j*channels+c] / math.Sqrt(float64(width))
				}
				shares[j] = math.Exp(shares[j])
				total += shares[j]
			}
			for j, share := range shares {
				for c := h * width; c < (h+1)*width; c++ {
					y[i*channels+c] += share / total * x[2][j*channels+c]
				}
			}
		}
	}
}

func tokenPool(l layer, y []float64, x [][]float64) {
	op, columns := l.Op.(nn.TokenPool), len(y)
	rows := x[0][op.Skip*columns:]
	count := len(rows) / columns
	for c := range y {
		switch op.Function {
		case kernel.FirstToken:
			y[c] = rows[c]
		case kernel.LastToken:
			y[c] = rows[(count-1)*columns+c]
		case kernel.GreatestOfTokens:
			y[c] = math.Inf(-1)
			for row := range count {
				y[c] = max(y[c], rows[row*columns+c])
			}
		default:
			for row := range count {
				y[c] += rows[row*columns+c] / float64(count)
			}
		}
	}
}
