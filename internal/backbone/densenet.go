package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// denseNet121 is DenseNet-BC with growth 32. In a dense block, each layer takes all maps before it.
func denseNet121() Backbone {
	return Backbone{
		Name:    "densenet121",
		Title:   "DenseNet-121",
		Paper:   "Huang et al. 2017, arXiv:1608.06993",
		Pooled:  "pooled",
		LastMap: "norm",
		Logits:  "logits",
		MinSize: 32,
		Weights: []WeightSet{
			torchvision("imagenet", "DenseNet121_Weights.IMAGENET1K_V1", "densenet121-a639ec97.pth", 74.434, 91.972,
				imageNetPixels(224, 256, record.FilterBilinear)),
			kerasSet("keras", "DenseNet121", "tensorflow/keras-applications/densenet/densenet121_weights_tf_dim_ordering_tf_kernels.h5",
				"9d60b8095a5708f2dcce2bca79d332c7", 75.0, 92.3, imageNetPixels(224, 256, record.FilterBilinear)),
			timmSet("timm", "", "densenet121.ra_in1k", "Apache-2.0", 76.5, 93.368, 288, timmPixels("imagenet", 224, 0.875, record.FilterBicubic)),
		},
		variants: []variant{
			{
				name:  "torchvision",
				build: denseNet([]int{6, 12, 24, 16}, denseBlocks{torchUnit()}),
				namings: []naming{
					pyTorch("torchvision", denseNetTorchvision), // and timm
					// The published files have a dot before the numbers in a layer.
					pyTorch("torchvision's file", func(layer string) string {
						name := denseNetTorchvision(layer)
						if i := len(name) - 1; strings.Contains(name, ".denselayer") {
							name = name[:i] + "." + name[i:]
						}
						return name
					}),
				},
			},
			{
				name:    "keras",
				build:   denseNet([]int{6, 12, 24, 16}, denseBlocks{unit{epsilon: 1.001e-5, momentum: 0.99}}),
				namings: []naming{keras(denseNetKeras)},
			},
		},
	}
}

// denseNet is the network of a column of table 1 of the paper: how often each block repeats its layer.
func denseNet(repeats []int, d denseBlocks) func(*nn.Builder, nn.Value) {
	const growth = 32
	return func(b *nn.Builder, image nn.Value) {
		stem := b.Scope("stem")
		x := d.add(stem, image, centred(image, 64, 7, 2), kernel.ReLU)
		x = stem.Layer("pool", maxPool3(), x)
		for i, n := range repeats {
			block := b.Scope(fmt.Sprintf("block%d", i+1))
			values := []nn.Value{x}
			for j := range n {
				layer := block.Scope(fmt.Sprintf("layer%d", j+1))
				y := d.before(layer, "1", x, centred(x, 4*growth, 1, 1))
				y = d.before(layer, "2", y, centred(y, growth, 3, 1))
				values = append(values, y)
				x = layer.Layer("concat", nn.Concat{}, values...)
			}
			if i < len(repeats)-1 {
				transition := b.Scope(fmt.Sprintf("transition%d", i+1))
				x = d.before(transition, "", x, centred(x, x.Shape.Channels()/2, 1, 1))
				x = transition.Layer("pool", nn.AveragePool{Kernel: nn.Square(2), Stride: nn.Square(2)}, x)
			}
		}
		norm := b.Scope("norm")
		x = norm.Layer("bn", d.norm(), x)
		x = rectify(norm, "act", x)
		classify(b, x, 0)
	}
}

// denseBlocks makes the layers of dense networks.
type denseBlocks struct{ unit }

// before is a convolution with its batch-norm and activation before it.
func (d denseBlocks) before(b *nn.Builder, number string, x nn.Value, conv nn.Conv) nn.Value {
	x = b.Layer("bn"+number, d.norm(), x)
	x = rectify(b, "act"+number, x)
	return b.Layer("conv"+number, conv, x)
}

// denseNetTorchvision gives a layer its name in torchvision: block2.layer3.bn1 is
// features.denseblock2.denselayer3.norm1.
func denseNetTorchvision(layer string) string {
	switch layer {
	case "stem.conv":
		return "features.conv0"
	case "stem.bn":
		return "features.norm0"
	case "norm.bn":
		return "features.norm5"
	case "logits":
		return "classifier"
	}
	return "features." + strings.NewReplacer("block", "denseblock", ".layer", ".denselayer", ".bn", ".norm").Replace(layer)
}

// denseNetKeras gives a layer its name in Keras, which counts the stem as the first block:
// block2.layer3.bn1 is conv3_block3_0_bn, transition1.conv is pool2_conv.
func denseNetKeras(layer string) string {
	switch layer {
	case "stem.conv", "stem.bn":
		return "conv1_" + strings.TrimPrefix(layer, "stem.")
	case "norm.bn":
		return "bn"
	case "logits":
		return "predictions"
	}
	var block, number int
	if n, _ := fmt.Sscanf(layer, "block%d.layer%d", &block, &number); n == 2 {
		op := map[string]string{"bn1": "0_bn", "conv1": "1_conv", "bn2": "1_bn", "conv2": "2_conv"}[layer[strings.LastIndexByte(layer, '.')+1:]]
		return fmt.Sprintf("conv%d_block%d_%s", block+1, number, op)
	}
	var op string
	fmt.Sscanf(layer, "transition%d.%s", &block, &op)
	return fmt.Sprintf("pool%d_%s", block+1, op)
}
