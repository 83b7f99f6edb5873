package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// convNeXtTiny is a convolutional network with a transformer's habits.
func convNeXtTiny() Backbone {
	return Backbone{
		Name:    "convnext_tiny",
		Title:   "ConvNeXt-T",
		Paper:   "Liu et al. 2022, arXiv:2201.03545",
		Pooled:  "pooled",
		LastMap: "stage3",
		Logits:  "logits",
		MinSize: 32,
		Weights: []WeightSet{
			torchvision("imagenet", "ConvNeXt_Tiny_Weights.IMAGENET1K_V1", "convnext_tiny-983f1562.pth", 82.52, 96.146, imageNetPixels(224, 236, record.FilterBilinear)),
			timmSet("timm", "", "convnext_tiny.fb_in1k", "Apache-2.0", 82.698, 96.144, 288, timmPixels("imagenet", 224, 0.875, record.FilterBicubic)),
		},
		variants: []variant{{name: "timm", build: convNeXt([4]int{3, 3, 9, 3}, [4]int{96, 192, 384, 768}), namings: []naming{convNeXtTorchvision(), convNeXtTimm()}}},
	}
}

// convNeXt has so many blocks and channels in its stages. The feature vector is what the classifier takes, the mean over the last
// map, normalised.
func convNeXt(repeats, channels [4]int) func(*nn.Builder, nn.Value) {
	norm := nn.LayerNorm{Epsilon: 1e-6}
	patches := func(b *nn.Builder, x nn.Value, out, size int) nn.Value {
		return b.Layer("conv", nn.Conv{Out: out, Kernel: nn.Square(size), Stride: nn.Square(size), Bias: true}, x)
	}
	return func(b *nn.Builder, x nn.Value) {
		stem := b.Scope("stem")
		x = stem.Layer("norm", norm, patches(stem, x, channels[0], 4))
		for s, n := range repeats {
			stage := b.Scope(fmt.Sprintf("stage%d", s))
			if s > 0 {
				down := stage.Scope("down")
				x = patches(down, down.Layer("norm", norm, x), channels[s], 2)
			}
			for i := range n {
				x = convNeXtBlock(stage.Scope(fmt.Sprintf("block%d", i)), x, channels[s])
			}
		}
		x = b.Layer("pooled", norm, b.Layer("average", nn.GlobalAveragePool{}, x))
		b.Layer("logits", nn.Dense{Out: 1000, Bias: true}, x)
	}
}

func convNeXtBlock(b *nn.Builder, x nn.Value, channels int) nn.Value {
	conv := depthwise(centred(x, channels, 7, 1))
	conv.Bias = true
	y := b.Layer("norm", nn.LayerNorm{Epsilon: 1e-6}, b.Layer("conv", conv, x))
	y = b.Layer("act", nn.Activation{Function: kernel.GELU}, b.Layer("wide", nn.Dense{Out: 4 * channels, Bias: true}, y))
	y = b.Layer("scale", nn.ScaleShift{Scale: true}, b.Layer("narrow", nn.Dense{Out: channels, Bias: true}, y))
	return b.Layer("sum", nn.Add{}, y, x)
}

// convNeXtPart takes the name of a layer apart: the stage, the block or "down", and the layer in it; ok is false for others.
func convNeXtPart(layer string) (stage int, block, rest string, ok bool) {
	parts := strings.Split(layer, ".")
	if len(parts) != 3 {
		return 0, "", "", false
	}
	_, err := fmt.Sscanf(parts[0], "stage%d", &stage)
	return stage, strings.TrimPrefix(parts[1], "block"), parts[2], err == nil
}

func convNeXtTorchvision() naming {
	name := func(layer string) string {
		if stage, block, rest, ok := convNeXtPart(layer); ok {
			if block == "down" {
				return fmt.Sprintf("features.%d.%s", 2*stage, map[string]string{"norm": "0", "conv": "1"}[rest])
			}
			return fmt.Sprintf("features.%d.%s.%s", 2*stage+1, block,
				map[string]string{"conv": "block.0", "norm": "block.2", "wide": "block.3", "narrow": "block.5", "scale": "layer_scale"}[rest])
		}
		return map[string]string{"stem.conv": "features.0.0", "stem.norm": "features.0.1", "pooled": "classifier.0", "logits": "classifier.2"}[layer]
	}
	return withScales(pyTorch("torchvision", name))
}

func convNeXtTimm() naming {
	name := func(layer string) string {
		if stage, block, rest, ok := convNeXtPart(layer); ok {
			if block == "down" {
				return fmt.Sprintf("stages.%d.downsample.%s", stage, map[string]string{"norm": "0", "conv": "1"}[rest])
			}
			return fmt.Sprintf("stages.%d.blocks.%s.%s", stage, block,
				map[string]string{"conv": "conv_dw", "norm": "norm", "wide": "mlp.fc1", "narrow": "mlp.fc2", "scale": "gamma"}[rest])
		}
		return map[string]string{"stem.conv": "stem.0", "stem.norm": "stem.1", "pooled": "head.norm", "logits": "head.fc"}[layer]
	}
	return withScales(pyTorch("timm", name))
}

// withScales says that the tensors of learned factors have the names of their layers.
func withScales(n naming) naming {
	n.whole = func(layer string) string {
		if strings.HasSuffix(layer, ".scale") {
			return n.layer(layer)
		}
		return ""
	}
	return n
}
