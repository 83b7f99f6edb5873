package backbone

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// unit is a convolution, a batch-norm and an activation: what most architectures are
// made of. Epsilon and momentum are the batch-norm's.
type unit struct {
	epsilon, momentum float32
	unscaled          bool // the batch-norm has no gamma
	biased            bool // the convolution has a bias
}

// add appends the unit's layers, conv, bn and act, to the builder's scope; act is left out if it is
// None.
func (u unit) add(b *nn.Builder, x nn.Value, conv nn.Conv, act kernel.Activation) nn.Value {
	conv.Bias = u.biased
	x = b.Layer("conv", conv, x)
	x = b.Layer("bn", u.norm(), x)
	if act == kernel.None {
		return x
	}
	return b.Layer("act", nn.Activation{Function: act}, x)
}

// norm is the unit's batch-norm.
func (u unit) norm() nn.BatchNorm {
	return nn.BatchNorm{Epsilon: u.epsilon, Momentum: u.momentum, Unscaled: u.unscaled}
}

// convolution makes a square convolution for the input x; frameworks differ in how they pad it.
type convolution func(x nn.Value, out, kernelSize, stride int) nn.Conv

// same returns a square convolution with TensorFlow's "same" padding for the input x.
func same(x nn.Value, out, kernelSize, stride int) nn.Conv {
	k, s := nn.Square(kernelSize), nn.Square(stride)
	return nn.Conv{Out: out, Kernel: k, Stride: s, Padding: x.Same(k, s)}
}

// torchUnit is a unit with the batch-norm that PyTorch makes by default.
func torchUnit() unit { return unit{epsilon: 1e-5, momentum: 0.9} }

// centred returns a square convolution with PyTorch's usual padding: half the kernel on each side.
func centred(_ nn.Value, out, kernelSize, stride int) nn.Conv {
	return nn.Conv{Out: out, Kernel: nn.Square(kernelSize), Stride: nn.Square(stride), Padding: nn.Pad(kernelSize / 2)}
}

// depthwise is the convolution for each channel by itself.
func depthwise(c nn.Conv) nn.Conv {
	c.Groups = c.Out
	return c
}

// rectify appends a ReLU.
func rectify(b *nn.Builder, name string, x nn.Value) nn.Value {
	return b.Layer(name, nn.Activation{Function: kernel.ReLU}, x)
}

// maxPool3 returns the pooling that follows many a stem: 3×3, stride 2.
func maxPool3() nn.MaxPool {
	return nn.MaxPool{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Pad(1)}
}

// classify appends the pooling of the last map and a classifier of ImageNet's classes.
func classify(b *nn.Builder, x nn.Value, dropout float32) {
	x = b.Layer("pooled", nn.GlobalAveragePool{}, x)
	if dropout > 0 {
		x = b.Layer("dropout", nn.Dropout{Rate: dropout}, x)
	}
	b.Layer("logits", nn.Dense{Out: 1000, Bias: true}, x)
}
