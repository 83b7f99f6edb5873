package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// resNet18 and the others of its family differ in the block and in how often each layer repeats it.
// Where there are two sets of torchvision's weights, the first is the default: features of the second,
// trained with smoothed labels and mixed pictures to a better accuracy, transfer less well (Kornblith
// et al. 2021, arXiv:2010.16402). Keras has those of 50 layers and more.
func resNet18() Backbone {
	net := residualNetwork{[4]int{2, 2, 2, 2}, residual.basic}
	return resNet("18", []variant{net.torchvision()},
		torchvision("imagenet", "ResNet18_Weights.IMAGENET1K_V1", "resnet18-f37072fd.pth", 69.758, 89.078, resNetPixels(256)),
		timmResNet("18", 73.158, 91.026))
}

func resNet34() Backbone {
	net := residualNetwork{[4]int{3, 4, 6, 3}, residual.basic}
	return resNet("34", []variant{net.torchvision()},
		torchvision("imagenet", "ResNet34_Weights.IMAGENET1K_V1", "resnet34-b627a593.pth", 73.314, 91.42, resNetPixels(256)),
		timmResNet("34", 77.918, 93.766))
}

func resNet50() Backbone {
	net := residualNetwork{[4]int{3, 4, 6, 3}, residual.bottleneck}
	return resNet("50", []variant{net.torchvision(), net.keras()},
		torchvision("imagenet", "ResNet50_Weights.IMAGENET1K_V1", "resnet50-0676ba61.pth", 76.13, 92.862, resNetPixels(256)),
		torchvision("imagenet_v2", "ResNet50_Weights.IMAGENET1K_V2", "resnet50-11ad3fa6.pth", 80.858, 95.434, resNetPixels(232)),
		kerasResNet("50", "2cb95161c43110f7111970584f804107", 74.9, 92.1),
		timmResNet("50", 81.214, 95.102))
}

func resNet101() Backbone {
	net := residualNetwork{[4]int{3, 4, 23, 3}, residual.bottleneck}
	return resNet("101", []variant{net.torchvision(), net.keras()},
		torchvision("imagenet", "ResNet101_Weights.IMAGENET1K_V1", "resnet101-63fe2227.pth", 77.374, 93.546, resNetPixels(256)),
		torchvision("imagenet_v2", "ResNet101_Weights.IMAGENET1K_V2", "resnet101-cd907fc2.pth", 81.886, 95.78, resNetPixels(232)),
		kerasResNet("101", "f1aeb4b969a6efcfb50fad2f0c20cfc5", 76.4, 92.8),
		timmResNet("101", 82.322, 95.632))
}

func resNet152() Backbone {
	net := residualNetwork{[4]int{3, 8, 36, 3}, residual.bottleneck}
	return resNet("152", []variant{net.torchvision(), net.keras()},
		torchvision("imagenet", "ResNet152_Weights.IMAGENET1K_V1", "resnet152-394f9c45.pth", 78.312, 94.046, resNetPixels(256)),
		torchvision("imagenet_v2", "ResNet152_Weights.IMAGENET1K_V2", "resnet152-f82ba261.pth", 82.284, 96.002, resNetPixels(232)),
		kerasResNet("152", "100835be76be38e30d865e96f2aaae62", 76.6, 93.1),
		timmResNet("152", 82.732, 95.72))
}

func kerasResNet(depth, md5 string, top1, top5 float64) WeightSet {
	file := "tensorflow/keras-applications/resnet/resnet" + depth + "_weights_tf_dim_ordering_tf_kernels.h5"
	return kerasSet("keras", "ResNet"+depth, file, md5, top1, top5, caffePixels(224, 256))
}

func timmResNet(depth string, top1, top5 float64) WeightSet {
	return timmSet("timm", "", "resnet"+depth+".a1_in1k", "Apache-2.0", top1, top5, 288, timmPixels("imagenet", 224, 0.95, record.FilterBicubic))
}

func resNetPixels(resize int) record.Preprocessing {
	return imageNetPixels(224, resize, record.FilterBilinear)
}

func resNet(depth string, variants []variant, sets ...WeightSet) Backbone {
	return Backbone{
		Name:     "resnet" + depth,
		Title:    "ResNet-" + depth,
		Paper:    "He et al. 2016, arXiv:1512.03385",
		Pooled:   "pooled",
		LastMap:  "layer4",
		Logits:   "logits",
		MinSize:  32,
		Weights:  sets,
		variants: variants,
	}
}

// residualNetwork is a column of table 1 of the paper: how often each layer repeats which block.
type residualNetwork struct {
	repeats [4]int
	block   func(r residual, b *nn.Builder, x nn.Value, channels, stride int) nn.Value
}

// torchvision has the stride of a bottleneck on its 3×3.
func (net residualNetwork) torchvision() variant {
	return variant{
		name:    "torchvision",
		build:   net.build(residual{unit: torchUnit()}),
		namings: []naming{pyTorch("torchvision", resNetTorchvision)}, // and timm
	}
}

// keras has the stride of a bottleneck on its first 1×1, as the paper has it, and biases before the
// batch-norms.
func (net residualNetwork) keras() variant {
	return variant{
		name:    "keras",
		build:   net.build(residual{unit: unit{epsilon: 1.001e-5, momentum: 0.99, biased: true}, early: true}),
		namings: []naming{keras(resNetKeras)},
	}
}

func (net residualNetwork) build(r residual) func(*nn.Builder, nn.Value) {
	return func(b *nn.Builder, image nn.Value) {
		stem := b.Scope("stem")
		x := r.add(stem, image, centred(image, 64, 7, 2), kernel.ReLU)
		x = stem.Layer("pool", maxPool3(), x)
		for i, n := range net.repeats {
			layer := b.Scope(fmt.Sprintf("layer%d", i+1))
			for j := range n {
				stride := 1
				if i > 0 && j == 0 {
					stride = 2
				}
				x = net.block(r, layer.Scope(fmt.Sprint(j)), x, 64<<i, stride)
			}
		}
		classify(b, x, 0)
	}
}

// residual makes the blocks of residual networks: units whose output is added to their input.
type residual struct {
	unit
	early bool // the stride of a bottleneck is on its first unit
}

// basic is 3×3, 3×3.
func (r residual) basic(b *nn.Builder, x nn.Value, channels, stride int) nn.Value {
	short := r.shortcut(b, x, channels, stride)
	y := r.add(b.Scope("unit1"), x, centred(x, channels, 3, stride), kernel.ReLU)
	y = r.add(b.Scope("unit2"), y, centred(y, channels, 3, 1), kernel.None)
	return rectify(b, "act", b.Layer("add", nn.Add{}, y, short))
}

// bottleneck is 1×1, 3×3, and 1×1 to four times the channels.
func (r residual) bottleneck(b *nn.Builder, x nn.Value, channels, stride int) nn.Value {
	short := r.shortcut(b, x, 4*channels, stride)
	first, second := 1, stride
	if r.early {
		first, second = stride, 1
	}
	y := r.add(b.Scope("unit1"), x, centred(x, channels, 1, first), kernel.ReLU)
	y = r.add(b.Scope("unit2"), y, centred(y, channels, 3, second), kernel.ReLU)
	y = r.add(b.Scope("unit3"), y, centred(y, 4*channels, 1, 1), kernel.None)
	return rectify(b, "act", b.Layer("add", nn.Add{}, y, short))
}

// shortcut is the input of a block, projected where the block changes its shape.
func (r residual) shortcut(b *nn.Builder, x nn.Value, channels, stride int) nn.Value {
	if stride == 1 && x.Shape.Channels() == channels {
		return x
	}
	return r.add(b.Scope("shortcut"), x, centred(x, channels, 1, stride), kernel.None)
}

// resNetTorchvision gives a layer its name in torchvision: layer2.0.unit3.bn is layer2.0.bn3.
func resNetTorchvision(layer string) string {
	switch layer {
	case "stem.conv":
		return "conv1"
	case "stem.bn":
		return "bn1"
	case "logits":
		return "fc"
	}
	if block, op, ok := strings.Cut(layer, ".shortcut."); ok {
		return block + ".downsample." + map[string]string{"conv": "0", "bn": "1"}[op]
	}
	block, unit, _ := strings.Cut(layer, ".unit")
	number, op, _ := strings.Cut(unit, ".")
	return block + "." + op + number
}

// resNetKeras gives a layer its name in Keras, which counts from 1 and the stem as the first layer:
// layer2.0.unit3.bn is conv3_block1_3_bn. The shortcut is unit 0.
func resNetKeras(layer string) string {
	switch layer {
	case "stem.conv", "stem.bn":
		return "conv1_" + strings.TrimPrefix(layer, "stem.")
	case "logits":
		return "predictions"
	}
	var number, block int
	var unit, op string
	parts := strings.Split(layer, ".")
	if len(parts) != 4 {
		return ""
	}
	fmt.Sscanf(parts[0]+"."+parts[1], "layer%d.%d", &number, &block)
	if unit, op = strings.TrimPrefix(parts[2], "unit"), parts[3]; unit == "shortcut" {
		unit = "0"
	}
	return fmt.Sprintf("conv%d_block%d_%s_%s", number+1, block+1, unit, op)
}
