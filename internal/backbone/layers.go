package backbone

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// unit is a convolution without bias, a batch-norm and an activation: what most architectures are
// made of. Epsilon and momentum are the batch-norm's.
type unit struct {
	epsilon, momentum float32
}

// add appends the unit's layers, conv, bn and act, to the builder's scope; act is left out if it is
// None.
func (u unit) add(b *nn.Builder, x nn.Value, conv nn.Conv, act kernel.Activation) nn.Value {
	x = b.Layer("conv", conv, x)
	x = b.Layer("bn", nn.BatchNorm{Epsilon: u.epsilon, Momentum: u.momentum}, x)
	if act == kernel.None {
		return x
	}
	return b.Layer("act", nn.Activation{Function: act}, x)
}

// same returns a square convolution with TensorFlow's "same" padding for the input x.
func same(x nn.Value, out, kernelSize, stride int) nn.Conv {
	k, s := nn.Square(kernelSize), nn.Square(stride)
	return nn.Conv{Out: out, Kernel: k, Stride: s, Padding: x.Same(k, s)}
}

// sameDepthwise is same for each channel by itself.
func sameDepthwise(x nn.Value, kernelSize, stride int) nn.Conv {
	c := same(x, x.Shape.Channels(), kernelSize, stride)
	c.Groups = c.Out
	return c
}
