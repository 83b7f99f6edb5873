package nntest

import "github.com/tlpipe/tlpipe/internal/nn"

// window puts neighbouring tokens side by side.
func window(l layer, y []float64, x [][]float64) {
	size, tokens, channels := l.Op.(nn.Window).Size, l.inputs[0][0], l.inputs[0].Channels()
	for i := range tokens {
		for place := range size {
			if from := i + place - size/2; from >= 0 && from < tokens {
				copy(y[(i*size+place)*channels:][:channels], x[0][from*channels:])
			}
		}
	}
}
