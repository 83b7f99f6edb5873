package backbone

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/record"
)

// efficientNetB0 is EfficientNet-B0. PyTorch's pads alike on all sides; Keras' and those that timm
// calls tf_ as TensorFlow does. Keras normalises the pixels in the network itself, as all others want
// them from outside; here preprocessing does it.
func efficientNetB0() Backbone {
	return Backbone{
		Name:    "efficientnet_b0",
		Title:   "EfficientNet-B0",
		Paper:   "Tan and Le 2019, arXiv:1905.11946",
		Pooled:  "pooled",
		LastMap: "head",
		Logits:  "logits",
		MinSize: 32,
		Weights: []WeightSet{
			torchvision("imagenet", "EfficientNet_B0_Weights.IMAGENET1K_V1", "efficientnet_b0_rwightman-7f5810bc.pth", 77.692, 93.532,
				imageNetPixels(224, 256, record.FilterBicubic)),
			kerasSet("keras", "EfficientNetB0", "keras-applications/efficientnetb0.h5", "902e53a9f72be733fc0bcb005b3ebbac", 77.1, 93.3,
				imageNetPixels(224, 256, record.FilterBicubic)),
			timmSet("timm", "", "efficientnet_b0.ra_in1k", "Apache-2.0", 77.694, 93.532, 224, timmPixels("imagenet", 224, 0.875, record.FilterBicubic)),
			timmSet("timm_tf", "keras", "tf_efficientnet_b0.ns_jft_in1k", "Apache-2.0", 78.67, 94.374, 224, timmPixels("imagenet", 224, 0.875, record.FilterBicubic)),
		},
		variants: []variant{
			{
				name:  "torchvision",
				build: efficientNet(invertedResidual{unit: torchUnit(), conv: centred, act: kernel.SiLU, squeeze: true}),
				namings: []naming{
					pyTorch("torchvision", efficientNetTorchvision()),
					pyTorch("timm", timmMobileNet(efficientNetRepeats())),
				},
			},
			{
				name:  "keras",
				build: efficientNet(invertedResidual{unit: unit{epsilon: 1e-3, momentum: 0.99}, conv: same, act: kernel.SiLU, squeeze: true}),
				namings: []naming{
					efficientNetKeras(),
					pyTorch("timm", timmMobileNet(efficientNetRepeats())),
				},
			},
		},
	}
}

// efficientNetTorchvision names layers as torchvision does: block3.expand.conv is
// features.3.0.block.0.0, since block 3 is the first of row 3, counted from 1.
func efficientNetTorchvision() func(string) string {
	return rowNames{
		repeats: efficientNetRepeats(),
		others: map[string]string{
			"stem.conv": "features.0.0", "stem.bn": "features.0.1",
			"head.conv": "features.8.0", "head.bn": "features.8.1", "logits": "classifier.1",
		},
		block: func(row, number int) string { return fmt.Sprintf("features.%d.%d.block.", row+1, number) },
		parts: map[string]string{
			"expand.conv": "0.0", "expand.bn": "0.1",
			"depthwise.conv": "1.0", "depthwise.bn": "1.1",
			"squeeze.reduce": "2.fc1", "squeeze.expand": "2.fc2",
			"project.conv": "3.0", "project.bn": "3.1",
		},
		first: map[string]string{
			"depthwise.conv": "0.0", "depthwise.bn": "0.1",
			"squeeze.reduce": "1.fc1", "squeeze.expand": "1.fc2",
			"project.conv": "2.0", "project.bn": "2.1",
		},
	}.name
}

// efficientNetKeras names layers as Keras does: block3.expand.conv is block3a_expand_conv.
func efficientNetKeras() naming {
	parts := map[string]string{
		"expand.conv": "expand_conv", "expand.bn": "expand_bn",
		"depthwise.conv": "dwconv", "depthwise.bn": "bn",
		"squeeze.reduce": "se_reduce", "squeeze.expand": "se_expand",
		"project.conv": "project_conv", "project.bn": "project_bn",
	}
	n := keras(rowNames{
		repeats: efficientNetRepeats(),
		others: map[string]string{
			"stem.conv": "stem_conv", "stem.bn": "stem_bn", "head.conv": "top_conv", "head.bn": "top_bn", "logits": "predictions",
		},
		block: func(row, number int) string { return fmt.Sprintf("block%d%c_", row+1, 'a'+number) },
		parts: parts,
		first: parts,
	}.name)
	n.unused = []string{"normalization"} // which the preprocessing does
	return n
}
