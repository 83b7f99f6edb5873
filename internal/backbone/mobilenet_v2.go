package backbone

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// mobileNetV2 is MobileNetV2 of width 1. PyTorch's pads alike on all sides, Keras' as TensorFlow does.
func mobileNetV2() Backbone {
	return Backbone{
		Name:    "mobilenet_v2",
		Title:   "MobileNetV2",
		Paper:   "Sandler et al. 2018, arXiv:1801.04381",
		Pooled:  "pooled",
		LastMap: "head",
		Logits:  "logits",
		MinSize: 32,
		Weights: []WeightSet{
			torchvision("imagenet", "MobileNet_V2_Weights.IMAGENET1K_V1", "mobilenet_v2-b0353104.pth", 71.878, 90.286,
				imageNetPixels(224, 256, record.FilterBilinear)),
			torchvision("imagenet_v2", "MobileNet_V2_Weights.IMAGENET1K_V2", "mobilenet_v2-7ebf99e0.pth", 72.154, 90.822,
				imageNetPixels(224, 232, record.FilterBilinear)),
			kerasSet("keras", "MobileNetV2", "tensorflow/keras-applications/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5", "",
				71.3, 90.1, inceptionPixels(224, 256)),
			timmSet("timm", "", "mobilenetv2_100.ra_in1k", "Apache-2.0", 72.976, 91.01, 224, timmPixels("imagenet", 224, 0.875, record.FilterBicubic)),
		},
		variants: []variant{
			{
				name:  "torchvision",
				build: mobileNetV2Table(invertedResidual{unit: torchUnit(), conv: centred, act: kernel.ReLU6}, 0.2),
				namings: []naming{
					pyTorch("torchvision", mobileNetV2Torchvision),
					pyTorch("timm", timmMobileNet([]int{1, 2, 3, 4, 3, 3, 1})),
				},
			},
			{
				name:    "keras",
				build:   mobileNetV2Table(invertedResidual{unit: unit{epsilon: 1e-3, momentum: 0.999}, conv: same, act: kernel.ReLU6}, 0),
				namings: []naming{keras(mobileNetV2Keras)},
			},
		},
	}
}

// mobileNetV2Table is the network of table 2 of the paper.
func mobileNetV2Table(r invertedResidual, dropout float32) func(*nn.Builder, nn.Value) {
	return func(b *nn.Builder, image nn.Value) {
		// Expansion, channels, repeats, stride of the first.
		table := [][4]int{
			{1, 16, 1, 1},
			{6, 24, 2, 2},
			{6, 32, 3, 2},
			{6, 64, 4, 2},
			{6, 96, 3, 1},
			{6, 160, 3, 2},
			{6, 320, 1, 1},
		}
		x := r.add(b.Scope("stem"), image, r.conv(image, 32, 3, 2), r.act)
		block := 0
		for _, row := range table {
			expansion, channels, repeats, stride := row[0], row[1], row[2], row[3]
			for range repeats {
				x = r.block(b.Scope(fmt.Sprintf("block%d", block)), x, 3, stride, expansion, channels)
				block++
				stride = 1
			}
		}
		x = r.add(b.Scope("head"), x, r.conv(x, 1280, 1, 1), r.act)
		classify(b, x, dropout)
	}
}

// invertedResidual makes the blocks of the mobile networks: the channels are expanded, filtered each
// by itself, weighed by what squeeze-and-excitation sees in them where the network has that, and
// projected to few; the input is added where the shapes allow it.
type invertedResidual struct {
	unit
	conv    convolution
	act     kernel.Activation
	squeeze bool // squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507)
}

func (r invertedResidual) block(b *nn.Builder, x nn.Value, size, stride, expansion, channels int) nn.Value {
	y := x
	if expansion != 1 {
		y = r.add(b.Scope("expand"), y, r.conv(y, y.Shape.Channels()*expansion, 1, 1), r.act)
	}
	y = r.add(b.Scope("depthwise"), y, depthwise(r.conv(y, y.Shape.Channels(), size, stride)), r.act)
	if r.squeeze {
		y = r.excite(b.Scope("squeeze"), y, x.Shape.Channels()/4)
	}
	y = r.add(b.Scope("project"), y, r.conv(y, channels, 1, 1), kernel.None)
	if stride == 1 && x.Shape.Channels() == channels {
		y = b.Layer("add", nn.Add{}, y, x)
	}
	return y
}

// excite multiplies each channel by a number that two dense layers find from the means of all.
func (r invertedResidual) excite(b *nn.Builder, x nn.Value, channels int) nn.Value {
	s := b.Layer("pool", nn.GlobalAveragePool{}, x)
	s = b.Layer("reduce", nn.Dense{Out: channels, Bias: true}, s)
	s = b.Layer("act", nn.Activation{Function: r.act}, s)
	s = b.Layer("expand", nn.Dense{Out: x.Shape.Channels(), Bias: true}, s)
	s = b.Layer("gate", nn.Activation{Function: kernel.Sigmoid}, s)
	return b.Layer("multiply", nn.Multiply{}, x, s)
}

// mobileNetV2Torchvision gives a layer its name in torchvision, where the parts are numbered: block3
// is features.4, and the first block, which does not expand, has its numbers less one.
func mobileNetV2Torchvision(layer string) string {
	part, rest, _ := strings.Cut(layer, ".")
	if number, ok := strings.CutPrefix(part, "block"); ok {
		block, err := strconv.Atoi(number)
		if err != nil {
			return ""
		}
		parts := map[string]string{
			"expand.conv": "0.0", "expand.bn": "0.1",
			"depthwise.conv": "1.0", "depthwise.bn": "1.1",
			"project.conv": "2", "project.bn": "3",
		}
		if block == 0 {
			parts = map[string]string{
				"depthwise.conv": "0.0", "depthwise.bn": "0.1",
				"project.conv": "1", "project.bn": "2",
			}
		}
		return fmt.Sprintf("features.%d.conv.%s", block+1, parts[rest])
	}
	return map[string]string{
		"stem.conv": "features.0.0", "stem.bn": "features.0.1",
		"head.conv": "features.18.0", "head.bn": "features.18.1", "logits": "classifier.1",
	}[layer]
}

// mobileNetV2Keras gives a layer its name in Keras: block3.expand.bn is block_3_expand_BN.
func mobileNetV2Keras(layer string) string {
	if number, rest, ok := strings.Cut(strings.TrimPrefix(layer, "block"), "."); ok && strings.HasPrefix(layer, "block") {
		block := "block_" + number + "_"
		if number == "0" {
			block = "expanded_conv_"
		}
		return block + strings.NewReplacer(".conv", "", ".bn", "_BN").Replace(rest)
	}
	return map[string]string{
		"stem.conv": "Conv1", "stem.bn": "bn_Conv1", "head.conv": "Conv_1", "head.bn": "Conv_1_bn", "logits": "predictions",
	}[layer]
}
