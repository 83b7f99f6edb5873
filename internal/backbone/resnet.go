package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// resNet18 and the others of its family differ in the block and in how often each layer repeats it.
// Where there are two sets of weights, the first is the default: features of the second, trained
// with smoothed labels and mixed pictures to a better accuracy, transfer less well (Kornblith et al.
// 2021, arXiv:2010.16402).
func resNet18() Backbone {
	return resNet("18", [4]int{2, 2, 2, 2}, residual.basic,
		torchvision("imagenet", "ResNet18_Weights.IMAGENET1K_V1", "resnet18-f37072fd.pth", 69.758, 89.078, resNetPixels(256)))
}

func resNet34() Backbone {
	return resNet("34", [4]int{3, 4, 6, 3}, residual.basic,
		torchvision("imagenet", "ResNet34_Weights.IMAGENET1K_V1", "resnet34-b627a593.pth", 73.314, 91.42, resNetPixels(256)))
}

func resNet50() Backbone {
	return resNet("50", [4]int{3, 4, 6, 3}, residual.bottleneck,
		torchvision("imagenet", "ResNet50_Weights.IMAGENET1K_V1", "resnet50-0676ba61.pth", 76.13, 92.862, resNetPixels(256)),
		torchvision("imagenet_v2", "ResNet50_Weights.IMAGENET1K_V2", "resnet50-11ad3fa6.pth", 80.858, 95.434, resNetPixels(232)))
}

func resNet101() Backbone {
	return resNet("101", [4]int{3, 4, 23, 3}, residual.bottleneck,
		torchvision("imagenet", "ResNet101_Weights.IMAGENET1K_V1", "resnet101-63fe2227.pth", 77.374, 93.546, resNetPixels(256)),
		torchvision("imagenet_v2", "ResNet101_Weights.IMAGENET1K_V2", "resnet101-cd907fc2.pth", 81.886, 95.78, resNetPixels(232)))
}

func resNet152() Backbone {
	return resNet("152", [4]int{3, 8, 36, 3}, residual.bottleneck,
		torchvision("imagenet", "ResNet152_Weights.IMAGENET1K_V1", "resnet152-394f9c45.pth", 78.312, 94.046, resNetPixels(256)),
		torchvision("imagenet_v2", "ResNet152_Weights.IMAGENET1K_V2", "resnet152-f82ba261.pth", 82.284, 96.002, resNetPixels(232)))
}

func resNetPixels(resize int) record.Preprocessing {
	return imageNetPixels(224, resize, record.FilterBilinear)
}

// resNet is a residual network as torchvision has it, with the stride of a bottleneck on its 3×3.
func resNet(depth string, repeats [4]int, block func(residual, *nn.Builder, nn.Value, int, int) nn.Value, sets ...WeightSet) Backbone {
	return Backbone{
		Name:    "resnet" + depth,
		Title:   "ResNet-" + depth,
		Paper:   "He et al. 2016, arXiv:1512.03385; torchvision",
		Pooled:  "pooled",
		LastMap: "layer4",
		Logits:  "logits",
		MinSize: 32,
		Weights: sets,
		namings: []naming{pyTorch("torchvision", resNetTorchvision)},
		build: func(b *nn.Builder, image nn.Value) {
			r := residual{torchUnit()}
			stem := b.Scope("stem")
			x := r.add(stem, image, centred(image, 64, 7, 2), kernel.ReLU)
			x = stem.Layer("pool", maxPool3(), x)
			for i, n := range repeats {
				layer := b.Scope(fmt.Sprintf("layer%d", i+1))
				for j := range n {
					stride := 1
					if i > 0 && j == 0 {
						stride = 2
					}
					x = block(r, layer.Scope(fmt.Sprint(j)), x, 64<<i, stride)
				}
			}
			classify(b, x, 0)
		},
	}
}

// residual makes the blocks of residual networks: units whose output is added to their input.
type residual struct{ unit }

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
	y := r.add(b.Scope("unit1"), x, centred(x, channels, 1, 1), kernel.ReLU)
	y = r.add(b.Scope("unit2"), y, centred(y, channels, 3, stride), kernel.ReLU)
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
