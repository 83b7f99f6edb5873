package backbone

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// vgg16 is configuration D of the paper.
func vgg16() Backbone {
	return vgg("16", [5]int{2, 2, 3, 3, 3},
		torchvision("imagenet", "VGG16_Weights.IMAGENET1K_V1", "vgg16-397923af.pth", 71.592, 90.382, imageNetPixels(224, 256, record.FilterBilinear)))
}

// vgg19 is configuration E of the paper.
func vgg19() Backbone {
	return vgg("19", [5]int{2, 2, 4, 4, 4},
		torchvision("imagenet", "VGG19_Weights.IMAGENET1K_V1", "vgg19-dcbb9e9d.pth", 72.376, 90.876, imageNetPixels(224, 256, record.FilterBilinear)))
}

// vgg is five blocks of so many 3×3 convolutions, each with a pooling at its end. The feature vector
// is the mean over the last map; the paper's classifier takes the map itself.
func vgg(depth string, repeats [5]int, sets ...WeightSet) Backbone {
	channels := [5]int{64, 128, 256, 512, 512}

	// torchvision numbers the convolutions, activations and poolings as they come.
	names := map[string]string{"fc1": "classifier.0", "fc2": "classifier.3", "logits": "classifier.6"}
	number := 0
	for i, n := range repeats {
		for j := range n {
			names[fmt.Sprintf("block%d.conv%d", i+1, j+1)] = fmt.Sprintf("features.%d", number)
			number += 2
		}
		number++
	}

	return Backbone{
		Name:    "vgg" + depth,
		Title:   "VGG-" + depth,
		Paper:   "Simonyan and Zisserman 2015, arXiv:1409.1556; torchvision",
		Pooled:  "pooled",
		LastMap: "block5",
		Logits:  "logits",
		MinSize: 32,
		Weights: sets,
		variants: []variant{{
			name:    "torchvision",
			namings: []naming{pyTorch("torchvision", func(layer string) string { return names[layer] })},
			build: func(b *nn.Builder, x nn.Value) {
				for i, n := range repeats {
					block := b.Scope(fmt.Sprintf("block%d", i+1))
					for j := range n {
						c := centred(x, channels[i], 3, 1)
						c.Bias = true
						x = rectify(block, fmt.Sprintf("act%d", j+1), block.Layer(fmt.Sprintf("conv%d", j+1), c, x))
					}
					x = block.Layer("pool", nn.MaxPool{Kernel: nn.Square(2), Stride: nn.Square(2)}, x)
				}
				b.Layer("pooled", nn.GlobalAveragePool{}, x)
				vggClassifier(b, x)
			},
		}},
	}
}

// vggClassifier appends the three dense layers. They take a map of 7×7, to which torchvision
// averages larger ones; where that takes windows of different sizes, a network has no classifier.
func vggClassifier(b *nn.Builder, x nn.Value) {
	const side = 7
	h, w := x.Shape[0]/side, x.Shape[1]/side
	if h*side != x.Shape[0] || w*side != x.Shape[1] {
		return
	}
	if h > 1 || w > 1 {
		x = b.Layer("grid", nn.AveragePool{Kernel: nn.Pair{h, w}, Stride: nn.Pair{h, w}}, x)
	}
	x = b.Layer("flatten", nn.Flatten{}, x)
	for i := range 2 {
		n := i + 1
		x = b.Layer(fmt.Sprintf("fc%d", n), nn.Dense{Out: 4096, Bias: true}, x)
		x = rectify(b, fmt.Sprintf("fc%d_act", n), x)
		x = b.Layer(fmt.Sprintf("fc%d_dropout", n), nn.Dropout{Rate: 0.5}, x)
	}
	b.Layer("logits", nn.Dense{Out: 1000, Bias: true}, x)
}
