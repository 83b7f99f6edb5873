package backbone

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// inceptionResNetV2 is Inception-ResNet-v2. Keras' batch-norms have no gamma.
func inceptionResNetV2() Backbone {
	kerasBuild := inceptionResNetV2Blocks(unit{epsilon: 1e-3, momentum: 0.99, unscaled: true})
	return Backbone{
		Name:    "inception_resnet_v2",
		Title:   "Inception-ResNet-v2",
		Paper:   "Szegedy et al. 2017, arXiv:1602.07261",
		Pooled:  "pooled",
		LastMap: "head",
		Logits:  "logits",
		MinSize: 75,
		Weights: []WeightSet{
			kerasSet("imagenet", "InceptionResNetV2",
				"tensorflow/keras-applications/inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
				"e693bd0210a403b3192acc6073ad2e96", 80.3, 95.3, inceptionPixels(299, 342)),
			timmSet("timm", "timm", "inception_resnet_v2.tf_in1k", "Apache-2.0", 80.462, 95.308, 299, timmPixels("inception", 299, 0.8975, record.FilterBicubic)),
		},
		variants: []variant{
			{
				name:    "keras",
				build:   kerasBuild,
				namings: []naming{inceptionResNetV2Keras(kerasBuild)},
			},
			{
				name:    "timm",
				build:   inceptionResNetV2Blocks(unit{epsilon: 1e-3, momentum: 0.9}),
				namings: []naming{pyTorch("timm", inceptionResNetV2Timm)},
			},
		},
	}
}

// inceptionResNetV2Blocks is the network of figure 15 of the paper, with the stem of Inception-v3.
func inceptionResNetV2Blocks(u unit) func(*nn.Builder, nn.Value) {
	return func(b *nn.Builder, x nn.Value) {
		i := inceptionResNet{inception{
			unit:   u,
			shrink: nn.MaxPool{Kernel: nn.Square(3), Stride: nn.Square(2)},
			mean:   nn.AveragePool{Kernel: nn.Square(3), Padding: nn.Pad(1)},
		}}
		x = i.stem(b.Scope("stem"), x)
		x = i.mixed5(b.Scope("mixed5b"), x)
		for n := range 10 {
			x = i.block35(b.Scope(fmt.Sprintf("block35_%d", n+1)), x)
		}
		x = i.mixed6(b.Scope("mixed6a"), x)
		for n := range 20 {
			x = i.block17(b.Scope(fmt.Sprintf("block17_%d", n+1)), x)
		}
		x = i.mixed7(b.Scope("mixed7a"), x)
		for n := range 9 {
			x = i.block8(b.Scope(fmt.Sprintf("block8_%d", n+1)), x, 0.2, kernel.ReLU)
		}
		x = i.block8(b.Scope("block8_10"), x, 1, kernel.None)
		x = i.add(b.Scope("head"), x, centred(x, 1536, 1, 1), kernel.ReLU)
		classify(b, x, 0)
	}
}

// inceptionResNet makes the blocks of Inception-ResNet-v2. Figures are those of the paper.
type inceptionResNet struct{ inception }

// mixed5 is the block before the first residual one.
func (i inceptionResNet) mixed5(b *nn.Builder, x nn.Value) nn.Value {
	y0 := i.conv(b, "branch0", x, 96, 1, 1)

	y1 := i.conv(b, "branch1_1", x, 48, 1, 1)
	y1 = i.conv(b, "branch1_2", y1, 64, 5, 5)

	y2 := i.conv(b, "branch2_1", x, 64, 1, 1)
	y2 = i.conv(b, "branch2_2", y2, 96, 3, 3)
	y2 = i.conv(b, "branch2_3", y2, 96, 3, 3)

	mean := b.Layer("pool", i.mean, x)
	mean = i.conv(b, "branch_pool", mean, 64, 1, 1)
	return b.Layer("concat", nn.Concat{}, y0, y1, y2, mean)
}

// block35 is figure 16, on 35×35.
func (i inceptionResNet) block35(b *nn.Builder, x nn.Value) nn.Value {
	y0 := i.conv(b, "branch0", x, 32, 1, 1)

	y1 := i.conv(b, "branch1_1", x, 32, 1, 1)
	y1 = i.conv(b, "branch1_2", y1, 32, 3, 3)

	y2 := i.conv(b, "branch2_1", x, 32, 1, 1)
	y2 = i.conv(b, "branch2_2", y2, 48, 3, 3)
	y2 = i.conv(b, "branch2_3", y2, 64, 3, 3)
	return i.join(b, x, 0.17, kernel.ReLU, y0, y1, y2)
}

// mixed6 is figure 7, from 35×35 to 17×17.
func (i inceptionResNet) mixed6(b *nn.Builder, x nn.Value) nn.Value {
	y0 := i.valid(b, "branch0", x, 384, 3, 2)

	y1 := i.conv(b, "branch1_1", x, 256, 1, 1)
	y1 = i.conv(b, "branch1_2", y1, 256, 3, 3)
	y1 = i.valid(b, "branch1_3", y1, 384, 3, 2)
	return b.Layer("concat", nn.Concat{}, y0, y1, b.Layer("pool", i.shrink, x))
}

// block17 is figure 17, on 17×17.
func (i inceptionResNet) block17(b *nn.Builder, x nn.Value) nn.Value {
	y0 := i.conv(b, "branch0", x, 192, 1, 1)

	y1 := i.conv(b, "branch1_1", x, 128, 1, 1)
	y1 = i.conv(b, "branch1_2", y1, 160, 1, 7)
	y1 = i.conv(b, "branch1_3", y1, 192, 7, 1)
	return i.join(b, x, 0.1, kernel.ReLU, y0, y1)
}

// mixed7 is figure 18, from 17×17 to 8×8.
func (i inceptionResNet) mixed7(b *nn.Builder, x nn.Value) nn.Value {
	y0 := i.conv(b, "branch0_1", x, 256, 1, 1)
	y0 = i.valid(b, "branch0_2", y0, 384, 3, 2)

	y1 := i.conv(b, "branch1_1", x, 256, 1, 1)
	y1 = i.valid(b, "branch1_2", y1, 288, 3, 2)

	y2 := i.conv(b, "branch2_1", x, 256, 1, 1)
	y2 = i.conv(b, "branch2_2", y2, 288, 3, 3)
	y2 = i.valid(b, "branch2_3", y2, 320, 3, 2)
	return b.Layer("concat", nn.Concat{}, y0, y1, y2, b.Layer("pool", i.shrink, x))
}

// block8 is figure 19, on 8×8.
func (i inceptionResNet) block8(b *nn.Builder, x nn.Value, scale float32, act kernel.Activation) nn.Value {
	y0 := i.conv(b, "branch0", x, 192, 1, 1)

	y1 := i.conv(b, "branch1_1", x, 192, 1, 1)
	y1 = i.conv(b, "branch1_2", y1, 224, 1, 3)
	y1 = i.conv(b, "branch1_3", y1, 256, 3, 1)
	return i.join(b, x, scale, act, y0, y1)
}

// join projects the branches to the channels of x and adds a part of that to x.
func (i inceptionResNet) join(b *nn.Builder, x nn.Value, scale float32, act kernel.Activation, branches ...nn.Value) nn.Value {
	y := b.Layer("concat", nn.Concat{}, branches...)
	y = b.Layer("up", nn.Conv{Out: x.Shape.Channels(), Kernel: nn.Square(1), Bias: true}, y)
	y = b.Layer("add", nn.Add{}, x, b.Layer("scale", nn.Scale{Factor: scale}, y))
	if act == kernel.None {
		return y
	}
	return b.Layer("act", nn.Activation{Function: act}, y)
}

// inceptionResNetV2Keras names layers as Keras does, which has names for those that end a block.
func inceptionResNetV2Keras(build func(*nn.Builder, nn.Value)) naming {
	names := map[string]string{"head.conv": "conv_7b", "head.bn": "conv_7b_bn", "logits": "predictions"}
	for kind, n := range map[string]int{"block35": 10, "block17": 20, "block8": 10} {
		for i := range n {
			block := fmt.Sprintf("%s_%d", kind, i+1)
			names[block+".up"] = block + "_conv"
		}
	}
	return keras(kerasNumbers(build, names))
}

// inceptionResNetV2Timm gives a layer its name in timm, where blocks are parts of three repeats, but
// for the last one: block35_2.branch1_1.bn is repeat.1.branch1.0.bn.
func inceptionResNetV2Timm(layer string) string {
	switch scope, rest, _ := strings.Cut(layer, "."); scope {
	case "logits":
		return "classif"
	case "head":
		return "conv2d_7b." + rest
	case "stem":
		name, op, _ := strings.Cut(rest, "_")
		return "conv2d_" + name + op[strings.IndexByte(op, '.'):]
	case "mixed5b", "mixed6a", "mixed7a":
		return "mixed_" + strings.TrimPrefix(scope, "mixed") + "." + timmBranch(rest)
	case "block8_10":
		return "block8." + timmBranch(rest)
	default:
		kind, number, _ := strings.Cut(scope, "_")
		n, err := strconv.Atoi(number)
		if err != nil {
			return ""
		}
		repeat := map[string]string{"block35": "repeat", "block17": "repeat_1", "block8": "repeat_2"}[kind]
		return fmt.Sprintf("%s.%d.%s", repeat, n-1, timmBranch(rest))
	}
}

// timmBranch gives a layer of a block its name in timm, where the units of a branch count from 0.
func timmBranch(layer string) string {
	if layer == "up" {
		return "conv2d"
	}
	unit, op, _ := strings.Cut(layer, ".")
	if unit == "branch_pool" {
		return "branch3.1." + op // after the pooling
	}
	branch, number, several := strings.Cut(unit, "_")
	if n, err := strconv.Atoi(number); several && err == nil {
		branch = fmt.Sprintf("%s.%d", branch, n-1)
	}
	return branch + "." + op
}
