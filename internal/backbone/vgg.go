package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// vgg16 is configuration D of the paper.
func vgg16() Backbone {
	return vgg("16", [5]int{2, 2, 3, 3, 3},
		torchvision("imagenet", "VGG16_Weights.IMAGENET1K_V1", "vgg16-397923af.pth", 71.592, 90.382, imageNetPixels(224, 256, record.FilterBilinear)),
		kerasSet("keras", "VGG16", "tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
			"64373286793e3c8b2b4e3219cbf3544b", 71.3, 90.1, caffePixels(224, 256)),
		timmSet("timm", "", "vgg16.tv_in1k", "BSD-3-Clause", 71.592, 90.384, 224, timmPixels("imagenet", 224, 0.875, record.FilterBilinear)))
}

// vgg19 is configuration E of the paper.
func vgg19() Backbone {
	return vgg("19", [5]int{2, 2, 4, 4, 4},
		torchvision("imagenet", "VGG19_Weights.IMAGENET1K_V1", "vgg19-dcbb9e9d.pth", 72.376, 90.876, imageNetPixels(224, 256, record.FilterBilinear)),
		kerasSet("keras", "VGG19", "tensorflow/keras-applications/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5",
			"cbe5617147190e668d6c5d5026f83318", 71.3, 90.0, caffePixels(224, 256)),
		timmSet("timm", "", "vgg19.tv_in1k", "BSD-3-Clause", 72.378, 90.874, 224, timmPixels("imagenet", 224, 0.875, record.FilterBilinear)))
}

func vgg(depth string, repeats [5]int, sets ...WeightSet) Backbone {
	return Backbone{
		Name:    "vgg" + depth,
		Title:   "VGG-" + depth,
		Paper:   "Simonyan and Zisserman 2015, arXiv:1409.1556",
		Pooled:  "pooled",
		LastMap: "block5",
		Logits:  "logits",
		MinSize: 32,
		Weights: sets,
		variants: []variant{
			{
				name:  "torchvision",
				build: vggBlocks(repeats, vggClassifier{pools: true, dropout: 0.5}),
				namings: []naming{
					pyTorch("torchvision", vggNumbered(repeats, "classifier.0", "classifier.3", "classifier.6")),
					pyTorch("timm", vggNumbered(repeats, "pre_logits.fc1", "pre_logits.fc2", "head.fc")),
				},
			},
			{
				name:    "keras",
				build:   vggBlocks(repeats, vggClassifier{}),
				namings: []naming{keras(vggKeras)},
			},
		},
	}
}

// vggBlocks is five blocks of so many 3×3 convolutions, each with a pooling at its end. The feature
// vector is the mean over the last map, as Keras has it with pooling="avg"; the paper's classifier
// takes the map itself.
func vggBlocks(repeats [5]int, classifier vggClassifier) func(*nn.Builder, nn.Value) {
	channels := [5]int{64, 128, 256, 512, 512}
	return func(b *nn.Builder, x nn.Value) {
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
		classifier.add(b, x)
	}
}

// vggClassifier is three dense layers that take a map of 7×7.
type vggClassifier struct {
	pools   bool // averages larger maps to 7×7, where that takes windows of one size
	dropout float32
}

// add appends the classifier. For maps that it cannot take there is none.
func (c vggClassifier) add(b *nn.Builder, x nn.Value) {
	const side = 7
	h, w := x.Shape[0]/side, x.Shape[1]/side
	if h*side != x.Shape[0] || w*side != x.Shape[1] {
		return
	}
	if h > 1 || w > 1 {
		if !c.pools {
			return
		}
		x = b.Layer("grid", nn.AveragePool{Kernel: nn.Pair{h, w}, Stride: nn.Pair{h, w}}, x)
	}
	x = b.Layer("flatten", nn.Flatten{}, x)
	for i := range 2 {
		n := i + 1
		x = b.Layer(fmt.Sprintf("fc%d", n), nn.Dense{Out: 4096, Bias: true}, x)
		x = rectify(b, fmt.Sprintf("fc%d_act", n), x)
		if c.dropout > 0 {
			x = b.Layer(fmt.Sprintf("fc%d_dropout", n), nn.Dropout{Rate: c.dropout}, x)
		}
	}
	b.Layer("logits", nn.Dense{Out: 1000, Bias: true}, x)
}

// vggNumbered names layers as torchvision does, which numbers convolutions, activations and poolings
// as they come; the dense layers are called as given.
func vggNumbered(repeats [5]int, fc1, fc2, logits string) func(string) string {
	names := map[string]string{"fc1": fc1, "fc2": fc2, "logits": logits}
	number := 0
	for i, n := range repeats {
		for j := range n {
			names[fmt.Sprintf("block%d.conv%d", i+1, j+1)] = fmt.Sprintf("features.%d", number)
			number += 2
		}
		number++
	}
	return func(layer string) string { return names[layer] }
}

// vggKeras gives a layer its name in Keras: block1.conv2 is block1_conv2.
func vggKeras(layer string) string {
	if layer == "logits" {
		return "predictions"
	}
	return strings.ReplaceAll(layer, ".", "_")
}
