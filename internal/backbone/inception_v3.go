package backbone

import (
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// inceptionV3 is Inception-v3 without the auxiliary classifier, which serves training from scratch
// only. Layers bear TensorFlow's names. The mean of a pixel and its neighbours counts the padding as
// zeros in PyTorch, leaves it out in Keras, whose batch-norms have no gamma.
func inceptionV3() Backbone {
	// All weights come from TensorFlow and want its pixels; torchvision takes pixels normalised as for
	// its other networks and converts them itself.
	pixels := inceptionPixels(299, 342)
	names := pyTorch("torchvision", inceptionV3Torchvision)
	names.unused = []string{"AuxLogits."}
	mean := nn.AveragePool{Kernel: nn.Square(3), Padding: nn.Pad(1)}
	counting := mean
	counting.CountPadding = true
	shrink := nn.MaxPool{Kernel: nn.Square(3), Stride: nn.Square(2)}
	build := inceptionV3Blocks(inception{unit: unit{epsilon: 1e-3, momentum: 0.99, unscaled: true}, shrink: shrink, mean: mean}, 0)
	return Backbone{
		Name:    "inception_v3",
		Title:   "Inception-v3",
		Paper:   "Szegedy et al. 2016, arXiv:1512.00567",
		Pooled:  "pooled",
		LastMap: "mixed7c",
		Logits:  "logits",
		MinSize: 75,
		Weights: []WeightSet{
			torchvision("imagenet", "Inception_V3_Weights.IMAGENET1K_V1", "inception_v3_google-0cc3c7bd.pth", 77.294, 93.45, pixels),
			kerasSet("keras", "InceptionV3", "tensorflow/keras-applications/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
				"9a0d58056eeedaa3f26cb7ebd46da564", 77.9, 93.7, pixels),
			timmSet("timm", "", "inception_v3.gluon_in1k", "Apache-2.0", 78.806, 94.374, 299, timmPixels("imagenet", 299, 0.875, record.FilterBicubic)),
		},
		variants: []variant{
			{
				name:    "torchvision",
				build:   inceptionV3Blocks(inception{unit: unit{epsilon: 1e-3, momentum: 0.9}, shrink: shrink, mean: counting}, 0.5),
				namings: []naming{names}, // and timm
			},
			{
				name:    "keras",
				build:   build,
				namings: []naming{keras(kerasNumbers(build, map[string]string{"logits": "predictions"}))},
			},
		},
	}
}

// inceptionV3Blocks is the network of table 1 of the paper.
func inceptionV3Blocks(i inception, dropout float32) func(*nn.Builder, nn.Value) {
	return func(b *nn.Builder, x nn.Value) {
		x = i.stem(b.Scope("stem"), x)
		x = i.five(b.Scope("mixed5b"), x, 32)
		x = i.five(b.Scope("mixed5c"), x, 64)
		x = i.five(b.Scope("mixed5d"), x, 64)
		x = i.fiveToSix(b.Scope("mixed6a"), x)
		x = i.six(b.Scope("mixed6b"), x, 128)
		x = i.six(b.Scope("mixed6c"), x, 160)
		x = i.six(b.Scope("mixed6d"), x, 160)
		x = i.six(b.Scope("mixed6e"), x, 192)
		x = i.sixToSeven(b.Scope("mixed7a"), x)
		x = i.seven(b.Scope("mixed7b"), x)
		x = i.seven(b.Scope("mixed7c"), x)
		classify(b, x, dropout)
	}
}

// inception makes the blocks of Inception-v3: branches side by side, then concatenated. Figures are
// those of the paper.
type inception struct {
	unit
	shrink nn.MaxPool     // halves the map
	mean   nn.AveragePool // keeps its size
}

// stem goes from 299×299 to 35×35.
func (i inception) stem(b *nn.Builder, x nn.Value) nn.Value {
	x = i.valid(b, "1a_3x3", x, 32, 3, 2)
	x = i.valid(b, "2a_3x3", x, 32, 3, 1)
	x = i.conv(b, "2b_3x3", x, 64, 3, 3)
	x = b.Layer("pool1", i.shrink, x)
	x = i.valid(b, "3b_1x1", x, 80, 1, 1)
	x = i.valid(b, "4a_3x3", x, 192, 3, 1)
	return b.Layer("pool2", i.shrink, x)
}

// conv appends a unit of height×width pixels that keeps the map's size.
func (i inception) conv(b *nn.Builder, name string, x nn.Value, out, height, width int) nn.Value {
	return i.add(b.Scope(name), x, nn.Conv{
		Out: out, Kernel: nn.Pair{height, width}, Padding: nn.Padding{height / 2, width / 2, height / 2, width / 2},
	}, kernel.ReLU)
}

// valid appends a unit without padding.
func (i inception) valid(b *nn.Builder, name string, x nn.Value, out, size, stride int) nn.Value {
	return i.add(b.Scope(name), x, nn.Conv{Out: out, Kernel: nn.Square(size), Stride: nn.Square(stride)}, kernel.ReLU)
}

// five is figure 5, with a 5×5 left whole: the blocks of 35×35.
func (i inception) five(b *nn.Builder, x nn.Value, pool int) nn.Value {
	y1 := i.conv(b, "branch1x1", x, 64, 1, 1)

	y5 := i.conv(b, "branch5x5_1", x, 48, 1, 1)
	y5 = i.conv(b, "branch5x5_2", y5, 64, 5, 5)

	y3 := i.conv(b, "branch3x3dbl_1", x, 64, 1, 1)
	y3 = i.conv(b, "branch3x3dbl_2", y3, 96, 3, 3)
	y3 = i.conv(b, "branch3x3dbl_3", y3, 96, 3, 3)

	mean := b.Layer("pool", i.mean, x)
	mean = i.conv(b, "branch_pool", mean, pool, 1, 1)
	return b.Layer("concat", nn.Concat{}, y1, y5, y3, mean)
}

// fiveToSix is figure 10: from 35×35 to 17×17.
func (i inception) fiveToSix(b *nn.Builder, x nn.Value) nn.Value {
	y3 := i.valid(b, "branch3x3", x, 384, 3, 2)

	y := i.conv(b, "branch3x3dbl_1", x, 64, 1, 1)
	y = i.conv(b, "branch3x3dbl_2", y, 96, 3, 3)
	y = i.valid(b, "branch3x3dbl_3", y, 96, 3, 2)

	return b.Layer("concat", nn.Concat{}, y3, y, b.Layer("pool", i.shrink, x))
}

// six is figure 6 with n = 7: the blocks of 17×17.
func (i inception) six(b *nn.Builder, x nn.Value, middle int) nn.Value {
	y1 := i.conv(b, "branch1x1", x, 192, 1, 1)

	y7 := i.conv(b, "branch7x7_1", x, middle, 1, 1)
	y7 = i.conv(b, "branch7x7_2", y7, middle, 1, 7)
	y7 = i.conv(b, "branch7x7_3", y7, 192, 7, 1)

	y77 := i.conv(b, "branch7x7dbl_1", x, middle, 1, 1)
	y77 = i.conv(b, "branch7x7dbl_2", y77, middle, 7, 1)
	y77 = i.conv(b, "branch7x7dbl_3", y77, middle, 1, 7)
	y77 = i.conv(b, "branch7x7dbl_4", y77, middle, 7, 1)
	y77 = i.conv(b, "branch7x7dbl_5", y77, 192, 1, 7)

	mean := b.Layer("pool", i.mean, x)
	mean = i.conv(b, "branch_pool", mean, 192, 1, 1)
	return b.Layer("concat", nn.Concat{}, y1, y7, y77, mean)
}

// sixToSeven shrinks 17×17 to 8×8.
func (i inception) sixToSeven(b *nn.Builder, x nn.Value) nn.Value {
	y3 := i.conv(b, "branch3x3_1", x, 192, 1, 1)
	y3 = i.valid(b, "branch3x3_2", y3, 320, 3, 2)

	y7 := i.conv(b, "branch7x7x3_1", x, 192, 1, 1)
	y7 = i.conv(b, "branch7x7x3_2", y7, 192, 1, 7)
	y7 = i.conv(b, "branch7x7x3_3", y7, 192, 7, 1)
	y7 = i.valid(b, "branch7x7x3_4", y7, 192, 3, 2)

	return b.Layer("concat", nn.Concat{}, y3, y7, b.Layer("pool", i.shrink, x))
}

// seven is figure 7: the blocks of 8×8, whose branches fork once more.
func (i inception) seven(b *nn.Builder, x nn.Value) nn.Value {
	y1 := i.conv(b, "branch1x1", x, 320, 1, 1)

	y3 := i.conv(b, "branch3x3_1", x, 384, 1, 1)
	y3 = b.Layer("branch3x3", nn.Concat{},
		i.conv(b, "branch3x3_2a", y3, 384, 1, 3),
		i.conv(b, "branch3x3_2b", y3, 384, 3, 1))

	y33 := i.conv(b, "branch3x3dbl_1", x, 448, 1, 1)
	y33 = i.conv(b, "branch3x3dbl_2", y33, 384, 3, 3)
	y33 = b.Layer("branch3x3dbl", nn.Concat{},
		i.conv(b, "branch3x3dbl_3a", y33, 384, 1, 3),
		i.conv(b, "branch3x3dbl_3b", y33, 384, 3, 1))

	mean := b.Layer("pool", i.mean, x)
	mean = i.conv(b, "branch_pool", mean, 192, 1, 1)
	return b.Layer("concat", nn.Concat{}, y1, y3, y33, mean)
}

// inceptionV3Torchvision gives a layer its name in torchvision: stem.1a_3x3.conv is
// Conv2d_1a_3x3.conv, mixed5b.branch_pool.bn is Mixed_5b.branch_pool.bn.
func inceptionV3Torchvision(layer string) string {
	if layer == "logits" {
		return "fc"
	}
	if rest, ok := strings.CutPrefix(layer, "stem."); ok {
		return "Conv2d_" + rest
	}
	return "Mixed_" + strings.TrimPrefix(layer, "mixed")
}
